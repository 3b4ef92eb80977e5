"""The baselines' models as networks behind the model contract (see `networks`)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.architecture import KmerSettings, PwmSettings
from genomesieve.running_sums import running_sum


class PwmNetwork(nn.Module):
    """The best log-odds of a position weight matrix in the bin (preset `pwm`)."""

    def __init__(self, settings: PwmSettings, outputs: int, letters: int):
        super().__init__()
        self.settings = settings
        self.register_buffer("weight", torch.zeros(outputs, letters, settings.width))
        self.register_buffer("scale", torch.ones(outputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution)."""
        settings, context = self.settings, self.settings.context
        right = settings.width - 1 - settings.left
        matched = functional.conv1d(x, self.weight)
        if settings.both_strands:
            mirrored = functional.conv1d(x, self.weight.flip(1, 2))
            # Anchors of the two strands coincide on the plus-strand grid.
            shift = settings.left - right
            matched = _pairwise_maximum(matched, mirrored, shift)
            first_anchor = max(settings.left, right)
        else:
            first_anchor = settings.left
        best = [
            functional.max_pool1d(
                matched[:, row : row + 1, context - margin - first_anchor :],
                settings.resolution + 2 * margin,
                settings.resolution,
            )
            for row, margin in enumerate(settings.margins)
        ]
        bins = (x.shape[-1] - 2 * context) // settings.resolution
        scores = torch.cat([item[..., :bins] for item in best], dim=1)
        return scores * self.scale[:, None] + self.bias[:, None]


def _pairwise_maximum(first: Tensor, second: Tensor, shift: int) -> Tensor:
    """Return the maximum of first[i] and second[i + shift] wherever both exist."""
    if shift >= 0:
        return torch.maximum(first[..., : first.shape[-1] - shift], second[..., shift:])
    return torch.maximum(first[..., -shift:], second[..., :shift])


class KmerNetwork(nn.Module):
    """A linear model of k-mer counts in segments around the bin (preset `kmer`)."""

    def __init__(self, settings: KmerSettings, outputs: int, letters: int):
        super().__init__()
        self.settings, self.letters = settings, letters
        segments = len(settings.edges) - 1
        self.register_buffer("weight", torch.zeros(outputs, segments, letters**settings.k))
        self.register_buffer("bias", torch.zeros(outputs))

    def fill(self, rows: Iterable) -> None:
        """Take over the fitted `weights` (segments, letters**k) and `bias` of every class."""
        for row, fitted in enumerate(rows):
            self.weight[row] = torch.from_numpy(fitted.weights).float()
            self.bias[row] = fitted.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution)."""
        settings, context = self.settings, self.settings.context
        words, known = kmer_numbers(x, settings.k)
        bins = (x.shape[-1] - 2 * context) // settings.resolution
        total = self.bias[None, :, None]
        for row, (start, end) in enumerate(zip(settings.edges, settings.edges[1:])):
            values = self.weight[:, row][:, words].transpose(0, 1) * known[:, None]
            sums = running_sum(values[..., context + start :], end - start, settings.resolution)
            total = total + sums[..., :bins]
        return total


def kmer_numbers(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the number of the k-mer that starts at each base.

    Parameters
    ----------
    x : torch.Tensor, shape=(N, letters, L)
        One-hot sequence.
    k : int

    Returns
    -------
    numbers : torch.Tensor, shape=(N, L - k + 1), dtype=int64
        The k-mer read as a number in base `letters`, first base most significant.
    known : torch.Tensor, shape=(N, L - k + 1), dtype of x
        1 where all k bases are known, else 0.
    """
    letters = x.shape[1]
    length = x.shape[-1] - k + 1
    codes, present = x.argmax(1), x.sum(1)
    numbers = torch.zeros_like(codes[:, :length])
    known = torch.ones_like(present[:, :length])
    for step in range(k):
        numbers = numbers * letters + codes[:, step : step + length]
        known = known * present[:, step : step + length]
    return numbers, known
