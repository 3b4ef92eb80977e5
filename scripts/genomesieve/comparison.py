"""Results of several screens side by side: one row for each model, class and genome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_table

KEYS = ["screen", "genome", "class", "model"]
PLACE = ["genome", "class"]
METRIC_COLUMNS = ("genome", "model", "class", "universe", "metric", "value", "low", "high")

MEASURES = {
    "average_precision": "average precision",
    "precision_at_recall_0.5": "precision at half recall",
    "recall_at_precision_0.9": "recall at precision 0.9",
    "false_positives_per_mb": "false positives per Mb at half recall",
    "observed_precision": "precision of calls",
    "auroc": "AUROC",
}
"""Metrics that are compared, with what a reader calls them; those of calls are of merged calls."""

_SIZES = ("bins", "sites", "prevalence")


def evaluations_of(folder: Path) -> dict[str, Path]:
    """Return metrics.tsv of every evaluated genome in the results of a screen, by genome.

    Raises
    ------
    InputError
        If there is none.
    """
    found = {path.parent.name: path for path in sorted(folder.glob("evaluation/*/metrics.tsv"))}
    if not found:
        raise InputError(
            f"results {folder} hold no evaluation; expected evaluation/GENOME/metrics.tsv there"
        )
    return found


def read_comparison(evaluations: dict[tuple[str, str], Path]) -> pd.DataFrame:
    """Read metrics of screens and genomes.

    Parameters
    ----------
    evaluations : dict of (str, str) to Path
        metrics.tsv by screen and genome.

    Returns
    -------
    pandas.DataFrame
        Columns `KEYS`, universe, bins, sites, prevalence, times (average precision by prevalence),
        and for each of `MEASURES` its value, `{metric}.low` and `{metric}.high`; NaN where it was
        not measured. On all sites of the part that was held out or screened; differences between
        models are left out.
    """
    rows = []
    for (screen, genome), path in evaluations.items():
        what = f"evaluation of {genome} in screen {screen}"
        table = read_table(path, what, METRIC_COLUMNS, text=("class",))
        rows += _rows(screen, genome, table)
    if not rows:
        raise InputError("no evaluation holds a model; expected what evaluate_scan writes")
    found = pd.DataFrame(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = found["average_precision"] / found["prevalence"]
    return found.assign(times=times.replace([np.inf], np.nan))


def _rows(screen: str, genome: str, table: pd.DataFrame) -> list[dict]:
    """Return the rows of one genome in one screen."""
    whole = table[~table["universe"].str.contains(":")]
    rows = []
    for (universe, name, model), mine in whole.groupby(["universe", "class", "model"], sort=False):
        measured = mine.drop_duplicates("metric").set_index("metric")
        # A difference between two models has a few metrics, and no prevalence of its own.
        if "prevalence" not in measured.index:
            continue
        row = dict(zip([*KEYS, "universe"], (screen, genome, name, model, universe)))
        row |= {key: _value(measured, key, "value") for key in _SIZES}
        for metric in MEASURES:
            row[metric] = _value(measured, metric, "value")
            row |= {f"{metric}.{end}": _value(measured, metric, end) for end in ("low", "high")}
        rows.append(row)
    return rows


def _value(measured: pd.DataFrame, metric: str, column: str) -> float:
    """Return a number of a metric, NaN where it was not measured."""
    return float(measured[column].get(metric, np.nan))


def different_places(comparison: pd.DataFrame) -> list[str]:
    """Say of which genomes and classes screens judge their models on different places.

    Their numbers cannot be compared: sites are as rare as the part that was held out has them.

    Parameters
    ----------
    comparison : pandas.DataFrame
        As `read_comparison` returns.

    Returns
    -------
    list of str
        One sentence for each genome and class.
    """
    sentences = []
    for (genome, name), rows in comparison.groupby(PLACE, sort=False):
        sizes = rows.drop_duplicates("screen")
        if len(sizes[["bins", "sites"]].drop_duplicates()) > 1:
            each = "; ".join(
                f"{row.screen}: {row.sites:,.0f} sites in {row.bins:,.0f} positions"
                for row in sizes.itertuples()
            )
            sentences.append(f"{name} on {genome} ({each})")
    return sentences
