"""Places of a BED file that a model is asked about, one base each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import existing_file

COLUMNS = ("contig", "start", "end", "name", "strand", "line")


def read_places(path: Path, stranded: bool, what: str = "sites") -> pd.DataFrame:
    """Read a BED file; an interval stands for its middle base.

    Parameters
    ----------
    path : pathlib.Path
    stranded : bool
        Whether a strand is needed; else all strands become a dot.
    what : str
        What the places are, for messages.

    Returns
    -------
    pandas.DataFrame
        Columns contig, start and end (0-based half-open, one base), name, strand, and line, the
        number of the line.

    Raises
    ------
    InputError
        Naming the line, what was found and what was expected.
    """
    try:
        lines = existing_file(path, what).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read: {error}") from error
    rows = [
        _read_line(line.rstrip("\r\n").split("\t"), f"{path}, line {number}", stranded, number)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.startswith(("#", "track", "browser"))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _read_line(cells: list[str], where: str, stranded: bool, number: int) -> tuple:
    """Return one row of the table."""
    try:
        contig, start, end = cells[0], int(cells[1]), int(cells[2])
    except (IndexError, ValueError):
        found = " ".join(cells)[:80]
        raise InputError(
            f"{where}: found {found!r}; expected contig, start and end, with tabs between them"
        ) from None
    if not 0 <= start < end:
        raise InputError(f"{where}: found {start}-{end}; expected 0 <= start < end")
    name = cells[3] if len(cells) > 3 else ""
    strand = cells[5] if len(cells) > 5 else "."
    if stranded and strand not in ("+", "-"):
        raise InputError(f"{where}: found strand {strand!r}; expected + or -")
    middle = (start + end - 1) // 2
    return contig, middle, middle + 1, name, strand if stranded else ".", number
