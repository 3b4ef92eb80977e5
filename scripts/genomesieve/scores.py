"""Scores as 16-bit codes, so that a histogram of all scores of a genome is exact and small.

A score is a log-odds, rounded to float16 and mapped monotonically to uint16: codes sort as their
scores do, equal scores are equal codes, and 65,536 counts hold any number of scores without loss.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

CODES = 1 << 16
UNSCORED = 0
"""Code of a bin without a score (it holds an unknown base); no score has it."""

_COARSE_MASK = np.uint16(0xFFC0)
_COUNTED_AT_ONCE = 1 << 18
_LARGEST = np.float32(np.finfo(np.float16).max)


def encode_scores(scores: np.ndarray) -> np.ndarray:
    """Round log-odds to float16 and map them monotonically to codes.

    Parameters
    ----------
    scores : numpy.ndarray, any shape, floating
        Log-odds; infinities are clipped to the largest float16, -0 becomes +0.

    Returns
    -------
    numpy.ndarray, same shape, dtype=uint16
        Never `UNSCORED`.

    Raises
    ------
    ValueError
        If a score is NaN.
    """
    scores = np.asarray(scores, dtype=np.float32)
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {scores.size} scores are NaN")
    rounded = np.clip(scores, -_LARGEST, _LARGEST).astype(np.float16) + np.float16(0)
    bits = rounded.view(np.uint16)
    return np.where(bits & 0x8000, ~bits, bits | np.uint16(0x8000))


def decode_scores(codes: np.ndarray) -> np.ndarray:
    """Map codes (uint16, any shape) back to scores (float32); `UNSCORED` becomes NaN."""
    codes = np.asarray(codes, dtype=np.uint16)
    bits = np.where(codes & 0x8000, codes & np.uint16(0x7FFF), ~codes)
    with np.errstate(invalid="ignore"):  # some codes are no score and decode to NaN
        return bits.astype(np.uint16).view(np.float16).astype(np.float32)


def coarsen_codes(codes: np.ndarray, floor: int) -> np.ndarray:
    """Pool the codes below `floor` into bins of 64 codes, named by their lowest code.

    Histograms per block stay exact where calls are made and small elsewhere.
    """
    return np.where(codes >= floor, codes, codes & _COARSE_MASK)


def count_codes(codes: np.ndarray) -> np.ndarray:
    """Count every code.

    Parameters
    ----------
    codes : numpy.ndarray, any shape, dtype=uint16
        In memory or mapped; read from front to back.

    Returns
    -------
    numpy.ndarray, shape=(65536,), dtype=int64
    """
    codes = codes.reshape(-1)
    counts = np.zeros(CODES, dtype=np.int64)
    # bincount turns codes into 8-byte integers: 2 MB at a time stay in the cache and bound memory.
    for first in range(0, len(codes), _COUNTED_AT_ONCE):
        counts += np.bincount(codes[first : first + _COUNTED_AT_ONCE], minlength=CODES)
    return counts


def list_candidates(scores: np.ndarray, floors: np.ndarray, first: int) -> pd.DataFrame:
    """List the bins at or above the floor of their class.

    Parameters
    ----------
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
    first : int
        Number of the first bin.

    Returns
    -------
    pandas.DataFrame
        Columns bin (int64), class_index (uint16), strand_index (uint8), code (uint16).
    """
    parts = []
    for strand, index in np.ndindex(*scores.shape[:2]):
        row = scores[strand, index]
        found = np.flatnonzero(row >= floors[index])
        parts.append(
            pd.DataFrame(
                {
                    "bin": found + first,
                    "class_index": np.full(len(found), index, dtype=np.uint16),
                    "strand_index": np.full(len(found), strand, dtype=np.uint8),
                    "code": np.asarray(row[found]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
