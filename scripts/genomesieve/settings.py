"""Settings that a user gives, checked against the defaults that they complete."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from genomesieve.errors import InputError

MOST_BIGWIGS = 20
"""Classes that get tracks unless others are asked for: a screen may have hundreds."""

_NAMES = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a table"}


def nearest(wrong: str, known: Iterable[str]) -> str:
    """Return a hint: the name that was probably meant, or all there are."""
    known = list(known)
    near = difflib.get_close_matches(wrong, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"expected one of {', '.join(known) or '(none)'}"


def complete_settings(section: str, given: object, defaults: Mapping[str, object]) -> dict:
    """Return the defaults with the given values in their place.

    Parameters
    ----------
    section : str
        What the settings belong to, for messages (`training`).
    given : object
        A mapping from setting to value; anything else is an error.
    defaults : mapping of str to object
        Every setting that exists. A value must have its default's type (whole numbers may stand for
        numbers, lists for tuples, of items like the default's first); a default of None takes any.

    Raises
    ------
    InputError
        If a setting is unknown or its value has another type.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{section} is {given!r}; expected a table of settings")
    return dict(defaults) | {
        key: _checked(section, key, value, defaults) for key, value in given.items()
    }


def _checked(section: str, key: str, value: object, defaults: Mapping[str, object]) -> object:
    """Return one value in the type of its default."""
    if key not in defaults:
        raise InputError(f"{section}.{key}: there is no such setting; {nearest(key, defaults)}")
    default = defaults[key]
    if default is None:
        return value
    kind = list if isinstance(default, tuple) else type(default)
    if kind is list and isinstance(value, list | tuple):
        items = [default[0] if len(default) else None] * len(value)
        if all(like is None or _is_like(item, type(like)) for item, like in zip(value, items)):
            return type(default)(value)
    elif _is_like(value, kind):
        return float(value) if kind is float else value
    expected = _NAMES.get(kind, kind.__name__)
    raise InputError(f"{section}.{key} is {value!r}; expected {expected}, such as {default!r}")


def _is_like(value: object, kind: type) -> bool:
    """Tell whether a value may stand where one of type `kind` does; true is no number."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)


def bigwig_classes(classes: Sequence[str], asked: Sequence[str] | None) -> list[str]:
    """Return the classes that get bigWig tracks: those asked for, else the first 20.

    Raises
    ------
    InputError
        If a class is asked for that there is not.
    """
    if asked is None:
        return list(classes[:MOST_BIGWIGS])
    for name in asked:
        if name not in classes:
            raise InputError(f"bigwigs names class {name!r}; {nearest(name, classes)}")
    return [name for name in classes if name in asked]


def require_above_zero(section: str, settings: Mapping[str, object], *names: str) -> None:
    """Raise InputError for the first of some settings that is not above 0."""
    for name in names:
        if not settings[name] > 0:
            raise InputError(f"{section}.{name} is {settings[name]!r}; expected above 0")
