"""How well merged calls keep the promise that calibration made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.bootstrap import Interval, percentile_interval, resample_ratio
from genomesieve.promises import Promise, expected_calls, promised_precision


@dataclass(frozen=True)
class KeptPromise:
    """What a threshold promised and what calls at it turned out to be.

    Parameters
    ----------
    threshold : dict
        Of the calibration.
    promise : Promise
        For the number of calls expected on the genome that is evaluated.
    calls, true_calls : int
        Calls that count, and those of them that are right.
    precision, recall : float
        Observed; NaN without calls or without sites.
    precision_interval, recall_interval : Interval
        95 %, block bootstrap.
    """

    threshold: dict
    promise: Promise
    calls: int
    true_calls: int
    precision: float
    recall: float
    precision_interval: Interval
    recall_interval: Interval

    @property
    def within(self) -> bool | None:
        """Whether the promise was kept; None where there is nothing to judge."""
        if not self.calls:
            return None
        return self.promise.low <= self.precision <= self.promise.high

    def expected(self, calls: float, right: bool) -> tuple[float, Interval]:
        """Return how many of a number of calls should be right (or wrong), with an interval."""
        promise = self.promise
        if right:
            return calls * promise.precision, Interval(calls * promise.low, calls * promise.high)
        low, high = calls * (1 - promise.high), calls * (1 - promise.low)
        return calls * (1 - promise.precision), Interval(low, high)


def judge_promise(
    threshold: dict,
    calls: pd.DataFrame,
    site_blocks: np.ndarray,
    weights: np.ndarray,
    calibration_bins: int,
    strand_bins: int,
) -> KeptPromise:
    """Compare the promise of one threshold with the calls that it makes.

    Parameters
    ----------
    threshold : dict
        An element of the calibration's `thresholds`.
    calls : pandas.DataFrame
        Merged candidates of the class: code, status, block (`genomesieve.calls.judge_calls`).
    site_blocks : numpy.ndarray, shape=(sites,), int
        Block of every site of the class in the universe.
    weights : numpy.ndarray, shape=(repeats, blocks)
    calibration_bins, strand_bins : int
        Size of the calibrate part and of the evaluated part, strands summed.

    Returns
    -------
    KeptPromise
    """
    made = calls[(calls["code"] >= threshold["code"]) & (calls["status"] != "ignored")]
    right = (made["status"] == "true").to_numpy()
    blocks = weights.shape[1]
    here = np.bincount(made["block"], minlength=blocks)
    right_here = np.bincount(made["block"].to_numpy()[right], minlength=blocks)
    sites = np.bincount(site_blocks, minlength=blocks)
    expectation = expected_calls(threshold, calibration_bins, strand_bins)
    return KeptPromise(
        threshold=threshold,
        promise=promised_precision(threshold, expectation),
        calls=len(made),
        true_calls=int(right.sum()),
        precision=float(right.mean()) if len(made) else float("nan"),
        recall=float(right.sum() / len(site_blocks)) if len(site_blocks) else float("nan"),
        precision_interval=percentile_interval(resample_ratio(weights, right_here, here)),
        recall_interval=percentile_interval(resample_ratio(weights, right_here, sites)),
    )


def list_outcomes(
    calls: pd.DataFrame,
    sites: pd.DataFrame,
    site_codes: np.ndarray,
    threshold: int,
) -> pd.DataFrame:
    """List what was called and what was missed, one row a site.

    Parameters
    ----------
    calls : pandas.DataFrame
        Merged candidates of one class with code, site (label in the index of `sites`, or -1),
        status, contig_index, start, end, strand_index.
    sites : pandas.DataFrame
        The sites of the class in the universe: contig_index, position, strand_index.
    site_codes : numpy.ndarray, shape=(len(sites),), dtype=uint16
        Score code of each site's bin.
    threshold : int
        Code from which on a candidate is a call.

    Returns
    -------
    pandas.DataFrame
        Columns contig_index, start, end, strand_index, code, status, called. Candidates that match
        a site but are not called have no row of their own: their sites are `missed`, at the site's
        base.
    """
    columns = ["contig_index", "start", "end", "strand_index", "code", "status", "called"]
    table = calls.assign(called=calls["code"] >= threshold)
    table = table[table["called"] | (table["status"] != "true")]
    missed = ~sites.index.isin(table["site"])
    rows = sites[missed]
    absent = pd.DataFrame(
        {
            "contig_index": rows["contig_index"],
            "start": rows["position"],
            "end": rows["position"] + 1,
            "strand_index": rows["strand_index"],
            "code": site_codes[missed],
            "status": "missed",
            "called": False,
        }
    )
    joined = pd.concat([table[columns], absent[columns]], ignore_index=True)
    return joined.sort_values(["contig_index", "start", "strand_index"], ignore_index=True)
