"""Linear probes: what a linear model reads from hidden states, and how well (scikit-learn).

Numbers are read by ridge regression, categories by logistic regression; states are standardised by
what was fitted on. The strength of regularisation is chosen on positions of their own. Scores come
with what they are in every resample of blocks of the genome, so that differences are paired.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import f_classif, f_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from genomesieve.bootstrap import Interval, percentile_interval, resample_histograms
from genomesieve.metrics import Sums, auroc, average_precision

RIDGE = (1e-1, 1e1, 1e2, 1e3, 1e4)
"""Penalties that ridge regression may have, on standardised states."""
LOGISTIC = (1e-3, 3e-2, 1.0)
"""Inverse penalties of logistic regression."""
CHANCE = {"r2": 0.0, "spearman": 0.0, "auroc": 0.5}
PRIMARY = {False: "r2", True: "auroc"}
"""The score by which layers are compared: of numbers, of categories."""

_MOST_STEPS = 1000
_LEVELS = 400
"""Levels of a probe's output that resamples tell apart; the value itself is exact."""


@dataclass(frozen=True)
class Probe:
    """A fitted linear probe.

    Parameters
    ----------
    mean, spread : numpy.ndarray, shape=(features,)
        Of what it was fitted on.
    weights : numpy.ndarray, shape=(outputs, features)
        For standardised features: one output for a number or two classes, else one a class.
    intercept : numpy.ndarray, shape=(outputs,)
    classes : int
        Number of classes; 0 for a number.
    regularisation : float
        Penalty of ridge, inverse penalty of logistic regression.
    """

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    classes: int
    regularisation: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return predictions (N,) of a number, or the linear scores of the classes (N, classes)."""
        scores = (features - self.mean) / self.spread @ self.weights.T + self.intercept
        if not self.classes:
            return scores[:, 0]
        return np.concatenate([-scores, scores], axis=1) / 2 if self.classes == 2 else scores

    @property
    def directions(self) -> np.ndarray:
        """Directions of the features, as they are, that the probe reads; (features, outputs)."""
        # A constant added to all classes changes no probability.
        weights = self.weights - (self.weights.mean(axis=0) if len(self.weights) > 1 else 0)
        return (weights / self.spread).T


@dataclass(frozen=True)
class Score:
    """A score with its value in every resample; NaN where it is not defined."""

    value: float
    draws: np.ndarray

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval."""
        return percentile_interval(self.draws)

    def __sub__(self, other: Score) -> Score:
        """Return the difference, paired by resample."""
        return Score(self.value - other.value, self.draws - other.draws)


def mean_score(scores: list[Score]) -> Score:
    """Return the mean of scores on the same resamples."""
    return Score(
        float(np.mean([one.value for one in scores])),
        np.mean([one.draws for one in scores], axis=0),
    )


def fit_probe(
    features: np.ndarray,
    values: np.ndarray,
    classes: int,
    choice: tuple[np.ndarray, np.ndarray] | None = None,
    regularisation: float | None = None,
) -> Probe:
    """Fit a probe.

    Parameters
    ----------
    features : numpy.ndarray, shape=(N, features)
    values : numpy.ndarray, shape=(N,)
        Numbers, or classes counted from 0; none is NaN.
    classes : int
        Number of classes; 0 for numbers.
    choice : tuple of numpy.ndarray or None
        Features and values on which the regularisation is chosen: the least squared error, or the
        least log-loss.
    regularisation : float or None
        Used as it is, where it is given.
    """
    features = np.asarray(features, np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-9 * np.abs(features).max(axis=0, initial=0), spread, np.inf)
    standard = (features - mean) / spread
    known = (LOGISTIC if classes else RIDGE) if regularisation is None else (regularisation,)
    fitted = []
    for strength in known:
        weights, intercept = _fit(standard, values, classes, strength)
        probe = Probe(mean, spread, weights, intercept, classes, strength)
        fitted.append((_loss(probe, *choice) if choice is not None else 0.0, probe))
    return min(fitted, key=lambda pair: pair[0])[1]


def _fit(
    standard: np.ndarray, values: np.ndarray, classes: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (outputs, features) and intercepts of one regularisation."""
    if not classes:
        model = Ridge(alpha=strength).fit(standard, values)
        return model.coef_[None], np.array([model.intercept_])
    model = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # Where it has not settled after so many steps, it is a probe that was stopped early.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(standard, values.astype(np.int64))
    if len(model.classes_) == classes:
        return model.coef_, model.intercept_
    raise ValueError(f"found {len(model.classes_)} classes; expected {classes}")


def _loss(probe: Probe, features: np.ndarray, values: np.ndarray) -> float:
    """Return the mean loss of a probe."""
    predicted = probe.predict(features)
    if not probe.classes:
        return float(((predicted - values) ** 2).mean())
    return float(log_loss(values, _probabilities(predicted), labels=range(probe.classes)))


def _probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the softmax of linear scores (N, classes)."""
    power = np.exp(scores - scores.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def best_unit(features: np.ndarray, values: np.ndarray, classes: int) -> int:
    """Return the one feature that tells most of the values, by the F statistic where it is fitted.

    Parameters
    ----------
    features : numpy.ndarray, shape=(N, features)
    values : numpy.ndarray, shape=(N,)
    classes : int
        0 for numbers.
    """
    test = f_classif if classes else f_regression
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = test(features, values.astype(np.int64) if classes else values)[0]
    return int(np.argmax(np.nan_to_num(found, nan=-1.0)))


def score_probe(
    probe: Probe,
    features: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
) -> dict[str, Score]:
    """Score a probe.

    Parameters
    ----------
    probe : Probe
    features : numpy.ndarray, shape=(N, features)
    values : numpy.ndarray, shape=(N,)
    groups : numpy.ndarray, shape=(N,), int
        The block (or other group) of each, below `weights.shape[1]`; groups are resampled whole.
    weights : numpy.ndarray, shape=(repeats, groups)
        From `genomesieve.bootstrap.block_weights`.

    Returns
    -------
    dict of Score
        Of numbers r2 (1 less squared errors over squares about the mean; below 0 for a probe that
        is worse than the mean) and spearman; of classes auroc (the mean over classes of each
        against the rest), average_precision (likewise; of two classes that of the second) and
        balanced_accuracy (the mean share of each class that is found).
    """
    predicted = probe.predict(features)
    if probe.classes:
        return _score_classes(predicted, values.astype(np.int64), probe.classes, groups, weights)
    return _score_numbers(predicted, values, groups, weights)


def chance(metric: str, values: np.ndarray, classes: int) -> float:
    """Return what a probe that knows nothing scores."""
    if metric == "balanced_accuracy":
        return 1 / classes
    if metric == "average_precision":
        return float((values == 1).mean()) if classes == 2 else 1 / classes
    return CHANCE[metric]


def _sums(groups: np.ndarray, weights: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Sum columns (N,) over the whole and over each resample; shape=(columns, 1 + repeats)."""
    whole = np.concatenate([np.ones((1, weights.shape[1])), weights])
    counted = [np.bincount(groups, column, weights.shape[1]) for column in columns]
    return np.stack(counted) @ whole.T


def _score(values: np.ndarray) -> Score:
    """Take the value of the whole apart from those of the resamples."""
    return Score(float(values[0]), values[1:])


def _score_numbers(
    predicted: np.ndarray, values: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> dict[str, Score]:
    """Score predictions of a number."""
    # Near their mean, squares lose no digits.
    near = values - values.mean()
    count, total, squares, errors = _sums(
        groups, weights, np.ones(len(near)), near, near**2, (values - predicted) ** 2
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1 - errors / (squares - total**2 / count)
    result = {"r2": _score(np.where(np.isfinite(r2), r2, np.nan))}
    if np.ptp(predicted) == 0:
        zero = Score(0.0, np.zeros(len(weights)))
        return result | {"spearman": zero}
    one, other = (rankdata(item) - (len(near) + 1) / 2 for item in (values, predicted))
    columns = (np.ones(len(one)), one, other, one**2, other**2, one * other)
    count, first, second, one_two, other_two, both = _sums(groups, weights, *columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (one_two - first**2 / count) * (other_two - second**2 / count)
        found = (both - first * second / count) / np.sqrt(spread)
    return result | {"spearman": _score(np.where(np.isfinite(found), found, np.nan))}


def _score_classes(
    scores: np.ndarray, values: np.ndarray, classes: int, groups: np.ndarray, weights: np.ndarray
) -> dict[str, Score]:
    """Score the linear scores of classes."""
    asked = [1] if classes == 2 else range(classes)
    against = [_one_against_rest(scores[:, one], values == one, groups, weights) for one in asked]
    result = {
        name: mean_score([found[name] for found in against])
        for name in ("auroc", "average_precision")
    }
    hit = scores.argmax(axis=1) == values
    recalls = []
    for one in range(classes):
        found, there = _sums(groups, weights, hit & (values == one), values == one)
        recalls.append(np.divide(found, there, out=np.full(len(there), np.nan), where=there > 0))
    return result | {"balanced_accuracy": _score(np.mean(recalls, axis=0))}


def _one_against_rest(
    scores: np.ndarray, positive: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> Mapping[str, Score]:
    """Score one class against the rest: exact values, and resamples of a probe's levels."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, _LEVELS + 1)[1:-1]))
    level = np.searchsorted(edges, scores, "right")
    width = len(edges) + 1
    counts = np.zeros((2, weights.shape[1], width))
    np.add.at(counts, (positive.astype(np.int64), groups, level), 1)
    negatives, positives = counts
    statistics = {"auroc": auroc, "average_precision": average_precision}
    pooled = Sums(positives.sum(axis=0), negatives.sum(axis=0))
    drawn = resample_histograms(weights, positives, negatives, statistics)
    exact = {"auroc": roc_auc_score, "average_precision": average_precision_score}
    result = {}
    for name, statistic in statistics.items():
        value = (
            float(exact[name](positive, scores)) if 0 < positive.sum() < len(positive) else np.nan
        )
        shift = value - float(statistic(positives.sum(axis=0), negatives.sum(axis=0), pooled))
        result[name] = Score(value, np.clip(drawn[name] + shift, 0, 1))
    return result
