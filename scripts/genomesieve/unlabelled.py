"""Windows of unlabelled genomes with hidden bases, made when they are needed.

A stretch is an interval of a contig that is used, and nothing outside of it is ever read: bases
beyond its ends are unknown, as beyond the ends of a contig. So held-out bases cannot reach
training, not even as the context of a window beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.gathering import strand_one_hot
from genomesieve.genome import EncodedGenome, contig_rows, fetch_window
from genomesieve.masking import SEEN, draw_mask, hide
from genomesieve.pretraining_settings import MaskSettings

_MOST_WINDOWS = 1 << 62


class Stretches:
    """The intervals of several genomes that are used, and where repeats lie in them.

    Parameters
    ----------
    genomes : mapping of str to EncodedGenome
    intervals : mapping of str to pandas.DataFrame
        Of each genome: columns contig, start, end (0-based half-open), not overlapping.
    repeats : mapping of str to pandas.DataFrame
        Of each genome: columns contig, start, end of its soft-masked runs.
    """

    def __init__(
        self,
        genomes: Mapping[str, EncodedGenome],
        intervals: Mapping[str, pd.DataFrame],
        repeats: Mapping[str, pd.DataFrame],
    ):
        self.genomes = list(genomes.values())
        rows = []
        for number, (name, genome) in enumerate(genomes.items()):
            table = intervals[name]
            offset = _offsets(genome, table) + table["start"].to_numpy(np.int64)
            size = (table["end"] - table["start"]).to_numpy(np.int64)
            rows.append(np.stack([np.full(len(table), number), offset, size], axis=1))
        self._rows = np.concatenate(rows)
        self._runs = [_runs(genome, repeats[name]) for name, genome in genomes.items()]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def sizes(self) -> np.ndarray:
        """Bases of each stretch."""
        return self._rows[:, 2]

    def codes(self, stretch: int) -> np.ndarray:
        """Return the codes of a stretch, a view of the mapped genome."""
        genome, offset, size = self._rows[stretch]
        return self.genomes[genome].codes[offset : offset + size]

    def window(self, stretch: int, start: int, length: int) -> np.ndarray:
        """Return codes of [start, start + length) counted from a stretch's start; may exceed it."""
        genome, offset, size = self._rows[stretch]
        codes = self.genomes[genome].codes
        return fetch_window(codes, offset, size, start, start + length, DNA.unknown)

    def repeats(self, stretch: int, positions: np.ndarray) -> np.ndarray:
        """Tell which positions, counted from a stretch's start, lie in soft-masked runs."""
        genome, offset, _ = self._rows[stretch]
        starts, ends = self._runs[genome]
        if not len(starts):
            return np.zeros(len(positions), dtype=bool)
        place = positions + offset
        run = np.searchsorted(starts, place, "right") - 1
        return (run >= 0) & (place < ends[np.maximum(run, 0)])


def _offsets(genome: EncodedGenome, table: pd.DataFrame) -> np.ndarray:
    """Return where the contig of each row begins in a genome's codes."""
    rows = contig_rows(genome.contigs, table["contig"], genome.name)
    return genome.contigs["offset"].to_numpy(np.int64)[rows]


def _runs(genome: EncodedGenome, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted first bases and ends of runs, counted along the codes."""
    offset = _offsets(genome, table)
    starts = offset + table["start"].to_numpy(np.int64)
    ends = offset + table["end"].to_numpy(np.int64)
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order]


@dataclass(frozen=True)
class MaskedBatch:
    """Windows with hidden bases.

    Parameters
    ----------
    x : torch.Tensor, shape=(N, letters, L), float32
        One-hot sequence, context included; hidden and unknown bases are zero columns.
    bases : torch.Tensor, shape=(N, length), int64
        The bases of the core, 0 where they are not asked for.
    weights : torch.Tensor, shape=(N, length), float32
        Weight of each base in the loss: 0 where it is not hidden, or not known at all.
    """

    x: Tensor
    bases: Tensor
    weights: Tensor
    laboratories: None = None

    def rows(self, chosen: slice) -> MaskedBatch:
        """Return some of the windows, without a copy."""
        return self._each(lambda item: item[chosen])

    def to(self, device: torch.device) -> MaskedBatch:
        """Return the batch on a device."""
        return self._each(lambda item: item.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> MaskedBatch:
        """Return the batch with all its tensors changed."""
        return MaskedBatch(change(self.x), change(self.bases), change(self.weights))


class MaskedWindows:
    """Random windows of stretches on either strand: window number i follows from the seed and i.

    Every start in every stretch is equally likely, so a genome has as much weight as it has bases.

    Parameters
    ----------
    stretches : Stretches
    architecture : Architecture
    length : int
        bp of a window, without context.
    masks : MaskSettings
    repeat_weight : float
        Weight of hidden bases in soft-masked runs.
    seed : int

    Raises
    ------
    InputError
        If no stretch holds a window.
    """

    def __init__(
        self,
        stretches: Stretches,
        architecture: Architecture,
        length: int,
        masks: MaskSettings,
        repeat_weight: float,
        seed: int,
    ):
        self._stretches, self._context = stretches, architecture.context
        self.length, self._masks = length, masks
        self._repeat_weight, self._seed = np.float32(repeat_weight), seed
        starts = np.maximum(stretches.sizes - length + 1, 0)
        if not starts.sum():
            raise InputError(f"no interval to train on holds a window of {length} bp")
        self._ends = np.cumsum(starts)

    def __len__(self) -> int:
        return _MOST_WINDOWS

    @property
    def laboratory_rows(self) -> list[None]:
        """One laboratory: unlabelled genomes have none."""
        return [None]

    def batch(self, numbers: np.ndarray) -> MaskedBatch:
        """Make the batch of the windows with these numbers."""
        windows = [self._window(int(number)) for number in numbers]
        codes, bases, weights, minus = (np.stack(items) for items in zip(*windows))
        x = strand_one_hot(codes, minus, DNA)
        bases[minus] = DNA.complement_codes[bases[minus][:, ::-1]]
        weights[minus] = weights[minus][:, ::-1]
        return MaskedBatch(x, torch.from_numpy(bases), torch.from_numpy(weights))

    def _window(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.bool_]:
        """Return codes with hidden bases, bases, weights and strand of one window."""
        generator = np.random.default_rng([self._seed, number])
        place = int(generator.integers(self._ends[-1]))
        stretch = int(np.searchsorted(self._ends, place, "right"))
        start = place - (int(self._ends[stretch - 1]) if stretch else 0)
        minus = generator.random() < 0.5
        width = self.length + 2 * self._context
        codes = self._stretches.window(stretch, start - self._context, width)
        mask = draw_mask(generator, self.length, self._masks)
        core = codes[self._context : self._context + self.length]
        asked = (mask != SEEN) & (core < DNA.size)
        weights = asked.astype(np.float32)
        where = np.flatnonzero(asked)
        weights[where[self._stretches.repeats(stretch, start + where)]] = self._repeat_weight
        bases = np.where(asked, core, 0).astype(np.int64)
        return hide(codes, mask, self._context, DNA.unknown), bases, weights, np.bool_(minus)


@dataclass(frozen=True)
class HeldOutBatch:
    """Held-out windows, side by side for networks and k-mer models.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, flank + length + flank), dtype=uint8
        Hidden bases are unknown; what both kinds of model see.
    bases : numpy.ndarray, shape=(N, length), dtype=uint8
        The true bases.
    mask : numpy.ndarray, shape=(N, length), dtype=uint8
        What is hidden, and of which kind; SEEN where a base is not known.
    repeats : numpy.ndarray, shape=(N, length), dtype=bool
        Whether hidden bases lie in soft-masked runs.
    """

    codes: np.ndarray
    bases: np.ndarray
    mask: np.ndarray
    repeats: np.ndarray


class HeldOutWindows:
    """Windows that tile held-out stretches, each with one fixed mask, on the plus strand.

    Parameters
    ----------
    stretches : Stretches
    length : int
    flank : int
        Bases on each side of a window that models may see.
    masks : MaskSettings
    seed : sequence of int
    most : int
        bp of all windows; where the stretches have more, windows are left out evenly.

    Raises
    ------
    InputError
        If no stretch holds a window.
    """

    def __init__(
        self,
        stretches: Stretches,
        length: int,
        flank: int,
        masks: MaskSettings,
        seed: Sequence[int],
        most: int,
    ):
        self._stretches, self._flank, self._masks = stretches, flank, masks
        self._seed, self.length = seed, length
        counts = stretches.sizes // length
        if not counts.sum():
            raise InputError(f"no held-out interval holds a window of {length} bp")
        stretch = np.repeat(np.arange(len(stretches)), counts)
        number = np.arange(len(stretch)) - np.repeat(np.cumsum(counts) - counts, counts)
        wanted = max(1, min(len(stretch), most // length))
        kept = np.linspace(0, len(stretch), wanted, endpoint=False).astype(np.int64)
        self._places = list(zip(stretch[kept].tolist(), (number[kept] * length).tolist()))

    def __len__(self) -> int:
        return len(self._places)

    def batches(self, size: int) -> Iterator[HeldOutBatch]:
        """Yield all windows in their order, some at a time."""
        for first in range(0, len(self), size):
            yield self._batch(self._places[first : first + size])

    def _batch(self, places: Sequence[tuple[int, int]]) -> HeldOutBatch:
        windows = [self._window(*place) for place in places]
        return HeldOutBatch(*(np.stack(items) for items in zip(*windows)))

    def _window(self, stretch: int, start: int) -> tuple[np.ndarray, ...]:
        """Return codes with hidden bases, bases, mask and repeats of one window."""
        generator = np.random.default_rng([*self._seed, stretch, start])
        flank, length = self._flank, self.length
        codes = self._stretches.window(stretch, start - flank, length + 2 * flank)
        mask = draw_mask(generator, length, self._masks)
        bases = codes[flank : flank + length].copy()
        hidden = hide(codes, mask, flank, DNA.unknown)
        mask[bases >= DNA.size] = SEEN
        repeats = np.zeros(length, dtype=bool)
        where = np.flatnonzero(mask != SEEN)
        repeats[where] = self._stretches.repeats(stretch, start + where)
        return hidden, bases, mask, repeats
