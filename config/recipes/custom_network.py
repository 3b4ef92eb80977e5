"""An example of a network of your own: the contract that it must keep, in its smallest form.

One-hot sequence comes in, shape (N, 4, L): rows A, C, G, T; an unknown base is a column of zeros.
One value for every output and bin goes out, shape (N, outputs, (L - 2 * context) / resolution). The
convolutions do not pad, so a prediction sees exactly its context; here that is 4 + 2 * 3 = 10 bp on
each side, at a resolution of 1 bp.

The file stands alone: it may import what is installed, and no other file beside it.
"""

import torch
from torch import nn


class SmallNetwork(nn.Module):
    """Two convolutions and one value for each output at every base.

    Parameters
    ----------
    channels : int
        Given as `arguments: {channels: ...}` in the configuration.
    outputs : int
        As many as `outputs` in the configuration lists, in its order.
    """

    context = 10

    def __init__(self, channels: int = 16, outputs: int = 3):
        super().__init__()
        self.motifs = nn.Conv1d(4, channels, kernel_size=9)
        self.norm = nn.BatchNorm1d(channels)
        self.pairs = nn.Conv1d(channels, channels, kernel_size=5, dilation=3)
        self.head = nn.Conv1d(channels, outputs, kernel_size=1)

    def forward(self, x):
        """Map one-hot (N, 4, L) to logits (N, outputs, L - 2 * context)."""
        x = torch.relu(self.norm(self.motifs(x)))
        return self.head(torch.relu(self.pairs(x)))
