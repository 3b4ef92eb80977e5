"""Cutting a scan into rows of fixed length: long contigs in chunks, short ones packed together.

Chunks start at multiples of the planned chunk length from each contig's first base. A contig of at
most half a chunk is one piece, and such pieces share a row with the context in unknown bases
between them. Which pieces share a row follows from the layout and the plan alone, never from the
shard, so that shards never change a bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.layout import ScanLayout


@dataclass(frozen=True)
class Chunks:
    """The pieces of a layout in scan order, and the rows that they fill.

    Parameters
    ----------
    contig : numpy.ndarray, shape=(pieces,), dtype=int64
        Row of the contig table.
    start : numpy.ndarray, shape=(pieces,), dtype=int64
        First base of the piece's core (bp on the contig).
    keep_start, keep_end : numpy.ndarray, shape=(pieces,), dtype=int64
        The part of the core whose bins belong to the layout (bp on the contig).
    first_bin : numpy.ndarray, shape=(pieces,), dtype=int64
        Number of the first such bin; pieces follow each other without gaps.
    place : numpy.ndarray, shape=(pieces,), dtype=int64
        Where the core starts in its row, bp from the row's first bin.
    first_piece : numpy.ndarray, shape=(rows + 1,), dtype=int64
        First piece of each row, and the number of pieces.
    length : int
        Bases of a row, without the context on both sides.
    """

    contig: np.ndarray
    start: np.ndarray
    keep_start: np.ndarray
    keep_end: np.ndarray
    first_bin: np.ndarray
    place: np.ndarray
    first_piece: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.first_piece) - 1

    def bin_range(self, rows: range, layout: ScanLayout) -> tuple[int, int]:
        """Return the first bin of some consecutive rows and the one after their last."""
        ends = np.append(self.first_bin[self.first_piece[:-1]], layout.bins)
        return int(ends[rows.start]), int(ends[rows.stop])


def list_chunks(
    layout: ScanLayout, contigs: pd.DataFrame, chunk: int, context: int, stride: int = 1
) -> Chunks:
    """Cut the intervals of a layout on each contig's grid of chunks and pack short contigs.

    Parameters
    ----------
    layout : ScanLayout
    contigs : pandas.DataFrame
        The genome's contig table.
    chunk : int
        Bases a row, a multiple of the model's stride and so of the layout's resolution.
    context : int
        Bases that a prediction sees on each side.
    stride : int
        Pieces start at its multiples; a multiple or a divisor of the layout's resolution.

    Returns
    -------
    Chunks
    """
    table: pd.DataFrame = layout.intervals
    start, end = table["start"].to_numpy(np.int64), table["end"].to_numpy(np.int64)
    contig = table["contig_index"].to_numpy(np.int64)
    counts = (end - 1) // chunk - start // chunk + 1
    owner = np.repeat(np.arange(len(table)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = (start[owner] // chunk + step) * chunk
    keep_start = np.maximum(begin, start[owner])
    size = contigs["length"].to_numpy(np.int64)[contig[owner]]
    # A short contig takes whole bins and the context that keeps it from its neighbour.
    gap = max(layout.resolution, stride)
    room = -(-(size + context) // gap) * gap
    room = np.where(2 * size <= chunk, room, chunk + context)
    place, first_piece = _pack(room, chunk + context)
    return Chunks(
        contig=contig[owner],
        start=begin,
        keep_start=keep_start,
        keep_end=np.minimum(begin + chunk, end[owner]),
        first_bin=table["first_bin"].to_numpy(np.int64)[owner]
        + (keep_start - start[owner]) // layout.resolution,
        place=place,
        first_piece=first_piece,
        length=chunk,
    )


def _pack(room: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill rows with pieces in their order, as many as fit into each.

    Parameters
    ----------
    room : numpy.ndarray, shape=(pieces,)
        What each piece takes of a row; none takes more than `capacity`.

    Returns
    -------
    place : numpy.ndarray, shape=(pieces,)
    first_piece : numpy.ndarray, shape=(rows + 1,)
    """
    ends = np.cumsum(room)
    first_piece = [0]
    while first_piece[-1] < len(room):
        used = ends[first_piece[-1] - 1] if first_piece[-1] else 0
        first_piece.append(int(np.searchsorted(ends, used + capacity, "right")))
    firsts = np.array(first_piece, dtype=np.int64)
    before = ends - room
    return before - np.repeat(before[firsts[:-1]], np.diff(firsts)), firsts


def shard_of_rows(total: int, shard: int, shards: int) -> range:
    """Return the numbers of the rows of one shard (counted from 1) of several."""
    if not 1 <= shard <= shards:
        raise InputError(f"shard {shard} of {shards}; expected 1 <= shard <= shards")
    return range((shard - 1) * total // shards, shard * total // shards)


def fill_row(
    codes: np.ndarray, genome: EncodedGenome, chunks: Chunks, row: int, context: int
) -> None:
    """Write the bases of a row's pieces, with their context, over unknown ones.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(chunks.length + 2 * context,), dtype=uint8
        Unknown bases everywhere.
    """
    pieces = slice(chunks.first_piece[row], chunks.first_piece[row + 1])
    offset = genome.contigs["offset"].to_numpy()[chunks.contig[pieces]]
    size = genome.contigs["length"].to_numpy()[chunks.contig[pieces]]
    start = chunks.start[pieces]
    low = np.maximum(start - context, 0)
    high = np.minimum(start + chunks.length + context, size)
    target = chunks.place[pieces] + context + low - start
    if len(start) == 1:
        first = int(offset[0] + low[0])
        count = int(high[0] - low[0])
        codes[int(target[0]) : int(target[0]) + count] = genome.codes[first : first + count]
        return
    codes[ranges(target, high - low)] = genome.codes[ranges(offset + low, high - low)]


def kept_bins(chunks: Chunks, row: int, resolution: int) -> np.ndarray:
    """List the bins of a row that belong to the layout, in its order; dtype=int64."""
    pieces = slice(chunks.first_piece[row], chunks.first_piece[row + 1])
    first = chunks.place[pieces] + chunks.keep_start[pieces] - chunks.start[pieces]
    size = chunks.keep_end[pieces] - chunks.keep_start[pieces]
    return ranges(first // resolution, size // resolution)


def ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Join the integers of the ranges [first, first + count)."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(first - (ends - counts), counts)
