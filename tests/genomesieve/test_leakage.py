import numpy as np
import pandas as pd
import pytest

from genomesieve import leakage
from genomesieve.alphabet import DNA
from genomesieve.genome import EncodedGenome
from genomesieve.leakage import canonical_kmers, shared_fractions

FLIP = str.maketrans("ACGTN", "TGCAN")


def genome(name, *texts):
    lengths = np.array([len(text) for text in texts])
    contigs = pd.DataFrame(
        {
            "contig": [f"c{row}" for row in range(len(texts))],
            "length": lengths,
            "offset": np.cumsum(lengths) - lengths,
        }
    )
    return EncodedGenome(name, DNA.encode("".join(texts)), contigs)


def random_text(generator, length):
    return DNA.decode(generator.integers(0, 4, length, dtype=np.uint8))


def words(text, k):
    """Canonical words of a text, None where one holds an N."""
    found = (text[at : at + k] for at in range(len(text) - k + 1))
    return [None if "N" in word else min(word, word.translate(FLIP)[::-1]) for word in found]


@pytest.mark.parametrize("k", [1, 2, 3, 8, 16, 21, 31])
def test_kmers_are_numbers_of_canonical_words(k):
    text = random_text(np.random.default_rng(k), 400)
    text = text[:100] + "N" + text[101:]
    digits = str.maketrans("ACGT", "0123")
    expected = [-1 if word is None else int(word.translate(digits), 4) for word in words(text, k)]
    assert canonical_kmers(DNA.encode(text), k, DNA).tolist() == expected
    rows = DNA.encode(text).reshape(2, -1) if k < 200 else None
    both = canonical_kmers(rows, k, DNA)
    assert both.shape == (2, 200 - k + 1)
    assert both[0].tolist() == expected[: 200 - k + 1]


@pytest.fixture
def planted():
    """A genome whose sites see copies of training sequence of another genome, on both strands."""
    generator = np.random.default_rng(1)
    train = [random_text(generator, 900), random_text(generator, 700)]
    held_out = list(random_text(generator, 1500))
    held_out[100:200] = train[0][50:150]
    held_out[400:500] = train[1][300:400].translate(FLIP)[::-1]
    held_out[700:760] = train[0][820:880]
    held_out[1000:1100] = train[0][400:500]
    held_out[1040] = "N"
    other = genome("train", *train)
    intervals = pd.DataFrame({"contig": ["c0", "c0", "c1"], "start": [0, 850, 10]})
    intervals["end"] = [800, 900, 700]
    return genome("held", "".join(held_out), "ACGTA"), other, intervals


def naive(held, other, intervals, contig, position, flank, k):
    seen = set()
    for row in intervals.itertuples():
        seen |= set(words(DNA.decode(other.fetch(row.contig, row.start, row.end)), k))
    around = words(DNA.decode(held.fetch(contig, position - flank, position + flank + 1)), k)
    around = [word for word in around if word is not None]
    return sum(word in seen for word in around) / max(len(around), 1), len(around)


@pytest.mark.parametrize("pieces", [(2_000_000, 4_000, 100_000), (37, 3, 7)])
def test_shares_equal_a_search_with_sets(planted, monkeypatch, pieces):
    """Also where training sequence, sites and passes are cut into very small pieces."""
    bases, at_once, a_pass = pieces
    monkeypatch.setattr(leakage, "_BASES_AT_ONCE", bases)
    monkeypatch.setattr(leakage, "_SITES_AT_ONCE", at_once)
    monkeypatch.setattr(leakage, "_SITES_A_PASS", a_pass)
    held, other, intervals = planted
    # Both ends of the contig, every planted copy, one place twice, and a contig shorter than k.
    positions = [0, 150, 150, 450, 730, 1040, 1060, 1200, 1499]
    names = ["c0"] * len(positions) + ["c1"]
    positions = np.array([*positions, 2])
    shared, kmers = shared_fractions(held, names, positions, [(other, intervals)], 40, 15)
    expected = [
        naive(held, other, intervals, name, position, 40, 15)
        for name, position in zip(names, positions.tolist())
    ]
    assert shared == pytest.approx([share for share, _ in expected])
    assert kmers.tolist() == [count for _, count in expected]
    assert shared[1] == shared[3] == 1.0
    assert shared[-1] == 0 and kmers[-1] == 0


def test_training_genomes_add_up(planted):
    held, other, intervals = planted
    parts = [(other, intervals.iloc[:2]), (other, intervals.iloc[2:])]
    one, _ = shared_fractions(held, ["c0"] * 2, np.array([150, 450]), parts[:1], 40, 15)
    both, _ = shared_fractions(held, ["c0"] * 2, np.array([150, 450]), parts, 40, 15)
    assert one.tolist() == [1.0, 0.0] and both.tolist() == [1.0, 1.0]


def test_no_sites_and_no_training_sequence(planted):
    held, other, intervals = planted
    shared, kmers = shared_fractions(held, [], np.array([], int), [(other, intervals)], 40, 15)
    assert len(shared) == len(kmers) == 0
    shared, _ = shared_fractions(held, ["c0"], np.array([150]), [(other, intervals[:0])], 40, 15)
    assert shared.tolist() == [0.0]
