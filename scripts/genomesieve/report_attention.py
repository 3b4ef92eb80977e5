"""Attention beside interventions, as tables and words of a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from genomesieve.files import read_arrays, read_json, read_table
from genomesieve.report_data import GenomeResults, Screen
from genomesieve.report_items import DrawnPicture, Item, table_item, text_item
from genomesieve.report_numbers import ABSENT, Estimate, count, percent, with_interval
from genomesieve.report_tables import Table

PART = "attention"
"""Key of this part among a genome's explanations."""
CHANGES = {"uniform": "made uniform", "shuffled": "shuffled"}


@dataclass(frozen=True)
class AttentionResults:
    """What measure_attention wrote for one genome.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        attention.npz (its axes: `python scripts/measure_attention.py --help`).
    sites, heads : pandas.DataFrame
        The tables of the same names.
    summary : dict
        summary.json.
    """

    arrays: dict[str, np.ndarray]
    sites: pd.DataFrame
    heads: pd.DataFrame
    summary: dict


def read_attention(folder: Path, genome: str) -> AttentionResults:
    """Read the folder that measure_attention wrote.

    Raises
    ------
    InputError
        If a file is missing or is not what that script writes.
    """
    what = f"attention of {genome}"
    sites = ("contig", "position", "strand", "class", "score", "rollout~mutagenesis")
    heads = ("class", "member", "layer", "head", "spearman", "low", "high")
    return AttentionResults(
        read_arrays(folder / "attention.npz", what, "measure_attention"),
        read_table(folder / "sites.tsv", what, sites, text=("contig", "class")),
        read_table(folder / "heads.tsv", what, heads, text=("class",)),
        read_json(folder / "summary.json", what),
    )


def attended(screen: Screen) -> Iterator[tuple[GenomeResults, AttentionResults, str]]:
    """Go through every genome and class at whose sites attention was measured."""
    for genome, found in screen.explained(PART):
        yield from ((genome, found, name) for name in found.summary["classes"])


def attention_items(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Item]:
    """Return what a report tells of attention; nothing where none was measured."""
    if not any(attended(screen)):
        return []
    return [
        Item("heading", "Attention is not explanation"),
        Item("text", attention_sentence(screen)),
        text_item(
            "<b>Where attention looks, and where bases matter</b>, at the best-scoring call: the "
            "weights that the prediction gives to each stretch of sequence (multiplied through the "
            "layers, from the bin), and the mean size of what substitutions there change."
        ),
        Item("picture", drawn["attention_maps"]),
        text_item(
            "<b>Each head</b>: rank correlation of its weights with mutagenesis over the stretches "
            "of a call, the median over calls."
        ),
        Item("picture", drawn["attention_heads"]),
        table_item(attention_table(screen)),
    ]


def attention_table(screen: Screen) -> Table:
    """List the agreement of attention with mutagenesis, and what changing it does."""
    rows = []
    for genome, found, name in attended(screen):
        stated = found.summary["classes"][name]
        cells = [genome.name, name, count(stated["sites"])]
        cells.append(with_interval(_estimate(stated["rollout_spearman"])))
        cells.append(with_interval(_estimate(stated["residual_spearman"])))
        for change in CHANGES:
            cells.append(with_interval(_estimate(stated[change]["change"])))
            cells.append(_kept(stated, change))
        rows.append(cells)
    headings = ["genome", "class", "calls", "rollout ~ mutagenesis (Spearman, median, 95 %)"]
    headings.append("the same of uniform attention (Spearman, median, 95 %)")
    for words in CHANGES.values():
        headings.append(f"attention {words}: change in log-odds (median, 95 %)")
        headings.append(f"attention {words}: calls that stay calls")
    return Table(headings, rows, 2)


def _estimate(stated: dict) -> Estimate:
    """Return a median with its interval; NaN where it was not known."""
    values = (stated[key] for key in ("median", "low", "high"))
    return Estimate(*(float("nan") if value is None else value for value in values))


def _kept(stated: dict, change: str) -> str:
    """Write which share of the calls are calls with changed attention."""
    if not stated["called"]:
        return ABSENT
    return percent(stated[change]["still_called"] / stated["called"])


def attention_sentence(screen: Screen) -> Markup:
    """State the agreement that was found, whatever it is."""
    clauses = []
    for genome, found, name in attended(screen):
        stated = found.summary["classes"][name]
        clauses.append(
            Markup("<b>{}</b> on {} {}, uniform attention {}").format(
                name,
                genome.name,
                with_interval(_estimate(stated["rollout_spearman"])),
                with_interval(_estimate(stated["residual_spearman"])),
            )
        )
    kept = [
        found.summary["classes"][name][change]["still_called"] / called
        for _, found, name in attended(screen)
        for change in CHANGES
        if (called := found.summary["classes"][name]["called"])
    ]
    sentence = Markup(
        "A weight says what is mixed, not what a prediction rests on. Agreement of attention with "
        "mutagenesis (rank correlation over stretches, median over calls, 95 % interval), and of "
        "attention that is the same everywhere, to which the connections around it give the bin's "
        "own positions all the same: {}."
    ).format(Markup("; ").join(clauses))
    if not kept:
        return sentence
    ends = list(dict.fromkeys((percent(min(kept)), percent(max(kept)))))
    return sentence + Markup(
        " With attention made uniform or shuffled while everything else stays, {} of the calls "
        "stay calls. These are correlations and effects <b>on the model</b>."
    ).format(" to ".join(ends))
