"""What motifs do to a model when they are put in, taken out and moved: tables and words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from genomesieve.files import read_json, read_table
from genomesieve.report_data import GenomeResults, Screen
from genomesieve.report_items import DrawnPicture, Item, table_item, text_item
from genomesieve.report_numbers import ABSENT, Estimate, count, decimal, listed, with_interval
from genomesieve.report_tables import Table

PART = "interventions"
"""Key of the interventions among a genome's explanations."""
_COLUMNS = {
    "marginal": ("motif", "class", "strand", "offset", "effect", "low", "high", "control",
                 "control_low", "control_high"),
    "positions": ("motif", "strand", "offset", "class", "effect"),
    "copies": ("motif", "class", "spacing", "copies", "effect", "low", "high", "excess",
               "excess_low", "excess_high"),
    "pairs": ("first", "first_strand", "second", "second_strand", "distance", "class",
              "interaction", "low", "high", "first_alone", "second_alone"),
    "sites": ("site", "class", "motif", "action", "shift", "effect"),
}  # fmt: skip
_TEXT = ("motif", "class", "first", "second")
PAIR = ["first", "second", "class"]
"""Columns that name a pair and what it acts on."""
MOST_MOTIFS = 8
"""Motifs of a class that are shown, those with the largest effect first."""
_NOTICED = 1.0
"""Log-odds that one motif of a pair changes alone, at least."""
_FEWEST_SITES = 3
MOST_PAIRS = 6
"""Pairs of a genome that are shown of each kind: more and less than additive."""


@dataclass(frozen=True)
class InterventionResults:
    """What intervene_motifs wrote for one genome (`python scripts/intervene_motifs.py --help`).

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        By the name of their file.
    summary : dict
    """

    tables: dict[str, pd.DataFrame]
    summary: dict

    def strongest(self, class_name: str) -> pd.DataFrame:
        """Return the marginal effects on a class, the largest first."""
        table = self.tables["marginal"]
        mine = table[table["class"] == class_name]
        order = mine["effect"].abs().sort_values(ascending=False, kind="stable").index
        return mine.loc[order[:MOST_MOTIFS]]

    def site_means(self, class_name: str, motif: str) -> pd.DataFrame:
        """Return means over sites of a class, a row an action and shift."""
        rows = [
            one
            for one in self.summary["sites"]["means"]
            if (one["class"], one["motif"]) == (class_name, motif)
        ]
        columns = ["action", "shift", "sites", "effect", "low", "high", "regained"]
        return pd.DataFrame(rows, columns=columns).astype({"shift": float, "regained": float})


def read_interventions(folder: Path, genome: str) -> InterventionResults:
    """Read the folder that intervene_motifs wrote.

    Raises
    ------
    InputError
        If a file is missing or is not what that script writes.
    """
    what = f"interventions of {genome}"
    tables = {
        name: read_table(folder / f"{name}.tsv", what, columns, text=_TEXT)
        for name, columns in _COLUMNS.items()
    }
    return InterventionResults(tables, read_json(folder / "summary.json", what))


def intervened(screen: Screen) -> list[tuple[GenomeResults, InterventionResults]]:
    """Return the genomes on which motifs were put in and taken out."""
    return screen.explained(PART)


def intervened_classes(
    screen: Screen,
) -> Iterator[tuple[GenomeResults, InterventionResults, str]]:
    """Go through every genome and class on which a motif was measured."""
    for genome, found in intervened(screen):
        for name in screen.classes:
            if len(found.strongest(name)):
                yield genome, found, name


def telling_pairs(found: InterventionResults) -> pd.DataFrame:
    """Return, of each pair and class, the distance and strand at which it interacts most.

    Returns
    -------
    pandas.DataFrame
        Rows of pairs.tsv whose interval excludes 0 and of which one motif alone does something to
        the class: at most `MOST_PAIRS` that are more than additive, largest first, and then as many
        that are less.
    """
    table = found.tables["pairs"]
    # A class that barely notices either motif tells of new words where they meet, if anything.
    noticed = table[["first_alone", "second_alone"]].abs().max(axis=1) >= _NOTICED
    table = table[noticed & ((table["low"] > 0) | (table["high"] < 0))]
    order = table["interaction"].abs().sort_values(ascending=False, kind="stable").index
    best = table.loc[order]
    best = best.assign(more=best["interaction"] > 0)
    best = best.drop_duplicates([*PAIR, "more"])
    parts = [best[best["more"]].head(MOST_PAIRS), best[~best["more"]].head(MOST_PAIRS)]
    return pd.concat(parts).drop(columns="more")


def intervention_items(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Item]:
    """Return what a report tells of interventions; nothing where there are none."""
    if not intervened(screen):
        return []
    heading = [Item("heading", "Motifs put in, taken out and moved"), _opening(screen)]
    if not any(True for _ in intervened_classes(screen)):
        return [*heading, text_item("There was no motif to put in.")]
    return [
        *heading,
        text_item(
            "<b>What a motif does alone</b>: the change of each class's log-odds when its "
            "consensus is written over shuffled sequence, at the place and strand where it acts "
            "most (chosen on other backgrounds than it is measured on), with the 95 % interval "
            "over backgrounds. Grey: the same letters in other orders at the same bases."
        ),
        Item("picture", drawn["intervention_effects"]),
        Item("fold", marginal_table(screen), "Every motif that is shown, as numbers"),
        text_item(
            "<b>Where it acts.</b> The same by the place of the motif's first base, in bp from the "
            "first base of the prediction; dashed where the motif stands on the other strand."
        ),
        Item("picture", drawn["intervention_positions"]),
        text_item(
            "<b>Two motifs together</b>: log-odds with both, less what each does alone. Above 0 "
            "they are more than additive on the model. {}",
            _pair_words(screen),
        ),
        Item("picture", drawn["intervention_pairs"]),
        table_item(pairs_table(screen)),
        text_item(
            "<b>Several copies</b> of one motif at one spacing; excess is what they do together "
            "beyond the sum of what each does alone. A model that takes the best place of a bin "
            "gains little from a second one."
        ),
        Item("fold", copies_table(screen), "Effects by the number of copies"),
        text_item(
            "<b>At real sites</b>: a hit of the motif is taken out (shuffled bases of its flanks "
            "in its stead), turned round in place, or taken out and written elsewhere. Means over "
            "sites, with the 95 % interval over sites."
        ),
        Item("picture", drawn["intervention_sites"]),
        table_item(sites_table(screen)),
    ]


def _opening(screen: Screen) -> Item:
    """Say what the effects are of, and on what they were measured."""
    found = intervened(screen)[0][1]
    settings = found.summary["settings"]
    source = {"random": "random places of the genome", "sites": "the sites' own sequence"}
    return text_item(
        "These are effects <b>on the model</b>, in log-odds: they say what the model makes of a "
        "motif. What the motif does in the cell only an experiment tells. Backgrounds: {} "
        "dinucleotide shuffles of {}.",
        count(settings["backgrounds"]),
        source.get(found.summary["background"], found.summary["background"]),
    )


def marginal_table(screen: Screen) -> Table:
    """List the strongest motifs of every class."""
    rows = []
    for genome, found, name in intervened_classes(screen):
        for row in found.strongest(name).to_dict("records"):
            effect = Estimate(row["effect"], row["low"], row["high"])
            control = Estimate(row["control"], row["control_low"], row["control_high"])
            place = decimal(row["offset"], 0)
            rows.append(
                [genome.name, name, row["motif"], row["strand"], place,
                 with_interval(effect, 2), with_interval(control, 2)]
            )  # fmt: skip
    headings = ["genome", "class", "motif", "strand", "offset (bp)", "effect (log-odds)", "control"]
    return Table(headings, rows, 4)


def pairs_table(screen: Screen) -> Table:
    """List the pairs whose effect is furthest from additive."""
    rows = []
    for genome, found in intervened(screen):
        for row in telling_pairs(found).to_dict("records"):
            words = (
                f"{row['first']} ({row['first_strand']})",
                (f"{row['second']} ({row['second_strand']})"),
            )
            excess = Estimate(row["interaction"], row["low"], row["high"])
            alone = (decimal(row[key], 2) for key in ("first_alone", "second_alone"))
            rows.append([genome.name, row["class"], *words, decimal(row["distance"], 0), *alone,
                         with_interval(excess, 2)])  # fmt: skip
    headings = ["genome", "class", "first motif", "second motif", "distance (bp)", "first alone",
                "second alone", "beyond the sum (log-odds)"]  # fmt: skip
    return Table(headings, rows, 4)


def copies_table(screen: Screen) -> Table:
    """List what several copies do, for the strongest motif of every class."""
    rows = []
    for genome, found, name in intervened_classes(screen):
        motif = found.strongest(name).iloc[0]["motif"]
        table = found.tables["copies"]
        for row in table[(table["motif"] == motif) & (table["class"] == name)].to_dict("records"):
            effect = Estimate(row["effect"], row["low"], row["high"])
            excess = Estimate(row["excess"], row["excess_low"], row["excess_high"])
            rows.append(
                [genome.name, name, motif, count(row["spacing"]), count(row["copies"]),
                 with_interval(effect, 2), with_interval(excess, 2)]
            )  # fmt: skip
    headings = ["genome", "class", "motif", "spacing (bp)", "copies", "effect (log-odds)", "excess"]
    return Table(headings, rows, 3)


def sites_table(screen: Screen) -> Table:
    """List what changes at real sites do, for motifs that occur at sites of a class."""
    rows = []
    for genome, found, name in intervened_classes(screen):
        for motif in motifs_at_sites(found, name):
            means = found.site_means(name, motif)
            cells = [genome.name, name, motif, count(means["sites"].max())]
            for action in ("delete", "turn"):
                cells.append(_mean_of(means[means["action"] == action]))
            moved = means[means["action"] == "move"]
            least = moved.loc[[moved["effect"].idxmax()]] if len(moved) else moved
            shift = f"{int(least['shift'].iloc[0]):+d}".replace("-", "−") if len(least) else ABSENT
            cells += [shift, _mean_of(least)]
            rows.append(cells)
    headings = ["genome", "class", "motif", "sites", "taken out", "turned round",
                "best shift (bp)", "moved there"]  # fmt: skip
    return Table(headings, rows, 3)


def motifs_at_sites(found: InterventionResults, name: str, most: int = 3) -> list[str]:
    """Return the motifs whose hits at sites of a class matter most when they are taken out."""
    taken = [
        one
        for one in found.summary["sites"]["means"]
        if one["class"] == name and one["action"] == "delete" and one["sites"] >= _FEWEST_SITES
    ]
    taken.sort(key=lambda one: one["effect"] * np.sqrt(one["sites"]))
    return [one["motif"] for one in taken[:most]]


def _mean_of(rows: pd.DataFrame) -> str:
    """Write a mean over sites with its interval."""
    if rows.empty:
        return ABSENT
    return with_interval(Estimate(*rows.iloc[0][["effect", "low", "high"]].astype(float)), 2)


def _pair_words(screen: Screen) -> Markup:
    """Say which pairs are furthest from additive, and what the intervals do not account for."""
    clauses = []
    for genome, found in intervened(screen):
        pairs = telling_pairs(found)
        more = pairs[pairs["interaction"] > 0].head(3)
        if len(more):
            words = [
                f"{row['first']} with {row['second']} at {decimal(row['distance'], 0)} bp "
                f"({row['class']}, +{decimal(row['interaction'], 2)})"
                for row in more.to_dict("records")
            ]
            clauses.append(f"On {genome.name}: {listed(words)}.")
        elif len(found.tables["pairs"]):
            clauses.append(f"On {genome.name} no pair was.")
    left_out = sum(found.summary["pairs_left_out"] for _, found in intervened(screen))
    if left_out:
        clauses.append(f"{count(left_out)} pairs that act least on one class were not measured.")
    clauses.append(
        "Each is the largest of many distances and strands: its interval covers chance over "
        "backgrounds, not the choice."
    )
    return Markup(" ").join(clauses)
