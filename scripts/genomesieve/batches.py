"""Training batches: sequence, labels and weights of windows, made when they are needed.

Windows are rows of a table; their sequence is copied from the mapped genome and their labels are
drawn from sorted site positions, so that neither is ever stored dense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genomesieve.alphabet import Alphabet
from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.genome import fetch_codes
from genomesieve.labelled_genome import LabelledGenome


@dataclass(frozen=True)
class Batch:
    """A batch of windows.

    Parameters
    ----------
    x : torch.Tensor, shape=(N, letters, L), float32
        One-hot sequence, context included; unknown bases are zero columns.
    sites : torch.Tensor, shape=(N, classes, bins), bool
        Whether the bin holds a site's base.
    weights : torch.Tensor, shape=(N, classes, bins), float32
        Weight of the bin in the loss, 0 where it is ignored.
    """

    x: Tensor
    sites: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            *(item.to(device, non_blocking=True) for item in (self.x, self.sites, self.weights))
        )


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

    Raises
    ------
    InputError
        If there are no windows, or they have several lengths.
    """

    def __init__(
        self,
        windows: pd.DataFrame,
        genomes: dict[str, LabelledGenome],
        architecture: Architecture,
        weight_cap: float = 20.0,
    ):
        lengths = windows["length"].unique()
        if len(lengths) != 1:
            raise InputError(f"windows have {len(lengths)} different lengths; expected one")
        self.length = int(lengths[0])
        self.genomes = genomes
        self.architecture = architecture
        self.bins = self.length // architecture.resolution
        self._names = windows["genome"].to_numpy(str)
        self._minus = windows["strand"].to_numpy(str) == "-"
        self._rows = np.empty((len(windows), 3), dtype=np.int64)
        for name, labelled in genomes.items():
            mine = self._names == name
            contigs = labelled.genome.contigs.set_index("contig")
            chosen = contigs.loc[windows.loc[mine, "contig"]]
            self._rows[mine] = np.stack(
                [chosen["offset"], chosen["length"], windows.loc[mine, "start"]], axis=1
            )
        self._weights, self.effective_share = _inverse_inclusion(
            np.stack(windows["inclusion"].to_numpy()), weight_cap
        )

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, rows: np.ndarray) -> Batch:
        """Make the batch of the given windows; minus-strand ones are reverse complements."""
        first = next(iter(self.genomes.values()))
        alphabet, classes = first.genome.alphabet, len(first.classes)
        context = self.architecture.context
        codes = np.empty((len(rows), self.length + 2 * context), dtype=np.uint8)
        sites = np.zeros((len(rows), classes, self.bins), dtype=bool)
        ignored = np.zeros_like(sites)
        for name, labelled in self.genomes.items():
            mine = np.flatnonzero(self._names[rows] == name)
            self._fill(labelled, rows, mine, codes, sites, ignored)
        core = codes[:, context : context + self.length].reshape(len(rows), self.bins, -1)
        unknown = (core == alphabet.unknown).any(-1)[:, None]
        weights = np.repeat(self._weights[rows], self.bins // self._weights.shape[1], axis=1)
        weights = np.where(unknown | (ignored & ~sites), np.float32(0), weights[:, None])
        minus = self._minus[rows]
        codes[minus] = alphabet.reverse_complement(codes[minus])
        sites[minus], weights[minus] = sites[minus][..., ::-1], weights[minus][..., ::-1]
        return Batch(
            one_hot(torch.from_numpy(codes), alphabet),
            torch.from_numpy(sites),
            torch.from_numpy(weights),
        )

    def _fill(self, labelled, rows, mine, codes, sites, ignored) -> None:
        """Write codes and labels of one genome's windows into the batch's arrays."""
        context, bin_bp = self.architecture.context, self.architecture.resolution
        offset, length, start = self._rows[rows[mine]].T
        for target, o, n, s in zip(mine, offset, length, start):
            codes[target] = fetch_codes(
                labelled.genome.codes,
                o,
                n,
                s - context,
                s + self.length + context,
                labelled.genome.alphabet.unknown,
            )
        for side in (0, 1):
            ours = self._minus[rows[mine]] == bool(side)
            targets, starts = mine[ours], (offset + start)[ours]
            for row in range(len(labelled.classes)):
                window, where = labelled.site_bins(row, side, starts, self.length, bin_bp)
                sites[targets[window], row, where] = True
                window, where = labelled.ignored_bins(row, side, starts, self.length, bin_bp)
                ignored[targets[window], row, where] = True


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


def one_hot(codes: Tensor, alphabet: Alphabet) -> Tensor:
    """Turn codes (N, L) into one-hot (N, letters, L), float32, unknown bases all zero.

    The result is a view of an (N, L, letters) tensor: channels-last, as the networks like it.
    """
    table = torch.zeros(alphabet.size + 1, alphabet.size, device=codes.device)
    table[: alphabet.size] = torch.eye(alphabet.size, device=codes.device)
    return table[codes.long()].transpose(1, 2)
