"""Metrics from counts of positives and negatives per score code, exact with ties.

Every function takes `positives` and `negatives` with the codes on the last axis, in ascending
order, and any leading axes (one per bootstrap repeat, say). Equal codes are one threshold, so the
values are those of scikit-learn on the same rounded scores. A metric that is not defined, such as
recall without a positive, is NaN.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

FEWEST_CALLS = 20
"""A precision counts only where at least so many calls stand behind it."""

SMALLEST_PREDICTION = 0.01
"""Expected calibration error leaves out predictions below this: nearly all bins are there."""


def count_above(counts: np.ndarray) -> np.ndarray:
    """Count what has each code or a higher one (shape=(..., codes), same order as `counts`)."""
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide as floats; NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    result = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator != 0)[()]


class Sums:
    """What several metrics of the same counts have in common, computed when first asked for.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(..., codes)
        Not to be changed while the sums are in use.
    """

    def __init__(self, positives: np.ndarray, negatives: np.ndarray):
        self._positives, self._negatives = positives, negatives

    @cached_property
    def true(self) -> np.ndarray:
        """Positives with each code or a higher one."""
        return count_above(self._positives)

    @cached_property
    def false(self) -> np.ndarray:
        """Negatives with each code or a higher one."""
        return count_above(self._negatives)

    @cached_property
    def calls(self) -> np.ndarray:
        """All that has each code or a higher one."""
        return self.true + self.false

    @cached_property
    def precision(self) -> np.ndarray:
        """Share of positives at and above each code, 0 where nothing is there."""
        calls = self.calls
        return np.divide(self.true, calls, out=np.zeros(calls.shape), where=calls != 0)

    @cached_property
    def recall(self) -> np.ndarray:
        """Share of the positives at and above each code, codes descending; NaN without any."""
        true = self.true[..., ::-1]
        with np.errstate(invalid="ignore"):
            return true / true[..., -1:]


def prevalence(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return the share of positives, shape=(...)."""
    total = positives.sum(-1)
    return _divide(total, total + negatives.sum(-1))


def average_precision(
    positives: np.ndarray, negatives: np.ndarray, sums: Sums | None = None
) -> np.ndarray:
    """Return the mean, over positives, of the precision at their code, shape=(...).

    Equals `sklearn.metrics.average_precision_score`: a step function, not interpolated. Here and
    below, `sums` are those of the same counts, where they are at hand.
    """
    precision = (sums or Sums(positives, negatives)).precision
    return _divide((positives * precision).sum(-1), positives.sum(-1))


def auroc(positives: np.ndarray, negatives: np.ndarray, sums: Sums | None = None) -> np.ndarray:
    """Return the chance that a positive outscores a negative, ties half, shape=(...)."""
    beaten = (sums or Sums(positives, negatives)).true - positives / 2
    pairs = np.asarray(positives.sum(-1), dtype=np.float64) * negatives.sum(-1)
    return _divide((negatives * beaten).sum(-1), pairs)


def precision_at_recall(
    positives: np.ndarray,
    negatives: np.ndarray,
    recall: float | np.ndarray,
    sums: Sums | None = None,
) -> np.ndarray:
    """Return the precision at the highest threshold whose recall is at least `recall`.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(..., codes)
    recall : float or numpy.ndarray, shape=(m,)
        Above 0, at most 1. Nothing is interpolated.
    sums : Sums, optional

    Returns
    -------
    numpy.ndarray, shape=(...) or (..., m)
    """
    return _at_recall(positives, negatives, recall, sums)[0]


def _at_recall(
    positives: np.ndarray,
    negatives: np.ndarray,
    recall: float | np.ndarray,
    sums: Sums | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and false positives at the highest threshold that reaches `recall`."""
    sums = sums or Sums(positives, negatives)
    levels = np.atleast_1d(np.asarray(recall, dtype=np.float64))
    codes = positives.shape[-1]
    rows = int(np.prod(positives.shape[:-1]))
    true, false, reached = (
        item.reshape(rows, codes)
        for item in (sums.true[..., ::-1], sums.false[..., ::-1], sums.recall)
    )
    precision = np.full((rows, len(levels)), np.nan)
    mistakes = np.full((rows, len(levels)), np.nan)
    for row in np.flatnonzero(true[:, -1] > 0) if codes else ():
        place = np.searchsorted(reached[row], levels, "left")
        hits, mistakes[row] = true[row, place], false[row, place]
        precision[row] = hits / (hits + mistakes[row])
    shape = positives.shape[:-1] + (() if np.ndim(recall) == 0 else (len(levels),))
    return precision.reshape(shape)[()], mistakes.reshape(shape)[()]


def recall_at_precision(
    positives: np.ndarray,
    negatives: np.ndarray,
    precision: float,
    fewest_calls: int = FEWEST_CALLS,
    sums: Sums | None = None,
) -> np.ndarray:
    """Return the largest recall with at least this precision and enough calls, shape=(...).

    It is 0 where no threshold has both.
    """
    sums = sums or Sums(positives, negatives)
    good = (sums.calls >= max(fewest_calls, 1)) & (sums.precision >= precision)
    largest = np.where(good, sums.true, 0).max(-1, initial=0)
    return _divide(largest, positives.sum(-1))


def top_k(
    positives: np.ndarray,
    negatives: np.ndarray,
    k: int | None = None,
    sums: Sums | None = None,
) -> np.ndarray:
    """Return the share of positives among the k best, expected value within a tie, shape=(...).

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(..., codes)
    k : int, optional
        As many as there are positives (in each row) when not given.
    sums : Sums, optional
    """
    wanted = positives.sum(-1) if k is None else np.full(positives.shape[:-1], k)
    here = positives + negatives
    above = (sums or Sums(positives, negatives)).calls - here
    taken = np.clip(np.asarray(wanted)[..., None] - above, 0, here)
    share = np.divide(taken, here, out=np.zeros(here.shape), where=here != 0)
    return _divide((positives * share).sum(-1), wanted)


def false_positives_per_mb(
    positives: np.ndarray,
    negatives: np.ndarray,
    recall: float,
    megabases: float,
    sums: Sums | None = None,
) -> np.ndarray:
    """Return false positives at a recall per megabase of genome, both strands summed.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(..., codes)
        Both strands together.
    recall : float
        The threshold is the highest one that reaches it.
    megabases : float
        Length of genome that the counts come from, counted once and not once a strand.
    sums : Sums, optional
    """
    return _divide(_at_recall(positives, negatives, recall, sums)[1], megabases)


def enrichment(
    positives: np.ndarray, negatives: np.ndarray, recall: float, sums: Sums | None = None
) -> np.ndarray:
    """Return the precision at a recall as a multiple of the prevalence, shape=(...)."""
    precision = precision_at_recall(positives, negatives, recall, sums)
    return _divide(precision, prevalence(positives, negatives))


def rates_at_code(
    positives: np.ndarray, negatives: np.ndarray, codes: np.ndarray, threshold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return true and false positive rate at and above the code `threshold`, each shape=(...)."""
    called = np.asarray(codes) >= threshold
    true_rate = _divide(positives[..., called].sum(-1), positives.sum(-1))
    return true_rate, _divide(negatives[..., called].sum(-1), negatives.sum(-1))


def precision_at_prevalence(
    true_positive_rate: float | np.ndarray,
    false_positive_rate: float | np.ndarray,
    share: float | np.ndarray,
) -> np.ndarray:
    """Return the precision that two rates give where a `share` of positions are positive.

    Rates of 0.95 and 0.01 at one site in a thousand positions give 0.0868: a model that looks
    excellent on balanced data is wrong eleven times out of twelve.
    """
    true = np.asarray(true_positive_rate, dtype=np.float64) * share
    return _divide(true, true + np.asarray(false_positive_rate) * (1 - np.asarray(share)))


def brier_skill(
    positives: np.ndarray, negatives: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return 1 - Brier score / Brier score of always predicting the prevalence, shape=(...).

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(..., codes)
    probabilities : numpy.ndarray, shape=(codes,)
        Predicted probability of each code.
    """
    share = prevalence(positives, negatives)
    total = positives.sum(-1) + negatives.sum(-1)
    error = (positives * (1 - probabilities) ** 2 + negatives * probabilities**2).sum(-1)
    return 1 - _divide(_divide(error, total), share * (1 - share))


def expected_calibration_error(
    positives: np.ndarray,
    negatives: np.ndarray,
    probabilities: np.ndarray,
    smallest: float = SMALLEST_PREDICTION,
    groups: int = 15,
) -> float:
    """Return the mean distance between predicted and observed rate in equal-mass groups.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(codes,)
    probabilities : numpy.ndarray, shape=(codes,)
        Predicted probability of each code, ascending.
    smallest : float
        Predictions below it are left out. Over a whole genome nearly all of them are close to 0,
        and would make any model look calibrated.
    groups : int
        Groups of equally many bins; a code is never cut in two, so they can differ a little.

    Returns
    -------
    float
        NaN where nothing is predicted at or above `smallest`.
    """
    kept = (probabilities >= smallest) & (positives + negatives > 0)
    hits, predicted = positives[kept], probabilities[kept]
    mass = hits + negatives[kept]
    if mass.sum() == 0:
        return float("nan")
    middle = np.cumsum(mass) - mass / 2
    group = np.minimum((middle * groups / mass.sum()).astype(np.int64), groups - 1)
    expected = np.bincount(group, weights=predicted * mass)
    return float(np.abs(expected - np.bincount(group, weights=hits)).sum() / mass.sum())


def reliability(
    positives: np.ndarray,
    negatives: np.ndarray,
    log_odds: np.ndarray,
    edges: np.ndarray,
) -> dict[str, np.ndarray]:
    """Compare expected and observed counts of positives in bins of predicted log-odds.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(codes,)
    log_odds : numpy.ndarray, shape=(codes,)
        Calibrated log-odds of each code.
    edges : numpy.ndarray, shape=(m,)
        Ascending inner edges; the first and last bin are open.

    Returns
    -------
    dict of numpy.ndarray, shape=(n,)
        low_logodds, high_logodds, expected, observed, bins; only groups that hold something.
    """
    group = np.searchsorted(edges, log_odds, "right")
    size = len(edges) + 1
    mass = positives + negatives
    probabilities = 1 / (1 + np.exp(-np.clip(log_odds, -700, 700)))
    counted = np.bincount(group, weights=mass, minlength=size)
    kept = counted > 0
    return {
        "low_logodds": np.concatenate([[-np.inf], edges])[kept],
        "high_logodds": np.concatenate([edges, [np.inf]])[kept],
        "expected": np.bincount(group, weights=probabilities * mass, minlength=size)[kept],
        "observed": np.bincount(group, weights=positives, minlength=size)[kept],
        "bins": counted[kept],
    }
