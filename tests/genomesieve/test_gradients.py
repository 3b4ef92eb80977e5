"""Gradients of models whose answer is known, and shuffles that keep dinucleotides."""

from collections import Counter

import numpy as np
import pytest
import torch

from attributed_models import make_bundle, matrix_bundle, random_windows
from genomesieve.gradients import Gradients, gradient_maps, integrate_gradients
from genomesieve.mutagenesis import SiteWindows
from genomesieve.shuffling import shuffle_dinucleotides


def test_gradient_of_a_linear_model_is_its_matrix():
    matrix = np.random.default_rng(2).normal(size=(4, 7))
    bundle = matrix_bundle(matrix)
    windows = random_windows(bundle.architecture)
    first = bundle.architecture.context - 2
    found = gradient_maps(Gradients(bundle, 1), windows)
    expected = np.zeros_like(found)
    expected[:, first : first + 7] = matrix.T
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_integrated_gradients_of_a_linear_model_are_exact_in_one_step():
    matrix = np.random.default_rng(2).normal(size=(4, 7))
    bundle = matrix_bundle(matrix)
    windows = random_windows(bundle.architecture)
    found = integrate_gradients(Gradients(bundle, 1), windows, references=3, steps=1)
    np.testing.assert_allclose(found.missing, 0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "reverse_complement"),
    [
        ({"preset": "dilated", "channels": 8, "dilations": [1, 2]}, "augment"),
        ({"preset": "motif_cnn", "channels": 8}, "average"),
        ({"preset": "gru", "channels": 8, "window": 100, "reach": 5}, "equivariant"),
    ],
)
def test_integrated_gradients_add_up(model, reverse_complement, one_thread):
    bundle = make_bundle(model, reverse_complement=reverse_complement)
    windows = random_windows(bundle.architecture, 2)
    engine = Gradients(bundle, 0)
    coarse, fine = (integrate_gradients(engine, windows, 2, steps) for steps in (2, 200))
    scale = np.abs(fine.contributions).sum(1)
    assert (np.abs(fine.missing) <= 0.01 * scale + 1e-4).all()
    assert np.abs(fine.missing).sum() < np.abs(coarse.missing).sum()


def test_references_follow_from_the_seed():
    bundle = make_bundle({"preset": "dilated", "channels": 4, "dilations": [1]})
    windows = random_windows(bundle.architecture, 2)
    engine = Gradients(bundle, 0)
    one, same, other = (integrate_gradients(engine, windows, 2, 4, seed) for seed in (1, 1, 2))
    assert (one.contributions == same.contributions).all()
    assert (one.contributions != other.contributions).any()


def test_network_itself_is_left_as_it_is():
    bundle = make_bundle({"preset": "gru", "channels": 8, "window": 100, "reach": 5})
    Gradients(bundle, 0)
    assert not bundle.network.training
    assert all(not layer.training for layer in bundle.network.modules())
    assert all(weight.requires_grad for weight in bundle.network.parameters())


@pytest.mark.parametrize("length", [1, 2, 3, 10, 500])
@pytest.mark.parametrize("letters", [1, 2, 5])
def test_shuffle_keeps_every_dinucleotide(length, letters):
    generator = np.random.default_rng(length + letters)
    codes = generator.integers(0, letters, length, dtype=np.uint8)
    shuffled = shuffle_dinucleotides(codes, generator)

    def pairs(sequence):
        return Counter(zip(sequence[:-1].tolist(), sequence[1:].tolist()))

    assert pairs(shuffled) == pairs(codes)
    assert (shuffled[0], shuffled[-1]) == (codes[0], codes[-1])
    if length == 500 and letters > 1:
        assert (shuffled != codes).mean() > 0.3


def test_shuffles_are_drawn_evenly():
    """All sequences with the counts of one, found by trying, come up about equally often."""
    codes = np.array([0, 1, 0, 2, 1, 0, 1, 2], dtype=np.uint8)
    pairs = sorted(zip(codes[:-1], codes[1:]))
    every = [
        numbers
        for numbers in np.ndindex(*(3,) * 8)
        if sorted(zip(numbers[:-1], numbers[1:])) == pairs and numbers[0] == 0
    ]
    generator = np.random.default_rng(0)
    drawn = Counter(tuple(map(int, shuffle_dinucleotides(codes, generator))) for _ in range(6000))
    assert set(drawn) == set(every)
    expected = 6000 / len(every)
    # Five standard deviations of a count.
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())


def test_windows_may_be_taken_apart():
    windows = random_windows(make_bundle({"preset": "dilated", "channels": 4}).architecture, 4)
    part = windows.take(slice(1, 3))
    assert isinstance(part, SiteWindows) and len(part) == 2
    assert torch.equal(torch.from_numpy(part.codes), torch.from_numpy(windows.codes[1:3]))
