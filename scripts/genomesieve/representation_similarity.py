"""How alike two networks represent the same bins: unit by unit, and as whole spaces.

Two networks from different seeds may hold the same in different units. Centred kernel alignment
(Kornblith et al. 2019) compares what their states span and does not change when one of them is
rotated; matching units one to one finds only what single units hold alike.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def linear_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Return linear CKA of states at the same bins: 1 for a rotation, 0 for nothing in common.

    Parameters
    ----------
    one, other : numpy.ndarray, shape=(N, units), (N, more units)

    Returns
    -------
    float
        |Y'X|^2 / (|X'X| |Y'Y|), Frobenius norms of centred states; NaN where one never changes.
    """
    one, other = (np.asarray(states, np.float64) for states in (one, other))
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    above = np.linalg.norm(other.T @ one) ** 2
    below = np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    return float(above / below) if below else float("nan")


def match_units(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match every unit of one network with a unit of the other, so that correlations are largest.

    Parameters
    ----------
    one, other : numpy.ndarray, shape=(N, units)

    Returns
    -------
    partners : numpy.ndarray, shape=(units,), dtype=int64
        The unit of `other` for every unit of `one`.
    correlations : numpy.ndarray, shape=(units,)
        Absolute correlation of each pair; 0 for a unit that never changes.
    """
    table = np.abs(_correlations(one, other))
    rows, columns = linear_sum_assignment(table, maximize=True)
    return columns.astype(np.int64), table[rows, columns]


def best_units(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the largest absolute correlation of each unit of `one` with any unit of `other`."""
    return np.abs(_correlations(one, other)).max(axis=1)


def compare_states(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return all that similarity.tsv has of a pair of networks at one layer."""
    return {
        "positions": len(one),
        "cka": linear_cka(one, other),
        "matched_units": float(match_units(one, other)[1].mean()),
        "best_units": float(best_units(one, other).mean()),
    }


def _correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of every unit with every unit; 0 where one never changes."""
    first, second = (_standardised(np.asarray(states, np.float64)) for states in (one, other))
    return first.T @ second / len(first)


def _standardised(states: np.ndarray) -> np.ndarray:
    """Return states with mean 0 and deviation 1; those of a unit that never changes are 0."""
    centred = states - states.mean(axis=0)
    spread = centred.std(axis=0)
    flat = spread <= 1e-9 * np.abs(states).max(axis=0, initial=0)
    return np.where(flat, 0, centred / np.where(flat, 1, spread))
