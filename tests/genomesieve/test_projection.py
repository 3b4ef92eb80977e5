"""Directions taken out of states, by hand and in a running network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from attributed_models import make_bundle
from genomesieve.hidden_states import StateReader, list_layers
from genomesieve.projection import (
    erase,
    project_out,
    random_erasure,
    random_projection,
    with_removal,
)


def states_of(count=500, units=6, seed=0):
    """Correlated states, the last unit a copy of the first, so that the covariance is singular."""
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(count, units)) @ generator.normal(size=(units, units)) + 3
    return np.concatenate([states, states[:, :1]], axis=1)


def test_a_direction_is_set_to_its_mean_and_the_rest_stays():
    states = states_of()
    direction = np.array([3.0, 4.0, 0, 0, 0, 0, 0])
    removal = project_out(direction[:, None], states.mean(axis=0))
    found = removal.apply(states)
    unit = direction / 5
    np.testing.assert_allclose(found @ unit, states.mean(axis=0) @ unit)
    other = np.array([4.0, -3.0, 1, 2, 0, 0, 7])
    np.testing.assert_allclose(found @ other, states @ other)
    expected = states - np.outer((states - states.mean(axis=0)) @ unit, unit)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(removal.apply(found), found)


def test_several_directions_are_a_basis_of_what_they_span():
    directions = np.array([[1.0, 2, 3], [0, 0, 0], [1, 2, 0], [0, 0, 0]])
    removal = project_out(directions, np.zeros(4))
    assert removal.directions == 2
    found = removal.apply(np.random.default_rng(0).normal(size=(9, 4)))
    np.testing.assert_allclose(found[:, [0, 2]], 0, atol=1e-12)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_after_an_erasure_no_linear_probe_reads_the_property(classes):
    states = states_of()
    generator = np.random.default_rng(1)
    values = states[:, 0] - states[:, 3] + generator.normal(size=len(states))
    if classes:
        values = np.digitize(values, np.quantile(values, np.arange(1, classes) / classes))
    labels = (values[:, None] == np.arange(classes)).astype(float) if classes else values[:, None]
    removal = erase(states, labels)
    assert removal.directions == max(1, classes - 1)
    found = removal.apply(states)
    np.testing.assert_allclose(found.mean(axis=0), states.mean(axis=0))
    np.testing.assert_allclose(removal.apply(found), found, atol=1e-8)
    if classes:
        model = LogisticRegression(C=1e6, max_iter=1000)
        share = np.bincount(values).max() / len(values)
        assert model.fit(states, values).score(states, values) > share + 0.1
        probabilities = model.fit(found, values).predict_proba(found)
        np.testing.assert_allclose(probabilities.std(axis=0), 0, atol=1e-3)
    else:
        assert LinearRegression().fit(states, values).score(states, values) > 0.5
        assert LinearRegression().fit(found, values).score(found, values) < 1e-9
    # One direction of a probe does not promise that much.
    probe = LinearRegression().fit(states, values).coef_
    left = project_out(probe[:, None], states.mean(axis=0)).apply(states)
    assert LinearRegression().fit(left, values).score(left, values) > 1e-3


def test_an_erasure_changes_less_than_any_other_removal_as_thorough():
    states = states_of()[:, :6]
    values = states[:, 0] + np.random.default_rng(2).normal(size=len(states))
    least = ((erase(states, values[:, None]).apply(states) - states) ** 2).sum()
    shared = np.cov(np.column_stack([states, values]).T)[:6, 6]
    # The orthogonal projection of the covariance also leaves none.
    other = project_out(shared[:, None], states.mean(axis=0)).apply(states)
    assert LinearRegression().fit(other, values).score(other, values) < 1e-9
    assert least < ((other - states) ** 2).sum()


def test_random_removals_follow_from_their_seeds():
    states = states_of()
    centre = states.mean(axis=0)
    for make in (
        lambda seed: random_projection(7, 2, centre, [seed]),
        lambda seed: random_erasure(states, 2, [seed]),
    ):
        assert make(1).directions == 2
        np.testing.assert_array_equal(make(1).apply(states), make(1).apply(states))
        assert not np.allclose(make(1).apply(states), make(2).apply(states))
        once = make(1).apply(states)
        np.testing.assert_allclose(make(1).apply(once), once, atol=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        {"preset": "dilated", "channels": 8, "dilations": [1, 4]},
        {"preset": "motif_cnn", "channels": 8, "shortcut": True},
        {"preset": "gru", "channels": 8, "window": 100, "reach": 5},
        {"preset": "transformer", "window": 100, "reach": 5},
    ],
)
def test_a_running_network_has_states_without_the_direction(model):
    bundle = make_bundle(model)
    architecture = bundle.architecture
    generator = np.random.default_rng(0)
    width = architecture.stride + 2 * architecture.context
    x = torch.eye(4)[torch.from_numpy(generator.integers(0, 4, (5, width)))].transpose(1, 2)
    bins = torch.zeros(5, 1, dtype=torch.int64)
    layers = list_layers(bundle.network, architecture)
    count = architecture.stride // architecture.resolution
    plain = StateReader(bundle.network, layers, architecture.resolution).read(x, bins, count)
    for layer in layers:
        centre = plain[layer.name].mean(axis=0).astype(float)
        removal = random_projection(len(centre), 2, centre, [1])
        network = with_removal(bundle.network, layer.path, removal)
        found = StateReader(network, layers, architecture.resolution).read(x, bins, count)
        expected = removal.apply(plain[layer.name])
        np.testing.assert_allclose(found[layer.name], expected, atol=2e-4)
        with torch.no_grad():
            assert not torch.equal(network(x), bundle.network(x))
    again = StateReader(bundle.network, layers, architecture.resolution).read(x, bins, count)
    for name, value in again.items():
        np.testing.assert_array_equal(value, plain[name])
