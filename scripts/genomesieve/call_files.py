"""Read the calls that a merged scan wrote."""

from __future__ import annotations

import os

import pandas as pd

from genomesieve.compression import read_lines
from genomesieve.errors import InputError

CALL_COLUMNS = ["contig", "start", "end", "class", "score", "strand", "probability", "fdr"]


def read_calls(path: str | os.PathLike, genome: str) -> pd.DataFrame:
    """Read calls.bed.gz.

    Returns
    -------
    pandas.DataFrame
        Columns `CALL_COLUMNS`, positions 0-based half-open.

    Raises
    ------
    InputError
        If the file is missing, damaged or has other columns.
    """
    what, rows = f"calls of {genome}", []
    for number, text in read_lines(path, what):
        # Contigs are text, whatever they hold, such as the # of HG002#1#chr1.
        if not rows and text.startswith("#"):
            continue
        cells = text.split("\t")
        if len(cells) != len(CALL_COLUMNS):
            raise InputError(
                f"{what} {path}, line {number}: {len(cells)} columns; expected "
                f"{len(CALL_COLUMNS)} ({', '.join(CALL_COLUMNS)})"
            )
        rows.append(cells)
    table = pd.DataFrame(rows, columns=CALL_COLUMNS)
    numbers = {"start": "int64", "end": "int64", "score": "int64"}
    shares = {"probability": "float64", "fdr": "float64"}
    table[list(shares)] = table[list(shares)].replace("", "nan")
    try:
        return table.astype(numbers | shares)
    except ValueError as error:
        raise InputError(f"{what} {path}: {error}; expected what merge_scan writes") from error
