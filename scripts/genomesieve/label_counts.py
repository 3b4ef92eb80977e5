"""Histograms of positives and negatives: by subtraction from label-free ones, or streamed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.labels_on_bins import BinLabels, ScanLabels, expand_ranges, range_bins
from genomesieve.layout import ScanLayout
from genomesieve.scores import CODES, UNSCORED, coarsen_codes, count_codes

_CHUNK = 1 << 22
_LONG_RANGE = 1 << 16
_PAIRS_AT_ONCE = 1 << 18
_FEW = 32


@dataclass(frozen=True)
class LabelCounts:
    """How many bins of the universe have each score code, for one class, strands pooled.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(65536,), dtype=int64
    ignored : int
        Scored bins left out because labels there say nothing.
    excluded : int
        Bins outside the universe.
    unknown : int
        Bins, not excluded, without a score since they hold an unknown base.
    """

    positives: np.ndarray
    negatives: np.ndarray
    ignored: int
    excluded: int
    unknown: int


@dataclass(frozen=True)
class BlockCounts:
    """The same per block, over the codes in use (coarse below the floor).

    Parameters
    ----------
    codes : numpy.ndarray, shape=(codes,), dtype=int64
        Ascending.
    positives, negatives : numpy.ndarray, shape=(blocks, codes), dtype=float64
    """

    codes: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


class PairCounter:
    """Histograms of a stream of (score code, label) pairs of one class.

    It holds 1 MiB whatever the number of pairs. Counters of parts of a stream add up to that of the
    whole, in any order.
    """

    def __init__(self) -> None:
        self._all = np.zeros(CODES, dtype=np.int64)
        self._positives = np.zeros(CODES, dtype=np.int64)

    @property
    def unscored(self) -> int:
        """Pairs without a score, counted neither way."""
        return int(self._all[UNSCORED])

    def add(self, codes: np.ndarray, labels: np.ndarray) -> None:
        """Count the next pairs.

        Parameters
        ----------
        codes : numpy.ndarray, shape=(n,), dtype=uint16
            In memory or mapped.
        labels : numpy.ndarray, shape=(n,), dtype=bool or uint8
            1 where positive, 0 where negative.

        Raises
        ------
        ValueError
            If there are not as many labels as codes, or a label is neither 0 nor 1.
        """
        if codes.shape != labels.shape:
            raise ValueError(f"{codes.shape} codes with {labels.shape} labels")
        for first in range(0, len(codes), _PAIRS_AT_ONCE):
            piece = slice(first, first + _PAIRS_AT_ONCE)
            self._add_piece(codes[piece], _as_mask(labels[piece]))

    def merge(self, other: PairCounter) -> None:
        """Add what another counter of the same class has counted."""
        self._all += other._all
        self._positives += other._positives

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positives and the negatives of each code, each shape=(65536,), int64."""
        positives, negatives = self._positives.copy(), self._all - self._positives
        positives[UNSCORED] = negatives[UNSCORED] = 0
        return positives, negatives

    def _add_piece(self, codes: np.ndarray, positive: np.ndarray) -> None:
        """Count pairs that fit the cache."""
        if np.count_nonzero(positive) * _FEW <= len(codes):
            self._all += np.bincount(codes, minlength=CODES)
            self._positives += np.bincount(codes[positive], minlength=CODES)
            return
        # Picking out many positives is slower than counting both kinds under one 17-bit key.
        keys = np.multiply(positive, CODES, dtype=np.int64)
        keys += codes
        both = np.bincount(keys, minlength=2 * CODES).reshape(2, CODES)
        self._all += both.sum(axis=0)
        self._positives += both[1]


def _as_mask(labels: np.ndarray) -> np.ndarray:
    """Turn labels of 0 and 1 into a mask (dtype=bool)."""
    if labels.dtype != bool and labels.max(initial=0) > 1:
        raise ValueError(f"a label is {labels.max()}; expected 0 or 1")
    return labels.astype(bool, copy=False)


def count_by_label(
    total: np.ndarray, scores: np.ndarray, labels: ScanLabels, class_index: int
) -> LabelCounts:
    """Split the histogram of all scores of a class by label.

    Only the scores of labelled, ignored and excluded bins are looked at.

    Parameters
    ----------
    total : numpy.ndarray, shape=(strands, classes, 65536), dtype=int64
        Histogram of all scored bins of the layout.
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
        Score codes, in memory or mapped.
    labels : ScanLabels
    class_index : int

    Returns
    -------
    LabelCounts
    """
    positives = np.zeros(CODES, dtype=np.int64)
    removed = np.zeros(CODES, dtype=np.int64)
    ignored = excluded = blank = 0
    for strand in range(scores.shape[0]):
        row, mine = scores[strand, class_index], labels.of[class_index, strand]
        positives += count_codes(np.asarray(row[mine.positive]))
        neutral = _count_ranges(row, mine.ignored)
        outside = _count_ranges(row, mine.excluded)
        removed += neutral + outside
        ignored += int(neutral[UNSCORED + 1 :].sum())
        excluded += range_bins(mine.excluded)
        blank += row.shape[0] - int(total[strand, class_index].sum()) - int(outside[UNSCORED])
    negatives = total[:, class_index].sum(axis=0) - positives - removed
    positives[UNSCORED] = negatives[UNSCORED] = 0
    if (negatives < 0).any():
        raise ValueError("the histogram of all scores lacks some of the labelled bins' scores")
    return LabelCounts(positives, negatives, ignored, excluded, blank)


def count_by_block(
    blocks: pd.DataFrame,
    scores: np.ndarray,
    labels: ScanLabels,
    class_index: int,
    layout: ScanLayout,
    floor: int,
) -> BlockCounts:
    """Split the per-block histograms of a class by label.

    Parameters
    ----------
    blocks : pandas.DataFrame
        Sparse label-free histogram: block, strand, class_index, code (coarse below `floor`), count.
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
    labels : ScanLabels
    class_index : int
    layout : ScanLayout
    floor : int
        Lowest code that is counted exactly.

    Returns
    -------
    BlockCounts
        Exact at and above the floor.
    """
    mine = blocks[blocks["class_index"] == class_index]
    codes, column = np.unique(mine["code"].to_numpy(np.int64), return_inverse=True)
    shape = (len(layout.blocks), len(codes))
    negatives, positives = np.zeros(shape), np.zeros(shape)
    np.add.at(negatives, (mine["block"].to_numpy(), column), mine["count"].to_numpy())
    for strand in range(scores.shape[0]):
        row, label = scores[strand, class_index], labels.of[class_index, strand]
        for bins, is_positive in _labelled_bins(label):
            found = np.asarray(row[bins])
            scored = found != UNSCORED
            place = np.searchsorted(codes, coarsen_codes(found[scored], floor))
            where = (layout.blocks_of(bins[scored]), place)
            np.subtract.at(negatives, where, 1)
            if is_positive:
                np.add.at(positives, where, 1)
    return BlockCounts(codes, positives, negatives)


def sparse_block_histogram(
    scores: np.ndarray, layout: ScanLayout, floors: np.ndarray
) -> pd.DataFrame:
    """Count the codes of every block, exact from the floor of each class on, coarse below.

    Parameters
    ----------
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
    layout : ScanLayout
    floors : numpy.ndarray, shape=(classes,), dtype=uint16

    Returns
    -------
    pandas.DataFrame
        Columns block (int32), strand (uint8), class_index, code (uint16), count (int64); unscored
        bins are left out.
    """
    parts = []
    spans = zip(layout.blocks["first_bin"], layout.blocks["end_bin"])
    for block, (first, end) in enumerate(spans):
        for strand in range(scores.shape[0]):
            for index in range(scores.shape[1]):
                found = coarsen_codes(np.asarray(scores[strand, index, first:end]), floors[index])
                counts = count_codes(found)
                counts[UNSCORED] = 0
                code = np.flatnonzero(counts)
                parts.append((np.full(len(code), block), strand, index, code, counts[code]))
    return pd.DataFrame(
        {
            "block": np.concatenate([part[0] for part in parts] or [[]]).astype(np.int32),
            "strand": _repeated(parts, 1, np.uint8),
            "class_index": _repeated(parts, 2, np.uint16),
            "code": np.concatenate([part[3] for part in parts] or [[]]).astype(np.uint16),
            "count": np.concatenate([part[4] for part in parts] or [[]]).astype(np.int64),
        }
    )


def total_histogram(scores: np.ndarray) -> np.ndarray:
    """Count all scored bins by strand, class and code: shape=(strands, classes, 65536), int64."""
    result = np.zeros((*scores.shape[:2], CODES), dtype=np.int64)
    for strand, index in np.ndindex(*scores.shape[:2]):
        result[strand, index] = count_codes(scores[strand, index])
    result[..., UNSCORED] = 0
    return result


def _repeated(parts: list[tuple], field: int, kind: type) -> np.ndarray:
    """Repeat one field of each part for every code of the part."""
    return np.repeat(np.array([part[field] for part in parts], dtype=kind), _sizes(parts))


def _sizes(parts: list[tuple]) -> np.ndarray:
    """Return the number of codes of each part."""
    return np.array([len(part[3]) for part in parts], dtype=np.int64)


def _count_ranges(row: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Count the codes of ranges of bins, a bounded number at a time."""
    counts = np.zeros(CODES, dtype=np.int64)
    long = ranges[:, 1] - ranges[:, 0] >= _LONG_RANGE
    for first, end in ranges[long].tolist():
        counts += count_codes(row[first:end])
    for bins in _bounded(ranges[~long]):
        counts += count_codes(np.asarray(row[bins]))
    return counts


def _labelled_bins(label: BinLabels):
    """Yield (bins, whether they are positive) of everything that is not simply negative."""
    yield label.positive, True
    for ranges in (label.ignored, label.excluded):
        for bins in _bounded(ranges):
            yield bins, False


def _bounded(ranges: np.ndarray):
    """Yield the bins of ranges in pieces of bounded size."""
    size = np.maximum(-(-(ranges[:, 1] - ranges[:, 0]) // _CHUNK), 1)
    which = np.repeat(np.arange(len(ranges)), size)
    piece = expand_ranges(np.stack([np.zeros_like(size), size], axis=1))
    first = ranges[which, 0] + piece * _CHUNK
    pieces = np.stack([first, np.minimum(first + _CHUNK, ranges[which, 1])], axis=1)
    group = np.cumsum(pieces[:, 1] - pieces[:, 0]) // _CHUNK
    for number in np.unique(group):
        yield expand_ranges(pieces[group == number])
