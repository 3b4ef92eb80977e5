"""Networks of a user's own, as text, with weights that were made by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

RECIPE = Path(__file__).parents[1] / "config" / "recipes" / "custom_network.py"
CONTEXT = 10
"""bp that the recipe's network sees on each side."""
OUTPUTS = ["background", "acceptor", "donor"]
"""Its outputs: another order than that of the classes."""


def recipe_network() -> type[nn.Module]:
    """Return the recipe's class, loaded by Python's own import."""
    spec = importlib.util.spec_from_file_location("recipe_custom_network", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SmallNetwork


def motif_weights() -> dict[str, Tensor]:
    """Make weights by which the recipe's network finds ..CAG|GTAA and TCAG|G.

    Its first convolution covers four bases on each side of a prediction; the others pass on what it
    found there.
    """
    network = recipe_network()(channels=4)
    weights = {key: value * 0 for key, value in network.state_dict().items()}
    weights["norm.weight"] += 1
    weights["norm.running_var"] += 1
    for channel, first, word in ((0, 0, "TCAGG"), (1, 2, "CAGGTAA")):
        for at, letter in enumerate(word, start=first):
            weights["motifs.weight"][channel, "ACGT".index(letter), at] = 1
        weights["motifs.bias"][channel] = 2.5 - len(word)
        weights["pairs.weight"][channel, channel, 2] = 1
        weights["head.weight"][1 + channel, channel, 0] = 3
    weights["head.bias"] += torch.tensor([3.0, -4.0, -4.0])
    return weights


class Coarse(nn.Module):
    """Pools by 8 and gives every base of a pool a value (as in a U-net), 20 bp of context."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 6, 9)
        self.second = nn.Conv1d(6, 3 * 8, 1)

    def forward(self, x):
        y = functional.max_pool1d(torch.relu(self.first(x[..., 16:-16])), 8)
        y = self.second(y)
        return y.unflatten(1, (3, 8)).transpose(2, 3).flatten(2)
