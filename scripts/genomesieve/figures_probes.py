"""Pictures of what hidden layers hold, and what of it the model uses."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from genomesieve.figures import BLUE, GREY, LINES, ORANGE, Panel, Picture, put_legend_below
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.report_data import Screen
from genomesieve.report_numbers import decimal
from genomesieve.report_probes import METRICS, NAMES, PRIMARY, ProbeResults, probed

COMPARED = {"trained": "trained", "untrained": "untrained", "kmer": "k-mers"}
"""Blocks of the heat map, side by side."""
_MOST_NUMBERS = 27
"""Columns with numbers in their cells; more could not be read."""
_EMPTY = "No layer was probed."
_MARKS = {
    "erasure": {"color": BLUE, "marker": "o", "label": "all that a linear probe reads"},
    "probe": {"color": ORANGE, "marker": "s", "label": "the probe's directions"},
    "random_erasure": {"color": GREY, "marker": "o", "label": "random, as the first"},
    "random_probe": {"color": GREY, "marker": "s", "label": "random, as the second"},
}


def probe_pictures(screen: Screen) -> list[Picture]:
    """Return the heat maps, the interventions and the seeds; none where nothing was probed."""
    found = probed(screen)
    if not found:
        return []
    scores = [Panel(genome.name, _score_drawer(one)) for genome, one in found if one.properties]
    losses = [
        Panel(f"{name} · {genome.name}", _loss_drawer(one, name))
        for genome, one in found
        for name in dict.fromkeys(one.interventions["class"])
    ]
    seeds = [Panel(genome.name, _similarity_drawer(one)) for genome, one in found if one.seeds]
    return [
        Picture("probe_scores", scores[:MOST_PANELS], "wide", 1, _EMPTY),
        Picture("probe_interventions", losses[:MOST_PANELS], "square", 2, _EMPTY),
        Picture("probe_similarity", seeds[:MOST_PANELS], "square", 2, _EMPTY),
    ]


def _score_drawer(found: ProbeResults):
    """Return the function that draws the heat map."""
    return lambda axes: draw_scores(axes, found)


def _loss_drawer(found: ProbeResults, name: str):
    """Return the function that draws the interventions of a class."""
    return lambda axes: draw_losses(axes, found, name)


def _similarity_drawer(found: ProbeResults):
    """Return the function that draws how alike seeds are."""
    return lambda axes: draw_similarity(axes, found)


def score_table(found: ProbeResults, what: str, column: str = "score") -> pd.DataFrame:
    """Return the primary scores of one kind of features, properties by layers."""
    rows = found.probes[found.probes["metric"].isin(PRIMARY) & (found.probes["what"] == what)]
    table = rows.pivot(index="property", columns="layer", values=column)
    return table.reindex([one["property"] for one in found.properties])[found.layers]


def draw_scores(axes: Axes, found: ProbeResults) -> None:
    """Draw every property (rows) in every layer (columns), block by block."""
    layers, properties = found.layers, [one["property"] for one in found.properties]
    width = len(layers) + 1
    numbers = len(COMPARED) * len(layers) <= _MOST_NUMBERS
    for block, (what, title) in enumerate(COMPARED.items()):
        scores = score_table(found, what).to_numpy()
        chance = score_table(found, what, "chance").to_numpy()
        shown = np.clip((scores - chance) / (1 - chance), 0, 1)
        left = block * width - 0.5
        place = left, left + len(layers), len(properties) - 0.5, -0.5
        axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, extent=place, aspect="auto")
        axes.text(left, -0.62, title, ha="left", va="bottom", fontsize=8.5)
        for (row, column), value in np.ndenumerate(scores) if numbers else ():
            colour = "white" if shown[row, column] > 0.6 else "black"
            at = block * width + column, row
            # Without the sign of what rounds to 0.
            text = decimal(round(float(value), 2) + 0.0, 2)
            axes.text(*at, text, ha="center", va="center", color=colour, fontsize=6.3)
    columns = [
        block * width + column for block in range(len(COMPARED)) for column in range(width - 1)
    ]
    names = [name.replace("_", " ") for name in layers] * len(COMPARED)
    axes.set_xticks(columns, names, rotation=55, ha="right", rotation_mode="anchor", fontsize=7)
    metrics = {one["property"]: METRICS[one["metric"]] for one in found.properties}
    labels = [f"{NAMES[name]} ({metrics[name]})" for name in properties]
    axes.set_yticks(range(len(properties)), labels, fontsize=7.5)
    axes.set(xlim=(-0.5, len(COMPARED) * width - 1.5), ylim=(len(properties) - 0.5, -0.5))
    axes.title.set_position((0, 1.08))
    axes.set_title(axes.get_title(loc="left"), loc="left", pad=14)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def draw_losses(axes: Axes, found: ProbeResults, name: str) -> None:
    """Draw what one class loses without each property, beside random directions."""
    table = found.interventions[found.interventions["class"] == name]
    properties = list(dict.fromkeys(table["property"]))
    axes.axvline(0, color="#555555", linewidth=0.8)
    for number, (removed, style) in enumerate(_MARKS.items()):
        rows = table[table["removed"] == removed].set_index("property").reindex(properties)
        height = np.arange(len(properties)) + 0.18 * (number - 1.5)
        loss = rows["loss"].to_numpy(float)
        ends = [loss - rows["low"].to_numpy(float), rows["high"].to_numpy(float) - loss]
        # A resampled interval need not hold the value itself.
        ends = np.clip(ends, 0, None)
        own = not removed.startswith("random")
        face = style["color"] if own else "white"
        axes.errorbar(
            loss, height, xerr=ends, linestyle="none", color=style["color"], linewidth=1.1,
            marker=style["marker"], markersize=4.5, markerfacecolor=face, label=style["label"],
        )  # fmt: skip
    names = [fill(NAMES[one], 20) for one in properties]
    axes.set_yticks(range(len(properties)), names, fontsize=8)
    axes.set_ylim(len(properties) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("loss of average precision")
    put_legend_below(axes, 1)


def draw_similarity(axes: Axes, found: ProbeResults) -> None:
    """Draw CKA and the agreement of matched units over the layers, trained and untrained."""
    place = np.arange(len(found.layers))
    words = {"cka": "linear CKA", "matched_units": "matched units"}
    styles = iter(LINES)
    for what in ("trained", "untrained"):
        rows = found.similarity[found.similarity["what"] == what]
        means = rows.groupby("layer")[list(words)].mean().reindex(found.layers)
        for column, title in words.items():
            axes.plot(place, means[column], label=f"{title}, {what}", **next(styles))
    names = [name.replace("_", " ") for name in found.layers]
    axes.set_xticks(place, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set(ylim=(0, 1.02), ylabel="similarity of two seeds, mean over pairs")
    put_legend_below(axes)
