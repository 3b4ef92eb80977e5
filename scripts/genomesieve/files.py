"""Writing files so that a reader sees either the whole of one or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name when the block succeeds.

    Nothing is left behind when the block fails, and a `path` that existed before stays as it was.
    The temporary name keeps the suffixes of `path`, since some writers choose the format by them.

    Parameters
    ----------
    path : path-like
        Where the finished file shall be; missing folders are made.

    Raises
    ------
    InputError
        If the file cannot be written (disk full, no permission).
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", suffix="-" + path.name, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_files(*paths: str | os.PathLike) -> Iterator[list[Path]]:
    """Yield temporary paths that all take their names when the block succeeds, or none does."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(whole_file(path)) for path in paths]


def _umask() -> int:
    """Return the process's file mode mask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def existing_file(path: str | os.PathLike, what: str) -> Path:
    """Return `path` as a Path, or raise InputError saying which input (`what`) is missing."""
    path = Path(path)
    try:
        known = path.is_file()
    except OSError:  # a name that no file can have
        known = False
    if not known:
        raise InputError(f"{what} {path} does not exist; expected a file")
    return path


def file_digest(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(path: str | os.PathLike, content: object) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike, what: str) -> dict:
    """Read a JSON object; InputError names `what` and the place of the fault.

    NaN and infinities, which `write_json` never writes, are refused: no JSON has them.
    """
    try:
        text = existing_file(path, what).read_text(encoding="utf-8")
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{what} {path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{what} {path} holds no table; expected a JSON object")
    return content


def _refuse_constant(text: str) -> float:
    """Refuse NaN, Infinity and -Infinity."""
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    """Read a number with a fraction or exponent; refuse one that no float holds."""
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as Parquet (`.parquet`) or tab-separated text (anything else), whole."""
    with whole_file(path) as temporary:
        if Path(path).suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, sep="\t", index=False)


def read_table(
    path: str | os.PathLike, what: str, columns: tuple[str, ...] = (), text: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read a Parquet or tab-separated table that genomesieve wrote.

    Parameters
    ----------
    path : path-like
    what : str
        What the table is, for messages.
    columns : tuple of str
        Columns that must be there.
    text : tuple of str
        Columns of a tab-separated table that are text whatever they look like (contig `1`).

    Raises
    ------
    InputError
        If the file is missing, unreadable or lacks a column.
    """
    path = existing_file(path, what)
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            kinds = dict.fromkeys(text, str)
            table = pd.read_csv(path, sep="\t", dtype=kinds, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {path} cannot be read: {error}") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        found = ", ".join(table.columns)
        raise InputError(f"{what} {path} lacks column {', '.join(missing)}; found {found}")
    return table


def read_arrays(
    path: str | os.PathLike, what: str, writer: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file that a script wrote.

    Parameters
    ----------
    path : path-like
    what : str
        What the file holds, for messages.
    writer : str
        The script that writes such files, for messages.
    names : sequence of str or None
        Arrays that have to be there, and are read; None for all that there are.

    Raises
    ------
    InputError
        If the file is missing, damaged or lacks an array.
    """
    existing_file(path, what)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in (stored.files if names is None else names)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{what} {path} cannot be read: {error}; expected what {writer} writes"
        ) from error
