"""Windows of old genomes among those of a new one, so that both are learned together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def with_old_windows(
    new: pd.DataFrame, old: Sequence[pd.DataFrame], share: float | None, seed: int
) -> pd.DataFrame:
    """Add training windows of old genomes; validation stays the new genome's.

    Windows of every genome weigh the same on average. By their inclusion alone, those of a large
    genome would outweigh those of a small one as much as it is larger.

    Parameters
    ----------
    new : pandas.DataFrame
        Windows of the new genome, parts `train` and `valid`.
    old : sequence of pandas.DataFrame
        Windows of each old genome.
    share : float or None
        Share of old windows among all training windows, each old genome as many as another (fewer
        where it has no more); None takes all there are.
    seed : int
        Of the draw.

    Returns
    -------
    pandas.DataFrame
    """
    tables = [table[table["part"] == "train"] for table in old]
    if share is not None:
        count = int((new["part"] == "train").sum() * share / (1 - share) / len(tables))
        tables = [
            table.iloc[np.sort(_draw(len(table), max(1, count), seed, number))]
            for number, table in enumerate(tables)
        ]
    level = _mean_weight(new[new["part"] == "train"])
    scaled = [_with_mean_weight(table, level) for table in tables]
    return pd.concat([new, *scaled], ignore_index=True)


def _mean_weight(windows: pd.DataFrame) -> float:
    """Return the mean of 1 / inclusion."""
    return float((1 / np.stack(windows["inclusion"].to_numpy())).mean())


def _with_mean_weight(windows: pd.DataFrame, weight: float) -> pd.DataFrame:
    """Scale the inclusion of windows to another mean weight."""
    factor = _mean_weight(windows) / weight
    return windows.assign(inclusion=[one * factor for one in windows["inclusion"]])


def _draw(rows: int, count: int, seed: int, number: int) -> np.ndarray:
    """Draw so many rows, or all where there are fewer."""
    generator = np.random.default_rng([seed, number])
    return generator.choice(rows, min(rows, count), replace=False)
