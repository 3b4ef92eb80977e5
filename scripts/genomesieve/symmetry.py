"""Weights tied by reverse-complement symmetry: f(rc(x)) is f(x) flipped, by construction.

Features of a symmetric network are of the regular kind: reading the other strand reverses the
channels and the positions, as it does for one-hot DNA, where reversed letters are complements
(Shrikumar et al. 2017; Mallet and Vert 2021). Half of each layer's weights are free and the other
half are their mirror image, so a tied layer has half the parameters and the same cost. The last
layer maps to outputs that the other strand leaves alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from genomesieve.alphabet import Alphabet
from genomesieve.convolutions import Convolution
from genomesieve.errors import InputError


class _MirroredFilters(nn.Module):
    """Filters, and their reverse complements after them in reversed order.

    Parameters
    ----------
    inputs : torch.Tensor, shape=(channels,)
        Which input channel stands for which one on the other strand.
    """

    def __init__(self, inputs: Tensor):
        super().__init__()
        self.register_buffer("inputs", inputs, persistent=False)

    def forward(self, half: Tensor) -> Tensor:
        """Map (outputs / 2, inputs, 1, taps) to (outputs, inputs, 1, taps)."""
        return torch.cat([half, half[:, self.inputs].flip(0, 3)])

    def right_inverse(self, full: Tensor) -> Tensor:
        """Return the free half."""
        return full[: len(full) // 2].clone()


class _MirroredInputs(nn.Module):
    """Weights of outputs that reading the other strand leaves alone."""

    def forward(self, half: Tensor) -> Tensor:
        """Map (outputs, inputs / 2, 1, 1) to (outputs, inputs, 1, 1)."""
        return torch.cat([half, half.flip(1)], dim=1)

    def right_inverse(self, full: Tensor) -> Tensor:
        """Return the free half."""
        return full[:, : full.shape[1] // 2].clone()


class _Mirrored(nn.Module):
    """Values of channels or heads, and their mirror image after them.

    Parameters
    ----------
    axes : int
        How many leading axes are reversed in the mirror image.
    """

    def __init__(self, axes: int = 1):
        super().__init__()
        self.axes = tuple(range(axes))

    def forward(self, half: Tensor) -> Tensor:
        """Map (channels / 2, ...) to (channels, ...)."""
        return torch.cat([half, half.flip(self.axes)])

    def right_inverse(self, full: Tensor) -> Tensor:
        """Return the free half."""
        return full[: len(full) // 2].clone()


def require_pairs(name: str, count: int) -> None:
    """Raise InputError unless channels or heads can be paired with their mirror images."""
    if count % 2:
        raise InputError(
            f"model.{name} is {count}; expected an even number for reverse_complement equivariant, "
            "which pairs each with its mirror image"
        )


def mirror_vector(layer: nn.Module, name: str, axes: int = 1) -> None:
    """Tie a layer's parameter, shape=(channels, ...), to its own mirror image."""
    parametrize.register_parametrization(layer, name, _Mirrored(axes))


def mirrored_inputs(letters: Alphabet, channels: int) -> Tensor:
    """Return which input channel, shape=(channels,), stands for which one on the other strand.

    Letters stand for their complements; signals after them stand for themselves.
    """
    # A list, not an array: it goes to the device that networks are being built on.
    complements = torch.tensor(letters.complement_codes[: letters.size].tolist())
    return torch.cat([complements, torch.arange(letters.size, channels)])


def tie_convolution(layer: Convolution, letters: Alphabet | None = None) -> Convolution:
    """Tie a convolution between features of the regular kind.

    Parameters
    ----------
    layer : Convolution
    letters : Alphabet or None
        Of a convolution that reads sequence: its letters' complements are the mirrored inputs, and
        a signal is its own.
    """
    reversed_inputs = torch.arange(layer.in_channels - 1, -1, -1)
    if letters is not None:
        reversed_inputs = mirrored_inputs(letters, layer.in_channels)
    parametrize.register_parametrization(layer, "weight", _MirroredFilters(reversed_inputs))
    mirror_vector(layer, "bias")
    return layer


def tie_output(layer: Convolution) -> Convolution:
    """Tie a convolution of one tap to outputs that the other strand leaves alone."""
    parametrize.register_parametrization(layer, "weight", _MirroredInputs())
    return layer


def free_parameter(layer: nn.Module, name: str) -> Tensor:
    """Return the parameter behind a layer's tensor, tied or not."""
    if parametrize.is_parametrized(layer, name):
        return layer.parametrizations[name].original
    return getattr(layer, name)


def other_strand(x: Tensor) -> Tensor:
    """Read features of the regular kind, (N, channels, ..., positions), on the other strand."""
    return x.flip(1, -1)
