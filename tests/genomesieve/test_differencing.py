"""Differences against whole networks in double precision, for every kind of layer and place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.change_rules import ConvolutionRule, OpaqueRule
from genomesieve.differencing import Differencer
from genomesieve.inference import prepare_for_scan

LENGTH, SITES, MUTANTS = 61, 3, 5


class InPlace(nn.Module):
    """What networks of one's own do: activations that overwrite their input, in three spellings."""

    def __init__(self, spelling: str):
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 6, 5), nn.Conv1d(6, 6, 3, dilation=2)
        self.last = nn.Conv1d(6, 2, 1)
        self.spelling, self.layer = spelling, nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, 4, L) to logits (N, 2, bins)."""
        x = self.activate(self.first(x))
        x = self.activate(self.second(x))
        return self.last(x)

    def activate(self, x: Tensor) -> Tensor:
        """Rectify in place."""
        if self.spelling == "layer":
            return self.layer(x)
        return functional.relu(x, inplace=True) if self.spelling == "function" else x.relu_()


class Residual(nn.Module):
    """Sums of stretches that differ in width, gates, and a curve."""

    def __init__(self):
        super().__init__()
        self.first, self.wide = nn.Conv1d(4, 6, 3), nn.Conv1d(6, 6, 7)
        self.last = nn.Conv1d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, 4, L) to logits (N, 2, bins)."""
        x = functional.gelu(self.first(x))
        y = self.wide(x)
        x = x[..., 3 : x.shape[-1] - 3] + y
        return self.last(torch.sigmoid(x) * y + 1)


def sequence(*layers: nn.Module) -> nn.Module:
    """Layers, then two logits at every place that is left."""
    return nn.Sequential(*layers, nn.LazyConv1d(2, 1))


NETWORKS = {
    "in place, layer": lambda: InPlace("layer"),
    "in place, function": lambda: InPlace("function"),
    "in place, method": lambda: InPlace("method"),
    "residual": Residual,
    "strides": lambda: sequence(
        nn.Conv1d(4, 8, 7, stride=3), nn.ReLU(), nn.Conv1d(8, 8, 4, stride=2), nn.ReLU()
    ),
    "groups": lambda: sequence(nn.Conv1d(4, 8, 5, groups=2), nn.ELU(), nn.Conv1d(8, 8, 6)),
    "dilations": lambda: sequence(
        nn.Conv1d(4, 40, 5), nn.ReLU(), nn.Conv1d(40, 40, 3, dilation=4), nn.ReLU(),
        nn.Conv1d(40, 40, 5, dilation=8),
    ),
    "one prediction": lambda: sequence(
        nn.Conv1d(4, 40, 9), nn.ReLU(), nn.Conv1d(40, 40, 5, dilation=2), nn.Tanh(),
        nn.Conv1d(40, 40, 12, dilation=4),
    ),
}  # fmt: skip


def one_hot(shape: tuple[int, ...]) -> Tensor:
    """Random sequence with letters as the last axis but one."""
    letters = functional.one_hot(torch.randint(0, 4, shape), 4)
    return letters.transpose(-1, -2).float()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [1, 4, 23])
def test_differences_are_those_of_the_whole_network(name, width, one_thread):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    network(one_hot((1, LENGTH)))
    network.eval()
    exact = copy.deepcopy(network).double()
    prepared = prepare_for_scan(network, one_hot((1, LENGTH)), "independent")
    with torch.inference_mode():
        differencer = Differencer(prepared, one_hot((1, LENGTH)))
        rules = differencer._rules.values()
        assert any(isinstance(rule, ConvolutionRule) for rule in rules)
        assert not any(isinstance(rule, OpaqueRule) for rule in rules)
        x = one_hot((SITES, LENGTH))
        before = exact(x.double())
        assert (differencer.reference(x) - before).abs().max() < 1e-5
        largest = 0.0
        for first in range(0, LENGTH - width + 1, 3):
            changed = one_hot((SITES, MUTANTS, width))
            found = differencer.mutants(first, changed)
            rows = x.unsqueeze(1).repeat(1, MUTANTS, 1, 1)
            rows[..., first : first + width] = changed
            expected = exact(rows.flatten(0, 1).double()).unflatten(0, (SITES, MUTANTS))
            assert (found - expected).abs().max() < 1e-5
            largest = max(largest, (expected - before.unsqueeze(1)).abs().max())
        assert largest > 1e-2
