"""Where motifs stand, against enumeration of all words and Biopython's scan."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.attributed_sites import AttributedSites
from genomesieve.found_motifs import FoundMotif
from genomesieve.motif_hits import (
    P_VALUE,
    find_hits,
    letter_frequencies,
    locate,
    make_scoring,
    score_tail,
    score_windows,
)
from motif_sites import frequencies

BACKGROUND = np.array([0.3, 0.2, 0.15, 0.35])
WORD = "GATTACCC"


def motif(word=WORD, offset=None, name="m", kind="a"):
    counts = 100 * frequencies(word)
    return FoundMotif(name, "modisco", kind, "+", counts, counts, 100, offset)


def attributed(codes, strand="."):
    """Sites of class a whose bases contribute their position."""
    count, length = codes.shape
    values = np.broadcast_to(np.arange(length, dtype=np.float32)[None, :, None], (*codes.shape, 4))
    table = pd.DataFrame({"strand": [strand] * count})
    return AttributedSites(
        np.arange(length) - 5, "ACGT", codes, values, np.array(["a"] * count), table
    )


def test_p_values_are_those_of_all_words():
    matrix = np.random.default_rng(1).integers(-300, 200, (4, 6))
    words = np.array(list(itertools.product(range(4), repeat=6)))
    scores = matrix[words, np.arange(6)].sum(1)
    chances = BACKGROUND[words].prod(1)
    tail, lowest = score_tail(matrix, BACKGROUND)
    assert lowest == scores.min() and len(tail) == np.ptp(scores) + 1
    for score in (scores.min(), -100, 0, 333, scores.max()):
        assert tail[score - lowest] == pytest.approx(chances[scores >= score].sum(), rel=1e-9)
    np.testing.assert_array_equal(score_windows(words.astype(np.uint8), matrix)[:, 0], scores)


def test_hits_are_those_of_biopython():
    """Same places on both strands, and the same log-odds to the rounding of half a column."""
    matrices = pytest.importorskip("Bio.motifs.matrix")
    seq = pytest.importorskip("Bio.Seq")
    generator = np.random.default_rng(2)
    codes = generator.choice(4, (3, 4000), p=BACKGROUND).astype(np.uint8)
    for row, place in enumerate((100, 200, 300)):
        codes[row, place : place + 8] = DNA.encode(WORD)
    one = motif()
    scoring = make_scoring(one, BACKGROUND)
    least = scoring.least / 100
    assert scoring.tail[scoring.least - scoring.lowest] <= P_VALUE
    assert scoring.tail[scoring.least - scoring.lowest - 1] > P_VALUE
    found = find_hits(one, scoring, codes, np.arange(4000))
    letters = dict(zip("ACGT", one.frequencies()))
    matrix = matrices.FrequencyPositionMatrix("ACGT", letters)
    odds = matrix.normalize().log_odds(dict(zip("ACGT", BACKGROUND)))
    expected, mine = set(), set(zip(found["row"], found["start"], found["strand"]))
    for row, line in enumerate(codes):
        text = seq.Seq("".join("ACGT"[code] for code in line))
        for position, score in odds.search(text, threshold=least - 0.1, both=True):
            place = (row, int(position) % 4000, "-" if position < 0 else "+")
            if abs(score - least) > 0.05:
                assert (place in mine) == (score > least)
            expected.add(place)
    assert mine <= expected and len(mine) >= 3
    assert {(0, 100, "+"), (1, 200, "+"), (2, 300, "+")} <= mine


def test_a_short_motif_stands_only_where_its_best_word_does():
    codes = DNA.encode("CCGTAACCGTTACC")[None]
    one = motif("GTAA")
    scoring = make_scoring(one, np.full(4, 0.25))
    assert scoring.tail[-1] > P_VALUE
    found = find_hits(one, scoring, codes, np.arange(14))
    assert list(zip(found["start"], found["strand"])) == [(2, "+"), (9, "-")]


def test_a_fixed_motif_stands_at_its_own_place_or_not():
    codes = np.stack([DNA.encode("AAGTAAGTAA"), DNA.encode("AACCAAGTAA")])
    one = motif("GT", offset=-3)
    hits, carried = locate([one], attributed(codes, "+"), copies=50, seed=0)
    assert hits[["site", "offset", "strand"]].to_numpy().tolist() == [[0, -3, "+"]]
    assert carried["carried"][0] == 1 and carried["share"][0] == 0.5


def test_unknown_bases_are_no_hit():
    codes = DNA.encode("AAGATTACCCAA" + "GANTACCC")[None]
    one = motif()
    found = find_hits(one, make_scoring(one, np.full(4, 0.25)), codes, np.arange(20))
    assert found["start"].tolist() == [2]


def test_sites_are_counted_once_and_shuffles_beside_them():
    """Exact places, strands and contributions; carried against shuffled."""
    generator = np.random.default_rng(3)
    codes = generator.integers(0, 4, (40, 60), dtype=np.uint8)
    for row in range(30):
        word = DNA.encode(WORD) if row % 3 else DNA.reverse_complement(DNA.encode(WORD))
        codes[row, 10:18] = word
    codes[0, 30:38] = DNA.encode(WORD)
    sites = attributed(codes)
    other = motif("CCCCCCCC", name="other", kind="b")
    hits, carried = locate([motif(), other], sites, copies=4, seed=1)
    planted = hits[hits["offset"] == 5]
    assert planted["site"].tolist() == list(range(30))
    assert planted["strand"].tolist() == ["+" if row % 3 else "-" for row in range(30)]
    assert planted["contribution"].to_numpy() == pytest.approx(sum(range(10, 18)))
    assert ((hits["site"] == 0) & (hits["offset"] == 25)).sum() == 1
    one = carried.iloc[0]
    assert (one["sites"], one["offset_median"]) == (40, 5.0)
    assert 30 <= one["carried"] == hits["site"].nunique() <= 31
    assert one["share"] == one["carried"] / 40 and one["shuffled_share"] < 0.1
    assert one["own_strand_share"] == pytest.approx(20 / 30, abs=0.05)
    assert carried["sites"][1] == carried["carried"][1] == 0 and np.isnan(carried["share"][1])
    again = locate([motif(), other], sites, copies=4, seed=1)
    pd.testing.assert_frame_equal(again[0], hits)


def test_letters_are_counted_on_both_strands_where_these_are_alike():
    codes = DNA.encode("AAAAAAAAAAACCN" * 50)[None]
    one = letter_frequencies(codes, 4, both_strands=False)
    assert one == pytest.approx([11 / 13, 2 / 13, 0, 0], abs=0.005)
    both = letter_frequencies(codes, 4, both_strands=True)
    assert both == pytest.approx([11 / 26, 1 / 13, 1 / 13, 11 / 26], abs=0.005)
