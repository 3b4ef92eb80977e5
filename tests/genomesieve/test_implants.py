"""Constructs on backgrounds against whole windows, and backgrounds that keep dinucleotides."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from attributed_models import MODELS, make_bundle
from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.implants import (
    Backgrounds,
    Implant,
    Implanter,
    mean_with_interval,
    middle_bin,
    random_backgrounds,
    site_backgrounds,
)
from genomesieve.mutagenesis import MutantScorer
from genomesieve.networks import log_odds


def small_genome(lengths=(400, 90), unknown=()):
    codes = np.random.default_rng(5).integers(0, 4, sum(lengths), dtype=np.uint8)
    for start, end in unknown:
        codes[start:end] = DNA.unknown
    names = [f"c{number}" for number in range(len(lengths))]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    table = pd.DataFrame({"contig": names, "length": lengths, "offset": offsets})
    return EncodedGenome("toy", codes, table)


def whole_scores(bundle, codes, index):
    """Score windows with the network itself."""
    x = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 5)[..., :4].float()
    with torch.inference_mode():
        return log_odds(bundle.network(x.transpose(1, 2)), bundle.labels)[..., index].numpy()


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), MODELS)
@pytest.mark.parametrize("members", [1, 2])
def test_effects_are_those_of_whole_windows(model, labels, reverse_complement, members, one_thread):
    bundle = make_bundle(model, labels, reverse_complement, members)
    architecture = bundle.architecture
    length = architecture.stride + 2 * architecture.context
    generator = np.random.default_rng(0)
    index, anchor = middle_bin(architecture)
    codes = generator.integers(0, 4, (3, length), dtype=np.uint8)
    backgrounds = Backgrounds(codes, index, anchor)
    words = [DNA.encode(text).tobytes() for text in ("GATTACA", "CNNG", "T")]
    last = length - 7
    constructs = [
        (Implant(anchor - 3, words[0]),),
        (Implant(0, words[1]), Implant(last, words[0])),
        (Implant(anchor, words[2]),),
        (Implant(anchor + 1, words[1]), Implant(anchor - 6, words[0])),
    ]
    found = Implanter(MutantScorer(bundle), backgrounds).effects(constructs)
    before = whole_scores(bundle, codes, index)
    for row, construct in enumerate(constructs):
        changed = codes.copy()
        for one in construct:
            for step, letter in enumerate(one.word):
                if letter != DNA.unknown:
                    changed[:, one.place + step] = letter
        expected = whole_scores(bundle, changed, index) - before
        scale = np.maximum(1, np.abs(before).max())
        np.testing.assert_allclose(found[row], expected, atol=1e-5 * scale)
    assert np.abs(found).max() > 0


def test_what_overlaps_or_is_not_seen_does_not_fit():
    bundle = make_bundle(*MODELS[0])
    length = bundle.architecture.stride + 2 * bundle.architecture.context
    backgrounds = Backgrounds(np.zeros((1, length), np.uint8), *middle_bin(bundle.architecture))
    implanter = Implanter(MutantScorer(bundle), backgrounds)
    word = DNA.encode("ACGT").tobytes()
    assert implanter.fits((Implant(0, word), Implant(4, word)))
    assert not implanter.fits((Implant(5, word), Implant(2, word)))
    assert not implanter.fits((Implant(-1, word),))
    assert implanter.fits((Implant(length - 4, word),))
    assert not implanter.fits((Implant(length - 3, word),))
    assert implanter.effects([]).shape == (0, 1, 2)


def dinucleotides(codes):
    return Counter(zip(codes[:-1].tolist(), codes[1:].tolist()))


def test_random_backgrounds_are_shuffles_of_known_windows():
    architecture = make_bundle(*MODELS[1]).architecture
    length = architecture.stride + 2 * architecture.context
    # One place of the second contig, and what the unknown bases leave of the first one.
    genome = small_genome((3 * length, length), [(length, 2 * length + 1)])
    found = random_backgrounds(genome, architecture, 6, np.random.default_rng(0))
    assert found.codes.shape == (6, length)
    sources = [dinucleotides(genome.codes[:length]), dinucleotides(genome.codes[-length:])]
    counts = [dinucleotides(codes) for codes in found.codes]
    assert all(count in sources for count in counts)
    assert not any((codes == genome.codes[:length]).all() for codes in found.codes)
    again = random_backgrounds(genome, architecture, 6, np.random.default_rng(0))
    assert (again.codes == found.codes).all()
    assert found.anchor == architecture.context


@pytest.mark.parametrize("lengths", [(50, 20), (400,)])
def test_a_genome_without_known_windows_is_named(lengths):
    architecture = make_bundle(*MODELS[1]).architecture
    genome = small_genome(lengths, [(0, sum(lengths))])
    with pytest.raises(InputError, match="genome toy: 0 windows of"):
        random_backgrounds(genome, architecture, 3, np.random.default_rng(0))


def test_backgrounds_of_sites_leave_out_unknown_bases():
    architecture = make_bundle(*MODELS[1]).architecture
    length = architecture.stride + 2 * architecture.context
    codes = np.random.default_rng(1).integers(0, 4, (3, length), dtype=np.uint8)
    codes[1, 0] = DNA.unknown
    generator = np.random.default_rng(0)
    found = site_backgrounds(codes, DNA.unknown, architecture, 5, generator)
    expected = sorted(map(str, (dinucleotides(codes[row]) for row in (0, 2))))
    kinds = {str(sorted(dinucleotides(one).items())) for one in found.codes}
    assert kinds == {str(sorted(dinucleotides(codes[row]).items())) for row in (0, 2)}
    assert len(expected) == 2 and len(found) == 5
    with pytest.raises(InputError, match="none of 1 sites"):
        site_backgrounds(codes[1:2], DNA.unknown, architecture, 5, generator)


def test_intervals_hold_the_mean_and_cover_as_they_should():
    generator = np.random.default_rng(0)
    values = generator.normal(2.0, 1.0, (400, 30, 1))
    means = mean_with_interval(values)
    np.testing.assert_allclose(means.value, values.mean(1))
    assert ((means.low <= means.value) & (means.value <= means.high)).all()
    covered = ((means.low <= 2) & (means.high >= 2)).mean()
    assert 0.88 < covered < 0.97
    same = mean_with_interval(np.full((1, 5, 2), 3.0))
    assert (same.low == 3).all() and (same.high == 3).all()
