"""What hidden layers hold, and what of it the model uses, as tables and words of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from genomesieve.files import read_json, read_table
from genomesieve.report_data import GenomeResults, Screen
from genomesieve.report_items import DrawnPicture, Item, table_item, text_item
from genomesieve.report_numbers import ABSENT, Estimate, count, decimal, listed, with_interval
from genomesieve.report_tables import Table

PART = "probes"
"""Key of the probes among a genome's explanations."""
PRIMARY = ("r2", "auroc")
METRICS = {"r2": "R²", "auroc": "AUROC"}
NAMES = {
    "gc": "share of G and C",
    "cpg": "CpG, observed over expected",
    "stacking": "stacking energy",
    "purine_run": "longest purine run",
    "distance": "distance to the nearest site",
    "codon_phase": "codon phase",
    "strand": "strand of the gene",
    "repeat": "repeat",
    "laboratory": "laboratory",
}
REMOVED = {"probe": "the probe's directions", "erasure": "all that a linear probe reads"}
_BESIDE = ("untrained", "kmer", "single_unit", "selectivity", "control_unseen")
_PROBES = ("layer", "property", "what", "metric", "score", "low", "high", "chance", "depth")
_INTERVENTIONS = ("property", "layer", "removed", "class", "before", "after", "loss", "low", "high")
_SIMILARITY = ("layer", "what", "one", "other", "cka", "matched_units", "best_units")


@dataclass(frozen=True)
class ProbeResults:
    """What probe_model wrote for one genome.

    Parameters
    ----------
    probes, interventions, similarity : pandas.DataFrame
        The tables of the same names (columns: `python scripts/probe_model.py --help`).
    summary : dict
        summary.json.
    """

    probes: pd.DataFrame
    interventions: pd.DataFrame
    similarity: pd.DataFrame
    summary: dict

    @property
    def layers(self) -> list[str]:
        """Layers in the order of the network."""
        return [one["layer"] for one in self.summary["layers"]]

    @property
    def properties(self) -> list[dict]:
        """What is said of each property."""
        return self.summary["properties"]

    @property
    def seeds(self) -> bool:
        """Whether networks from several seeds were compared."""
        return bool((self.similarity["what"] == "trained").any())


def read_probes(folder: Path, genome: str) -> ProbeResults:
    """Read the folder that probe_model wrote.

    Raises
    ------
    InputError
        If a file is missing or is not what that script writes.
    """
    what = f"probes of {genome}"
    return ProbeResults(
        read_table(folder / "probes.tsv", what, _PROBES),
        read_table(folder / "interventions.tsv", what, _INTERVENTIONS, text=("class",)),
        read_table(folder / "similarity.tsv", what, _SIMILARITY, text=("one", "other")),
        read_json(folder / "summary.json", what),
    )


def probed(screen: Screen) -> list[tuple[GenomeResults, ProbeResults]]:
    """Return the genomes on which hidden layers were probed."""
    return screen.explained(PART)


def probe_items(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Item]:
    """Return what a report tells of probes; nothing where there are none."""
    found = probed(screen)
    if not found:
        return []
    items = [Item("heading", "What hidden layers hold, and what of it is used")]
    items += [Item("text", verdict_sentence(genome, one)) for genome, one in found]
    items += [
        text_item(
            "<b>What a linear probe reads</b> from each layer, on parts of the genome that it was "
            "not fitted on: R² of numbers, AUROC of categories; colour from chance (white) to "
            "perfect. Beside it an untrained network of the same architecture and counts of k-mers "
            "in the bases that the layer sees: what they give away, nobody had to learn."
        ),
        Item("picture", drawn["probe_scores"]),
        table_item(property_table(screen)),
    ]
    if any(len(one.interventions) for _, one in found):
        items += [
            text_item(
                "<b>What the model loses without it</b>: average precision on held-out stretches, "
                "before less after a property was taken out of the layer where it is read best "
                "(right of 0: the model needed it), with 95 % intervals (stretches are resampled). "
                "Random directions, as many, are what any change of that size costs: a property "
                "that costs no more is present and not seen to be used. Intervals do not hold how "
                "far a direction depends on the bins that it was fitted on: of what is read "
                "weakly, try several seeds. These are effects <b>on the model</b>."
            ),
            Item("picture", drawn["probe_interventions"]),
            Item("fold", intervention_table(screen), "Interventions one by one"),
        ]
    if any(one.seeds for _, one in found):
        items += [
            Item("text", seeds_sentence(screen)),
            Item("picture", drawn["probe_similarity"]),
        ]
    return items


def verdict_sentence(genome: GenomeResults, found: ProbeResults) -> Markup:
    """Say what was read, what is used and how the controls came out."""
    by_verdict: dict[str, list[str]] = {}
    for one in found.properties:
        by_verdict.setdefault(one["verdict"], []).append(NAMES[one["property"]])
    words = {
        "used": "read, and used (without it the model finds fewer sites)",
        "present": "read, but not seen to be used",
        "present, use not tried": "read; whether it is used was not tried",
        "not read": "not read better than chance",
    }
    clauses = [
        Markup("<b>{}</b>: {}").format(words[verdict], listed(by_verdict[verdict]))
        for verdict in words
        if verdict in by_verdict
    ]
    unseen = found.summary["unseen_controls"]
    sentence = Markup("On {}, by linear probes of hidden states - {}. ").format(
        genome.name, Markup("; ").join(clauses) or "nothing could be probed"
    )
    sentence += Markup(
        "Control tasks give every k-mer a random value: on k-mers that fitting did not see, {} of "
        "{} probes scored above chance (about one in forty would by luck)."
    ).format(count(unseen["above_chance"]), count(unseen["probes"]))
    left_out = found.summary["left_out"]
    if left_out:
        reasons = [f"{NAMES[name]} ({reason})" for name, reason in left_out.items()]
        sentence += Markup(" Left out: {}.").format(listed(reasons))
    return sentence


def property_table(screen: Screen) -> Table:
    """List each property at the layer where it is read best."""
    rows = []
    for genome, found in probed(screen):
        for one in found.properties:
            users = listed(one["used_by"]) if one["used_by"] else ""
            rows.append([
                genome.name,
                NAMES[one["property"]],
                one["layer"].replace("_", " "),
                METRICS[one["metric"]],
                with_interval(estimate(one, "score"), 2),
                *(with_interval(estimate(one.get(what) or {}, "score"), 2) for what in _BESIDE),
                f"{one['verdict']}{f': {users}' if users else ''}",
            ])  # fmt: skip
    headings = ["genome", "property", "best layer", "metric", "probe (95 %)", "untrained", "k-mers"]
    headings += ["best single unit", "selectivity", "control, unseen k-mers", "verdict"]
    return Table(headings, rows, 4)


def estimate(stated: Mapping, name: str) -> Estimate:
    """Return a figure of a summary with its interval; NaN where it is not known."""
    values = (stated.get(key) for key in (name, "low", "high"))
    return Estimate(*(float("nan") if value is None else float(value) for value in values))


def intervention_table(screen: Screen) -> Table:
    """List what every removal does to every class."""
    rows = []
    for genome, found in probed(screen):
        table = found.interventions
        for row in table[table["removed"].isin(list(REMOVED))].to_dict("records"):
            rows.append([
                genome.name,
                NAMES[row["property"]],
                row["layer"].replace("_", " "),
                REMOVED[row["removed"]],
                f"{decimal(row['readable_before'], 2)} → {decimal(row['readable_after'], 2)}",
                row["class"],
                decimal(row["before"]),
                with_interval(Estimate(row["loss"], row["low"], row["high"])),
                with_interval(Estimate(row["excess"], row["excess_low"], row["excess_high"])),
            ])  # fmt: skip
    headings = ["genome", "property", "layer", "taken out", "read before → after", "class"]
    headings += ["average precision", "loss (95 %)", "loss beyond random directions (95 %)"]
    return Table(headings, rows, 6)


def seeds_sentence(screen: Screen) -> Markup:
    """Say how alike networks from different seeds are, as spaces and unit by unit."""
    clauses = []
    for genome, found in probed(screen):
        if found.seeds:
            last = found.similarity[found.similarity["layer"] == found.layers[-1]]
            means = last.groupby("what")[["cka", "matched_units"]].mean().map(_two_digits)
            one, other = (means.loc[what] for what in ("trained", "untrained"))
            clauses.append(
                f"on {genome.name} in the last layer, {found.layers[-1].replace('_', ' ')}: "
                f"{one['cka']} and {one['matched_units']}, of untrained networks {other['cka']} "
                f"and {other['matched_units']}"
            )
    return Markup(
        "<b>Networks from different seeds</b>, on the same bins: how alike they are as whole "
        "spaces (linear CKA, 1 is the same up to rotation), and unit by unit (mean absolute "
        "correlation of units matched one to one); {}. Where the first is higher than the second, "
        "what the networks share is spread over units."
    ).format("; ".join(clauses) or ABSENT)


def _two_digits(value: float) -> str:
    """Write a similarity."""
    return decimal(float(value), 2)
