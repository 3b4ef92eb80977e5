"""A first look at a file of sites: its contigs, ends, names, strands and lengths, row by row.

Nothing is refused here but what cannot be read at all: the look counts what does not fit, so that
it can be said in one line. `extract_sites` then reads the file in earnest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from genomesieve.annotation import FEATURES
from genomesieve.compression import read_lines
from genomesieve.errors import InputError
from genomesieve.whole_numbers import whole_number

ANNOTATIONS = ("gtf", "gff3")
_HEADERS = ("track", "browser")
_MITOCHONDRIA = ("M", "MT", "Mt", "Mito", "chrM", "chrMT", "chrMt")
_PLASTIDS = ("C", "Pt", "chrC", "chrPt")


@dataclass(frozen=True)
class SiteFile:
    """What the rows of a file of intervals or of an annotation say.

    Parameters
    ----------
    path : Path
    form : str
        bed, narrowPeak, broadPeak, gtf or gff3.
    rows : pandas.DataFrame
        Columns contig (as in the file), start, end (0-based half-open), name (column 4 of BED;
        the feature of an annotation), strand.
    """

    path: Path
    form: str
    rows: pd.DataFrame = field(repr=False)

    @property
    def is_annotation(self) -> bool:
        """Whether the file is a GTF or GFF3."""
        return self.form in ANNOTATIONS

    @property
    def median_length(self) -> int:
        """Median length of the intervals, in bp."""
        return int((self.rows["end"] - self.rows["start"]).median())

    @property
    def stranded(self) -> bool:
        """Whether every row has a strand."""
        return bool(self.rows["strand"].isin(["+", "-"]).all())

    def names(self) -> Counter[str]:
        """Count the names in column 4; empty where that names rows and not classes.

        It names classes where there are several names and each stands, on average, in ten rows or
        more.
        """
        counts = Counter(self.rows["name"])
        counts.pop("", None)
        counts.pop(".", None)
        many = len(counts) > 1 and sum(counts.values()) >= 10 * len(counts)
        return counts if many else Counter()

    def overlapping(self) -> int:
        """Count the intervals that overlap an earlier one of the same name and strand."""
        keys = ["contig", "name", "strand"] if self.names() else ["contig", "strand"]
        table = self.rows.sort_values([*keys, "start", "end"], kind="stable")
        reach = table.groupby(keys)["end"].cummax().groupby([table[key] for key in keys]).shift(1)
        return int((table["start"] < reach).sum())

    def unknown_contigs(self, lengths: Mapping[str, int], aliases: Mapping[str, str]) -> Counter:
        """Count the rows on contigs that the FASTA lacks, by contig."""
        names = self.rows["contig"].replace(dict(aliases))
        return Counter(self.rows["contig"][~names.isin(list(lengths))])

    def beyond_ends(self, lengths: Mapping[str, int], aliases: Mapping[str, str]) -> int:
        """Count the rows that end beyond their contig."""
        names = self.rows["contig"].replace(dict(aliases))
        return int((self.rows["end"] > names.map(dict(lengths))).sum())


def track_format(row: Mapping[str, str], path: Path) -> str:
    """Return the format of a file of sites: as its row states it, or by the file's name.

    Parameters
    ----------
    row : mapping of str to str
        A row of the sheet of tracks; its `format` may be missing, empty or `auto`.
    path : Path

    Returns
    -------
    str
        bed, narrowPeak, broadPeak, gtf or gff3; bed where the name says nothing.
    """
    stated = row.get("format") or "auto"
    if stated != "auto":
        return stated
    names = [suffix.lower() for suffix in path.suffixes]
    for kind in ("narrowPeak", "broadPeak", "gtf", "gff3"):
        if f".{kind.lower()}" in names:
            return kind
    return "gff3" if ".gff" in names else "bed"


def look_at(path: Path, form: str) -> SiteFile:
    """Read the rows of a file of sites.

    Parameters
    ----------
    path : Path
        Plain, gzip or bgzip.
    form : str
        bed, narrowPeak, broadPeak, gtf or gff3.

    Raises
    ------
    InputError
        If a row has too few columns or coordinates that are no whole numbers, or there is no row.
    """
    rows = []
    read = _annotation_row if form in ANNOTATIONS else _interval_row
    for number, text in read_lines(path, "file of sites"):
        if form in ANNOTATIONS and text.startswith("##FASTA"):
            break
        if not text.strip() or text.startswith("#") or text.split(None, 1)[0] in _HEADERS:
            continue
        row = read(f"{path} line {number}", text.split("\t"), form)
        if form not in ANNOTATIONS or row[3] in FEATURES:
            rows.append(row)
    if not rows:
        what = f"row of {', '.join(FEATURES)}" if form in ANNOTATIONS else "row"
        raise InputError(f"{path} holds no {what}; expected sites as {form}")
    table = pd.DataFrame(rows, columns=["contig", "start", "end", "name", "strand"])
    return SiteFile(path, form, table)


def _interval_row(where: str, cells: list[str], form: str) -> tuple:
    """Return contig, start, end, name and strand of a row of BED or its relatives."""
    if len(cells) < 3:
        raise InputError(
            f"{where}: {len(cells)} columns; expected {form}: 3 or more, separated by tabs"
        )
    start, end = _coordinates(where, cells[1], cells[2])
    name = cells[3] if len(cells) > 3 else ""
    return cells[0], start, end, name, cells[5] if len(cells) > 5 else "."


def _annotation_row(where: str, cells: list[str], form: str) -> tuple:
    """Return contig, start, end, feature and strand of a row of GTF or GFF3."""
    if len(cells) < 9:
        raise InputError(f"{where}: {len(cells)} columns; expected {form}: 9, separated by tabs")
    start, end = _coordinates(where, cells[3], cells[4])
    return cells[0], start - 1, end, cells[2], cells[6]


def _coordinates(where: str, start: str, end: str) -> tuple[int, int]:
    """Read two whole numbers."""
    try:
        return whole_number(start), whole_number(end)
    except ValueError:
        raise InputError(f"{where}: start {start!r}, end {end!r}; expected whole numbers") from None


def propose_aliases(found: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Guess which contig of a FASTA each unknown name means: with `chr` or without, MT or chrM.

    Parameters
    ----------
    found : iterable of str
        Names in a file of sites.
    known : iterable of str
        Names in the FASTA.

    Returns
    -------
    dict of str to str
        Name in the file to name in the FASTA; nothing for names that are the same in both, that
        fit nothing, or whose contig another name fits too.
    """
    found, known = list(dict.fromkeys(found)), set(known)
    guesses = {}
    for name in found:
        if name in known:
            continue
        near = [other for other in _variants(name) if other in known]
        if len(near) == 1:
            guesses[name] = near[0]
    taken = Counter([*guesses.values(), *(name for name in found if name in known)])
    return {name: other for name, other in guesses.items() if taken[other] == 1}


def _variants(name: str) -> list[str]:
    """Return other names that a contig goes by."""
    bare = name[3:] if name.lower().startswith("chr") else name
    others = [bare, f"chr{bare}", f"Chr{bare}"]
    for same in (_MITOCHONDRIA, _PLASTIDS):
        if name in same:
            others += same
    if "." in name:
        others.append(name.rpartition(".")[0])
    return list(dict.fromkeys(other for other in others if other != name))
