"""Several networks as one: the mean of what networks from different seeds predict.

Probabilities are averaged, not logits: the members are equal parts of a mixture (Lakshminarayanan
et al. 2017). Exclusive outputs are averaged after the softmax, independent ones after the sigmoid,
and what comes out are logits again, so that the contract of a network holds. All of it is done with
logarithms in float32: the rare classes of a genome have probabilities that 1 - p rounds away.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Ensemble(nn.Module):
    """The mean of several networks of one architecture, behind the contract of one.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Each maps one-hot (N, letters, L) to logits (N, outputs, bins).
    labels : str
        `exclusive`: the result is the log of the mean softmax; `independent`: the log-odds of the
        mean sigmoid.
    """

    def __init__(self, members: Sequence[nn.Module], labels: str):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.exclusive = labels == "exclusive"

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, bins), float32."""
        return self.combine([member(x).float() for member in self.members])

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the mean of what the members predict, float32 logits (N, outputs, bins) each."""
        if self.exclusive:
            return _log_mean([functional.log_softmax(one, dim=1) for one in logits])
        site = _log_mean([functional.logsigmoid(one) for one in logits])
        return site - _log_mean([functional.logsigmoid(-one) for one in logits])


def _log_mean(logarithms: list[Tensor]) -> Tensor:
    """Return the logarithm of the mean of numbers that are given by their logarithms."""
    # Pairwise sums are several times as fast as torch.logsumexp on a CPU.
    return functools.reduce(torch.logaddexp, logarithms) - math.log(len(logarithms))
