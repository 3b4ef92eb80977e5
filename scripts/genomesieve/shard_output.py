"""The files of one shard of a scan, written while the scores arrive.

Neither memory nor disk grows with the genome unless the scores themselves are kept. The files do
not depend on how the scores were cut: candidates stand in windows of bins (see
`reduction.WINDOW_BINS`), each ordered by strand, class and bin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from genomesieve import reduction
from genomesieve.files import whole_file
from genomesieve.layout import ScanLayout
from genomesieve.reduction import Reduced, reduce_scores, sparse_counts
from genomesieve.scan_files import (
    CANDIDATE_COLUMNS,
    Histograms,
    read_histograms,
    read_scores,
    sum_block_counts,
    write_histograms,
)
from genomesieve.scores import CODES

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
    pieces = reduce_scores(scored, floors, layout, shape)
    write_reduced(folder, pieces, floors, bins, shape, keep_scores)


def write_reduced(
    folder: Path,
    pieces: Iterable[Reduced],
    floors: np.ndarray,
    bins: tuple[int, int],
    shape: tuple[int, int],
    keep_scores: bool,
) -> None:
    """Write the files of a shard from what was reduced already, on whatever device.

    Parameters are those of `write_shard`; `pieces` follow each other.
    """
    first, end = bins
    total = np.zeros((*shape, CODES), dtype=np.int64)
    blocks = [sparse_counts(total, 0, floors)]
    with contextlib.ExitStack() as stack:
        candidates = stack.enter_context(candidate_file(folder / "candidates.parquet"))
        kept = _kept_scores(stack, folder, (*shape, end - first)) if keep_scores else None
        for piece in pieces:
            if piece.total is not None:
                total += piece.total
            if piece.blocks is not None:
                blocks.append(piece.blocks)
            if sum(map(len, blocks)) > _MOST_BLOCK_ROWS:
                blocks = [sum_block_counts(blocks)]
            if piece.candidates is not None:
                candidates.add(piece.candidates, piece.end)
            if kept is not None and piece.scores is not None:
                stop = piece.end - first
                kept[..., stop - piece.scores.shape[2] : stop] = piece.scores
    write_histograms(folder / "histograms.npz", Histograms(total, floors, sum_block_counts(blocks)))


def join_parts(
    folder: Path,
    parts: Iterable[Path],
    floors: np.ndarray,
    bins: list[tuple[int, int]],
    shape: tuple[int, int],
    keep_scores: bool,
) -> None:
    """Join the files of consecutive ranges of bins into those of one shard, the same bytes.

    Parameters
    ----------
    folder : Path
    parts : iterable of Path
        Folders that `write_shard` or `write_reduced` filled, in order.
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
    bins : list of tuple of int
        First bin of each part and the one after its last.
    shape : tuple of int
        Strands and classes.
    keep_scores : bool
    """
    pieces = (
        piece
        for part, span in zip(parts, bins)
        for piece in _read_part(part, span, shape, keep_scores)
    )
    write_reduced(folder, pieces, floors, (bins[0][0], bins[-1][1]), shape, keep_scores)


def _read_part(
    folder: Path, bins: tuple[int, int], shape: tuple[int, int], keep_scores: bool
) -> Iterator[Reduced]:
    """Yield what a folder holds, a bounded amount at a time."""
    first, end = bins
    window = reduction.WINDOW_BINS
    histograms = read_histograms(folder / "histograms.npz")
    yield Reduced(first, histograms.total, histograms.blocks)
    with pq.ParquetFile(folder / "candidates.parquet") as content:
        for group in range(content.num_row_groups):
            table = content.read_row_group(group).to_pandas()
            # More of this window may follow, here or in the next part.
            begin = int(table["bin"].iloc[0]) // window * window
            yield Reduced(begin, candidates=table)
    if keep_scores:
        scores = read_scores(folder / "scores.npy", (*shape, end - first))
        for at in range(first, end, window):
            stop = min(at + window, end)
            yield Reduced(stop, scores=scores[..., at - first : stop - first])


@contextlib.contextmanager
def candidate_file(path: Path) -> Iterator[CandidateWindows]:
    """Write candidates.parquet; it takes its name when the block succeeds."""
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, CANDIDATE_SCHEMA) as writer:
        windows = CandidateWindows(writer)
        yield windows
        windows.finish()


class CandidateWindows:
    """Candidates in the order of the file, whatever the pieces in which they arrive.

    Parameters
    ----------
    writer : pyarrow.parquet.ParquetWriter
    """

    def __init__(self, writer: pq.ParquetWriter):
        self._writer = writer
        self._waiting: list[pd.DataFrame] = []
        self._open = 0

    def add(self, candidates: pd.DataFrame, end: int) -> None:
        """Take more candidates (columns `CANDIDATE_COLUMNS`); all before bin `end` are given."""
        if len(candidates):
            self._waiting.append(candidates)
        window = end // reduction.WINDOW_BINS
        if window > self._open:
            self._write(window)
            self._open = window

    def finish(self) -> None:
        """Write what is left."""
        self._write(None)

    def _write(self, window: int | None) -> None:
        """Write the windows before one, or all."""
        if not self._waiting:
            return
        table = pd.concat(self._waiting, ignore_index=True)
        numbers = table["bin"].to_numpy() // reduction.WINDOW_BINS
        keys = [table[name].to_numpy() for name in ("bin", "class_index", "strand_index")]
        order = np.lexsort([*keys, numbers])
        ready = order if window is None else order[numbers[order] < window]
        for rows in np.split(ready, np.flatnonzero(np.diff(numbers[ready])) + 1):
            if len(rows):
                part = table.iloc[rows][list(CANDIDATE_COLUMNS)]
                self._writer.write_table(pa.Table.from_pandas(part, CANDIDATE_SCHEMA, False))
        left = table.iloc[order[len(ready) :]]
        self._waiting = [left] if len(left) else []


def _kept_scores(
    stack: contextlib.ExitStack, folder: Path, shape: tuple[int, int, int]
) -> np.memmap:
    """Map scores.npy for writing; it takes its name when the stack is left without an error."""
    temporary = stack.enter_context(whole_file(folder / "scores.npy"))
    scores = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint16, shape=shape)
    stack.callback(scores.flush)
    return scores
