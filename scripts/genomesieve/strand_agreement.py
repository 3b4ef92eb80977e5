"""Whether a model says the same of both strands, where sites have none.

A model of unstranded classes reads a scan on the plus strand alone. What it says of the reverse
complement may differ; that is counted here on a sample of the rows of a scan, in whole numbers and
sums that add up over shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from genomesieve.chunks import Chunks, fill_row, fill_signals, kept_bins
from genomesieve.genome import EncodedGenome
from genomesieve.scores import UNSCORED, decode_scores

SAMPLE_BASES = 1_000_000
"""About how much of a scan is read on both strands."""


def sample_rows(chunks: Chunks, wanted: range) -> list[int]:
    """Choose rows at even distances over the whole scan; return those among the wanted ones.

    Which rows are chosen follows from the scan and not from the shard.
    """
    step = max(1, len(chunks) * chunks.length // SAMPLE_BASES)
    return [row for row in wanted if row % step == 0]


def measure_agreement(
    score: Callable[..., np.ndarray],
    batch: int,
    genome: EncodedGenome,
    chunks: Chunks,
    rows: Iterable[int],
    layout: tuple[int, int],
    thresholds: Mapping[str, int],
) -> dict[str, dict]:
    """Score rows as they are and reverse complemented, and count where the two disagree.

    Parameters
    ----------
    score : callable
        Maps codes (N, chunks.length + 2 * context), and the signals of a genome that has some
        (N, signals, same length), to score codes (N, 1, classes, bins).
    batch : int
        N, always the same.
    genome : EncodedGenome
    chunks : Chunks
    rows : iterable of int
    layout : tuple of int
        Context and resolution of the model, bp.
    thresholds : mapping of str to int
        Code that a bin of each class is called at, in the order of the classes.

    Returns
    -------
    dict of str to dict
        By class: bins compared; how many are called on both readings and on one alone; the sum of
        the absolute differences of their log-odds.
    """
    context, resolution = layout
    limits = np.array(list(thresholds.values()))[:, None]
    counts = np.zeros((4, len(thresholds)))
    rows = list(rows)
    for first in range(0, len(rows), batch):
        group = rows[first : first + batch]
        shape = (batch, chunks.length + 2 * context)
        codes = np.full(shape, genome.alphabet.unknown, dtype=np.uint8)
        for target, row in enumerate(group):
            fill_row(codes[target], genome, chunks, row, context)
        signals = []
        if genome.signals:
            signals = [np.zeros((batch, len(genome.signals), shape[1]), dtype=np.float32)]
            for target, row in enumerate(group):
                fill_signals(signals[0][target], genome, chunks, row, context)
        other = genome.alphabet.complement_codes[codes[:, ::-1]]
        forward = score(codes, *signals)[:, 0]
        backward = score(other, *(values[..., ::-1].copy() for values in signals))[:, 0, :, ::-1]
        for target, row in enumerate(group):
            bins = kept_bins(chunks, row, resolution)
            counts += _compare(forward[target][:, bins], backward[target][:, bins], limits)
    names = ("bins", "called_on_both", "called_on_one")
    return {
        name: {key: int(value) for key, value in zip(names, counts[:3, index])}
        | {"sum_of_differences": float(counts[3, index])}
        for index, name in enumerate(thresholds)
    }


def _compare(forward: np.ndarray, backward: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Count for every class of (classes, bins): compared, called twice, called once, difference."""
    known = (forward != UNSCORED) & (backward != UNSCORED)
    one, other = (forward >= limits) & known, (backward >= limits) & known
    difference = np.abs(decode_scores(forward) - decode_scores(backward)).astype(np.float64)
    return np.stack(
        [
            known.sum(1),
            (one & other).sum(1),
            (one ^ other).sum(1),
            np.where(known, difference, 0).sum(1),
        ]
    )


def add_agreements(shards: Iterable[Mapping[str, Mapping]]) -> dict[str, dict]:
    """Add up what the shards of one scan counted; nothing where nothing was measured."""
    total: dict[str, dict] = {}
    for shard in shards:
        for name, counts in shard.items():
            mine = total.setdefault(name, dict.fromkeys(counts, 0))
            for key, value in counts.items():
                mine[key] += value
    return total


def strand_metrics(counts: Mapping[str, float] | None) -> dict[str, float]:
    """Return the metrics of one class; none where both strands are data of their own.

    `strand_disagreement` is the share of bins called on one reading alone among those called on
    either, `strand_difference` the mean absolute difference of the log-odds of all bins.
    """
    if not counts:
        return {}
    called = counts["called_on_both"] + counts["called_on_one"]
    return {
        "strand_disagreement": counts["called_on_one"] / called if called else float("nan"),
        "strand_difference": counts["sum_of_differences"] / counts["bins"]
        if counts["bins"]
        else float("nan"),
    }
