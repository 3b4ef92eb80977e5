"""How much of the surroundings of held-out sites also occurs in training sequence.

Surroundings are compared by their k-mers, a k-mer and its reverse complement being the same. The
k-mers of the sites are the index and the training sequence streams past it, so memory depends on
the number of sites and never on the size of the genomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from genomesieve.alphabet import Alphabet
from genomesieve.genome import EncodedGenome, contig_rows

LARGEST_K = 31
"""A k-mer of two bits a letter must fit a signed 64-bit number."""

_SITES_A_PASS = 100_000
_SITES_AT_ONCE = 4_000
_BASES_AT_ONCE = 2_000_000


def canonical_kmers(codes: np.ndarray, k: int, alphabet: Alphabet) -> np.ndarray:
    """Turn the k-mers of sequences into numbers, the same for a k-mer and its reverse complement.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(..., n), dtype=uint8
        n >= k.
    k : int
        1 to 31.
    alphabet : Alphabet
        Of four letters.

    Returns
    -------
    numpy.ndarray, shape=(..., n - k + 1), dtype=int64
        The smaller of the numbers (two bits a letter, first letter highest) of the k-mer and of its
        reverse complement; -1 where it holds an unknown letter.
    """
    letters = (codes & 3).astype(np.int64)
    forward = _words(letters, k, first_is_high=True)
    reverse = _words((alphabet.complement_codes[codes] & 3).astype(np.int64), k, False)
    unknown = np.zeros((*codes.shape[:-1], codes.shape[-1] + 1), dtype=np.int64)
    np.cumsum(codes >= alphabet.unknown, axis=-1, out=unknown[..., 1:])
    known = unknown[..., k:] == unknown[..., :-k]
    return np.where(known, np.minimum(forward, reverse), -1)


def _words(letters: np.ndarray, k: int, first_is_high: bool) -> np.ndarray:
    """Return the two-bit numbers of all k letters in a row, joined from words of 1, 2, 4, ..."""
    word, length = letters, 1
    result, done = None, 0
    while True:
        if k & length:
            size = letters.shape[-1] - k + 1
            piece = word[..., done : done + size]
            if result is None:
                result = piece
            elif first_is_high:
                result = (result << 2 * length) | piece
            else:
                result = result | (piece << 2 * done)
            done += length
        if done == k:
            return result
        one, other = word[..., :-length], word[..., length:]
        word = (one << 2 * length) | other if first_is_high else one | (other << 2 * length)
        length *= 2


def stream_kmers(genome: EncodedGenome, intervals: pd.DataFrame, k: int) -> Iterator[np.ndarray]:
    """Yield the canonical k-mers (int64, without unknown letters) of intervals, piece by piece.

    Parameters
    ----------
    genome : EncodedGenome
    intervals : pandas.DataFrame
        Columns contig, start, end (0-based half-open); k-mers lie wholly inside one.
    k : int
    """
    offsets = genome.contigs["offset"].to_numpy(np.int64)
    rows = contig_rows(genome.contigs, intervals["contig"], genome.name)
    for row, start, end in zip(rows, intervals["start"].tolist(), intervals["end"].tolist()):
        for first in range(start, end - k + 1, _BASES_AT_ONCE):
            last = min(first + _BASES_AT_ONCE + k - 1, end)
            codes = np.asarray(genome.codes[offsets[row] + first : offsets[row] + last])
            kmers = canonical_kmers(codes, k, genome.alphabet)
            yield kmers[kmers >= 0]


def shared_fractions(
    genome: EncodedGenome,
    names: Iterable[str],
    positions: np.ndarray,
    training: list[tuple[EncodedGenome, pd.DataFrame]],
    flank: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure which share of the k-mers around each site occurs in training sequence.

    Parameters
    ----------
    genome : EncodedGenome
        The genome of the sites.
    names : iterable of str, length=n
        Contig of each site.
    positions : numpy.ndarray, shape=(n,)
        0-based; its surroundings are [position - flank, position + flank], both ends included, as
        far as the contig reaches.
    training : list of (EncodedGenome, pandas.DataFrame)
        Genomes with the intervals (contig, start, end) of their training part.
    flank : int
        Bases on each side.
    k : int
        Length of the compared words, at most 31 and at most 2 * flank + 1.

    Returns
    -------
    shared : numpy.ndarray, shape=(n,), dtype=float64
        Share of a site's k-mers without unknown bases that are seen in training sequence, on either
        strand; 0 where a site has none.
    kmers : numpy.ndarray, shape=(n,), dtype=int64
        Number of those k-mers.
    """
    contigs = contig_rows(genome.contigs, names, genome.name)
    places = np.stack([contigs, np.asarray(positions, dtype=np.int64)], axis=1)
    unique, back = np.unique(places, axis=0, return_inverse=True)
    shared, counts = np.zeros(len(unique)), np.zeros(len(unique), dtype=np.int64)
    for first in range(0, len(unique), _SITES_A_PASS):
        some = slice(first, first + _SITES_A_PASS)
        shared[some], counts[some] = _audit_pass(genome, unique[some], training, flank, k)
    back = back.reshape(-1)
    return shared[back], counts[back]


def _audit_pass(genome, places, training, flank, k) -> tuple[np.ndarray, np.ndarray]:
    """Return shared fractions and numbers of k-mers of as many sites as fit into one index."""
    pieces = [np.unique(kmers) for kmers in _site_kmers(genome, places, flank, k)]
    index = np.unique(np.concatenate(pieces))
    index = index[index >= 0]
    seen = np.zeros(len(index), dtype=bool)
    for other, intervals in training:
        for kmers in stream_kmers(other, intervals, k):
            _mark_seen(index, seen, kmers)
    hits = index[seen]
    shared, counts = [], []
    for kmers in _site_kmers(genome, places, flank, k):
        known = kmers >= 0
        found = np.zeros(kmers.shape, dtype=bool)
        found[known] = _contains(hits, kmers[known])
        counts.append(known.sum(axis=1))
        shared.append(found.sum(axis=1) / np.maximum(counts[-1], 1))
    return np.concatenate(shared), np.concatenate(counts)


def _site_kmers(genome, places, flank, k) -> Iterator[np.ndarray]:
    """Yield the k-mers around some sites at a time: shape=(sites, 2 * flank + 2 - k)."""
    offsets = genome.contigs["offset"].to_numpy(np.int64)
    lengths = genome.contigs["length"].to_numpy(np.int64)
    around = np.arange(-flank, flank + 1)
    for first in range(0, len(places), _SITES_AT_ONCE):
        contig, position = places[first : first + _SITES_AT_ONCE].T
        where = position[:, None] + around
        inside = (where >= 0) & (where < lengths[contig][:, None])
        codes = np.full(where.shape, genome.alphabet.unknown, dtype=np.uint8)
        codes[inside] = genome.codes[(where + offsets[contig][:, None])[inside]]
        yield canonical_kmers(codes, k, genome.alphabet)


def _mark_seen(index: np.ndarray, seen: np.ndarray, kmers: np.ndarray) -> None:
    """Set `seen` where the sorted unique `index` holds one of `kmers`."""
    if len(index) == 0:
        return
    # Sorted queries walk through the index in order, which its size makes worth the sorting.
    kmers = np.sort(kmers)
    where = np.minimum(np.searchsorted(index, kmers), len(index) - 1)
    seen[where[index[where] == kmers]] = True


def _contains(index: np.ndarray, kmers: np.ndarray) -> np.ndarray:
    """Return which of `kmers` the sorted unique `index` holds."""
    if len(index) == 0:
        return np.zeros(len(kmers), dtype=bool)
    where = np.minimum(np.searchsorted(index, kmers), len(index) - 1)
    return index[where] == kmers
