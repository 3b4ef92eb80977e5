"""Reading a calibration: probability, false share, and the interval of a promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from genomesieve.promises import (
    expected_calls,
    fdr_of,
    log_odds_of,
    operating_threshold,
    probability_of,
    promised_precision,
)
from genomesieve.scores import UNSCORED, encode_scores


def threshold_of(low: float, high: float, calls: int = 100_000, design_effect: float = 1.0):
    return {
        "precision": (low + high) / 2,
        "calls": calls,
        "design_effect": design_effect,
        "bootstrap_quantiles": np.linspace(low, high, 101).tolist(),
    }


def test_a_known_precision_leaves_the_binomial_noise_of_new_calls():
    promise = promised_precision(threshold_of(0.8, 0.8), 200)
    low, high = binom.ppf([0.025, 0.975], 200, 0.8) / 200
    assert (promise.low, promise.high) == pytest.approx((low, high), abs=0.006)
    assert promise.precision == pytest.approx(0.8)


def test_clustered_calls_count_for_fewer():
    few = promised_precision(threshold_of(0.8, 0.8), 100)
    clustered = promised_precision(threshold_of(0.8, 0.8, design_effect=3.0), 300)
    assert (clustered.low, clustered.high) == (few.low, few.high)


def test_many_new_calls_leave_the_doubt_of_calibration():
    promise = promised_precision(threshold_of(0.7, 0.9), 10_000_000)
    assert (promise.low, promise.high) == pytest.approx((0.705, 0.895), abs=0.002)


def test_calibration_where_everything_was_right_does_not_promise_everything():
    promise = promised_precision(threshold_of(1.0, 1.0, calls=30), 1000)
    assert 0.95 < promise.low < 1
    assert promise.high <= 1


@pytest.mark.parametrize("calls", [0, 30])
def test_nothing_known_or_nothing_expected_promises_nothing(calls):
    threshold = threshold_of(0.0, 0.0, calls=calls)
    threshold["bootstrap_quantiles"] = []
    promise = promised_precision(threshold, 50)
    assert (promise.low, promise.high) == (0, 1)
    empty = promised_precision(threshold_of(0.8, 0.9), 0.0)
    assert (empty.low, empty.high) == (0, 1)


def test_calls_scale_with_the_size_of_the_genome():
    assert expected_calls({"calls": 40}, 1000, 250) == 10
    assert expected_calls({"calls": 40}, 0, 250) == 0


def test_probability_is_the_sigmoid_of_the_calibrated_score():
    scores = np.array([-8.0, 0.0, 3.5])
    calibration = {"slope": 1.5, "intercept": -2.0}
    found = probability_of(encode_scores(scores), calibration)
    np.testing.assert_allclose(found, expit(1.5 * scores - 2), rtol=1e-12)
    assert np.isnan(log_odds_of(np.array([UNSCORED], dtype=np.uint16), calibration)[0])
    huge = probability_of(encode_scores(np.array([-1e5, 1e5])), calibration)
    assert huge.tolist() == pytest.approx([0, 1], abs=1e-300)


def test_false_share_holds_from_its_code_to_the_next():
    calibration = {"fdr_codes": [100, 200, 300], "fdr": [0.5, 0.2, 0.0]}
    codes = np.array([5, 100, 199, 200, 299, 300, 60_000])
    assert fdr_of(codes, calibration).tolist() == [0.5, 0.5, 0.5, 0.2, 0.2, 0.0, 0.0]


def test_operating_threshold_is_the_one_that_is_pointed_at():
    assert operating_threshold({"thresholds": ["a", "b"], "operating": 1}) == "b"
