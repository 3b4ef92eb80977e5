"""Signals brought to a common scale before a network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from genomesieve.genome import EncodedGenome, contig_rows

_BLOCK = 1 << 22


class SignalScaling(nn.Module):
    """Subtract a mean from each signal and divide by a deviation; letters stay as they are.

    One scale serves all laboratories, so that what differs between them stays.

    Parameters
    ----------
    signals : int
        Channels after the letters.
    """

    is_layer = True

    def __init__(self, signals: int):
        super().__init__()
        self.signals = signals
        self.register_buffer("mean", torch.zeros(signals))
        self.register_buffer("deviation", torch.ones(signals))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, letters + signals, L) to the same shape."""
        letters, values = x[:, : -self.signals], x[:, -self.signals :]
        mean, deviation = (item[:, None].to(x.dtype) for item in (self.mean, self.deviation))
        return torch.cat([letters, (values - mean) / deviation], dim=1)


def set_signal_scale(network: nn.Module, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Give a network the mean and deviation, shape=(signals,), of the signals it learns from."""
    for layer in network.modules():
        if isinstance(layer, SignalScaling):
            layer.mean.copy_(torch.from_numpy(mean))
            layer.deviation.copy_(torch.from_numpy(np.where(deviation > 0, deviation, 1.0)))


def training_moments(
    genomes: Iterable[EncodedGenome], splits: Mapping[str, pd.DataFrame]
) -> tuple[np.ndarray, np.ndarray]:
    """Measure each signal on the training parts of all genomes together.

    Parameters
    ----------
    genomes : iterable of EncodedGenome
        Each with the same signals.
    splits : mapping of str to pandas.DataFrame
        Columns contig, start, end, part of every genome.

    Returns
    -------
    mean, deviation : numpy.ndarray, shape=(signals,), dtype=float64
    """
    count, total, squares = 0, 0.0, 0.0
    for genome in genomes:
        rows = splits[genome.name][splits[genome.name]["part"] == "train"]
        places = contig_rows(genome.contigs, rows["contig"], genome.name)
        offsets = genome.contigs["offset"].to_numpy(np.int64)[places]
        for offset, start, end in zip(offsets, rows["start"], rows["end"]):
            for begin in range(offset + start, offset + end, _BLOCK):
                place = slice(begin, min(begin + _BLOCK, offset + end))
                block = np.stack([signal[place] for signal in genome.signals]).astype(np.float64)
                count += block.shape[1]
                total, squares = total + block.sum(1), squares + (block**2).sum(1)
    mean = total / max(count, 1)
    return mean, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
