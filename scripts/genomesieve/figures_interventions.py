"""Pictures of what motifs do to a model when they are put in, taken out and moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from genomesieve.figures import (
    BLUE,
    GREY,
    LINES,
    VERMILION,
    YELLOW,
    Panel,
    Picture,
    as_plain,
    put_legend_below,
)
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.report_data import Screen
from genomesieve.report_interventions import (
    PAIR,
    InterventionResults,
    intervened,
    intervened_classes,
    motifs_at_sites,
    telling_pairs,
)

_EMPTY = "No motif was put in."
_DRAWN_MOTIFS = 3
_FAINT = 0.05
"""Places at which no motif reaches this share of the largest effect are cut off at both sides."""
_MARGIN = 10
_STRANDS = (("+", "-"), ("-", "--"))


def intervention_pictures(screen: Screen) -> list[Picture]:
    """Return effects alone, by place, of pairs and at sites; none where nothing was measured."""
    if not intervened(screen):
        return []
    effects, places, sites = [], [], []
    for genome, found, name in intervened_classes(screen):
        title = f"{name} · {genome.name}"
        effects.append(Panel(title, _drawer(draw_effects, found, name)))
        width = int(found.summary["resolution"])
        places.append(Panel(title, _drawer(draw_places, found, name, width)))
        if motifs_at_sites(found, name):
            sites.append(Panel(title, _drawer(draw_sites, found, name)))
    pairs = [
        Panel(
            f"{row['first']} with {row['second']}\n{row['class']} · {genome.name}",
            _drawer(draw_pair, found, row),
        )
        for genome, found in intervened(screen)
        for row in telling_pairs(found).drop_duplicates(PAIR).to_dict("records")
    ]
    return [
        Picture("intervention_effects", effects[:MOST_PANELS], empty=_EMPTY),
        Picture("intervention_positions", places[:MOST_PANELS], empty=_EMPTY),
        Picture("intervention_pairs", pairs[:MOST_PANELS], empty="No pair is far from additive."),
        Picture("intervention_sites", sites[:MOST_PANELS], empty="No site carries a motif."),
    ]


def _drawer(draw: Callable, *values: object) -> Callable[[Axes], None]:
    """Return a function that draws with some values."""
    return lambda axes: draw(axes, *values)


def draw_effects(axes: Axes, found: InterventionResults, name: str) -> None:
    """Draw what the strongest motifs do alone, and their shuffled letters beside it."""
    table = found.strongest(name).iloc[::-1]
    rows = np.arange(len(table))
    for columns, colour, marker, label, lift in (
        (("control", "control_low", "control_high"), GREY, "s", "other order", -0.15),
        (("effect", "low", "high"), BLUE, "o", "motif", 0.15),
    ):
        value, low, high = (table[column].to_numpy(float) for column in columns)
        spread = np.clip([value - low, high - value], 0, None)
        axes.errorbar(value, rows + lift, xerr=spread, color=colour, marker=marker, markersize=4.5,
                      linestyle="", capsize=2, label=label)  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(rows, [as_plain(short_name(motif)) for motif in table["motif"]])
    axes.set(xlabel="effect on the model (log-odds)", ylim=(-0.6, len(table) - 0.4))
    put_legend_below(axes)


def draw_places(axes: Axes, found: InterventionResults, name: str, width: int) -> None:
    """Draw the effects of the strongest motifs by place, a line a motif and strand."""
    table = found.tables["positions"]
    table = table[table["class"] == name]
    motifs = found.strongest(name)["motif"].head(_DRAWN_MOTIFS)
    for number, motif in enumerate(motifs):
        for strand, dashes in _STRANDS:
            mine = table[(table["motif"] == motif) & (table["strand"] == strand)]
            mine = mine.sort_values("offset")
            label = as_plain(short_name(motif)) if strand == "+" else None
            axes.plot(mine["offset"], mine["effect"], color=LINES[number]["color"],
                      linestyle=dashes, linewidth=1.4, label=label)  # fmt: skip
    drawn = table[table["motif"].isin(motifs)]
    sizes = drawn["effect"].abs()
    telling = drawn.loc[sizes >= _FAINT * sizes.max(), "offset"]
    axes.set_xlim(telling.min() - _MARGIN, telling.max() + _MARGIN)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvspan(-0.5, width - 0.5, color=YELLOW, alpha=0.25, zorder=0, linewidth=0)
    axes.set(xlabel="first base of the motif (bp from the prediction)", ylabel="effect (log-odds)")
    put_legend_below(axes)


def draw_pair(axes: Axes, found: InterventionResults, row: dict) -> None:
    """Draw by how much two motifs exceed the sum of both, by their distance."""
    table = found.tables["pairs"]
    for key in PAIR:
        table = table[table[key] == row[key]]
    for (strand, dashes), colour in zip(_STRANDS, (BLUE, VERMILION)):
        mine = table[table["second_strand"] == strand].sort_values("distance")
        for _, part in mine.groupby(mine["distance"] > 0):
            place = part["distance"]
            axes.fill_between(place, part["low"], part["high"], color=colour, alpha=0.2, lw=0)
            axes.plot(place, part["interaction"], color=colour, linestyle=dashes, linewidth=1.4)
        axes.plot(
            [],
            [],
            color=colour,
            linestyle=dashes,
            label=f"second on strand {strand}".replace("-", "−"),
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axvline(0, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xlabel="second from first (bp)", ylabel="beyond the sum (log-odds)")
    put_legend_below(axes)


def draw_sites(axes: Axes, found: InterventionResults, name: str) -> None:
    """Draw what is lost when hits at sites are taken out (lines) or moved (points)."""
    for number, motif in enumerate(motifs_at_sites(found, name)):
        means = found.site_means(name, motif)
        colour = LINES[number]["color"]
        moved = means[means["action"] == "move"].sort_values("shift")
        spread = [moved["effect"] - moved["low"], moved["high"] - moved["effect"]]
        sites = int(means["sites"].max())
        axes.errorbar(moved["shift"], moved["effect"], yerr=np.clip(spread, 0, None), capsize=2,
                      color=colour, marker="o", markersize=4, linewidth=1.2,
                      label=as_plain(f"{short_name(motif)} ({sites} sites)"))  # fmt: skip
        for taken in means.loc[means["action"] == "delete", "effect"]:
            axes.axhline(taken, color=colour, linestyle="--", linewidth=1)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="moved by (bp); dashed: taken out", ylabel="change of the score (log-odds)")
    put_legend_below(axes)


def short_name(motif: str, most: int = 22) -> str:
    """Shorten a motif's name to what an axis has room for."""
    return motif if len(motif) <= most else motif[: most - 1] + "…"
