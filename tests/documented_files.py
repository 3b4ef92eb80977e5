"""The columns of files as docs/file_formats.md names them, to compare with what is written."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq

_TABLE = re.compile(r"^### `(?P<file>[^`]+)`\n(?P<body>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `(?P<column>[^`]+)` \| (?P<type>[^|]*) \|", re.MULTILINE)


def documented_columns(page: Path) -> dict[str, re.Pattern]:
    """Return what the columns of each table of the page must look like, by its path.

    The pattern is of the names with a line end after each. A name in braces (`start_{class}`)
    stands for one or more, and a type that ends in `*` marks a column that need not be there.
    Columns with braces that follow each other belong together, as `start_{class}` and
    `end_{class}` do.
    """
    found = {}
    for table in _TABLE.finditer(page.read_text()):
        parts: list[tuple[str, str]] = []
        for row in _ROW.finditer(table["body"]):
            name = re.sub(r"\\\{\w+\\\}", r"[^\\n]+", re.escape(row["column"])) + r"\n"
            several, optional = "{" in row["column"], row["type"].strip().endswith("*")
            times = {(0, 0): "", (0, 1): "?", (1, 0): "+", (1, 1): "*"}[several, optional]
            if several and parts and parts[-1][1] == times:
                name = parts.pop()[0] + name
            parts.append((name, times))
        found[table["file"]] = re.compile("".join(f"(?:{name}){times}" for name, times in parts))
    return found


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns that a table has."""
    if path.suffix == ".parquet":
        return pq.read_schema(path).names
    with path.open() as handle:
        return handle.readline().rstrip("\n").split("\t")


def undocumented(written: dict[str, Path], page: Path) -> list[str]:
    """List the tables whose columns differ from what the page says, with the columns.

    Parameters
    ----------
    written : dict of str to Path
        The file that was written, by the path that the page names it by.
    page : Path
        docs/file_formats.md.
    """
    documented = documented_columns(page)
    return [
        f"{name}: {columns_of(path)}"
        for name, path in written.items()
        if not documented[name].fullmatch("".join(f"{one}\n" for one in columns_of(path)))
    ]
