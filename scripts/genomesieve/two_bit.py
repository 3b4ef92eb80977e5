"""Sequence as genome browsers take it: the .2bit format of UCSC.

Two bits a base, with lists of the stretches of unknown and of soft-masked (lower-case) bases.
https://genome.ucsc.edu/FAQ/FAQformat.html#format7
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genomesieve.errors import InputError
from genomesieve.files import whole_file
from genomesieve.genome import EncodedGenome

_SIGNATURE, _VERSION = 0x1A412743, 0
_BITS = {"T": 0, "C": 1, "A": 2, "G": 3}
_LARGEST = 1 << 32
_BLOCK = 1 << 24
"""Bases that are packed at a time; a multiple of 4."""


def write_two_bit(
    path: str | os.PathLike, genome: EncodedGenome, masked: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write a genome, whole or not at all.

    Parameters
    ----------
    path : path-like
    genome : EncodedGenome
    masked : mapping of str to numpy.ndarray, shape=(runs, 2), or None
        Soft-masked stretches of contigs, 0-based half-open, in order.

    Raises
    ------
    InputError
        If a contig's name is longer than 255 bytes, or the file larger than 4 GiB: the format
        holds no more.
    """
    names = genome.contigs["contig"].tolist()
    encoded = [name.encode() for name in names]
    longest = max(encoded, key=len)
    if len(longest) > 255:
        raise InputError(f"contig {longest.decode()[:40]}...: expected a name of 255 bytes or less")
    with whole_file(path) as temporary, temporary.open("wb") as handle:
        _integers(_SIGNATURE, _VERSION, len(names), 0).tofile(handle)
        index = handle.tell()
        handle.write(bytes(sum(len(name) + 5 for name in encoded)))
        offsets = []
        for row, name in enumerate(names):
            offsets.append(handle.tell())
            _write_contig(handle, genome, row, (masked or {}).get(name))
        if handle.tell() >= _LARGEST:
            raise InputError(f"{Path(path).name}: {handle.tell()} bytes; expected less than 2**32")
        handle.seek(index)
        for name, offset in zip(encoded, offsets):
            handle.write(bytes([len(name)]) + name + _integers(offset).tobytes())


def _integers(*values: int) -> np.ndarray:
    """Return numbers as the format stores them."""
    return np.array(values, dtype="<u4")


def _write_contig(handle, genome: EncodedGenome, row: int, masked: np.ndarray | None) -> None:
    """Write the record of one contig."""
    offset, length = (int(genome.contigs[name].iloc[row]) for name in ("offset", "length"))
    codes = genome.codes[offset : offset + length]
    _integers(length).tofile(handle)
    for runs in (_unknown_runs(codes, genome.alphabet.unknown), masked):
        runs = np.empty((0, 2), np.int64) if runs is None else np.asarray(runs, np.int64)
        _integers(len(runs), *runs[:, 0], *(runs[:, 1] - runs[:, 0])).tofile(handle)
    _integers(0).tofile(handle)
    bits = np.zeros(256, np.uint8)
    for code, letter in enumerate(genome.alphabet.letters):
        bits[code] = _BITS[letter]
    for first in range(0, length, _BLOCK):
        block = bits[codes[first : first + _BLOCK]]
        block = np.append(block, np.zeros(-len(block) % 4, np.uint8)).reshape(-1, 4)
        packed = block[:, 0] << 6 | block[:, 1] << 4 | block[:, 2] << 2 | block[:, 3]
        packed.astype(np.uint8).tofile(handle)


def _unknown_runs(codes: np.ndarray, unknown: int) -> np.ndarray:
    """Return start and end of each run of unknown bases, shape (runs, 2)."""
    edges = []
    before = False
    for first in range(0, len(codes), _BLOCK):
        mask = codes[first : first + _BLOCK] == unknown
        changes = np.flatnonzero(np.diff(mask, prepend=before)) + first
        edges.append(changes)
        before = bool(mask[-1])
    places = np.concatenate([*edges, [len(codes)] if before else []]).astype(np.int64)
    return places.reshape(-1, 2)
