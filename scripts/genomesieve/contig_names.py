"""Names of contigs: those of a FASTA against those of an annotation or a track."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genomesieve.compression import read_lines
from genomesieve.errors import InputError, first_names


def read_aliases(path: Path | None, contigs: Iterable[str]) -> dict[str, str]:
    """Read a table of aliases: two columns, name elsewhere and name in the FASTA.

    Raises
    ------
    InputError
        With the line, for a row without two columns or a name that the FASTA lacks.
    """
    if path is None:
        return {}
    known, aliases = set(contigs), {}
    for number, text in read_lines(path, "table of aliases"):
        if not text.strip() or text.startswith("#"):
            continue
        cells = text.split("\t")
        if len(cells) != 2:
            raise InputError(f"{path} line {number}: {len(cells)} columns; expected 2")
        if cells[1] not in known:
            raise InputError(
                f"{path} line {number}: {cells[1]!r} is no contig of the FASTA; expected one of "
                f"{first_names(sorted(known))}"
            )
        if aliases.get(cells[0], cells[1]) != cells[1]:
            raise InputError(
                f"{path} line {number}: {cells[0]!r} stands for {aliases[cells[0]]!r} and for "
                f"{cells[1]!r}; expected one name in the FASTA"
            )
        aliases[cells[0]] = cells[1]
    return aliases


def require_shared_names(found: Iterable[str], contigs: Iterable[str], path: Path) -> None:
    """Raise InputError if a file names no contig of the genome at all."""
    found, contigs = list(dict.fromkeys(found)), list(contigs)
    if set(found) & set(contigs):
        return
    raise InputError(
        f"{path} names contigs {first_names(found, 3)}; the FASTA has {first_names(contigs, 3)}: "
        "no name is shared. Expected the same names, or a table of aliases (two columns: name in "
        "this file, name in the FASTA)"
    )
