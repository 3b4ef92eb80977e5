"""The sequence around sites: letters per position, information, the consensus dinucleotide."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.alphabet import Alphabet
from genomesieve.genome import EncodedGenome, contig_rows, gather_windows

FLANK = 10
MOST_SITES = 20_000


@dataclass(frozen=True)
class Consensus:
    """The dinucleotide that most sites carry at one place.

    Parameters
    ----------
    letters : str
    offset : int
        Of its first base from the site's base, in the direction of the site's strand.
    share : float
        Of the sites.
    """

    letters: str
    offset: int
    share: float


def codes_around(sites: pd.DataFrame, genome: EncodedGenome, flank: int = FLANK) -> np.ndarray:
    """Collect the codes around sites, in the direction of their strand.

    Parameters
    ----------
    sites : pandas.DataFrame
        Columns contig, start, end (0-based half-open), strand; the middle base is the centre. At
        most `MOST_SITES` evenly spaced rows are used.
    genome : EncodedGenome
    flank : int
        Bases on each side.

    Returns
    -------
    numpy.ndarray, shape=(n, 2 * flank + 1), dtype=uint8
        Unknown beyond the end of a contig.
    """
    step = max(1, -(-len(sites) // MOST_SITES))
    sites = sites.iloc[::step]
    middles = (sites["start"].to_numpy(np.int64) + sites["end"].to_numpy(np.int64) - 1) // 2
    rows = contig_rows(genome.contigs, sites["contig"], genome.name)
    offset, length = (genome.contigs[name].to_numpy()[rows] for name in ("offset", "length"))
    windows = gather_windows(
        genome.codes, offset, length, middles - flank, 2 * flank + 1, genome.alphabet.unknown
    )
    minus = (sites["strand"] == "-").to_numpy()
    windows[minus] = genome.alphabet.reverse_complement(windows[minus])
    return windows


def information(windows: np.ndarray, alphabet: Alphabet) -> np.ndarray:
    """Return the height in bits of each letter of a sequence logo.

    Following Schneider and Stephens (1990) with their correction for small samples; the
    background is uniform.

    Parameters
    ----------
    windows : numpy.ndarray, shape=(n, length), dtype=uint8
    alphabet : Alphabet

    Returns
    -------
    numpy.ndarray, shape=(length, letters), dtype=float64
    """
    size = alphabet.size
    counts = np.stack([(windows == code).sum(axis=0) for code in range(size)], axis=1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1, keepdims=True)
    correction = (size - 1) / (2 * np.log(2) * np.maximum(totals, 1))
    bits = np.maximum(np.log2(size) - entropy - correction, 0)
    return np.where(totals > 0, shares * bits, 0.0)


def find_consensus(windows: np.ndarray, alphabet: Alphabet, reach: int = 2) -> Consensus | None:
    """Find the dinucleotide within `reach` bases of the site's base that most windows carry.

    Returns None for no windows; ties go to the place nearest the start.
    """
    centre = windows.shape[1] // 2
    best = None
    for offset in range(-reach, reach):
        pairs = windows[:, centre + offset : centre + offset + 2]
        known = pairs[(pairs < alphabet.unknown).all(axis=1)]
        if not len(known):
            continue
        numbers = Counter(map(tuple, known.tolist()))
        pair, number = numbers.most_common(1)[0]
        letters = "".join(alphabet.letters[code] for code in pair)
        found = Consensus(letters, offset, number / len(windows))
        if best is None or found.share > best.share:
            best = found
    return best


def share_with(consensus: Consensus, windows: np.ndarray, alphabet: Alphabet) -> float:
    """Return the share of windows that carry a consensus dinucleotide at its place."""
    if not len(windows):
        return float("nan")
    first = windows.shape[1] // 2 + consensus.offset
    expected = alphabet.encode(consensus.letters)
    return float((windows[:, first : first + 2] == expected).all(axis=1).mean())
