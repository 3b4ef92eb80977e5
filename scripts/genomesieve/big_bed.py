"""Calls written as bigBed, which genome browsers fetch piece by piece."""

from __future__ import annotations

import csv
import os
import struct
from pathlib import Path

import pandas as pd
import pybigtools

from genomesieve.call_files import CALL_COLUMNS
from genomesieve.files import whole_file
from genomesieve.tracks import MOST_NAMED_CONTIGS

FIELDS = """table call
"A call of genomesieve"
(
    string chrom;       "Contig"
    uint   chromStart;  "First base, 0-based"
    uint   chromEnd;    "Base after the last one"
    string name;        "Class"
    uint   score;       "1000 times the probability"
    char[1] strand;     "+, - or . for both"
    float  probability; "Probability that it is a site"
    float  fdr;         "Share of false calls among those that score as high"
)
"""
"""Names of the columns (autoSql)."""
_STANDARD_FIELDS = 6
_FIELD_COUNTS, _AUTOSQL, _SUMMARY = 32, 36, 44
"""Places in a bigBed's header (Kent et al. 2010, supplementary table 5)."""
_SUMMARY_BYTES = 40


def write_big_bed(path: str | os.PathLike, calls: pd.DataFrame, contigs: pd.DataFrame) -> None:
    """Write calls as a bigBed 6+2; no calls give no file, as the format has none.

    Its header names every contig, but of a genome of more than `MOST_NAMED_CONTIGS` those with
    calls alone, as the tracks do.

    Parameters
    ----------
    path : path-like
        A file that was there is replaced, or removed where there is no call.
    calls : pandas.DataFrame
        As `call_files.read_calls`, sorted by contig in the order of `contigs`, then start.
    contigs : pandas.DataFrame
        The genome's contig table (contig, length).
    """
    if calls.empty:
        Path(path).unlink(missing_ok=True)
        return
    named = contigs
    if len(contigs) > MOST_NAMED_CONTIGS:
        named = contigs[contigs["contig"].isin(calls["contig"].unique())]
    lengths = dict(zip(named["contig"], named["length"].astype(int).tolist()))
    places = zip(calls["contig"], calls["start"].tolist(), calls["end"].tolist())
    rest = calls[CALL_COLUMNS[3:]].to_csv(
        sep="\t", header=False, index=False, float_format="%.6g", na_rep="nan",
        lineterminator="\n", quoting=csv.QUOTE_NONE,
    )  # fmt: skip
    with whole_file(Path(path)) as temporary:
        writer = pybigtools.open(str(temporary), "w")
        writer.write(lengths, ((*one, text) for one, text in zip(places, rest.splitlines())))
        _name_fields(temporary)


def _name_fields(path: Path) -> None:
    """Say in a bigBed what its columns are: the library knows the first three alone.

    The names are added at the end of the file, and the header points there. Some readers take what
    lies between them and the summary for names, so that the summary is written anew behind them.
    """
    with path.open("r+b") as handle:
        magic = handle.read(4)
        handle.seek(_SUMMARY)
        handle.seek(*struct.unpack("<Q", handle.read(8)))
        summary = handle.read(_SUMMARY_BYTES)
        handle.seek(_FIELD_COUNTS)
        handle.write(struct.pack("<HH", len(CALL_COLUMNS), _STANDARD_FIELDS))
        place = handle.seek(0, os.SEEK_END)
        names = FIELDS.encode() + b"\0"
        # Readers look for the format's number at both ends.
        handle.write(names + summary + magic)
        handle.seek(_AUTOSQL)
        handle.write(struct.pack("<QQ", place, place + len(names)))
