"""Pooling of positions to bins, over the bin and a margin on both sides of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.convolutions import Convolution, at_least_float32
from genomesieve.symmetry import tie_output

_MOST_ATTENTION = 8.0


class SlidingMaximum(nn.Module):
    """The maximum over every bin and a margin on both sides of it.

    A window is the end of one bin, some whole bins, and the start of one more: the maxima of bins
    are taken once, and runs of them by doubling, so that time does not grow with the margin. The
    result is that of a maximum pool with window bin + 2 * margin and stride bin, to the last bit.

    Parameters
    ----------
    bin_bp : int
        Positions a bin.
    margin : int
        Positions on each side.
    """

    is_layer = True

    def __init__(self, bin_bp: int, margin: int):
        super().__init__()
        self.bin_bp, self.margin = bin_bp, margin

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, bins * bin_bp + 2 * margin) to (N, channels, 1, bins)."""
        if self.margin < self.bin_bp or torch.is_grad_enabled():
            return functional.max_pool2d(x, (1, self.bin_bp + 2 * self.margin), (1, self.bin_bp))
        bins = (x.shape[-1] - 2 * self.margin) // self.bin_bp
        whole, rest = divmod(self.margin, self.bin_bp)
        maxima = functional.max_pool2d(x[..., rest:], (1, self.bin_bp), (1, self.bin_bp))
        run = 2 * whole + 1
        result = _running_maximum(maxima, run)[..., :bins]
        if rest:
            edges = functional.max_pool2d(x, (1, rest), (1, self.bin_bp))
            # An edge starts where a bin's worth of positions does: at the window's own start, and
            # `run` bins after the first whole bin.
            tail = functional.max_pool2d(x[..., rest:], (1, rest), (1, self.bin_bp))
            result = torch.maximum(result, edges[..., :bins])
            result = torch.maximum(result, tail[..., run : run + bins])
        return result


def _running_maximum(x: Tensor, run: int) -> Tensor:
    """Return the maximum of every `run` neighbours along the last axis, by doubling."""
    reach = 1
    while 2 * reach <= run:
        x = torch.maximum(x[..., :-reach], x[..., reach:])
        reach *= 2
    if reach < run:
        x = torch.maximum(x[..., : x.shape[-1] - (run - reach)], x[..., run - reach :])
    return x


class SlidingAverage(nn.Module):
    """The mean over every bin and its margins.

    Parameters
    ----------
    bin_bp, margin : int
        Positions a bin, and on each side of it.
    """

    def __init__(self, bin_bp: int, margin: int):
        super().__init__()
        self.window, self.step = (1, bin_bp + 2 * margin), (1, bin_bp)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, bins * bin_bp + 2 * margin) to (N, channels, 1, bins)."""
        return functional.avg_pool2d(x, self.window, self.step)


class AttentionPooling(nn.Module):
    """A mean over every bin and its margins, weighted by what a linear score makes of a position.

    The score is bounded, so that its exponential needs no maximum of its window and windows that
    overlap share it.

    Parameters
    ----------
    channels, bin_bp, margin : int
    tied : bool
        Whether reading the other strand leaves the weights alone.
    """

    def __init__(self, channels: int, bin_bp: int, margin: int, tied: bool):
        super().__init__()
        self.score = Convolution(channels, 1, 1)
        if tied:
            tie_output(self.score)
        self.average = SlidingAverage(bin_bp, margin)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, bins * bin_bp + 2 * margin) to (N, channels, 1, bins)."""
        score = torch.tanh(at_least_float32(self.score(x)) / _MOST_ATTENTION) * _MOST_ATTENTION
        weight = score.exp()
        return (self.average(x * weight) / self.average(weight)).to(x.dtype)


def build_pooling(
    kind: str, channels: int, bin_bp: int, margin: int, tied: bool = False
) -> nn.Module:
    """Return the pooling that a network's settings name (`none`, `max`, `average`, `attention`).

    Parameters
    ----------
    kind : str
    channels : int
    bin_bp, margin : int
        Positions a bin, and on each side of it.
    tied : bool
        Whether features are tied by reverse-complement symmetry.
    """
    if kind == "max":
        return SlidingMaximum(bin_bp, margin)
    if kind == "average":
        return SlidingAverage(bin_bp, margin)
    return (
        AttentionPooling(channels, bin_bp, margin, tied) if kind == "attention" else nn.Identity()
    )
