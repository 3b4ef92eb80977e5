"""Motifs that were found in a model, and what can be said of one by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomesieve.alphabet import DNA

FILTER = "filter"
"""Source of motifs that are first-layer filters."""
_PAIRS = {
    frozenset(pair): code
    for pair, code in zip(("AC", "AG", "AT", "CG", "CT", "GT"), "MRWSYK", strict=True)
}
"""Codes for two letters."""


@dataclass(frozen=True)
class FoundMotif:
    """A motif that a model looks at.

    Parameters
    ----------
    name : str
        Such as `Reb1.pattern_0`, `donor.fixed_0` or `stem.filter_3`.
    source : str
        `modisco`, `fixed` or `filter`.
    site_class : str
        `all` for a filter.
    sign : str
        `+` if its bases speak for the class, `-` if against it, `.` for a filter.
    counts : numpy.ndarray, shape=(letters, width)
        How often each letter stands there.
    contributions : numpy.ndarray, shape=(letters, width)
        Mean contribution of each letter that stands there.
    seqlets : int
        Pieces of sites that it was made of.
    offset : int or None
        Of its first base from the bin's, where it always stands there.
    started_as : str
        The known motif that a filter was started from.
    """

    name: str
    source: str
    site_class: str
    sign: str
    counts: np.ndarray
    contributions: np.ndarray
    seqlets: int
    offset: int | None = None
    started_as: str = ""

    def frequencies(self, pseudocount: float = 1.0) -> np.ndarray:
        """Return how likely each letter is, shape=(letters, width); a pseudocount a column."""
        counts = self.counts + pseudocount / len(self.counts)
        return counts / counts.sum(0)

    def information(self) -> float:
        """Return bits of all columns together, against even letter frequencies."""
        shares = self.frequencies()
        return float((shares * np.log2(shares * len(shares))).sum())

    def consensus(self) -> str:
        """Return the shortest code for each position that covers most of what stands there.

        One letter from half on (and twice the next), two letters from three quarters on, else N
        (Cavener 1987).
        """
        return "".join(_iupac(column) for column in self.frequencies(0.01).T)


def _iupac(shares: np.ndarray) -> str:
    """Return the code of a column."""
    first, second, *_ = np.argsort(-shares, kind="stable").tolist()
    if shares[first] >= 0.5 and shares[first] >= 2 * shares[second]:
        return DNA.letters[first]
    if shares[first] + shares[second] >= 0.75:
        return _PAIRS[frozenset((DNA.letters[first], DNA.letters[second]))]
    return "N"
