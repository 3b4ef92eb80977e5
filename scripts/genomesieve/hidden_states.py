"""The hidden state of every layer of a network at chosen bins.

Layers are the stem's stages, every block of the trunk, the trunk, the pooling and the hidden layer
of the head; of a network of the user's own, whatever layers can be laid over its bins. A layer has
a state every `stride` bp; the state of a bin is the mean of those inside it. Flanks are cropped
alike on both sides everywhere, so that a layer's middle is the middle of the bins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture, NetworkSettings
from genomesieve.convolutions import Convolution
from genomesieve.custom_network import CustomNetwork
from genomesieve.custom_settings import CustomSettings
from genomesieve.ensemble import Ensemble
from genomesieve.errors import InputError
from genomesieve.networks import SequenceNetwork, StrandAverage
from genomesieve.trunks import AttentionBlock, Recurrence, RecurrentTrunk, ResidualBlock, SkipTrunk

_BLOCKS = {ResidualBlock: "block", Recurrence: "recurrence", AttentionBlock: "attention"}


@dataclass(frozen=True)
class Layer:
    """A layer whose states are looked at.

    Parameters
    ----------
    name : str
        Such as `stem`, `block_2`, `trunk`, `pool`, `hidden`.
    path : str
        Of its module in the network.
    stride : int
        bp between two of its positions.
    """

    name: str
    path: str
    stride: int


def member_of(network: nn.Module, number: int) -> nn.Module:
    """Return one network of an ensemble, or the network itself where there is one.

    Raises
    ------
    InputError
        If there is no such member.
    """
    members = list(network.members) if isinstance(network, Ensemble) else [network]
    if not 0 <= number < len(members):
        raise InputError(f"--member: found {number}; the model has {len(members)}, counted from 0")
    return members[number]


def list_layers(network: nn.Module, architecture: Architecture, signals: int = 0) -> list[Layer]:
    """List the hidden layers of a network, in the order in which sequence goes through them.

    Parameters
    ----------
    network : torch.nn.Module
        One network, in evaluation mode; no ensemble.
    architecture : Architecture
    signals : int
        Channels that it sees after the letters.

    Raises
    ------
    InputError
        If it has none.
    """
    inner, prefix = network, ""
    while isinstance(inner, StrandAverage | CustomNetwork):
        inner, prefix = inner.network, prefix + "network."
    if isinstance(inner, SequenceNetwork):
        layers = list(_sequence_layers(inner, architecture, prefix))
    else:
        layers = _measured_layers(network, inner, prefix, architecture, DNA.size + signals)
    if not layers:
        raise InputError(
            f"a {architecture.settings.preset} model has no hidden layer that a probe could read; "
            "expected a network with layers"
        )
    return layers


def _sequence_layers(
    network: SequenceNetwork, architecture: Architecture, prefix: str
) -> Iterator[Layer]:
    """Yield the layers of a network of ours."""
    settings = architecture.settings
    ends = [number for number, layer in enumerate(network.stem) if isinstance(layer, Convolution)]
    ends = [*(number - 1 for number in ends[1:]), len(network.stem) - 1]
    stride = 1
    for number, (end, pool) in enumerate(zip(ends, settings.pools), 1):
        stride *= pool
        name = "stem" if len(ends) == 1 else f"stem_{number}"
        yield Layer(name, f"{prefix}stem.{end}", stride)
    trunk = network.trunk
    if isinstance(trunk, SkipTrunk):
        for number in range(len(trunk.stages)):
            yield Layer(f"stage_{number + 1}", f"{prefix}trunk.stages.{number}", stride)
    else:
        counted = 0
        for path, layer in trunk.named_children():
            if type(layer) in _BLOCKS:
                counted += 1
                yield Layer(f"{_BLOCKS[type(layer)]}_{counted}", f"{prefix}trunk.{path}", stride)
    if not isinstance(trunk, nn.Identity | RecurrentTrunk):
        yield Layer("trunk", f"{prefix}trunk", stride)
    for name in ("pool", "hidden"):
        if not isinstance(getattr(network, name), nn.Identity):
            yield Layer(name, prefix + name, architecture.resolution)


def _measured_layers(
    network: nn.Module, inner: nn.Module, prefix: str, architecture: Architecture, channels: int
) -> list[Layer]:
    """List the layers of any network whose output is seen to follow the sequence."""
    paths = [prefix + path for path in _candidates(inner)]
    stride, context = architecture.stride, architecture.context
    lengths = []
    for bins in (stride, 2 * stride):
        found: dict[str, list[Tensor]] = {path: [] for path in paths}
        with ExitStack() as stack, torch.no_grad():
            for path, outputs in found.items():
                stack.callback(_keep_outputs(network.get_submodule(path), outputs).remove)
            try:
                network(torch.zeros(1, channels, bins + 2 * context))
            except Exception as error:  # a user's network may fail in any way
                if not lengths:
                    raise InputError(f"the model cannot be run: {error}") from error
                break
        lengths.append({path: _length(outputs) for path, outputs in found.items()})
    layers = []
    for path in paths:
        step = _stride(architecture, [one[path] for one in lengths])
        if step:
            layers.append(Layer(path.removeprefix(prefix), path, step))
    return layers


def _candidates(network: nn.Module) -> Iterator[str]:
    """Yield the paths of a network's own layers, those inside of plain containers too."""
    for name, layer in network.named_children():
        if isinstance(layer, nn.Sequential | nn.ModuleList):
            yield from (f"{name}.{path}" for path in _candidates(layer))
        elif not isinstance(layer, nn.Dropout | nn.Identity):
            yield name


def _keep_outputs(layer: nn.Module, outputs: list[Tensor]):
    """Let a layer append its outputs to a list; return the handle of the hook."""
    return layer.register_forward_hook(lambda module, given, output: outputs.append(output))


def _length(outputs: list[object]) -> int:
    """Return the positions of a layer's only output, 0 where it has no such thing."""
    output = outputs[0] if outputs else None
    flat = isinstance(output, Tensor) and output.is_floating_point() and (
        output.dim() == 3 or (output.dim() == 4 and output.shape[2] == 1)
    )  # fmt: skip
    return output.shape[-1] if flat and output.shape[0] == 1 else 0


def _stride(architecture: Architecture, lengths: Sequence[int]) -> int:
    """Return the bp between a layer's positions, 0 where they cannot be laid over bins."""
    window, resolution = architecture.stride, architecture.resolution
    width = window + 2 * architecture.context
    steps = [step for step in range(1, resolution + 1) if resolution % step == 0]
    if len(lengths) == 2 and lengths[1] > lengths[0]:
        steps = [step for step in steps if (lengths[1] - lengths[0]) * step == window]
    for step in steps:
        inside, left = window // step, lengths[0] - window // step
        if inside <= lengths[0] <= -(-width // step) and left % 2 == 0:
            return step
    return 0


class StateReader:
    """Reads the states of layers at chosen bins of windows.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    layers : sequence of Layer
    resolution : int
    """

    def __init__(self, network: nn.Module, layers: Sequence[Layer], resolution: int):
        self.network, self.layers, self.resolution = network, layers, resolution

    def read(self, x: Tensor, bins: Tensor, count: int) -> dict[str, np.ndarray]:
        """Run windows and return the states of their chosen bins.

        Parameters
        ----------
        x : torch.Tensor, shape=(N, channels, L)
            One window of the network's grid each.
        bins : torch.Tensor, shape=(N, m), int64
        count : int
            Bins that the network predicts of each window.

        Returns
        -------
        dict of numpy.ndarray, shape=(N * m, units), dtype=float32
            By layer.
        """
        states: dict[str, np.ndarray] = {}

        def hook(layer: Layer):
            def keep(module: nn.Module, given: object, output: Tensor) -> None:
                # A network that averages over strands runs twice; the first is the strand as read.
                if layer.name not in states:
                    span = self.resolution // layer.stride
                    states[layer.name] = _take_bins(output, bins, count, span)

            return keep

        with ExitStack() as stack, torch.inference_mode():
            for layer in self.layers:
                module = self.network.get_submodule(layer.path)
                stack.callback(module.register_forward_hook(hook(layer)).remove)
            self.network(x)
        return states


def _take_bins(output: Tensor, bins: Tensor, count: int, span: int) -> np.ndarray:
    """Return the mean state inside each bin, (N * m, units)."""
    states = output.flatten(2)
    first = (states.shape[-1] - count * span) // 2
    place = first + bins[..., None] * span + torch.arange(span, device=bins.device)
    index = place.flatten(1)[:, None].expand(-1, states.shape[1], -1)
    taken = states.gather(2, index).unflatten(2, (bins.shape[1], span)).float().mean(3)
    return taken.transpose(1, 2).flatten(0, 1).cpu().numpy()


def seen_flank(layer: Layer, architecture: Architecture) -> int:
    """Return the bp that a layer's state of a bin sees on each side of it, at most."""
    settings = architecture.settings
    stem = layer.name.startswith("stem")
    if isinstance(settings, CustomSettings) or (settings.windowed and not stem):
        return architecture.context
    kind, _, number = layer.name.rpartition("_")
    depth = int(number) if kind else None
    stages = depth if stem and depth else len(settings.stem_kernels)
    flank = 0 if stem else _trunk_flank(settings, kind, depth)
    if layer.name in ("pool", "hidden"):
        flank += settings.margin
    for kernel, pool in zip(settings.stem_kernels[:stages][::-1], settings.pools[:stages][::-1]):
        flank = flank * pool + kernel // 2
    return flank


def _trunk_flank(settings: NetworkSettings, kind: str, depth: int | None) -> int:
    """Return the positions of the stem that a layer of a dense trunk sees on each side."""
    if settings.trunk != "dilated":
        return 0
    blocks = depth * settings.skips if kind == "stage" else depth
    return sum(2 * (settings.kernel // 2) * step for step in settings.dilations[:blocks])
