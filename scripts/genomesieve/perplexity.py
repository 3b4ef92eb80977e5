"""How well hidden bases of held-out contigs are predicted: networks beside k-mer models.

All models are asked for the same hidden bases and see the same codes, in which those are unknown.
Perplexity is exp of the mean negative log-likelihood in nats: 4 for even guesses, 1 for certainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.nn import functional

from genomesieve.alphabet import DNA
from genomesieve.bootstrap import (
    FEWEST_BLOCKS,
    block_weights,
    paired_difference,
    percentile_interval,
    resample_ratio,
)
from genomesieve.gathering import one_hot
from genomesieve.kmer_models import KmerModel
from genomesieve.masking import KINDS, SEEN
from genomesieve.unlabelled import HeldOutBatch, HeldOutWindows

BLOCK = 100_000
"""Bases a block of the bootstrap, less where there would be too few blocks."""
_WINDOWS_AT_ONCE = 16
_NOT_REPEATS, _EVERYWHERE = "outside repeats", "everywhere"


@dataclass(frozen=True)
class HiddenBases:
    """What is known of each hidden base, in one order.

    Parameters
    ----------
    window : numpy.ndarray, shape=(n,)
        Number of its window.
    kind : numpy.ndarray, shape=(n,), dtype=uint8
        SINGLE or SPAN.
    repeats : numpy.ndarray, shape=(n,), dtype=bool
        Whether it lies in a soft-masked run.
    """

    window: np.ndarray
    kind: np.ndarray
    repeats: np.ndarray

    @classmethod
    def of(cls, windows: HeldOutWindows) -> HiddenBases:
        """Collect the hidden bases of held-out windows."""
        parts, first = [], 0
        for batch in windows.batches(_WINDOWS_AT_ONCE):
            row, place = np.nonzero(batch.mask != SEEN)
            parts.append((row + first, batch.mask[row, place], batch.repeats[row, place]))
            first += len(batch.mask)
        return cls(*(np.concatenate(items) for items in zip(*parts)))


def network_losses(network: nn.Module, windows: HeldOutWindows, device: torch.device) -> np.ndarray:
    """Return -log P of each hidden base under a network, in the order of `HiddenBases`.

    Parameters
    ----------
    network : torch.nn.Module
        Maps one-hot (N, letters, L) to logits of every base.
    windows : HeldOutWindows
        Their flank is at least the network's context.
    device : torch.device

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=float64
    """
    network.eval()
    found = []
    with torch.inference_mode():
        for batch in windows.batches(_WINDOWS_AT_ONCE):
            spare = batch.codes.shape[1] - batch.mask.shape[1] - 2 * network.context
            codes = batch.codes[:, spare // 2 : batch.codes.shape[1] - spare // 2]
            x = one_hot(torch.from_numpy(np.ascontiguousarray(codes)).to(device), DNA)
            row, place = np.nonzero(batch.mask != SEEN)
            logits = network(x).float()[row, :, place]
            bases = torch.from_numpy(batch.bases[row, place].astype(np.int64)).to(device)
            losses = functional.cross_entropy(logits, bases, reduction="none")
            found.append(losses.double().cpu().numpy())
    return np.concatenate(found)


def kmer_losses(
    model: KmerModel, windows: HeldOutWindows, sizes: list[tuple[int, int]]
) -> np.ndarray:
    """Return -log P of each hidden base under k-mer models of several sizes.

    Parameters
    ----------
    model : KmerModel
    windows : HeldOutWindows
        Their flank is at least what the model sees on each side.
    sizes : list of tuple of int
        Bases on the left and on the right, a model each.

    Returns
    -------
    numpy.ndarray, shape=(models, n), dtype=float64
    """
    found = [
        -np.log(model.probabilities(*_flanks(model, batch), sizes))
        for batch in windows.batches(_WINDOWS_AT_ONCE)
    ]
    return np.concatenate(found, axis=1)


def _flanks(model: KmerModel, batch: HeldOutBatch) -> tuple[np.ndarray, np.ndarray]:
    """Return codes around each hidden base, and the base."""
    flank = (batch.codes.shape[1] - batch.mask.shape[1]) // 2
    row, place = np.nonzero(batch.mask != SEEN)
    around = sliding_window_view(batch.codes, model.left + 1 + model.right, axis=1)
    return around[row, flank + place - model.left], batch.bases[row, place].astype(np.int64)


def blocks_of_windows(windows: int, length: int) -> np.ndarray:
    """Return the bootstrap block of each held-out window: neighbours, about `BLOCK` bases."""
    each = max(1, min(BLOCK // length, windows // FEWEST_BLOCKS))
    return np.arange(windows) // each


def perplexity_table(
    losses: Mapping[str, np.ndarray],
    network: str,
    hidden: HiddenBases,
    blocks: np.ndarray,
    repeats: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare models on the same hidden bases, with intervals of a block bootstrap.

    Parameters
    ----------
    losses : mapping of str to numpy.ndarray, shape=(n,)
        -log P of each hidden base by model.
    network : str
        The model that the others are compared with.
    hidden : HiddenBases
    blocks : numpy.ndarray, shape=(windows,)
        Block of each window.
    repeats, seed : int
        Of the bootstrap; all models share its draws.

    Returns
    -------
    pandas.DataFrame
        Columns model, positions, mask, bases, perplexity, low, high; and nats by which the
        network is better (difference, difference_low, difference_high), paired.
    """
    count = int(blocks[-1]) + 1
    weights = block_weights(count, repeats, seed)
    rows = []
    for positions in (_EVERYWHERE, _NOT_REPEATS):
        for mask in ("all", *KINDS):
            chosen = np.ones(len(hidden.kind), dtype=bool)
            if positions == _NOT_REPEATS:
                chosen &= ~hidden.repeats
            if mask != "all":
                chosen &= hidden.kind == KINDS[mask]
            if chosen.any():
                about = {"positions": positions, "mask": mask, "bases": int(chosen.sum())}
                block = blocks[hidden.window[chosen]]
                mine = {name: values[chosen] for name, values in losses.items()}
                rows += _rows(mine, network, block, weights, about)
    return pd.DataFrame(rows)


def _rows(
    losses: Mapping[str, np.ndarray],
    network: str,
    block: np.ndarray,
    weights: np.ndarray,
    about: dict,
) -> list[dict]:
    """Return the rows of one set of hidden bases."""
    size = np.bincount(block, minlength=weights.shape[1])
    draws = {
        name: resample_ratio(weights, np.bincount(block, values, weights.shape[1]), size)
        for name, values in losses.items()
    }
    rows = []
    for name, values in losses.items():
        mean = float(values.mean())
        interval = percentile_interval(np.exp(draws[name]))
        row = {"model": name, **about, "perplexity": float(np.exp(mean))}
        row |= {"low": interval.low, "high": interval.high}
        if name != network:
            difference = paired_difference(draws[name], draws[network])
            row |= {
                "difference": mean - float(losses[network].mean()),
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
        rows.append(row)
    return rows
