"""Pictures of which bases the scores of calls rest on."""

from __future__ import annotations

import logomaker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from genomesieve.attribution_files import JUDGE, AttributionResults
from genomesieve.figures import LINES, YELLOW, Panel, Picture, put_legend_below
from genomesieve.figures_evaluation import MOST_PANELS
from genomesieve.figures_genome import letter_colors
from genomesieve.report_attributions import (
    METHOD_WORDS,
    attributed,
    attributed_classes,
    mean_letters,
)
from genomesieve.report_data import Screen
from genomesieve.report_numbers import count

MOST_LETTERS = 70
"""Positions in a logo: more cannot be read."""
_FAINT = 0.05
_EMPTY = "No call was attributed."


def attribution_pictures(screen: Screen) -> list[Picture]:
    """Return logos of contributions and profiles of methods; none where nothing was attributed."""
    if not attributed(screen):
        return []
    logos, profiles = [], []
    for genome, found, name in attributed_classes(screen):
        rows = found.rows(name)
        if screen.resolution == 1:
            # Wider bins do not align their sites, and a mean would blur them.
            title = f"{name} · {genome.name} · mean of {count(len(rows))} calls"
            logos.append(Panel(title, _logo_drawer(found, rows)))
        site = found.sites.iloc[rows[0]]
        place = f"{site['contig']}:{int(site['position']) + 1:,} ({site['strand']})"
        title = f"{name} · {genome.name} · best call, {place}"
        logos.append(Panel(title, _logo_drawer(found, rows[:1])))
        profiles.append(Panel(f"{name} · {genome.name}", _profile_drawer(found, rows)))
    return [
        Picture("attribution_logos", logos[:MOST_PANELS], "wide", 1, _EMPTY),
        Picture("attribution_profiles", profiles[:MOST_PANELS], "square", 2, _EMPTY),
    ]


def _logo_drawer(found: AttributionResults, rows: np.ndarray):
    """Return the function that draws the contributions of sites as letters."""
    return lambda axes: draw_contributions(axes, found, rows)


def _profile_drawer(found: AttributionResults, rows: np.ndarray):
    """Return the function that draws where methods look."""
    return lambda axes: draw_profiles(axes, found, rows)


def draw_contributions(axes: Axes, found: AttributionResults, rows: np.ndarray) -> None:
    """Draw the mean contribution of each letter, at the positions where there is any."""
    heights = mean_letters(found, rows, JUDGE)
    shown = telling_stretch(np.abs(heights).sum(1))
    letters = [str(letter) for letter in found.arrays["letters"]]
    positions = found.arrays["positions"][shown]
    table = pd.DataFrame(heights[shown], positions, letters)
    if table.to_numpy().any():
        colors = letter_colors(letters)
        logomaker.Logo(table, ax=axes, color_scheme=colors, show_spines=False, flip_below=False)
        axes.spines[["left", "bottom"]].set_visible(True)
    else:
        axes.text(0.5, 0.5, "no base matters", ha="center", va="center", transform=axes.transAxes)
    axes.axvspan(-0.5, 0.5, color=YELLOW, alpha=0.25, zorder=0, linewidth=0)
    axes.set(xlim=(positions[0] - 0.6, positions[-1] + 0.6), ylabel="log-odds")
    axes.set_xlabel("bp from the first base of the prediction")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(visible=False)


def telling_stretch(sizes: np.ndarray) -> slice:
    """Return the stretch that holds all but faint contributions, at most `MOST_LETTERS` long.

    Parameters
    ----------
    sizes : numpy.ndarray, shape=(positions,)
        Size of the contribution at each position.

    Returns
    -------
    slice
        Where it is longer than that: the stretch of that length that holds most.
    """
    strong = np.flatnonzero(sizes > _FAINT * sizes.max(initial=0))
    first, end = (strong[0], strong[-1] + 1) if len(strong) else (0, len(sizes))
    first, end = max(first - 2, 0), min(end + 2, len(sizes))
    if end - first > MOST_LETTERS:
        sums = np.convolve(sizes, np.ones(MOST_LETTERS), "valid")
        first = int(sums.argmax())
        end = first + MOST_LETTERS
    return slice(int(first), int(end))


def draw_profiles(axes: Axes, found: AttributionResults, rows: np.ndarray) -> None:
    """Draw the share of contributions that each method has at each position."""
    positions = found.arrays["positions"]
    for number, method in enumerate(found.methods):
        sizes = np.abs(np.nan_to_num(found.arrays["contributions"][rows, number]))
        totals = sizes.sum(1, keepdims=True)
        known = totals[:, 0] > 0
        if known.any():
            shares = (sizes[known] / totals[known]).mean(0)
            style = LINES[number % len(LINES)]
            label = METHOD_WORDS.get(method, method)
            axes.plot(positions, 100 * shares, label=label, **style)
    axes.set(xlabel="bp from the first base of the prediction", ylabel="% of contributions")
    axes.set_ylim(bottom=0)
    put_legend_below(axes)
