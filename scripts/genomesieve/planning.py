"""How a scan is cut for a network, a device and the memory it may use."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture
from genomesieve.bundle import Bundle
from genomesieve.errors import InputError
from genomesieve.model_description import PRECISIONS
from genomesieve.pooling import SlidingMaximum

_CACHED_BYTES = 6_000_000
"""Largest activation that a CPU still finds in its caches; larger chunks were slower."""
_MOST_CPU_BASES = 200_000
_GPU_BASES = 4_000_000
"""Bases that give a GPU enough to do at once."""
_LIVE = 4
"""Activations of the largest size alive at once: input, output, residual and scratch."""
_FIXED_BYTES = 700_000_000
"""What PyTorch, pandas and the program take before the first chunk."""
_MOST_ELEMENTS = (1 << 31) - 1
"""No tensor may have more: convolutions index with 32 bits."""
_SCORE_BYTES = 40
"""What a score takes on its way: log-odds and their sums, codes, an index while it is counted."""
_FEWEST_HELD = 1 << 24
_FLANK_SHARE = 32
"""A chunk has at least so many contexts: its flanks cost more than leaving the caches does."""


@dataclass(frozen=True)
class ScanPlan:
    """How a scan is cut.

    Parameters
    ----------
    chunk : int
        Bases a row; a multiple of the model's stride.
    batch : int
        Rows run at once.
    precision : str
        `float32` or `bfloat16`; thresholds hold only at the precision they were calibrated in.
    held_bases : int
        Bases of sequence that a GPU may hold at once: a shard of at most so many is resident, a
        larger one streamed. No score depends on it.
    compile : bool
        Whether the network is compiled by torch.compile, which changes how scores are rounded.
    """

    chunk: int
    batch: int
    precision: str
    held_bases: int = 1 << 28
    compile: bool = False

    def to_dict(self) -> dict:
        """Return plain values, as they stand in model.json."""
        return asdict(self)


@dataclass(frozen=True)
class Cost:
    """What a network costs a base of a strand.

    Parameters
    ----------
    operations : float
        Floating-point operations (two for a multiplication and addition).
    values : float
        Numbers in its largest activation.
    """

    operations: float
    values: float


class _OutputSizes(TorchDispatchMode):
    """Remember how many numbers each tensor has that any operation made."""

    def __init__(self):
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for item in tree_leaves(result):
            if isinstance(item, torch.Tensor):
                self.sizes.append(item.numel())
        return result


def measure_cost(network: nn.Module, architecture: Architecture, inputs: int) -> Cost:
    """Count the operations and the largest activation of a network, without running it.

    Two lengths are compared, so that the context and tables of fixed size do not count.
    """
    shell = copy.deepcopy(network).to("meta").eval().requires_grad_(False)
    step = architecture.stride * -(-64 * architecture.resolution // architecture.stride)
    found = []
    for length in (step, 3 * step):
        x = torch.empty(1, inputs, length + 2 * architecture.context, device="meta")
        with torch.inference_mode(), FlopCounterMode(display=False) as counted:
            with _OutputSizes() as outputs:
                shell(x)
        found.append((counted.get_total_flops(), np.array(outputs.sizes)))
    (few, small), (many, large) = found
    same_operations = len(large) == len(small)
    grown = (large - small).max() if same_operations else large.max() - small.max()
    return Cost((many - few) / (2 * step), float(grown) / (2 * step))


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device computes faster in bfloat16: GPUs, and CPUs with units for it."""
    if device.type == "cuda":
        # A plan for a card that is not here takes it for a current one.
        here = torch.cuda.is_available()
        return not here or torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def plan_scan(
    bundle: Bundle,
    device: torch.device,
    memory_gb: float = 4.0,
    precision: str = "auto",
    compile_network: bool = False,
) -> tuple[ScanPlan, list[str]]:
    """Choose chunk, batch and precision, and say why.

    Parameters
    ----------
    bundle : Bundle
    device : torch.device
    memory_gb : float
        Memory that the scan may use, in GB of 10**9 bytes: of the process on a CPU, of the card on
        a GPU. The genome's size does not matter.
    precision : str
        `float32`, `bfloat16`, or `auto`: bfloat16 where the device has units for it.
    compile_network : bool
        Whether to run the network through torch.compile.

    Returns
    -------
    plan : ScanPlan
    reasons : list of str
        Lines for the log: what was chosen, why, and what a base will cost.

    Raises
    ------
    InputError
        If the memory does not hold one chunk or the precision is unknown.
    """
    if precision not in ("auto", *PRECISIONS):
        raise InputError(f"precision is {precision!r}; expected auto, {', '.join(PRECISIONS)}")
    on_gpu = device.type == "cuda"
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16(device) else "float32"
    architecture = bundle.architecture
    inputs = DNA.size + len(bundle.signals)
    cost = measure_cost(bundle.network, architecture, inputs)
    width = cost.values * (2 if precision == "bfloat16" else 4)
    a_base = _LIVE * width + 2 * 4 * inputs
    scores = bundle.strands * len(bundle.classes) / architecture.resolution
    if on_gpu:
        a_base += _SCORE_BYTES * scores + 1
    room = memory_gb * 1e9 - _FIXED_BYTES - (2 * _FEWEST_HELD if on_gpu else 0)
    flanks = 2 * architecture.context
    widest = max(cost.values, inputs, scores)
    most = min(int(room / a_base), int(_MOST_ELEMENTS / widest)) - flanks
    least = max(architecture.stride, min(architecture.context, 1000))
    if most < least:
        needed = ((least + flanks) * a_base + memory_gb * 1e9 - room) / 1e9
        raise InputError(
            f"memory_gb is {memory_gb:g}; expected at least {needed:.1f} for a network with "
            f"{architecture.context} bp of context and {cost.values:.0f} numbers a base"
        )
    wanted = max(
        _GPU_BASES // 4 if on_gpu else min(_MOST_CPU_BASES, int(_CACHED_BYTES / width)),
        _FLANK_SHARE * architecture.context,
    )
    chunk = _round_down(min(wanted, most), architecture.stride)
    batch = max(1, min(_GPU_BASES // chunk, (most + flanks) // (chunk + flanks))) if on_gpu else 1
    held = ScanPlan.held_bases
    if on_gpu:
        held = 2 * _FEWEST_HELD + max(0, int(room - batch * (chunk + flanks) * a_base))
    plan = ScanPlan(chunk, batch, precision, held, compile_network)
    reasons = _explain(plan, bundle, cost, a_base, memory_gb, most < wanted)
    return plan, reasons + (_explain_gpu(plan, bundle, cost) if on_gpu else [])


def _round_down(bases: int, stride: int) -> int:
    """Round down to a multiple of the stride, and of 1,000 bp where that leaves something."""
    for step in (1000 * stride, stride):
        if bases >= step:
            return bases // step * step
    return stride


def _explain(
    plan: ScanPlan, bundle: Bundle, cost: Cost, a_base: float, memory_gb: float, tight: bool
) -> list[str]:
    """Write down what was chosen and what it will cost."""
    passes = bundle.strands
    flanks = 2 * bundle.architecture.context
    sliding = any(
        isinstance(layer, SlidingMaximum) and layer.margin for layer in bundle.network.modules()
    )
    way = "dense with a sliding maximum" if sliding else "dense"
    if bundle.architecture.stride > bundle.architecture.resolution:
        way = f"windows of {bundle.architecture.stride} bp with a shared stem"
    limit = f"memory_gb {memory_gb:g}" if tight else "what the device does fastest"
    needed = plan.batch * (plan.chunk + flanks) * a_base + _FIXED_BYTES
    return [
        f"scan plan: {way}, {plan.batch} chunk(s) of {plan.chunk} bp at once in {plan.precision}; "
        f"chunks are bounded by {limit}; {flanks / (plan.chunk + flanks):.0%} of the work is "
        "flanks",
        f"scan plan: {cost.operations * passes:.3g} operations and {passes} strand pass(es) a bp, "
        f"{cost.operations * passes * 1e6 / 1e12:.3g} T operations a Mb, "
        f"about {needed / 1e9:.1f} GB of memory whatever the genome's size",
    ]


def _explain_gpu(plan: ScanPlan, bundle: Bundle, cost: Cost) -> list[str]:
    """Write down what happens on a GPU, and the bytes and operations of a whole genome."""
    scores = bundle.strands * len(bundle.classes) / bundle.architecture.resolution
    operations = cost.operations * bundle.strands * 3.1e9
    sent = 1 + 2 * bundle.architecture.context / plan.chunk
    return [
        f"scan plan: a GPU holds {plan.held_bases / 1e6:.0f} Mb of sequence at once, shards of up "
        "to that are resident and larger ones streamed while it computes; channels-last, one CUDA "
        f"graph a batch{', network compiled' if plan.compile else ''}; scores are counted and "
        "candidates picked on the GPU",
        f"scan plan: a genome of 3.1 Gb takes {operations / 1e12:.3g} T operations and at most "
        f"{3.1 * sent:.2g} GB to the GPU; scores come back only where they are kept "
        f"({2 * scores * 3.1:.3g} GB)",
    ]
