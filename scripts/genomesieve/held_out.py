"""Which intervals of an unlabelled genome are trained on, and which are held out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.regions import parse_regions
from genomesieve.settings import complete_settings

TRAIN, HELD_OUT = "train", "held_out"
_COLUMNS = ["contig", "start", "end"]


def divide_genome(given: object, contigs: pd.DataFrame, genome: str) -> dict[str, pd.DataFrame]:
    """Return the intervals of both parts of a genome.

    Parameters
    ----------
    given : object
        A table of lists of regions (`chr1`, `chr1:0-5000`, 0-based half-open): `held_out` (none
        where it is missing), `train` (the rest where it is missing) and `regions` (what of the
        genome is used at all; everything where it is missing).
    contigs : pandas.DataFrame
        The genome's contig table.
    genome : str
        Name, for messages.

    Returns
    -------
    dict of str to pandas.DataFrame
        Columns contig, start, end, by part.

    Raises
    ------
    InputError
        If a list cannot be read, names what does not exist, or the two parts overlap.
    """
    key = f"split of genome {genome}"
    lists = complete_settings(key, given, {TRAIN: None, HELD_OUT: [], "regions": []})
    held_out = pd.DataFrame(columns=_COLUMNS).astype({"start": "int64", "end": "int64"})
    if lists[HELD_OUT]:
        held_out = parse_regions(lists[HELD_OUT], contigs, genome, f"{key}, key {HELD_OUT}")
    if lists[TRAIN] is None:
        regions = parse_regions(lists["regions"], contigs, genome, f"{key}, key regions")
        return {TRAIN: without(regions, held_out), HELD_OUT: held_out}
    train = held_out.iloc[:0]
    if lists[TRAIN]:
        train = parse_regions(lists[TRAIN], contigs, genome, f"{key}, key {TRAIN}")
    left = without(train, held_out)
    if _bases(left) != _bases(train):
        raise InputError(
            f"{key}: {_bases(train) - _bases(left)} bp are both in {TRAIN} and in {HELD_OUT}; "
            "expected parts that do not overlap"
        )
    return {TRAIN: train, HELD_OUT: held_out}


def without(intervals: pd.DataFrame, removed: pd.DataFrame) -> pd.DataFrame:
    """Return what of some intervals lies outside of others (columns contig, start, end).

    Those that are removed are sorted by start and do not overlap.
    """
    cuts: Mapping[str, np.ndarray] = {
        contig: rows[["start", "end"]].to_numpy(np.int64)
        for contig, rows in removed.groupby("contig")
    }
    rows = []
    for contig, start, end in intervals[_COLUMNS].itertuples(index=False):
        for low, high in cuts.get(contig, np.zeros((0, 2), dtype=np.int64)):
            if low < end and high > start:
                rows.append((contig, start, low))
                start = high
        rows.append((contig, start, end))
    kept = pd.DataFrame([row for row in rows if row[1] < row[2]], columns=_COLUMNS)
    return kept.astype({"start": "int64", "end": "int64"})


def _bases(intervals: pd.DataFrame) -> int:
    """Return the number of bases in a table of intervals."""
    return int((intervals["end"] - intervals["start"]).sum())
