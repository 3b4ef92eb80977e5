"""Reading plain, gzip and bgzip files alike, with an InputError for damaged ones."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from genomesieve.errors import InputError
from genomesieve.files import existing_file

_GZIP_MAGIC = b"\x1f\x8b"
_BGZF_SUBFIELD = b"BC\x02\x00"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def read_blocks(path: str | os.PathLike, what: str, size: int) -> Iterator[bytes]:
    """Yield the decompressed content of a file in blocks.

    Parameters
    ----------
    path : path-like
        Plain, gzip or bgzip; told apart by the first bytes, not by the name.
    what : str
        What the file is, for messages.
    size : int
        Bytes a block; the last one is shorter.

    Raises
    ------
    InputError
        If the file is missing, unreadable, truncated or damaged.
    """
    path = existing_file(path, what)
    try:
        with _open(path, what) as handle:
            while block := handle.read(size):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(_damage(path, what, error)) from error


def read_lines(path: str | os.PathLike, what: str) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and text of each line, without its line end (LF or CRLF).

    Parameters
    ----------
    path : path-like
        Plain, gzip or bgzip text.
    what : str
        What the file is, for messages.

    Raises
    ------
    InputError
        If the file is missing, unreadable, truncated or damaged.
    """
    path = existing_file(path, what)
    try:
        with io.TextIOWrapper(
            _open(path, what), encoding="utf-8", errors="replace", newline="\n"
        ) as handle:
            for number, line in enumerate(handle, start=1):
                yield number, line.rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(_damage(path, what, error)) from error


def _open(path: Path, what: str) -> BinaryIO:
    """Open a file for reading its decompressed bytes."""
    with path.open("rb") as handle:
        head = handle.read(16)
        if head[:2] != _GZIP_MAGIC:
            return path.open("rb")
        if head[12:16] == _BGZF_SUBFIELD:
            _check_bgzf_end(handle, path, what)
    return gzip.open(path, "rb")


def _check_bgzf_end(handle: BinaryIO, path: Path, what: str) -> None:
    """Refuse a bgzip file cut between two of its blocks, which gzip readers take for whole."""
    end = handle.seek(0, os.SEEK_END)
    handle.seek(max(0, end - len(_BGZF_END)))
    if handle.read() != _BGZF_END:
        raise InputError(
            f"{what} {path} is truncated: found no bgzip end-of-file block; expected one at the end"
        )


def _damage(path: Path, what: str, error: Exception) -> str:
    """Say what is wrong with a file that could not be read to its end."""
    if isinstance(error, EOFError):
        return f"{what} {path} is truncated: the gzip data end early; expected a complete file"
    if isinstance(error, (gzip.BadGzipFile, zlib.error)):
        return f"{what} {path} is damaged: {error}; expected a complete gzip file"
    return f"{what} {path} cannot be read: {error}"
