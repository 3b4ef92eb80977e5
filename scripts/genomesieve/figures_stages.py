"""Pictures of what a screen with stages kept and lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genomesieve.figures import LINES, Panel, Picture, as_plain, put_legend_below
from genomesieve.report_data import Screen
from genomesieve.report_numbers import Estimate, with_interval
from genomesieve.report_stages import OLDER, stage_cell, stage_methods, stage_names

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def stage_pictures(screen: Screen) -> list[Picture]:
    """Return the heat maps, curves and trade-offs of a screen; none without stages."""
    if not screen.has_stages:
        return []
    stages = stage_names(screen)
    matrices = [Panel(name, _matrix_drawer(screen, name)) for name in stage_methods(screen)]
    curves = [Panel(f"what {name} taught", _curve_drawer(screen, name)) for name in stages]
    trades = [Panel(f"after {stage}", _trade_drawer(screen, stage)) for stage in stages[1:]]
    return [
        Picture("stage_matrix", matrices),
        Picture("stage_curves", curves),
        Picture("stage_trade_off", trades),
    ]


def _matrix_drawer(screen: Screen, method: str):
    """Return the function that draws the matrix of a method."""
    return lambda axes: draw_matrix(axes, screen, method)


def _curve_drawer(screen: Screen, task: str):
    """Return the function that draws what became of what a stage taught."""
    return lambda axes: draw_curves(axes, screen, task)


def _trade_drawer(screen: Screen, stage: str):
    """Return the function that draws old against new after a stage."""
    return lambda axes: draw_trade_off(axes, screen, stage)


def draw_matrix(axes: Axes, screen: Screen, method: str) -> None:
    """Draw average precision after each stage (rows) on what each stage taught (columns)."""
    stages = stage_names(screen)
    cells = [[stage_cell(screen, method, row, column) for column in stages] for row in stages]
    values = np.array([[cell.value for cell in row] for row in cells])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > 0.6 else "black"
            text = with_interval(cells[row][column]).replace(" (", "\n(")
            axes.text(column, row, text, ha="center", va="center", color=colour)
    names = [as_plain(name) for name in stages]
    axes.set_xticks(range(len(stages)), names)
    axes.set_yticks(range(len(stages)), [f"after {name}" for name in names])
    axes.set_xlabel("average precision on what this stage taught")
    axes.grid(False)


def draw_curves(axes: Axes, screen: Screen, task: str) -> None:
    """Draw what became of what one stage taught, a line a method."""
    stages = stage_names(screen)
    methods = stage_methods(screen)
    for number, method in enumerate(methods):
        cells = [stage_cell(screen, method, stage, task) for stage in stages]
        place = np.arange(len(stages)) + 0.06 * (number - (len(methods) - 1) / 2)
        style = LINES[number % len(LINES)] | {"marker": MARKERS[number % len(MARKERS)]}
        values = np.array([cell.value for cell in cells])
        axes.errorbar(place, values, _spread(cells), label=as_plain(method), capsize=2, **style)
    axes.set_xticks(range(len(stages)), [f"after {as_plain(name)}" for name in stages])
    axes.set(ylim=(-0.02, 1.02), ylabel="average precision")
    put_legend_below(axes)


def draw_trade_off(axes: Axes, screen: Screen, stage: str) -> None:
    """Draw the average precision on older stages against that on the stage itself."""
    table = screen.stage_matrix
    own = table[(table["after"] == stage) & (table["task"] == OLDER)]
    consolidated = own[(own["kind"] == "ewc") & own["lambda"].notna()].sort_values("lambda")
    if len(consolidated) > 1:
        points = [_point(screen, stage, method) for method in consolidated["method"]]
        line = [(new.value, old.value) for new, old in points]
        axes.plot(*zip(*line), color=LINES[0]["color"], linewidth=1, label="ewc, by lambda")
    for number, (method, kind, strength) in enumerate(
        zip(own["method"], own["kind"], own["lambda"])
    ):
        new, old = _point(screen, stage, method)
        colour = LINES[number % len(LINES)]["color"]
        axes.errorbar(
            [new.value], [old.value], _spread([old]), _spread([new]), color=colour, capsize=2,
            marker=MARKERS[number % len(MARKERS)], linestyle="",
            label=as_plain(_label(method, kind, strength)),
        )  # fmt: skip
    axes.set_xlabel(f"new: average precision of {as_plain(stage)}")
    axes.set_ylabel("old: mean of earlier stages")
    put_legend_below(axes)


def _label(method: str, kind: str, strength: float) -> str:
    """Name a method, with lambda where the name does not tell it."""
    tells = kind != "ewc" or not np.isfinite(strength) or "lambda" in method
    return method if tells else f"{method} (lambda {strength:g})"


def _point(screen: Screen, stage: str, method: str) -> tuple[Estimate, Estimate]:
    """Return what a method reaches on a stage and on older ones, after it."""
    return stage_cell(screen, method, stage, stage), stage_cell(screen, method, stage, OLDER)


def _spread(cells: list[Estimate]) -> np.ndarray:
    """Return the distances from values to both ends of their intervals, shape=(2, cells)."""
    table = pd.DataFrame(cells, columns=["value", "low", "high"])
    ends = np.stack([table["value"] - table["low"], table["high"] - table["value"]])
    return np.clip(np.nan_to_num(ends), 0, None)
