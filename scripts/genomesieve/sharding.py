"""Into how many jobs a scan is cut, known before anything has been read."""

from __future__ import annotations

import csv
from pathlib import Path

BASES_A_SHARD = 200_000_000
MOST_SHARDS = 100_000
_BASES_A_BYTE = {".gz": 4, ".bgz": 4}
"""Compressed sequence takes a little over two bits a base."""


def default_shards(fasta: str) -> int:
    """Return one shard for each 200 million bases that a FASTA file is likely to hold.

    Its index (`.fai`) says how many there are; without one the file's size does, roughly. A file
    that is still to be fetched counts as small, so that a plan stays what it is once it is there:
    what the workflow fetches lies in resources/.

    Parameters
    ----------
    fasta : str
        Path of the file.
    """
    path = Path(fasta)
    if path.parts[:1] == ("resources",) or not _is_file(path):
        return 1
    return min(max(1, -(-_bases(path) // BASES_A_SHARD)), MOST_SHARDS)


def _is_file(path: Path) -> bool:
    """Tell whether there is a file; no file has a name that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def _bases(path: Path) -> int:
    """Return the bases of a FASTA file by its index, or about those by its size."""
    index = path.with_name(path.name + ".fai")
    try:
        with index.open(newline="") as rows:
            return sum(int(row[1]) for row in csv.reader(rows, delimiter="\t"))
    except (OSError, ValueError, IndexError, csv.Error):
        return path.stat().st_size * _BASES_A_BYTE.get(path.suffix, 1)
