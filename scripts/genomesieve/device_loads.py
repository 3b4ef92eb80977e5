"""The sequence of a scan on its way to a device, sent ahead in loads while the device computes.

A load holds the bases that some consecutive rows need, each base once, wherever they stand in the
genome. Loads go through a ring of buffers on the device: where all of a shard's loads have a buffer
of their own the shard is resident, else buffers are used again. Places are int64 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genomesieve.chunks import Chunks, piece_bases
from genomesieve.device_queue import Mark, SideQueue, host_buffer, mark, wait_here
from genomesieve.genome import EncodedGenome

LOAD_BASES = 1 << 26
"""Bases of a load where there is room: large enough for the bus, small enough to start early."""


@dataclass(frozen=True)
class Load:
    """What some consecutive rows need of a genome's codes.

    Parameters
    ----------
    rows : range
        Numbers of the rows.
    first, size : numpy.ndarray, shape=(spans,), dtype=int64
        Stretches of the genome's codes that make up the load, one after another.
    place : numpy.ndarray, shape=(pieces,), dtype=int64
        Where the first base of each piece stands in the load.
    count, target : numpy.ndarray, shape=(pieces,), dtype=int64
        Bases of each piece, and where they go in their row (see `chunks.piece_bases`).
    """

    rows: range
    first: np.ndarray
    size: np.ndarray
    place: np.ndarray
    count: np.ndarray
    target: np.ndarray

    @property
    def bases(self) -> int:
        """Bases of the load."""
        return int(self.size.sum())


def plan_loads(
    genome: EncodedGenome, chunks: Chunks, wanted: range, context: int, batch: int, most: int
) -> list[Load]:
    """Cut consecutive rows into loads of whole batches.

    Parameters
    ----------
    genome : EncodedGenome
    chunks : Chunks
    wanted : range
        Numbers of the rows.
    context, batch : int
        Bases of context, and rows run at once.
    most : int
        Bases that a load may have; a load of one batch may have more.

    Returns
    -------
    list of Load
    """
    count = piece_bases(chunks, genome.contigs, wanted, context)[1]
    edges = chunks.first_piece[wanted.start : wanted.stop + 1]
    ends = np.append(0, np.cumsum(count))[edges - edges[0]]
    loads, begin = [], wanted.start
    for group in range(wanted.start, wanted.stop, batch):
        stop = min(group + batch, wanted.stop)
        if group > begin and ends[stop - wanted.start] - ends[begin - wanted.start] > most:
            loads.append(_make_load(genome, chunks, range(begin, group), context))
            begin = group
    loads.append(_make_load(genome, chunks, range(begin, wanted.stop), context))
    return loads


def whole_load(genome: EncodedGenome, chunks: Chunks, wanted: range, context: int) -> Load:
    """Return the load of rows whose bases are taken from the genome's own codes."""
    source, count, target = piece_bases(chunks, genome.contigs, wanted, context)
    nothing = np.zeros(0, dtype=np.int64)
    return Load(wanted, nothing, nothing, source, count, target)


def _make_load(genome: EncodedGenome, chunks: Chunks, rows: range, context: int) -> Load:
    """Join the stretches of the rows' pieces where one begins before the one before has ended."""
    source, count, target = piece_bases(chunks, genome.contigs, rows, context)
    end = source + count
    opens = np.ones(len(source), dtype=bool)
    opens[1:] = (source[1:] > end[:-1]) | (source[1:] < source[:-1])
    first = source[opens]
    last = np.append(np.flatnonzero(opens)[1:], len(source)) - 1
    size = end[last] - first
    span = np.cumsum(opens) - 1
    place = (np.cumsum(size) - size)[span] + source - first[span]
    return Load(rows, first, size, place, count, target)


class LoadSender:
    """Sends loads to a device, ahead of their use.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(total length,), dtype=uint8
        The genome's codes, usually mapped from disk.
    loads : list of Load
    device : torch.device
    held : int
        Bases that the device may hold at once; at least two loads are held.
    """

    def __init__(self, codes: np.ndarray, loads: list[Load], device: torch.device, held: int):
        self._codes, self._loads, self._device = codes, loads, device
        largest = max(load.bases for load in loads)
        slots = min(len(loads), max(2, held // largest))
        self.resident = slots == len(loads)
        self._buffers = [
            torch.empty(largest, dtype=torch.uint8, device=device) for _ in range(slots)
        ]
        # The memory may have served something that the main queue has not finished yet.
        self._free: list[Mark] = [mark(device)] * slots
        self._stages = [host_buffer((largest,), torch.uint8, device) for _ in range(2)]
        self._sent: list[Mark] = [None, None]
        self._queue = SideQueue(device)

    def __iter__(self) -> Iterator[tuple[Load, Tensor]]:
        """Yield each load with its bases on the device, shape=(bases,), uint8.

        What the consumer puts into the current queue before it asks for the next load may use them.
        """
        slots = len(self._buffers)
        waiting: list[Future] = []
        # A thread of its own: reading a mapped file must not keep batches from starting.
        sender = ThreadPoolExecutor(1, "codes")
        try:
            for number, load in enumerate(self._loads):
                while len(waiting) < min(len(self._loads), number + slots):
                    waiting.append(sender.submit(self._send, len(waiting)))
                wait_here(waiting[number].result(), self._device)
                yield load, self._buffers[number % slots]
                self._free[number % slots] = mark(self._device)
        finally:
            sender.shutdown(cancel_futures=True)
            self._queue.finish()

    def _send(self, number: int) -> Mark:
        """Copy one load to its buffer; return the mark after which it is there."""
        load, slot, side = self._loads[number], number % len(self._buffers), number % 2
        if self._sent[side] is not None:
            self._sent[side].synchronize()
        stage = self._stages[side]
        self._collect(load, stage.numpy())
        with self._queue.entered():
            wait_here(self._free[slot], self._device)
            self._buffers[slot][: load.bases].copy_(stage[: load.bases], non_blocking=True)
            self._sent[side] = mark(self._device)
        return self._sent[side]

    def _collect(self, load: Load, stage: np.ndarray) -> None:
        """Copy the stretches of a load from the genome, one after another."""
        at = 0
        for first, size in zip(load.first.tolist(), load.size.tolist()):
            stage[at : at + size] = self._codes[first : first + size]
            at += size
