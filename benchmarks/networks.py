"""Networks of the benchmarks, written for genomesieve and as others would write them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genomesieve.architecture import Architecture
from genomesieve.bundle import Bundle
from genomesieve.pooling import SlidingMaximum


@dataclass(frozen=True)
class Geometry:
    """What the engine must know of a network that is none of its presets (bp)."""

    context: int
    resolution: int
    preset: str = "benchmark"


def bundle_of(
    network: nn.Module, geometry: Geometry, classes: list[str], labels: str, stranded: bool
) -> Bundle:
    """Wrap a network for the scanner."""
    architecture = Architecture(geometry)
    return Bundle(geometry.preset, network.eval(), architecture, classes, stranded, labels)


class WindowModel(nn.Module):
    """Two convolutions, global maximum, linear: one answer a window, as it stands in textbooks."""

    def __init__(self, channels: int = 64, first: int = 15, second: int = 5, outputs: int = 2):
        super().__init__()
        self.first = nn.Conv1d(4, channels, first)
        self.second = nn.Conv1d(channels, channels, second)
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot windows (N, 4, L) to logits (N, outputs)."""
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head(x.amax(-1))


class DenseWindowModel(nn.Module):
    """The same weights, one answer every `step` bases for the window around them."""

    def __init__(self, model: WindowModel, window: int, step: int):
        super().__init__()
        self.first, self.second = model.first, model.second
        flank = (model.first.kernel_size[0] - 1 + model.second.kernel_size[0] - 1) // 2
        context = (window - step) // 2
        self.pool = SlidingMaximum(step, context - flank)
        self.head = nn.Conv1d(model.head.in_features, model.head.out_features, 1)
        with torch.no_grad():
            self.head.weight.copy_(model.head.weight[..., None])
            self.head.bias.copy_(model.head.bias)
        self.geometry = Geometry(context, step)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, 4, L) to logits (N, outputs, bins)."""
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head(self.pool(x.unsqueeze(2)).squeeze(2))


class _Unit(nn.Module):
    """Norm, leaky ReLU, dilated convolution, twice, added to the cropped input."""

    def __init__(self, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2))
        self.activations = nn.ModuleList(nn.LeakyReLU(0.1) for _ in range(2))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=dilation) for _ in range(2)
        )
        self.crop = (kernel - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, L) to (N, channels, L - 2 * crop)."""
        y = x
        for norm, activation, convolution in zip(self.norms, self.activations, self.convolutions):
            y = convolution(activation(norm(y)))
        return x[..., self.crop : x.shape[-1] - self.crop] + y


class SpliceNetwork(nn.Module):
    """The residual network of Jaganathan et al. (2019) with valid convolutions and dense output.

    Parameters
    ----------
    context : int
        200 (of 400 nt) or 5,000 (of 10,000 nt): bases on each side.
    """

    def __init__(self, context: int):
        super().__init__()
        groups = [(11, 1), (11, 4)] + ([(21, 10), (41, 25)] if context == 5000 else [])
        self.stem = nn.Conv1d(4, 32, 1)
        self.groups = nn.ModuleList(
            nn.ModuleList(_Unit(32, kernel, dilation) for _ in range(4))
            for kernel, dilation in groups
        )
        self.skips = nn.ModuleList(nn.Conv1d(32, 32, 1) for _ in range(len(groups) + 1))
        self.head = nn.Conv1d(32, 3, 1)
        reach = [8 * (kernel - 1) * dilation // 2 for kernel, dilation in groups]
        self.context = sum(reach)
        self.crops = [self.context - sum(reach[:done]) for done in range(len(groups) + 1)]
        self.geometry = Geometry(self.context, 1)
        self.register_load_state_dict_pre_hook(_rename_published)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, 4, L) to logits (N, 3, L - 2 * context): none, acceptor, donor."""
        x = self.stem(x)
        total = self.skips[0](_cropped(x, self.crops[0]))
        for group, skip, crop in zip(self.groups, self.skips[1:], self.crops[1:]):
            for unit in group:
                x = unit(x)
            total = total + skip(_cropped(x, crop))
        return self.head(total)

    def layers_in_published_order(self) -> list[nn.Module]:
        """List the layers in the order in which published weights name them."""
        layers: list[nn.Module] = [self.stem, self.skips[0]]
        for group, skip in zip(self.groups, self.skips[1:]):
            for unit in group:
                layers += [*unit.norms, *unit.convolutions]
            layers.append(skip)
        return [*layers, self.head]

    def load_published(self, weights: dict[str, Tensor]) -> SpliceNetwork:
        """Take over published weights, tensor by tensor in their order; shapes must agree."""
        self.load_state_dict(weights)
        return self


def _rename_published(network: SpliceNetwork, state: dict, prefix: str, *_: object) -> None:
    """Give published weights our names, in their order; weights with our names stay as they are."""
    published = [key for key in state if key.startswith(prefix)]
    if prefix + "initial_conv.weight" not in published:
        return
    names = {layer: name for name, layer in network.named_modules()}
    own = [
        f"{prefix}{names[layer]}.{key}"
        for layer in network.layers_in_published_order()
        for key in layer.state_dict()
    ]
    values = [state.pop(key) for key in published]
    state.update(zip(own, values, strict=True))


def _cropped(x: Tensor, crop: int) -> Tensor:
    """Cut bases off both ends of the last axis."""
    return x[..., crop : x.shape[-1] - crop]
