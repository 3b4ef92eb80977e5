"""Tracks of intervals: BED3 to BED6 and more, narrowPeak, broadPeak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.compression import read_lines
from genomesieve.errors import InputError

FORMATS = ("bed", "narrowPeak", "broadPeak")
ANCHORS = ("start", "end", "summit", "middle")
_SUMMIT_COLUMN = 9
_HEADERS = ("#", "track", "browser")


def read_intervals(path: Path, lengths: dict[str, int], names: dict[str, str]) -> pd.DataFrame:
    """Read the rows of a BED-like file and check each against its contig.

    Parameters
    ----------
    path : Path
        Plain or gzip; three columns or more, separated by tabs.
    lengths : dict of str to int
        Length of every contig of the genome.
    names : dict of str to str
        Aliases: name in the file to name in the genome.

    Returns
    -------
    pandas.DataFrame
        Columns contig, start, end (0-based half-open), name, strand ('+', '-' or '.'), summit
        (offset from start, -1 for none), line.

    Raises
    ------
    InputError
        With file and line, for what cannot be read or lies outside its contig.
    """
    rows = []
    for number, text in read_lines(path, "track"):
        if not text.strip() or text.startswith(_HEADERS):
            continue
        rows.append(_read_row(f"{path} line {number}", text.split("\t"), lengths, names, number))
    columns = ["contig", "start", "end", "name", "strand", "summit", "line"]
    return pd.DataFrame(rows, columns=columns)


def _read_row(where: str, cells: list[str], lengths, names, number: int) -> tuple:
    """Read one row."""
    if len(cells) < 3:
        raise InputError(f"{where}: {len(cells)} columns; expected 3 or more, separated by tabs")
    try:
        start, end = int(cells[1]), int(cells[2])
    except ValueError:
        raise InputError(
            f"{where}: start {cells[1]!r}, end {cells[2]!r}; expected whole numbers"
        ) from None
    contig = names.get(cells[0], cells[0])
    if contig not in lengths:
        known = ", ".join(list(lengths)[:5])
        raise InputError(
            f"{where}: contig {cells[0]!r} is not in the genome, which has {known}, ...; expected "
            "the FASTA's names, or a table of aliases (name here, name in the FASTA)"
        )
    if start < 0 or start >= end:
        raise InputError(f"{where}: start {start}, end {end}; expected 0 <= start < end")
    if end > lengths[contig]:
        raise InputError(
            f"{where}: end {end} lies beyond contig {contig}; expected at most {lengths[contig]}"
        )
    strand = cells[5] if len(cells) > 5 and cells[5] in ("+", "-") else "."
    summit = int(cells[_SUMMIT_COLUMN]) if _has_summit(cells) else -1
    return contig, start, end, cells[3] if len(cells) > 3 else "", strand, summit, number


def _has_summit(cells: list[str]) -> bool:
    """Tell whether a row has the summit column of narrowPeak with a number."""
    return len(cells) == _SUMMIT_COLUMN + 1 and cells[_SUMMIT_COLUMN].lstrip("-").isdigit()


def anchor_positions(intervals: pd.DataFrame, anchor: str, narrow_peak: bool) -> np.ndarray:
    """Return the base that each interval stands for.

    Parameters
    ----------
    intervals : pandas.DataFrame
        Columns start, end, strand, summit.
    anchor : str
        `start` or `end` (in the direction of the strand, if there is one), `summit`, `middle`, or
        empty: the summit where a narrowPeak file has one, else the middle.
    narrow_peak : bool
        Whether the file is narrowPeak.

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=int64
    """
    start, end = (intervals[name].to_numpy(np.int64) for name in ("start", "end"))
    middle = (start + end - 1) // 2
    summit = intervals["summit"].to_numpy(np.int64)
    if anchor == "summit" or (anchor == "" and narrow_peak):
        return np.where(summit >= 0, np.minimum(start + summit, end - 1), middle)
    if anchor in ("start", "end"):
        left = (intervals["strand"].to_numpy(str) != "-") == (anchor == "start")
        return np.where(left, start, end - 1)
    if anchor not in ("", "middle"):
        raise InputError(f"anchor {anchor!r} is unknown; expected {', '.join(ANCHORS)}")
    return middle
