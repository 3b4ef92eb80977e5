"""Curves of an evaluation, thinned to what a figure can show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genomesieve.bootstrap import resample_histograms
from genomesieve.label_counts import BlockCounts, LabelCounts
from genomesieve.metrics import (
    precision_at_prevalence,
    precision_at_recall,
    prevalence,
    rates_at_code,
)
from genomesieve.scores import CODES, decode_scores

_POINTS = 300
_BAND_POINTS = 60
_BAND_REPEATS = 200
_SCORE_STEP = 0.5


def all_curves(
    counts: LabelCounts, blocks: BlockCounts, weights: np.ndarray, operating_code: int
) -> pd.DataFrame:
    """Return all curves of one class and model.

    Parameters
    ----------
    counts : LabelCounts
    blocks : BlockCounts
    weights : numpy.ndarray, shape=(repeats, blocks)
        Block bootstrap, for the band.
    operating_code : int
        Threshold whose rates are projected to other prevalences.

    Returns
    -------
    pandas.DataFrame
        Columns curve (precision_recall, roc, prevalence, scores), x, y, low, high, label.
    """
    parts = {
        "precision_recall": precision_recall(counts, blocks, weights),
        "roc": roc(counts),
        "prevalence": projection(counts, operating_code),
        "scores": score_distribution(counts),
    }
    return pd.concat(
        [table.assign(curve=name) for name, table in parts.items()], ignore_index=True
    ).reindex(columns=["curve", "x", "y", "low", "high", "label"])


def precision_recall(counts: LabelCounts, blocks: BlockCounts, weights: np.ndarray) -> pd.DataFrame:
    """Return precision (y) at recalls (x), with the 95 % band of the block bootstrap."""
    recalls = np.linspace(1 / _POINTS, 1, _POINTS)
    levels = np.linspace(1 / _BAND_POINTS, 1, _BAND_POINTS)
    drawn = resample_histograms(
        weights[:_BAND_REPEATS],
        blocks.positives,
        blocks.negatives,
        {"precision": lambda p, n: precision_at_recall(p, n, levels)},
    )["precision"]
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "x": recalls,
            "y": precision_at_recall(counts.positives, counts.negatives, recalls),
            "low": np.interp(recalls, levels, low),
            "high": np.interp(recalls, levels, high),
        }
    )


def roc(counts: LabelCounts) -> pd.DataFrame:
    """Return true (y) against false positive rate (x), thinned evenly along the curve."""
    true = np.concatenate([[0], np.cumsum(counts.positives[::-1])]) / counts.positives.sum()
    false = np.concatenate([[0], np.cumsum(counts.negatives[::-1])]) / counts.negatives.sum()
    path = np.concatenate([[0], np.cumsum(np.hypot(np.diff(true), np.diff(false)))])
    chosen = np.unique(np.searchsorted(path, np.linspace(0, path[-1], _POINTS)))
    chosen = np.minimum(chosen, len(path) - 1)
    return pd.DataFrame({"x": false[chosen], "y": true[chosen]})


def projection(counts: LabelCounts, code: int) -> pd.DataFrame:
    """Return the precision (y) that a threshold's rates give at other prevalences (x).

    Three points are labelled: this genome, a third, three times.
    """
    true, false = rates_at_code(counts.positives, counts.negatives, np.arange(CODES), code)
    here = float(prevalence(counts.positives, counts.negatives))
    shares = np.concatenate([np.logspace(-6, np.log10(0.5), 80), [here / 3, here, 3 * here]])
    labels = [""] * 80 + ["a third", "this genome", "three times"]
    y = precision_at_prevalence(true, false, shares)
    table = pd.DataFrame({"x": shares, "y": y, "label": labels})
    return table.sort_values("x", ignore_index=True)


def score_distribution(counts: LabelCounts) -> pd.DataFrame:
    """Return how many bins (y) score about x, for sites and for background."""
    parts = []
    for label, values in (("sites", counts.positives), ("background", counts.negatives)):
        used = np.flatnonzero(values)
        scores = decode_scores(used.astype(np.uint16))
        middle = (np.floor(scores / _SCORE_STEP) + 0.5) * _SCORE_STEP
        table = pd.DataFrame({"x": middle, "y": values[used], "label": label})
        parts.append(table.groupby(["x", "label"], as_index=False)["y"].sum())
    return pd.concat(parts, ignore_index=True)
