"""Propose how a new screen is split, sampled and trained, by the size of its data.

The sizes are those of the recipes in config/ that were measured (docs/accuracy.md), scaled with the
training part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.splitting import COLUMNS, PARTS, merge_touching, split_by_fractions

FRACTIONS = {"train": 0.7, "valid": 0.05, "calibrate": 0.1, "test": 0.15}
SMALL_FRACTIONS = {"train": 0.6, "valid": 0.1, "calibrate": 0.15, "test": 0.15}
"""Of genomes below `SMALL` bp, where a twentieth holds too few sites to tell when to stop."""
SMALL = 20_000_000
MOST_LISTED = 40
"""Genomes of more contigs with sites are split by fractions, not by lists of contigs."""
LEAST_SITES = 5
"""Sites of a class that every part needs."""
_WINDOWS_PER_LENGTH = 1.3
_UNITS = (1_000_000, 100_000, 10_000, 1_000, 1)


@dataclass(frozen=True)
class Split:
    """How a genome is cut into parts.

    Parameters
    ----------
    rule : dict
        As in the configuration: `contigs` (part to contigs and stretches) or `fractions`.
    parts : pandas.DataFrame
        Columns contig, start, end, part (0-based half-open), without guard zones.
    how : str
        In words.
    """

    rule: dict
    parts: pd.DataFrame
    how: str

    def bases(self, part: str) -> int:
        """Return how many bases a part has."""
        mine = self.parts[self.parts["part"] == part]
        return int((mine["end"] - mine["start"]).sum())

    def count(self, sites: pd.DataFrame) -> pd.DataFrame:
        """Count sites (columns contig, position, class) by class (rows) and part (columns)."""
        part = np.full(len(sites), "", dtype=object)
        contig, position = sites["contig"].to_numpy(), sites["position"].to_numpy(np.int64)
        for row in self.parts.itertuples():
            inside = (contig == row.contig) & (position >= row.start) & (position < row.end)
            part[inside] = row.part
        table = pd.crosstab(sites["class"].to_numpy(), part)
        return table.reindex(columns=list(PARTS), fill_value=0)


def propose_split(contigs: pd.DataFrame, sites: pd.DataFrame) -> Split:
    """Split a genome by contig where those are small enough, else by stretches of contigs.

    Parameters
    ----------
    contigs : pandas.DataFrame
        Columns contig, length (bp), in genome order.
    sites : pandas.DataFrame
        Columns contig, position, class. Contigs without sites belong to no part: that nothing is
        known there does not mean that nothing is there.

    Raises
    ------
    InputError
        If a class has fewer than `LEAST_SITES` sites in a part, however the genome is cut.
    """
    used = contigs[contigs["contig"].isin(sites["contig"].unique())]
    whole = pd.DataFrame(
        {"contig": used["contig"], "start": 0, "end": used["length"].astype("int64")}
    ).reset_index(drop=True)
    if len(whole) > MOST_LISTED:
        fractions = fractions_of(whole)
        table, method = split_by_fractions(fractions, None, whole, "the new screen")
        choices = [Split({"fractions": fractions}, table, f"by fractions ({method})")]
    else:
        choices = [*_by_contigs(whole), _by_stretches(whole)]
    for choice in choices:
        counts = choice.count(sites)
        if (counts >= LEAST_SITES).all(axis=None):
            return choice
    name, part = counts.stack().idxmin()
    raise InputError(
        f"class {name} has {counts.loc[name, part]} sites in part {part} of a split "
        f"{choices[-1].how}; expected {LEAST_SITES} or more in each of {', '.join(PARTS)}: too few "
        "sites to learn from and to test on, or all in one place"
    )


def fractions_of(whole: pd.DataFrame) -> dict[str, float]:
    """Return the shares of the parts of contigs (columns start, end)."""
    bases = int((whole["end"] - whole["start"]).sum())
    return dict(FRACTIONS if bases >= SMALL else SMALL_FRACTIONS)


def _by_contigs(whole: pd.DataFrame) -> list[Split]:
    """Give contigs, longest first, to the part that lacks most bases; none if parts miss theirs."""
    wanted = {part: share * int(whole["end"].sum()) for part, share in fractions_of(whole).items()}
    lacks, part_of = dict(wanted), {}
    for row in whole.sort_values("end", ascending=False, kind="stable").itertuples():
        part = max(lacks, key=lacks.get)
        part_of[row.contig] = part
        lacks[part] -= row.end
    if any(lacks[part] > wanted[part] / 2 for part in PARTS):
        return []
    table = whole.assign(part=whole["contig"].map(part_of))[COLUMNS]
    lists = {part: table.loc[table["part"] == part, "contig"].tolist() for part in PARTS}
    return [Split({"contigs": lists}, table, "by whole contigs")]


def _by_stretches(whole: pd.DataFrame) -> Split:
    """Cut the genome, contig after contig, where the shares of the parts are used up."""
    total = int(whole["end"].sum())
    unit = next(unit for unit in _UNITS if unit * 200 <= total or unit == 1)
    shares = np.cumsum([fractions_of(whole)[part] for part in PARTS])
    before, rows = 0, []
    for row in whole.itertuples():
        cuts = [round((share * total - before) / unit) * unit for share in shares[:-1]]
        edges = np.clip([0, *cuts, row.end], 0, row.end).tolist()
        for part, start, end in zip(PARTS, edges, edges[1:]):
            if start < end:
                rows.append((row.contig, start, end, part))
        before += row.end
    table = merge_touching(pd.DataFrame(rows, columns=COLUMNS))
    lengths = dict(zip(whole["contig"], whole["end"]))
    lists = {part: [] for part in PARTS}
    for row in table.itertuples():
        entire = row.end - row.start == lengths[row.contig]
        lists[row.part].append(row.contig if entire else f"{row.contig}:{row.start}-{row.end}")
    how = "by stretches of one contig" if len(whole) == 1 else "by stretches of contigs"
    return Split({"contigs": lists}, table, how)


@dataclass(frozen=True)
class Proposal:
    """Sizes of a screen.

    Parameters
    ----------
    sampling, model, training, calibration, baselines : dict
        As in the configuration.
    resolution : int
        bp a prediction covers.
    """

    sampling: dict
    model: dict
    training: dict
    calibration: dict
    baselines: dict
    resolution: int


def propose_base_model(train_bases: int, valid_bases: int, longest: int) -> Proposal:
    """Propose a network that tells single bases on each strand, as for splice sites or codons.

    Parameters
    ----------
    train_bases, valid_bases : int
        bp of the two parts; where validation is small or contigs are short, windows are shorter.
    longest : int
        bp of the longest contig.
    """
    length = 5000 if min(longest, valid_bases) >= 50_000 else 1000
    windows = _scaled(train_bases, length, 100, 6000)
    return Proposal(
        {
            "length": length,
            "windows": windows,
            "sources": {"sites": 0.2, "uniform": 0.6, "gc_matched": 0.1, "decoys": 0.1},
            "validation_bp": max(length, min(valid_bases, 1_000_000)),
        },
        {
            "preset": "dilated", "channels": 32, "stem_kernels": [11], "kernel": 7,
            "dilations": [1, 2, 4, 8, 16],
        },
        {
            "steps": max(50, windows // 4), "batch": 8, "learning_rate": 0.004,
            "validations": 3 if windows < 4000 else 5,
        },
        {"precision_targets": [0.9, 0.75, 0.5], "operating": 0.75},
        {"pwm": {}, "kmer": {}},
        1,
    )  # fmt: skip


def propose_bin_model(
    train_bases: int, valid_bases: int, longest: int, median_length: int
) -> Proposal:
    """Propose a network that tells bins of both strands at once, as for binding sites.

    Parameters
    ----------
    train_bases, valid_bases, longest : int
        As `propose_base_model`.
    median_length : int
        bp of the intervals; broad peaks get bins of 200 bp, others of 50 bp.
    """
    resolution = 200 if median_length >= 400 else 50
    length = 2000 if min(longest, valid_bases) >= 20_000 else 1000
    windows = _scaled(train_bases, length, 200, 8000)
    return Proposal(
        {
            "length": length,
            "windows": windows,
            "sources": {"sites": 0.4, "uniform": 0.5, "gc_matched": 0.1},
            "validation_bp": max(length, min(valid_bases, 1_000_000)),
        },
        {
            "preset": "motif_cnn", "resolution": resolution, "channels": 128,
            "stem_kernels": [21], "hidden": 64,
        },
        {
            "steps": min(1500, max(50, windows // 4)), "batch": 32, "learning_rate": 0.002,
            "validations": 3 if windows < 4000 else 6,
        },
        {"precision_targets": [0.75, 0.5, 0.25], "operating": 0.5},
        {"kmer": {}},
        resolution,
    )  # fmt: skip


def _scaled(train_bases: int, length: int, least: int, most: int) -> int:
    """Return how many windows cover the training part about once, in hundreds."""
    windows = round(_WINDOWS_PER_LENGTH * train_bases / length / 100) * 100
    return int(min(max(windows, least), most))


@dataclass(frozen=True)
class Draft:
    """All that a new screen's configuration says.

    Parameters
    ----------
    name, title : str
    classes : dict
        Class to what is set of it (stranded, site).
    labels : str
        exclusive or independent.
    genome : str
        The genome to learn from.
    others : list of str
        Further genomes to scan.
    split : Split
    proposal : Proposal
    head, on_labels : str
        Comments at the top and on the labels.
    """

    name: str
    title: str
    classes: dict
    labels: str
    genome: str
    others: list[str]
    split: Split
    proposal: Proposal
    head: str
    on_labels: str


def config_text(draft: Draft, genomes: str, tracks: str) -> str:
    """Write a configuration with comments.

    Parameters
    ----------
    draft : Draft
    genomes, tracks : str
        Paths of the sheets; empty for no sheet of tracks.
    """
    split, proposal = draft.split, draft.proposal
    lines = [
        *(f"# {line}" for line in draft.head.splitlines()),
        f"genomes: {json.dumps(genomes)}",
        *([f"tracks: {json.dumps(tracks)}"] if tracks else []),
        "",
        "screens:",
        f"  {json.dumps(draft.name)}:",
        f"    title: {json.dumps(draft.title)}",
        "    classes:",
        *(f"      {json.dumps(key)}: {_flow(item)}" for key, item in draft.classes.items()),
        f"    # {draft.on_labels}",
        f"    labels: {draft.labels}",
        f"    train_genomes: {json.dumps([draft.genome])}",
        "    # A further genome is a row of the sheet, named here; it needs no labels.",
        f"    scan_genomes: {json.dumps([draft.genome, *draft.others])}",
        "    # Of the genome to learn from only the part that nothing was learned from.",
        "    scan_parts: [test]",
        f"    # Split {split.how}: train to learn, valid to stop, calibrate for probabilities and",
        "    # thresholds, test for the figures. Where parts touch, a guard zone is left out.",
        "    split:",
        f"      {json.dumps(draft.genome)}:",
        *_split_lines(split.rule),
        "    # Sites are rare: windows around them are drawn more often and weighted for it, so",
        "    # that probabilities stay those of the whole genome.",
        "    sampling:",
        *(f"      {key}: {_flow(item)}" for key, item in proposal.sampling.items()),
        *_model_lines(proposal),
        "    # More steps for a better network, fewer for a quicker try.",
        f"    training: {_flow(proposal.training)}",
        "    # Calls are written at the operating precision; the report shows the other ones.",
        f"    calibration: {_flow(proposal.calibration)}",
        "    # Simple methods to compare with; {} for none.",
        f"    baselines: {_flow(proposal.baselines)}",
    ]
    return "\n".join(lines) + "\n"


def _split_lines(rule: Mapping) -> list[str]:
    """Write the split of a genome."""
    if "fractions" in rule:
        return [f"        fractions: {_flow(rule['fractions'])}"]
    parts = (f"          {part}: {json.dumps(rule['contigs'][part])}" for part in PARTS)
    return ["        contigs:", *parts]


def _model_lines(proposal: Proposal) -> list[str]:
    """Write the network, and how strands are treated."""
    model = f"    model: {_flow(proposal.model)}"
    if proposal.resolution == 1:
        return ["    # One prediction a base and strand.", model]
    return [
        f"    # One prediction for each {proposal.resolution} bp, the same on both strands.",
        "    reverse_complement: average",
        model,
    ]


def _flow(value: object) -> str:
    """Write a value of the configuration on one line, as YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
