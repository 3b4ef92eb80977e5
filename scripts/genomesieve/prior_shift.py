"""How common sites are in a genome without labels, from its scores alone.

Both estimators rest on one assumption, prior shift (label shift): sites of the new genome score as
those of the calibration genome do, other places too, and only their share differs. Whether scores
look like that is for `genomesieve.mixture_fit` to say. Nothing but numpy is needed.

References
----------
Saerens, Latinne and Decaestecker (2002), Neural Computation 14: expectation maximisation.
Lipton, Wang and Smola (2018), ICML: black-box shift estimation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomesieve.score_counts import ScoreCounts
from genomesieve.scores import decode_scores

_COARSE = 64
_FINE = 16
_MOST_LOG_RATIO = 500.0


@dataclass(frozen=True)
class ScoreGroups:
    """Counts of calibration and target over the same groups of score codes.

    Parameters
    ----------
    lowest : numpy.ndarray, shape=(n,), dtype=int64
        Lowest code of each group, ascending; no threshold lies inside a group.
    scores : numpy.ndarray, shape=(n,)
        Mean log-odds of each group as the network says it.
    sites, others : numpy.ndarray, shape=(calibration blocks, n)
    target : numpy.ndarray, shape=(target blocks, n)
    """

    lowest: np.ndarray
    scores: np.ndarray
    sites: np.ndarray
    others: np.ndarray
    target: np.ndarray


def group_scores(
    calibration: ScoreCounts, codes: np.ndarray, target: np.ndarray, edges: list[int]
) -> ScoreGroups:
    """Pool score codes so that calibration and target can be compared and resampled.

    Parameters
    ----------
    calibration : ScoreCounts
    codes : numpy.ndarray, shape=(m,), dtype=int64
        Codes of the target, ascending.
    target : numpy.ndarray, shape=(blocks, m)
        Bins of the target by block and code.
    edges : list of int
        Ascending. The first is the floor, below which codes are coarse in both; groups begin at
        each of them.

    Returns
    -------
    ScoreGroups
        Groups of 16 codes from the floor up (a 64th of a doubling of the log-odds), of 64 below.
    """
    both = np.concatenate([calibration.codes, codes])
    counts = np.concatenate([(calibration.sites + calibration.others).sum(0), target.sum(0)])
    floor = edges[0]
    lowest = np.where(both < floor, both - both % _COARSE, both - both % _FINE)
    edge = np.concatenate([[0], edges])
    lowest = np.maximum(lowest, edge[np.searchsorted(edge, both, "right") - 1])
    groups, place = np.unique(lowest, return_inverse=True)
    middle = np.where(both < floor, (both + np.minimum(both + _COARSE - 1, floor)) // 2, both)
    weighted = np.bincount(place, decode_scores(middle).astype(np.float64) * counts, len(groups))
    size = np.bincount(place, counts, len(groups))
    split = len(calibration.codes)
    return ScoreGroups(
        groups,
        weighted / np.maximum(size, 1),
        _pool(calibration.sites, place[:split], len(groups)),
        _pool(calibration.others, place[:split], len(groups)),
        _pool(target, place[split:], len(groups)),
    )


def _pool(counts: np.ndarray, place: np.ndarray, groups: int) -> np.ndarray:
    """Add up the columns of each group."""
    result = np.zeros((len(counts), groups))
    np.add.at(result, (slice(None), place), counts)
    return result


def fit_log_odds(
    scores: np.ndarray, sites: np.ndarray, others: np.ndarray, start: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Fit log-odds of a site = slope * score + intercept to many histograms by Newton's method.

    It is what calibration fits, repeated for resampled blocks.

    Parameters
    ----------
    scores : numpy.ndarray, shape=(n,)
    sites, others : numpy.ndarray, shape=(repeats, n)
    start : tuple of float
        Slope and intercept to begin with, near the solution.

    Returns
    -------
    slope, intercept : numpy.ndarray, shape=(repeats,)
        Not finite where there is no solution. A histogram without sites has none.
    """
    slope, intercept = (np.full(len(sites), value, dtype=np.float64) for value in start)
    total = sites + others
    with np.errstate(all="ignore"):
        for _ in range(25):
            probability = _sigmoid(slope[:, None] * scores + intercept[:, None])
            error, weight = sites - total * probability, total * probability * (1 - probability)
            gradient = error @ scores, error.sum(1)
            square, cross, plain = weight @ scores**2, weight @ scores, weight.sum(1)
            determinant = square * plain - cross**2
            steps = (
                (plain * gradient[0] - cross * gradient[1]) / determinant,
                (square * gradient[1] - cross * gradient[0]) / determinant,
            )
            slope, intercept = slope + steps[0], intercept + steps[1]
            if np.nanmax(np.abs(steps), initial=0.0) < 1e-9:
                break
    return slope, intercept


def likelihood_ratio(
    scores: np.ndarray, slope: np.ndarray, intercept: np.ndarray, prevalence: np.ndarray
) -> np.ndarray:
    """Return how much likelier each score is at sites than elsewhere, shape=(repeats, n).

    It is the calibrated odds over the odds of the calibration genome's prevalence.
    """
    prior = np.log(prevalence) - np.log1p(-prevalence)
    log_odds = slope[:, None] * scores + (intercept - prior)[:, None]
    return np.exp(np.clip(log_odds, -_MOST_LOG_RATIO, _MOST_LOG_RATIO))


def expectation_maximisation(
    counts: np.ndarray,
    ratio: np.ndarray,
    start: np.ndarray | float,
    tolerance: float = 1e-8,
    most: int = 5000,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the prevalence that makes the target's scores likeliest (Saerens et al. 2002).

    Each step takes the posterior probabilities at the present prevalence, and their mean is the
    next prevalence. The likelihood has one maximum, so where it starts does not matter.

    Parameters
    ----------
    counts : numpy.ndarray, shape=(repeats, n)
        Bins of the target by score.
    ratio : numpy.ndarray, shape=(repeats, n) or (1, n)
        From `likelihood_ratio`.
    start : float or numpy.ndarray, shape=(repeats,)
        Above 0.
    tolerance : float
        Relative step at which it stops.
    most : int
        Steps after which it gives up.

    Returns
    -------
    prevalence : numpy.ndarray, shape=(repeats,)
    converged : numpy.ndarray, shape=(repeats,), dtype=bool
        Also true at the lower bound: less than half a site among all bins.
    """
    total = counts.sum(1)
    prevalence = np.broadcast_to(np.asarray(start, dtype=np.float64), total.shape).copy()
    converged = np.zeros(len(total), dtype=bool)
    for _ in range(most):
        odds = prevalence[:, None] * ratio
        posterior = odds / (odds + (1 - prevalence)[:, None])
        new = np.einsum("ij,ij->i", counts, posterior) / np.maximum(total, 1)
        at_bound = (new * total < 0.5) & (new <= prevalence)
        converged = (np.abs(new - prevalence) <= tolerance * new) | at_bound
        prevalence = new
        if converged.all():
            break
    return prevalence, converged


def black_box_shift(
    called: np.ndarray, sensitivity: np.ndarray, fall_out: np.ndarray
) -> np.ndarray:
    """Estimate the prevalence from how many bins are called (Lipton et al. 2018, one class).

    Parameters
    ----------
    called : numpy.ndarray, any shape
        Share of the target's bins at or above a threshold.
    sensitivity, fall_out : numpy.ndarray, same shape
        Share of the calibration's sites, and of its other bins, at or above it.

    Returns
    -------
    numpy.ndarray, same shape
        Between 0 and 1; NaN where sites are called no more often than other bins.
    """
    called, sensitivity, fall_out = np.broadcast_arrays(called, sensitivity, fall_out)
    gain = sensitivity - fall_out
    share = np.full(called.shape, np.nan)
    np.divide(called - fall_out, gain, out=share, where=gain > 0)
    return np.clip(share, 0, 1)


def precision_at_prevalence(
    precision: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """Return a precision at another prevalence, sensitivity and fall-out the same.

    The odds of a call being right change as the odds of a bin holding a site do.

    Parameters
    ----------
    precision : numpy.ndarray, any shape
        At the prevalence `before`.
    before, after : numpy.ndarray, same shape
        Prevalences.

    Returns
    -------
    numpy.ndarray, same shape
        NaN where nothing is called right or wrong.
    """
    precision, before, after = np.broadcast_arrays(*map(np.asarray, (precision, before, after)))
    right = precision * after * (1 - before)
    total = right + (1 - precision) * before * (1 - after)
    return np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + np.exp(-np.clip(values, -_MOST_LOG_RATIO, _MOST_LOG_RATIO)))
