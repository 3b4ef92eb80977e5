"""The UCI splice junctions: 60 bases around an exon-intron or intron-exon border, or neither.

Many of the 3,190 records are duplicates or come from genes of one family. Records that agree in
most of their bases are one group, and a group is never cut between training and test.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from genomesieve.alphabet import DNA  # noqa: E402

CLASSES = ("EI", "IE")
"""Donor (exon to intron) and acceptor; N, neither, is the background."""
LENGTH = 60
ALIKE = 48
"""Records that agree in at least so many of their 60 bases are one group."""


@dataclass(frozen=True)
class Junctions:
    """All records.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, 60), dtype=uint8
        Letters other than A, C, G, T are unknown bases.
    label : numpy.ndarray, shape=(N,)
        0 for N, 1 and 2 for `CLASSES`.
    group : numpy.ndarray, shape=(N,)
        Number of the group of similar records.
    """

    codes: np.ndarray
    label: np.ndarray
    group: np.ndarray


def read_junctions(path: Path) -> Junctions:
    """Read splice.data: class, name and sequence, comma-separated."""
    rows = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
    codes = np.stack([encode_record(sequence) for _, _, sequence in rows])
    names = ("N", *CLASSES)
    label = np.array([names.index(kind.strip()) for kind, _, _ in rows])
    return Junctions(codes, label, group_alike(codes))


def encode_record(sequence: str) -> np.ndarray:
    """Encode one record; ambiguous letters (N, D, S, R) become unknown bases.

    Raises
    ------
    ValueError
        If it is not 60 bases long.
    """
    codes = DNA.encode(sequence.strip())
    if len(codes) != LENGTH:
        raise ValueError(f"record of {len(codes)} bases; expected {LENGTH}: {sequence}")
    return codes


def group_alike(codes: np.ndarray, alike: int = ALIKE) -> np.ndarray:
    """Group rows that are linked by agreeing in at least `alike` known bases; number the groups."""
    one_hot = (codes[:, :, None] == np.arange(DNA.size)).reshape(len(codes), -1)
    one_hot = one_hot.astype(np.float32)
    pairs = np.nonzero(one_hot @ one_hot.T >= alike)
    graph = coo_array((np.ones(len(pairs[0]), dtype=np.int8), pairs), shape=(len(codes),) * 2)
    return connected_components(graph, directed=False)[1]
