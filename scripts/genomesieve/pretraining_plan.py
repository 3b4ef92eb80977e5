"""The pretrainings of a configuration, checked against its sheets and the screens using them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.pretraining_settings import (
    PretrainingSettings,
    check_window,
    require_same_trunk,
    resolve_pretraining,
)
from genomesieve.settings import nearest

ROOT = "pretraining"
"""Folder below results/; no screen's name."""


class SheetRow(Protocol):
    """What is asked of a row of the sheet of genomes."""

    fasta: str
    regions: tuple[str, ...]


@dataclass(frozen=True)
class PretrainingPlan:
    """One network's pretraining, resolved.

    Parameters
    ----------
    name : str
    settings : dict
        Its part of the configuration, completed with defaults.
    genomes : tuple of str
    split : dict
        For each genome what is held out, and what is used at all.
    architecture : Architecture
        Of the network that predicts bases.
    """

    name: str
    settings: dict
    genomes: tuple[str, ...]
    split: dict[str, dict]
    architecture: Architecture

    @property
    def folder(self) -> str:
        """Where it lies when it is finished."""
        return f"results/{ROOT}/{self.name}"


def resolve_pretrainings(
    given: Mapping[str, dict], genomes: Mapping[str, SheetRow]
) -> dict[str, PretrainingPlan]:
    """Check the section `pretraining` of a configuration.

    Parameters
    ----------
    given : mapping of str to dict
        Pretrainings by name, completed with defaults.
    genomes : mapping of str to SheetRow
        The sheet of genomes.

    Raises
    ------
    InputError
        If a genome, a setting or a part is wrong; the key is named.
    """
    return {name: _resolve(name, settings, genomes) for name, settings in given.items()}


def _resolve(name: str, settings: dict, genomes: Mapping[str, SheetRow]) -> PretrainingPlan:
    """Resolve one pretraining."""
    where = f"config: {ROOT}.{name}"
    chosen = settings["genomes"]
    seen: dict[str, str] = {}
    for genome in chosen:
        if genome not in genomes:
            raise InputError(f"{where}.genomes names genome {genome!r}; {nearest(genome, genomes)}")
        first = seen.setdefault(genomes[genome].fasta, genome)
        if first != genome:
            raise InputError(
                f"{where}.genomes names {first} and {genome}, which have the same FASTA; expected "
                "one of them, so that one does not learn what the other holds out"
            )
    for genome in settings["split"]:
        if genome not in chosen:
            raise InputError(f"{where}.split names genome {genome!r}; {nearest(genome, chosen)}")
    if not any(lists["held_out"] for lists in settings["split"].values()):
        raise InputError(f"{where}.split holds nothing out; expected held_out of a genome")
    try:
        architecture = resolve_pretraining(settings["model"], settings["reverse_complement"])
        check_window(architecture, PretrainingSettings.from_mapping(settings["training"]).length)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    split = {genome: _lists(settings["split"].get(genome), genomes[genome]) for genome in chosen}
    return PretrainingPlan(name, settings, tuple(chosen), split, architecture)


def _lists(given: dict | None, genome: SheetRow) -> dict:
    """Return what pretrain_model is told of a genome's parts."""
    lists = {key: value for key, value in (given or {}).items() if value is not None}
    return lists | ({"regions": list(genome.regions)} if genome.regions else {})


def check_pretrained(
    settings: Mapping, architecture: Architecture, pretrainings: Mapping[str, PretrainingPlan]
) -> None:
    """Raise InputError unless a screen's network can start from the trunk that it names, if any.

    Parameters
    ----------
    settings : mapping
        The screen's part of the configuration, completed with defaults.
    architecture : Architecture
        Of its network.
    pretrainings : mapping of str to PretrainingPlan
    """
    name = settings["pretrained"]
    if name is None:
        if settings["training"].get("pretrained"):
            raise InputError(
                "training.pretrained is given and nothing is pretrained; expected it left out, or "
                "`pretrained`"
            )
        return
    if name not in pretrainings:
        raise InputError(f"pretrained is {name!r}; {nearest(name, pretrainings)}")
    if settings["stem_motifs"]:
        raise InputError(
            "stem_motifs and pretrained both say what the first filters start as; expected one"
        )
    plan = pretrainings[name]
    modes = settings["reverse_complement"], plan.settings["reverse_complement"]
    source = f"{ROOT}.{name}"
    require_same_trunk(architecture, plan.architecture, modes, len(settings["signals"]), source)
