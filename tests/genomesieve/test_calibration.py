"""Probabilities, thresholds and the monotone false share, on score sets with a known answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import calibrate_model
from genomesieve.calibration import CallTable, calibrate_class, fit_logistic
from genomesieve.errors import InputError
from genomesieve.promises import (
    expected_calls,
    fdr_of,
    log_odds_of,
    operating_threshold,
    probability_of,
    promised_precision,
)
from genomesieve.scores import CODES, UNSCORED, count_codes, decode_scores, encode_scores

REPEATS = 200


def rare_sites(generator, bins: int, slope: float = 0.8, intercept: float = -3.0):
    """Return histograms of scores whose true probability is sigmoid(slope * score + intercept)."""
    codes = encode_scores(generator.normal(-6, 2.5, bins))
    probability = expit(slope * decode_scores(codes).astype(float) + intercept)
    labels = generator.random(bins) < probability
    return count_codes(codes[labels]), count_codes(codes[~labels])


def draw_calls(generator, blocks: int, per_block: float, spread: float):
    """Return calls in blocks whose rate of false ones differs (variance `spread`), and sites."""
    rate = generator.gamma(1 / spread, spread, blocks) if spread else np.ones(blocks)
    right = np.repeat(np.arange(blocks), generator.poisson(per_block, blocks))
    wrong = np.repeat(np.arange(blocks), generator.poisson(per_block * 3 * rate))
    scores = [generator.normal(4, 1.5, len(right)), generator.exponential(1.2, len(wrong))]
    status = np.repeat(np.array(["true", "false"], dtype=object), [len(right), len(wrong)])
    codes = encode_scores(np.round(np.concatenate(scores), 1))
    calls = pd.DataFrame({"code": codes, "block": np.concatenate([right, wrong]), "status": status})
    return calls, len(right)


def test_logistic_fit_is_the_maximum_likelihood_one_and_finds_the_truth():
    positives, negatives = rare_sites(np.random.default_rng(0), 2_000_000)
    slope, intercept = fit_logistic(positives, negatives, "x")
    assert slope == pytest.approx(0.8, abs=0.05)
    assert intercept == pytest.approx(-3.0, abs=0.3)
    used = np.flatnonzero(positives + negatives)
    score = decode_scores(used.astype(np.uint16)).astype(float)

    def loss(parameters):
        odds = parameters[0] * score + parameters[1]
        each = positives[used] * np.logaddexp(0, -odds) + negatives[used] * np.logaddexp(0, odds)
        return each.sum() / positives.sum()

    best = minimize(loss, [1.0, -2.0], method="BFGS", options={"gtol": 1e-9})
    assert (slope, intercept) == pytest.approx(tuple(best.x), abs=1e-4)


@pytest.mark.parametrize("times", [1, 10_000])
def test_mean_probability_is_the_prevalence_also_with_counts_of_a_genome(times):
    positives, negatives = rare_sites(np.random.default_rng(1), 300_000)
    positives, negatives = positives * times, negatives * times
    slope, intercept = fit_logistic(positives, negatives, "x")
    probability = probability_of(np.arange(1, CODES), {"slope": slope, "intercept": intercept})
    mass = (positives + negatives)[1:]
    expected = np.nansum(probability * mass)
    assert expected == pytest.approx(positives.sum(), rel=1e-6)


def test_scores_that_separate_the_labels_give_a_finite_slope():
    positives, negatives = np.zeros(CODES, dtype=np.int64), np.zeros(CODES, dtype=np.int64)
    positives[encode_scores(np.array([5.0]))], negatives[encode_scores(np.array([-5.0]))] = 10, 9999
    slope, _ = fit_logistic(positives, negatives, "x")
    assert 0 < slope < 100


def test_scores_that_fall_with_the_share_of_sites_say_nothing(caplog):
    positives, negatives = rare_sites(np.random.default_rng(2), 100_000, slope=-0.5, intercept=-8)
    slope, intercept = fit_logistic(positives, negatives, "acceptor")
    assert "class acceptor: calibration slope is -" in caplog.text
    assert slope == 0
    assert expit(intercept) == pytest.approx(positives.sum() / (positives + negatives).sum())
    # No score of a network reaches the floor, so nothing is called.
    assert calibrate_model.floor_code(slope, intercept, 0.002) > encode_scores(np.array([6e4]))[0]


@pytest.mark.parametrize("which", [0, 1])
def test_sites_and_background_are_both_needed(which):
    counts = list(rare_sites(np.random.default_rng(3), 10_000))
    counts[which] = np.zeros(CODES, dtype=np.int64)
    counts[which][UNSCORED] = 5
    with pytest.raises(InputError, match="class donor: .*expected some of each"):
        fit_logistic(*counts, "donor")


def test_threshold_is_the_lowest_code_whose_bound_reaches_the_target():
    calls, sites = draw_calls(np.random.default_rng(4), 60, 15, 0.3)
    table = CallTable(calls, 60, 1, REPEATS, 0)
    found = table.threshold(0.75, sites)
    assert found["reached"]
    place = int(np.flatnonzero(table.codes == found["code"])[0])
    assert found["lower_bound"] == table.lower_bounds[place] >= 0.75
    assert (table.lower_bounds[:place] < 0.75).all()
    made = calls[calls["code"] >= found["code"]]
    right = (made["status"] == "true").sum()
    assert found["calls"] == len(made)
    assert found["precision"] == pytest.approx(right / len(made))
    assert found["recall"] == pytest.approx(right / sites)
    assert found["score"] == decode_scores(np.array(found["code"], dtype=np.uint16))
    assert found["design_effect"] >= 1
    assert len(found["bootstrap_quantiles"]) == 101
    assert (np.diff(found["bootstrap_quantiles"]) >= 0).all()


def test_lower_bound_is_the_quantile_of_a_plain_block_bootstrap():
    calls, _ = draw_calls(np.random.default_rng(5), 40, 10, 1.0)
    table = CallTable(calls, 40, 1, 400, 0)
    place = len(table.codes) // 2
    made = calls[calls["code"] >= table.codes[place]]
    per_block = [made[made["block"] == block]["status"].to_numpy() == "true" for block in range(40)]
    generator = np.random.default_rng(9)
    drawn = [
        np.concatenate([per_block[block] for block in generator.integers(0, 40, 40)]).mean()
        for _ in range(2000)
    ]
    assert table.lower_bounds[place] == pytest.approx(np.quantile(drawn, 0.05), abs=0.01)


def test_clustered_calls_have_a_larger_design_effect():
    even, sites = draw_calls(np.random.default_rng(6), 60, 15, 0.0)
    uneven, more = draw_calls(np.random.default_rng(6), 60, 15, 2.0)
    calm = CallTable(even, 60, 1, REPEATS, 0).threshold(0.5, sites)["design_effect"]
    rough = CallTable(uneven, 60, 1, REPEATS, 0).threshold(0.5, more)["design_effect"]
    assert calm < 2
    assert rough > 2 * calm


def test_a_target_out_of_reach_is_said_to_be_so_with_the_best_bound():
    calls, sites = draw_calls(np.random.default_rng(7), 30, 10, 0.3)
    calls.loc[calls.sample(frac=0.3, random_state=0).index, "status"] = "false"
    table = CallTable(calls, 30, 1, REPEATS, 0)
    found = table.threshold(0.99, sites)
    assert not found["reached"]
    assert found["lower_bound"] == table.lower_bounds[table.calls >= 20].max() < 0.99


def test_a_few_calls_that_all_are_right_do_not_reach_a_high_target():
    calls = pd.DataFrame({"code": 50_000, "block": np.arange(25), "status": "true"})
    found = CallTable(calls, 25, 1, REPEATS, 0).threshold(0.9, 25)
    assert found["precision"] == 1
    assert not found["reached"]
    assert found["lower_bound"] == pytest.approx(0.05 ** (1 / 25))
    assert promised_precision(found, 25).low < 1


def test_fewer_than_twenty_calls_reach_nothing():
    calls = pd.DataFrame({"code": 50_000, "block": np.arange(19), "status": "true"})
    assert not CallTable(calls, 20, 1, REPEATS, 0).threshold(0.1, 19)["reached"]


def test_ignored_calls_do_not_count():
    calls, sites = draw_calls(np.random.default_rng(8), 30, 10, 0.3)
    more = pd.concat([calls, calls.assign(status="ignored")])
    first, second = (CallTable(one, 30, 1, REPEATS, 0) for one in (calls, more))
    assert first.threshold(0.7, sites) == second.threshold(0.7, sites)
    assert first.fdr() == second.fdr()


def test_without_any_call_there_is_a_threshold_that_promises_nothing():
    empty = pd.DataFrame({"code": [], "block": [], "status": []})
    table = CallTable(empty, 30, 40_000, REPEATS, 0)
    found = table.threshold(0.9, 10)
    assert (found["code"], found["reached"], found["calls"]) == (40_000, False, 0)
    assert table.fdr() == ([], [])
    promise = promised_precision(found, 100)
    assert (promise.low, promise.high) == (0, 1)
    assert fdr_of(np.array([50_000]), {"fdr": [], "fdr_codes": []}).tolist() == [1.0]


def test_fdr_is_monotone_and_close_to_the_false_share():
    calls, _ = draw_calls(np.random.default_rng(9), 60, 30, 0.5)
    codes, values = CallTable(calls, 60, 1, REPEATS, 0).fdr()
    assert (np.diff(codes) > 0).all()
    assert (np.diff(values) <= 0).all()
    calibration = {"fdr_codes": codes, "fdr": values}
    for code in np.unique(calls["code"]):
        made = calls[calls["code"] >= code]
        share = (made["status"] == "false").mean()
        tolerance = 0.002 + 2 / np.sqrt(len(made))
        assert fdr_of(np.array([code]), calibration)[0] == pytest.approx(share, abs=tolerance)
    assert fdr_of(np.array([1]), calibration)[0] == values[0]


def test_promised_precision_covers_new_genomes_and_a_confidence_interval_does_not():
    generator = np.random.default_rng(10)
    promised, confident, sets = 0, 0, 300
    for number in range(sets):
        calls, sites = draw_calls(generator, 40, 10, 0.5)
        threshold = CallTable(calls, 40, 1, REPEATS, number).threshold(0.7, sites)
        new, _ = draw_calls(generator, 30, 10, 0.5)
        made = new[new["code"] >= threshold["code"]]
        observed = (made["status"] == "true").mean()
        promise = promised_precision(threshold, expected_calls(threshold, 40, 30), draws=4000)
        promised += promise.low <= observed <= promise.high
        quantiles = threshold["bootstrap_quantiles"]
        low, high = np.interp([0.025, 0.975], np.linspace(0, 1, 101), quantiles)
        confident += low <= observed <= high
    assert 0.90 <= promised / sets <= 0.99
    assert confident / sets < 0.90
    assert confident < promised


def test_a_promise_is_wider_for_fewer_calls():
    calls, sites = draw_calls(np.random.default_rng(11), 60, 20, 0.3)
    threshold = CallTable(calls, 60, 1, REPEATS, 0).threshold(0.7, sites)
    few, many = (promised_precision(threshold, count) for count in (50, 5000))
    assert few.low < many.low < threshold["precision"] < many.high < few.high
    assert promised_precision(threshold, 50) == few


def test_a_calibrated_class_is_json_and_reads_back():
    generator = np.random.default_rng(12)
    positives, negatives = rare_sites(generator, 300_000)
    calls, sites = draw_calls(generator, 30, 10, 0.3)
    result = calibrate_class(
        positives, negatives, calls, name="x", sites=sites, blocks=30,
        precision_targets=[0.9, 0.5], floor_code=30_000, min_distance=1, match_distance=0,
        operating=1, repeats=REPEATS,
    )  # fmt: skip
    again = json.loads(json.dumps(result, allow_nan=False))
    assert again == result
    assert result["prevalence"] == pytest.approx(positives.sum() / 300_000)
    assert operating_threshold(result)["precision_target"] == 0.5
    high, low = result["thresholds"]
    assert high["code"] > low["code"]
    codes = np.array([UNSCORED, 30_000, 50_000], dtype=np.uint16)
    odds = log_odds_of(codes, result)
    assert np.isnan(odds[0])
    np.testing.assert_allclose(probability_of(codes, result)[1:], expit(odds[1:]))
