"""Motifs that a model uses and known ones that they are like, as tables and words of a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from genomesieve.errors import InputError
from genomesieve.files import read_arrays, read_json, read_table
from genomesieve.found_motifs import FILTER
from genomesieve.report_data import GenomeResults, Screen
from genomesieve.report_items import DrawnPicture, Item, table_item, text_item
from genomesieve.report_numbers import ABSENT, count, decimal, listed, percent
from genomesieve.report_tables import Table

PART = "motifs"
"""Key of the motifs among a genome's explanations."""
GOOD_Q = 0.05
_COLUMNS = ("motif", "source", "class", "sign", "seqlets", "consensus", "offset", "started_as",
            "match", "match_name", "p_value", "q_value", "sites", "share", "shuffled_share",
            "offset_low", "offset_median", "offset_high", "own_strand_share",
            "mean_contribution")  # fmt: skip
_TEXT = ("motif", "source", "class", "sign", "consensus", "started_as", "match", "match_name")
_PARTS = {
    "modisco": "pattern of contributions",
    "fixed": "stands at one place",
    FILTER: "first-layer filter",
}


@dataclass(frozen=True)
class MotifResults:
    """What discover_motifs wrote for one genome.

    Parameters
    ----------
    motifs : pandas.DataFrame
        motifs.tsv.
    hits : pandas.DataFrame
        hits.tsv.
    matrices : dict of str to numpy.ndarray
        matrices.npz.
    summary : dict
        summary.json.
    """

    motifs: pd.DataFrame
    hits: pd.DataFrame
    matrices: dict[str, np.ndarray]
    summary: dict

    def patterns(self, class_name: str) -> pd.DataFrame:
        """Return the motifs of a class, in the order in which they were found."""
        return self.motifs[self.motifs["class"] == class_name]


def read_motifs(folder: Path, genome: str) -> MotifResults:
    """Read the folder that discover_motifs wrote.

    Raises
    ------
    InputError
        If a file is missing or is not what that script writes.
    """
    what = f"motifs of {genome}"
    motifs = read_table(folder / "motifs.tsv", what, _COLUMNS, text=_TEXT)
    motifs[list(_TEXT)] = motifs[list(_TEXT)].fillna("")
    hits = read_table(
        folder / "hits.tsv", what, ("motif", "class", "site", "offset"), text=("motif", "class")
    )
    path = folder / "matrices.npz"
    matrices = read_arrays(path, what, "discover_motifs")
    missing = [name for name in motifs["motif"] if f"{name}/contributions" not in matrices]
    if missing:
        raise InputError(f"{what} {path} lacks {missing[0]}; expected all motifs of motifs.tsv")
    return MotifResults(motifs, hits, matrices, read_json(folder / "summary.json", what))


def with_motifs(screen: Screen) -> list[tuple[GenomeResults, MotifResults]]:
    """Return the genomes on which motifs were looked for."""
    return [
        (genome, genome.explanations[PART])
        for genome in screen.genomes
        if PART in genome.explanations
    ]


def motif_classes(screen: Screen) -> Iterator[tuple[GenomeResults, MotifResults, str]]:
    """Go through every genome and class of which there is a motif."""
    for genome, found in with_motifs(screen):
        for name in screen.classes:
            if len(found.patterns(name)):
                yield genome, found, name


def motif_items(screen: Screen, drawn: dict[str, DrawnPicture]) -> list[Item]:
    """Return what a report tells of motifs; nothing where none were looked for."""
    if not with_motifs(screen):
        return []
    return [
        Item("heading", "Motifs that the model uses"),
        Item("text", _sources_sentence(screen)),
        Item("text", _matches_sentence(screen)),
        Item("picture", drawn["motif_logos"]),
        text_item(
            "<b>Above: what each letter contributes</b> to the score (log-odds, mean over the "
            "pieces of calls that the motif was made of); below the line it speaks against the "
            "class. <b>Below: the known motif that is most like it</b> (bits), laid against it."
        ),
        table_item(motif_table(screen)),
        text_item(
            "A call carries a motif if it stands there with a p-value of at most 1 in 10,000 in "
            "random sequence with the same letters; one that always stands at one place, if it is "
            "more like the motif than like such sequence. “By chance” is the same "
            "count in shuffles of the calls that keep dinucleotides. A likeness to a known motif "
            "does not tell that its protein binds there."
        ),
        Item("picture", drawn["motif_places"]),
        *_absences(screen),
        Item("fold", filter_table(screen), "First-layer filters one by one"),
    ]


def motif_table(screen: Screen) -> Table:
    """List the motifs of every class with their matches, and where calls carry them."""
    rows = []
    for genome, found, name in motif_classes(screen):
        for row in found.patterns(name).to_dict("records"):
            rows.append(
                [genome.name, name, row["motif"], _PARTS[row["source"]], _speaks(row["sign"]),
                 row["consensus"], match_words(row), count(row["seqlets"]), percent(row["share"]),
                 percent(row["shuffled_share"]), _place(row), percent(row["own_strand_share"]),
                 decimal(row["mean_contribution"], 2)]
            )  # fmt: skip
    return Table(
        ["genome", "class", "motif", "what it is", "speaks", "consensus",
         "best match among known motifs (q-value)", "pieces of calls", "calls that carry it",
         "by chance", "first base: median (quartiles), bp from the prediction's",
         "on the call's own strand", "mean contribution (log-odds)"],
        rows, 7,
    )  # fmt: skip


def filter_table(screen: Screen) -> Table:
    """List first-layer filters."""
    rows = []
    for genome, found in with_motifs(screen):
        for row in found.motifs[found.motifs["source"] == FILTER].to_dict("records"):
            rows.append(
                [genome.name, row["motif"], row["started_as"] or ABSENT, row["consensus"],
                 match_words(row), count(row["seqlets"]), percent(row["share"]),
                 percent(row["shuffled_share"]), decimal(row["mean_contribution"], 2)]
            )  # fmt: skip
    return Table(
        ["genome", "filter", "started as", "consensus", "best match among known motifs (q-value)",
         "pieces of calls", "calls that carry it", "by chance", "mean contribution (log-odds)"],
        rows, 5,
    )  # fmt: skip


def match_words(row: dict) -> str:
    """Name a motif's best match and its q-value."""
    if not row["match"]:
        return ABSENT
    name = row["match_name"]
    both = row["match"] if name == row["match"] else f"{name} ({row['match']})"
    return f"{both}, q {row['q_value']:.1g}"


def _speaks(sign: str) -> str:
    """Say which way a motif's bases speak."""
    return {"+": "for", "-": "against"}.get(sign, ABSENT)


def _place(row: dict) -> str:
    """Say where a motif begins."""
    if not np.isfinite(row["offset_median"]):
        return ABSENT
    low, middle, high = (f"{row[f'offset_{part}']:.0f}" for part in ("low", "median", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _sources_sentence(screen: Screen) -> Markup:
    """Say what was looked for, and what the first filters were started from."""
    parts = [
        Markup(
            "Pieces of calls with high contributions, clustered (TF-MoDISco); where calls are "
            "aligned to the base, also what stands at one place in all of them; and the words that "
            "excite each first-layer filter. These are effects <b>on the model</b>: what a motif "
            "does in the cell only an experiment tells."
        )
    ]
    for note in dict.fromkeys(found.summary["stem"]["note"] for _, found in with_motifs(screen)):
        parts.append(Markup("Mind: {}.").format(note))
    return Markup(" ").join(parts)


def _matches_sentence(screen: Screen) -> Markup:
    """Say which classes have a motif that is like a known one, and like which."""
    parts = []
    for genome, found in with_motifs(screen):
        database = found.summary["database"]
        if not database["motifs"]:
            parts.append(Markup("On {} motifs were compared with none.").format(genome.name))
            continue
        like = []
        for name in screen.classes:
            rows = found.patterns(name)
            rows = rows[(rows["q_value"] < GOOD_Q) & (rows["match"] != "")]
            names = list(dict.fromkeys(rows["match_name"]))
            if names:
                like.append(f"{name}: {', '.join(names)}")
        said = "; ".join(like) or "none is like a known one"
        parts.append(
            Markup(
                "On {}, best matches among the {} motifs of {} (Tomtom, q-value below {}): {}."
            ).format(genome.name, count(database["motifs"]), database["name"], GOOD_Q, said)
        )
    return Markup(" ").join(parts)


def _absences(screen: Screen) -> list[Item]:
    """Say of which classes no pattern was found, and why."""
    points = [
        f"{genome.name}, {name}: {stated['no_patterns_because']}"
        for genome, found in with_motifs(screen)
        for name, stated in found.summary["classes"].items()
        if stated["no_patterns_because"]
    ]
    if not points:
        return []
    names = listed(sorted({point.partition(":")[0] for point in points}))
    return [text_item("No pattern was found of {}:", names), Item("list", points)]
