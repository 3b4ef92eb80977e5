"""Files that other tools read: calls as indexed BED, probabilities as bigWig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam

from genomesieve.files import whole_file

TABIX_LIMIT = 1 << 29
"""Contigs longer than this cannot be indexed by `.tbi`, only by `.csi`."""

_HEADER = "#contig\tstart\tend\tclass\tscore\tstrand\tprobability\tfdr\n"
_ENTRIES = 1_000_000


def write_calls(path: Path, calls: pd.DataFrame, longest_contig: int) -> None:
    """Write calls as bgzipped BED with index (`.csi`; `.tbi` too where contigs are short enough).

    Parameters
    ----------
    path : Path
        `calls.bed.gz`.
    calls : pandas.DataFrame
        Columns contig, start, end (0-based half-open), class, strand, probability, fdr, sorted by
        contig and start. The BED score is round(1000 * probability).
    longest_contig : int
        Bases.
    """
    table = pd.DataFrame(
        {
            "contig": calls["contig"],
            "start": calls["start"],
            "end": calls["end"],
            "class": calls["class"],
            "score": np.round(1000 * calls["probability"]).astype(int),
            "strand": calls["strand"],
            "probability": calls["probability"].map("{:.5f}".format),
            "fdr": calls["fdr"].map("{:.5f}".format),
        }
    )
    with whole_file(path) as temporary:
        with pysam.BGZFile(str(temporary), "w") as handle:
            handle.write(_HEADER.encode())
            handle.write(table.to_csv(sep="\t", header=False, index=False).encode())
        indices = [(".csi", {"csi": True, "min_shift": 14})]
        if longest_contig <= TABIX_LIMIT:
            indices.append((".tbi", {}))
        for suffix, options in indices:
            with whole_file(path.with_name(path.name + suffix)) as index:
                pysam.tabix_index(
                    str(temporary),
                    preset="bed",
                    force=True,
                    keep_original=True,
                    index=str(index),
                    **options,
                )


def write_bigwig(
    path: Path,
    contigs: pd.DataFrame,
    contig_rows: np.ndarray,
    starts: np.ndarray,
    resolution: int,
    values: np.ndarray,
) -> None:
    """Write values of bins as bigWig; bins that are not given have no value.

    Parameters
    ----------
    path : Path
    contigs : pandas.DataFrame
        Columns contig, length: all contigs of the genome, in order.
    contig_rows, starts : numpy.ndarray, shape=(n,)
        Row in `contigs` and first base of each bin, sorted.
    resolution : int
        Bases a bin.
    values : numpy.ndarray, shape=(n,)
    """
    names = contigs["contig"].to_numpy(object)
    with whole_file(path) as temporary:
        handle = pyBigWig.open(str(temporary), "w")
        handle.addHeader([(str(a), int(b)) for a, b in zip(names, contigs["length"])])
        for first in range(0, len(starts), _ENTRIES):
            part = slice(first, first + _ENTRIES)
            begin = starts[part].astype(np.int64)
            handle.addEntries(
                names[contig_rows[part]].astype(str),
                begin,
                ends=begin + resolution,
                values=values[part].astype(np.float64),
            )
        handle.close()
