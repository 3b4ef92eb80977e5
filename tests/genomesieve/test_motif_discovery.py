"""Seqlets, motifs at one place, and settings that follow bins and flank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.attributed_sites import AttributedSites
from genomesieve.found_motifs import FoundMotif
from genomesieve.motif_discovery import (
    cut_seqlets,
    default_settings,
    discover,
    fixed_motifs,
    without_fixed,
)


def attributed(sequence, contributions):
    """Sites of class a with what the letters that are there contribute."""
    letters = sequence[..., None] == np.arange(4)
    hypothetical = np.where(letters, contributions[..., None], -contributions[..., None] / 3)
    count, length = sequence.shape
    table = pd.DataFrame({"strand": ["+"] * count})
    return AttributedSites(
        np.arange(length) - 20, "ACGT", sequence, hypothetical.astype(np.float32),
        np.array(["a"] * count), table,
    )  # fmt: skip


@pytest.fixture
def splice_like():
    """GT at offset 1, contributing 5 and 4; a weak tract of T at -15 to -8; noise elsewhere."""
    generator = np.random.default_rng(1)
    sequence = generator.integers(0, 4, (60, 41), dtype=np.uint8)
    values = generator.normal(0, 0.1, (60, 41))
    sequence[:, 21:23] = DNA.encode("GT")
    values[:, 21:23] += [5, 4]
    sequence[:, 5:13] = np.where(generator.random((60, 8)) < 0.8, 3, sequence[:, 5:13])
    values[:, 5:13] += 0.5
    return attributed(sequence, values)


def test_what_stands_at_one_place_is_read_off(splice_like):
    settings = default_settings(1, 41)
    tract, donor = fixed_motifs(splice_like, settings)
    assert (donor.offset, donor.consensus(), donor.seqlets) == (1, "GT", 60)
    assert donor.contributions[2, 0] == pytest.approx(5, abs=0.1)
    assert (tract.offset, tract.consensus(), tract.name) == (-15, "T" * 8, "a.fixed_0")
    rest = without_fixed(splice_like.hypothetical, splice_like.positions, [tract, donor])
    assert not rest[:, 21:23].any() and not rest[:, 5:13].any()
    np.testing.assert_array_equal(rest[:, :5], splice_like.hypothetical[:, :5])
    assert splice_like.hypothetical[:, 21:23].any()


def test_too_few_or_uncertain_sites_have_nothing_at_one_place(splice_like):
    settings = default_settings(1, 41)
    assert fixed_motifs(splice_like, replace(settings, fewest=61)) == []
    noise = np.random.default_rng(2).normal(0, 1, (60, 41))
    found = fixed_motifs(attributed(splice_like.sequence, noise - noise.mean(0)), settings)
    assert found == []


def test_seqlets_are_where_contributions_are_gathered():
    """Each planted window is cut exactly once; evenly spread contributions give none."""
    generator = np.random.default_rng(3)
    scores = generator.normal(0, 0.05, (50, 80))
    places = generator.integers(5, 60, 50)
    for row, place in enumerate(places):
        scores[row, place : place + 10] += 1
    found = cut_seqlets(scores, 10, 15, 0.05)
    assert sorted(row for row, _ in found) == list(range(50))
    starts = np.array([start for _, start in sorted(found)])
    assert (np.abs(starts - places) <= 1).all()
    assert cut_seqlets(np.ones((50, 80)), 10, 15, 0.05) == []
    assert len(cut_seqlets(-scores, 10, 15, 0.05)) <= 2
    assert cut_seqlets(scores, 10, 15, 0.05) == found


def test_two_windows_of_a_site_are_both_cut_and_keep_their_distance():
    scores = np.full((30, 100), 0.01)
    scores[:, 10:18] = 1
    scores[:, 60:68] = 2
    found = cut_seqlets(scores, 8, 12, 0.05)
    assert [start for _, start in found] == [60, 10] * 30
    assert [row for row, _ in found[:4]] == [0, 0, 1, 1]


def test_settings_follow_bins_and_flank():
    wide, aligned = default_settings(50, 150), default_settings(1, 101)
    assert (wide.window, wide.seqlet_flank, wide.trim, wide.aligned) == (21, 10, 30, False)
    assert (aligned.window, aligned.seqlet_flank, aligned.aligned) == (9, 4, True)
    narrow = default_settings(1, 9)
    assert narrow.window <= 9 and narrow.seqlet_flank >= 1
    chosen = default_settings(50, 150, window=15, seqlet_flank=None, fewest=7)
    assert (chosen.window, chosen.fewest) == (15, 7) and chosen.seqlet_flank == 7


@pytest.mark.parametrize("positions", [1, 2, 5, 60])
def test_nothing_to_find_is_said_and_no_error(positions):
    sequence = np.random.default_rng(4).integers(0, 5, (30, positions), dtype=np.uint8)
    sites = attributed(sequence, np.zeros((30, positions)))
    found, why = discover(sites, default_settings(1, positions))
    assert found == [] and "0 positions only" in why
    found, why = discover(sites.of_class("b"), default_settings(50, positions))
    assert found == [] and why == "no sites"


CONSENSUS = [
    ([97, 1, 1, 1], "A"),
    ([52, 24, 24, 0], "A"),
    ([50, 45, 5, 0], "M"),
    ([0, 40, 5, 55], "Y"),
    ([30, 30, 30, 10], "N"),
    ([0, 0, 0, 0], "N"),
]


@pytest.mark.parametrize(("column", "code"), CONSENSUS)
def test_consensus_letters(column, code):
    counts = np.array(column, dtype=float)[:, None]
    one = FoundMotif("m", "modisco", "a", "+", counts, counts, 1)
    assert one.consensus() == code
    assert 0 <= one.information() <= 2
