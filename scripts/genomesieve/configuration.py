"""The configuration and its two sheets, checked against each other and resolved into a plan.

Everything that the workflow knows before it runs is decided here: which genomes exist, which of
them each screen trains on and scans, which have known sites, and which files a scan writes.
"""

from __future__ import annotations

import copy
import csv
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from genomesieve.architecture import Architecture, resolve_network
from genomesieve.auxiliary_settings import resolve_auxiliary
from genomesieve.custom_settings import CustomSettings, check_sources, output_order
from genomesieve.errors import InputError
from genomesieve.explanation_settings import expand_explanations
from genomesieve.files import existing_file
from genomesieve.pretraining_plan import (
    ROOT,
    PretrainingPlan,
    check_pretrained,
    resolve_pretrainings,
)
from genomesieve.settings import bigwig_classes, nearest
from genomesieve.sharding import default_shards
from genomesieve.stages import Stage, resolve_stages, stage_genomes
from genomesieve.training_plan import TrainingPlan

COLUMN_CLASS = "column:"
RESERVED_SCREEN = "genomes"
"""No screen's name: encoded genomes are kept in results/genomes."""
RESERVED_PACKAGE = "downloads"
"""No package's name: downloads are kept in resources/downloads."""
ANY = "*"
"""Stands in the place of a key for names that users choose, in paths of the schema."""
_DEEPEST = 30
_LARGEST_NUMBER = 1 << 53
_MOST_PLACES = 2
_LONGEST_SHOWN = 200
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
    _check_tracks(tracks, genomes, settings)
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


def complete(document: Mapping, schema: dict, source: str) -> dict:
    """Return a copy of `document` with the schema's defaults filled in, checked against the schema.

    Raises
    ------
    InputError
        Naming the key and what was expected; a misspelt key comes with the nearest right one.
    """
    if not isinstance(document, Mapping):
        raise InputError(f"{source} is {_shown(document)}; expected a table of settings")
    _check_values(document, source)
    document = copy.deepcopy(dict(document))
    errors = list(_DefaultingValidator(schema).iter_errors(document))
    if errors:
        # A misspelt key also makes the right one missing, so it is reported first.
        errors.sort(key=lambda error: (error.validator != "additionalProperties", list(error.path)))
        raise InputError(f"{source}: {_explain(errors[0], schema)}")
    return document


def read_sheet(path: str, schema: dict, key: str) -> list[dict]:
    """Read a tab-separated sheet whose rows follow `schema`; every cell is text.

    Parameters
    ----------
    path : str
    schema : dict
        JSON schema of one row.
    key : str
        Column of which every row has another value.

    Raises
    ------
    InputError
        Naming the sheet, the line and the column.
    """
    file = existing_file(path, "sheet")
    rows: list[dict] = []
    seen: dict[str, int] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, delimiter="\t", restkey="", restval="")
            _check_header(reader.fieldnames or [], path, schema)
            for row in reader:
                line = f"{path}, line {reader.line_num}"
                if "" in row:
                    expected = len(reader.fieldnames)
                    raise InputError(f"{line}: more cells than the header; expected {expected}")
                row = {name: text.strip() for name, text in row.items()}
                _check_cells(row, line)
                if any(row.values()):
                    rows.append(complete(row, schema, line))
                    _check_unique(rows[-1], key, seen, path, reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"sheet {path} cannot be read as tab-separated text: {error}") from error
    return rows


def _check_header(names: list[str], path: str, schema: dict) -> None:
    """Raise InputError for a column without a name, two of one name, one unknown or one missing."""
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: columns {names}; expected a name each, and once")
    known = list(schema["properties"])
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            split = " separated by tabs" if re.search(r"[,; ]", name) else ""
            raise InputError(f"{path}, line 1: unknown column {_shown(name)}; {hint}{split}")
    for name in schema["required"]:
        if name not in names:
            raise InputError(f"{path}, line 1: column {name!r} is missing; found {names}")


def _check_cells(row: dict[str, str], line: str) -> None:
    """Raise InputError for a cell with line ends or other control characters."""
    for name, text in row.items():
        if not text.isprintable():
            raise InputError(f"{line}: {name} is {text[:40]!r}; expected printable text")


def _check_unique(row: dict, key: str, seen: dict[str, int], path: str, line: int) -> None:
    """Remember a row's key; genomes have one row, tracks one a genome."""
    name = row[key] if key == "genome" else f"{row[key]} on genome {row['genome']}"
    if name in seen:
        raise InputError(
            f"{path}, line {line}: {key} {name} stands in line {seen[name]} already; "
            "expected one row for each"
        )
    seen[name] = line


def _check_values(value: object, where: str, depth: int = 0) -> None:
    """Raise InputError for what YAML can hold and settings cannot.

    Dates, keys that are no text, numbers that are infinite, none at all or beyond what every
    program holds exactly, and documents that hold themselves.
    """
    if depth > _DEEPEST:
        raise InputError(f"{where[:_LONGEST_SHOWN]}: nested too deeply; expected {_DEEPEST} levels")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{where}: key {_shown(key)} is no text; expected quotes around")
            _check_values(item, f"{where}: {key}" if depth == 0 else f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_values(item, where, depth + 1)
    elif isinstance(value, int | float):
        if not abs(value) < _LARGEST_NUMBER:
            raise InputError(f"{where} is {_shown(value)}; expected a number below 2**53")
    elif not isinstance(value, str | None):
        kind = type(value).__name__
        raise InputError(f"{where} is {value} ({kind}); expected text: put quotes around it")


def _shown(value: object) -> str:
    """Return a value as messages show it: on one line and not for pages."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _fill_defaults(validator, properties, instance, schema):
    """Set missing keys to their defaults, then check as usual."""
    if validator.is_type(instance, "object"):
        for name, rule in properties.items():
            if "default" in rule:
                instance.setdefault(name, copy.deepcopy(rule["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](
        validator, properties, instance, schema
    )


def _match_whole(validator, pattern, instance, schema):
    """Match a pattern with the whole text; a `$` alone also matches before a last line end."""
    if isinstance(instance, str) and re.fullmatch(pattern, instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _is_whole(checker, value: object) -> bool:
    """Tell whether a value is a whole number; 2.0 is none, where it names files and counts jobs."""
    return isinstance(value, int) and not isinstance(value, bool)


_DefaultingValidator = validators.extend(
    Draft202012Validator,
    {"properties": _fill_defaults, "pattern": _match_whole},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def _explain(error: ValidationError, schema: dict) -> str:
    """Return one line on what is wrong, where, and what was expected.

    Parameters
    ----------
    error : jsonschema.exceptions.ValidationError
    schema : dict
        The whole schema: a key that has no place where it stands may have one elsewhere.
    """
    where = ".".join(str(part) for part in error.absolute_path) or "the top level"
    found = _shown(error.instance)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        wrong = next(key for key in error.instance if key not in known)
        return f"unknown key {wrong!r} in {where}; {_right_key(wrong, known, error, schema)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{where} lacks the key {missing!r}"
    if error.validator == "type":
        expected = error.validator_value
        expected = expected if isinstance(expected, str) else " or ".join(expected)
        return f"{where} is {found} ({type(error.instance).__name__}); expected {expected}"
    if error.validator == "enum":
        options = [str(item) for item in error.validator_value]
        return f"{where} is {found}; {nearest(str(error.instance), options)}"
    if error.validator == "pattern":
        return f"{where} is {found}; expected text that matches {error.validator_value}"
    if error.validator == "oneOf":
        options = [str(item) for one in error.validator_value for item in one.get("enum", ())]
        return f"{where} is {found}; {nearest(str(error.instance), options)}"
    return f"{where}: {' '.join(error.message.split())[: 2 * _LONGEST_SHOWN]}"


def _right_key(wrong: str, known: list[str], error: ValidationError, schema: dict) -> str:
    """Return a hint: a near key of this table, or the tables that have that key, or all keys."""
    here = [str(part) for part in error.absolute_path]
    near = difflib.get_close_matches(wrong, known, n=1)
    places = _places_of(wrong, schema, schema, ())
    if near:
        # A key of a table of this one is as likely.
        below = [place for place in places if _shared(place, here) == len(here) == len(place) - 1]
        also = f", or {wrong!r} of {_place_in_words(below[0], here)}" if below else ""
        return f"did you mean {near[0]!r}{also}?"
    if not places:
        return nearest(wrong, known)
    most = max(_shared(place, here) for place in places)
    closest = sorted((place for place in places if _shared(place, here) == most), key=len)
    shown = [_place_in_words(place, here) for place in closest[:_MOST_PLACES]]
    return f"it belongs to {' or '.join(shown)}"


def _place_in_words(place: tuple[str, ...], here: list[str]) -> str:
    """Write a path of the schema, with the names that are chosen where a key stands."""
    common = _shared(place, here)
    parts = [
        (here[row] if row < common else "NAME") if one == ANY else one
        for row, one in enumerate(place)
    ]
    return ".".join(parts) or "the top level"


def _places_of(key: str, schema: dict, root: dict, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the paths of all tables of a schema that have a key."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    found = [path] if key in schema.get("properties", ()) else []
    for name, item in schema.get("properties", {}).items():
        found += _places_of(key, item, root, (*path, name))
    more = schema.get("additionalProperties")
    return found + (_places_of(key, more, root, (*path, ANY)) if isinstance(more, dict) else [])


def _shared(place: tuple[str, ...], here: list[str]) -> int:
    """Count the keys that two paths begin with together."""
    count = 0
    for one, other in zip(place, here):
        if one not in (ANY, other):
            break
        count += 1
    return count


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


def _check_tracks(tracks: list[dict], genomes: Mapping, settings: dict) -> None:
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
        _check_custom(architecture, settings)
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
    return screen


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


def _check_custom(architecture: Architecture, settings: dict) -> None:
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
