"""Mini-batches that take equally many windows from every laboratory, whatever each one has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def mixed_rows(groups: Sequence[np.ndarray], seed: int, step: int, size: int) -> np.ndarray:
    """Return the windows of a step, as nearly as possible equally many of each laboratory.

    Every laboratory's windows come epoch after epoch, each in an order of its own; where the size
    is no multiple of the laboratories, they take turns in giving one more. The result is a function
    of the seed and the step alone.

    Parameters
    ----------
    groups : sequence of numpy.ndarray
        The windows (int) of each laboratory; none is empty.
    seed, step, size : int
        Step counts from 0; size is the windows of a mini-batch.

    Returns
    -------
    numpy.ndarray, shape=(size,), dtype=int64
        Sorted. A laboratory with fewer windows than its share repeats some.
    """
    share, rest = divmod(size, len(groups))
    chosen = []
    for number, mine in enumerate(groups):
        begin, end = (_given(number, at, share, rest, len(groups)) for at in (step, step + 1))
        epoch, place = np.divmod(np.arange(begin, end), len(mine))
        for one in np.unique(epoch):
            order = _order(seed, number, int(one), len(mine))
            chosen.append(mine[order[place[epoch == one]]])
    return np.sort(np.concatenate(chosen))


def _given(number: int, step: int, share: int, rest: int, count: int) -> int:
    """Count the windows that a laboratory has given before a step."""
    turns = step * rest
    return step * share + (turns - number + count - 1) // count


@lru_cache(maxsize=64)
def _order(seed: int, number: int, epoch: int, windows: int) -> np.ndarray:
    """Return the order of a laboratory's windows in one of its epochs."""
    return np.random.default_rng([seed, number, epoch]).permutation(windows)
