"""The networks and the sequence of the GPU's benchmark, and how much of each is measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from networks import DenseWindowModel, SpliceNetwork, WindowModel, bundle_of  # noqa: E402
from packed_codes import read_codes  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.bundle import Bundle  # noqa: E402
from genomesieve.gathering import one_hot  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402

WINDOW, STEP = 1002, 20


@dataclass(frozen=True)
class Sizes:
    """How much is measured: bp of genome, slice and comparison, matrix size, bytes copied.

    `windows` are batch sizes of training, of windows of `length` bp.
    """

    genome: int
    slice: int
    slices: int
    compared: int
    matrix: int
    copied: int
    repeats: int
    steps: int
    splice_context: int
    wide: tuple[int, ...]
    length: int
    windows: tuple[int, ...]
    chunk: int | None = None


FULL = Sizes(
    3_100_000_000, 100_000_000, 5, 300_000, 8192, 1 << 30, 10, 20, 5000, (128, 256), 5000, (16, 64)
)  # fmt: skip
QUICK = Sizes(20_000, 6_000, 2, 600, 128, 1 << 20, 2, 1, 200, (128,), 500, (2, 4), 3_000)


@dataclass(frozen=True)
class Case:
    """A network that is scanned with; `seconds` is what a full pass may take.

    `trained` tells whether its weights mean something; only then must calls agree.
    """

    name: str
    bundle: Bundle
    seconds: float | None
    cap: float
    trained: bool = False


@dataclass(frozen=True)
class Tiled:
    """Sequence tiled to a genome on the device."""

    genome: EncodedGenome
    resident: Tensor


def make_cases(sizes: Sizes, codes: np.ndarray, weights: Path | None) -> list[Case]:
    """Make the networks; random ones are scaled on a stretch of the sequence."""
    torch.manual_seed(0)
    splice = SpliceNetwork(sizes.splice_context)
    if weights is not None:
        splice.load_published(read_weights(weights))
    window = DenseWindowModel(WindowModel(), WINDOW, STEP)
    names = ["acceptor", "donor"]
    cases = [
        Case(
            f"(a) residual network of 32 channels and {2 * sizes.splice_context:,} nt, "
            f"{'published' if weights else 'random'} weights",
            bundle_of(splice, splice.geometry, names, "exclusive", True), 120, 170,
            weights is not None,
        ),
        Case(
            "(b) window model, 64 channels, 1,002 bp every 20 bp",
            bundle_of(window, window.geometry, ["a", "b"], "independent", True), 4, 30,
        ),
    ]  # fmt: skip
    for channels in sizes.wide:
        architecture = resolve_architecture({"preset": "dilated", "channels": channels})
        network = build_network(architecture, 2, "exclusive").eval()
        bundle = Bundle("dilated", network, architecture, names, True, "exclusive")
        cases.append(Case(f"(c) dilated, {channels} channels", bundle, None, 40))
    for case in cases:
        if not case.trained:
            spread_scores(case.bundle, codes)
    return cases


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict, from safetensors or from a file of tensors only."""
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def spread_scores(bundle: Bundle, codes: np.ndarray) -> None:
    """Scale the head of a random network so that its outputs have mean 0 and deviation 2.

    A fresh head answers nearly the same everywhere, and no precision tells such scores apart.
    """
    context, stride = bundle.architecture.context, bundle.architecture.stride
    stretch = torch.from_numpy(codes[: 200 * stride + 2 * context].copy())[None]
    head = bundle.network.head
    with torch.inference_mode():
        outputs = bundle.network(one_hot(stretch, DNA))[0]
        scale, mean = 2 / outputs.std(1), outputs.mean(1)
    with torch.no_grad():
        head.weight.mul_(scale.view(-1, *[1] * (head.weight.ndim - 1)))
        head.bias.sub_(mean).mul_(scale)


def tile(codes: np.ndarray, length: int, device: torch.device) -> Tiled:
    """Copy a sequence to a device once and repeat it there; contigs are its copies."""
    unit = torch.from_numpy(np.array(codes)).to(device)
    resident = torch.empty(length, dtype=torch.uint8, device=device)
    starts = np.arange(0, length, len(unit))
    for start in starts.tolist():
        part = resident[start : start + len(unit)]
        part.copy_(unit[: len(part)])
    lengths = np.diff(starts, append=length)
    contigs = pd.DataFrame(
        {"contig": [f"c{number}" for number in range(len(starts))], "length": lengths,
         "offset": starts}
    )  # fmt: skip
    return Tiled(EncodedGenome("tiled", np.zeros(0, dtype=np.uint8), contigs), resident)


def load_sequence(path: Path | None, sizes: Sizes) -> tuple[np.ndarray, str]:
    """Read the sequence to tile, or draw one; return it and what to say of it."""
    if path is not None:
        codes = read_codes(path)
        # The first megabases of a chromosome are often unknown; comparisons start at known ones.
        known = int(np.argmax(codes != DNA.unknown))
        return np.roll(codes, -known), f"{path.name}, {len(codes)} bases"
    bases = min(sizes.genome, 64_000_000)
    codes = np.random.default_rng(0).integers(0, 4, bases, dtype=np.uint8)
    return codes, f"random, {bases} bases: no --codes were given"
