"""The configuration and its two sheets, checked against each other and resolved into a plan.

Everything that the workflow knows before it runs is decided here: which genomes exist, which of
them each screen trains on and scans, which have known sites, and which files a scan writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genomesieve.architecture import resolve_network
from genomesieve.errors import InputError
from genomesieve.explanation_settings import expand_explanations
from genomesieve.plan import COLUMN_CLASS, NUMBER_ROLES, Genome, Plan, Screen
from genomesieve.plan_checks import check_custom, check_screen, check_tracks
from genomesieve.pretraining_plan import ROOT, check_pretrained, resolve_pretrainings
from genomesieve.schema_validation import complete, read_sheet
from genomesieve.settings import nearest
from genomesieve.sharding import default_shards
from genomesieve.stages import resolve_stages, stage_genomes

RESERVED_SCREEN = "genomes"
"""No screen's name: encoded genomes are kept in results/genomes."""
RESERVED_PACKAGE = "downloads"
"""No package's name: downloads are kept in resources/downloads."""


def resolve_plan(
    config: Mapping, config_schema: dict, genome_schema: dict, track_schema: dict
) -> Plan:
    """Check a configuration, read its sheets and return the plan.

    Parameters
    ----------
    config : mapping
        The configuration as read from YAML.
    config_schema, genome_schema, track_schema : dict
        JSON schemas of the configuration and of one row of each sheet.

    Raises
    ------
    InputError
        If a key, a value, a row or a reference between them is wrong; one line names it.
    """
    settings = complete(expand_explanations(config), config_schema, "config")
    if RESERVED_SCREEN in settings["screens"]:
        raise InputError(
            f"config: screens.{RESERVED_SCREEN}: results/{RESERVED_SCREEN} holds the encoded "
            "genomes; expected another name"
        )
    if ROOT in settings["screens"]:
        raise InputError(
            f"config: screens.{ROOT}: results/{ROOT} holds pretrained networks; expected another "
            "name"
        )
    if RESERVED_PACKAGE in settings["packages"]:
        raise InputError(
            f"config: packages.{RESERVED_PACKAGE}: resources/{RESERVED_PACKAGE} holds the files of "
            "`downloads`; expected another name"
        )
    rows = read_sheet(settings["genomes"], genome_schema, "genome")
    genomes = {row["genome"]: _genome(row, settings["shards"]) for row in rows}
    tracks = read_sheet(settings["tracks"], track_schema, "track") if settings["tracks"] else []
    check_tracks(tracks, genomes, settings)
    genomes = {name: replace(one, batch=_batch_of(name, tracks)) for name, one in genomes.items()}
    screens = {
        name: _screen(name, screen, genomes, tracks) for name, screen in settings["screens"].items()
    }
    pretraining = resolve_pretrainings(settings["pretraining"], genomes)
    for name, screen in screens.items():
        try:
            check_pretrained(screen.settings, screen.architecture, pretraining)
        except InputError as error:
            raise InputError(f"config: screens.{name}.{error}") from None
    return Plan(genomes, screens, settings, _number_tracks(tracks), pretraining)


def _genome(row: dict, shards: int | str) -> Genome:
    """Return one row of the sheet of genomes."""
    regions = tuple(text.strip() for text in row["regions"].split(",") if text.strip())
    return Genome(
        row["genome"],
        row["fasta"],
        row["annotation"],
        regions,
        row["alias"],
        int(row["shards"] or (default_shards(row["fasta"]) if shards == "auto" else shards)),
        row["sha256"],
    )


def _batch_of(genome: str, tracks: list[dict]) -> str:
    """Return the batch that the tracks of a genome name; they must not name several."""
    named = {row["batch"]: row["track"] for row in tracks if row["genome"] == genome}
    named.pop("", None)
    if len(named) > 1:
        listed = ", ".join(f"{track} of {batch}" for batch, track in named.items())
        raise InputError(
            f"genome {genome} has tracks of {len(named)} batches ({listed}); expected one: give "
            "each laboratory a row of its own in the sheet of genomes, with the same FASTA"
        )
    return next(iter(named), "")


def _number_tracks(tracks: list[dict]) -> dict[str, dict[str, dict]]:
    """Return the tracks that are read as numbers, by genome and track."""
    found: dict[str, dict[str, dict]] = {}
    for row in tracks:
        if row["role"] in NUMBER_ROLES:
            found.setdefault(row["genome"], {})[row["track"]] = row
    return found


def _screen(name: str, settings: dict, genomes: Mapping[str, Genome], tracks: list[dict]) -> Screen:
    """Resolve one screen against the sheets."""
    where = f"config: screens.{name}"
    try:
        stages = resolve_stages(settings)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    if bool(settings["train_genomes"]) == bool(stages):
        found = "both train_genomes and" if stages else "neither train_genomes nor"
        raise InputError(f"{where} has {found} stages; expected one of them")
    if stages:
        settings = settings | {"train_genomes": stage_genomes(settings)}
    used = list(dict.fromkeys([*settings["train_genomes"], *settings["scan_genomes"]]))
    for key in ("train_genomes", "scan_genomes"):
        for genome in settings[key]:
            if genome not in genomes:
                raise InputError(
                    f"{where}.{key} names genome {genome!r}; {nearest(genome, genomes)}"
                )
    try:
        architecture = resolve_network(settings["model"])
        check_custom(architecture, settings)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    left_out = settings["leave_out"]
    chosen = {genome: _tracks_of(genome, settings, tracks) for genome in used}
    labelled = tuple(
        genome for genome in used if _has_sites(genomes[genome], chosen[genome], settings)
    )
    screen = Screen(
        name,
        settings,
        tuple(name for name in settings["train_genomes"] if genomes[name].batch not in left_out),
        tuple(settings["scan_genomes"]),
        labelled,
        chosen,
        architecture,
        tuple(name for name in settings["train_genomes"] if genomes[name].batch in left_out),
        {name: genomes[name].batch for name in used if genomes[name].batch},
        stages,
    )
    check_screen(screen, genomes, tracks, where)
    return screen


def _tracks_of(genome: str, settings: dict, tracks: list[dict]) -> list[dict]:
    """Return the tracks of a genome that concern the classes of a screen."""
    classes = settings["classes"]
    return [
        row
        for row in tracks
        if row["genome"] == genome
        and row["role"] not in NUMBER_ROLES
        and (not row["class"] or row["class"].startswith(COLUMN_CLASS) or row["class"] in classes)
    ]


def _has_sites(genome: Genome, tracks: list[dict], settings: dict) -> bool:
    """Return whether a genome has an annotation that is asked for, or a track of sites."""
    annotated = any(item["site"] for item in settings["classes"].values())
    return bool(annotated and genome.annotation) or any(row["role"] == "site" for row in tracks)
