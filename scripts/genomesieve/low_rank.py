"""Low-rank adaptation: weights stay, and a product of two thin matrices is learned beside each.

W + B A with B zero at first (Hu et al. 2022). Merged afterwards, the network has the architecture
and cost that it had. Weights that are tied by reverse-complement symmetry get theirs before they
are mirrored, so that the symmetry holds.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from genomesieve.errors import InputError
from genomesieve.freezing import head_of
from genomesieve.symmetry import free_parameter

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


class _LowRank(nn.Module):
    """A weight plus a product of two thin matrices; the weight itself does not learn."""

    def __init__(self, weight: Tensor, rank: int):
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        self.down = nn.Parameter(torch.empty(rank, columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """Map a weight to the adapted one."""
        return weight + (self.up @ self.down).view_as(weight)


def add_low_rank(network: nn.Module, rank: int) -> None:
    """Let a network learn through low-rank matrices beside its convolutions and linear layers.

    All its weights are fixed but those of its head, which learns whole.

    Parameters
    ----------
    network : torch.nn.Module
        With an attribute `head`, directly or inside a mean over both strands.
    rank : int
        Of each product; at most the smaller side of its weight.

    Raises
    ------
    InputError
        If there is no layer to adapt beside the head.
    """
    head = head_of(network)
    inside = {id(layer) for layer in head.modules()}
    layers = [
        layer
        for layer in network.modules()
        if isinstance(layer, _LAYERS) and id(layer) not in inside
    ]
    if not layers:
        raise InputError(
            "method lora adapts convolutions and linear layers, and this network has none beside "
            "its head; expected method finetune"
        )
    network.requires_grad_(False)
    head.requires_grad_(True)
    for layer in layers:
        weight = free_parameter(layer, "weight")
        adapter = _LowRank(weight, min(rank, len(weight), weight[0].numel())).to(weight.device)
        if parametrize.is_parametrized(layer, "weight"):
            layer.parametrizations["weight"].insert(0, adapter)
        else:
            parametrize.register_parametrization(layer, "weight", adapter)


def merge_low_rank(network: nn.Module) -> None:
    """Put the products of low-rank matrices into the weights and forget them."""
    for layer in list(network.modules()):
        if not (isinstance(layer, _LAYERS) and parametrize.is_parametrized(layer, "weight")):
            continue
        chain = layer.parametrizations["weight"]
        if not isinstance(chain[0], _LowRank):
            continue
        if len(chain) == 1:
            parametrize.remove_parametrizations(layer, "weight")
            continue
        with torch.no_grad():
            chain.original.copy_(chain[0](chain.original))
        del chain[0]
