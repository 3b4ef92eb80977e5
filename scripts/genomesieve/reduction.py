"""What a scan keeps of the scores of consecutive bins: counts, candidates, perhaps the scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from genomesieve.label_counts import sparse_block_histogram, total_histogram
from genomesieve.layout import ScanLayout
from genomesieve.scores import CODES, UNSCORED, coarsen_codes, list_candidates

WINDOW_BINS = 1 << 20
"""Bins reduced at once on a host; candidates are written window by window."""


@dataclass(frozen=True)
class Reduced:
    """What is left of the scores of some consecutive bins.

    Parameters
    ----------
    end : int
        Everything about bins before this one has now been handed over.
    total : numpy.ndarray, shape=(strands, classes, 65536), dtype=int64, or None
        Counts of codes, or None where they come with a later piece.
    blocks : pandas.DataFrame or None
        The same counts per block (see `label_counts.sparse_block_histogram`).
    candidates : pandas.DataFrame or None
        Bins at or above the floor of their class (see `scores.list_candidates`).
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16, or None
        The score codes of the bins up to `end`, where they are kept; good until the next piece.
    """

    end: int
    total: np.ndarray | None = None
    blocks: pd.DataFrame | None = None
    candidates: pd.DataFrame | None = None
    scores: np.ndarray | None = None


def reduce_scores(
    scored: Iterable[tuple[int, np.ndarray]],
    floors: np.ndarray,
    layout: ScanLayout,
    shape: tuple[int, int],
) -> Iterator[Reduced]:
    """Reduce scores on the host as they arrive, about a million bins at a time.

    Parameters
    ----------
    scored : iterable of (int, numpy.ndarray)
        First bin and score codes (strands, classes, bins), uint16, of piece after piece: all bins
        of the shard in their order.
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
    layout : ScanLayout
        Of all shards together.
    shape : tuple of int
        Strands and classes.

    Yields
    ------
    Reduced
        With everything in it.
    """
    for start, scores in _gathered(scored, shape):
        stop = start + scores.shape[2]
        yield Reduced(
            stop,
            total_histogram(scores),
            sparse_block_histogram(scores, _cut(layout, start, stop), floors),
            list_candidates(scores, floors, start),
            scores,
        )


def sparse_counts(counts: np.ndarray, block: int, floors: np.ndarray) -> pd.DataFrame:
    """Turn the exact counts of one block into what `sparse_block_histogram` makes of its scores.

    Parameters
    ----------
    counts : numpy.ndarray, shape=(strands, classes, 65536), dtype=int64
    block : int
    floors : numpy.ndarray, shape=(classes,), dtype=uint16

    Returns
    -------
    pandas.DataFrame
    """
    flat = counts.reshape(-1)
    found = np.flatnonzero(flat)
    row, code = np.divmod(found, CODES)
    strand, index = np.divmod(row, counts.shape[1])
    coarse = coarsen_codes(code.astype(np.uint16), floors[index])
    # Codes are in order, and so are the bins into which they are pooled.
    first = np.flatnonzero(np.diff(row * CODES + coarse, prepend=-1))
    pooled = np.add.reduceat(flat[found], first) if len(first) else flat[:0]
    scored = coarse[first] != UNSCORED
    first = first[scored]
    return pd.DataFrame(
        {
            "block": np.full(len(first), block, dtype=np.int32),
            "strand": strand[first].astype(np.uint8),
            "class_index": index[first].astype(np.uint16),
            "code": coarse[first],
            "count": pooled[scored],
        }
    )


def _gathered(
    scored: Iterable[tuple[int, np.ndarray]], shape: tuple[int, int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Join pieces up to the next multiple of the window; the array is used again."""
    buffer = np.empty((*shape, WINDOW_BINS), dtype=np.uint16)
    start, used = 0, 0
    for first, codes in scored:
        at = 0
        while at < codes.shape[2]:
            if used == 0:
                start = first + at
            room = WINDOW_BINS - start % WINDOW_BINS - used
            part = codes[..., at : at + room]
            buffer[..., used : used + part.shape[2]] = part
            used, at = used + part.shape[2], at + part.shape[2]
            if part.shape[2] == room:
                yield start, buffer[..., :used]
                used = 0
    if used:
        yield start, buffer[..., :used]


def _cut(layout: ScanLayout, first: int, end: int) -> ScanLayout:
    """Return the layout with blocks cut to a range of bins and counted from its first."""
    blocks = layout.blocks
    cut = {name: blocks[name].clip(first, end) - first for name in ("first_bin", "end_bin")}
    return replace(layout, blocks=blocks.assign(**cut))
