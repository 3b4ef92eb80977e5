"""Networks compared as spaces and unit by unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from genomesieve.representation_similarity import (
    best_units,
    compare_states,
    linear_cka,
    match_units,
)


def states_of(units=5, count=300, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, units)) * np.arange(1, units + 1) + generator.normal()


def gram_cka(one, other):
    """CKA by centred Gram matrices, as Kornblith et al. define it (HSIC)."""
    centre = np.eye(len(one)) - 1 / len(one)
    first, second = (centre @ states @ states.T @ centre for states in (one, other))
    return (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())


def test_a_rotation_is_the_same_space_and_other_units():
    states = states_of()
    turned = states @ ortho_group.rvs(5, random_state=1) * 3 + 7
    assert linear_cka(states, turned) == pytest.approx(1)
    assert match_units(states, turned)[1].mean() < 0.95


def test_cka_is_that_of_gram_matrices():
    one, other = states_of(), states_of(units=3, seed=1)
    other[:, 0] += one[:, 4]
    found = linear_cka(one, other)
    assert found == pytest.approx(gram_cka(one, other))
    assert 0.05 < found < 0.95
    assert np.isnan(linear_cka(one, np.ones((300, 2))))


def test_units_are_matched_through_a_permutation_and_signs():
    states = states_of()
    order = np.array([3, 0, 4, 1, 2])
    other = states[:, order] * [1, -2, 3, -1, 0.5] + 1
    partners, correlations = match_units(states, other)
    np.testing.assert_array_equal(order[partners], np.arange(5))
    np.testing.assert_allclose(correlations, 1)
    assert compare_states(states, other)["matched_units"] == pytest.approx(1)


def test_a_unit_has_one_partner_and_may_have_a_better_one():
    states = states_of(units=2)
    other = np.stack([states[:, 0], np.random.default_rng(3).normal(size=300)], axis=1)
    states[:, 1] = states[:, 0]
    assert match_units(states, other)[1].min() < 0.3
    np.testing.assert_allclose(best_units(states, other), 1)


def test_a_unit_that_never_changes_agrees_with_none():
    states = states_of()
    states[:, 2] = 5
    assert match_units(states, states)[1][2] == 0
