"""From scores with known labels at natural prevalence to probabilities, thresholds and promises."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import beta, norm
from scipy.stats import t as student
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from genomesieve.bootstrap import block_weights, resample_ratio
from genomesieve.errors import InputError
from genomesieve.metrics import FEWEST_CALLS
from genomesieve.scores import UNSCORED, decode_scores

logger = logging.getLogger(__name__)

QUANTILES = 101
"""Quantiles of the bootstrapped precision that are stored with a threshold."""

_FDR_STEP = 0.001
_CODES_AT_ONCE = 2_000
_WEAK_PENALTY = 1e6
"""Inverse strength; it only keeps the slope finite where scores separate the labels entirely."""


def calibrate_class(
    positives: np.ndarray,
    negatives: np.ndarray,
    calls: pd.DataFrame,
    *,
    name: str,
    sites: int,
    blocks: int,
    precision_targets: Sequence[float],
    floor_code: int,
    min_distance: int,
    match_distance: int,
    operating: int = 0,
    repeats: int = 1000,
    seed: int = 0,
) -> dict:
    """Calibrate one class on the calibrate part, strands pooled.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(65536,), dtype=int64
        Bins of the universe per score code (`genomesieve.label_counts.count_by_label`).
    calls : pandas.DataFrame
        All merged candidates of the class (`genomesieve.calls`): code, block (0 to blocks - 1),
        status ('true', 'false', 'ignored').
    name : str
        The class, for messages.
    sites : int
        Sites in the universe.
    blocks : int
        Bootstrap blocks of the calibrate part.
    precision_targets : sequence of float
        Precisions of calls that thresholds are wanted for.
    floor_code : int
        Lowest code of candidates.
    min_distance, match_distance : int
        Bases; kept with the result.
    operating : int
        Which of the targets calls are written at.
    repeats, seed : int
        Of the block bootstrap.

    Returns
    -------
    dict
        JSON-ready: slope, intercept, floor_code, sites, prevalence, min_distance, match_distance,
        thresholds (one a target), operating, fdr_codes, fdr.

    Raises
    ------
    InputError
        If there is no site.
    """
    slope, intercept = fit_logistic(positives, negatives, name)
    total = int(positives.sum())
    table = CallTable(calls, blocks, floor_code, repeats, seed)
    codes, fdr = table.fdr()
    return {
        "slope": slope,
        "intercept": intercept,
        "floor_code": int(floor_code),
        "sites": int(sites),
        "prevalence": total / (total + int(negatives.sum())),
        "min_distance": int(min_distance),
        "match_distance": int(match_distance),
        "thresholds": [table.threshold(float(target), sites) for target in precision_targets],
        "operating": int(operating),
        "fdr_codes": codes,
        "fdr": fdr,
    }


def fit_logistic(positives: np.ndarray, negatives: np.ndarray, name: str) -> tuple[float, float]:
    """Fit probability = sigmoid(slope * score + intercept) by maximum likelihood.

    Parameters
    ----------
    positives, negatives : numpy.ndarray, shape=(65536,), int
    name : str
        The class, for messages.

    Returns
    -------
    slope, intercept : float
        The mean predicted probability equals the prevalence. A slope of 0 says that scores do not
        rise with the share of sites: the model knows nothing of the class.

    Raises
    ------
    InputError
        If there are no positives or no negatives.
    """
    counts = np.stack([negatives, positives])
    counts[:, UNSCORED] = 0
    if not counts.any(axis=1).all():
        found = f"{int(counts[1].sum())} bins with a site and {int(counts[0].sum())} without"
        raise InputError(f"class {name}: {found} in the calibrate part; expected some of each")
    label, code = np.nonzero(counts)
    score = decode_scores(code.astype(np.uint16)).astype(np.float64)
    # The solver stops by the size of a step, so the scores must have about the same scale as 1.
    centre, spread = np.mean(score), max(np.std(score), 1e-6)
    model = LogisticRegression(C=_WEAK_PENALTY, solver="newton-cholesky", tol=1e-12, max_iter=500)
    model.fit(((score - centre) / spread)[:, None], label, sample_weight=counts[label, code])
    slope = float(model.coef_[0, 0]) / spread
    if not slope > 0:
        logger.warning(
            "class %s: calibration slope is %.3g; expected above 0. Scores do not rise with the "
            "share of sites, so no site is called: train longer or on more sites",
            name,
            slope,
        )
        sites, others = counts[1].sum(), counts[0].sum()
        return 0.0, float(np.log(sites) - np.log(others))
    return slope, float(model.intercept_[0]) - slope * centre


class CallTable:
    """Calls of one class by code and block, cumulated from the best score down.

    Parameters
    ----------
    calls : pandas.DataFrame
        Columns code, block, status; ignored calls are left out.
    blocks : int
    floor_code : int
        Threshold to name where there is no call at all.
    repeats, seed : int
        Of the block bootstrap.
    """

    def __init__(
        self, calls: pd.DataFrame, blocks: int, floor_code: int, repeats: int, seed: int
    ) -> None:
        counted = calls[calls["status"] != "ignored"]
        self.floor_code = int(floor_code)
        self.codes, column = np.unique(counted["code"].to_numpy(np.int64), return_inverse=True)
        block = counted["block"].to_numpy(np.int64)
        right = (counted["status"] == "true").to_numpy()
        shape = (blocks, len(self.codes))
        calls_here, right_here = np.zeros(shape), np.zeros(shape)
        np.add.at(calls_here, (block, column), 1)
        np.add.at(right_here, (block[right], column[right]), 1)
        self._calls = np.cumsum(calls_here[:, ::-1], axis=1)[:, ::-1]
        self._right = np.cumsum(right_here[:, ::-1], axis=1)[:, ::-1]
        self.calls, self.right = self._calls.sum(axis=0), self._right.sum(axis=0)
        self._weights = block_weights(blocks, repeats, seed)
        self.lower_bounds = self._lower_bounds()

    def _resample(self, columns: slice) -> np.ndarray:
        """Return the bootstrapped precision at some codes, shape=(repeats, n)."""
        return resample_ratio(self._weights, self._right[:, columns], self._calls[:, columns])

    def _lower_bounds(self) -> np.ndarray:
        """Return the one-sided 95 % lower bound of the precision at each code.

        It is the 5 % quantile of the block bootstrap, but never above the exact binomial bound:
        a few calls that all happen to be right have a bootstrap without any spread.
        """
        bounds = [np.zeros(0)]
        for first in range(0, len(self.codes), _CODES_AT_ONCE):
            precision = self._resample(slice(first, first + _CODES_AT_ONCE))
            bounds.append(np.quantile(np.nan_to_num(precision), 0.05, axis=0))
        wrong = self.calls - self.right
        exact = np.where(self.right > 0, beta.ppf(0.05, np.maximum(self.right, 1), wrong + 1), 0)
        return np.minimum(np.concatenate(bounds), exact)

    def threshold(self, target: float, sites: int) -> dict:
        """Return the lowest threshold whose lower bound reaches a target precision.

        Parameters
        ----------
        target : float
        sites : int
            Sites in the universe, for the recall.

        Returns
        -------
        dict
            precision_target, code, score, reached, precision, lower_bound, recall, calls,
            design_effect, bootstrap_quantiles. Where no threshold with at least 20 calls reaches
            the target, the one with the best bound.
        """
        if len(self.codes) == 0:
            return _describe(target, self.floor_code)
        enough = self.calls >= FEWEST_CALLS
        good = np.flatnonzero(enough & (self.lower_bounds >= target))
        if len(good):
            place = int(good[0])
        elif enough.any():
            place = int(np.argmax(np.where(enough, self.lower_bounds, -1)))
        else:
            place = 0
        calls, right = int(self.calls[place]), int(self.right[place])
        bootstrapped = self._resample(slice(place, place + 1))[:, 0]
        bootstrapped = _widen(bootstrapped[np.isfinite(bootstrapped)], self._weights.shape[1])
        return _describe(
            target,
            int(self.codes[place]),
            reached=bool(len(good)),
            precision=right / calls,
            lower_bound=float(self.lower_bounds[place]),
            recall=right / sites if sites else 0.0,
            calls=calls,
            design_effect=_design_effect(bootstrapped, right, calls),
            bootstrap_quantiles=np.quantile(bootstrapped, np.linspace(0, 1, QUANTILES)).tolist(),
        )

    def fdr(self) -> tuple[list[int], list[float]]:
        """Return the false share of all calls from a code up, made monotone.

        Returns
        -------
        codes : list of int
            Ascending; a value holds from its code up to the next one.
        fdr : list of float
            Does not increase with the code; steps below 0.001 are left out.
        """
        if len(self.codes) == 0:
            return [], []
        share = 1 - self.right / self.calls
        smoother = IsotonicRegression(increasing=False, y_min=0, y_max=1)
        smooth = smoother.fit_transform(np.arange(len(share)), share, sample_weight=self.calls)
        step = np.round(smooth / _FDR_STEP)
        kept = np.concatenate([[True], step[1:] != step[:-1]])
        return self.codes[kept].tolist(), smooth[kept].tolist()


def _widen(bootstrapped: np.ndarray, blocks: int) -> np.ndarray:
    """Spread bootstrapped precisions as far as so few blocks demand.

    Resampling n blocks shows (n - 1) / n of the variance, and an estimated spread calls for
    Student's t instead of the normal distribution: a tenth wider for 20 blocks, little for 100.
    """
    if blocks < 2:
        return bootstrapped
    factor = student.ppf(0.975, blocks - 1) / norm.ppf(0.975) * np.sqrt(blocks / (blocks - 1))
    centre = np.mean(bootstrapped)
    return np.clip(centre + factor * (bootstrapped - centre), 0, 1)


def _design_effect(bootstrapped: np.ndarray, right: int, calls: int) -> float:
    """Return how much more the precision varies than with independent calls, at least 1."""
    share = right / calls
    independent = share * (1 - share) / calls
    return max(1.0, float(np.var(bootstrapped)) / independent) if independent > 0 else 1.0


def _describe(
    target: float,
    code: int,
    reached: bool = False,
    precision: float = 0.0,
    lower_bound: float = 0.0,
    recall: float = 0.0,
    calls: int = 0,
    design_effect: float = 1.0,
    bootstrap_quantiles: Sequence[float] = (),
) -> dict:
    """Return the entry of a threshold as it stands in a model's settings."""
    return {
        "precision_target": target,
        "code": code,
        "score": float(decode_scores(np.array(code, dtype=np.uint16))),
        "reached": reached,
        "precision": precision,
        "lower_bound": lower_bound,
        "recall": recall,
        "calls": calls,
        "design_effect": design_effect,
        "bootstrap_quantiles": list(bootstrap_quantiles),
    }
