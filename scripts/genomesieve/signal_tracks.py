"""Tracks of numbers: bigWig or BED as one value a base, contig after contig as in codes.npy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from genomesieve.contig_names import require_shared_names
from genomesieve.errors import InputError, first_names
from genomesieve.files import existing_file
from genomesieve.peaks import read_intervals

BIGWIG_SUFFIXES = (".bw", ".bigwig")
LARGEST = float(np.finfo(np.float16).max)
"""Largest value that a float16 holds; larger ones are cut to it and counted."""
_BLOCK = 1 << 20


@dataclass
class SignalTotals:
    """What was written, in values a base.

    Parameters
    ----------
    bases, missing, clipped : int
        All bases, those without a value (they become 0), and those whose value is cut to what
        float16 holds.
    minimum, maximum, total, squares : float
        Of the values as they are written.
    """

    bases: int = 0
    missing: int = 0
    clipped: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    total: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Count values (float16) as they are written."""
        if len(values) == 0:
            return
        wide = values.astype(np.float64)
        self.bases += len(values)
        self.minimum = min(self.minimum, float(wide.min()))
        self.maximum = max(self.maximum, float(wide.max()))
        self.total += float(wide.sum())
        self.squares += float((wide**2).sum())

    def describe(self) -> dict:
        """Return what stands in the summary."""
        mean = self.total / max(1, self.bases)
        variance = max(0.0, self.squares / max(1, self.bases) - mean**2)
        return {
            "bases": self.bases,
            "bases_without_value": self.missing,
            "bases_clipped_to_float16": self.clipped,
            "minimum": self.minimum if self.bases else None,
            "maximum": self.maximum if self.bases else None,
            "mean": mean,
            "standard_deviation": variance**0.5,
        }


def is_bigwig(path: Path, stated: str) -> bool:
    """Tell whether a track is a bigWig: as stated (`bigwig`), or by the file's name (`auto`)."""
    if stated not in ("", "auto"):
        return stated == "bigwig"
    return path.suffix.lower() in BIGWIG_SUFFIXES


def fill_from_bigwig(
    values: np.ndarray, path: Path, contigs: pd.DataFrame, aliases: Mapping[str, str]
) -> SignalTotals:
    """Write the values of a bigWig, block after block.

    Parameters
    ----------
    values : numpy.ndarray, shape=(total length,), dtype=float16
        Written over; contigs one after another as in codes.npy.
    path : Path
    contigs : pandas.DataFrame
        The genome's contig table (contig, length, offset).
    aliases : mapping of str to str
        Name in the file to name in the genome.

    Raises
    ------
    InputError
        If the file is no bigWig, names a contig that the genome lacks or has in another length, or
        holds an infinite value.
    """
    totals = SignalTotals()
    try:
        with _open_bigwig(path) as track:
            names = _names_in_bigwig(track.chroms(), path, contigs, aliases)
            for start, block in _read_blocks(track, names, path, contigs, totals):
                values[start : start + len(block)] = block
                totals.add(block)
    except (RuntimeError, UnicodeDecodeError) as error:
        raise InputError(f"signal {path} is damaged: {error} Expected a whole bigWig") from error
    return totals


def _read_blocks(
    track, names: Mapping[str, str], path: Path, contigs: pd.DataFrame, totals: SignalTotals
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the values of all contigs in blocks, each with the place of its first base."""
    rows = zip(contigs["contig"], contigs["length"].astype(int), contigs["offset"].astype(int))
    for contig, length, offset in rows:
        for start, end in _blocks(length):
            found = np.full(end - start, np.nan, dtype=np.float32)
            if contig in names:
                found = track.values(names[contig], start, end, numpy=True)
            yield offset + start, _as_float16(found, f"{path}: {contig}", start, totals)


def _open_bigwig(path: Path):
    """Open a bigWig, or raise InputError."""
    try:
        track = pyBigWig.open(str(existing_file(path, "signal")))
    except RuntimeError:
        track = None
    if track is None or not track.isBigWig():
        raise InputError(f"signal {path} is not a bigWig; expected one, or format bed for BED")
    return track


def _names_in_bigwig(
    found: Mapping[str, int], path: Path, contigs: pd.DataFrame, aliases: Mapping[str, str]
) -> dict[str, str]:
    """Check a bigWig's contigs; return the name there of each contig of the genome."""
    lengths = dict(zip(contigs["contig"], contigs["length"].astype(int)))
    named = {name: aliases.get(name, name) for name in found}
    require_shared_names(named.values(), lengths, path)
    names: dict[str, str] = {}
    for name, contig in named.items():
        if contig not in lengths:
            raise InputError(
                f"{path}: contig {name!r} is not in the genome, which has "
                f"{first_names(lengths)}; expected the FASTA's names, or a table of aliases (name "
                "here, name in the FASTA)"
            )
        if found[name] != lengths[contig]:
            raise InputError(
                f"{path}: contig {name!r} has {found[name]} bp; expected {lengths[contig]} as in "
                "the FASTA (another assembly?)"
            )
        if contig in names:
            raise InputError(f"{path}: {names[contig]!r} and {name!r} are both contig {contig!r}")
        names[contig] = name
    return names


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    """Cut a contig into blocks of bounded length."""
    for start in range(0, length, _BLOCK):
        yield start, min(start + _BLOCK, length)


def _as_float16(found: np.ndarray, where: str, start: int, totals: SignalTotals) -> np.ndarray:
    """Turn values (float32, NaN for none) into float16; count what is missing or cut."""
    if np.isinf(found).any():
        position = start + int(np.argmax(np.isinf(found)))
        raise InputError(f"{where}:{position} has an infinite value; expected numbers")
    missing = np.isnan(found)
    totals.missing += int(missing.sum())
    found = np.where(missing, np.float32(0), found)
    totals.clipped += int((np.abs(found) > LARGEST).sum())
    return np.clip(found, -LARGEST, LARGEST).astype(np.float16)


def fill_from_intervals(
    values: np.ndarray, path: Path, contigs: pd.DataFrame, aliases: Mapping[str, str]
) -> SignalTotals:
    """Write 1 where an interval of a BED-like file covers the base, else 0.

    Parameters are those of `fill_from_bigwig`; only the first three columns are used.

    Raises
    ------
    InputError
        With file and line, for what cannot be read or lies outside its contig.
    """
    lengths = dict(zip(contigs["contig"], contigs["length"].astype(int)))
    offsets = dict(zip(contigs["contig"], contigs["offset"].astype(int)))
    table = read_intervals(path, lengths, dict(aliases))
    base = table["contig"].map(offsets).to_numpy(np.int64)
    values[:] = 0
    for first, last in zip(base + table["start"].to_numpy(), base + table["end"].to_numpy()):
        values[first:last] = 1
    totals = SignalTotals()
    for start, end in _blocks(len(values)):
        totals.add(values[start:end])
    return totals
