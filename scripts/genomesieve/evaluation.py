"""How well scores find sites, bin by bin, with intervals from a block bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from genomesieve import metrics
from genomesieve.bootstrap import (
    Interval,
    paired_difference,
    percentile_interval,
    resample_histograms,
)
from genomesieve.label_counts import BlockCounts, LabelCounts
from genomesieve.promises import log_odds_of, operating_threshold, probability_of
from genomesieve.scores import decode_scores

RECALLS = (0.1, 0.5, 0.9)
PRECISIONS = (0.5, 0.9)
CURVE_RECALLS = np.arange(1, 201) / 200  # a recall of 7 in 10 is the number 0.7
CURVE_PREVALENCES = np.logspace(-6, -1, 101)
RELIABILITY_EDGES = np.arange(-12.0, 9.0)
MIDDLE_RECALL = 0.5
"""Where false positives per megabase and enrichment are read."""

_NO_SHARES = ("brier_skill", "enrichment", "false_positives_per_mb")
"""Metrics that are not between 0 and 1."""


@dataclass(frozen=True)
class PositionResult:
    """What one model does for one class on one universe.

    Parameters
    ----------
    values : dict of str to float
        Metric by name.
    intervals : dict of str to Interval
        95 % intervals of those that have one.
    draws : dict of str to numpy.ndarray, shape=(repeats,)
        Bootstrapped metrics, for paired differences.
    curves : list of pandas.DataFrame
        Columns curve, x, y, low, high, label; of the ROC curve also score, the threshold.
    reliability : pandas.DataFrame
        Columns expected, observed, bins, low_logodds, high_logodds.
    true_positive_rate, false_positive_rate : float
        Of bins at the operating threshold.
    """

    values: dict[str, float]
    intervals: dict[str, Interval]
    draws: dict[str, np.ndarray]
    curves: list[pd.DataFrame] = field(repr=False)
    reliability: pd.DataFrame = field(repr=False)
    true_positive_rate: float = float("nan")
    false_positive_rate: float = float("nan")

    def precision_at(self, prevalence: float) -> float:
        """Return the precision of bins at the operating threshold at another prevalence."""
        return float(
            metrics.precision_at_prevalence(
                self.true_positive_rate, self.false_positive_rate, prevalence
            )
        )


def evaluate_positions(
    counts: LabelCounts,
    blocks: BlockCounts,
    weights: np.ndarray,
    calibration: dict,
    megabases: float,
    precisions: Sequence[float] = PRECISIONS,
) -> PositionResult:
    """Compute all metrics and curves that count bins.

    Parameters
    ----------
    counts : LabelCounts
        Exact, for the values.
    blocks : BlockCounts
        Per block, for the intervals.
    weights : numpy.ndarray, shape=(repeats, blocks)
        From `genomesieve.bootstrap.block_weights`; the same for all models.
    calibration : dict
        The class's calibration.
    megabases : float
        Genome in the universe, each base counted once.
    precisions : sequence of float
        For recall_at_precision.

    Returns
    -------
    PositionResult
        Values are NaN where the universe has no site.
    """
    used = np.flatnonzero(counts.positives + counts.negatives)
    positives, negatives = counts.positives[used], counts.negatives[used]
    point = _statistics(used, calibration, megabases, precisions)
    sums = metrics.Sums(positives, negatives)
    values = {name: float(one(positives, negatives, sums)) for name, one in point.items()}
    values["ece"] = metrics.expected_calibration_error(
        positives, negatives, probability_of(used, calibration)
    )
    threshold = operating_threshold(calibration)["code"]
    exact = values | {
        "precision_recall": metrics.precision_at_recall(positives, negatives, CURVE_RECALLS)
    }
    draws = _draw(blocks, weights, calibration, megabases, precisions, threshold)
    draws = _about(exact, draws, blocks, calibration, megabases, precisions, threshold)
    rates = metrics.rates_at_code(positives, negatives, used, threshold)
    return PositionResult(
        values=values,
        intervals={name: percentile_interval(draws[name]) for name in point},
        draws={name: draws[name] for name in point},
        curves=[
            _precision_recall(positives, negatives, draws["precision_recall"]),
            _roc(used, positives, negatives),
            _prevalences(rates, draws["rates"]),
            _score_counts(used, positives, negatives),
        ],
        reliability=_reliability(used, positives, negatives, calibration),
        true_positive_rate=float(rates[0]),
        false_positive_rate=float(rates[1]),
    )


def _statistics(
    codes: np.ndarray, calibration: dict, megabases: float, precisions: Sequence[float]
) -> dict:
    """Return the metrics that are both values and bootstrapped, each of (p, n, their sums)."""
    probabilities = probability_of(codes, calibration)
    result = {
        "prevalence": lambda p, n, sums: metrics.prevalence(p, n),
        "average_precision": metrics.average_precision,
        "auroc": metrics.auroc,
        "top_k": lambda p, n, sums: metrics.top_k(p, n, sums=sums),
        "brier_skill": lambda p, n, sums: metrics.brier_skill(p, n, probabilities),
        "enrichment": lambda p, n, sums: metrics.enrichment(p, n, MIDDLE_RECALL, sums),
        "false_positives_per_mb": lambda p, n, sums: metrics.false_positives_per_mb(
            p, n, MIDDLE_RECALL, megabases, sums
        ),
    }
    for level in RECALLS:
        result[f"precision_at_recall_{level:g}"] = lambda p, n, sums, level=level: (
            metrics.precision_at_recall(p, n, level, sums)
        )
    for level in sorted(set(PRECISIONS) | set(precisions)):
        result[f"recall_at_precision_{level:g}"] = lambda p, n, sums, level=level: (
            metrics.recall_at_precision(p, n, level, sums=sums)
        )
    return result


def _draw(
    blocks: BlockCounts,
    weights: np.ndarray,
    calibration: dict,
    megabases: float,
    precisions: Sequence[float],
    threshold: int,
) -> dict[str, np.ndarray]:
    """Bootstrap the metrics, the precision-recall curve and the rates at the threshold."""
    statistics = _statistics(blocks.codes, calibration, megabases, precisions)
    statistics["precision_recall"] = lambda p, n, sums: metrics.precision_at_recall(
        p, n, CURVE_RECALLS, sums
    )
    statistics["rates"] = lambda p, n, sums: np.stack(
        metrics.rates_at_code(p, n, blocks.codes, threshold), axis=-1
    )
    return resample_histograms(weights, blocks.positives, blocks.negatives, statistics)


def _about(
    exact: dict, draws: dict[str, np.ndarray], blocks: BlockCounts, *settings: object
) -> dict[str, np.ndarray]:
    """Move bootstrapped metrics to where exact scores put them.

    Blocks pool low scores, which are then ties: that shifts a metric of all bins, and of every
    repeat with them. The shift, known from all bins, is taken off; shares stay within 0 and 1.
    """
    pooled = _draw(blocks, np.ones((1, len(blocks.positives))), *settings)
    moved = {}
    for name, drawn in draws.items():
        moved[name] = drawn
        if name in exact:
            shift = np.nan_to_num(exact[name] - pooled[name][0])
            moved[name] = drawn + shift
            if name not in _NO_SHARES:
                moved[name] = np.clip(moved[name], 0, 1)
    return moved


def compare_positions(
    network: PositionResult, baseline: PositionResult, metric: str
) -> tuple[float, Interval]:
    """Return network minus baseline, and its interval from the same resampled blocks."""
    difference = network.values[metric] - baseline.values[metric]
    return difference, paired_difference(network.draws[metric], baseline.draws[metric])


def _curve(name: str, x, y, low=np.nan, high=np.nan, label: str = "") -> pd.DataFrame:
    """Return the points of one curve."""
    points = {"curve": name, "x": x, "y": y, "low": low, "high": high, "label": label}
    return pd.DataFrame(points).astype(dict.fromkeys(("x", "y", "low", "high"), float))


def _precision_recall(
    positives: np.ndarray, negatives: np.ndarray, draws: np.ndarray
) -> pd.DataFrame:
    """Return precision at 200 recalls with its bootstrap band."""
    precision = metrics.precision_at_recall(positives, negatives, CURVE_RECALLS)
    low, high = _band(draws)
    return _curve("precision_recall", CURVE_RECALLS, precision, low, high)


def _band(draws: np.ndarray) -> np.ndarray:
    """Return the 95 % interval of each column; shape=(2, columns)."""
    draws = draws[np.isfinite(draws).all(axis=1)]
    if len(draws) == 0:
        return np.full((2, draws.shape[1]), np.nan)
    return np.quantile(draws, [0.025, 0.975], axis=0)


def _roc(codes: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> pd.DataFrame:
    """Return at most 500 corners of the ROC curve, dense where false positives are few.

    Column `score` is the threshold of each corner, NaN where nothing is called. The recalls of the
    precision-recall curve are among the corners, so that a reader of both can tell what each
    threshold calls.
    """
    if positives.sum() == 0 or negatives.sum() == 0:
        return _curve("roc", [], []).assign(score=np.zeros(0))
    true = np.append(0, np.cumsum(positives[::-1])) / positives.sum()
    false = np.append(0, np.cumsum(negatives[::-1])) / negatives.sum()
    last = len(true) - 1
    rows = [
        np.searchsorted(true, CURVE_RECALLS),
        np.searchsorted(false, np.logspace(-7, 0, 200)),
        np.searchsorted(false, np.linspace(0, 1, 50)),
    ]
    rows = np.unique(np.clip(np.concatenate([*rows, [0, last]]), 0, last))
    scores = decode_scores(codes[::-1].astype(np.uint16)).astype(np.float64)
    return _curve("roc", false[rows], true[rows]).assign(score=np.append(np.nan, scores)[rows])


def _prevalences(rates: tuple[float, float], draws: np.ndarray) -> pd.DataFrame:
    """Return the precision at the operating threshold against prevalence."""
    precision = metrics.precision_at_prevalence(*rates, CURVE_PREVALENCES)
    drawn = metrics.precision_at_prevalence(draws[:, :1], draws[:, 1:], CURVE_PREVALENCES)
    return _curve("prevalence", CURVE_PREVALENCES, precision, *_band(drawn))


def _score_counts(codes: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> pd.DataFrame:
    """Return counts of bins with and without a site in 80 bins of the score."""
    scores = decode_scores(codes.astype(np.uint16)).astype(np.float64)
    if len(scores) == 0:
        return _curve("scores", [], [])
    # A few absurdly low scores must not squeeze all others into one bin.
    mass = np.cumsum(positives + negatives)
    low, high = scores[np.searchsorted(mass, mass[-1] * 1e-4)], scores[-1]
    edges = np.linspace(low, high if high > low else low + 1, 81)
    clipped = np.clip(scores, edges[0], edges[-1])
    centres = (edges[:-1] + edges[1:]) / 2
    tables = []
    for label, counted in (("background", negatives), ("sites", positives)):
        tables.append(
            _curve("scores", centres, np.histogram(clipped, edges, weights=counted)[0], label=label)
        )
    return pd.concat(tables, ignore_index=True)


def _reliability(
    codes: np.ndarray, positives: np.ndarray, negatives: np.ndarray, calibration: dict
) -> pd.DataFrame:
    """Return expected and observed counts by bins of log-odds; open bins get a finite end."""
    log_odds = log_odds_of(codes.astype(np.uint16), calibration)
    table = pd.DataFrame(metrics.reliability(positives, negatives, log_odds, RELIABILITY_EDGES))
    ends = (RELIABILITY_EDGES[0] - 1, RELIABILITY_EDGES[-1] + 1)
    return table.assign(
        low_logodds=table["low_logodds"].clip(*ends), high_logodds=table["high_logodds"].clip(*ends)
    )


def shares(counts: LabelCounts, strand_bins: int) -> dict[str, float]:
    """Return what was left out of the universe, as shares of what was there before.

    Parameters
    ----------
    counts : LabelCounts
    strand_bins : int
        All bins of the evaluated part, strands summed.
    """
    universe = int(counts.positives.sum() + counts.negatives.sum())
    scored = universe + counts.ignored
    known = scored + counts.unknown
    return {
        "bins": float(universe),
        "ignored_share": counts.ignored / scored if scored else float("nan"),
        "unknown_share": counts.unknown / known if known else float("nan"),
        "excluded_share": counts.excluded / strand_bins if strand_bins else float("nan"),
    }
