"""The plan of a run: the genomes, the screens and the scans that a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from genomesieve.architecture import Architecture
from genomesieve.custom_settings import CustomSettings
from genomesieve.pretraining_plan import PretrainingPlan
from genomesieve.settings import bigwig_classes
from genomesieve.stages import Stage
from genomesieve.training_plan import TrainingPlan

COLUMN_CLASS = "column:"
"""Begins the class of a track whose rows name their classes."""
NUMBER_ROLES = ("signal", "auxiliary")
"""Roles of tracks that are read as one number a base, not as sites or intervals."""


@dataclass(frozen=True)
class Genome:
    """One row of the sheet of genomes.

    Parameters
    ----------
    name : str
    fasta, annotation, alias : str
        Paths; empty where there is none.
    regions : tuple of str
        Parts that are used (`contig` or `contig:start-end`, 0-based half-open); none means all.
    shards : int
        Jobs that a scan of it is cut into.
    sha256 : str
        Of the FASTA file; empty takes any.
    batch : str
        Laboratory or assay that its tracks come from; empty where none is named.
    """

    name: str
    fasta: str
    annotation: str
    regions: tuple[str, ...]
    alias: str
    shards: int
    sha256: str = ""
    batch: str = ""


@dataclass(frozen=True)
class Screen:
    """One learning problem, resolved.

    Parameters
    ----------
    name : str
    settings : dict
        The screen's part of the configuration, completed with defaults.
    train_genomes, scan_genomes : tuple of str
        Genomes to learn from are without those of the batches that are left out.
    labelled_genomes : tuple of str
        Those of both with known sites, in order, without repetition.
    tracks : dict
        Rows of the sheet of tracks that this screen uses, by genome.
    architecture : Architecture
        The network's geometry.
    left_out : tuple of str
        Genomes of the batches that are left out: split like those to learn from, scanned, and
        learned from in no part.
    batches : dict of str to str
        Batch of each genome that has one.
    stages : dict of str to Stage
        By key, where several genomes are learned in order.
    """

    name: str
    settings: dict
    train_genomes: tuple[str, ...]
    scan_genomes: tuple[str, ...]
    labelled_genomes: tuple[str, ...]
    tracks: dict[str, list[dict]]
    architecture: Architecture
    left_out: tuple[str, ...] = ()
    batches: dict[str, str] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def measured_genomes(self) -> tuple[str, ...]:
        """Genomes on which what the stages taught is measured after each of them."""
        return tuple(dict.fromkeys(stage.measured_on for stage in self.stages.values()))

    @property
    def baselines(self) -> tuple[str, ...]:
        """Methods that are fitted beside the network."""
        return tuple(self.settings["baselines"])

    @property
    def training(self) -> TrainingPlan:
        """The networks that are trained, and the roads of all models."""
        return TrainingPlan(
            self.name,
            self.settings["model"]["preset"],
            self.baselines,
            tuple(self.settings["seeds"]),
            self.settings["hard_negatives"]["rounds"],
            self.stages,
        )

    @property
    def imported(self) -> bool:
        """Whether the network is the user's own, imported with its weights and not trained."""
        return isinstance(self.architecture.settings, CustomSettings)

    @property
    def attends(self) -> bool:
        """Whether the network's trunk is self-attention."""
        return getattr(self.architecture.settings, "trunk", "") == "attention"

    @property
    def network_code(self) -> str:
        """The `file.py:Class` of the user's own network; empty for the presets."""
        return self.architecture.settings.network if self.imported else ""

    @property
    def auxiliary_tracks(self) -> tuple[str, ...]:
        """Tracks that the network learns beside its classes."""
        tasks = self.settings["auxiliary"].values()
        return tuple(dict.fromkeys(task["track"] for task in tasks if task.get("track")))

    @property
    def used_genomes(self) -> tuple[str, ...]:
        """Genomes that are trained on or scanned, in order, without repetition."""
        return tuple(dict.fromkeys([*self.split_genomes, *self.scan_genomes]))

    @property
    def split_genomes(self) -> tuple[str, ...]:
        """Genomes that are split into parts: those to learn from, and those left out."""
        chosen = {*self.train_genomes, *self.left_out}
        return tuple(name for name in self.settings["train_genomes"] if name in chosen)

    @property
    def signals(self) -> tuple[str, ...]:
        """Channels that the network sees beside the sequence, in its order."""
        return tuple(self.settings["signals"])

    @property
    def evaluated_genomes(self) -> tuple[str, ...]:
        """Genomes that are scanned and have known sites."""
        return tuple(name for name in self.scan_genomes if name in self.labelled_genomes)

    @property
    def stranded(self) -> bool:
        """Whether the sites of its classes have a strand."""
        return any(item["stranded"] for item in self.settings["classes"].values())

    @property
    def bigwigs(self) -> list[str]:
        """File names of the tracks that a scan writes: `{class}.{plus|minus|both}.bw`."""
        return self.bigwigs_of(self.bigwig_classes)

    def bigwigs_of(self, classes: Iterable[str]) -> list[str]:
        """Return the file names of the tracks of some classes."""
        strands = ("plus", "minus") if self.stranded else ("both",)
        return [f"{name}.{strand}.bw" for name in classes for strand in strands]

    @property
    def bigwig_classes(self) -> list[str]:
        """Classes that get tracks."""
        return bigwig_classes(list(self.settings["classes"]), self.settings["scan"]["bigwigs"])

    def stage_bigwig_classes(self, key: str) -> list[str]:
        """Return the classes that get tracks in a stage: of those that it knows."""
        known = self.stages[key].classes if key else self.settings["classes"]
        return [name for name in self.bigwig_classes if name in known]

    def scan_parts(self, genome: str) -> list[str]:
        """Return the parts of a genome's split that are scanned."""
        return self.settings["scan_parts"] if genome in self.split_genomes else ["screen"]


@dataclass(frozen=True)
class ScanGroup:
    """Scans that write the same files: one screen's genomes with known sites, or those without.

    Parameters
    ----------
    name : str
    roads : tuple of str
        Folders of the screen's model and, where sites are known, of all others.
    genomes : tuple of str
    bigwigs : list of str
    keep_scores : bool
        Whether the score of every bin is kept, as evaluation needs.
    """

    name: str
    roads: tuple[str, ...]
    genomes: tuple[str, ...]
    bigwigs: list[str]
    keep_scores: bool


@dataclass(frozen=True)
class Plan:
    """The whole configuration, resolved.

    Parameters
    ----------
    genomes : dict
        Genome by name.
    screens : dict
        Screen by name.
    settings : dict
        The configuration, completed with defaults.
    signals : dict
        Rows of the sheet of tracks that are read as numbers, by genome and track.
    pretraining : dict
        PretrainingPlan by name.
    """

    genomes: dict[str, Genome]
    screens: dict[str, Screen]
    settings: dict
    signals: dict[str, dict[str, dict]] = field(default_factory=dict)
    pretraining: dict[str, PretrainingPlan] = field(default_factory=dict)

    @property
    def packages(self) -> dict[str, dict]:
        """Packages that data files are taken from, by name."""
        return self.settings["packages"]

    @property
    def gpus(self) -> int | None:
        """GPUs that a job asks for whose network runs where `device` says; None: it asks for none.

        A scheduler has to know before a job runs, so `auto` asks for one; where it grants none,
        such a job computes on the CPU.
        """
        kind, _, numbers = self.settings["device"].partition(":")
        if kind == "cpu":
            return None
        return len(numbers.split(",")) if numbers else 1

    @property
    def downloads(self) -> dict[str, dict]:
        """Files that are fetched over https, by name."""
        return self.settings["downloads"]

    @property
    def scan_groups(self) -> list[ScanGroup]:
        """Scans grouped by the files that they write."""
        groups = []
        for screen in self.screens.values():
            labelled = screen.evaluated_genomes
            rest = tuple(name for name in screen.scan_genomes if name not in labelled)
            roads = tuple(screen.training.roads.values())
            if labelled:
                name = f"{screen.name}_labelled"
                groups.append(ScanGroup(name, roads, labelled, screen.bigwigs, True))
            if rest:
                name = f"{screen.name}_unlabelled"
                groups.append(ScanGroup(name, roads[:1], rest, screen.bigwigs, False))
            groups += _stage_groups(screen, labelled, rest)
        return groups


def _stage_groups(
    screen: Screen, labelled: tuple[str, ...], rest: tuple[str, ...]
) -> list[ScanGroup]:
    """Return the scans by the models of earlier stages and other methods."""
    plan, groups = screen.training, []
    for key in screen.stages:
        if key == plan.last_stage:
            continue
        roads = tuple(plan.stage_models(key).values())
        bigwigs = screen.bigwigs_of(screen.stage_bigwig_classes(key))
        for genomes, kind in ((labelled, "labelled"), (rest, "unlabelled")):
            if genomes:
                name = f"{screen.name}_{key}_{kind}"
                groups.append(ScanGroup(name, roads, genomes, bigwigs, kind == "labelled"))
    return groups
