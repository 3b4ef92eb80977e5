"""Whether what a configuration asks for fits together: sheets, screens, networks and splits."""

from __future__ import annotations

import math
from collections.abc import Mapping

from genomesieve.architecture import Architecture
from genomesieve.auxiliary_settings import resolve_auxiliary
from genomesieve.custom_settings import CustomSettings, check_sources, output_order
from genomesieve.errors import InputError
from genomesieve.files import existing_file
from genomesieve.plan import COLUMN_CLASS, NUMBER_ROLES, Genome, Screen
from genomesieve.settings import bigwig_classes, nearest


def check_tracks(tracks: list[dict], genomes: Mapping, settings: dict) -> None:
    """Raise InputError for a track of an unknown genome or of a class that no screen has."""
    classes = {name for screen in settings["screens"].values() for name in screen["classes"]}
    for row in tracks:
        where = f"{settings['tracks']}: track {row['track']}"
        if row["genome"] not in genomes:
            hint = nearest(row["genome"], genomes)
            raise InputError(
                f"{where} is on genome {row['genome']!r}, not a row of "
                f"{settings['genomes']}; {hint}"
            )
        name = row["class"]
        if name and not name.startswith(COLUMN_CLASS) and name not in classes:
            raise InputError(
                f"{where} has class {name!r}, which no screen has; {nearest(name, classes)}"
            )
        if row["role"] == "site" and not name:
            raise InputError(f"{where} has role site and no class; expected a class or column:4")
        _check_format(row, where)


def _check_format(row: dict, where: str) -> None:
    """Raise InputError where the role of a track and its format or class do not fit."""
    numbers = row["role"] in NUMBER_ROLES
    if numbers and row["format"] in ("gtf", "gff3"):
        raise InputError(
            f"{where} has role {row['role']} and format {row['format']}; expected bigwig, bed, "
            "narrowPeak or broadPeak"
        )
    if not numbers and row["format"] == "bigwig":
        raise InputError(
            f"{where} has role {row['role']} and format bigwig; expected role "
            f"{' or '.join(NUMBER_ROLES)}, or intervals"
        )
    if row["role"] == "signal" and row["class"]:
        raise InputError(f"{where} has role signal and class {row['class']!r}; expected no class")


def check_custom(architecture: Architecture, settings: dict) -> None:
    """Raise InputError unless a network of the user's own can be imported for a screen."""
    declared = architecture.settings
    if not isinstance(declared, CustomSettings):
        return
    check_sources(declared)
    output_order(declared, list(settings["classes"]), settings["labels"])
    for key, given in (
        ("training", settings["training"]),
        ("seeds", settings["seeds"][1:] and settings["seeds"]),
        ("hard_negatives.rounds", settings["hard_negatives"]["rounds"]),
    ):
        if given:
            raise InputError(
                f"{key} is {given}; expected {'one' if key == 'seeds' else 'none'}: a custom "
                "network is imported with its weights and not trained"
            )


def check_screen(
    screen: Screen, genomes: Mapping[str, Genome], tracks: list[dict], where: str
) -> None:
    """Raise InputError for the first thing of a screen that does not fit the rest.

    Parameters
    ----------
    screen : Screen
    genomes : mapping of str to Genome
    tracks : list of dict
        All rows of the sheet of tracks.
    where : str
        Heads messages: the screen's place in the configuration.
    """
    _check_stages(screen, where)
    _check_batches(screen, where)
    _check_classes(screen, where)
    _check_sources(screen, genomes, where)
    _check_model(screen, where)
    _check_split(screen, where)
    _check_same_splits(screen, genomes, where)
    _check_signals(screen, tracks, where)
    _check_auxiliary(screen, tracks, where)
    _check_explanation(screen, where)
    _check_variants(screen, genomes, where)
    _check_designs(screen, genomes, where)


def _check_explanation(screen: Screen, where: str) -> None:
    """Raise InputError where calls cannot be explained by their bases alone."""
    if screen.settings["explain"] is not False and screen.signals:
        raise InputError(
            f"{where}.explain: the network sees {', '.join(screen.signals)} beside the sequence; "
            "expected no signals, or explain: false"
        )


def _check_stages(screen: Screen, where: str) -> None:
    """Raise InputError where stages do not fit the rest of a screen."""
    if not screen.stages:
        return
    for key, given in (
        ("hard_negatives.rounds", screen.settings["hard_negatives"]["rounds"]),
        ("leave_out", screen.settings["leave_out"]),
    ):
        if given:
            raise InputError(f"{where}.{key} is {given} and there are stages; expected none")
    for stage in screen.stages.values():
        if stage.measured_on not in screen.evaluated_genomes:
            raise InputError(
                f"{where}.stages.{stage.name} is measured on {stage.measured_on}; expected one of "
                f"scan_genomes with known sites ({', '.join(screen.evaluated_genomes)})"
            )


def _check_batches(screen: Screen, where: str) -> None:
    """Raise InputError where batches do not fit what is left out or normalised by them."""
    found = [screen.batches[name] for name in screen.left_out]
    for batch in screen.settings["leave_out"]:
        if batch not in found:
            raise InputError(
                f"{where}.leave_out names {batch!r}, no batch of a training genome; "
                f"{nearest(batch, dict.fromkeys(screen.batches.values()))}"
            )
    if not screen.train_genomes:
        raise InputError(f"{where}.leave_out leaves no genome to learn from; expected one or more")
    for name in screen.left_out:
        if name not in screen.scan_genomes:
            raise InputError(
                f"{where}.scan_genomes lacks {name}, whose batch {screen.batches[name]} is left "
                "out; expected it there, to be evaluated"
            )
    if getattr(screen.architecture.settings, "norm", "") == "domain":
        for name in screen.train_genomes:
            if name not in screen.batches:
                raise InputError(
                    f"{where}.model.norm is domain and training genome {name} has no batch; "
                    "expected one in the sheet of tracks"
                )


def _check_same_splits(screen: Screen, genomes: Mapping[str, Genome], where: str) -> None:
    """Raise InputError where one FASTA is split in two ways: what one learns, the other tests."""
    seen: dict[str, str] = {}
    for name in screen.split_genomes:
        first = seen.setdefault(genomes[name].fasta, name)
        same = genomes[name].regions == genomes[first].regions
        if not same or screen.settings["split"][name] != screen.settings["split"][first]:
            raise InputError(
                f"{where}.split: {first} and {name} have the same FASTA; expected the same split "
                "and the same regions, so that one does not learn what the other is tested on"
            )


def _check_signals(screen: Screen, tracks: list[dict], where: str) -> None:
    """Raise InputError unless every genome has every channel that the network sees."""
    known = {(row["genome"], row["track"]) for row in tracks if row["role"] == "signal"}
    if screen.signals and screen.imported:
        raise InputError(
            f"{where}.signals is {list(screen.signals)} and the network is custom; expected none: "
            "a network of your own sees the sequence alone"
        )
    for genome in screen.used_genomes:
        for name in screen.signals:
            if (genome, name) not in known:
                raise InputError(
                    f"{where}.signals names {name!r}, which genome {genome} lacks; expected a "
                    "track of role signal with that name for every genome of the screen"
                )


def _check_variants(screen: Screen, genomes: Mapping[str, Genome], where: str) -> None:
    """Raise InputError where variants are on no genome, or the network sees more than sequence."""
    for name, one in screen.settings["variants"].items():
        if one["genome"] not in genomes:
            raise InputError(
                f"{where}.variants.{name} is on genome {one['genome']!r}, not a row of the sheet; "
                f"{nearest(one['genome'], genomes)}"
            )
        if screen.signals:
            raise InputError(
                f"{where}.variants.{name}: the network sees {', '.join(screen.signals)} beside the "
                "sequence; expected no signals: nobody knows them of the other allele"
            )


def _check_designs(screen: Screen, genomes: Mapping[str, Genome], where: str) -> None:
    """Raise InputError where designs are on no genome or want classes that there are not."""
    for name, one in screen.settings["designs"].items():
        here = f"{where}.designs.{name}"
        if one["genome"] not in genomes:
            raise InputError(
                f"{here} is on genome {one['genome']!r}, not a row of the sheet; "
                f"{nearest(one['genome'], genomes)}"
            )
        for kind in one["target"]:
            if kind not in screen.settings["classes"]:
                raise InputError(
                    f"{here}.target: {kind!r} is no class; "
                    f"{nearest(kind, screen.settings['classes'])}"
                )
        if screen.signals:
            raise InputError(
                f"{here}: the network sees {', '.join(screen.signals)} beside the sequence; "
                "expected no signals: nobody knows them of changed sequence"
            )


def _check_auxiliary(screen: Screen, tracks: list[dict], where: str) -> None:
    """Raise InputError unless what is learned beside the classes can be, on every genome."""
    given = screen.settings["auxiliary"]
    if given and screen.imported:
        raise InputError(
            f"{where}.auxiliary is {given}; expected none: a custom network is not trained"
        )
    try:
        resolve_auxiliary(given, screen.architecture)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
    for track in screen.auxiliary_tracks:
        for genome in screen.train_genomes:
            known = [row["track"] for row in tracks if _is_auxiliary(row, genome)]
            if track not in known:
                raise InputError(
                    f"{where}.auxiliary names track {track!r}, not a track of role auxiliary on "
                    f"{genome}; {nearest(track, known)}"
                )


def _is_auxiliary(row: dict, genome: str) -> bool:
    """Tell whether a row of the sheet of tracks can be learned on a genome."""
    return row["role"] == "auxiliary" and row["genome"] == genome


def _check_classes(screen: Screen, where: str) -> None:
    """Raise InputError where classes are mixed that cannot be, or tracks of others asked for."""
    try:
        bigwig_classes(list(screen.settings["classes"]), screen.settings["scan"]["bigwigs"])
    except InputError as error:
        raise InputError(f"{where}.scan.{error}") from None
    kinds = {item["stranded"] for item in screen.settings["classes"].values()}
    if len(kinds) > 1:
        raise InputError(
            f"{where}.classes mixes stranded and unstranded classes; expected one kind (make two "
            "screens)"
        )


def _check_sources(screen: Screen, genomes: Mapping[str, Genome], where: str) -> None:
    """Raise InputError where a training genome or a class has no source of sites."""
    for genome in screen.split_genomes:
        if genome not in screen.labelled_genomes:
            raise InputError(
                f"{where}.train_genomes names {genome!r}, which has neither an annotation nor a "
                "track of sites; expected known sites to learn from"
            )
    rows = [row for genome in screen.train_genomes for row in screen.tracks[genome]]
    named = {row["class"] for row in rows if row["role"] == "site"}
    by_column = any(name.startswith(COLUMN_CLASS) for name in named)
    annotated = any(genomes[genome].annotation for genome in screen.train_genomes)
    for name, item in screen.settings["classes"].items():
        if not (name in named or by_column or (item["site"] and annotated)):
            raise InputError(
                f"{where}.classes.{name} has no sites in {', '.join(screen.train_genomes)}; "
                "expected a track of that class, or `site` and an annotation"
            )


def _check_model(screen: Screen, where: str) -> None:
    """Raise InputError where classes, windows and network do not fit together."""
    mode = screen.settings["reverse_complement"]
    if screen.stranded and mode != "augment":
        raise InputError(
            f"{where}.reverse_complement is {mode} and the classes are stranded; expected augment: "
            "a model that says the same of both strands cannot tell them apart"
        )
    length, stride = screen.settings["sampling"]["length"], screen.architecture.stride
    if length % stride:
        raise InputError(
            f"{where}.sampling.length is {length} bp; expected a multiple of {stride} bp, the "
            "bin or window of the model"
        )


def _check_split(screen: Screen, where: str) -> None:
    """Raise InputError where the split, the scanned parts or the targets do not fit together."""
    split = screen.settings["split"]
    for genome in screen.split_genomes:
        if genome not in split:
            raise InputError(f"{where}.split lacks training genome {genome!r}")
    for genome, rule in split.items():
        if genome not in screen.split_genomes:
            hint = nearest(genome, screen.split_genomes)
            raise InputError(f"{where}.split names {genome!r}, not a training genome; {hint}")
        if sum(key in rule for key in ("contigs", "fractions", "table")) != 1:
            raise InputError(f"{where}.split.{genome} needs one of contigs, fractions and table")
        total = math.fsum(rule.get("fractions", {"": 1}).values())
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise InputError(f"{where}.split.{genome}.fractions add up to {total:g}; expected 1")
        if "table" in rule:
            existing_file(rule["table"], f"table of the split of {genome}")
            continue
        parts = rule.get("contigs", rule.get("fractions"))
        missing = [part for part in screen.settings["scan_parts"] if part not in parts]
        if genome in screen.scan_genomes and missing:
            raise InputError(f"{where}.scan_parts names {missing[0]!r}, which split.{genome} lacks")
    calibration = screen.settings["calibration"]
    if calibration["operating"] not in calibration["precision_targets"]:
        raise InputError(
            f"{where}.calibration.operating is {calibration['operating']}; expected one of "
            f"precision_targets {calibration['precision_targets']}"
        )
