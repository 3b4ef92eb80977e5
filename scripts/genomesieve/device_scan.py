"""A scan whose rows are put together on the device: codes go there once, scores stay there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from genomesieve.chunks import Chunks
from genomesieve.device_loads import LOAD_BASES, Load, LoadSender, plan_loads, whole_load
from genomesieve.device_queue import Mark, mark, to_host
from genomesieve.device_rows import fill_rows, kept_scores
from genomesieve.genome import EncodedGenome
from genomesieve.progress import Progress

if TYPE_CHECKING:
    from genomesieve.scanner import Scanner

logger = logging.getLogger(__name__)

_BATCHES_BETWEEN_CHECKS = 32


def scan_on_device(
    scanner: Scanner,
    genome: EncodedGenome,
    chunks: Chunks,
    wanted: range,
    resident: Tensor | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield the scores of batch after batch, on the device and without waiting for it.

    Parameters
    ----------
    scanner : Scanner
    genome : EncodedGenome
    chunks : Chunks
    wanted : range
        Numbers of the rows to scan.
    resident : torch.Tensor, shape=(total length,), uint8, or None
        The genome's codes where they are on the device already; they are sent there otherwise.

    Yields
    ------
    first_bin : int
    bits : torch.Tensor, shape=(strands, classes, bins), int16
        The bits of score codes (see `Scanner.scan`) of consecutive bins; a new tensor each time.

    Raises
    ------
    InputError
        If a score is NaN; found some batches later, or at the end.
    """
    if not len(wanted):
        return
    step = scanner.step()
    watch = _NanWatch(scanner)
    batches = -(-len(wanted) // scanner.plan.batch)
    resolution = scanner.bundle.architecture.resolution
    with Progress(batches, "batch", genome.name) as bar:
        for load, codes in _loads(scanner, genome, chunks, wanted, resident):
            for rows in _batches(load.rows, scanner.plan.batch):
                place, count, target = _pieces(load, chunks, rows, scanner.row_bases)
                fill_rows(step.codes, codes, place, count, target, scanner.alphabet.unknown)
                first = int(chunks.first_bin[chunks.first_piece[rows.start]])
                yield first, kept_scores(step.run(), chunks, rows, resolution)
                watch.look()
                bar.update()
    watch.finish()


def _loads(
    scanner: Scanner,
    genome: EncodedGenome,
    chunks: Chunks,
    wanted: range,
    resident: Tensor | None,
) -> Iterable[tuple[Load, Tensor]]:
    """Return the loads of a scan with their codes on the device."""
    if resident is not None:
        return [(whole_load(genome, chunks, wanted, scanner.context), resident)]
    held, batch = scanner.plan.held_bases, scanner.plan.batch
    most = min(LOAD_BASES, held // 2)
    loads = plan_loads(genome, chunks, wanted, scanner.context, batch, most)
    sender = LoadSender(genome.codes, loads, scanner.device, held)
    logger.info(
        "%s: %.3g Mb of sequence in %d load(s), %s",
        genome.name,
        sum(load.bases for load in loads) / 1e6,
        len(loads),
        "resident on the device" if sender.resident else "streamed while the device computes",
    )
    return sender


def _batches(rows: range, batch: int) -> Iterator[range]:
    """Cut rows into batches."""
    for begin in range(rows.start, rows.stop, batch):
        yield range(begin, min(begin + batch, rows.stop))


def _pieces(
    load: Load, chunks: Chunks, rows: range, row_bases: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return place, count and target of the pieces of a batch; targets count through its rows."""
    edges = chunks.first_piece[rows.start : rows.stop + 1]
    mine = slice(*(edges[[0, -1]] - chunks.first_piece[load.rows.start]))
    row = np.repeat(np.arange(len(rows)), np.diff(edges))
    return load.place[mine], load.count[mine], load.target[mine] + row * row_bases


class _NanWatch:
    """Looks now and then whether a score was NaN, at a flag that was copied some batches ago."""

    def __init__(self, scanner: Scanner):
        self._scanner = scanner
        self._batches = 0
        self._copy: tuple[Tensor, Mark] | None = None

    def look(self) -> None:
        """Count a batch; check the last copy and start the next where it is time."""
        self._batches += 1
        if self._batches % _BATCHES_BETWEEN_CHECKS == 0:
            self._check()
            self._copy = to_host(self._scanner.nan_seen()), mark(self._scanner.device)

    def finish(self) -> None:
        """Check all batches."""
        self._scanner.check_numbers(self._scanner.nan_seen())

    def _check(self) -> None:
        if self._copy is not None:
            flag, there = self._copy
            if there is not None:
                there.synchronize()
            self._scanner.check_numbers(flag)
