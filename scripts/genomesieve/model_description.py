"""The settings of a model (model.json), read and checked before anything is made of them.

A model folder may come from anywhere. Names in it become names of files, numbers become sizes of
arrays, so nothing is used before it was found to be what `calibrate_model` writes. Neither half's
heavy libraries are needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import genomesieve
from genomesieve.architecture import REVERSE_COMPLEMENTS
from genomesieve.errors import InputError
from genomesieve.files import read_json

FORMAT = 2
"""Newest format that is read. Format 2 is an ensemble; single networks are written as format 1."""
PRECISIONS = ("float32", "bfloat16")
LABELS = ("exclusive", "independent")
NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+-]{0,99}")
"""Names of classes and channels: they lead names of files."""

_MOST_CODES = 1 << 16
_MOST_ELEMENTS = (1 << 31) - 1
_LARGEST = 1 << 53
_LONGEST_SHOWN = 80

_Check = tuple[Callable[[object], bool], str]
"""What must hold of a value, and what to say that it should be."""


def is_whole(value: object, least: int = 0, most: int = _LARGEST) -> bool:
    """Tell whether a value is a whole number in a range; true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Tell whether a value is a finite number in a range; true is none."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value) and least <= value <= most


def is_share(value: object) -> bool:
    """Tell whether a value is a number from 0 to 1."""
    return is_number(value, 0, 1)


def _is_list(value: object, holds: Callable[[object], bool], least: int = 0) -> bool:
    """Tell whether a value is a list of at least so many items, all of one kind."""
    return isinstance(value, list) and len(value) >= least and all(map(holds, value))


def _is_text(value: object) -> bool:
    """Tell whether a value is text of one line."""
    return isinstance(value, str) and value.isprintable()


def _are_names(value: object, least: int) -> bool:
    """Tell whether a value is a list of different names that may stand in names of files."""
    known = _is_list(
        value, lambda item: isinstance(item, str) and bool(NAME.fullmatch(item)), least
    )
    return known and len(set(value)) == len(value)


def _is_optional_table(value: object) -> bool:
    """Tell whether a value is a table, or null."""
    return value is None or isinstance(value, dict)


def _rise(values: list) -> bool:
    """Tell whether numbers do not fall."""
    return all(one <= other for one, other in zip(values, values[1:]))


_MODEL: dict[str, _Check] = {
    "name": (lambda v: _is_text(v) and v != "", "text"),
    "architecture": (lambda v: isinstance(v, dict), "a table of settings"),
    "classes": (lambda v: _are_names(v, 1), "different names of letters, digits, _, + and -"),
    "stranded": (lambda v: _is_list(v, lambda item: isinstance(item, bool), 1), "true or false"),
    "labels": (lambda v: v in LABELS, " or ".join(LABELS)),
    "calibration": (_is_optional_table, "a table, or null"),
}
_OPTIONAL: dict[str, _Check] = {
    "resolution": (lambda v: is_whole(v, 1), "bp"),
    "context": (is_whole, "bp"),
    "stride": (lambda v: is_whole(v, 1), "bp"),
    "reverse_complement": (
        lambda v: isinstance(v, str) and v in REVERSE_COMPLEMENTS,
        f"one of {', '.join(REVERSE_COMPLEMENTS)}",
    ),
    "signals": (lambda v: _are_names(v, 0), "different names of letters, digits, _, + and -"),
    "laboratories": (lambda v: _is_list(v, _is_text), "names"),
    "member_seeds": (lambda v: v is None or _is_list(v, is_whole), "seeds"),
    "training": (_is_optional_table, "a table"),
    "scan_plan": (_is_optional_table, "a table, or null"),
    "code": (_is_optional_table, "a table, or null"),
}
_PLAN: dict[str, _Check] = {
    "chunk": (lambda v: is_whole(v, 1, _MOST_ELEMENTS), "bp a row"),
    "batch": (lambda v: is_whole(v, 1, _MOST_ELEMENTS), "rows"),
    "precision": (lambda v: v in PRECISIONS, " or ".join(PRECISIONS)),
}
_OPTIONAL_PLAN: dict[str, _Check] = {
    "held_bases": (lambda v: is_whole(v, 1), "bp"),
    "compile": (lambda v: isinstance(v, bool), "true or false"),
}
_CLASS: dict[str, _Check] = {
    "slope": (is_number, "a number"),
    "intercept": (is_number, "a number"),
    "floor_code": (lambda v: is_whole(v, 0, _MOST_CODES - 1), "a score code"),
    "prevalence": (is_share, "a share"),
    "min_distance": (lambda v: is_whole(v, 1), "bp"),
    "match_distance": (is_whole, "bp"),
    "thresholds": (lambda v: _is_list(v, lambda item: isinstance(item, dict), 1), "thresholds"),
    "operating": (is_whole, "which threshold calls are written at"),
    "fdr_codes": (
        lambda v: _is_list(v, lambda code: is_whole(code, 0, _MOST_CODES - 1)) and _rise(v),
        "score codes, ascending",
    ),
    "fdr": (lambda v: _is_list(v, is_share), "shares"),
}
_THRESHOLD: dict[str, _Check] = {
    "precision_target": (is_share, "a share"),
    "code": (lambda v: is_whole(v, 0, _MOST_CODES - 1), "a score code"),
    "reached": (lambda v: isinstance(v, bool), "true or false"),
    "precision": (is_share, "a share"),
    "lower_bound": (is_share, "a share"),
    "recall": (is_share, "a share"),
    "calls": (is_whole, "a count"),
    "design_effect": (lambda v: is_number(v, 1), "a number of 1 or more"),
    "bootstrap_quantiles": (lambda v: _is_list(v, is_share) and _rise(v), "shares, ascending"),
}


def read_description(path: Path) -> dict:
    """Read model.json and check everything that other code relies on.

    Raises
    ------
    InputError
        Naming the key, what was found and what was expected.
    """
    content = read_json(path, "model description")
    if not isinstance(content, dict) or not is_whole(content.get("format"), 1):
        raise InputError(f"{path} has no whole number `format`; expected a genomesieve model.json")
    if content["format"] > FORMAT:
        raise InputError(
            f"{path} has format {content['format']}; this genomesieve "
            f"({genomesieve.__version__}) reads formats up to {FORMAT}: update genomesieve"
        )
    missing = [key for key in _MODEL if key not in content]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; expected a genomesieve model.json")
    _check(content, _MODEL, str(path))
    _check(content, _present(content, _OPTIONAL), str(path))
    if len(set(content["stranded"])) != 1 or len(content["stranded"]) != len(content["classes"]):
        raise InputError(
            f"{path}: `stranded` is {content['stranded']}; expected one value a class, all alike"
        )
    if content.get("scan_plan"):
        _check_plan(content, path)
    if content["calibration"]:
        _check_calibration(content["calibration"], content["classes"], path)
    return content


def require_calibrated(calibration: Mapping | None, classes: list[str], model: str | Path) -> None:
    """Raise InputError unless all classes of a model are calibrated."""
    known = (calibration or {}).get("classes", {})
    lacking = [name for name in classes if name not in known]
    if lacking:
        raise InputError(
            f"model {model} is not calibrated for {', '.join(lacking)}; "
            "expected a folder written by calibrate_model"
        )


def _check_plan(content: Mapping, path: Path) -> None:
    """Raise InputError unless scans can be cut as a plan says."""
    plan, where = content["scan_plan"], f"{path}: scan_plan"
    _check(plan, _PLAN, where)
    _check(plan, _present(plan, _OPTIONAL_PLAN), where)
    unknown = [key for key in plan if key not in {**_PLAN, **_OPTIONAL_PLAN}]
    if unknown:
        raise InputError(f"{where} has {_shown(unknown[0])}; expected no such key")
    stride = content.get("stride", 1)
    if plan["chunk"] % stride or plan["chunk"] * plan["batch"] > _MOST_ELEMENTS:
        raise InputError(
            f"{where}: {plan['batch']} rows of {plan['chunk']} bp; expected a multiple of {stride} "
            f"bp a row, and at most {_MOST_ELEMENTS} bp together"
        )


def _check_calibration(calibration: Mapping, classes: list[str], path: Path) -> None:
    """Raise InputError unless a calibration has everything for each class that it names."""
    where = f"{path}: calibration"
    known = calibration.get("classes")
    if not isinstance(known, dict):
        raise InputError(f"{where} has no table `classes`; expected one entry a class")
    counts: dict[str, _Check] = {
        "bins": (is_whole, "a count"),
        "genomes": (lambda v: _is_list(v, _is_text), "names of genomes"),
    }
    _check(calibration, _present(calibration, counts), where)
    for name in classes:
        if name in known:
            _check_class(known[name], f"{where}.classes.{name}")


def _check_class(one: object, where: str) -> None:
    """Raise InputError unless the calibration of a class is complete."""
    if not isinstance(one, dict):
        raise InputError(f"{where} is {_shown(one)}; expected a table")
    _check(one, _CLASS, where)
    if len(one["fdr"]) != len(one["fdr_codes"]):
        raise InputError(
            f"{where}: {len(one['fdr'])} values in `fdr`; expected {len(one['fdr_codes'])}, one "
            "for each of `fdr_codes`"
        )
    if one["operating"] >= len(one["thresholds"]):
        raise InputError(
            f"{where}: `operating` is {one['operating']}; expected one of {len(one['thresholds'])} "
            "thresholds, counted from 0"
        )
    for number, threshold in enumerate(one["thresholds"]):
        _check(threshold, _THRESHOLD, f"{where}.thresholds[{number}]")


def _present(table: Mapping, checks: Mapping[str, _Check]) -> dict[str, _Check]:
    """Return the checks of keys that are there."""
    return {key: check for key, check in checks.items() if key in table}


def _check(table: Mapping, checks: Mapping[str, _Check], where: str) -> None:
    """Raise InputError for a value of a table that is not what it should be."""
    for key, (holds, expected) in checks.items():
        if key not in table:
            raise InputError(f"{where} lacks `{key}`; expected {expected}")
        value = table[key]
        if not holds(value):
            raise InputError(f"{where}: `{key}` is {_shown(value)}; expected {expected}")


def _shown(value: object) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
