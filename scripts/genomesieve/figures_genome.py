"""Pictures along genomes: where calls lie, how the genome was split, what the calls look like."""

from __future__ import annotations

from collections.abc import Iterable

import logomaker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from genomesieve.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Panel,
    Picture,
    as_plain,
    put_legend_below,
)
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.logos import FLANK, codes_around, information
from genomesieve.report_data import GenomeResults, ModelFacts, Screen
from genomesieve.report_numbers import count

MOST_INTERVALS = 6
MOST_CONTIGS = 12
MOST_FALSE = 200
"""How many of the best-scoring false positives are looked at."""

_PARTS = {
    "train": (BLUE, ""),
    "valid": (ORANGE, "//"),
    "calibrate": (GREEN, "\\\\"),
    "test": (VERMILION, "xx"),
    "screen": (PURPLE, ".."),
}
_LETTERS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION}


def genome_map(screen: Screen) -> Picture:
    """Return the density of calls along the scanned stretches of each genome."""
    panels = []
    for genome in screen.scanned:
        longest = genome.intervals.assign(bases=genome.intervals["end"] - genome.intervals["start"])
        longest = longest.nlargest(MOST_INTERVALS, "bases").sort_index()
        for row in longest.itertuples():

            def draw(axes: Axes, genome=genome, row=row) -> None:
                draw_map(axes, genome, row.contig, int(row.start), int(row.end))

            panels.append(Panel(f"{genome.name} · {row.contig}", draw))
    return Picture("genome_map", panels[:MOST_PANELS], "wide", 1, "Nothing was scanned.")


def draw_map(axes: Axes, genome: GenomeResults, contig: str, start: int, end: int) -> None:
    """Draw calls per megabase in windows of [start, end) of a contig, right ones above zero."""
    edges = np.linspace(start, end, 101)
    per_megabase = 1e6 / (edges[1] - edges[0])

    def density(rows: pd.DataFrame) -> np.ndarray:
        here = rows[(rows["contig"] == contig) & (rows["start"].between(start, end - 1))]
        return np.histogram(here["start"], edges)[0] * per_megabase

    def fill(heights: np.ndarray, color: str, label: str) -> None:
        axes.stairs(heights, edges / 1e6, fill=True, color=color, alpha=0.55, label=label)
        axes.stairs(heights, edges / 1e6, color=color, linewidth=0.9)

    if genome.evaluation is None:
        fill(density(genome.calls), SKY, "calls (no annotation to judge them)")
    else:
        calls = genome.evaluation.calls
        made = calls[calls["called"].astype(bool)]
        fill(density(made[made["status"] == "true"]), BLUE, "calls that are annotated sites")
        fill(-density(made[made["status"] == "false"]), VERMILION, "calls that are not")
        sites = annotated_sites(calls)
        axes.stairs(
            density(sites), edges / 1e6, color=BLACK, linewidth=0.8, linestyle=":",
            label="annotated sites",
        )  # fmt: skip
        axes.axhline(0, color=GREY, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlim=(start / 1e6, end / 1e6), xlabel="position (Mb)", ylabel="per Mb")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.27), ncols=3)


def split_picture(screen: Screen) -> Picture:
    """Return the parts of every genome along its contigs."""
    panels = []
    for genome in screen.genomes:

        def draw(axes: Axes, genome=genome) -> None:
            draw_split(axes, genome)

        panels.append(Panel(genome.name, draw))
    return Picture("split", panels[:MOST_PANELS], "wide", 1, "No genome was split.")


def draw_split(axes: Axes, genome: GenomeResults) -> None:
    """Draw the parts of a genome as bars on its contigs, the longest contigs only."""
    split = genome.split
    used = list(dict.fromkeys(split["contig"]))
    lengths = genome.genome.contigs.set_index("contig")["length"]
    shown = sorted(used, key=lambda name: -int(lengths[name]))[:MOST_CONTIGS]
    shown = [name for name in used if name in shown]
    for place, contig in enumerate(shown):
        length = int(lengths[contig]) / 1e6
        axes.barh(place, length, height=0.16, color="#d0d0d0", edgecolor="none", zorder=1)
        for row in split[split["contig"] == contig].itertuples():
            color, hatch = _PARTS.get(row.part, (SKY, ""))
            axes.barh(
                place, (row.end - row.start) / 1e6, left=row.start / 1e6, height=0.62,
                color=color, hatch=hatch, edgecolor="white", linewidth=0, zorder=2,
            )  # fmt: skip
    parts = [part for part in _PARTS if (split["part"] == part).any()]
    handles = [
        Patch(facecolor=_PARTS[part][0], hatch=_PARTS[part][1], edgecolor="white", label=part)
        for part in parts
    ]
    handles.append(Patch(facecolor="#d0d0d0", label="not used, or guard between parts"))
    axes.set_yticks(range(len(shown)), [as_plain(name) for name in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    hidden = f" ({count(len(used) - len(shown))} shorter contigs not drawn)"
    axes.set_xlabel("position (Mb)" + (hidden if len(used) > len(shown) else ""))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.27), ncols=6)


def annotated_sites(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of judged calls that are annotated sites: called, or listed as missed."""
    called = judged["called"].astype(bool) & (judged["status"] == "true")
    return judged[called | (judged["status"] == "missed")]


def called_sites(genome: GenomeResults, class_name: str) -> dict[str, pd.DataFrame]:
    """Return the places whose sequence is worth a look, by what they are.

    Returns
    -------
    dict of str to pandas.DataFrame
        `annotated sites`, `calls`, `best-scoring false positives`, `missed sites`; without an
        annotation only `calls`. Columns contig, start, end, strand and others.
    """
    calls = genome.calls[genome.calls["class"] == class_name]
    if genome.evaluation is None:
        return {"calls": calls}
    judged = genome.evaluation.calls
    judged = judged[judged["class"] == class_name]
    false = judged[judged["status"] == "false"].nlargest(MOST_FALSE, "score")
    return {
        "annotated sites": annotated_sites(judged),
        "calls": calls,
        "best-scoring false positives": false,
        "missed sites": judged[judged["status"] == "missed"],
    }


def logo_picture(screen: Screen) -> Picture:
    """Return the logos of annotated sites, calls and the best false positives."""
    panels = []
    pairs = [(genome, name) for genome in screen.scanned for name in screen.classes]
    for genome, name in pairs[:MOST_PANELS]:
        for kind, sites in called_sites(genome, name).items():
            if kind == "missed sites":
                continue

            def draw(axes: Axes, genome=genome, sites=sites) -> None:
                draw_logo(axes, codes_around(sites, genome.genome), genome)

            title = f"{name} · {genome.name}\n{kind}, n = {count(len(sites))}"
            panels.append(Panel(title, draw))
    return Picture("logos", panels, "logo", 3, "Nothing was called.")


def letter_colors(letters: Iterable[str]) -> dict[str, str]:
    """Return the colour of each letter in a logo."""
    return {letter: _LETTERS.get(letter, GREY) for letter in letters}


def draw_logo(axes: Axes, windows: np.ndarray, genome: GenomeResults) -> None:
    """Draw a sequence logo in bits around the site's base, which is position 0."""
    alphabet = genome.genome.alphabet
    offsets = np.arange(-FLANK, FLANK + 1)
    bits = information(windows, alphabet)
    # Letters too small to be seen only make the file larger.
    table = pd.DataFrame(np.where(bits < 0.004, 0, bits), offsets, list(alphabet.letters))
    if table.to_numpy().any():
        colors = letter_colors(alphabet.letters)
        logomaker.Logo(table, ax=axes, color_scheme=colors, show_spines=False)
        axes.spines[["left", "bottom"]].set_visible(True)
    else:
        words = "no base stands out" if len(windows) else "none"
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
    axes.axvspan(-0.5, 0.5, color=YELLOW, alpha=0.25, zorder=0, linewidth=0)
    # Weak patterns, as around wide bins, are drawn on a finer scale than 0 to 2 bits.
    highest = bits.sum(1).max(initial=0)
    top = next((limit for limit in (0.2, 0.5, 1) if highest < limit), np.log2(alphabet.size))
    axes.set(xlim=(-FLANK - 0.6, FLANK + 0.6), ylim=(0, top), ylabel="bits")
    axes.set_xticks(range(-FLANK, FLANK + 1, 5))
    axes.grid(visible=False)


def training_picture(screen: Screen) -> Picture:
    """Return the loss and the validation average precision during training."""
    history = screen.network.history
    panels = []
    if history.get("loss", pd.Series(dtype=float)).notna().any():
        panels.append(Panel("loss", lambda axes: draw_loss(axes, screen.network)))
    if any(name.startswith("validation_average_precision") for name in history.columns):
        panels.append(
            Panel("validation average precision", lambda axes: draw_progress(axes, screen))
        )
    return Picture("training", panels, empty="The model keeps no history of its training.")


def draw_loss(axes: Axes, network: ModelFacts) -> None:
    """Draw the training loss (and the validation loss where it was measured) by step."""
    columns = {"loss": "training", "validation_loss": "validation"}
    for number, (column, label) in enumerate(columns.items()):
        if column not in network.history.columns:
            continue
        for rows, words in _runs(network.history.dropna(subset=[column]), label):
            marker = "o" if number or len(rows) < 30 else ""
            axes.plot(
                rows["step"], rows[column], label=words, marker=marker, markersize=4,
                **LINES[number],
            )  # fmt: skip
    _mark_rounds(axes, network.history)
    losses = network.history["loss"].dropna()
    wide = losses.min() > 0 and losses.max() > 30 * losses.min()
    axes.set_yscale("log" if wide else "linear")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="step", ylabel="weighted loss a prediction")
    put_legend_below(axes)


def _runs(history: pd.DataFrame, label: str) -> list[tuple[pd.DataFrame, str | None]]:
    """Return the history of each seed; only the first one's line is named in the legend."""
    seeds = history["seed"] if "seed" in history else pd.Series(0, index=history.index)
    runs = [rows for _, rows in history.groupby(seeds, sort=False)]
    return [(rows, None if number else label) for number, rows in enumerate(runs)]


def _mark_rounds(axes: Axes, history: pd.DataFrame) -> None:
    """Mark where each round of hard negatives begins: after the last step of the one before."""
    if "round" not in history:
        return
    last = history.groupby("round")["step"].max().sort_index()
    for number, step in enumerate(last.iloc[:-1]):
        label = None if number else "next round"
        axes.axvline(step, color=GREY, linestyle="--", linewidth=0.8, label=label)


def draw_progress(axes: Axes, screen: Screen) -> None:
    """Draw the validation average precision by step, its best mean marked."""
    history, prefix = screen.network.history, "validation_average_precision"
    for number, name in enumerate(screen.classes[: len(LINES)]):
        if f"{prefix}.{name}" in history.columns:
            for rows, words in _runs(history.dropna(subset=[f"{prefix}.{name}"]), name):
                axes.plot(
                    rows["step"], rows[f"{prefix}.{name}"], label=words, marker="o", markersize=4,
                    **LINES[number],
                )  # fmt: skip
    if prefix in history.columns and history[prefix].notna().any():
        for rows, words in _runs(history.dropna(subset=[prefix]), "best mean: kept"):
            best = rows.loc[rows[prefix].idxmax()]
            axes.axvline(best["step"], color=GREY, linestyle=":", label=words)
    _mark_rounds(axes, history)
    axes.set_ylim(-0.01, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="step", ylabel="average precision at natural prevalence")
    put_legend_below(axes, columns=3)
