"""Metrics of one class of one scan, per position and per merged call, with intervals.

Definitions: prevalence counts strand-positions for stranded classes; false positives per megabase
are per Mb of genome, both strands summed; precision at recall r is that of the highest threshold
whose recall is at least r, without interpolation; recall at precision p needs at least 20 calls;
top_k takes as many predictions as there are positive bins; the calibration error leaves out
predictions below 0.01, and the Brier skill compares with the constant prevalence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from genomesieve.bootstrap import Interval, percentile_interval, resample_histograms, resample_ratio
from genomesieve.label_counts import BlockCounts, LabelCounts
from genomesieve.metrics import (
    auroc,
    average_precision,
    brier_skill,
    enrichment,
    expected_calibration_error,
    false_positives_per_mb,
    precision_at_recall,
    prevalence,
    recall_at_precision,
    top_k,
)
from genomesieve.promises import expected_calls, log_odds_of, probability_of, promised_precision
from genomesieve.scores import CODES

NO_INTERVAL = Interval(float("nan"), float("nan"))

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def resampled_statistics(megabases: float) -> dict[str, Statistic]:
    """Return the metrics that get an interval, as functions of positives and negatives."""
    statistics: dict[str, Statistic] = {
        "prevalence": prevalence,
        "average_precision": average_precision,
        "auroc": auroc,
        "top_k": top_k,
        "enrichment": lambda p, n: enrichment(p, n, 0.5),
        "false_positives_per_mb": lambda p, n: false_positives_per_mb(p, n, 0.5, megabases),
    }
    for recall in (0.1, 0.5, 0.9):
        statistics[f"precision_at_recall_{recall}"] = lambda p, n, level=recall: (
            precision_at_recall(p, n, level)
        )
    for precision in (0.5, 0.9):
        statistics[f"recall_at_precision_{precision}"] = lambda p, n, level=precision: (
            recall_at_precision(p, n, level)
        )
    return statistics


def position_metrics(
    counts: LabelCounts,
    blocks: BlockCounts,
    weights: np.ndarray,
    calibration: dict,
    megabases: float,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Measure a model on the bins of the universe.

    Parameters
    ----------
    counts : LabelCounts
    blocks : BlockCounts
    weights : numpy.ndarray, shape=(repeats, blocks)
        The same for all models, so that differences are paired.
    calibration : dict
        The class's calibration.
    megabases : float
        Length of genome in the universe, counted once.

    Returns
    -------
    table : pandas.DataFrame
        Columns metric, value, low, high.
    precisions : numpy.ndarray, shape=(repeats,)
        Bootstrapped average precision.
    """
    statistics = resampled_statistics(megabases)
    drawn = resample_histograms(weights, blocks.positives, blocks.negatives, statistics)
    rows = []
    for name, statistic in statistics.items():
        value = float(statistic(counts.positives, counts.negatives))
        interval = percentile_interval(drawn[name])
        rows.append((name, value, interval.low, interval.high))
    probabilities = _probabilities(calibration)
    universe = int(counts.positives.sum() + counts.negatives.sum())
    everything = universe + counts.ignored + counts.unknown
    plain = {
        "ece": expected_calibration_error(counts.positives, counts.negatives, probabilities),
        "brier_skill": float(brier_skill(counts.positives, counts.negatives, probabilities)),
        "ignored_share": counts.ignored / everything if everything else float("nan"),
        "unknown_share": counts.unknown / everything if everything else float("nan"),
        "sites": int(counts.positives.sum()),
        "bins": universe,
        "blocks": weights.shape[1],
    }
    rows += [(name, value, np.nan, np.nan) for name, value in plain.items()]
    table = pd.DataFrame(rows, columns=["metric", "value", "low", "high"])
    return table, drawn["average_precision"]


def _probabilities(calibration: dict) -> np.ndarray:
    """Return the probability of every code; 0 for the code that no score has."""
    return np.nan_to_num(probability_of(np.arange(CODES).astype(np.uint16), calibration))


def code_log_odds(calibration: dict) -> np.ndarray:
    """Return the calibrated log-odds of every code, shape=(65536,)."""
    values = log_odds_of(np.arange(CODES).astype(np.uint16), calibration)
    return np.nan_to_num(values, nan=-1e9)


def promise_row(
    threshold: dict,
    calls: pd.DataFrame,
    sites: int,
    weights: np.ndarray,
    calibration_bins: int,
    bins: int,
) -> dict:
    """Compare what a threshold promises with what the calls above it turn out to be.

    Parameters
    ----------
    threshold : dict
        An element of the class's `thresholds`.
    calls : pandas.DataFrame
        Judged calls of the class: code, status, block.
    sites : int
        Sites in the universe.
    weights : numpy.ndarray, shape=(repeats, blocks)
    calibration_bins, bins : int
        Strand-bins of the calibrate part and of this universe.

    Returns
    -------
    dict
        The columns of promises.tsv after `class`.
    """
    chosen = calls[(calls["code"] >= threshold["code"]) & (calls["status"] != "ignored")]
    right = (chosen["status"] == "true").to_numpy()
    number, true = len(chosen), int(right.sum())
    promise = promised_precision(threshold, expected_calls(threshold, calibration_bins, bins))
    block = chosen["block"].to_numpy(np.int64)
    per_block = [
        np.bincount(block, weights=values, minlength=weights.shape[1])
        for values in (right.astype(float), np.ones(number))
    ]
    observed = percentile_interval(resample_ratio(weights, *per_block))
    share = true / number if number else float("nan")
    return {
        "precision_target": threshold["precision_target"],
        "reached": threshold["reached"],
        "threshold_score": threshold["score"],
        "promised": promise.precision,
        "low": promise.low,
        "high": promise.high,
        "observed": share,
        "observed_low": observed.low,
        "observed_high": observed.high,
        "calls": number,
        "true_calls": true,
        "within": bool(promise.low <= share <= promise.high),
        "recall": true / sites if sites else float("nan"),
        "expected_true": number * promise.precision,
        "expected_false": number * (1 - promise.precision),
    }


def call_metrics(row: dict, megabases: float) -> pd.DataFrame:
    """Return the metrics per merged call at the operating threshold, from its promise row."""
    wrong = row["calls"] - row["true_calls"]
    nan = float("nan")
    values = [
        ("promised_precision", row["promised"], row["low"], row["high"]),
        ("observed_precision", row["observed"], row["observed_low"], row["observed_high"]),
        ("observed_recall", row["recall"], nan, nan),
        ("calls", row["calls"], nan, nan),
        ("expected_true_calls", row["expected_true"], nan, nan),
        ("expected_false_calls", row["expected_false"], nan, nan),
        ("false_positives_per_mb", wrong / megabases, nan, nan),
    ]
    return pd.DataFrame(values, columns=["metric", "value", "low", "high"])
