"""Bins of a genome that probes are fitted and scored on, and what a network sees there.

Every window is read in a direction drawn at random, so that what a probe reads from a state is
there in whichever direction the network reads. Networks that see far are given few windows with
several bins each: what a window costs is mostly its flanks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.gathering import strand_one_hot, with_channels
from genomesieve.genome import EncodedGenome, gather_windows
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.signals import gather_signals

_LONG = 2000
"""bp of a window above which several bins share one."""
_BINS_A_WINDOW = 8
_BASES_AT_ONCE = 200_000


@dataclass(frozen=True)
class Places:
    """Sampled bins of one part of one genome; those of a window stand together.

    Parameters
    ----------
    genome : EncodedGenome
    contig, start : numpy.ndarray, shape=(n,), dtype=int64
        Row in the genome's contig table and first base (0-based) of each bin.
    minus : numpy.ndarray, shape=(n,), dtype=bool
        Whether it is read on the minus strand.
    block : numpy.ndarray, shape=(n,), dtype=int64
        Block of the part, from 0.
    blocks : int
        Number of blocks.
    window : numpy.ndarray, shape=(windows,), dtype=int64
        First predicted base of each window.
    core : int
        bp that a network predicts of a window.
    resolution : int
    """

    genome: EncodedGenome
    contig: np.ndarray
    start: np.ndarray
    minus: np.ndarray
    block: np.ndarray
    blocks: int
    window: np.ndarray
    core: int
    resolution: int

    def __len__(self) -> int:
        return len(self.start)

    @property
    def middle(self) -> np.ndarray:
        """The base in the middle of each bin, the same in both reading directions."""
        return self.start + (self.resolution - self.minus.astype(np.int64)) // 2

    def codes(self, flank: int) -> np.ndarray:
        """Return each bin's bases and so many on each side, as they are read; (n, bases)."""
        width = self.resolution + 2 * flank
        place = *self._contigs(self.contig), self.start - flank, width
        codes = gather_windows(self.genome.codes, *place, DNA.unknown)
        codes[self.minus] = DNA.reverse_complement(codes[self.minus])
        return codes

    def inputs(self, context: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what a network sees of some windows, and which of their bins are wanted.

        Yields
        ------
        x : torch.Tensor, shape=(N, letters + signals, L)
        bins : torch.Tensor, shape=(N, m), int64
        """
        width = self.core + 2 * context
        each = len(self) // max(len(self.window), 1)
        step = max(1, _BASES_AT_ONCE // width)
        for first in range(0, len(self.window), step):
            window = self.window[first : first + step]
            rows = slice(first * each, (first + len(window)) * each)
            minus = self.minus[rows][::each]
            place = *self._contigs(self.contig[rows][::each]), window - context, width
            codes = gather_windows(self.genome.codes, *place, DNA.unknown)
            signals = None
            if self.genome.signals:
                values = gather_signals(self.genome.signals, *place)
                values[minus] = values[minus][..., ::-1]
                signals = torch.from_numpy(values)
            bins = (self.start[rows].reshape(-1, each) - window[:, None]) // self.resolution
            bins[minus] = self.core // self.resolution - 1 - bins[minus]
            x = with_channels(strand_one_hot(codes, minus, DNA), signals)
            yield x, torch.from_numpy(bins)

    def _contigs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and length of contigs."""
        table = self.genome.contigs
        return tuple(table[name].to_numpy(np.int64)[rows] for name in ("offset", "length"))


def probe_core(architecture: Architecture) -> tuple[int, int]:
    """Return the bp that a network predicts of a window, and how many bins are taken of them."""
    core, resolution = architecture.stride, architecture.resolution
    if core + 2 * architecture.context > _LONG:
        core = max(core, architecture.context // core * core)
    return core, min(_BINS_A_WINDOW, core // resolution)


def sample_places(
    genome: EncodedGenome,
    split: pd.DataFrame,
    part: str,
    architecture: Architecture,
    count: int,
    seed: list[int],
) -> Places:
    """Sample bins of a part uniformly, without those that hold an unknown base.

    Parameters
    ----------
    genome : EncodedGenome
    split : pandas.DataFrame
        Columns contig, start, end, part.
    part : str
    architecture : Architecture
    count : int
        Number of bins, at most.
    seed : list of int

    Raises
    ------
    InputError
        If the part has no bin of known bases.
    """
    resolution, context = architecture.resolution, architecture.context
    layout = make_layout(split, genome.contigs, (part,), resolution, context, genome.name)
    generator = np.random.default_rng(seed)
    core, each = probe_core(architecture)
    # Where a part has few windows, each gives more bins.
    there = max(1, layout.bins * resolution // core)
    each = min(core // resolution, max(each, -(-count // there)))
    distinct = _choose_windows(layout, max(architecture.stride, core), count // each + 1, generator)
    bins = _choose_bins(genome, layout, distinct, core, each, generator)
    kept = bins[:, 0] >= 0
    if not kept.any():
        raise InputError(
            f"part {part} of genome {genome.name} has no bin of known bases; expected some to probe"
        )
    (contig, window), bins = distinct[kept].T, bins[kept]
    minus = generator.random(len(window)) < 0.5
    rows, start = np.repeat(contig, each), (window[:, None] + bins * resolution).ravel()
    block = layout.blocks_of(layout.bins_of(rows, start))
    shown = np.repeat(minus, each)
    rest = len(layout.blocks), window, core, resolution
    return Places(genome, rows, start, shown, block, *rest)


def _choose_windows(
    layout: ScanLayout, grid: int, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Choose windows that begin on a grid, each as likely as it has scored bins; (n, 2).

    Returns
    -------
    numpy.ndarray, shape=(n, 2)
        Row of the contig and first base, sorted.
    """
    # Several bins may lie in one window: enough of them to find the windows that are wanted.
    anchors = min(layout.bins, count * (8 if grid > layout.resolution else 1))
    chosen = generator.choice(layout.bins, anchors, replace=False) if anchors else []
    contig, start = layout.positions_of(np.asarray(chosen, dtype=np.int64))
    found = np.stack([contig, start // grid * grid], axis=1)
    first = np.sort(np.unique(found, axis=0, return_index=True)[1])[:count]
    kept = found[first]
    return kept[np.lexsort((kept[:, 1], kept[:, 0]))]


def _choose_bins(
    genome: EncodedGenome,
    layout: ScanLayout,
    windows: np.ndarray,
    core: int,
    each: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Choose `each` scored bins of known bases in every window; -1 where it has fewer."""
    resolution = layout.resolution
    contig, window = windows.T
    offset, length = (
        genome.contigs[name].to_numpy(np.int64)[contig] for name in ("offset", "length")
    )
    codes = gather_windows(genome.codes, offset, length, window, core, DNA.unknown)
    known = (codes.reshape(len(window), core // resolution, resolution) < DNA.size).all(axis=2)
    places = window[:, None] + np.arange(core // resolution) * resolution
    rows = np.repeat(contig, core // resolution)
    good = known & (layout.bins_of(rows, places.ravel()) >= 0).reshape(known.shape)
    order = np.argsort(np.where(good, generator.random(good.shape), 2), axis=1)[:, :each]
    enough = good.sum(axis=1) >= each
    return np.where(enough[:, None], np.sort(order, axis=1), -1)
