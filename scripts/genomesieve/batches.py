"""Training batches: sequence, labels and weights of windows, made when they are needed.

Windows are rows of a table; their sequence is copied from the mapped genome and their labels are
drawn from sorted site positions, so that neither is ever stored dense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genomesieve.architecture import Architecture
from genomesieve.device_queue import to_device
from genomesieve.errors import InputError
from genomesieve.gathering import (
    gather_resident,
    one_hot,
    resident_codes,
    reverse_complement_rows,
    strand_one_hot,
    with_channels,
)
from genomesieve.genome import gather_windows
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.signals import gather_signals
from genomesieve.track_targets import TrackTargets


@dataclass(frozen=True)
class Batch:
    """A batch of windows.

    Parameters
    ----------
    x : torch.Tensor, shape=(N, letters + signals, L), float32
        One-hot sequence, context included, then signals; unknown bases are zero columns.
    sites : torch.Tensor, shape=(N, classes, bins), bool
        Whether the bin holds a site's base.
    weights : torch.Tensor, shape=(N, classes, bins), float32
        Weight of the bin in the loss, 0 where it is ignored.
    laboratories : torch.Tensor or None, shape=(N,), int64
        Number of each window's laboratory, -1 for none; None where no genome has one.
    tracks : torch.Tensor or None, shape=(N, tracks, bins), float32
        Values of the tracks that are learned beside the classes.
    """

    x: Tensor
    sites: Tensor
    weights: Tensor
    laboratories: Tensor | None = None
    tracks: Tensor | None = None

    def rows(self, chosen: slice) -> Batch:
        """Return some of the windows, without a copy."""
        return self._each(lambda item: item[chosen])

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._each(lambda item: item.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with all its tensors changed."""
        items = vars(self).values()
        return Batch(*(None if item is None else change(item) for item in items))


class WindowSource:
    """All windows of one part, from which batches are made.

    Parameters
    ----------
    windows : pandas.DataFrame
        Columns genome, contig, start, length, strand, inclusion; one length.
    genomes : dict of str to LabelledGenome
    architecture : Architecture
    weight_cap : float
        Largest weight of a bin, as a multiple of the mean weight.
    device : torch.device or None
        Where batches are made; the codes of all genomes are copied there (1 byte a base). None
        gathers on the host from the mapped genomes.
    resident : dict of str to torch.Tensor, or None
        The codes of every genome where they are on a device already; in place of `device`. Signals
        and tracks are gathered on the host.
    laboratories : mapping of str to int, or None
        Number of the laboratory that each genome's data comes from, for genomes that name one.
    tracks : TrackTargets or None
        Tracks of all genomes that are learned beside the classes.

    Raises
    ------
    InputError
        If there are no windows, they have several lengths, or were sampled at a resolution that is
        not the network's.
    """

    def __init__(
        self,
        windows: pd.DataFrame,
        genomes: dict[str, LabelledGenome],
        architecture: Architecture,
        weight_cap: float = 20.0,
        device: torch.device | None = None,
        resident: dict[str, Tensor] | None = None,
        laboratories: Mapping[str, int] | None = None,
        tracks: TrackTargets | None = None,
    ):
        lengths = windows["length"].unique()
        if len(lengths) != 1:
            raise InputError(f"windows have {len(lengths)} different lengths; expected one")
        self.length = int(lengths[0])
        self.genomes, self._tracks = genomes, tracks
        self.architecture = architecture
        self.bins = self.length // architecture.resolution
        self._minus = windows["strand"].to_numpy(str) == "-"
        self._rows = np.empty((len(windows), 3), dtype=np.int64)
        self._genome = np.full(len(windows), -1)
        names = windows["genome"].to_numpy(str)
        for number, (name, labelled) in enumerate(genomes.items()):
            mine = names == name
            contigs = labelled.genome.contigs.set_index("contig")
            chosen = contigs.loc[windows.loc[mine, "contig"]]
            self._genome[mine] = number
            self._rows[mine] = np.stack(
                [chosen["offset"], chosen["length"], windows.loc[mine, "start"]], axis=1
            )
        inclusion = np.stack(windows["inclusion"].to_numpy())
        if self.length % architecture.resolution or self.bins % inclusion.shape[1]:
            raise InputError(
                f"windows of {self.length} bp hold {inclusion.shape[1]} steps of sampling; found a "
                f"network of {architecture.resolution} bp a bin; expected each step to hold whole "
                "bins: sample the windows again at the network's resolution"
            )
        self._weights, self.effective_share = _inverse_inclusion(inclusion, weight_cap)
        if resident is None and device is not None:
            resident = {n: resident_codes(g.genome.codes, device) for n, g in genomes.items()}
        self._resident = None if resident is None else [resident[name] for name in genomes]
        self._laboratory = None
        if laboratories:
            numbers = np.array([laboratories.get(name, -1) for name in genomes], dtype=np.int64)
            self._laboratory = numbers[self._genome]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def laboratory_rows(self) -> list[np.ndarray]:
        """Windows of each laboratory that has some; all together where none is named."""
        if self._laboratory is None:
            return [np.arange(len(self))]
        return [np.flatnonzero(self._laboratory == one) for one in np.unique(self._laboratory)]

    def batch(self, rows: np.ndarray) -> Batch:
        """Make the batch of the given windows; minus-strand ones are reverse complements."""
        sites, ignored = self._labels(rows)
        weights = np.repeat(self._weights[rows], self.bins // self._weights.shape[1], axis=1)
        weights = np.where(ignored & ~sites, np.float32(0), weights[:, None])
        if self._resident is None:
            x, unknown = self._host_sequence(rows)
            weights[np.broadcast_to(unknown[:, None], weights.shape)] = 0
        minus = self._minus[rows]
        sites[minus], weights[minus] = sites[minus][..., ::-1], weights[minus][..., ::-1]
        named = self._laboratory
        more = None if named is None else torch.from_numpy(named[rows]), self._track_means(rows)
        if self._resident is None:
            return Batch(x, torch.from_numpy(sites), torch.from_numpy(weights), *more)
        x, unknown = self._resident_sequence(rows)
        sites, weights = to_device(sites, x.device), to_device(weights, x.device)
        return Batch(x, sites, weights.masked_fill_(unknown[:, None], 0), *more)

    def _labels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where bins (N, classes, bins) hold sites and where intervals hide them."""
        classes = len(next(iter(self.genomes.values())).classes)
        sites = np.zeros((len(rows), classes, self.bins), dtype=bool)
        ignored = np.zeros_like(sites)
        first = self._rows[rows, 0] + self._rows[rows, 2]
        for labelled, mine in self._by_genome(rows):
            # Without strands both sides have the same labels: one look serves all windows.
            for side in (0, 1) if labelled.stranded else (0,):
                targets = mine
                if labelled.stranded:
                    targets = mine[self._minus[rows[mine]] == bool(side)]
                place = first[targets], self.length, self.architecture.resolution
                for row in range(classes):
                    window, where = labelled.site_bins(row, side, *place)
                    sites[targets[window], row, where] = True
                    window, where = labelled.ignored_bins(row, side, *place)
                    ignored[targets[window], row, where] = True
        return sites, ignored

    def _track_means(self, rows: np.ndarray) -> Tensor | None:
        """Return the means of tracks (N, tracks, bins) in the order of each window's strand."""
        if self._tracks is None:
            return None
        means = np.empty((len(rows), len(self._tracks.flanks), self.bins), dtype=np.float32)
        for labelled, mine in self._by_genome(rows):
            place = *self._rows[rows[mine]].T, self.length
            means[mine] = self._tracks.bin_means(labelled.genome.name, *place)
        minus = self._minus[rows]
        means[minus] = means[minus][..., ::-1]
        return torch.from_numpy(means)

    def _by_genome(self, rows: np.ndarray) -> Iterator[tuple[LabelledGenome, np.ndarray]]:
        """Yield each genome with the places in `rows` of its windows."""
        for number, labelled in enumerate(self.genomes.values()):
            yield labelled, np.flatnonzero(self._genome[rows] == number)

    def _host_sequence(self, rows: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Return one-hot sequence of a batch, and its bins (N, bins) with an unknown base.

        Bins stand in the order of the plus strand.
        """
        context = self.architecture.context
        alphabet = next(iter(self.genomes.values())).genome.alphabet
        width = self.length + 2 * context
        codes = np.empty((len(rows), width), dtype=np.uint8)
        for labelled, mine in self._by_genome(rows):
            offset, length, start = self._rows[rows[mine]].T
            codes[mine] = gather_windows(
                labelled.genome.codes, offset, length, start - context, width, alphabet.unknown
            )
        core = codes[:, context : context + self.length]
        unknown = np.zeros((len(rows), self.bins), dtype=bool)
        # Few windows have unknown bases, and theirs is the largest code.
        some = np.flatnonzero(core.max(axis=1) == alphabet.unknown)
        shape = len(some), self.bins, self.architecture.resolution
        unknown[some] = (core[some] == alphabet.unknown).reshape(shape).any(-1)
        x = strand_one_hot(codes, self._minus[rows], alphabet)
        return with_channels(x, self._signals(rows, width)), unknown

    def _signals(self, rows: np.ndarray, width: int) -> Tensor | None:
        """Return the signals of windows on their own strands, (N, signals, width), if any."""
        channels = len(next(iter(self.genomes.values())).genome.signals)
        if not channels:
            return None
        values = np.empty((len(rows), channels, width), dtype=np.float32)
        context = self.architecture.context
        for labelled, mine in self._by_genome(rows):
            offset, length, start = self._rows[rows[mine]].T
            values[mine] = gather_signals(
                labelled.genome.signals, offset, length, start - context, width
            )
        # A signal has no complement: the other strand reads it backwards.
        minus = self._minus[rows]
        values[minus] = values[minus][..., ::-1]
        return torch.from_numpy(values)

    def _resident_sequence(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Do what `_host_sequence` does on the device; bins stand in the order of their strand."""
        context = self.architecture.context
        alphabet = next(iter(self.genomes.values())).genome.alphabet
        device = self._resident[0].device
        width = self.length + 2 * context
        codes = torch.empty(len(rows), width, dtype=torch.uint8, device=device)
        for number, resident in enumerate(self._resident):
            mine = np.flatnonzero(self._genome[rows] == number)
            offset, length, start = to_device(self._rows[rows[mine]], device).T
            codes[to_device(mine, device)] = gather_resident(
                resident, offset, length, start - context, width, alphabet.unknown
            )
        minus = to_device(self._minus[rows], device)
        codes = reverse_complement_rows(codes, minus, alphabet)
        core = codes[:, context : context + self.length].reshape(len(rows), self.bins, -1)
        return one_hot(codes, alphabet), (core == alphabet.unknown).any(-1)


def _inverse_inclusion(inclusion: np.ndarray, cap: float) -> tuple[np.ndarray, float]:
    """Turn inclusion rates into weights of mean 1, capped.

    Parameters
    ----------
    inclusion : numpy.ndarray, shape=(windows, cells)
        Expected number of sampled windows that cover each cell.
    cap : float
        Largest weight, as a multiple of the mean.

    Returns
    -------
    weights : numpy.ndarray, shape=(windows, cells), dtype=float32
    effective_share : float
        Effective sample size divided by the sample size (Kish 1965).
    """
    weights = 1 / inclusion.astype(np.float64)
    weights = np.minimum(weights / weights.mean(), cap)
    weights /= weights.mean()
    effective = weights.sum() ** 2 / (weights**2).sum() / weights.size
    return weights.astype(np.float32), float(effective)
