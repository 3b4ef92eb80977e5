"""Control tasks: what a probe can learn that means nothing (Hewitt and Liang 2019).

Every type - the k-mer in the middle of a bin - gets a value at random, from the values that the
property has. A probe can score on it only by knowing types by heart, so a real property should be
read better than its control: the difference is the probe's selectivity. Types that fitting did not
see tell it nothing at all: there every score above chance would be a leak.
"""

from __future__ import annotations

import numpy as np

from genomesieve.alphabet import DNA

UNKNOWN = -1
"""Type of a bin with an unknown base in its middle."""


def middle_types(codes: np.ndarray, length: int) -> np.ndarray:
    """Return the type of each row: the k-mer in its middle.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, bases), dtype=uint8
        At least `length` bases.
    length : int
        k; of an even k the middle base is the first of the second half.

    Returns
    -------
    numpy.ndarray, shape=(N,), dtype=int64
        Below 4**k; `UNKNOWN` where a base is.
    """
    first = codes.shape[1] // 2 - length // 2
    word = codes[:, first : first + length].astype(np.int64)
    types = word @ DNA.size ** np.arange(length - 1, -1, -1)
    return np.where((word >= DNA.size).any(axis=1), UNKNOWN, types)


def unseen_types(length: int, share: float, seed: int) -> np.ndarray:
    """Choose the types that no control task is fitted on; shape=(4**k,), dtype=bool."""
    kinds = DNA.size**length
    chosen = np.zeros(kinds, dtype=bool)
    order = np.random.default_rng([seed, 1]).permutation(kinds)
    chosen[order[: round(share * kinds)]] = True
    return chosen


def control_values(
    types: np.ndarray, values: np.ndarray, length: int, seed: list[int]
) -> np.ndarray:
    """Give every type a value at random.

    Parameters
    ----------
    types : numpy.ndarray, shape=(N,)
        From `middle_types`.
    values : numpy.ndarray, shape=(M,)
        Values of the property, to draw from; NaN is left out.
    length : int
        k of the types.
    seed : list of int

    Returns
    -------
    numpy.ndarray, shape=(N,), dtype=float64
        NaN for the unknown type.
    """
    known = values[np.isfinite(values)]
    table = np.random.default_rng(seed).choice(known, DNA.size**length)
    return np.where(types == UNKNOWN, np.nan, table[np.maximum(types, 0)])
