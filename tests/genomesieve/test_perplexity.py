"""Perplexity of hidden bases and its intervals."""

import numpy as np
import pytest

from genomesieve.kmer_models import fit_model
from genomesieve.masking import SEEN, SINGLE, SPAN
from genomesieve.perplexity import (
    HiddenBases,
    blocks_of_windows,
    kmer_losses,
    perplexity_table,
)
from genomesieve.pretraining_settings import MaskSettings
from genomesieve.unlabelled import HeldOutWindows
from toy_pretraining import markov_codes, stretches_of


def test_even_guesses_have_perplexity_four_and_intervals_hold_the_mean():
    generator = np.random.default_rng(0)
    windows = 40
    hidden = HiddenBases(
        np.repeat(np.arange(windows), 25),
        generator.choice([SINGLE, SPAN], 1000).astype(np.uint8),
        generator.random(1000) < 0.3,
    )
    worse = np.log(4) + generator.random(1000)
    losses = {"network": np.full(1000, np.log(4)), "other": worse}
    table = perplexity_table(losses, "network", hidden, blocks_of_windows(windows, 100))
    own = table[table["model"] == "network"]
    np.testing.assert_allclose(own[["perplexity", "low", "high"]], 4)
    assert own["difference"].isna().all()
    other = table[(table["model"] == "other") & (table["mask"] == "all")]
    everywhere, outside = (
        other[other["positions"] == name].iloc[0] for name in ("everywhere", "outside repeats")
    )
    assert everywhere["perplexity"] == pytest.approx(np.exp(worse.mean()))
    assert everywhere["difference"] == pytest.approx(worse.mean() - np.log(4))
    assert everywhere["difference_low"] < everywhere["difference"] < everywhere["difference_high"]
    assert everywhere["difference_low"] > 0
    assert outside["perplexity"] == pytest.approx(np.exp(worse[~hidden.repeats].mean()))
    assert (everywhere["bases"], outside["bases"]) == (1000, int((~hidden.repeats).sum()))
    assert set(table["mask"]) == {"all", "single", "span"}


@pytest.mark.parametrize(
    ("windows", "length", "blocks"), [(5, 1000, 5), (60, 1000, 20), (10_000, 1000, 100)]
)
def test_blocks_are_of_100_kb_unless_there_would_be_fewer_than_20(windows, length, blocks):
    found = blocks_of_windows(windows, length)
    assert found[-1] + 1 == blocks and np.bincount(found).max() * length <= 100_000


def test_markov_models_reach_the_entropy_of_a_markov_source():
    """A base is named by the two before it; six tell also which strand is read."""
    strong = 0.85
    codes = markov_codes(220_000, strong=strong)
    masks = MaskSettings(0.05, 0.0, 1)
    windows = HeldOutWindows(stretches_of(codes, [(200_000, 220_000)]), 500, 6, masks, [0], 10**6)
    model = fit_model([codes[:200_000]], 6, 0)
    losses = kmer_losses(model, windows, [(0, 0), (2, 0), (6, 0)])
    named, other = strong + (1 - strong) / 4, (1 - strong) / 4
    entropy = -named * np.log(named) - 3 * other * np.log(other)
    hidden = np.concatenate([batch.mask != SEEN for batch in windows.batches(9)])
    row, place = np.nonzero(hidden)
    near = np.zeros(len(row), dtype=bool)
    for back in range(1, 7):
        near |= (place >= back) & hidden[row, np.maximum(place - back, 0)]
    none, two, six = losses[:, ~near].mean(1)
    assert six == pytest.approx(entropy, rel=0.08)
    assert six < two < none and none > 2 * entropy
    # Where a neighbour is hidden, less is known.
    assert losses[2, near].mean() > six + 0.05
