"""Whether the scores of a genome are a mixture of those of known sites and of known other places.

If only the share of sites differs between two genomes, the histogram of all scores of the second is
prevalence * (scores of sites) + (1 - prevalence) * (scores of other places). The comparison is made
where sites are: nearly all bins score low, and a histogram of all of them says nothing of sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the scores of sites: where cells begin."""


@dataclass(frozen=True)
class MixtureFit:
    """How far observed scores are from the mixture.

    Parameters
    ----------
    misfit : float
        Bins that would have to change their cell, per expected site: 0 for a perfect mixture.
    p_value : float
        How often resampled blocks of a genome that is such a mixture misfit as much.
    """

    misfit: float
    p_value: float


def shares(counts: np.ndarray) -> np.ndarray:
    """Divide counts by their sum over the last axis."""
    return counts / np.maximum(counts.sum(-1, keepdims=True), 1)


def total_variation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return half the sum of absolute differences of shares, over the last axis."""
    return np.abs(one - other).sum(-1) / 2


def mix(prevalence: np.ndarray, sites: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the shares of scores that a prevalence leads to.

    Parameters
    ----------
    prevalence : numpy.ndarray, shape=(repeats,)
    sites, others : numpy.ndarray, shape=(repeats, n)
        Counts of the calibration.

    Returns
    -------
    numpy.ndarray, shape=(repeats, n)
    """
    weight = np.asarray(prevalence)[:, None]
    return weight * shares(sites) + (1 - weight) * shares(others)


def site_cells(sites: np.ndarray, first: int) -> np.ndarray:
    """Cut groups of scores into cells with about as many sites each.

    Parameters
    ----------
    sites : numpy.ndarray, shape=(n,)
        Sites of the calibration by group, scores ascending.
    first : int
        Groups before this one all fall into cell 0.

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=int64
        Cell of each group, ascending; cell 0 holds nearly all other bins.
    """
    share = np.cumsum(sites) / max(sites.sum(), 1)
    edges = [max(first, int(np.searchsorted(share, quantile))) for quantile in QUANTILES]
    return np.searchsorted(np.unique(edges), np.arange(len(sites)), "right")


def pool_cells(counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Add up the groups of each cell: shape=(repeats, n) to (repeats, cells)."""
    indicator = cells[:, None] == np.arange(cells[-1] + 1)
    return counts @ indicator.astype(np.float64)


def judge_mixture(
    observed: np.ndarray,
    expected: np.ndarray,
    resampled_observed: np.ndarray,
    resampled_expected: np.ndarray,
    site_share: float,
) -> MixtureFit:
    """Compare shares of cells, with a bootstrap that is centred on what was observed.

    Parameters
    ----------
    observed, expected : numpy.ndarray, shape=(cells,)
        Shares of the target's bins, and of the mixture.
    resampled_observed, resampled_expected : numpy.ndarray, shape=(repeats, cells)
        The same of resampled blocks of both genomes.
    site_share : float
        Share of bins that differences are expressed in.

    Returns
    -------
    MixtureFit
    """
    difference = observed - expected
    found = total_variation(difference, 0 * difference)
    centred = resampled_observed - resampled_expected - difference
    usual = total_variation(centred, 0 * centred)
    usual = usual[np.isfinite(usual)]
    p_value = (1 + int((usual >= found).sum())) / (1 + len(usual))
    return MixtureFit(float(found / site_share), p_value)
