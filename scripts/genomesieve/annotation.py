"""Gene annotation (GTF, GFF3) read into one table of exons, coding parts and codons.

Coordinates are 0-based half-open inside; GTF and GFF3 are 1-based with both ends included.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from genomesieve.compression import read_lines
from genomesieve.errors import InputError
from genomesieve.whole_numbers import whole_number

FEATURES = ("exon", "CDS", "start_codon", "stop_codon")
COLUMNS = (
    *("contig", "feature", "start", "end", "strand", "phase", "line"),
    *("pseudo", "open_low", "open_high"),
)
TRANS_SPLICED = "annotation row of a trans-spliced transcript"
NO_STRAND = "annotation row without a strand"

_TRANSCRIPT = re.compile(r'(?:^|[;\s])transcript_id "([^"]*)"')
_PARENT = re.compile(r"(?:^|;)\s*Parent=([^;]+)")
_IDENTITY = re.compile(r"(?:^|;)\s*ID=([^;]+)")
_EXCEPTION = re.compile(r'(?:^|[;\s])exception[ =]"?trans-splicing')
_TRANSFER_RNA = re.compile(r'_(?:bio)?type "tRNA"')
_PSEUDO = re.compile(r'(?:^|[;\s])pseudo[ =]"?true')


@dataclass(frozen=True)
class Annotation:
    """What an annotation file says about transcripts.

    Parameters
    ----------
    features : pandas.DataFrame
        Columns contig, feature (one of `FEATURES`), start, end (0-based half-open), strand ('+' or
        '-'), phase (-1 for none), line, pseudo (the gene does not work), open_low, open_high (the
        feature is incomplete at that end), transcript, transfer_rna. A feature with several
        parents has a row for each.
    skipped : collections.Counter
        Rows left out, by reason.
    circular : set of str
        Contigs that the file declares circular.
    gff3 : bool
        The dialect; false for GTF.
    """

    features: pd.DataFrame
    skipped: Counter[str]
    circular: set[str]
    gff3: bool


@dataclass
class _Rows:
    """Rows and facts as they are read."""

    kept: list[tuple] = field(default_factory=list)
    owners: list[tuple[str, str]] = field(default_factory=list)
    transfer_rna: list[bool] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, str] = field(default_factory=dict)
    trans_spliced: set[str] = field(default_factory=set)
    circular: set[str] = field(default_factory=set)


def is_gff3(path: Path) -> bool:
    """Tell GFF3 from GTF by the file's name (`.gff`, `.gff3`, compressed or not)."""
    names = [suffix.lower() for suffix in path.suffixes]
    return ".gff3" in names or ".gff" in names


def read_annotation(path: Path, gff3: bool) -> Annotation:
    """Read the exons, coding parts, start and stop codons of an annotation.

    Parameters
    ----------
    path : Path
        Plain, gzip or bgzip.
    gff3 : bool
        GFF3 if true, else GTF.

    Returns
    -------
    Annotation
        Rows that say that their transcript is trans-spliced are left out and counted: its exons
        may lie on two strands, and the places between them are no introns.

    Raises
    ------
    InputError
        With the line, for a row with too few columns, bad coordinates or no transcript.
    """
    rows = _Rows()
    for number, text in read_lines(path, "annotation"):
        if text.startswith("##FASTA"):
            break
        if text.startswith("#") or not text.strip():
            continue
        cells = text.split("\t")
        if len(cells) < 9:
            raise InputError(
                f"{path} line {number}: {len(cells)} columns; expected 9, separated by tabs"
            )
        if cells[2] in FEATURES:
            _add_feature(rows, f"{path} line {number}", number, cells, gff3)
        elif gff3:
            _add_parent(rows, cells)
    features = _gff3_table(rows) if gff3 else _gtf_table(rows)
    if features.empty:
        raise InputError(
            f"{path} holds no exon and no CDS that can be used; expected a "
            f"{'GFF3' if gff3 else 'GTF'} annotation"
        )
    return Annotation(features, rows.skipped, rows.circular, gff3)


def _add_parent(rows: _Rows, cells: list[str]) -> None:
    """Remember what later rows of a GFF3 file may point to."""
    identity = _IDENTITY.search(cells[8])
    if cells[2] == "region" and "Is_circular=true" in cells[8]:
        rows.circular.add(unquote(cells[0]))
    if identity is not None:
        rows.kinds[identity[1]] = cells[2]
        if "trans-splicing" in cells[8] and _EXCEPTION.search(cells[8]):
            rows.trans_spliced.add(identity[1])


def _add_feature(rows: _Rows, where: str, number: int, cells: list[str], gff3: bool) -> None:
    """Check a row and keep it, or count why not."""
    attributes = cells[8]
    if "trans-splicing" in attributes and _EXCEPTION.search(attributes):
        rows.skipped[TRANS_SPLICED] += 1
        return
    if cells[6] in (".", "?"):
        rows.skipped[NO_STRAND] += 1
        return
    if cells[6] not in ("+", "-"):
        raise InputError(f"{where}: strand {cells[6]!r} of {cells[2]}; expected + or -")
    start, end = _coordinates(where, cells)
    rows.owners.append(_owner(where, cells, gff3))
    coding = cells[2] == "CDS"
    pseudo = "pseudo" in attributes and _PSEUDO.search(attributes) is not None
    phase = int(cells[7]) if cells[7] in ("0", "1", "2") else -1
    low, high = coding and "start_range=" in attributes, coding and "end_range=" in attributes
    contig = unquote(cells[0]) if gff3 and "%" in cells[0] else cells[0]
    rows.kept.append((contig, cells[2], start, end, cells[6], phase, number, pseudo, low, high))
    transfer = '"tRNA"' in attributes and _TRANSFER_RNA.search(attributes) is not None
    rows.transfer_rna.append(transfer)


def _owner(where: str, cells: list[str], gff3: bool) -> tuple[str, str]:
    """Return the transcript (GTF), or the parents and the ID (GFF3) of a row."""
    attributes = cells[8]
    if not gff3:
        match = _TRANSCRIPT.search(attributes)
        if match is None or not match[1]:
            raise InputError(
                f"{where}: {cells[2]} without transcript_id; expected one, so that exons can be "
                "joined to transcripts"
            )
        return match[1], ""
    parent, identity = _PARENT.search(attributes), _IDENTITY.search(attributes)
    if parent is not None and not all(parent[1].split(",")):
        raise InputError(
            f"{where}: Parent={parent[1]} of {cells[2]} holds an empty name; expected names with "
            "commas between them"
        )
    if parent is None and (cells[2] != "CDS" or identity is None):
        raise InputError(
            f"{where}: {cells[2]} without Parent; expected one, so that exons can be joined to "
            "transcripts"
        )
    return parent[1] if parent else "", identity[1] if identity else ""


def _coordinates(where: str, cells: list[str]) -> tuple[int, int]:
    """Return start and end of a row, 0-based half-open."""
    try:
        start, end = whole_number(cells[3]) - 1, whole_number(cells[4])
    except ValueError:
        raise InputError(
            f"{where}: start {cells[3]!r}, end {cells[4]!r}; expected whole numbers"
        ) from None
    if not 0 <= start < end:
        raise InputError(f"{where}: start {cells[3]}, end {cells[4]}; expected 1 <= start <= end")
    return start, end


def _gtf_table(rows: _Rows) -> pd.DataFrame:
    """Make the table of a GTF file."""
    table = pd.DataFrame(rows.kept, columns=COLUMNS)
    return table.assign(
        transcript=[owner for owner, _ in rows.owners], transfer_rna=rows.transfer_rna
    )


def _gff3_table(rows: _Rows) -> pd.DataFrame:
    """Make the table of a GFF3 file, now that all parents are known.

    Coding parts that hang on a gene itself (bacteria, viruses) belong together if they share an ID;
    a gene may have several products.
    """
    kept, transcripts, transfer = [], [], []
    for row, (parents, identity) in zip(rows.kept, rows.owners):
        for parent in parents.split(","):
            if parent in rows.trans_spliced:
                rows.skipped[TRANS_SPLICED] += 1
                continue
            kind = rows.kinds.get(parent, "")
            on_gene = row[1] == "CDS" and (not parent or kind.endswith("gene"))
            kept.append(row)
            transcripts.append(f"{parent} {identity}" if on_gene else parent)
            transfer.append(kind == "tRNA")
    table = pd.DataFrame(kept, columns=COLUMNS)
    return table.assign(transcript=transcripts, transfer_rna=transfer)
