"""The files of one shard of a scan, reduced while the scores arrive.

Scores are counted and searched for candidates a bounded number of bins at a time, so that neither
memory nor disk grows with the genome unless the scores themselves are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genomesieve.files import whole_file
from genomesieve.label_counts import sparse_block_histogram, total_histogram
from genomesieve.layout import ScanLayout
from genomesieve.scan_files import Histograms, sum_block_counts, write_histograms
from genomesieve.scores import CODES, list_candidates

_BINS_AT_ONCE = 1 << 20
_MOST_BLOCK_ROWS = 1 << 21
CANDIDATE_SCHEMA = pa.schema(
    {
        "bin": pa.int64(),
        "class_index": pa.uint16(),
        "strand_index": pa.uint8(),
        "code": pa.uint16(),
    }
)


def write_shard(
    folder: Path,
    scored: Iterable[tuple[int, np.ndarray]],
    floors: np.ndarray,
    layout: ScanLayout,
    bins: tuple[int, int],
    shape: tuple[int, int],
    keep_scores: bool,
) -> None:
    """Write histograms.npz, candidates.parquet and, where asked for, scores.npy.

    Parameters
    ----------
    folder : Path
    scored : iterable of (int, numpy.ndarray)
        First bin and score codes (strands, classes, bins), uint16, of piece after piece: all bins
        of the shard in their order.
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
        Lowest code worth keeping of every class.
    layout : ScanLayout
        Of all shards together.
    bins : tuple of int
        First bin of the shard and the one after its last.
    shape : tuple of int
        Strands and classes.
    keep_scores : bool
    """
    first, end = bins
    total = np.zeros((*shape, CODES), dtype=np.int64)
    nothing = np.zeros((*shape, 0), dtype=np.uint16)
    blocks = [sparse_block_histogram(nothing, _cut(layout, first, first), floors)]
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(whole_file(folder / "candidates.parquet"))
        writer = stack.enter_context(pq.ParquetWriter(temporary, CANDIDATE_SCHEMA))
        kept = _kept_scores(stack, folder, (*shape, end - first)) if keep_scores else None
        for start, scores in _gathered(scored, shape):
            stop = start + scores.shape[2]
            total += total_histogram(scores)
            blocks.append(sparse_block_histogram(scores, _cut(layout, start, stop), floors))
            if sum(map(len, blocks)) > _MOST_BLOCK_ROWS:
                blocks = [sum_block_counts(blocks)]
            candidates = list_candidates(scores, floors, start)
            writer.write_table(pa.Table.from_pandas(candidates, CANDIDATE_SCHEMA, False))
            if kept is not None:
                kept[..., start - first : stop - first] = scores
    write_histograms(folder / "histograms.npz", Histograms(total, floors, sum_block_counts(blocks)))


def _kept_scores(
    stack: contextlib.ExitStack, folder: Path, shape: tuple[int, int, int]
) -> np.memmap:
    """Map scores.npy for writing; it takes its name when the stack is left without an error."""
    temporary = stack.enter_context(whole_file(folder / "scores.npy"))
    scores = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint16, shape=shape)
    stack.callback(scores.flush)
    return scores


def _gathered(
    scored: Iterable[tuple[int, np.ndarray]], shape: tuple[int, int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Join pieces until there are about a million bins; the array is used again."""
    buffer = np.empty((*shape, _BINS_AT_ONCE), dtype=np.uint16)
    start, used = 0, 0
    for first, codes in scored:
        for at in range(0, codes.shape[2], _BINS_AT_ONCE):
            part = codes[..., at : at + _BINS_AT_ONCE]
            if used + part.shape[2] > _BINS_AT_ONCE:
                yield start, buffer[..., :used]
                used = 0
            if used == 0:
                start = first + at
            buffer[..., used : used + part.shape[2]] = part
            used += part.shape[2]
    if used:
        yield start, buffer[..., :used]


def _cut(layout: ScanLayout, first: int, end: int) -> ScanLayout:
    """Return the layout with blocks cut to a range of bins and counted from its first."""
    blocks = layout.blocks
    cut = {name: blocks[name].clip(first, end) - first for name in ("first_bin", "end_bin")}
    return replace(layout, blocks=blocks.assign(**cut))
