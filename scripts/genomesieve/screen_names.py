"""What a new screen, its genomes, its classes and its files are called."""

from __future__ import annotations

import re
from pathlib import Path

from genomesieve.errors import InputError
from genomesieve.model_description import NAME

_ENDING = re.compile(r"\.[A-Za-z]\w{0,9}")
_LONGEST = 60


def named_file(text: str) -> tuple[str, Path]:
    """Split `NAME=FILE` or `FILE`; a name is made of the file's where none is given."""
    name, _, path = text.partition("=")
    if is_named(text):
        return name, Path(path)
    return name_of(Path(text)), Path(text)


def is_named(text: str) -> bool:
    """Tell whether a text is `NAME=FILE`, and not a file whose name holds a `=`."""
    return "=" in text and not Path(text).is_file()


def name_of(path: Path) -> str:
    """Make a name for configuration and folders of a file's name."""
    stem = path.name
    for suffix in reversed(path.suffixes):
        if _ENDING.fullmatch(suffix):
            stem = stem.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9_+-]+", "_", stem).strip("-_")[:_LONGEST] or "genome"


def require_name(name: str, what: str) -> None:
    """Raise InputError unless a name can become a folder and a column."""
    if not NAME.fullmatch(name):
        raise InputError(f"{what} {name!r}; expected letters, digits, _, + and -: NAME=FILE")


def shown_path(path: Path) -> str:
    """Return a path as the sheets name it: from the current folder where it lies below it."""
    here = Path.cwd()
    absolute = here / path
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
