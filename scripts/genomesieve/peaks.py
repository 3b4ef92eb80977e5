"""Tracks of intervals: BED3 to BED6 and more, narrowPeak, broadPeak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.compression import read_lines
from genomesieve.errors import InputError, first_names
from genomesieve.whole_numbers import whole_number

FORMATS = ("bed", "narrowPeak", "broadPeak")
ANCHORS = ("start", "end", "summit", "middle")
_SUMMIT_COLUMN = 9
_HEADERS = ("track", "browser")


def read_intervals(
    path: Path, lengths: dict[str, int], names: dict[str, str], narrow_peak: bool = False
) -> pd.DataFrame:
    """Read the rows of a BED-like file and check each against its contig.

    Parameters
    ----------
    path : Path
        Plain or gzip; three columns or more, separated by tabs.
    lengths : dict of str to int
        Length of every contig of the genome.
    names : dict of str to str
        Aliases: name in the file to name in the genome.
    narrow_peak : bool
        Whether the file is narrowPeak: ten columns, the last one the summit.

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
        if not text.strip() or text.startswith("#") or text.split(None, 1)[0] in _HEADERS:
            continue
        where, cells = f"{path} line {number}", text.split("\t")
        row = _read_row(where, cells, lengths, names)
        summit = _read_summit(where, cells, row[2] - row[1]) if narrow_peak else -1
        rows.append((*row, summit, number))
    columns = ["contig", "start", "end", "name", "strand", "summit", "line"]
    return pd.DataFrame(rows, columns=columns)


def _read_row(where: str, cells: list[str], lengths, names) -> tuple:
    """Return contig, start, end, name and strand of one row."""
    if len(cells) < 3:
        raise InputError(f"{where}: {len(cells)} columns; expected 3 or more, separated by tabs")
    try:
        start, end = whole_number(cells[1]), whole_number(cells[2])
    except ValueError:
        raise InputError(
            f"{where}: start {cells[1]!r}, end {cells[2]!r}; expected whole numbers"
        ) from None
    contig = names.get(cells[0], cells[0])
    if contig not in lengths:
        raise InputError(
            f"{where}: contig {cells[0]!r} is not in the genome, which has {first_names(lengths)}; "
            "expected the FASTA's names, or a table of aliases (name here, name in the FASTA)"
        )
    if start < 0 or start >= end:
        raise InputError(f"{where}: start {start}, end {end}; expected 0 <= start < end")
    if end > lengths[contig]:
        raise InputError(
            f"{where}: end {end} lies beyond contig {contig}; expected at most {lengths[contig]}"
        )
    strand = cells[5] if len(cells) > 5 else "."
    if strand not in ("+", "-", "."):
        raise InputError(f"{where}: strand {strand!r} in column 6; expected +, - or .")
    return contig, start, end, cells[3] if len(cells) > 3 else "", strand


def _read_summit(where: str, cells: list[str], length: int) -> int:
    """Return the summit of a narrowPeak row, as an offset from its start; -1 for none."""
    if len(cells) < _SUMMIT_COLUMN + 1:
        raise InputError(
            f"{where}: {len(cells)} columns; expected the {_SUMMIT_COLUMN + 1} of narrowPeak"
        )
    text = cells[_SUMMIT_COLUMN]
    try:
        summit = whole_number(text)
    except ValueError:
        summit = length
    if not -1 <= summit < length:
        raise InputError(
            f"{where}: summit {text!r}; expected -1 (none) or an offset from 0 to {length - 1}"
        )
    return summit


def anchor_positions(intervals: pd.DataFrame, anchor: str, narrow_peak: bool) -> np.ndarray:
    """Return the base that each interval stands for.

    Parameters
    ----------
    intervals : pandas.DataFrame
        Columns start, end, strand, summit.
    anchor : str
        `start` or `end` (in the direction of the strand, if there is one), `summit`, `middle`, or
        empty: the summit where a narrowPeak file has one, else the middle, which is
        floor((start + end - 1) / 2).
    narrow_peak : bool
        Whether the file is narrowPeak.

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=int64

    Raises
    ------
    InputError
        If the anchor is unknown, or is the summit where the format has none.
    """
    start, end = (intervals[name].to_numpy(np.int64) for name in ("start", "end"))
    middle = (start + end - 1) // 2
    summit = intervals["summit"].to_numpy(np.int64)
    if anchor == "summit" and not narrow_peak:
        raise InputError("anchor 'summit' needs narrowPeak; expected start, end or middle")
    if narrow_peak and anchor in ("", "summit"):
        return np.where(summit >= 0, start + summit, middle)
    if anchor in ("start", "end"):
        left = (intervals["strand"].to_numpy(str) != "-") == (anchor == "start")
        return np.where(left, start, end - 1)
    if anchor not in ("", "middle"):
        raise InputError(f"anchor {anchor!r} is unknown; expected {', '.join(ANCHORS)}")
    return middle
