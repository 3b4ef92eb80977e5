"""Block bootstrap: intervals that respect that neighbouring bins are alike.

Blocks of the genome are drawn with replacement. All models use the same draws, so a difference
between two of them is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from genomesieve.metrics import Sums

FEWEST_BLOCKS = 20
"""With fewer blocks an interval is given, and marked as unreliable."""

_BATCH_VALUES = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A range that a bootstrap distribution gives; NaN where it cannot be had."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference with this interval "beats" (in either direction)."""
        return self.low > 0 or self.high < 0


def block_weights(blocks: int, repeats: int, seed: int) -> np.ndarray:
    """Draw how often each block occurs in each repeat.

    Parameters
    ----------
    blocks : int
        Number of blocks that are drawn from, and drawn.
    repeats : int
    seed : int

    Returns
    -------
    numpy.ndarray, shape=(repeats, blocks), dtype=float64
        Whole numbers; every row sums to `blocks`.
    """
    if blocks == 0:
        return np.zeros((repeats, 0))
    generator = np.random.default_rng(seed)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=repeats).astype(float)


def resample_histograms(
    weights: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    statistics: Mapping[str, Callable[[np.ndarray, np.ndarray, Sums], np.ndarray]],
) -> dict[str, np.ndarray]:
    """Compute statistics of resampled histograms, a batch of repeats at a time.

    Parameters
    ----------
    weights : numpy.ndarray, shape=(repeats, blocks)
        From `block_weights`.
    positives, negatives : numpy.ndarray, shape=(blocks, codes)
        Counts per block; codes ascending.
    statistics : mapping of str to callable
        Each takes positives and negatives of shape (batch, codes) and their sums, which all share,
        and returns an array whose first axis is the batch.

    Returns
    -------
    dict of numpy.ndarray, shape=(repeats, ...)
        Sums of counts are exact, since they stay below 2**53.
    """
    positives = np.asarray(positives, dtype=np.float64)
    negatives = np.asarray(negatives, dtype=np.float64)
    size = max(1, _BATCH_VALUES // max(1, positives.shape[1]))
    collected: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for first in range(0, len(weights), size):
        batch = weights[first : first + size]
        drawn_positives, drawn_negatives = batch @ positives, batch @ negatives
        drawn = (drawn_positives, drawn_negatives, Sums(drawn_positives, drawn_negatives))
        for name, statistic in statistics.items():
            collected[name].append(np.asarray(statistic(*drawn)))
    return {name: np.concatenate(parts) for name, parts in collected.items()}


def resample_ratio(
    weights: np.ndarray, numerator: np.ndarray, denominator: np.ndarray
) -> np.ndarray:
    """Compute a ratio of sums over resampled blocks.

    Parameters
    ----------
    weights : numpy.ndarray, shape=(repeats, blocks)
    numerator, denominator : numpy.ndarray, shape=(blocks,) or (blocks, n)

    Returns
    -------
    numpy.ndarray, shape=(repeats,) or (repeats, n)
        NaN where the denominator is 0.
    """
    above = weights @ np.asarray(numerator, dtype=np.float64)
    below = weights @ np.asarray(denominator, dtype=np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def percentile_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Return the central interval of a bootstrap distribution (shape=(repeats,)); NaN left out."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Interval:
    """Return the interval of `first - second`, both from the same draws (shape=(repeats,))."""
    return percentile_interval(np.asarray(first) - np.asarray(second), level)


def is_reliable(blocks: int) -> bool:
    """Tell whether there are enough blocks for their bootstrap to be trusted."""
    return blocks >= FEWEST_BLOCKS
