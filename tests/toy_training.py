"""Short trainings on a small labelled genome, alone or in several processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.devices import run_processes
from genomesieve.distributed import ALONE, Workers, joined
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.networks import build_network
from genomesieve.pretraining_settings import TransferSettings
from genomesieve.training import Trainer
from genomesieve.training_settings import TrainingSettings

CPU = torch.device("cpu")
DILATED = {"preset": "dilated", "channels": 8, "stem_kernels": [5], "kernel": 3, "dilations": [1]}
HIDDEN = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])


def toy_genome(codes: np.ndarray, position: np.ndarray, name: np.ndarray) -> LabelledGenome:
    """Return a genome of one contig with plus-strand sites of classes x and y."""
    contigs = pd.DataFrame({"contig": ["a"], "length": [len(codes)], "offset": [0]})
    sites = pd.DataFrame({"contig": "a", "position": position, "strand": "+", "class": name})
    sites = sites.assign(start=sites["position"], end=sites["position"] + 1)
    genome = EncodedGenome("toy", codes, contigs)
    return LabelledGenome(genome, sites, HIDDEN, ["x", "y"], True)


def toy_windows(starts, length: int, inclusion=1.0) -> pd.DataFrame:
    """Return plus-strand windows of a toy genome."""
    windows = pd.DataFrame({"genome": "toy", "contig": "a", "start": starts, "length": length})
    rates = np.broadcast_to(np.asarray(inclusion, dtype=float), len(windows))
    return windows.assign(strand="+", inclusion=[np.array([rate]) for rate in rates])


def toy_trainer(
    model: dict,
    workers: Workers = ALONE,
    reverse_complement: str = "augment",
    network: torch.nn.Module | None = None,
    checkpoint: Path | None = None,
    transfer: TransferSettings | None = None,
    **settings,
) -> Trainer:
    """Return a trainer of 30 windows of 200 bp in which GC is followed by a site."""
    codes = np.random.default_rng(0).integers(0, 4, 3200, dtype=np.uint8)
    position = np.flatnonzero((codes[:-1] == 2) & (codes[1:] == 1)) + 1
    labelled = toy_genome(codes, position, np.array(["x", "y"])[position % 2])
    architecture = resolve_architecture(model)
    windows = toy_windows(range(60, 2960, 100), 200)
    source = WindowSource(windows, {"toy": labelled}, architecture)
    if network is None:
        torch.manual_seed(0)
        network = build_network(architecture, 2, "exclusive", reverse_complement)
    defaults = {"steps": 12, "batch": 6, "validations": 3, "patience": 99, "learning_rate": 0.01}
    given = TrainingSettings.from_mapping(defaults | settings)
    rest = given, 0, CPU, np.array([0.03, 0.03]), checkpoint, "toy", None, workers
    return Trainer(network, source, source, ["x", "y"], "exclusive", *rest, transfer=transfer)


def run_together(work: Callable[..., None], size: int, folder: Path, *arguments) -> None:
    """Run `work(workers, folder, *arguments)` in processes that train together."""
    meeting = f"file://{folder}/rendezvous"
    jobs = [
        (f"cpu ({rank})", (work, rank, size, meeting, folder, *arguments)) for rank in range(size)
    ]
    run_processes(_join, jobs)


def _join(work, rank, size, meeting, folder, *arguments) -> None:
    torch.set_num_threads(1)
    with joined(rank, size, CPU, meeting) as workers:
        work(workers, folder, *arguments)


def fit_cases(workers: Workers, folder: Path, cases: dict[str, tuple[dict, dict]]) -> None:
    """Train every case, {name: (model, settings)}; the first process writes what came of it."""
    for name, (model, settings) in cases.items():
        trainer = toy_trainer(model, workers, **settings)
        keep(workers, folder / name, trainer, trainer.fit())
    model, settings = next(iter(cases.values()))
    checkpoint = folder / "checkpoint"
    broken = toy_trainer(model, workers, checkpoint=checkpoint, **settings)
    interrupt(broken, 7)
    trainer = toy_trainer(model, workers, checkpoint=checkpoint, **settings)
    trainer._load()
    assert trainer.state.step == 7
    keep(workers, folder / "resumed", trainer, trainer.fit())


def keep(workers: Workers, path: Path, trainer: Trainer, history: pd.DataFrame) -> None:
    """Write the history and the weights of a training, in the first process."""
    if workers.first:
        weights = trainer.network.state_dict()
        torch.save({"history": history.to_dict("list"), "weights": weights}, path)


def interrupt(trainer: Trainer, step: int) -> None:
    """Train up to a step, as a run that is killed there, with a checkpoint after every step."""

    def dies() -> float:
        trainer._save()
        if trainer.state.step == step:
            raise KeyboardInterrupt
        return whole()

    whole, trainer._step = trainer._step, dies
    try:
        trainer.fit()
    except KeyboardInterrupt:
        return
    raise AssertionError(f"training ended before step {step}")


def fail_in_second(workers: Workers, folder: Path) -> None:
    """Fail for a reason in the second of two processes, while the first one waits for it."""
    trainer = toy_trainer(DILATED | {"norm": "layer"}, workers=workers)
    if not workers.first:
        trainer.train = None
    trainer.fit()
