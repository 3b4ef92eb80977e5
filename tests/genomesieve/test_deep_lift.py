"""DeepLIFT/SHAP: it adds up for networks of every kind, and follows its rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attributed_models import MODELS, make_bundle, matrix_bundle, random_windows
from genomesieve.deep_lift import lift_differences
from genomesieve.gradients import Gradients, integrate_gradients, shuffled_references
from genomesieve.networks import log_odds

# Words are counted and a motif's best place is chosen by code that is no layer of torch.
FOLLOWED = [model for model in MODELS if model[0]["preset"] not in ("kmer", "pwm")]
SHORTCUT = (
    {"preset": "motif_cnn", "channels": 8, "shortcut": True}, "independent", "equivariant",
)  # fmt: skip


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), [*FOLLOWED, SHORTCUT])
@pytest.mark.parametrize("members", [1, 2])
def test_contributions_add_up(model, labels, reverse_complement, members, one_thread):
    bundle = make_bundle(model, labels, reverse_complement, members)
    windows = random_windows(bundle.architecture, 2)
    found = lift_differences(Gradients(bundle, 1), windows, references=2)
    scale = np.abs(found.contributions).sum(1)
    assert (scale > 0).all()
    # The mean of members is integrated over their logits, which are tens apart here.
    tolerance = 1e-4 if members == 1 else 1e-3
    assert (np.abs(found.missing) <= tolerance * scale + 1e-6).all()


def test_linear_model_gives_its_matrix_times_the_difference():
    matrix = np.random.default_rng(2).normal(size=(4, 7))
    bundle = matrix_bundle(matrix)
    windows = random_windows(bundle.architecture)
    found = lift_differences(Gradients(bundle, 1), windows, references=3, seed=5)
    first = bundle.architecture.context - 2
    padded = np.pad(matrix, [(0, 0), (0, 1)])
    for number in range(len(windows)):
        shuffled = shuffled_references(windows.seen[number], 3, (5, number))
        seen = windows.seen[number][first : first + 7]
        values = np.where(seen < 4, padded[np.minimum(seen, 3), range(7)], 0)
        before = shuffled[:, first : first + 7]
        others = np.where(before < 4, padded[np.minimum(before, 3), range(7)], 0)
        expected = values - others.mean(0)
        given = found.contributions[number]
        np.testing.assert_allclose(given[first : first + 7], expected, atol=1e-5)
        assert not given[:first].any() and not given[first + 7 :].any()


def test_one_hidden_unit_follows_the_rescale_rule():
    """relu(w x + b) times v: the slope is v times the secant of the relu, whatever the way."""
    bundle = make_bundle(
        {"preset": "motif_cnn", "channels": 4, "stem_kernels": [5], "pooling": "none",
         "resolution": 1, "hidden": 0, "norm": "none"},
    )  # fmt: skip
    windows = random_windows(bundle.architecture, 2)
    engine = Gradients(bundle, 0)
    found = lift_differences(Gradients(bundle, 0), windows, references=1, seed=1)
    stem, head = engine.network.stem[0], engine.network.head
    for number, codes in enumerate(windows.seen):
        before = shuffled_references(codes, 1, (1, number))
        with torch.no_grad():
            x, y = (engine.letters(one.reshape(1, -1)).unsqueeze(2) for one in (codes, before))
            inside, outside = stem(x), stem(y)
            secant = (inside.relu() - outside.relu()) / (inside - outside)
            secant = torch.where(inside == outside, (inside > 0).float(), secant)
            weight = head.weight[0, :, 0, 0][None, :, None, None] * secant
            index = int(windows.bins[number])
            only = torch.zeros_like(weight)
            only[..., index] = weight[..., index]
            slope = torch.nn.functional.conv_transpose2d(only, stem.weight)
            expected = (slope * (x - y)).sum(1)[0, 0].numpy()
        np.testing.assert_allclose(found.contributions[number], expected, atol=1e-5)


def test_references_are_those_of_integrated_gradients():
    bundle = make_bundle({"preset": "dilated", "channels": 4, "dilations": [1]}, "exclusive")
    windows = random_windows(bundle.architecture, 2)
    lifted = lift_differences(Gradients(bundle, 0), windows, 2, seed=3)
    other = integrate_gradients(Gradients(bundle, 0), windows, 2, 4, seed=3)
    np.testing.assert_allclose(lifted.expected, other.expected, atol=1e-6)
    scores = log_odds(bundle.network(Gradients(bundle, 0).letters(windows.seen)), "exclusive")
    assert scores.isfinite().all() and not bundle.network.training
