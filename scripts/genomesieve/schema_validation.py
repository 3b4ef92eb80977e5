"""Settings and sheets against their schemas, with one line for people on what is wrong."""

from __future__ import annotations

import copy
import csv
import difflib
import re
from collections.abc import Mapping

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from genomesieve.errors import InputError
from genomesieve.files import existing_file
from genomesieve.settings import nearest

ANY = "*"
"""Stands in the place of a key for names that users choose, in paths of the schema."""
_DEEPEST = 30
_LARGEST_NUMBER = 1 << 53
_MOST_PLACES = 2
_LONGEST_SHOWN = 200


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
