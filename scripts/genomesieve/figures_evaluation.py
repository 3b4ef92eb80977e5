"""Pictures of how good the predictions are, one panel a genome and class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from genomesieve.figures import (
    BLACK,
    BLUE,
    GREY,
    LINES,
    ORANGE,
    VERMILION,
    Panel,
    Picture,
    put_legend_below,
)
from genomesieve.report_data import GenomeResults, Screen, estimate, promises_of
from genomesieve.report_numbers import count, decimal, one_in, percent

MOST_PANELS = 24
"""Pictures stop here; the tables go on."""

_NO_ANNOTATION = "No genome of this screen has an annotation to compare with."


def evaluation_pictures(screen: Screen) -> list[Picture]:
    """Return the pictures that need an annotation, empty ones where there is none."""
    drawings = {
        "precision_recall": draw_precision_recall,
        "roc": draw_roc,
        "promises": draw_promises,
        "prevalence": draw_prevalence,
        "reliability": draw_reliability,
        "scores": draw_scores,
    }
    return [Picture(name, _panels(screen, draw), empty=_NO_ANNOTATION)
            for name, draw in drawings.items()]  # fmt: skip


def _panels(screen: Screen, draw) -> list[Panel]:
    """Return one panel for each evaluated genome and class."""
    panels = []
    for genome, name in screen.pairs()[:MOST_PANELS]:
        title = f"{name} · {genome.name}"

        def draw_pair(axes: Axes, genome=genome, name=name) -> None:
            draw(axes, screen, genome, name)

        panels.append(Panel(title, draw_pair))
    return panels


def curve_of(genome: GenomeResults, model: str, class_name: str, curve: str) -> pd.DataFrame:
    """Return the points of a curve on the genome's main universe."""
    table = genome.evaluation.curves
    return table[
        (table["model"] == model)
        & (table["class"] == class_name)
        & (table["curve"] == curve)
        & (table["universe"] == genome.universe)
    ]


def _draw_curves(
    axes: Axes, screen: Screen, genome: GenomeResults, class_name: str, curve: str, metric: str
) -> None:
    """Draw one curve for each model, with its band, labelled with a metric."""
    for number, model in enumerate(screen.models):
        points = curve_of(genome, model.name, class_name, curve)
        if points.empty:
            continue
        style = LINES[number % len(LINES)]
        label = model.name
        if metric:
            value = estimate(genome, model.name, class_name, metric).value
            short = {"average_precision": "AP", "auroc": "AUROC"}[metric]
            label = f"{model.name}: {short} {decimal(value)}"
        axes.plot(points["x"], points["y"], label=label, zorder=3, **style)
        band = points.dropna(subset=["low", "high"])
        if len(band):
            axes.fill_between(
                band["x"], band["low"], band["high"], color=style["color"], alpha=0.2, linewidth=0
            )


def draw_precision_recall(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw precision against recall at the genome's own prevalence."""
    _draw_curves(axes, screen, genome, name, "precision_recall", "average_precision")
    prevalence = estimate(genome, screen.network.name, name, "prevalence").value
    if np.isfinite(prevalence):
        label = f"chance = prevalence, {one_in(prevalence)}"
        axes.axhline(prevalence, color=GREY, linestyle=(0, (1, 1.5)), label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="recall (share of the sites found)")
    axes.set_ylabel("precision (share that is right)")
    put_legend_below(axes)


def draw_roc(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw the ROC curve, with the false calls per megabase that its axis stands for."""
    _draw_curves(axes, screen, genome, name, "roc", "auroc")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (1, 1.5)), label="chance")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    per_megabase = screen.strands * 1e6 / screen.resolution
    above = axes.secondary_xaxis(
        "top", functions=(lambda x: x * per_megabase, lambda x: x / per_megabase)
    )
    above.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    above.set_xticks(np.array([0, 0.25, 0.5, 0.75, 1]) * per_megabase)
    above.set_xlabel("false positives per Mb of genome", fontsize=8.5)
    above.tick_params(labelsize=8)
    put_legend_below(axes)


def draw_promises(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw the promised interval and the precision found, for each target."""
    rows = promises_of(genome, screen.network.name, name)
    labels = []
    for place, row in enumerate(rows.to_dict("records")):
        first = place == 0
        labels.append(f"{percent(row['precision_target'])}\n{count(row['calls'])} calls")
        axes.plot(
            [place - 0.38, place + 0.38],
            [row["precision_target"]] * 2,
            color=BLACK,
            linestyle=":",
            label="asked for" if first else None,
        )
        if not row["reached"]:
            labels[-1] += "\nnot reached"
        _draw_interval(
            axes, place - 0.12, row["promised"], row["low"], row["high"], BLUE, "s",
            "promised (95 % prediction interval)" if first else None, bool(row["reached"]),
        )  # fmt: skip
        _draw_interval(
            axes, place + 0.12, row["observed"], row["observed_low"], row["observed_high"],
            VERMILION, "o", "found (95 % interval)" if first else None, True,
        )  # fmt: skip
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlim=(-0.6, max(len(labels), 1) - 0.4), ylabel="precision of merged calls")
    axes.set_xlabel("precision asked for")
    low = rows[["low", "observed_low", "observed", "precision_target"]].min().min()
    axes.set_ylim(max(0, min(0.5, (low if np.isfinite(low) else 0.5) - 0.05)), 1.02)
    axes.grid(visible=False, axis="x")
    lines = max((text.count("\n") for text in labels), default=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2 - 0.06 * lines), ncols=1)


def _draw_interval(axes, x, value, low, high, color, marker, label, filled) -> None:
    """Draw a value with its interval; hollow where the target was not reached."""
    if not np.isfinite(value):
        return
    if np.isfinite(low) and np.isfinite(high):
        axes.plot([x, x], [low, high], color=color, linewidth=5, alpha=0.35, zorder=2)
    face = color if filled else "white"
    axes.plot(
        x, value, marker=marker, color=color, markerfacecolor=face, linestyle="", label=label,
        zorder=3,
    )  # fmt: skip


def draw_prevalence(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw the precision that the operating point would have at other prevalences."""
    _draw_curves(axes, screen, genome, name, "prevalence", "")
    prevalence = estimate(genome, screen.network.name, name, "prevalence").value
    points = curve_of(genome, screen.network.name, name, "prevalence").sort_values("x")
    if np.isfinite(prevalence) and len(points):
        for factor, text, marker in ((1 / 3, "a third", "v"), (1, "here", "o"), (3, "3 x", "^")):
            value = precision_at(points, prevalence * factor)
            axes.plot(
                prevalence * factor, value, marker=marker, color=BLACK, linestyle="",
                label=f"{text}: {percent(value)}", zorder=4,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(-0.01, 1.02)
    axes.set(xlabel="prevalence (sites per prediction)", ylabel="precision at the operating point")
    put_legend_below(axes, columns=3)


def precision_at(points: pd.DataFrame, prevalence: float) -> float:
    """Read a prevalence curve (columns x ascending, y) at one prevalence, on a log axis."""
    if points.empty or not prevalence > 0:
        return float("nan")
    positive = points[points["x"] > 0]
    return float(np.interp(np.log(prevalence), np.log(positive["x"]), positive["y"]))


def draw_reliability(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw the observed against the expected share of sites, by bins of log-odds."""
    table = genome.evaluation.reliability
    rows = table[
        (table["model"] == screen.network.name)
        & (table["class"] == name)
        & (table["universe"] == genome.universe)
        & (table["bins"] > 0)
        & (table["expected"] > 0)
    ]
    expected = (rows["expected"] / rows["bins"]).to_numpy()
    observed = (rows["observed"] / rows["bins"]).to_numpy()
    low, high = share_interval(rows["observed"].to_numpy(), rows["bins"].to_numpy())
    seen = observed > 0
    smallest = min([*expected, *observed[seen], 1e-3])
    floor = smallest / 2
    axes.plot([floor, 1], [floor, 1], color=GREY, linestyle=(0, (1, 1.5)), label="perfect")
    axes.errorbar(
        expected[seen], observed[seen], color=BLUE, marker="o", markersize=4.5, linestyle="-",
        linewidth=1, elinewidth=1.2, label="found, with 95 % counting error",
        yerr=np.maximum([observed - low, high - observed], 0)[:, seen],
    )  # fmt: skip
    if (~seen).any():
        none = np.full((~seen).sum(), floor)
        axes.plot(
            expected[~seen], none, color=BLUE, marker="v", markerfacecolor="white", linestyle="",
            label="no site found", clip_on=False,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(floor, 1.5), ylim=(floor, 1.5))
    axes.set(xlabel="probability that was stated", ylabel="share that are sites")
    put_legend_below(axes)


def share_interval(observed: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of Wilson (1927) of shares `observed` / `bins`; never below 0."""
    share, squared = observed / bins, 1.96**2
    middle = share + squared / (2 * bins)
    spread = 1.96 * np.sqrt(share * (1 - share) / bins + squared / (4 * bins**2))
    return (middle - spread) / (1 + squared / bins), (middle + spread) / (1 + squared / bins)


def draw_scores(axes: Axes, screen: Screen, genome: GenomeResults, name: str) -> None:
    """Draw how many sites and how many other bins have each score, counts on a log axis."""
    points = curve_of(genome, screen.network.name, name, "scores")
    styles = {"background": (ORANGE, "--"), "sites": (BLUE, "-")}
    for label, (color, line) in styles.items():
        rows = points[points["label"] == label].sort_values("x")
        if rows.empty:
            continue
        x, y = rows["x"].to_numpy(float), rows["y"].to_numpy(float)
        counts = np.where(y > 0, y, np.nan)
        axes.fill_between(x, 0.5, np.where(y > 0, y, 0.5), color=color, alpha=0.25, step="mid")
        axes.step(
            x, counts, where="mid", color=color, linestyle=line, label=f"{label}: {count(y.sum())}"
        )
    threshold = screen.network.operating(name)
    if threshold and np.isfinite(threshold.get("score", np.nan)):
        axes.axvline(threshold["score"], color=BLACK, linestyle=":", label="operating threshold")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.set(xlabel="score (log-odds, natural log)", ylabel="number of predictions")
    put_legend_below(axes)
