"""Attention maps, and attention that is changed, of networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attributed_models import make_bundle, random_windows
from genomesieve.attention_maps import (
    altered,
    altered_scores,
    attention_layers,
    make_uniform,
    map_attention,
    shuffle_weights,
    sizes_at,
)
from genomesieve.gradients import Gradients

SETTINGS = {"preset": "transformer", "channels": 8, "heads": 2, "window": 100, "reach": 5}
KINDS = [
    (positions, reverse_complement)
    for positions in ("relative", "rotary")
    for reverse_complement in ("augment", "average", "equivariant")
]


def make(positions="relative", reverse_complement="augment", members=1):
    model = SETTINGS | {"positions": positions}
    bundle = make_bundle(model, reverse_complement=reverse_complement, members=members)
    return bundle, random_windows(bundle.architecture)


@pytest.mark.parametrize(("positions", "reverse_complement"), KINDS)
def test_given_weights_are_those_of_the_fused_kernel(positions, reverse_complement, one_thread):
    """Mixing with the weights that a layer states changes nothing."""
    bundle, windows = make(positions, reverse_complement)
    engine = Gradients(bundle, 0)
    x = engine.letters(windows.seen)
    with torch.no_grad():
        expected = engine.scores(x, windows.bins)
        with altered(attention_layers(engine.network), lambda weights: weights):
            found = engine.scores(x, windows.bins)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("members", [1, 2])
def test_weights_of_a_bin_sum_to_one(members):
    bundle, windows = make(members=members)
    maps = map_attention(Gradients(bundle, 0), windows, bundle.architecture.settings, members)
    layers = bundle.architecture.settings.layers
    assert maps.heads.shape[:3] == (len(windows), layers * members, 2)
    assert maps.rollout.shape == maps.offsets.shape == (len(windows), maps.heads.shape[3])
    np.testing.assert_allclose(maps.heads.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(maps.rollout.sum(-1), 1, atol=1e-5)
    # Uniform attention: the bin's own positions weigh more, all others the same.
    for row in maps.residual:
        assert len(np.unique(row.round(5))) == 2 and row.sum() == pytest.approx(1, abs=1e-5)


def test_rollout_of_one_layer_is_half_itself_half_attention():
    bundle = make_bundle(SETTINGS | {"layers": 1})
    windows = random_windows(bundle.architecture)
    settings = bundle.architecture.settings
    maps = map_attention(Gradients(bundle, 0), windows, settings)
    rest = maps.rollout - maps.heads[:, 0].mean(1) / 2
    span = settings.span + 2 * settings.margin
    for row, index in enumerate(windows.bins):
        first = settings.reach + index * settings.span - settings.margin
        expected = np.zeros(rest.shape[1])
        expected[first : first + span] = 0.5 / span
        np.testing.assert_allclose(rest[row], expected, atol=1e-6)


def test_offsets_tell_what_a_position_sees():
    """A base in the middle of what the trunk's position sees changes it; far bases do not."""
    bundle, windows = make()
    engine = Gradients(bundle, 0)
    maps = map_attention(engine, windows, bundle.architecture.settings)
    stem = engine.network.stem
    row, place = 1, 3
    codes = windows.seen[row : row + 1].copy()
    base = int(maps.offsets[row, place] + windows.anchors[row])

    def features(sequence):
        with torch.no_grad():
            return stem(engine.letters(sequence).unsqueeze(2))[0, :, 0, place]

    def moved(position):
        changed = codes.copy()
        changed[0, position] = (changed[0, position] + 2) % 4
        return not torch.equal(features(changed), features(codes))

    seen = [position for position in range(codes.shape[1]) if moved(position)]
    assert any(position in seen for position in range(base, base + maps.stride))
    middle = (min(seen) + max(seen)) / 2
    # Unused edges of a random network's filters may hide a base or two.
    assert abs(middle - (base + (maps.stride - 1) / 2)) <= maps.stride / 2 + 1
    assert (np.diff(maps.offsets, axis=1) == maps.stride).all()


def test_changes_act_on_attention_alone():
    bundle, windows = make()
    engine = Gradients(bundle, 0)
    found = altered_scores(engine, windows, draws=2)
    assert set(found) == {"as_it_is", "uniform", "shuffled"}
    with torch.no_grad():
        plain = engine.scores(engine.letters(windows.seen), windows.bins).numpy()
    np.testing.assert_array_equal(found["as_it_is"], plain)
    assert (found["uniform"] != plain).all() and (found["shuffled"] != plain).all()
    again = altered_scores(engine, windows, draws=2)
    assert all((again[name] == found[name]).all() for name in found)
    # The values are the same whatever attention says where they are all alike.
    for layer in attention_layers(engine.network):
        nn.init.zeros_(layer.value.weight)
    still = altered_scores(engine, windows, draws=2)
    np.testing.assert_allclose(still["uniform"], still["as_it_is"], atol=1e-5)
    np.testing.assert_allclose(still["shuffled"], still["as_it_is"], atol=1e-5)


def test_uniform_and_shuffled_weights():
    weights = torch.rand(2, 3, 5, 5).softmax(-1)
    assert torch.equal(make_uniform(weights), torch.full((2, 3, 5, 5), 0.2))
    shuffled = shuffle_weights(torch.Generator().manual_seed(0))(weights)
    assert torch.equal(shuffled.sort(-1).values, weights.sort(-1).values)
    assert (shuffled != weights).any()


def test_sizes_are_means_over_cells():
    contributions = np.array([[1.0, -3, 5, np.nan, 2, -2, 4, 4]])
    found = sizes_at(contributions, np.arange(-2, 6), np.array([[-4, -2, 0, 2, 4, 6]]), 2)
    np.testing.assert_array_equal(found, [[np.nan, 2, np.nan, 2, 4, np.nan]])
