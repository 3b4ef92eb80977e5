"""Read the calls that a merged scan wrote."""

from __future__ import annotations

import csv
import gzip
from itertools import takewhile
from pathlib import Path

import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import existing_file

CALL_COLUMNS = ["contig", "start", "end", "class", "score", "strand", "probability", "fdr"]


def read_calls(path: Path, genome: str) -> pd.DataFrame:
    """Read calls.bed.gz: columns `CALL_COLUMNS`, positions 0-based half-open."""
    existing_file(path, f"calls of {genome}")
    kinds = {"contig": str, "class": str, "strand": str}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as handle:
            heading = sum(1 for _ in takewhile(lambda line: line.startswith("#"), handle))
        # Contigs are text, whatever they hold: NA, a quote, or the # of HG002#1#chr1.
        return pd.read_csv(
            path,
            sep="\t",
            skiprows=heading,
            names=CALL_COLUMNS,
            dtype=kinds,
            compression="gzip",
            quoting=csv.QUOTE_NONE,
            keep_default_na=False,
            na_values={"probability": "", "fdr": ""},
        )
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"calls of {genome} {path} cannot be read: {error}") from error
