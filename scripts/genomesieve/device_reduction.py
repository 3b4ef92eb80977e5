"""Scores reduced where they were computed, so that only small things leave the device.

Codes are counted block by block in a dense histogram on the device, since blocks tile the bins and
follow each other; candidates are compacted there. Each batch is picked up while the next one runs:
the program never waits for the work that it gave last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genomesieve.device_queue import Mark, SideQueue, mark, to_device, to_host, wait_here
from genomesieve.layout import ScanLayout
from genomesieve.reduction import Reduced, sparse_counts
from genomesieve.score_tensors import code_numbers
from genomesieve.scores import CODES, UNSCORED

_COPIES = 32
"""Histograms side by side on a GPU: equal scores of neighbours must not wait for each other."""
_MOST_CELLS = 1 << 25
"""Cells of all of them together (8 bytes each), one copy at least."""
_COUNTED_AT_ONCE = 1 << 24
"""Scores counted at once; each takes an index of 8 bytes meanwhile."""


class DeviceHistogram:
    """Counts of the codes of one block after another.

    Parameters
    ----------
    shape : tuple of int
        Strands and classes.
    device : torch.device
    """

    def __init__(self, shape: tuple[int, int], device: torch.device):
        cells = shape[0] * shape[1] * CODES
        copies = max(1, min(_COPIES, _MOST_CELLS // cells)) if device.type == "cuda" else 1
        self._counts = torch.zeros(copies, *shape, CODES, dtype=torch.int64, device=device)
        row = torch.arange(shape[0] * shape[1], device=device).view(*shape, 1) * CODES
        lane = torch.arange(copies, device=device) * cells
        self._row, self._lane = row, lane
        self._one = torch.ones(1, dtype=torch.int64, device=device)

    def add(self, bits: Tensor) -> None:
        """Count the codes whose bits an int16 tensor (strands, classes, bins) holds."""
        strands, classes, bins = bits.shape
        step = max(1, _COUNTED_AT_ONCE // (strands * classes))
        for at in range(0, bins, step):
            codes = code_numbers(bits[..., at : at + step])
            lane = self._lane.repeat(-(-codes.shape[-1] // len(self._lane)))[: codes.shape[-1]]
            cells = (self._row + lane).add_(codes).view(-1)
            self._counts.view(-1).scatter_add_(0, cells, self._one.expand(len(cells)))

    def take(self) -> Tensor:
        """Return the counts so far, shape=(strands, classes, 65536), and start anew."""
        result = self._counts.sum(0)
        self._counts.zero_()
        return result


class DeviceReduction:
    """Reduces consecutive scores on a device.

    Parameters
    ----------
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
        Lowest code worth keeping of every class.
    layout : ScanLayout
        Of all shards together.
    shape : tuple of int
        Strands and classes.
    device : torch.device
    keep_scores : bool
        Whether the scores themselves come back too.
    """

    def __init__(
        self,
        floors: np.ndarray,
        layout: ScanLayout,
        shape: tuple[int, int],
        device: torch.device,
        keep_scores: bool,
    ):
        self._floors, self._device, self._keep = floors, device, keep_scores
        self._lowest = to_device(floors.astype(np.int32), device)[:, None]
        self._ends = layout.blocks["end_bin"].to_numpy(np.int64)
        self._histogram = DeviceHistogram(shape, device)
        self._block: int | None = None
        self._counted: deque[tuple[int, Tensor, Mark]] = deque()
        self._side = SideQueue(device, urgent=True)

    def reduce(self, scored: Iterable[tuple[int, Tensor]]) -> Iterator[Reduced]:
        """Reduce batch after batch.

        Parameters
        ----------
        scored : iterable of (int, torch.Tensor)
            First bin and the bits of score codes (strands, classes, bins), int16, on the device:
            all bins of the shard in their order, each tensor a new one.

        Yields
        ------
        Reduced
            Candidates and scores of a batch, or counts of blocks that are complete.
        """
        before = None
        for first, bits in scored:
            self._count(first, bits)
            now = first, bits, mark(self._device)
            if before is not None:
                yield self._pick_up(*before)
            before = now
            # Counts that were put away a batch ago are there by now.
            while len(self._counted) > 2:
                yield self._pick_counts(*self._counted.popleft())
        if before is not None:
            yield self._pick_up(*before)
            self._put_away()
        while self._counted:
            yield self._pick_counts(*self._counted.popleft())

    def _count(self, first: int, bits: Tensor) -> None:
        """Count a batch, block by block."""
        at, end = first, first + bits.shape[-1]
        while at < end:
            block = int(np.searchsorted(self._ends, at, "right"))
            if self._block not in (None, block):
                self._put_away()
            self._block = block
            stop = min(end, int(self._ends[block]))
            self._histogram.add(bits[..., at - first : stop - first])
            at = stop

    def _put_away(self) -> None:
        """Start the copy of a block's counts to the host."""
        counts = to_host(self._histogram.take())
        self._counted.append((self._block, counts, mark(self._device)))

    def _pick_counts(self, block: int, counts: Tensor, there: Mark) -> Reduced:
        """Return the counts of a block."""
        if there is not None:
            there.synchronize()
        total = counts.numpy().copy()
        total[..., UNSCORED] = 0
        return Reduced(0, total, sparse_counts(total, block, self._floors))

    def _pick_up(self, first: int, bits: Tensor, done: Mark) -> Reduced:
        """Fetch the candidates of a batch, and its scores where they are kept."""
        with torch.inference_mode(), self._side.entered():
            wait_here(done, self._device)
            numbers = code_numbers(bits)
            places = (numbers >= self._lowest).nonzero()
            codes = numbers[tuple(places.unbind(1))]
            found = to_host(places), to_host(codes)
            scores = to_host(bits) if self._keep else None
            # All of it is on the host after this, and the memory on the device free to be reused.
            self._side.finish()
        kept = None if scores is None else scores.numpy().view(np.uint16)
        table = _candidate_table(*(item.numpy() for item in found), first)
        return Reduced(first + bits.shape[-1], candidates=table, scores=kept)


def _candidate_table(places: np.ndarray, codes: np.ndarray, first: int) -> pd.DataFrame:
    """Return candidates as `scores.list_candidates` does, from (strand, class, bin) and code."""
    return pd.DataFrame(
        {
            "bin": places[:, 2] + first,
            "class_index": places[:, 1].astype(np.uint16),
            "strand_index": places[:, 0].astype(np.uint8),
            "code": codes.astype(np.uint16),
        }
    )


def fetch_scores(
    scored: Iterable[tuple[int, Tensor]], device: torch.device
) -> Iterator[tuple[int, np.ndarray]]:
    """Copy scores to the host, each batch while the next one runs.

    Parameters
    ----------
    scored : iterable of (int, torch.Tensor)
        As for `DeviceReduction.reduce`.
    device : torch.device

    Yields
    ------
    first_bin : int
    codes : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
    """
    side, before = SideQueue(device, urgent=True), None
    for first, bits in scored:
        now = first, bits, mark(device)
        if before is not None:
            yield _fetch(side, *before)
        before = now
    if before is not None:
        yield _fetch(side, *before)


def _fetch(side: SideQueue, first: int, bits: Tensor, done: Mark) -> tuple[int, np.ndarray]:
    """Copy one batch in a side queue and wait for that."""
    with side.entered():
        wait_here(done, side.device)
        codes = to_host(bits)
        side.finish()
    return first, codes.numpy().view(np.uint16)
