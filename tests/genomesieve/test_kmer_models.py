"""K-mer models against brute force, and what they make of hidden neighbours."""

import math
from itertools import product

import numpy as np
import pytest

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.kmer_models import KmerModel, WordCounts, fit_model, fit_thetas, shapes_of


def complement(text):
    return text.translate(str.maketrans("ACGTN", "TGCAN"))[::-1]


def words_of(text, width):
    """All words of both strands without an unknown base, in plain Python."""
    return [
        strand[at : at + width]
        for strand in (text, complement(text))
        for at in range(len(strand) - width + 1)
        if "N" not in strand[at : at + width]
    ]


def brute_probability(words, left, context, base, thetas):
    """The interpolated probability, by the definition, from a list of words.

    `context` is (left bases, right bases); shapes grow by turns, left first.
    """
    before, after = context
    steps, a, b = [(0, 0)], 0, 0
    while (a, b) != (len(before), len(after)):
        if (a <= b and a < len(before)) or b == len(after):
            a += 1
        else:
            b += 1
        steps.append((a, b))
    probability = 0.25
    for a, b in steps:
        near = before[len(before) - a :]
        fitting = [
            word[left]
            for word in words
            if word[left - a : left] == near and word[left + 1 : left + 1 + b] == after[:b]
        ]
        theta = thetas[a, b]
        probability = (fitting.count(base) + theta * probability) / (len(fitting) + theta)
    return probability


@pytest.fixture(scope="module")
def text():
    letters = np.random.default_rng(3).choice(list("ACGT"), 300, p=[0.4, 0.1, 0.2, 0.3])
    letters[100:104] = "N"
    return "".join(letters)


def model_of(text, left, right):
    counts = WordCounts(left, right)
    counts.add(DNA.encode(text))
    thetas = {shape: 1.5 + sum(shape) for shape in shapes_of(counts)}
    return KmerModel(counts, thetas), thetas


@pytest.mark.parametrize(("left", "right"), [(2, 2), (3, 0), (0, 0)])
def test_perplexity_equals_brute_force(text, left, right):
    """Perplexity of hidden bases, some of whose neighbours are hidden or unknown too."""
    model, thetas = model_of(text, left, right)
    other = "".join(np.random.default_rng(4).choice(list("ACGT"), 60))
    hidden = [7, 8, 20, 22, 30, 31, 32, 58]
    seen = "".join("N" if at in hidden else base for at, base in enumerate(other))
    padded = "N" * left + seen + "N" * right
    flanks = np.stack([DNA.encode(padded[at : at + left + 1 + right]) for at in hidden])
    letters = DNA.encode("".join(other[at] for at in hidden)).astype(int)
    found = model.probabilities(flanks, letters, [(left, right)])[0]
    words, expected = words_of(text, left + 1 + right), []
    for at in hidden:
        before = seen[max(0, at - left) : at].rpartition("N")[2]
        after = seen[at + 1 : at + 1 + right].partition("N")[0]
        expected.append(brute_probability(words, left, (before, after), other[at], thetas))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    perplexity = math.exp(-sum(map(math.log, expected)) / len(expected))
    assert np.exp(-np.log(found).mean()) == pytest.approx(perplexity, rel=1e-12)


def test_smaller_models_are_those_of_fewer_bases(text):
    """A model of k bases inside of a larger one is the one that sees no more than k."""
    model, _ = model_of(text, 3, 3)
    flanks = DNA.encode("".join(np.random.default_rng(5).choice(list("ACGT"), 7 * 50)))
    flanks = flanks.reshape(50, 7)
    letters = flanks[:, 3].astype(int)
    sizes = [(0, 0), (1, 1), (2, 2)]
    found = model.probabilities(flanks, letters, sizes)
    for (k, _), values in zip(sizes, found):
        less = flanks.copy()
        less[:, : 3 - k], less[:, 4 + k :] = DNA.unknown, DNA.unknown
        np.testing.assert_array_equal(model.probabilities(less, letters, [(3, 3)])[0], values)


def test_probabilities_of_the_letters_add_up_to_one(text):
    model, _ = model_of(text, 2, 2)
    contexts = np.array(list(product(range(5), repeat=4)), dtype=np.uint8)
    flanks = np.insert(contexts, 2, DNA.unknown, axis=1)
    total = sum(
        model.probabilities(flanks, np.full(len(flanks), base), [(2, 2)])[0] for base in range(4)
    )
    np.testing.assert_allclose(total, 1)


def test_counts_do_not_depend_on_how_they_are_cut(text, monkeypatch):
    whole = WordCounts(2, 1)
    whole.add(DNA.encode(text))
    monkeypatch.setattr("genomesieve.kmer_models._BASES_AT_ONCE", 7)
    pieces = WordCounts(2, 1)
    pieces.add(DNA.encode(text))
    np.testing.assert_array_equal(whole.counts, pieces.counts)
    assert whole.counts.sum() == len(words_of(text, 4)) / 2


def test_weight_of_the_smaller_context_is_the_likeliest(text):
    """On independent letters larger contexts tell nothing; on a repeat they tell all."""
    generator = np.random.default_rng(6)
    for codes, low, high in (
        (generator.integers(0, 4, 40_000, dtype=np.uint8), 1000, np.inf),
        (np.tile(generator.permutation(40) % 4, 500).astype(np.uint8), 0, 0.3),
    ):
        counts = WordCounts(4, 0)
        counts.add(codes[:-5000])
        words = np.lib.stride_tricks.sliding_window_view(codes[-5000:], 5)
        assert low <= fit_thetas(counts, words)[4, 0] <= high


def test_fitted_model_counts_every_word_once(text):
    codes = DNA.encode(text * 20)
    model = fit_model([codes[:3000], codes[3000:]], 1, 1)
    counted = model.tables[1, 1].sum()
    assert counted == len(words_of(text * 10, 3)) * 2


def test_nothing_to_count_is_an_error():
    with pytest.raises(InputError, match="no 5 in a row"):
        fit_model([np.full(1000, 4, dtype=np.uint8)], 2, 2)
