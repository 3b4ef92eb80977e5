"""What every threshold would call: counts at rising recall, for a chart whose threshold moves.

Nothing is computed anew. The evaluation wrote the corners of each ROC curve, which are exact shares
of sites and of other places; with the size of the universe they are counts again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.report_data import GenomeResults, Screen, estimate
from genomesieve.report_numbers import ABSENT, count, decimal, percent
from genomesieve.report_tables import Table

MOST_POINTS = 12_000
"""Points of all curves together; beyond it every curve is thinned (30 bytes each on the page)."""

GRIDS = (1, 2, 5, 10)
"""Distances between the recalls of a thinned curve, in steps of half a percent."""

READ_AT = (10, 25, 50, 75, 90)
"""Recalls, in percent, at which the page lists thresholds without any script."""

ALL_SITES = "all sites"
UNLEAKED = "sites unlike training sequence"


@dataclass(frozen=True)
class ThresholdCurves:
    """Curves of all models, classes, genomes and universes of a screen.

    Parameters
    ----------
    series : pandas.DataFrame
        One row a curve: genome, class, universe, model, sites (positive bins), negatives,
        megabases (of the universe, each base once), operating (recall in percent at the operating
        threshold, NaN where unknown).
    points : pandas.DataFrame
        series (row of the former), percent (least recall asked for, in percent), true, false
        (positive and other bins at or above the highest threshold that reaches it), score (that
        threshold; NaN in results of older versions), low, high (95 % band of the precision).
    """

    series: pd.DataFrame
    points: pd.DataFrame

    @property
    def empty(self) -> bool:
        """Whether there is no curve at all."""
        return self.series.empty


def threshold_curves(screen: Screen) -> ThresholdCurves:
    """Gather the curves of a screen, thinned alike where they are many.

    Parameters
    ----------
    screen : Screen

    Returns
    -------
    ThresholdCurves
        Of the first `MOST_PANELS` pairs of genome and class, as pictures show them.
    """
    series, points = [], []
    for genome, name in screen.pairs()[:MOST_PANELS]:
        table = genome.evaluation.curves
        mine = table[(table["class"] == name) & table["curve"].isin(["roc", "precision_recall"])]
        for (universe, model), curves in mine.groupby(["universe", "model"], sort=False):
            facts = _facts(screen, genome, name, str(universe), str(model))
            found = _points(curves, facts)
            if len(found):
                points.append(found.assign(series=len(series)))
                series.append(facts)
    if not series:
        return ThresholdCurves(pd.DataFrame(), pd.DataFrame())
    grid = next((step for step in GRIDS if len(series) * 200 / step <= MOST_POINTS), GRIDS[-1])
    joined = pd.concat(points, ignore_index=True)
    kept = joined[np.round(joined["percent"] * 2).astype(int) % grid == 0]
    return ThresholdCurves(pd.DataFrame(series), kept.reset_index(drop=True))


def _facts(screen: Screen, genome: GenomeResults, name: str, universe: str, model: str) -> dict:
    """Return the row of `series` of one curve."""
    measured = {
        metric: estimate(genome, model, name, metric, universe).value
        for metric in ("bins", "prevalence", "operating_recall")
    }
    bins = measured["bins"]
    sites = np.round(bins * measured["prevalence"])
    return {
        "genome": genome.name,
        "class": name,
        "universe": universe_name(genome, universe),
        "model": model,
        "sites": sites,
        "negatives": bins - sites,
        "megabases": bins * screen.resolution / screen.strands / 1e6,
        "operating": 100 * measured["operating_recall"],
    }


def universe_name(genome: GenomeResults, universe: str) -> str:
    """Return what a universe is called beside those of other genomes, whose parts differ."""
    names = {genome.universe: ALL_SITES, f"{genome.universe}:unleaked": UNLEAKED}
    return names.get(universe, universe)


def _points(curves: pd.DataFrame, facts: dict) -> pd.DataFrame:
    """Return the points of one curve without its number; none where it cannot be counted."""
    roc = curves[curves["curve"] == "roc"].sort_values(["y", "x"])
    recall = curves[curves["curve"] == "precision_recall"].sort_values("x")
    if roc.empty or recall.empty or not facts["sites"] > 0:
        return pd.DataFrame()
    levels = recall["x"].to_numpy()
    place = np.searchsorted(roc["y"].to_numpy(), levels)
    reached = place < len(roc)
    corners = roc.iloc[place[reached]]
    scores = corners["score"] if "score" in corners else pd.Series(np.nan, corners.index)
    return pd.DataFrame(
        {
            "percent": np.round(levels[reached] * 200) / 2,
            "true": np.round(corners["y"].to_numpy() * facts["sites"]),
            "false": np.round(corners["x"].to_numpy() * facts["negatives"]),
            "score": scores.to_numpy(float),
            "low": recall["low"].to_numpy()[reached],
            "high": recall["high"].to_numpy()[reached],
        }
    )


def chart_data(curves: ThresholdCurves) -> dict:
    """Return curves as plain lists by column, rounded, for JSON; what is not known is None."""
    series = curves.series.to_dict("records")
    digits = {"score": 5, "low": 4, "high": 4}
    points = {}
    for name in ("series", "percent", "true", "false", *digits):
        values = curves.points[name]
        if name in digits:
            points[name] = [_number(value, digits[name]) for value in values]
        elif name == "percent":
            points[name] = [float(value) for value in values]
        else:
            points[name] = [int(value) for value in values]
    return {
        "series": [{key: _plain(value) for key, value in row.items()} for row in series],
        "points": points,
    }


def _number(value: float, digits: int) -> float | None:
    """Round a number; None where there is none."""
    return round(float(value), digits) if np.isfinite(value) else None


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    return value if isinstance(value, str) else _number(value, 6)


def thresholds_table(curves: ThresholdCurves) -> Table:
    """List what thresholds of each model call at some recalls, on all sites."""
    rows = []
    for number, facts in curves.series.iterrows():
        if facts["universe"] != ALL_SITES:
            continue
        mine = curves.points[curves.points["series"] == number]
        for row in mine[mine["percent"].isin(READ_AT)].itertuples():
            called = row.true + row.false
            rows.append(
                [facts["genome"], facts["class"], facts["model"], percent(row.percent / 100),
                 decimal(row.score, 2) if np.isfinite(row.score) else ABSENT, count(called),
                 count(row.true), count(row.false), percent(row.true / called),
                 decimal(row.false / facts["megabases"], 1)]
            )  # fmt: skip
    return Table(
        ["genome", "class", "model", "recall of at least", "score", "called", "right", "wrong",
         "precision", "false positives per Mb"],
        rows, 3,
    )  # fmt: skip
