"""The networks, all behind one contract.

A network maps one-hot sequence, shape (N, letters, L), to logits, shape (N, outputs,
(L - 2 * context) / resolution). Unknown bases are all-zero columns. Convolutions are valid: a
prediction sees exactly its context and nothing padded. With exclusive labels the first output is
the background, the others are the classes in order; with independent labels outputs are classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.architecture import (
    Architecture,
    DilatedSettings,
    KmerSettings,
    MotifCnnSettings,
    PwmSettings,
)
from genomesieve.convolutions import Convolution
from genomesieve.errors import InputError
from genomesieve.pooling import SlidingMaximum


def _norm(kind: str, channels: int) -> nn.Module:
    """Return a norm layer over (N, channels, 1, length)."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()


class ResidualBlock(nn.Module):
    """Norm, ReLU, dilated convolution, twice, added to the cropped input."""

    def __init__(self, settings: DilatedSettings, dilation: int):
        super().__init__()
        channels, kernel = settings.channels, settings.kernel
        self.crop = 2 * (kernel // 2) * dilation
        self.layers = nn.Sequential(
            _norm(settings.norm, channels),
            nn.ReLU(),
            Convolution(channels, channels, kernel, dilation),
            _norm(settings.norm, channels),
            nn.ReLU(),
            Convolution(channels, channels, kernel, dilation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, length) to (N, channels, 1, length - 2 * crop)."""
        return x[..., self.crop : x.shape[-1] - self.crop] + self.layers(x)


class DilatedNetwork(nn.Module):
    """Residual dilated convolutions with one prediction a base (preset `dilated`)."""

    def __init__(self, settings: DilatedSettings, outputs: int, letters: int):
        super().__init__()
        self.stem = Convolution(letters, settings.channels, settings.stem_kernel)
        self.blocks = nn.Sequential(*(ResidualBlock(settings, d) for d in settings.dilations))
        self.top = nn.Sequential(
            _norm(settings.norm, settings.channels), nn.ReLU(), nn.Dropout(settings.dropout)
        )
        self.head = Convolution(settings.channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, L - 2 * context)."""
        x = _as_image(x)
        return self.head(self.top(self.blocks(self.stem(x)))).squeeze(2)


class MotifCnn(nn.Module):
    """Convolution, maximum over the bin plus a margin, perceptron (preset `motif_cnn`)."""

    def __init__(self, settings: MotifCnnSettings, outputs: int, letters: int):
        super().__init__()
        filters = settings.filters
        layers = [Convolution(letters, filters, settings.kernel), _norm(settings.norm, filters)]
        if settings.pair_kernel > 1:
            layers += [
                nn.ReLU(),
                Convolution(filters, filters, settings.pair_kernel),
                _norm(settings.norm, filters),
            ]
        self.detectors = nn.Sequential(*layers, nn.ReLU())
        self.pool = SlidingMaximum(settings.resolution, settings.pool_margin)
        self.perceptron = nn.Sequential(
            Convolution(filters, settings.hidden, 1), nn.ReLU(), nn.Dropout(settings.dropout)
        )
        self.head = Convolution(settings.hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution)."""
        pooled = self.pool(self.detectors(_as_image(x)))
        return self.head(self.perceptron(pooled)).squeeze(2)


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
            width = end - start
            sums = functional.avg_pool1d(values[..., context + start :], width, settings.resolution)
            total = total + sums[..., :bins] * width
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


class StrandAverage(nn.Module):
    """Average a network's logits over the two strands: f(rc(x)) is f(x) flipped."""

    def __init__(self, network: nn.Module, alphabet: Alphabet):
        super().__init__()
        self.network = network
        complement = torch.from_numpy(alphabet.complement_codes[: alphabet.size].astype(np.int64))
        self.register_buffer("complement", complement, persistent=False)

    @property
    def head(self) -> nn.Module:
        """The last layer of the network."""
        return self.network.head

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits, the mean of both strands."""
        other = x[:, self.complement].flip(-1)
        return (self.network(x) + self.network(other).flip(-1)) / 2


_NETWORKS = {
    "dilated": DilatedNetwork,
    "motif_cnn": MotifCnn,
    "pwm": PwmNetwork,
    "kmer": KmerNetwork,
}


def build_network(
    architecture: Architecture,
    classes: int,
    labels: str,
    reverse_complement: str = "augment",
    alphabet: Alphabet = DNA,
) -> nn.Module:
    """Build a network with fresh weights.

    Parameters
    ----------
    architecture : Architecture
    classes : int
        Number of classes.
    labels : str
        `exclusive` (one more output, the background, first) or `independent`.
    reverse_complement : str
        `augment` (the network itself) or `average` (its mean over both strands).
    alphabet : Alphabet

    Returns
    -------
    torch.nn.Module
    """
    preset = architecture.settings.preset
    if preset not in _NETWORKS:
        raise InputError(f"model.preset is {preset}: its network is imported by import_model.py")
    kind = _NETWORKS[preset]
    network = kind(architecture.settings, classes + (labels == "exclusive"), alphabet.size)
    network = network.to(memory_format=torch.channels_last)
    return with_strands(network, reverse_complement, alphabet)


def with_strands(
    network: nn.Module, reverse_complement: str, alphabet: Alphabet = DNA
) -> nn.Module:
    """Return a network itself (`augment`) or its mean over both strands (`average`)."""
    if reverse_complement == "average":
        return StrandAverage(network, alphabet)
    if reverse_complement != "augment":
        raise InputError(f"reverse_complement is {reverse_complement!r}; expected augment, average")
    return network


def set_prior(network: nn.Module, prevalence: np.ndarray, labels: str) -> None:
    """Start the output biases at the log prevalence, so that rare classes learn at all.

    Parameters
    ----------
    network : torch.nn.Module
    prevalence : numpy.ndarray, shape=(classes,)
        Share of bins that hold a site of each class, in (0, 1).
    labels : str
        `exclusive` or `independent`.
    """
    prevalence = np.clip(np.asarray(prevalence, dtype=np.float64), 1e-9, 0.5)
    if labels == "exclusive":
        bias = np.log(np.concatenate([[1 - prevalence.sum()], prevalence]))
    else:
        bias = np.log(prevalence) - np.log1p(-prevalence)
    with torch.no_grad():
        network.head.weight.mul_(0.1)
        network.head.bias.copy_(torch.from_numpy(bias).float())


def log_odds(logits: Tensor, labels: str) -> Tensor:
    """Turn logits into the log-odds of each class, in float32 and never through probabilities.

    Parameters
    ----------
    logits : torch.Tensor, shape=(N, outputs, bins)
    labels : str
        `exclusive`: z_k minus the log-sum-exp of all other outputs; `independent`: the logits.

    Returns
    -------
    torch.Tensor, shape=(N, classes, bins), dtype=float32
    """
    logits = logits.float()
    if labels == "independent":
        return logits
    outputs = logits.unbind(1)
    # Sums over the outputs before and after each one, so that time grows with the classes and not
    # with their square; pairwise sums are also several times as fast as torch.logsumexp on a CPU.
    before = list(itertools.accumulate(outputs[:-1], torch.logaddexp))
    after = list(itertools.accumulate(outputs[:1:-1], torch.logaddexp))[::-1]
    others = [torch.logaddexp(*pair) for pair in zip(before, after)] + [before[-1]]
    return logits[:, 1:] - torch.stack(others, dim=1)


def _as_image(x: Tensor) -> Tensor:
    """View (N, channels, L) as (N, channels, 1, L) in channels-last layout."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
