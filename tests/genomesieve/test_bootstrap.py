"""The block bootstrap: weights, pairing, and agreement with known standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from genomesieve.bootstrap import (
    block_weights,
    is_reliable,
    paired_difference,
    percentile_interval,
    resample_histograms,
    resample_ratio,
)
from genomesieve.metrics import average_precision, prevalence


def test_weights_draw_as_many_blocks_as_there_are_and_follow_the_seed():
    weights = block_weights(30, 500, seed=4)
    assert weights.shape == (500, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == block_weights(30, 500, seed=4)).all()
    assert (weights != block_weights(30, 500, seed=5)).any()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1 - 1 / 30, rel=0.05)


def test_a_mean_over_equal_blocks_has_its_textbook_standard_error():
    values = np.random.default_rng(0).normal(0.5, 0.1, 100)
    draws = resample_ratio(block_weights(100, 4000, 1), values, np.ones(100))
    assert draws.std() == pytest.approx(values.std() / 10, rel=0.05)
    interval = percentile_interval(draws)
    assert interval.low == pytest.approx(values.mean() - 0.196 * values.std(), abs=0.003)


def test_batches_do_not_matter_and_unit_weights_give_the_sum(monkeypatch):
    generator = np.random.default_rng(2)
    positives, negatives = generator.poisson(1, (25, 40)), generator.poisson(50, (25, 40))
    weights = np.concatenate([np.ones((1, 25)), block_weights(25, 37, 0)])
    statistics = {"ap": average_precision, "prevalence": lambda p, n, sums: prevalence(p, n)}
    whole = resample_histograms(weights, positives, negatives, statistics)
    monkeypatch.setattr("genomesieve.bootstrap._BATCH_VALUES", 100)
    cut = resample_histograms(weights, positives, negatives, statistics)
    assert whole["ap"][0] == average_precision(positives.sum(0), negatives.sum(0))
    for name in statistics:
        assert whole[name].shape == (38,)
        assert (whole[name] == cut[name]).all()


def test_pairing_sees_a_difference_that_separate_intervals_hide():
    generator = np.random.default_rng(3)
    block = generator.normal(0, 1, 50)
    better, worse = block + 0.2 + generator.normal(0, 0.02, 50), block
    weights = block_weights(50, 1000, 0)
    first, second = (resample_ratio(weights, one, np.ones(50)) for one in (better, worse))
    assert percentile_interval(first).low < percentile_interval(second).high
    assert paired_difference(first, second).excludes_zero
    assert not paired_difference(first, first).excludes_zero
    assert paired_difference(second, first).high < 0


def test_undefined_repeats_are_left_out():
    assert percentile_interval(np.array([np.nan, 1.0, 1.0])).low == 1
    assert np.isnan(percentile_interval(np.array([np.nan])).high)
    assert not percentile_interval(np.array([])).excludes_zero
    assert np.isnan(resample_ratio(np.ones((1, 2)), np.zeros(2), np.zeros(2)))


def test_few_blocks_are_marked():
    assert is_reliable(20)
    assert not is_reliable(19)
    assert block_weights(0, 3, 0).shape == (3, 0)
