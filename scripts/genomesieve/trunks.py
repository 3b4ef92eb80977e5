"""Trunks: what a network does with the features of its stem, shape (N, channels, 1, positions).

`Dilated` is dense: it maps any length and crops what it has seen of its flanks. The others mix over
length; they map windows of one fixed length, see all of it, and crop it to what is asked for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.architecture import NetworkSettings
from genomesieve.convolutions import Convolution
from genomesieve.norms import build_norm
from genomesieve.symmetry import mirror_vector, other_strand, tie_convolution

_CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_NEAR = 8
"""Distances up to this have a bias each; further ones share buckets that grow with distance."""
_BUCKETS = 32
_ROTARY_BASE = 10_000.0


def _convolution(tied: bool, inputs: int, outputs: int, kernel: int = 1, step: int = 1):
    """Return a convolution between features, tied by symmetry or not."""
    layer = Convolution(inputs, outputs, kernel, step)
    return tie_convolution(layer) if tied else layer


class ResidualBlock(nn.Module):
    """Norm, ReLU, dilated convolution, twice, added to the cropped input."""

    def __init__(self, settings: NetworkSettings, dilation: int, tied: bool):
        super().__init__()
        channels, kernel = settings.channels, settings.kernel
        self.crop = 2 * (kernel // 2) * dilation
        self.layers = nn.Sequential(
            build_norm(settings.norm, channels, tied),
            nn.LeakyReLU(settings.leak) if settings.leak else nn.ReLU(),
            _convolution(tied, channels, channels, kernel, dilation),
            build_norm(settings.norm, channels, tied),
            nn.LeakyReLU(settings.leak) if settings.leak else nn.ReLU(),
            _convolution(tied, channels, channels, kernel, dilation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, length) to (N, channels, 1, length - 2 * crop)."""
        return x[..., self.crop : x.shape[-1] - self.crop] + self.layers(x)


class DilatedTrunk(nn.Sequential):
    """Residual blocks of dilated convolutions, then norm and ReLU."""

    def __init__(self, settings: NetworkSettings, tied: bool):
        blocks = [ResidualBlock(settings, step, tied) for step in settings.dilations]
        super().__init__(*blocks, build_norm(settings.norm, settings.channels, tied), nn.ReLU())
        self.channels = settings.channels


class SkipTrunk(nn.Module):
    """Residual blocks whose output is the sum of skip connections (SpliceAI, Jaganathan 2019).

    One leaves the stem, and one every `settings.skips` blocks.
    """

    def __init__(self, settings: NetworkSettings, tied: bool):
        super().__init__()
        channels, every = settings.channels, settings.skips
        blocks = [ResidualBlock(settings, step, tied) for step in settings.dilations]
        self.stages = nn.ModuleList(
            nn.Sequential(*blocks[first : first + every]) for first in range(0, len(blocks), every)
        )
        self.skips = nn.ModuleList(
            _convolution(tied, channels, channels) for _ in range(len(self.stages) + 1)
        )
        crops = [sum(block.crop for block in stage) for stage in self.stages]
        self.crops = [sum(crops[number:]) for number in range(len(crops) + 1)]
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, length) to (N, channels, 1, length less all crops)."""
        total = self._skip(0, x)
        for number, stage in enumerate(self.stages, 1):
            x = stage(x)
            total = total + self._skip(number, x)
        return total

    def _skip(self, number: int, x: Tensor) -> Tensor:
        """Return what a skip connection adds, cropped to the trunk's output."""
        crop = self.crops[number]
        return self.skips[number](x[..., crop : x.shape[-1] - crop])


class Recurrence(nn.Module):
    """One bidirectional recurrent layer.

    Untied, the two directions are cells of their own. Tied, one cell reads both strands: the second
    direction is the first one on the reverse complement, turned back (Zhou et al. 2022), so that
    its channels are the mirror images of the first one's.
    """

    is_layer = True

    def __init__(self, kind: str, inputs: int, units: int, tied: bool):
        super().__init__()
        self.tied = tied
        self.cell = _CELLS[kind](inputs, units, batch_first=True, bidirectional=not tied)
        if kind == "lstm":
            self._remember(units)

    def _remember(self, units: int) -> None:
        """Start with open forget gates, so that gradients reach far (Jozefowicz et al. 2015)."""
        with torch.no_grad():
            for name, bias in self.cell.named_parameters():
                if name.startswith("bias_ih"):
                    bias[units : 2 * units] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 1, positions) to (N, 2 * units, 1, positions)."""
        if not self.tied:
            return self._run(x)
        first, second = self._run(torch.cat([x, other_strand(x)])).chunk(2)
        return torch.cat([first, other_strand(second)], dim=1)

    def _run(self, x: Tensor) -> Tensor:
        """Run the cell along the positions."""
        y, _ = self.cell(x.squeeze(2).transpose(1, 2))
        return y.transpose(1, 2).unsqueeze(2)


class RecurrentTrunk(nn.Sequential):
    """Bidirectional tanh, LSTM or GRU layers, one on top of the other."""

    def __init__(self, settings: NetworkSettings, tied: bool):
        layers: list[nn.Module] = []
        width = settings.channels
        for number in range(settings.layers):
            if number and settings.dropout:
                layers.append(nn.Dropout(settings.dropout))
            layers.append(Recurrence(settings.trunk, width, settings.units, tied))
            width = 2 * settings.units
        super().__init__(*layers)
        self.channels = width


class RelativeBias(nn.Module):
    """A learned bias a head for every signed distance, shared by far ones (Raffel et al. 2020).

    Tied, the mirror image of a head has the bias of i - j where the head has that of j - i.
    """

    def __init__(self, heads: int, length: int, tied: bool):
        super().__init__()
        distance = torch.arange(length)
        distance = distance[None, :] - distance[:, None]
        far = torch.log(distance.abs().clamp(min=1) / _NEAR) / math.log(max(length / _NEAR, 2))
        far = _NEAR + (far * (_BUCKETS - _NEAR - 1)).long().clamp(0, _BUCKETS - _NEAR - 1)
        bucket = torch.where(distance.abs() < _NEAR, distance.abs(), far) * distance.sign()
        self.register_buffer("bucket", bucket + _BUCKETS - 1, persistent=False)
        self.table = nn.Parameter(torch.zeros(heads, 2 * _BUCKETS - 1))
        if tied:
            mirror_vector(self, "table", axes=2)

    def forward(self) -> Tensor:
        """Return the bias of all pairs, shape=(heads, length, length)."""
        return self.table[:, self.bucket]


class RotaryPositions(nn.Module):
    """Turn pairs of channels by angles that grow with the position (Su et al. 2021).

    Tied, a mirror head has its angles in reversed order: its channels are those of its partner
    reversed, which turns them the other way round, as positions read from the other strand need.
    """

    def __init__(self, heads: int, width: int, length: int, tied: bool):
        super().__init__()
        # In float64, so that only differences of positions matter to the last bit of any precision.
        rates = _ROTARY_BASE ** (-torch.arange(width // 2, dtype=torch.float64) / (width // 2))
        rates = rates.expand(heads, -1).clone()
        if tied:
            rates[heads // 2 :] = rates[heads // 2 :].flip(1)
        angles = torch.arange(length)[None, :, None] * rates[:, None]
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (N, heads, length, width)."""
        even, odd = x[..., 0::2], x[..., 1::2]
        cosine, sine = self.cosine.to(x.dtype), self.sine.to(x.dtype)
        turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
        return turned.flatten(-2)


class SelfAttention(nn.Module):
    """Multi-head self-attention over a window (Vaswani et al. 2017).

    Tied, projections map between features of the regular kind, so that each head has a mirror head.
    """

    is_layer = True

    def __init__(self, settings: NetworkSettings, length: int, tied: bool):
        super().__init__()
        channels, self.heads = settings.channels, settings.heads
        self.query, self.key, self.value, self.out = (
            _convolution(tied, channels, channels) for _ in range(4)
        )
        self.bias = self.rotary = None
        if settings.positions == "relative":
            self.bias = RelativeBias(self.heads, length, tied)
        else:
            self.rotary = RotaryPositions(self.heads, channels // self.heads, length, tied)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, length) to the same shape."""
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        # Four axes, as the fused kernels want them.
        bias = None if self.bias is None else self.bias().to(query.dtype)[None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self._join(mixed)

    def weights(self, x: Tensor) -> Tensor:
        """Return how much each position (row) takes from each other one (column).

        Parameters
        ----------
        x : torch.Tensor, shape=(N, channels, 1, length)

        Returns
        -------
        torch.Tensor, shape=(N, heads, length, length)
            Rows sum to 1.
        """
        query, key = (self._split(layer(x)) for layer in (self.query, self.key))
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        affinity = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if self.bias is not None:
            affinity = affinity + self.bias().to(affinity.dtype)
        return affinity.softmax(-1)

    def mix(self, x: Tensor, weights: Tensor) -> Tensor:
        """Compute the layer's output with weights (N, heads, length, length) that are given."""
        return self._join(weights @ self._split(self.value(x)))

    def _join(self, mixed: Tensor) -> Tensor:
        """Map (N, heads, length, channels / heads) to (N, channels, 1, length)."""
        return self.out(mixed.transpose(2, 3).flatten(1, 2).unsqueeze(2))

    def _split(self, x: Tensor) -> Tensor:
        """View (N, channels, 1, length) as (N, heads, length, channels / heads)."""
        return x.squeeze(2).unflatten(1, (self.heads, -1)).transpose(2, 3)


class AttentionBlock(nn.Module):
    """Norm, self-attention, added; norm, perceptron at each position, added (pre-norm)."""

    def __init__(self, settings: NetworkSettings, length: int, tied: bool):
        super().__init__()
        channels = settings.channels
        self.attend = nn.Sequential(
            build_norm(settings.norm, channels, tied),
            SelfAttention(settings, length, tied),
            nn.Dropout(settings.dropout),
        )
        self.perceptron = nn.Sequential(
            build_norm(settings.norm, channels, tied),
            _convolution(tied, channels, 2 * channels),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            _convolution(tied, 2 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, length) to the same shape."""
        x = x + self.attend(x)
        return x + self.perceptron(x)


class AttentionTrunk(nn.Sequential):
    """Blocks of self-attention, then a norm."""

    def __init__(self, settings: NetworkSettings, tied: bool):
        length = settings.window // settings.feature_stride + 2 * settings.reach
        blocks = [AttentionBlock(settings, length, tied) for _ in range(settings.layers)]
        super().__init__(*blocks, build_norm(settings.norm, settings.channels, tied))
        self.channels = settings.channels


def build_trunk(settings: NetworkSettings, tied: bool) -> nn.Module:
    """Return the trunk that the settings name; it has `channels`, the width of its output."""
    if settings.trunk == "dilated":
        return (SkipTrunk if settings.skips else DilatedTrunk)(settings, tied)
    if settings.trunk == "attention":
        return AttentionTrunk(settings, tied)
    if settings.trunk in _CELLS:
        return RecurrentTrunk(settings, tied)
    trunk = nn.Identity()
    trunk.channels = settings.channels
    return trunk
