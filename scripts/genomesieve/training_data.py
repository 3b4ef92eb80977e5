"""What a network learns from: windows of labelled genomes, opened and measured.

Training and adaptation read the same tables, so both open them here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.architecture import Architecture
from genomesieve.auxiliary_settings import AuxiliaryTask
from genomesieve.batches import WindowSource
from genomesieve.errors import InputError
from genomesieve.files import file_digest, read_table
from genomesieve.gathering import resident_codes
from genomesieve.hardware import describe_hardware, software_versions
from genomesieve.labelled_genome import LabelledGenome, part_prevalence
from genomesieve.signals import open_signal
from genomesieve.track_targets import TrackTargets

logger = logging.getLogger(__name__)

WINDOW_COLUMNS = ("genome", "contig", "start", "length", "part", "strand", "inclusion")


@dataclass(frozen=True)
class TrainingData:
    """What is learned from.

    `sources` has parts `train` and `valid`; `prevalence` has shape (classes,).
    """

    genomes: dict[str, LabelledGenome]
    splits: dict[str, pd.DataFrame]
    laboratories: list[str]
    sources: dict[str, WindowSource]
    prevalence: np.ndarray


def open_training_data(
    windows: pd.DataFrame,
    genomes: dict[str, LabelledGenome],
    splits: dict[str, pd.DataFrame],
    architecture: Architecture,
    weight_cap: float,
    device: torch.device,
    laboratory: Mapping[str, str] | None = None,
    tracks: TrackTargets | None = None,
    lacking: Sequence[str] = (),
) -> TrainingData:
    """Make windows into sources of batches and measure the prevalence of the training parts.

    Parameters
    ----------
    windows : pandas.DataFrame
        From `read_windows`; parts `train` and `valid`.
    genomes : dict of str to LabelledGenome
    splits : dict of str to pandas.DataFrame
    architecture : Architecture
    weight_cap : float
        Largest inverse-inclusion weight of a bin, as a multiple of the mean.
    device : torch.device
    laboratory : mapping of str to str, or None
        Laboratory that each genome's data comes from.
    tracks : TrackTargets or None
        Tracks that are learned beside the classes; validation does not need them.
    lacking : sequence of str
        Classes that may have no site in the training parts.

    Raises
    ------
    InputError
        If there are no windows of a part, or no site of a class.
    """
    laboratory = laboratory or {}
    laboratories = sorted(set(laboratory.values()))
    numbers = {name: laboratories.index(lab) for name, lab in laboratory.items()}
    with_signals = any(one.genome.signals for one in genomes.values())
    resident = None if with_signals else _resident_genomes(genomes, device)
    sources = {
        part: WindowSource(
            rows,
            genomes,
            architecture,
            weight_cap,
            tracks=tracks if part == "train" else None,
            resident=resident,
            laboratories=numbers,
        )
        for part, rows in windows.groupby("part")
    }
    prevalence = part_prevalence(genomes, splits, architecture.resolution, lacking)
    return TrainingData(genomes, splits, laboratories, sources, prevalence)


def read_windows(path: Path) -> pd.DataFrame:
    """Read a table of windows with parts `train` and `valid`, or raise InputError."""
    windows = read_table(path, "windows", WINDOW_COLUMNS)
    found = set(windows["part"])
    if found != {"train", "valid"}:
        raise InputError(f"{path} has parts {sorted(found)}; expected train, valid")
    return windows


def describe_run(
    data: TrainingData, windows: Path, seed: int, device: torch.device, threads: int
) -> dict:
    """Return what model.json says of a training run and its data.

    Parameters
    ----------
    data : TrainingData
    windows : Path
        The table of windows.
    seed : int
    device : torch.device
    threads : int
        CPU threads of a process.
    """
    source = data.sources["train"]
    classes = next(iter(data.genomes.values())).classes
    return {
        "seed": seed,
        "device": str(device),
        "threads": threads,
        "torch": torch.__version__,
        "software": software_versions(),
        "hardware": describe_hardware([device]),
        "windows": len(source),
        "window_length": source.length,
        "effective_share": source.effective_share,
        "windows_sha256": file_digest(windows),
        "genomes_sha256": {name: one.genome.sha256 for name, one in data.genomes.items()},
        "genomes": sorted(data.genomes),
        "prevalence": dict(zip(classes, data.prevalence.tolist())),
    }


def check_laboratories(
    laboratory: Mapping[str, str], genomes: Sequence[str], architecture: Architecture
) -> None:
    """Raise InputError for a laboratory of no genome, or where one is needed and missing."""
    for name in laboratory:
        if name not in genomes:
            raise InputError(f"--laboratory names genome {name}; expected one that --genome names")
    for name in genomes:
        if getattr(architecture.settings, "norm", "") == "domain" and name not in laboratory:
            raise InputError(f"model.norm is domain; expected --laboratory for genome {name}")


def open_tracks(
    paths: Mapping[str, Path],
    tasks: list[AuxiliaryTask],
    genomes: dict[str, LabelledGenome],
    architecture: Architecture,
) -> TrackTargets | None:
    """Map the tracks that are learned beside the classes, named GENOME:TRACK, if there are any."""
    learned = [task for task in tasks if task.track]
    expected = {f"{genome}:{task.track}" for genome in genomes for task in learned}
    if set(paths) != expected:
        raise InputError(
            f"--auxiliary-track names {', '.join(sorted(paths)) or 'none'}; expected "
            f"{', '.join(sorted(expected)) or 'none'}, as in --auxiliary"
        )
    if not learned:
        return None
    values = {
        name: [open_signal(paths[f"{name}:{t.track}"], t.track, one.genome) for t in learned]
        for name, one in genomes.items()
    }
    return TrackTargets(values, [task.flank for task in learned], architecture.resolution)


def _resident_genomes(
    genomes: dict[str, LabelledGenome], device: torch.device
) -> dict[str, torch.Tensor] | None:
    """Copy the genomes' codes to a GPU, one byte a base, where they take at most half its memory.

    Batches are then gathered there; None: they are gathered on the host.
    """
    if device.type != "cuda":
        return None
    needed = sum(len(labelled.genome.codes) for labelled in genomes.values())
    free = torch.cuda.mem_get_info(device)[0]
    logger.info(
        "genomes of %.3g GB are %s (%s has %.3g GB free)",
        needed / 1e9,
        "resident there" if 2 * needed <= free else "read on the host",
        device,
        free / 1e9,
    )
    if 2 * needed > free:
        return None
    return {name: resident_codes(one.genome.codes, device) for name, one in genomes.items()}
