"""Distances between sequences against brute-force counting, scipy, and known rates of mutation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from genomesieve.genome import EncodedGenome
from genomesieve.kmer_distance import (
    bases_of,
    choose_scale,
    compose,
    containment,
    cut_pieces,
    identity_of,
    jensen_shannon_divergence,
    make_sketch,
    mash_distance,
)

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def stretches(codes: np.ndarray, *spans: tuple[int, int]) -> list:
    """Return spans (all by default) of a genome of one contig."""
    contigs = pd.DataFrame({"contig": ["a"], "length": [len(codes)], "offset": [0]})
    rows = [("a", *span) for span in spans or ((0, len(codes)),)]
    table = pd.DataFrame(rows, columns=["contig", "start", "end"])
    return [(EncodedGenome("toy", codes, contigs), table)]


def random_codes(seed: int, length: int, gc: float = 0.5) -> np.ndarray:
    """Draw a sequence without unknown bases."""
    chance = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, length, p=chance).astype(np.uint8)


def mutate(codes: np.ndarray, rate: float, seed: int = 9) -> np.ndarray:
    """Exchange a share of the bases, each for another one."""
    generator = np.random.default_rng(seed)
    hit = generator.random(len(codes)) < rate
    return np.where(hit, (codes + generator.integers(1, 4, len(codes))) % 4, codes).astype(np.uint8)


def brute_force(text: str, k: int) -> Counter:
    """Count canonical k-mers as text."""
    words = (text[i : i + k] for i in range(len(text) - k + 1))
    return Counter(min(word, word.translate(COMPLEMENT)[::-1]) for word in words if "N" not in word)


def test_divergence_is_that_of_scipy_on_counted_words():
    one, other = random_codes(1, 6000), random_codes(2, 5000, gc=0.7)
    one[[70, 71, 3000]] = 4
    counts = [brute_force("".join("ACGTN"[c] for c in codes), 6) for codes in (one, other)]
    words = sorted(set(counts[0]) | set(counts[1]))
    vectors = [np.array([count[word] for word in words]) for count in counts]
    found = [compose(stretches(codes)) for codes in (one, other)]
    assert sorted(found[0].kmers[found[0].kmers > 0]) == sorted(counts[0].values())
    divergence = jensen_shannon_divergence(found[0].kmers, found[1].kmers)
    assert divergence == pytest.approx(jensenshannon(*vectors, base=2) ** 2, rel=1e-9)
    assert divergence > 0.01
    assert jensen_shannon_divergence(found[0].kmers, found[0].kmers) == 0
    assert jensen_shannon_divergence(np.array([1, 0]), np.array([0, 5])) == 1
    assert np.isnan(jensen_shannon_divergence(np.zeros(3), np.ones(3)))
    assert found[0].unknown == 3 / 6000
    assert found[1].gc == pytest.approx(np.isin(other, [1, 2]).mean())


def test_a_strand_and_its_complement_are_one():
    codes = random_codes(4, 9000)
    reverse = (3 - codes)[::-1].copy()
    assert (compose(stretches(codes)).kmers == compose(stretches(reverse)).kmers).all()
    sketches = [make_sketch(stretches(one), 3) for one in (codes, reverse)]
    assert mash_distance(*sketches) == 0


@pytest.mark.parametrize("scale", [1, 20])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05])
def test_sketches_tell_the_rate_of_mutation(scale, rate):
    codes = random_codes(5, 400_000)
    one, other = (make_sketch(stretches(item), scale) for item in (codes, mutate(codes, rate)))
    share = containment(one, other)
    if rate == 0:
        assert (mash_distance(one, other), share) == (0, 1)
    assert mash_distance(one, other) == pytest.approx(rate, abs=0.003)
    assert 1 - identity_of(share) == pytest.approx(rate, abs=0.003)


def test_sketch_is_a_sample_of_all_words():
    codes = random_codes(6, 100_000)
    every, some = make_sketch(stretches(codes), 1), make_sketch(stretches(codes), 50)
    text = "".join("ACGT"[c] for c in codes)
    assert len(every) == len(brute_force(text, 21))
    assert set(some) <= set(every)
    assert len(some) == pytest.approx(len(every) / 50, rel=0.15)


def test_unrelated_and_empty_sequences():
    one, other = (make_sketch(stretches(random_codes(seed, 50_000)), 1) for seed in (7, 8))
    assert (mash_distance(one, other), containment(one, other)) == (1, 0)
    nothing = make_sketch(stretches(np.full(100, 4, np.uint8)), 1)
    assert len(nothing) == 0 and np.isnan(containment(nothing, one))
    assert mash_distance(nothing, one) == 1 and np.isnan(mash_distance(nothing, nothing))


def test_part_of_a_genome_is_contained_in_it():
    codes = random_codes(10, 300_000)
    whole, part = stretches(codes), stretches(codes, (1000, 31_000))
    scale = choose_scale(whole, part)
    sketches = [make_sketch(one, scale) for one in (part, whole)]
    assert containment(*sketches) == 1
    assert containment(*sketches[::-1]) == pytest.approx(0.1, abs=0.01)


def test_pieces_have_one_length_and_lie_inside():
    codes = np.arange(1000, dtype=np.uint8) % 4
    source = stretches(codes, (0, 300), (400, 900))
    pieces = cut_pieces(source, 40, most=5)
    assert [bases_of(piece) for piece in pieces] == [40] * 5
    assert pieces[0][0][1].values.tolist() == [["a", 0, 40]]
    assert pieces[-1][0][1].values.tolist() == [["a", 860, 900]]
    # The second begins at base 190 of 800 laid end to end, the third, 380, lies in the second span.
    assert pieces[2][0][1].values.tolist() == [["a", 480, 520]]
    halves = cut_pieces(source, 5000)
    assert [bases_of(piece) for piece in halves] == [400, 400]
    assert halves[0][0][1].values.tolist() == [["a", 0, 300], ["a", 400, 500]]
