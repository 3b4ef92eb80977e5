"""An encoded genome on disk: codes of all contigs in one array, and the table of contigs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.errors import InputError, first_names
from genomesieve.files import existing_file, read_json, read_table

CONTIG_COLUMNS = ("contig", "length", "offset")


@dataclass(frozen=True)
class EncodedGenome:
    """A named genome whose codes are mapped from disk, never read as a whole.

    Parameters
    ----------
    name : str
    codes : numpy.ndarray, shape=(total length,), dtype=uint8
        Contigs one after another, in the order of `contigs`.
    contigs : pandas.DataFrame
        Columns contig (str), length (int64, bp), offset (int64, of the first base in `codes`).
    alphabet : Alphabet
    signals : tuple of numpy.ndarray, shape=(total length,), dtype=float16
        Channels that a network sees beside the sequence, one number a base.
    sha256 : str or None
        Of the codes, where they were read and compared with it (`open_checked`).
    """

    name: str
    codes: np.ndarray
    contigs: pd.DataFrame
    alphabet: Alphabet = DNA
    signals: tuple[np.ndarray, ...] = ()
    sha256: str | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike, name: str | None = None) -> EncodedGenome:
        """Map the genome that `encode_genome` wrote to `folder` (codes.npy, contigs.tsv).

        Raises
        ------
        InputError
            If a file is missing or the two do not belong together.
        """
        folder = Path(folder)
        contigs = read_contigs(folder / "contigs.tsv")
        path = existing_file(folder / "codes.npy", "encoded genome")
        try:
            codes = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"encoded genome {path} cannot be read: {error}") from error
        expected = int(contigs["length"].sum())
        if codes.dtype != np.uint8 or codes.shape != (expected,):
            raise InputError(
                f"encoded genome {path} holds {codes.shape} {codes.dtype}; expected "
                f"({expected},) uint8 from {folder / 'contigs.tsv'}"
            )
        return cls(name or folder.name, codes, contigs)

    @classmethod
    def open_checked(cls, folder: str | os.PathLike, name: str | None = None) -> EncodedGenome:
        """Map a genome as `open` does, after its codes were read and compared with their digest.

        A file system that loses a block, or a copy that was cut short and filled up, gives codes
        that look like a genome. Where the summary that `encode_genome` writes beside them is
        missing, nothing is compared.

        Raises
        ------
        InputError
            As `open`, and if the codes are not those that were encoded.
        """
        genome = cls.open(folder, name)
        summary = Path(folder) / "summary.json"
        if not summary.is_file():
            return genome
        expected = read_json(summary, "summary of the genome").get("sha256")
        found = hashlib.sha256(genome.codes).hexdigest()
        if found != expected:
            raise InputError(
                f"encoded genome {Path(folder) / 'codes.npy'} has SHA-256 {found}; expected "
                f"{expected} from {summary}: it changed after it was encoded. Delete it, and the "
                "next run encodes the genome again"
            )
        return replace(genome, sha256=found)

    def index_of(self, contig: str) -> int:
        """Return the row of `contig`, or raise InputError that names it."""
        return contig_index(self.contigs, contig, self.name)

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        """Return codes of [start, end) of a contig, unknown outside the contig.

        Parameters
        ----------
        contig : str
        start, end : int
            0-based half-open; may lie beyond either end of the contig.

        Returns
        -------
        numpy.ndarray, shape=(end - start,), dtype=uint8
        """
        row = self.contigs.iloc[self.index_of(contig)]
        return fetch_window(
            self.codes, int(row["offset"]), int(row["length"]), start, end, self.alphabet.unknown
        )


def fetch_window(
    values: np.ndarray, offset: int, length: int, start: int, end: int, beyond: int
) -> np.ndarray:
    """Copy [start, end) of the contig at `offset` with `length`; `beyond` outside of it."""
    result = np.full(end - start, beyond, dtype=values.dtype)
    inside_start, inside_end = max(start, 0), min(end, length)
    if inside_start < inside_end:
        result[inside_start - start : inside_end - start] = values[
            offset + inside_start : offset + inside_end
        ]
    return result


def gather_windows(
    values: np.ndarray,
    offset: np.ndarray,
    length: np.ndarray,
    start: np.ndarray,
    width: int,
    beyond: int,
) -> np.ndarray:
    """Copy many windows of one width of what has one value a base: codes, or a signal.

    Parameters
    ----------
    values : numpy.ndarray, shape=(total length,)
        All contigs one after another, usually mapped from disk.
    offset, length : numpy.ndarray, shape=(N,), dtype=int64
        First base of each window's contig in `values`, and bases of that contig.
    start : numpy.ndarray, shape=(N,), dtype=int64
        First base of each window, counted from its contig's start; may be negative.
    width : int
        Bases a window.
    beyond : int
        Value beyond the ends of a contig: the code of an unknown base, 0 for a signal.

    Returns
    -------
    numpy.ndarray, shape=(N, width), dtype of `values`
    """
    crossing = (start < 0) | (start + width > length)
    if crossing.all():
        result = np.empty((len(start), width), dtype=values.dtype)
    else:
        # A window as one item of all its bytes: numpy then copies each with a single move.
        item = f"V{width * values.dtype.itemsize}"
        windows = sliding_window_view(np.asarray(values), width).view(item)[:, 0]
        result = windows[np.where(crossing, 0, offset + start)]
        result = result.view(values.dtype).reshape(len(start), width)
    for row in np.flatnonzero(crossing):
        begin = start[row]
        result[row] = fetch_window(values, offset[row], length[row], begin, begin + width, beyond)
    return result


def read_contigs(path: str | os.PathLike) -> pd.DataFrame:
    """Read contigs.tsv: columns contig (str), length, offset (int64) and counts of letters."""
    table = read_table(path, "contig table", CONTIG_COLUMNS, text=("contig",))
    return table.astype({"length": "int64", "offset": "int64"})


def contig_index(contigs: pd.DataFrame, contig: str, genome: str) -> int:
    """Return the row of `contig` in a contig table.

    Raises
    ------
    InputError
        If the genome has no such contig; some that it has are named.
    """
    rows = np.flatnonzero(contigs["contig"].to_numpy() == contig)
    if len(rows) == 0:
        known = first_names(contigs["contig"])
        raise InputError(f"genome {genome} has no contig {contig!r}; it has {known}")
    return int(rows[0])


def contig_rows(contigs: pd.DataFrame, names: Iterable[str], genome: str) -> np.ndarray:
    """Return the row of each named contig (int64); InputError names one that does not exist."""
    names = pd.Index(names)
    rows = pd.Index(contigs["contig"]).get_indexer(names)
    if (rows < 0).any():
        contig_index(contigs, names[int(np.argmax(rows < 0))], genome)
    return rows.astype(np.int64)


def check_intervals(contigs: pd.DataFrame, table: pd.DataFrame, genome: str, what: str) -> None:
    """Raise InputError for the first interval that does not lie on a contig of the genome.

    Parameters
    ----------
    contigs : pandas.DataFrame
        The genome's contig table.
    table : pandas.DataFrame
        Columns contig and start, end (0-based half-open), or position, or all of them.
    genome, what : str
        Name of the genome and what an interval is, for the message.
    """
    rows = contig_rows(contigs, table["contig"], genome)
    length = contigs["length"].to_numpy(np.int64)[rows]
    if "start" in table:
        start, end = (table[name].to_numpy(np.int64) for name in ("start", "end"))
    else:
        start, end = table["position"].to_numpy(np.int64), table["position"].to_numpy(np.int64) + 1
    position = table.get("position", table.get("start")).to_numpy(np.int64)
    wrong = (start < 0) | (end > length) | (position < start) | (position >= end) | (start >= end)
    if wrong.any():
        row = int(np.argmax(wrong))
        at = f" with position {position[row]}" if "position" in table else ""
        raise InputError(
            f"genome {genome}: {what} {table['contig'].iloc[row]}:{start[row]}-{end[row]}{at} does "
            f"not lie on its contig; expected 0 <= start < end <= {length[row]}"
        )
