"""Curves and intervals of one model, from histograms with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from genomesieve import evaluation
from genomesieve.bootstrap import block_weights
from genomesieve.evaluation import compare_positions, evaluate_positions, shares
from genomesieve.label_counts import BlockCounts, LabelCounts
from genomesieve.scores import coarsen_codes, count_codes, decode_scores, encode_scores

BLOCKS = 40
CODE = int(encode_scores(np.array([0.5]))[0])
CALIBRATION = {"slope": 1.0, "intercept": -2.0, "thresholds": [{"code": CODE}], "operating": 0}


def draw(shift: float, seed: int = 0, bins: int = 40_000):
    """Return labels, scores and the two kinds of counts."""
    generator = np.random.default_rng(seed)
    labels = generator.random(bins) < 0.01
    codes = encode_scores(np.round(generator.normal(-3, 1.5, bins) + shift * labels, 1))
    block = np.arange(bins) * BLOCKS // bins
    used, column = np.unique(codes, return_inverse=True)
    counts = np.zeros((2, BLOCKS, len(used)))
    np.add.at(counts, (labels.astype(int), block, column), 1)
    exact = LabelCounts(count_codes(codes[labels]), count_codes(codes[~labels]), 30, 20, 10)
    return labels, decode_scores(codes), exact, BlockCounts(used, counts[1], counts[0])


def evaluate(shift: float, seed: int = 0):
    labels, scores, exact, blocks = draw(shift, seed)
    weights = block_weights(BLOCKS, 300, 1)
    return labels, scores, evaluate_positions(exact, blocks, weights, CALIBRATION, 0.02, (0.3,))


def test_values_are_exact_and_lie_in_their_intervals():
    labels, scores, result = evaluate(4.0)
    expected = average_precision_score(labels, scores)
    assert result.values["average_precision"] == pytest.approx(expected, abs=1e-9)
    assert result.values["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert "recall_at_precision_0.3" in result.values
    for name in ("average_precision", "auroc", "prevalence", "precision_at_recall_0.5"):
        interval = result.intervals[name]
        assert interval.low < result.values[name] < interval.high
    assert "ece" not in result.intervals


def test_intervals_hold_values_whose_scores_blocks_pool():
    """A model whose scores all lie below the floor, close together: blocks see them as ties."""
    generator = np.random.default_rng(0)
    labels = generator.random(40_000) < 0.01
    codes = encode_scores(generator.normal(-6, 0.1, len(labels)) + 0.1 * labels)
    coarse = coarsen_codes(codes, 1 << 15)
    used, column = np.unique(coarse, return_inverse=True)
    counts = np.zeros((2, BLOCKS, len(used)))
    np.add.at(counts, (labels.astype(int), np.arange(len(labels)) * BLOCKS // 40_000, column), 1)
    exact = LabelCounts(count_codes(codes[labels]), count_codes(codes[~labels]), 0, 0, 0)
    blocks, weights = BlockCounts(used, counts[1], counts[0]), block_weights(BLOCKS, 300, 1)
    result = evaluate_positions(exact, blocks, weights, CALIBRATION, 0.02)
    value, interval = result.values["auroc"], result.intervals["auroc"]
    assert interval.low < value < interval.high
    pooled = roc_auc_score(labels, coarse.astype(float))
    assert not interval.low < pooled < interval.high


def test_only_a_real_difference_beats():
    strong, weak = (evaluate(shift)[2] for shift in (4.0, 3.0))
    value, interval = compare_positions(strong, weak, "average_precision")
    assert interval.low < value < interval.high
    assert interval.excludes_zero
    assert not compare_positions(strong, strong, "average_precision")[1].excludes_zero
    assert not compare_positions(weak, evaluate(3.0, seed=7)[2], "auroc")[1].excludes_zero


def test_curves_are_short_and_belong_to_the_values():
    labels, scores, result = evaluate(4.0)
    curves = {curve["curve"].iloc[0]: curve for curve in result.curves}
    assert list(curves) == ["precision_recall", "roc", "prevalence", "scores"]
    assert all(len(curve) <= 500 for curve in curves.values())
    recall = curves["precision_recall"]
    at_half = recall[np.isclose(recall["x"], 0.5)].iloc[0]
    assert at_half["y"] == result.values["precision_at_recall_0.5"]
    assert (recall["low"] <= recall["high"]).all()
    assert ((recall["low"] <= recall["y"]) & (recall["y"] <= recall["high"])).mean() > 0.9
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    corners = set(zip(false.round(12), true.round(12)))
    roc = curves["roc"]
    assert set(zip(roc["x"].round(12), roc["y"].round(12))) <= corners
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(result.values["auroc"], abs=1e-3)
    assert roc[["x", "y"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    counted = curves["scores"].groupby("label")["y"].sum()
    assert counted["sites"] == labels.sum()
    assert counted["background"] == (~labels).sum()


def test_rates_give_the_precision_at_any_prevalence():
    labels, scores, result = evaluate(4.0)
    called = scores >= 0.5
    assert result.true_positive_rate == pytest.approx(called[labels].mean())
    assert result.false_positive_rate == pytest.approx(called[~labels].mean())
    here = result.precision_at(result.values["prevalence"])
    assert here == pytest.approx(labels[called].mean())
    assert result.precision_at(result.values["prevalence"] / 3) < here
    curve = result.curves[2]
    row = curve.iloc[60]
    assert row["y"] == pytest.approx(result.precision_at(row["x"]))
    assert (curve["low"] <= curve["y"]).all()


def test_reliability_covers_all_bins_with_finite_edges():
    labels, scores, result = evaluate(4.0)
    table = result.reliability
    assert table["bins"].sum() == len(labels)
    assert table["observed"].sum() == labels.sum()
    assert table["expected"].sum() == pytest.approx((1 / (1 + np.exp(2 - scores))).sum(), rel=1e-6)
    assert np.isfinite(table[["low_logodds", "high_logodds"]].to_numpy()).all()


def test_without_sites_values_are_undefined_but_nothing_fails():
    _, _, exact, blocks = draw(3.0)
    nothing = np.zeros_like(blocks.positives)
    counts = LabelCounts(np.zeros_like(exact.positives), exact.negatives, 0, 0, 0)
    result = evaluate_positions(
        counts, BlockCounts(blocks.codes, nothing, blocks.negatives),
        block_weights(BLOCKS, 50, 0), CALIBRATION, 0.02,
    )  # fmt: skip
    assert result.values["prevalence"] == 0
    assert np.isnan(result.values["average_precision"])
    assert np.isnan(result.intervals["average_precision"].low)
    assert np.isnan(evaluation.compare_positions(result, result, "auroc")[1].high)


def test_a_universe_without_bins_is_no_trouble():
    none = LabelCounts(np.zeros(1 << 16, int), np.zeros(1 << 16, int), 0, 100, 0)
    empty = BlockCounts(np.zeros(0, int), np.zeros((BLOCKS, 0)), np.zeros((BLOCKS, 0)))
    result = evaluate_positions(none, empty, block_weights(BLOCKS, 20, 0), CALIBRATION, 0.0)
    assert all(np.isnan(value) for value in result.values.values())
    for curve in result.curves:
        assert curve["y"].isna().all(), curve


def test_shares_say_what_was_left_out_of_what():
    counts = LabelCounts(np.array([0, 10]), np.array([0, 160]), 30, 20, 10)
    found = shares(counts, 230)
    assert found["bins"] == 170
    assert found["ignored_share"] == pytest.approx(30 / 200)
    assert found["unknown_share"] == pytest.approx(10 / 210)
    assert found["excluded_share"] == pytest.approx(20 / 230)
