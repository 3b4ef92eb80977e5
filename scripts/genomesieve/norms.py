"""Normalisation of features, shape (N, channels, 1, positions), plain and tied by symmetry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genomesieve.convolutions import at_least_float32
from genomesieve.domain_norm import DomainBatchNorm
from genomesieve.symmetry import mirror_vector

_GROUP = 8
"""Channels a group; groups of one channel would leave nothing but signs."""


class ChannelNorm(nn.Module):
    """Group or layer normalisation over the channels at each position alone.

    Statistics never reach over length, so that a dense network stays dense (Wu and He 2018; Ba et
    al. 2016).

    Parameters
    ----------
    channels : int
    groups : int
        1 is layer normalisation.
    """

    is_layer = True

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.groups, self.eps = groups, 1e-5
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, channels, 1, positions)."""
        grouped = at_least_float32(x.unflatten(1, (self.groups, -1)))
        variance, mean = torch.var_mean(grouped, dim=2, keepdim=True, correction=0)
        normal = ((grouped - mean) * torch.rsqrt(variance + self.eps)).flatten(1, 2).to(x.dtype)
        return torch.addcmul(self.bias[:, None, None], normal, self.weight[:, None, None])


class TiedBatchNorm(nn.Module):
    """Batch normalisation in which a channel and its mirror image share all statistics.

    Parameters
    ----------
    channels : int
    by_domain : bool
        Whether every laboratory has statistics of its own.
    """

    is_layer = True

    def __init__(self, channels: int, by_domain: bool = False):
        super().__init__()
        half = channels // 2
        self.norm = DomainBatchNorm(half) if by_domain else nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, channels, 1, positions)."""
        plain = isinstance(self.norm, nn.BatchNorm2d)
        if plain and not self.training and not torch.is_grad_enabled():
            return self.expanded()(x)
        first, second = x.chunk(2, dim=1)
        first, second = self.norm(torch.cat([first, second.flip(1)], dim=2)).chunk(2, dim=2)
        return torch.cat([first, second.flip(1)], dim=1)

    def expanded(self) -> nn.BatchNorm2d:
        """Return a plain batch normalisation of all channels that gives the same in evaluation."""
        half = self.norm
        full = nn.BatchNorm2d(2 * half.num_features, half.eps, device="meta")
        for name in ("weight", "bias"):
            value = getattr(half, name)
            setattr(full, name, nn.Parameter(torch.cat([value, value.flip(0)])))
        for name in ("running_mean", "running_var"):
            value = getattr(half, name)
            full.register_buffer(name, torch.cat([value, value.flip(0)]))
        full.register_buffer("num_batches_tracked", half.num_batches_tracked)
        return full.eval()


_STATISTICS = (_BatchNorm, DomainBatchNorm)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """Return the layers of a network that keep statistics of batches, however wrapped."""
    return [layer for layer in network.modules() if isinstance(layer, _STATISTICS)]


def has_batch_statistics(network: nn.Module) -> bool:
    """Tell whether a network, in the mode that it is in, takes statistics of each batch."""
    return any(layer.training for layer in batch_norms(network))


def build_norm(kind: str, channels: int, tied: bool = False) -> nn.Module:
    """Return a normalisation layer.

    Parameters
    ----------
    kind : str
        `batch`, `domain` (statistics of each laboratory), `group` (about 8 channels a group),
        `layer` or `none`.
    channels : int
    tied : bool
        Whether a channel and its mirror image share parameters and statistics.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return TiedBatchNorm(channels) if tied else nn.BatchNorm2d(channels)
    if kind == "domain":
        return TiedBatchNorm(channels, by_domain=True) if tied else DomainBatchNorm(channels)
    groups = max(1, channels // _GROUP) if kind == "group" else 1
    while channels % groups:
        groups -= 1
    layer = ChannelNorm(channels, groups)
    if tied:
        mirror_vector(layer, "weight")
        mirror_vector(layer, "bias")
    return layer
