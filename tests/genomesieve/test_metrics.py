"""Metrics against scikit-learn on the same rounded scores, and against arithmetic done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
)

from genomesieve import metrics
from genomesieve.scores import count_codes, decode_scores, encode_scores


def draw(seed: int, step: float, bins: int = 20_000, share: float = 0.01):
    """Return labels, rounded scores and histograms of codes; a coarse step makes many ties."""
    generator = np.random.default_rng(seed)
    labels = generator.random(bins) < share
    scores = np.round((generator.normal(-4, 2, bins) + 3.5 * labels) / step) * step
    codes = encode_scores(scores)
    return labels, decode_scores(codes), count_codes(codes[labels]), count_codes(codes[~labels])


@pytest.fixture(params=[(0, 1.0), (1, 0.25), (2, 1e-4)], ids=["ties", "some ties", "few ties"])
def drawn(request):
    return draw(*request.param)


def test_average_precision_and_auroc_equal_scikit_learn(drawn):
    labels, scores, positives, negatives = drawn
    expected = average_precision_score(labels, scores)
    assert metrics.average_precision(positives, negatives) == pytest.approx(expected, abs=1e-9)
    expected = roc_auc_score(labels, scores)
    assert metrics.auroc(positives, negatives) == pytest.approx(expected, abs=1e-9)


def test_only_used_codes_give_the_same_as_all_codes(drawn):
    _, _, positives, negatives = drawn
    used = np.flatnonzero(positives + negatives)
    for function in (metrics.average_precision, metrics.auroc, metrics.top_k):
        whole = function(positives, negatives)
        assert function(positives[used], negatives[used]) == pytest.approx(whole, abs=1e-12)


def test_sums_shared_by_several_metrics_change_nothing(drawn):
    _, _, positives, negatives = drawn
    positives, negatives = np.stack([positives, positives * 2]), np.stack([negatives, negatives])
    sums = metrics.Sums(positives, negatives)
    for call in (
        metrics.average_precision,
        metrics.auroc,
        metrics.top_k,
        lambda p, n, **sums: metrics.precision_at_recall(p, n, np.array([0.2, 0.7]), **sums),
        lambda p, n, **sums: metrics.recall_at_precision(p, n, 0.5, **sums),
        lambda p, n, **sums: metrics.enrichment(p, n, 0.5, **sums),
        lambda p, n, **sums: metrics.false_positives_per_mb(p, n, 0.5, 2.0, **sums),
    ):
        shared = call(positives, negatives, sums=sums)
        assert (shared == call(positives, negatives)).all()
        for row in (0, 1):
            assert (shared[row] == call(positives[row], negatives[row])).all()


@pytest.mark.parametrize("recall", [0.01, 0.1, 0.5, 0.9, 1.0])
def test_precision_at_recall_is_that_of_the_highest_threshold_that_reaches_it(drawn, recall):
    labels, scores, positives, negatives = drawn
    precision, found, _ = precision_recall_curve(labels, scores)
    expected = precision[np.flatnonzero(found >= recall)[-1]]
    got = metrics.precision_at_recall(positives, negatives, recall)
    assert got == pytest.approx(expected, abs=1e-9)


def test_several_recalls_at_once_equal_one_by_one(drawn):
    _, _, positives, negatives = drawn
    levels = np.array([0.2, 0.7])
    got = metrics.precision_at_recall(positives, negatives, levels)
    assert got.tolist() == [metrics.precision_at_recall(positives, negatives, r) for r in levels]


@pytest.mark.parametrize("precision", [0.3, 0.5, 0.9])
def test_recall_at_precision_wants_twenty_calls(drawn, precision):
    labels, scores, positives, negatives = drawn
    values, found, thresholds = precision_recall_curve(labels, scores)
    calls = np.array([(scores >= threshold).sum() for threshold in thresholds[-400:]])
    good = (values[:-1][-400:] >= precision) & (calls >= 20)
    expected = found[:-1][-400:][good].max(initial=0)
    got = metrics.recall_at_precision(positives, negatives, precision)
    assert got == pytest.approx(expected, abs=1e-9)


def test_recall_at_precision_is_zero_where_only_a_few_calls_are_that_precise():
    positives, negatives = np.array([10, 0, 19]), np.array([1000, 50, 0])
    assert metrics.recall_at_precision(positives, negatives, 0.9) == 0
    assert metrics.recall_at_precision(positives, negatives, 0.9, 19) == pytest.approx(19 / 29)


def test_top_k_takes_the_expected_value_within_a_tie():
    positives, negatives = np.array([5, 4, 1]), np.array([95, 4, 0])
    # 10 wanted: the one on top, the eight that tie (4 of them right), one of 100 (5 right).
    assert metrics.top_k(positives, negatives) == pytest.approx((1 + 4 + 5 / 100) / 10)
    assert metrics.top_k(positives, negatives, 3) == pytest.approx((1 + 2 * 4 / 8) / 3)


def test_top_k_is_the_mean_over_random_orders_of_ties():
    labels, scores, positives, negatives = draw(3, 1.0, bins=2000)
    generator, k = np.random.default_rng(0), int(labels.sum())
    shuffled = [np.lexsort((generator.random(len(scores)), -scores))[:k] for _ in range(3000)]
    mean = np.mean([labels[order].mean() for order in shuffled])
    assert metrics.top_k(positives, negatives) == pytest.approx(mean, abs=0.01)


def test_false_positives_are_counted_per_megabase_of_genome():
    positives, negatives = np.array([2, 1, 1]), np.array([500, 6, 2])
    assert metrics.false_positives_per_mb(positives, negatives, 0.5, 0.25) == pytest.approx(
        8 / 0.25
    )


def test_enrichment_is_a_multiple_of_prevalence():
    positives, negatives = np.array([1, 1]), np.array([98, 0])
    assert metrics.enrichment(positives, negatives, 0.5) == pytest.approx(1 / 0.02)


def test_brier_skill_equals_scikit_learn(drawn):
    labels, scores, positives, negatives = drawn
    slope = 0.9
    codes = np.arange(1 << 16, dtype=np.uint16)
    odds = np.nan_to_num(decode_scores(codes)).astype(float)
    probabilities = 1 / (1 + np.exp(-np.clip(slope * odds, -700, 700)))
    mine = 1 / (1 + np.exp(-slope * scores.astype(float)))
    constant = np.full(len(labels), labels.mean())
    expected = 1 - brier_score_loss(labels, mine) / brier_score_loss(labels, constant)
    got = metrics.brier_skill(positives, negatives, probabilities)
    assert got == pytest.approx(expected, abs=1e-9)
    assert metrics.brier_skill(positives, negatives, labels.mean()) == pytest.approx(0, abs=1e-9)


def test_calibration_error_is_small_for_true_probabilities_and_sees_a_shift():
    generator = np.random.default_rng(5)
    probabilities = np.sort(generator.beta(0.1, 5, 4000))
    mass = np.full(4000, 500)
    hits = generator.binomial(mass, probabilities)
    good = metrics.expected_calibration_error(hits, mass - hits, probabilities)
    bad = metrics.expected_calibration_error(hits, mass - hits, np.minimum(probabilities * 2, 1))
    assert good < 0.003
    assert bad > 0.05


def test_calibration_error_does_not_reward_the_many_bins_near_zero():
    probabilities = np.array([1e-6, 0.5])
    positives, negatives = np.array([0, 0]), np.array([10**9, 100])
    error = metrics.expected_calibration_error(positives, negatives, probabilities)
    assert error == pytest.approx(0.5)
    assert np.isnan(metrics.expected_calibration_error(positives, negatives, np.zeros(2)))


def test_reliability_counts_everything_once():
    labels, scores, positives, negatives = draw(6, 0.1)
    codes = np.arange(1, 1 << 16)
    odds = np.nan_to_num(decode_scores(codes.astype(np.uint16))).astype(float)
    table = metrics.reliability(positives[1:], negatives[1:], odds, np.arange(-8.0, 4))
    assert table["bins"].sum() == len(labels)
    assert table["observed"].sum() == labels.sum()
    assert table["expected"].sum() == pytest.approx((1 / (1 + np.exp(-scores))).sum(), rel=1e-6)
    assert (table["low_logodds"][1:] == table["high_logodds"][:-1]).all()
    inside = (scores >= -2) & (scores < -1)
    row = np.flatnonzero(table["low_logodds"] == -2)[0]
    assert table["bins"][row] == inside.sum()
    assert table["observed"][row] == (inside & labels).sum()


def test_an_excellent_auroc_is_a_poor_precision_at_one_in_a_thousand():
    precision = metrics.precision_at_prevalence(0.95, 0.01, 1_000 / 1_000_000)
    assert precision == pytest.approx(0.0868, abs=5e-5)
    assert metrics.precision_at_prevalence(0.95, 0.01, 0.5) == pytest.approx(0.95 / 0.96)


def test_rates_at_a_code():
    positives, negatives, codes = np.array([1, 3]), np.array([90, 10]), np.array([7, 9])
    assert metrics.rates_at_code(positives, negatives, codes, 8) == (0.75, 0.1)


def test_leading_axes_are_evaluated_row_by_row():
    rows = [draw(seed, 0.5)[2:] for seed in range(3)]
    positives, negatives = (np.stack(part) for part in zip(*rows))
    functions = {
        "ap": metrics.average_precision,
        "auroc": metrics.auroc,
        "top_k": metrics.top_k,
        "prevalence": metrics.prevalence,
        "recall": lambda p, n: metrics.recall_at_precision(p, n, 0.3),
        "precision": lambda p, n: metrics.precision_at_recall(p, n, 0.4),
        "rate": lambda p, n: metrics.false_positives_per_mb(p, n, 0.4, 2.0),
    }
    for name, function in functions.items():
        together = function(positives, negatives)
        alone = [function(p, n) for p, n in zip(positives, negatives)]
        np.testing.assert_allclose(together, alone, rtol=1e-12, err_msg=name)


def test_without_positives_nothing_is_defined_and_nothing_fails():
    none, some = np.zeros(4, dtype=int), np.array([5, 5, 0, 1])
    assert metrics.prevalence(none, some) == 0
    for value in (
        metrics.average_precision(none, some),
        metrics.auroc(none, some),
        metrics.auroc(some, none),
        metrics.precision_at_recall(none, some, 0.5),
        metrics.recall_at_precision(none, some, 0.5),
        metrics.top_k(none, some),
        metrics.brier_skill(none, some, np.zeros(4)),
        metrics.average_precision(np.zeros(0), np.zeros(0)),
    ):
        assert np.isnan(value)
