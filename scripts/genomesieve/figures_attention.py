"""Pictures of attention beside interventions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from genomesieve.figures import BLUE, ORANGE, Panel, Picture
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.report_attention import AttentionResults, attended
from genomesieve.report_data import Screen
from genomesieve.report_numbers import decimal

_EMPTY = "No attention was measured."


def attention_pictures(screen: Screen) -> list[Picture]:
    """Return maps at the best calls and the agreement of heads; none without attention."""
    maps, heads = [], []
    for genome, found, name in attended(screen):
        row = int(np.flatnonzero(found.arrays["site_class"] == name)[0])
        site = found.sites.iloc[row]
        place = f"{site['contig']}:{int(site['position']) + 1:,} ({site['strand']})"
        title = f"{name} · {genome.name} · best call, {place}"
        maps.append(Panel(title, _map_drawer(found, row)))
        heads.append(Panel(f"{name} · {genome.name}", _head_drawer(found, name)))
    if not maps:
        return []
    return [
        Picture("attention_maps", maps[:MOST_PANELS], "wide", 1, _EMPTY),
        Picture("attention_heads", heads[:MOST_PANELS], "square", 2, _EMPTY),
    ]


def _map_drawer(found: AttentionResults, row: int):
    """Return the function that draws the attention at one site."""
    return lambda axes: draw_map(axes, found, row)


def _head_drawer(found: AttentionResults, name: str):
    """Return the function that draws the agreement of heads."""
    return lambda axes: draw_heads(axes, found, name)


def draw_map(axes: Axes, found: AttentionResults, row: int) -> None:
    """Draw the weights at one site upwards, the size of what substitutions change downwards."""
    arrays = found.arrays
    middles = arrays["offsets"][row] + float(arrays["stride"]) / 2
    weights, sizes = arrays["rollout"][row], arrays["mutagenesis"][row]
    shown = np.flatnonzero(np.isfinite(sizes))
    shown = slice(shown[0], shown[-1] + 1) if len(shown) else slice(None)
    width = 0.9 * float(arrays["stride"])
    axes.bar(middles[shown], 100 * weights[shown], width, color=BLUE, label="attention (up)")
    axes.set(xlabel="bp from the first base of the prediction", ylabel="% of weights")
    top = 100 * weights[shown].max(initial=0) or 1
    axes.set_ylim(-top * 1.1, top * 1.1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    other = axes.twinx()
    other.bar(middles[shown], -sizes[shown], width, color=ORANGE, label="mutagenesis (down)")
    least = np.nanmax(sizes, initial=0) or 1
    other.set(ylim=(-least * 1.1, least * 1.1), ylabel="log-odds")
    other.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    other.grid(visible=False)
    other.spines["right"].set_visible(True)
    handles = [*axes.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.27), ncols=2)


def draw_heads(axes: Axes, found: AttentionResults, name: str) -> None:
    """Draw the agreement of each head (columns) of each layer (rows) with mutagenesis."""
    rows = found.heads[found.heads["class"] == name]
    table = rows.pivot(index=["member", "layer"], columns="head", values="spearman")
    values = table.to_numpy()
    axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, decimal(float(value), 2), ha="center", va="center", color=colour)
    several = rows["member"].nunique() > 1
    names = [
        f"network {member + 1}, layer {layer + 1}" if several else f"layer {layer + 1}"
        for member, layer in table.index
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(table.columns)), [f"{head + 1}" for head in table.columns])
    axes.set_xlabel("head")
    axes.grid(visible=False)
