"""Pictures of motifs that a model uses, beside known ones, and of where they stand."""

from __future__ import annotations

import logomaker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genomesieve.figures import LINES, Panel, Picture, as_plain, put_legend_below
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.figures_genome import letter_colors
from genomesieve.report_data import Screen
from genomesieve.report_motifs import MotifResults, motif_classes, with_motifs

LETTERS = "ACGT"
_MOST_OF_A_CLASS = 4
_MOST_LOGOS = 4 * MOST_PANELS
_MOST_LINES = len(LINES)
_WIDTH = 5
"""bp of a step in the picture of places."""


def motif_pictures(screen: Screen) -> list[Picture]:
    """Return logos and places of motifs; none where none were looked for."""
    if not with_motifs(screen):
        return []
    logos, places = [], []
    for genome, found, name in motif_classes(screen):
        rows = found.patterns(name)
        for row in rows.head(_MOST_OF_A_CLASS).to_dict("records"):
            title = f"{row['motif']} · {genome.name}"
            logos.append(Panel(title, _logo_drawer(found, row)))
        if rows["offset"].isna().any():
            places.append(Panel(f"{name} · {genome.name}", _place_drawer(found, name)))
    return [
        Picture("motif_logos", logos[:_MOST_LOGOS], "square", 3, "No motif was found."),
        Picture("motif_places", places[:MOST_PANELS], "square", 2, "No motif moves about."),
    ]


def _logo_drawer(found: MotifResults, row: dict):
    """Return the function that draws a motif and its match."""
    return lambda axes: draw_motif(axes, found, row)


def _place_drawer(found: MotifResults, name: str):
    """Return the function that draws where the motifs of a class stand."""
    return lambda axes: draw_places(axes, found, name)


def draw_motif(axes: Axes, found: MotifResults, row: dict) -> None:
    """Draw a motif's contributions and, below and in line with it, the known motif like it."""
    axes.set_axis_off()
    name = row["motif"]
    heights = found.matrices[f"{name}/contributions"]
    top = axes.inset_axes([0, 0.6, 1, 0.4])
    known = found.matrices.get(f"match/{name}/counts")
    low, high = 0, heights.shape[1]
    if known is not None:
        start = int(found.matrices[f"match/{name}/offset"])
        low, high = min(low, start), max(high, start + known.shape[1])
        bottom = axes.inset_axes([0, 0, 1, 0.36])
        _draw_letters(bottom, information(known), start)
        bottom.set(xlim=(low - 0.6, high - 0.4), ylim=(0, 2), ylabel="bits", xticks=[])
        words = f"{as_plain(row['match_name'])}, q {row['q_value']:.1g}"
        bottom.set_title(words, fontsize=9, fontweight="normal", pad=3)
    _draw_letters(top, heights, 0)
    top.set(xlim=(low - 0.6, high - 0.4), ylabel="log-odds", xticks=[])


def _draw_letters(axes: Axes, heights: np.ndarray, start: int) -> None:
    """Draw letters of heights (letters, width) from a position on."""
    positions = np.arange(start, start + heights.shape[1])
    table = pd.DataFrame(heights.T, positions, list(LETTERS))
    if table.to_numpy().any():
        logomaker.Logo(
            table, ax=axes, color_scheme=letter_colors(LETTERS), show_spines=False,
            flip_below=False,
        )  # fmt: skip
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.grid(visible=False)


def information(counts: np.ndarray) -> np.ndarray:
    """Return the height in bits of each letter of a matrix, shape=(letters, width)."""
    shares = (counts + 1e-9) / (counts + 1e-9).sum(0)
    bits = np.log2(len(counts)) + (shares * np.log2(shares)).sum(0)
    return shares * np.maximum(bits, 0)


def draw_places(axes: Axes, found: MotifResults, name: str) -> None:
    """Draw how many calls of a class carry each motif, by where its first base lies."""
    rows = found.patterns(name)
    rows = rows[rows["offset"].isna()].head(_MOST_LINES)
    hits = found.hits[found.hits["motif"].isin(rows["motif"])]
    for number, row in enumerate(rows.to_dict("records")):
        mine = hits[hits["motif"] == row["motif"]]
        steps = mine["offset"].to_numpy() // _WIDTH * _WIDTH
        # A call counts once at each place, whichever strand its hits are on.
        placed = pd.Series(steps).groupby([mine["site"].to_numpy(), steps]).first()
        shares = 100 * placed.value_counts().sort_index() / max(row["sites"], 1)
        if len(shares):
            places = np.arange(shares.index.min() - _WIDTH, shares.index.max() + 2 * _WIDTH, _WIDTH)
            values = shares.reindex(places, fill_value=0)
            style = LINES[number % len(LINES)]
            label = as_plain(row["motif"])
            axes.plot(places + _WIDTH / 2, values, drawstyle="steps-mid", label=label, **style)
    axes.set(
        xlabel="bp from the first base of the prediction", ylabel=f"% of calls, per {_WIDTH} bp"
    )
    axes.set_ylim(bottom=0)
    put_legend_below(axes)
