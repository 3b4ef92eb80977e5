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
    layout: ScanLayout, contigs: pd.DataFrame, chunk: int, context: int, stride: int
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
        Bases that the starts of pieces are multiples of, the model's own.

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
    # A short contig takes whole strides (bins or windows) and the context between neighbours.
    room = _round_up(_round_up(size, stride) + context, stride)
    room = np.where(2 * size <= chunk, np.minimum(room, chunk + context), chunk + context)
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


def _round_up(bases: np.ndarray, stride: int) -> np.ndarray:
    """Round up to multiples of the stride."""
    return -(-bases // stride) * stride


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
    source, count, target = piece_bases(chunks, genome.contigs, range(row, row + 1), context)
    if len(source) == 1:
        first = int(source[0])
        codes[int(target[0]) : int(target[0] + count[0])] = genome.codes[first : first + count[0]]
        return
    codes[ranges(target, count)] = genome.codes[ranges(source, count)]


def fill_signals(
    values: np.ndarray, genome: EncodedGenome, chunks: Chunks, row: int, context: int
) -> None:
    """Write the signals of a row's pieces, with their context, over zeros.

    Parameters
    ----------
    values : numpy.ndarray, shape=(signals, chunks.length + 2 * context), dtype=float32
        Zeros everywhere.
    """
    source, count, target = piece_bases(chunks, genome.contigs, range(row, row + 1), context)
    where, to = ranges(source, count), ranges(target, count)
    for channel, signal in zip(values, genome.signals):
        channel[to] = signal[where]


def piece_bases(
    chunks: Chunks, contigs: pd.DataFrame, rows: range, context: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say which bases the pieces of some consecutive rows need, and where in their rows they go.

    Parameters
    ----------
    chunks : Chunks
    contigs : pandas.DataFrame
        The genome's contig table.
    rows : range
        Numbers of the rows.
    context : int

    Returns
    -------
    source : numpy.ndarray, shape=(pieces,), dtype=int64
        First base of each piece, context included, in the genome's codes.
    count : numpy.ndarray, shape=(pieces,), dtype=int64
        Bases of each piece; what lies past a contig's ends is left out.
    target : numpy.ndarray, shape=(pieces,), dtype=int64
        Where the first base stands in the piece's row of chunks.length + 2 * context bases.
    """
    pieces = slice(chunks.first_piece[rows.start], chunks.first_piece[rows.stop])
    offset = contigs["offset"].to_numpy()[chunks.contig[pieces]]
    size = contigs["length"].to_numpy()[chunks.contig[pieces]]
    start = chunks.start[pieces]
    low = np.maximum(start - context, 0)
    high = np.minimum(start + chunks.length + context, size)
    return offset + low, high - low, chunks.place[pieces] + context + low - start


def kept_bins(chunks: Chunks, row: int, resolution: int) -> np.ndarray:
    """List the bins of a row that belong to the layout, in its order; dtype=int64."""
    return ranges(*kept_ranges(chunks, range(row, row + 1), resolution))


def kept_ranges(chunks: Chunks, rows: range, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first kept bin of every piece, counted from its row's first, and their number.

    Both have shape=(pieces,), dtype=int64, for the pieces of some consecutive rows.
    """
    pieces = slice(chunks.first_piece[rows.start], chunks.first_piece[rows.stop])
    first = chunks.place[pieces] + chunks.keep_start[pieces] - chunks.start[pieces]
    size = chunks.keep_end[pieces] - chunks.keep_start[pieces]
    return first // resolution, size // resolution


def ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Join the integers of the ranges [first, first + count)."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(first - (ends - counts), counts)
