"""What a network sees, holds and costs, in a few numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.gathering import one_hot
from genomesieve.inference import prepare_for_scan
from genomesieve.networks import build_network
from genomesieve.planning import measure_cost

_BASES = 20_000
_REPEATS = 3


@dataclass(frozen=True)
class Description:
    """One network in numbers.

    Parameters
    ----------
    name : str
    parameters : int
        Numbers that training changes.
    context : int
        bp that a prediction (of a windowed network: a window) sees on each side.
    window : int
        bp that are predicted at once: the window of a network that mixes over length, else a bin.
    resolution : int
        bp a prediction.
    operations : float
        Floating-point operations a bp and strand.
    scan_rate, train_rate : float
        bp/s of one strand, of the network alone: prediction, and training step.
    """

    name: str
    parameters: int
    context: int
    window: int
    resolution: int
    operations: float
    scan_rate: float
    train_rate: float


def describe_network(
    model: dict, classes: int, labels: str, reverse_complement: str, device: torch.device
) -> Description:
    """Build a network, count it and time it on random sequence.

    Parameters
    ----------
    model : dict
        The `model` section of a screen.
    classes : int
    labels : str
        `exclusive` or `independent`.
    reverse_complement : str
    device : torch.device

    Returns
    -------
    Description
    """
    architecture = resolve_architecture(model)
    network = build_network(architecture, classes, labels, reverse_complement)
    steps = -(-_BASES // architecture.stride)
    length = steps * architecture.stride + 2 * architecture.context
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, DNA.size, (1, length), generator=generator, dtype=torch.uint8)
    x = one_hot(codes, DNA)
    cost = measure_cost(network, architecture, DNA.size)
    trial = x[..., : 2 * architecture.stride + 2 * architecture.context]
    prepared = prepare_for_scan(network, trial, labels).to(device)
    network, x = network.train().to(device), x.to(device)
    bases = steps * architecture.stride
    return Description(
        model["preset"],
        sum(weight.numel() for weight in network.parameters()),
        architecture.context,
        architecture.stride,
        architecture.resolution,
        cost.operations,
        bases / _seconds(lambda: _predict(prepared, x)),
        bases / _seconds(lambda: network(x).square().mean().backward()),
    )


def table_of(descriptions: list[Description]) -> str:
    """Write descriptions as a table, one line a network."""
    head = (
        f"{'model':<12}{'parameters':>11}{'context bp':>11}{'at once bp':>11}{'a bin bp':>9}"
        f"{'operations/bp':>14}{'scan bp/s':>12}{'train bp/s':>12}"
    )
    lines = [
        f"{item.name:<12}{item.parameters:>11,}{item.context:>11,}{item.window:>11,}"
        f"{item.resolution:>9,}{item.operations:>14,.0f}{item.scan_rate:>12,.0f}"
        f"{item.train_rate:>12,.0f}"
        for item in descriptions
    ]
    return "\n".join([head, *lines])


@torch.inference_mode()
def _predict(network: torch.nn.Module, x: Tensor) -> Tensor:
    """Run a network without gradients."""
    return network(x)


def _seconds(run) -> float:
    """Return the shortest of a few repeats, after one to warm up."""
    run()
    found = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - begin)
    return min(found)
