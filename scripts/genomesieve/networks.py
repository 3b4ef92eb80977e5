"""The networks, all behind one contract.

A network maps one-hot sequence, shape (N, letters, L), to logits, shape (N, outputs,
(L - 2 * context) / resolution). Unknown bases are all-zero columns; signals are channels after the
letters. Convolutions are valid: a
prediction sees exactly its context and nothing padded. With exclusive labels the first output is
the background, the others are the classes in order; with independent labels outputs are classes.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.architecture import (
    REVERSE_COMPLEMENTS,
    Architecture,
    NetworkSettings,
    PwmSettings,
    Settings,
)
from genomesieve.baseline_networks import KmerNetwork, PwmNetwork
from genomesieve.convolutions import Convolution, HeadConvolution
from genomesieve.custom_settings import CustomSettings
from genomesieve.domain_norm import domain_norms
from genomesieve.errors import InputError
from genomesieve.norms import build_norm
from genomesieve.pooling import build_pooling
from genomesieve.signal_scaling import SignalScaling
from genomesieve.symmetry import (
    free_parameter,
    mirrored_inputs,
    require_pairs,
    tie_convolution,
    tie_output,
)
from genomesieve.trunks import build_trunk
from genomesieve.windows import CutWindows, join_windows


def build_stem(
    settings: NetworkSettings, tied: bool, alphabet: Alphabet, signals: int = 0
) -> nn.Sequential:
    """Return convolution after convolution, each with norm, ReLU and, where asked for, a pool.

    A residual trunk normalises its own input, so before it the last layer stays linear.
    """
    layers: list[nn.Module] = []
    linear_end = settings.trunk in ("dilated", "attention")
    inputs, channels = alphabet.size + signals, settings.channels
    for number, (kernel, pool) in enumerate(zip(settings.stem_kernels, settings.pools), 1):
        layer = Convolution(inputs, channels, kernel)
        if tied:
            tie_convolution(layer, alphabet if number == 1 else None)
        layers.append(layer)
        if not (linear_end and number == len(settings.stem_kernels)):
            layers += [build_norm(settings.norm, channels, tied), nn.ReLU()]
        if pool > 1:
            layers.append(nn.MaxPool2d((1, pool)))
        inputs = channels
    return nn.Sequential(*layers)


class BetterStrand(nn.Module):
    """The larger of each feature and its mirror image.

    Parameters
    ----------
    channels : int
        Features that come out: half of those that go in.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 2 * channels, 1, bins) to (N, channels, 1, bins)."""
        return torch.maximum(x, x.flip(1))[:, : self.channels]


class Shortcut(nn.Module):
    """A linear layer from the stem's features to the outputs, around the trunk.

    Parameters
    ----------
    settings : NetworkSettings
    outputs : int
    tied : bool
        Whether both strands must agree: a feature is then the better of the two strands, as in a
        scan with a motif.
    """

    def __init__(self, settings: NetworkSettings, outputs: int, tied: bool):
        super().__init__()
        self.channels = settings.channels // 2 if tied else settings.channels
        self.norm = build_norm(settings.norm, settings.channels, tied)
        self.pool = build_pooling(
            settings.pooling, settings.channels, settings.span, settings.margin, tied
        )
        self.better = BetterStrand(self.channels) if tied else nn.Identity()
        self.head = HeadConvolution(self.channels, outputs)
        self.head.register_parameter("bias", None)
        nn.init.zeros_(self.head.weight)

    def pooled(self, features: Tensor, length: int) -> Tensor:
        """Map (N, channels, 1, positions) to what the head sees, (N, channels, 1, bins)."""
        crop = (features.shape[-1] - length) // 2
        pooled = self.pool(self.norm(features[..., crop : crop + length]))
        return self.better(pooled)

    def forward(self, features: Tensor, length: int) -> Tensor:
        """Map (N, channels, 1, positions) to (N, outputs, 1, bins), from the middle `length`."""
        return self.head(self.pooled(features, length))


class SequenceNetwork(nn.Module):
    """Stem, trunk, pooling and head.

    Parameters
    ----------
    settings : NetworkSettings
    outputs : int
    tied : bool
        Whether reverse-complement symmetry holds by construction: f(rc(x)) is f(x) flipped.
    alphabet : Alphabet
    signals : int
        Channels after the letters.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        outputs: int,
        tied: bool,
        alphabet: Alphabet,
        signals: int = 0,
    ):
        super().__init__()
        self.scaling = SignalScaling(signals) if signals else None
        self.stem = build_stem(settings, tied, alphabet, signals)
        self.cut = None
        if settings.windowed:
            core = settings.window // settings.feature_stride
            self.cut = CutWindows(core, settings.reach)
        self.crop = settings.reach - settings.margin if settings.windowed else 0
        self.trunk = build_trunk(settings, tied)
        width = self.trunk.channels
        self.pool = build_pooling(settings.pooling, width, settings.span, settings.margin, tied)
        self.hidden = nn.Identity()
        if settings.hidden:
            layer = Convolution(width, settings.hidden, 1)
            self.hidden = nn.Sequential(tie_convolution(layer) if tied else layer, nn.ReLU())
            width = settings.hidden
        self.dropout = nn.Dropout(settings.dropout)
        self.head = HeadConvolution(width, outputs)
        if tied:
            tie_output(self.head)
        self.shortcut = Shortcut(settings, outputs, tied) if settings.shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution)."""
        count = x.shape[0]
        motifs = self._motifs(x)
        features = self.trunk(motifs)
        if self.crop:
            features = features[..., self.crop : features.shape[-1] - self.crop]
        logits = self.head(self.dropout(self.hidden(self.pool(features))))
        if self.shortcut is not None:
            logits = logits + self.shortcut(motifs, features.shape[-1])
        logits = logits.squeeze(2)
        return logits if self.cut is None else join_windows(logits, count)

    def _motifs(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to the stem's features, cut into windows where need be."""
        if self.scaling is not None:
            x = self.scaling(x)
        motifs = self.stem(_as_image(x))
        return motifs if self.cut is None else self.cut(motifs)

    def pooled_motifs(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to what the shortcut's head sees, (N, channels, bins)."""
        count, motifs = x.shape[0], self._motifs(x)
        length = self.trunk(motifs[:1]).shape[-1] - 2 * self.crop
        pooled = self.shortcut.pooled(motifs, length).squeeze(2)
        return pooled if self.cut is None else join_windows(pooled, count)


class StrandAverage(nn.Module):
    """Average a network's logits over the two strands: f(rc(x)) is f(x) flipped."""

    def __init__(self, network: nn.Module, alphabet: Alphabet, signals: int = 0):
        super().__init__()
        self.network = network
        complement = mirrored_inputs(alphabet, alphabet.size + signals)
        self.register_buffer("complement", complement, persistent=False)

    @property
    def head(self) -> nn.Module:
        """The last layer of the network."""
        return self.network.head

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits, the mean of both strands."""
        other = x[:, self.complement].flip(-1)
        return (self.network(x) + self.network(other).flip(-1)) / 2


def build_network(
    architecture: Architecture,
    classes: int,
    labels: str,
    reverse_complement: str = "augment",
    alphabet: Alphabet = DNA,
    signals: int = 0,
    laboratories: int = 1,
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
        `augment` (the network itself), `average` (its mean over both strands) or `equivariant`
        (weights tied so that both strands agree).
    alphabet : Alphabet
    signals : int
        Channels that it sees after the letters.
    laboratories : int
        How many have statistics of their own, with norm `domain`.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InputError
        If the settings do not fit `reverse_complement`.
    """
    if reverse_complement not in REVERSE_COMPLEMENTS:
        raise InputError(
            f"reverse_complement is {reverse_complement!r}; expected "
            f"{', '.join(REVERSE_COMPLEMENTS)}"
        )
    outputs = classes + (labels == "exclusive")
    network = _bare_network(architecture.settings, outputs, reverse_complement, alphabet, signals)
    for layer in domain_norms(network):
        layer.resize(laboratories)
    network = network.to(memory_format=torch.channels_last)
    average = reverse_complement == "average"
    return StrandAverage(network, alphabet, signals) if average else network


def with_strands(
    network: nn.Module, reverse_complement: str, alphabet: Alphabet = DNA
) -> nn.Module:
    """Return a finished network itself (`augment`) or its mean over both strands (`average`)."""
    if reverse_complement == "average":
        return StrandAverage(network, alphabet)
    if reverse_complement != "augment":
        raise InputError(
            f"reverse_complement is {reverse_complement!r}; expected augment or average: weights "
            "that are given cannot be tied"
        )
    return network


def _bare_network(
    settings: Settings, outputs: int, reverse_complement: str, alphabet: Alphabet, signals: int
) -> nn.Module:
    """Build the network that settings of any kind describe."""
    tied = reverse_complement == "equivariant"
    if isinstance(settings, CustomSettings):
        raise InputError("model.preset is custom: its network is imported by import_model.py")
    if isinstance(settings, NetworkSettings):
        if tied:
            _check_pairs(settings)
        return SequenceNetwork(settings, outputs, tied, alphabet, signals)
    if signals:
        raise InputError(f"model {settings.preset} sees the sequence alone; expected no signals")
    if tied:
        raise InputError(
            f"reverse_complement is equivariant and the model is {settings.preset}; expected "
            "augment or average"
        )
    kind = PwmNetwork if isinstance(settings, PwmSettings) else KmerNetwork
    return kind(settings, outputs, alphabet.size)


def _check_pairs(settings: NetworkSettings) -> None:
    """Raise InputError unless everything can be paired with its mirror image."""
    require_pairs("channels", settings.channels)
    require_pairs("hidden", settings.hidden)
    if settings.trunk == "attention":
        require_pairs("heads", settings.heads)


def log_prior(prevalence: np.ndarray, labels: str) -> Tensor:
    """Return what every output would be if nothing but the prevalence were known.

    Parameters
    ----------
    prevalence : numpy.ndarray, shape=(classes,)
        Share of bins that hold a site of each class.
    labels : str
        `exclusive` (log shares, background first) or `independent` (log-odds).

    Returns
    -------
    torch.Tensor, shape=(outputs,), dtype=float64
    """
    rate = torch.from_numpy(np.clip(np.asarray(prevalence, dtype=np.float64), 1e-9, 0.5))
    if labels == "independent":
        return torch.logit(rate)
    # Bins of a window classifier may all hold a site.
    background = (1 - rate.sum(0, keepdim=True)).clamp(min=1e-9)
    return torch.cat([background, rate]).log()


def set_prior(network: nn.Module, prevalence: np.ndarray, labels: str, share: float = 1.0) -> None:
    """Start the output biases at the log prevalence, so that rare classes learn at all.

    Parameters
    ----------
    network : torch.nn.Module
    prevalence : numpy.ndarray, shape=(classes,)
        Share of bins that hold a site of each class, in (0, 1).
    labels : str
        `exclusive` or `independent`.
    share : float
        Share of the log prevalence that the biases hold; less than 1 where the loss adds the rest.
    """
    with torch.no_grad():
        free_parameter(network.head, "weight").mul_(0.1)
        network.head.bias.copy_(share * log_prior(prevalence, labels))


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
