"""Motif files: position frequency matrices in JASPAR format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genomesieve.alphabet import Alphabet
from genomesieve.compression import read_lines
from genomesieve.errors import InputError

_MOST_COUNTED = 1e12


@dataclass(frozen=True)
class Motif:
    """A position frequency matrix.

    Parameters
    ----------
    identifier : str
        Such as MA0139.2.
    name : str
        Such as CTCF.
    counts : numpy.ndarray, shape=(letters, width)
    """

    identifier: str
    name: str
    counts: np.ndarray

    def log_odds(self, background: np.ndarray, pseudocount: float = 1.0) -> np.ndarray:
        """Return log2 odds against a background, shape=(letters, width).

        Parameters
        ----------
        background : numpy.ndarray, shape=(letters,)
            Frequencies, sum 1.
        pseudocount : float
            Counts added to each column, spread as the background.
        """
        counts = self.counts + pseudocount * background[:, None]
        return np.log2(counts / counts.sum(0) / background[:, None])


def read_jaspar(path: Path, alphabet: Alphabet) -> list[Motif]:
    """Read a motif file in JASPAR format (`>ID name`, then `A [ 1 2 3 ]` a letter), gzip or not.

    Raises
    ------
    InputError
        With the line number, if the file is not in that format.
    """
    motifs: list[Motif] = []
    header, rows, number = None, {}, 0
    for number, line in read_lines(path, "motif file"):
        if line.startswith(">"):
            _check_complete(path, number, header, rows, alphabet)
            header, rows = line[1:].split(), {}
        elif line.strip():
            letter, values = _read_row(path, number, line, alphabet)
            if letter in rows:
                raise InputError(
                    f"{path} line {number}: a second row of {letter}; expected one a motif"
                )
            rows[letter] = values
            if len(rows) == alphabet.size:
                motifs.append(_finish(path, number, header, rows, alphabet))
    _check_complete(path, number, header, rows, alphabet)
    if not motifs:
        raise InputError(f"motif file {path} holds no motif; expected JASPAR format")
    return motifs


def _check_complete(path: Path, number: int, header, rows, alphabet: Alphabet) -> None:
    """Refuse a motif that ends before all its letters had a row."""
    if (header is not None or rows) and len(rows) < alphabet.size:
        raise InputError(
            f"{path} line {number}: the motif before ends after {len(rows)} rows; expected one for "
            f"each of {alphabet.letters}"
        )


def _read_row(path: Path, number: int, line: str, alphabet: Alphabet) -> tuple[str, list[float]]:
    """Read the counts of one letter."""
    match = re.match(r"^\s*([A-Za-z])\s*\[?([\d.\seE+-]+)\]?\s*$", line, re.ASCII)
    if match is None or match[1].upper() not in alphabet.letters:
        raise InputError(
            f"{path} line {number}: {line.strip()[:40]!r}; expected a letter and its counts, "
            "such as A [ 1 2 3 ]"
        )
    try:
        values = [float(value) for value in match[2].split()]
    except ValueError:
        values = [-1.0]
    if not values or not all(0 <= value <= _MOST_COUNTED for value in values):
        raise InputError(
            f"{path} line {number}: {line.strip()[:40]!r}; expected counts from 0 to "
            f"{_MOST_COUNTED:g}"
        )
    return match[1].upper(), values


def _finish(path: Path, number: int, header, rows, alphabet: Alphabet) -> Motif:
    """Make a motif of a header and complete rows."""
    widths = {len(values) for values in rows.values()}
    if not header or len(widths) != 1:
        raise InputError(
            f"{path} line {number}: motif without a `>ID name` line or with rows of different "
            f"lengths {sorted(widths)}"
        )
    counts = np.array([rows[letter] for letter in alphabet.letters])
    # Some files name the taxon after the name; JASPAR names hold no blank.
    return Motif(header[0], header[min(1, len(header) - 1)], counts)


def find_motifs(motifs: list[Motif], wanted: str, source: str) -> list[Motif]:
    """Return the motifs with an identifier, or else with a name (any case).

    Raises
    ------
    InputError
        If there is none.
    """
    found = [motif for motif in motifs if motif.identifier == wanted]
    found = found or [motif for motif in motifs if motif.name.upper() == wanted.upper()]
    if not found:
        raise InputError(f"motif {wanted!r} is not in {source}; expected an identifier or a name")
    return found
