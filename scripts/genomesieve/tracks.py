"""Writing calls and probabilities as files that genome browsers and other tools read."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam

from genomesieve.call_files import CALL_COLUMNS
from genomesieve.files import whole_file

MOST_NAMED_CONTIGS = 10_000
TBI_LONGEST = 1 << 29
"""A .tbi index knows no position beyond this; .csi does."""


def write_calls(path: str | os.PathLike, calls: pd.DataFrame, genome: str, longest: int) -> None:
    """Write calls as a bgzipped BED6+2 with a .csi index, and a .tbi one where that can be had.

    Parameters
    ----------
    path : path-like
        Ends in `.bed.gz`.
    calls : pandas.DataFrame
        Columns contig, start, end, class, strand, probability, fdr; sorted by contig and start.
    genome : str
        Whose prevalence the probabilities are meant at.
    longest : int
        Length of the longest contig, bp.
    """
    table = calls.assign(score=np.round(1000 * calls["probability"]).astype(np.int64))
    with whole_file(path) as packed, tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "calls.bed"
        with plain.open("w") as handle:
            handle.write(f"# probability and fdr: at the prevalence of {genome}\n")
            handle.write("#" + "\t".join(CALL_COLUMNS) + "\n")
            table.to_csv(
                handle,
                sep="\t",
                columns=CALL_COLUMNS,
                index=False,
                header=False,
                float_format="%.6g",
                # BED knows no quotes: a contig named "x" stays as it is.
                quoting=csv.QUOTE_NONE,
            )
        pysam.tabix_compress(str(plain), str(packed), force=True)
        _index(packed, f"{path}.csi", csi=True)
        if longest < TBI_LONGEST:
            _index(packed, f"{path}.tbi", csi=False)


def _index(packed: Path, path: str, csi: bool) -> None:
    """Write one index of a bgzipped BED file."""
    with whole_file(path) as temporary:
        pysam.tabix_index(
            str(packed), preset="bed", force=True, csi=csi, keep_original=True,
            index=str(temporary),
        )  # fmt: skip


def write_bigwig(
    path: str | os.PathLike,
    contigs: pd.DataFrame,
    bins: pd.DataFrame,
    resolution: int,
) -> None:
    """Write one value a bin as a bigWig.

    Its header names every contig, but of a genome of more than `MOST_NAMED_CONTIGS` those with
    values alone: the time that the library takes grows with the square of the contigs it knows.

    Parameters
    ----------
    path : path-like
    contigs : pandas.DataFrame
        The genome's contig table (contig, length).
    bins : pandas.DataFrame
        Columns contig_index, start (bp), value; sorted by the first two.
    resolution : int
        Bases a bin.
    """
    with whole_file(path) as temporary:
        track = pyBigWig.open(str(temporary), "w")
        named = contigs
        if len(contigs) > MOST_NAMED_CONTIGS and len(bins):
            named = contigs.iloc[np.unique(bins["contig_index"])]
        track.addHeader(list(zip(named["contig"].tolist(), named["length"].astype(int).tolist())))
        names = contigs["contig"].to_numpy()
        for row, mine in bins.groupby("contig_index", sort=True):
            track.addEntries(
                str(names[row]),
                mine["start"].to_numpy(np.int64),
                values=mine["value"].to_numpy(np.float64),
                span=resolution,
            )
        track.close()
