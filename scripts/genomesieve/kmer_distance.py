"""How far sequences are from each other, by their k-mers; a k-mer and its complement are one.

Short k-mers (6) tell composition apart: codon use, repeats, GC content. Long ones (21) hardly occur
by chance, so the share that two genomes have in common tells how closely related they are. Long
k-mers are sampled by their hashes, so memory does not grow with the genomes' repeats, and two
sketches of one scale are comparable whatever the lengths.

References
----------
Ondov et al. (2016), Genome Biology 17:132: Mash distance.
Irber et al. (2022), bioRxiv 2022.01.11.475838: sketches by a fraction of all hashes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.leakage import stream_kmers

SHORT = 6
LONG = 21
SKETCH = 20_000
"""K-mers that a sketch of the shorter sequence should have."""

_LETTERS_AT_ONCE = 1 << 24

Stretches = list[tuple[EncodedGenome, pd.DataFrame]]
"""Genomes with intervals of theirs: contig, start, end (0-based half-open)."""


@dataclass(frozen=True)
class Composition:
    """What sequence is made of.

    Parameters
    ----------
    letters : numpy.ndarray, shape=(letters + 1,), dtype=int64
        Counts of every letter, unknown bases last.
    kmers : numpy.ndarray, shape=(4096,), dtype=int64
        Counts of canonical 6-mers.
    """

    letters: np.ndarray
    kmers: np.ndarray

    def __sub__(self, other: Composition) -> Composition:
        """Return what is left without a part."""
        return Composition(self.letters - other.letters, self.kmers - other.kmers)

    @property
    def gc(self) -> float:
        """Share of G and C among the known bases."""
        return float(self.letters[1:3].sum() / max(1, self.letters[:4].sum()))

    @property
    def unknown(self) -> float:
        """Share of unknown bases."""
        return float(self.letters[4] / max(1, self.letters.sum()))


def bases_of(stretches: Stretches) -> int:
    """Return the length of stretches, bp."""
    return sum(int((rows["end"] - rows["start"]).sum()) for _, rows in stretches)


def compose(stretches: Stretches) -> Composition:
    """Count letters and 6-mers of stretches."""
    letters, kmers = np.zeros(5, dtype=np.int64), np.zeros(4**SHORT, dtype=np.int64)
    for genome, rows in stretches:
        offsets = genome.contigs["offset"].to_numpy(np.int64)
        contigs = contig_rows(genome.contigs, rows["contig"], genome.name)
        for contig, start, end in zip(contigs, rows["start"].tolist(), rows["end"].tolist()):
            for first in range(start, end, _LETTERS_AT_ONCE):
                last = min(first + _LETTERS_AT_ONCE, end)
                codes = genome.codes[offsets[contig] + first : offsets[contig] + last]
                letters += np.bincount(codes, minlength=5)
        for found in stream_kmers(genome, rows, SHORT):
            kmers += np.bincount(found, minlength=len(kmers))
    return Composition(letters, kmers)


def jensen_shannon_divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two arrays of counts, in bits: 0 alike, 1 disjoint.

    Parameters
    ----------
    one, other : numpy.ndarray, shape=(n,)
        Neither is all 0, else NaN comes back.
    """
    if not one.any() or not other.any():
        return float("nan")
    first, second = one / one.sum(), other / other.sum()
    middle = (first + second) / 2
    return float(sum(_divergence(share, middle) for share in (first, second)) / 2)


def _divergence(share: np.ndarray, middle: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence in bits."""
    known = share > 0
    return float(np.sum(share[known] * np.log2(share[known] / middle[known])))


def cut_pieces(stretches: Stretches, length: int, most: int = 20) -> list[Stretches]:
    """Cut pieces of one length out of stretches, at even distances.

    Parameters
    ----------
    stretches : list of (EncodedGenome, pandas.DataFrame)
    length : int
        Bases a piece, at most half of all.
    most : int
        Most pieces; they overlap only where two are all that there is room for.

    Returns
    -------
    list of stretches
    """
    total = bases_of(stretches)
    length = max(1, min(length, total // 2))
    pieces = max(2, min(most, total // length))
    starts = np.linspace(0, total - length, pieces).astype(np.int64)
    return [_cut(stretches, start, start + length) for start in starts.tolist()]


def _cut(stretches: Stretches, first: int, last: int) -> Stretches:
    """Return bases [first, last) of stretches laid end to end."""
    result, before = [], 0
    for genome, rows in stretches:
        size = (rows["end"] - rows["start"]).to_numpy(np.int64)
        ends = before + np.cumsum(size)
        begins = ends - size
        cut = rows.assign(
            start=rows["start"] + np.maximum(first - begins, 0),
            end=rows["end"] - np.maximum(ends - last, 0),
        )
        result.append((genome, cut[cut["start"] < cut["end"]]))
        before += int(size.sum())
    return result


def make_sketch(stretches: Stretches, scale: int, k: int = LONG) -> np.ndarray:
    """Return the hashes of one in `scale` of the distinct canonical k-mers.

    Parameters
    ----------
    stretches : list of (EncodedGenome, pandas.DataFrame)
    scale : int
        1 keeps all.
    k : int

    Returns
    -------
    numpy.ndarray, dtype=uint64
        Ascending, distinct.
    """
    limit = np.uint64(2**64 // scale - 1)
    kept = [np.zeros(0, dtype=np.uint64)]
    for genome, rows in stretches:
        for kmers in stream_kmers(genome, rows, k):
            hashes = _mix(kmers.astype(np.uint64))
            kept.append(np.unique(hashes[hashes <= limit]))
    return np.unique(np.concatenate(kept))


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Hash 64-bit numbers one to one (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def choose_scale(one: Stretches, other: Stretches) -> int:
    """Return a scale at which the shorter of two sequences still has a sketch of good size."""
    return max(1, min(bases_of(one), bases_of(other)) // SKETCH)


def containment(sketch: np.ndarray, other: np.ndarray) -> float:
    """Return the share of a sketch's k-mers that another one of the same scale has."""
    if len(sketch) == 0:
        return float("nan")
    return len(np.intersect1d(sketch, other, assume_unique=True)) / len(sketch)


def mash_distance(sketch: np.ndarray, other: np.ndarray, k: int = LONG) -> float:
    """Return the Mash distance of two sketches of the same scale: about mutations a base.

    It is 1 where they share nothing, as in Mash.
    """
    shared = len(np.intersect1d(sketch, other, assume_unique=True))
    union = len(sketch) + len(other) - shared
    if union == 0:
        return float("nan")
    jaccard = shared / union
    return min(1.0, -np.log(2 * jaccard / (1 + jaccard)) / k) if shared else 1.0


def identity_of(share: float, k: int = LONG) -> float:
    """Return the share of equal bases that makes a share of k-mers equal: share ** (1 / k)."""
    return float(share ** (1 / k))
