"""Maxima over windows that overlap, each value looked at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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
