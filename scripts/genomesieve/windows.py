"""Windows of features: how a network that mixes over length maps sequence of any whole windows.

The stem's features are computed once for a whole stretch, and neighbouring windows, which overlap
by their flanks, share them.
"""

from __future__ import annotations

from torch import Tensor, nn


class CutWindows(nn.Module):
    """Cut features into overlapping windows.

    Parameters
    ----------
    core : int
        Positions of a window that no other one predicts.
    reach : int
        Positions on each side of the core.
    """

    is_layer = True

    def __init__(self, core: int, reach: int):
        super().__init__()
        self.core, self.reach = core, reach

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, 1, k * core + 2 * reach) to (N * k, channels, 1, core + 2 * reach).

        Raises
        ------
        ValueError
            If the positions are no whole windows.
        """
        inside = x.shape[-1] - 2 * self.reach
        if inside < self.core or inside % self.core:
            raise ValueError(
                f"{inside} positions between the flanks; expected a multiple of {self.core}, the "
                "positions of a window"
            )
        windows = x.unfold(3, self.core + 2 * self.reach, self.core)
        return windows.permute(0, 3, 1, 2, 4).flatten(0, 1)


def join_windows(y: Tensor, count: int) -> Tensor:
    """Turn predictions of windows, (count * k, outputs, bins), into (count, outputs, k * bins)."""
    return y.unflatten(0, (count, -1)).transpose(1, 2).flatten(2)
