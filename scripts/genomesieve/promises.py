"""What a calibrated model says about its scores and calls: probability, false share, promise.

These read the `calibration` entry of a model's settings and need nothing but numpy, so that both
halves of the workflow can use them; the entry is made in `genomesieve.calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomesieve.scores import decode_scores

_DRAWS = 20_000


@dataclass(frozen=True)
class Promise:
    """A precision with the range in which the observed one shall fall 95 times in 100."""

    precision: float
    low: float
    high: float


def log_odds_of(codes: np.ndarray, calibration: dict) -> np.ndarray:
    """Return calibrated log-odds of score codes at the calibration genome's prevalence.

    Parameters
    ----------
    codes : numpy.ndarray, any shape, dtype=uint16
        NaN comes back for unscored bins.
    calibration : dict
        One class's calibration, with `slope` and `intercept`.

    Returns
    -------
    numpy.ndarray, same shape, dtype=float64
    """
    with np.errstate(invalid="ignore"):
        scores = decode_scores(codes).astype(np.float64)
    return calibration["slope"] * scores + calibration["intercept"]


def probability_of(codes: np.ndarray, calibration: dict) -> np.ndarray:
    """Return the probability of a site for score codes; see `log_odds_of`."""
    return 1 / (1 + np.exp(-np.clip(log_odds_of(codes, calibration), -700, 700)))


def fdr_of(codes: np.ndarray, calibration: dict) -> np.ndarray:
    """Return the false share among all calls that score at least as high.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(n,), int
        Codes below the table's first get the first value.
    calibration : dict
        One class's calibration, with `fdr_codes` and `fdr`.

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=float64
        1 where calibration saw no call at all.
    """
    table = np.asarray(calibration["fdr"], dtype=np.float64)
    if len(table) == 0:
        return np.ones(len(codes))
    row = np.searchsorted(np.asarray(calibration["fdr_codes"]), codes, "right") - 1
    return table[np.maximum(row, 0)]


def operating_threshold(calibration: dict) -> dict:
    """Return the threshold that calls are written at."""
    return calibration["thresholds"][calibration["operating"]]


def promised_precision(
    threshold: dict, calls_expected: float, *, seed: int = 0, draws: int = _DRAWS
) -> Promise:
    """Return the prediction interval of the precision that so many new calls will show.

    Two things make an observed precision differ from the calibrated one: that was measured on a
    limited stretch (the stored block-bootstrap distribution), and the new calls are themselves a
    sample. Calls cluster, so n of them vary like the n / design effect independent ones would. An
    interval without the second part is too narrow.

    Parameters
    ----------
    threshold : dict
        An element of a class's `thresholds`: precision, calls, design_effect and
        bootstrap_quantiles (evenly spaced from 0 to 1).
    calls_expected : float
        Calls expected where the promise is to hold.
    seed, draws : int
        Of the simulation that adds the two parts up.

    Returns
    -------
    Promise
        0 to 1 where nothing was calibrated or no call is expected.
    """
    if not threshold["bootstrap_quantiles"] or threshold["calls"] == 0 or calls_expected <= 0:
        return Promise(float(threshold["precision"]), 0.0, 1.0)
    generator = np.random.default_rng(seed)
    drawn = draw_precision(threshold, draws, generator)
    sample = max(1, round(calls_expected / threshold["design_effect"]))
    observed = generator.binomial(sample, drawn) / sample
    low, high = np.quantile(observed, [0.025, 0.975])
    return Promise(float(threshold["precision"]), float(low), float(high))


def draw_precision(threshold: dict, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draw what the precision of a threshold may be, given how well it was measured.

    Parameters
    ----------
    threshold : dict
        As for `promised_precision`.
    draws : int
    generator : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape=(draws,)
        NaN where nothing was calibrated.
    """
    quantiles = np.asarray(threshold["bootstrap_quantiles"], dtype=np.float64)
    if len(quantiles) == 0:
        return np.full(draws, np.nan)
    drawn = np.interp(generator.random(draws), np.linspace(0, 1, len(quantiles)), quantiles)
    # All calls right, in every resample, still leaves doubt: half a call is added on each side.
    return (drawn * threshold["calls"] + 0.5) / (threshold["calls"] + 1)


def expected_calls(threshold: dict, calibration_bins: int, bins: int) -> float:
    """Return the calls to be expected in `bins` if prevalence and scores are as in calibration."""
    return threshold["calls"] * bins / calibration_bins if calibration_bins else 0.0
