"""The share of the data path in a training step: fresh batches against a constant one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from device_timing import timed  # noqa: E402
from gpu_cases import Sizes  # noqa: E402
from measuring import median  # noqa: E402

from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.batches import Batch, WindowSource  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.labelled_genome import LabelledGenome  # noqa: E402
from genomesieve.losses import weighted_loss  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402


def make_source(
    codes: np.ndarray, model: dict, length: int, windows: int, device: torch.device
) -> WindowSource:
    """Make random windows of a genome with one random site in 2,000 bp, resident on the device."""
    generator = np.random.default_rng(0)
    contigs = pd.DataFrame({"contig": ["c"], "length": [len(codes)], "offset": [0]})
    genome = EncodedGenome("g", codes, contigs)
    position = np.sort(generator.integers(0, len(codes), len(codes) // 2000))
    sites = pd.DataFrame(
        {"contig": "c", "position": position, "start": position, "end": position + 1,
         "strand": generator.choice(["+", "-"], len(position)), "class": "x"}
    )  # fmt: skip
    hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
    labelled = {"g": LabelledGenome(genome, sites, hidden, ["x"], stranded=True)}
    table = pd.DataFrame(
        {"genome": "g", "contig": "c", "length": length,
         "start": generator.integers(0, len(codes) - length, windows),
         "strand": generator.choice(["+", "-"], windows), "inclusion": [np.ones(1)] * windows}
    )  # fmt: skip
    return WindowSource(table, labelled, resolve_architecture(model), device=device)


def train_steps(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    next_batch: Callable[[], Batch],
    steps: int,
) -> None:
    """Train as `training.Trainer` does: the next batch is made before the loss is read."""
    batch = next_batch()
    for _ in range(steps):
        kind = batch.x.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda"):
            logits = network(batch.x)
        loss = weighted_loss(logits, batch, "independent")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        batch = next_batch()
        float(loss.detach()), float(norm)
        optimizer.step()


def measure_training(
    codes: np.ndarray, model: dict, batch: int, sizes: Sizes, device: torch.device
) -> dict:
    """Measure steps with fresh batches and with one constant batch, in turn."""
    # Scans ask for kernels without atomic sums; training does not.
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.allow_tf32 = True
    source = make_source(codes, model, sizes.length, 2000, device)
    network = build_network(source.architecture, 1, "independent").to(device).train()
    optimizer = torch.optim.AdamW(network.parameters())
    generator = np.random.default_rng(1)

    def fresh() -> Batch:
        return source.batch(np.sort(generator.integers(0, len(source), batch)))

    fixed = fresh()
    seconds: dict[str, list[float]] = {"fresh": [], "constant": []}
    makers = {"fresh": fresh, "constant": lambda: fixed}
    for repeat in range(sizes.repeats + 1):
        for name, maker in makers.items():
            run = timed(lambda m=maker: train_steps(network, optimizer, m, sizes.steps), device)
            if repeat:  # the first warms up
                seconds[name].append(run / sizes.steps)
    steps = {name: median(values) for name, values in seconds.items()}
    share = max(0.0, 1 - steps["constant"] / steps["fresh"])
    bases = batch * sizes.length
    return {"seconds_a_step": steps, "share": share, "bp_per_s": bases / steps["fresh"]}
