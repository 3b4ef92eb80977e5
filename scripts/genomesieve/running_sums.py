"""Sums over windows that overlap, in time that grows with the logarithm of their width."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

_FEWEST_OVERLAPS = 8
"""With fewer windows over a value, plain sums are as fast."""


def running_sum(x: Tensor, width: int, stride: int = 1) -> Tensor:
    """Return the sums of windows of `width` neighbours along the last axis.

    Sums of 1, 2, 4, ... neighbours are made by doubling, and those that add up to the width are
    joined. A result differs from a plain sum by rounding only.

    Parameters
    ----------
    x : torch.Tensor, shape=(N, channels, length)
    width, stride : int
        Positions a window, and from one window's start to the next.

    Returns
    -------
    torch.Tensor, shape=(N, channels, (length - width) // stride + 1)
    """
    if width < _FEWEST_OVERLAPS * stride:
        return functional.avg_pool1d(x, width, stride) * width
    length = x.shape[-1] - width + 1
    total, done, reach = None, 0, 1
    while reach <= width:
        if width & reach:
            part = x[..., done : done + length]
            total = part if total is None else total + part
            done += reach
        if 2 * reach <= width:
            x = x[..., :-reach] + x[..., reach:]
        reach *= 2
    return total[..., ::stride]
