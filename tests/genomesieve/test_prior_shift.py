"""Estimators of prevalence against scipy's optimiser, scikit-learn, and simulated shifts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from genomesieve.calibration import fit_logistic
from genomesieve.prior_shift import (
    black_box_shift,
    expectation_maximisation,
    fit_log_odds,
    group_scores,
    likelihood_ratio,
    precision_at_prevalence,
)
from genomesieve.score_counts import ScoreCounts
from genomesieve.scores import decode_scores, encode_scores
from genomesieve.transfer import assess_class
from shifted_scores import RARE, calibrate, draw, true_precision


def likeliest(counts: np.ndarray, ratio: np.ndarray) -> float:
    """Maximise the likelihood of the prevalence directly, over its logarithm."""

    def loss(log_prevalence: float) -> float:
        share = np.exp(log_prevalence)
        return -np.sum(counts * np.log(share * ratio + 1 - share))

    options = {"xatol": 1e-12}
    found = minimize_scalar(loss, bounds=(-25, -1e-9), method="bounded", options=options)
    return float(np.exp(found.x))


@pytest.mark.parametrize("prevalence", [0.3, 0.003, 1 / 17_000])
@pytest.mark.parametrize("distance", [1.5, 4.0, 9.0])
def test_expectation_maximisation_is_the_maximum_of_the_likelihood(prevalence, distance):
    generator = np.random.default_rng(int(1 / prevalence))
    score = np.linspace(-8, 16, 400)
    ratio = np.exp(distance * score - distance**2 / 2)
    total = 2_000_000
    density = [np.exp(-((score - mean) ** 2) / 2) for mean in (0, distance)]
    share = [one / one.sum() for one in density]
    counts = generator.poisson(total * ((1 - prevalence) * share[0] + prevalence * share[1]))
    found, converged = expectation_maximisation(counts[None], ratio[None], 0.5, most=200_000)
    assert converged.all()
    assert found[0] == pytest.approx(likeliest(counts, ratio), rel=1e-4)


def test_where_it_starts_does_not_matter():
    counts = np.array([[1000.0, 40, 10]] * 3)
    start = np.array([1e-6, 0.01, 0.9])
    found, _ = expectation_maximisation(counts, np.array([[0.1, 1, 500]]), start)
    assert found == pytest.approx(found[0], rel=1e-5)


def test_no_site_is_the_lower_bound_and_few_steps_are_not_enough():
    counts = np.array([[1e6, 1.0]])
    found, converged = expectation_maximisation(counts, np.array([[0.5, 3.0]]), 0.01)
    assert converged[0] and found[0] * counts.sum() < 0.5
    found, converged = expectation_maximisation(counts, np.array([[0.5, 3.0]]), 0.9, most=2)
    assert not converged[0]


def test_log_odds_are_those_of_scikit_learn():
    """`fit_logistic` is scikit-learn's; one Newton fit for every row of weights."""
    drawn = draw(np.random.default_rng(3), 1 / 100, 100_000)
    positives, negatives = drawn.histograms()
    expected = fit_logistic(positives, negatives, "donor")
    codes = np.flatnonzero(positives + negatives)
    scores = decode_scores(codes).astype(float)
    rows = np.stack([positives[codes], 3 * positives[codes]])
    others = np.stack([negatives[codes]] * 2)
    slope, intercept = fit_log_odds(scores, rows, others, expected)
    assert (slope[0], intercept[0]) == pytest.approx(expected, rel=1e-4)
    more = fit_logistic(3 * positives, negatives, "donor")
    assert (slope[1], intercept[1]) == pytest.approx(more, rel=1e-4)


def test_black_box_shift_inverts_the_share_of_calls():
    prevalence = np.array([0.0, 1 / 17_000, 0.3, 1.0])
    called = prevalence * 0.8 + (1 - prevalence) * 1e-4
    assert black_box_shift(called, 0.8, 1e-4) == pytest.approx(prevalence, abs=1e-12)
    assert black_box_shift(5e-5, 0.8, 1e-4) == 0
    assert np.isnan(black_box_shift(0.1, 0.2, 0.2))


def test_precision_follows_from_the_rates():
    """The figure that AUROC hides: sensitivity 0.95 and fall-out 0.01 at 1 in 1,000."""
    even = 0.95 / (0.95 + 0.01)
    assert precision_at_prevalence(even, 0.5, 0.001) == pytest.approx(0.0868, abs=1e-4)
    assert precision_at_prevalence(0.7, 0.01, 0.01) == pytest.approx(0.7)
    assert precision_at_prevalence(1.0, 0.01, 0.0001) == 1
    assert np.isnan(precision_at_prevalence(1.0, 0.01, 0.0))


def test_groups_keep_counts_and_thresholds():
    generator = np.random.default_rng(0)
    floor, threshold = (int(encode_scores(np.array([score]))[0]) for score in (-3.0, 1.013))
    below, above = generator.integers(10_000, floor, 300), generator.integers(floor, 52_000, 3000)
    codes = np.unique(np.concatenate([below & 0xFFC0, above]))
    counts = generator.integers(0, 9, (3, 4, len(codes))).astype(float)
    groups = group_scores(
        ScoreCounts(codes, counts[0], counts[1]), codes, counts[2], [floor, threshold]
    )
    assert len(groups.lowest) < len(codes)
    for mine, given in ((groups.sites, 0), (groups.others, 1), (groups.target, 2)):
        for edge in (floor, threshold):
            kept = mine[:, groups.lowest >= edge].sum(1)
            assert kept.tolist() == counts[given][:, codes >= edge].sum(1).tolist()
        assert mine.sum() == counts[given].sum()
    assert (np.diff(groups.scores[groups.lowest >= floor]) > 0).all()
    mean = decode_scores(codes[codes >= floor]).astype(float) @ counts[..., codes >= floor].sum(
        (0, 1)
    )
    weights = groups.sites.sum(0) + groups.others.sum(0) + groups.target.sum(0)
    kept = groups.lowest >= floor
    assert groups.scores[kept] @ weights[kept] == pytest.approx(mean, rel=1e-6)


def test_likelihood_ratio_takes_the_prior_out():
    ratio = likelihood_ratio(
        np.array([0.0, 2.0]), np.array([1.5]), np.array([-4.0]), np.array([0.02])
    )
    odds = np.exp(1.5 * np.array([0.0, 2.0]) - 4)
    assert ratio[0] == pytest.approx(odds / (0.02 / 0.98))


@pytest.fixture(scope="module")
def known():
    """A calibration genome with one site in 1,500 bins."""
    drawn = draw(np.random.default_rng(11), RARE)
    entry = calibrate(drawn)
    return entry, drawn.counts(entry["floor_code"])


@pytest.mark.parametrize("prevalence", [RARE, 1 / 300, 1 / 17_000])
def test_both_estimators_recover_a_prior_shift(known, prevalence):
    """Within sampling error: the truth lies in the interval, with some room for 1 case in 20."""
    entry, counts = known
    threshold = entry["thresholds"][entry["operating"]]["code"]
    drawn = draw(np.random.default_rng(round(1 / prevalence)), prevalence)
    target = drawn.target(entry["floor_code"], threshold)
    found = assess_class("donor", entry, counts, target, repeats=200)
    for how in ("em", "bbse"):
        low, high = found.interval(f"{how}_prevalence")
        spread = (high - low) / 4
        assert low - spread < drawn.prevalence < high + spread
        right, wrong = drawn.called(threshold)
        low, high = found.interval(f"{how}_precision")
        assert low - 0.02 < right / (right + wrong) < high + 0.02
        assert found.value(f"{how}_true_calls") + found.value(
            f"{how}_false_calls"
        ) == pytest.approx(right + wrong)
    factor = found.value("em_prevalence") / drawn.prevalence
    assert factor == pytest.approx(1, abs=0.25 if prevalence < 1e-4 else 0.06)
    names = {caution.what for caution in found.cautions}
    # Ten times as rare: false positives are most of the calls, and the reader is told so.
    assert names == ({"swamped", "promise"} if prevalence < 1e-4 else set())


@pytest.mark.parametrize("prevalence", [1 / 300, RARE, 1 / 17_000])
def test_precision_is_the_analytic_one(known, prevalence):
    """Given the calibration's precision, that at another prevalence follows from the densities."""
    entry, _ = known
    code = entry["thresholds"][entry["operating"]]["code"]
    before = true_precision(RARE, code)
    expected = true_precision(prevalence, code)
    assert precision_at_prevalence(before, RARE, prevalence) == pytest.approx(expected, rel=1e-9)
    measured = entry["thresholds"][entry["operating"]]["precision"]
    found = precision_at_prevalence(measured, entry["prevalence"], prevalence)
    assert found == pytest.approx(expected, abs=0.03)
