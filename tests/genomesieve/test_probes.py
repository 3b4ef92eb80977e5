"""Linear probes, their scores, and control tasks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    r2_score,
    roc_auc_score,
)

from genomesieve.alphabet import DNA
from genomesieve.bootstrap import block_weights
from genomesieve.control_tasks import UNKNOWN, control_values, middle_types, unseen_types
from genomesieve.layer_probes import PARTS, Prober, selectivity, word_counts
from genomesieve.probe_settings import ProbeSettings
from genomesieve.probed_properties import Property
from genomesieve.probes import best_unit, chance, fit_probe, score_probe


def problem(classes, count=900, units=4, seed=0):
    """States, values that depend on them in part, and the blocks that they lie in."""
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(count, units)) * [1, 10, 0.1, 1] + [0, 5, 0, 0]
    values = states[:, 0] + states[:, 1] / 10 + generator.normal(size=count)
    if classes:
        values = np.digitize(values, np.quantile(values, np.arange(1, classes) / classes))
    return states, values.astype(float), np.repeat(np.arange(30), count // 30)


WEIGHTS = block_weights(30, 200, 0)


def test_numbers_are_scored_as_scikit_learn_and_scipy_do():
    states, values, blocks = problem(0)
    probe = fit_probe(states[:450], values[:450], 0, (states[450:], values[450:]))
    scores = score_probe(probe, states[450:], values[450:], blocks[450:], WEIGHTS)
    predicted = probe.predict(states[450:])
    assert scores["r2"].value == pytest.approx(r2_score(values[450:], predicted))
    expected = spearmanr(values[450:], predicted).statistic
    assert scores["spearman"].value == pytest.approx(expected)
    plain = LinearRegression().fit(states[:450], values[:450])
    np.testing.assert_allclose(predicted, plain.predict(states[450:]), atol=0.2)


@pytest.mark.parametrize("classes", [2, 3])
def test_categories_are_scored_as_scikit_learn_does(classes):
    states, values, blocks = problem(classes)
    probe = fit_probe(states[:450], values[:450], classes, (states[450:], values[450:]))
    scores = score_probe(probe, states[450:], values[450:], blocks[450:], WEIGHTS)
    linear = probe.predict(states[450:])
    truth = values[450:].astype(int)
    if classes == 2:
        rank = linear[:, 1] - linear[:, 0]
        assert scores["auroc"].value == pytest.approx(roc_auc_score(truth, rank))
        expected = average_precision_score(truth, rank)
    else:
        each = [roc_auc_score(truth == one, linear[:, one]) for one in range(3)]
        assert scores["auroc"].value == pytest.approx(np.mean(each))
        each = [average_precision_score(truth == one, linear[:, one]) for one in range(3)]
        expected = np.mean(each)
    assert scores["average_precision"].value == pytest.approx(expected)
    expected = balanced_accuracy_score(truth, linear.argmax(axis=1))
    assert scores["balanced_accuracy"].value == pytest.approx(expected)


@pytest.mark.parametrize("classes", [0, 2])
def test_a_resample_is_the_score_of_its_blocks(classes):
    states, values, blocks = problem(classes)
    probe = fit_probe(states[:450], values[:450], classes, regularisation=1.0)
    weights = WEIGHTS[:20]
    scores = score_probe(probe, states, values, blocks, weights)
    for row, drawn in enumerate(weights):
        chosen = np.repeat(np.arange(len(values)), drawn[blocks].astype(int))
        expected = score_probe(
            probe, states[chosen], values[chosen], np.zeros(len(chosen), int), np.ones((1, 1))
        )
        for name, score in scores.items():
            # Ranks are those of all positions, and levels of a probe's output are pooled.
            loose = {"r2": 1e-9, "balanced_accuracy": 1e-9}.get(name, 0.01)
            assert score.draws[row] == pytest.approx(expected[name].value, abs=loose), name


def test_a_probe_does_not_depend_on_the_units_of_states():
    states, values, _ = problem(0)
    one = fit_probe(states, values, 0, regularisation=10.0)
    other = fit_probe(states * [2, 0.1, 5, 1] - 3, values, 0, regularisation=10.0)
    np.testing.assert_allclose(one.predict(states), other.predict(states * [2, 0.1, 5, 1] - 3))


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_directions_are_what_a_probe_reads(classes):
    states, values, _ = problem(classes)
    probe = fit_probe(states, values, classes, regularisation=1.0)
    step = np.array([0.3, -1, 2, 0.5])
    moved = probe.predict(states + step) - probe.predict(states)
    if classes == 3:
        moved = moved - moved.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(moved, np.tile(step @ probe.directions, (len(states), 1)))
    else:
        change = moved if not classes else moved[:, 1] - moved[:, 0]
        np.testing.assert_allclose(change, (step @ probe.directions)[0])


def test_regularisation_is_chosen_where_it_is_told_to():
    """With few positions and many units, a strong penalty is right."""
    generator = np.random.default_rng(0)
    states = generator.normal(size=(60, 50))
    values = generator.normal(size=60)
    fresh = generator.normal(size=(500, 50)), generator.normal(size=500)
    assert fit_probe(states, values, 0, fresh).regularisation == 1e4
    assert fit_probe(states, values, 0, (states, values)).regularisation == 0.1


@pytest.mark.parametrize("classes", [0, 3])
def test_the_best_unit_tells_most(classes):
    states, values, _ = problem(classes)
    states[:, 3] = 7.0
    assert best_unit(states[:, [2, 3, 0]], values, classes) == 2


def test_chance_is_what_knowing_nothing_scores():
    values = np.array([0, 0, 0, 1.0])
    assert chance("average_precision", values, 2) == 0.25
    assert chance("balanced_accuracy", values, 3) == pytest.approx(1 / 3)
    assert chance("auroc", values, 2) == 0.5
    assert chance("r2", values, 0) == 0


def test_types_are_the_words_in_the_middle():
    codes = np.array([[3, 0, 1, 2, 3], [3, 0, 1, 4, 3]], dtype=np.uint8)
    assert middle_types(codes, 3).tolist() == [0 * 16 + 1 * 4 + 2, UNKNOWN]
    assert middle_types(codes, 2).tolist() == [1, 1]


def test_control_values_are_those_of_types_and_distributed_as_the_property():
    types = np.random.default_rng(0).integers(0, 4**6, 20_000)
    types[:5] = UNKNOWN
    values = np.array([0.0, 0, 0, 1, np.nan])
    found = control_values(types, values, 6, [1])
    assert np.isnan(found[:5]).all() and np.isfinite(found[5:]).all()
    assert np.nanmean(found) == pytest.approx(0.25, abs=0.03)
    pairs = {(kind, value) for kind, value in zip(types[5:], found[5:])}
    assert len(pairs) == len(np.unique(types[5:]))
    assert not np.array_equal(found[5:], control_values(types, values, 6, [2])[5:])


def test_the_wanted_share_of_types_is_unseen():
    assert unseen_types(4, 0.25, 0).sum() == 64
    assert (unseen_types(4, 0.25, 0) != unseen_types(4, 0.25, 1)).any()


def test_words_are_counted_as_by_hand():
    codes = np.stack([DNA.encode("ACACG"), DNA.encode("ANCAC")])
    found = word_counts(codes, 2)
    words = {name: int(DNA.encode(name) @ [4, 1]) for name in ("AC", "CA", "CG")}
    assert found[0, words["AC"]] == pytest.approx(2 / 4)
    assert found[0, words["CA"]] == found[0, words["CG"]] == pytest.approx(1 / 4)
    assert found[1, words["CA"]] == found[1, words["AC"]] == pytest.approx(1 / 2)
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1])


class Bins:
    """Random places of one part, as far as a prober looks at them."""

    def __init__(self, seed, count=4000):
        generator = np.random.default_rng(seed)
        self.middles = generator.integers(0, 4, (count, 3), dtype=np.uint8)
        values = generator.normal(size=count), generator.integers(0, 2, count).astype(float)
        number, category = values
        self.properties = {
            "number": Property("number", number),
            "category": Property("category", category, ("no", "yes")),
        }
        self.blocks, self.block = 20, np.arange(count) * 20 // count

    def codes(self, flank):
        return self.middles

    def __len__(self):
        return len(self.middles)


@pytest.mark.parametrize("name", ["number", "category"])
def test_a_probe_that_knows_every_type_scores_on_seen_types_and_not_on_unseen_ones(name):
    """Features that name the type can be learned by heart: only then selectivity says something."""
    sections = {part: Bins(seed) for seed, part in enumerate(PARTS)}
    settings = ProbeSettings(type_length=3, controls=10, repeats=100)
    prober = Prober(sections, settings)
    features = {part: np.eye(64)[middle_types(one.middles, 3)] for part, one in sections.items()}
    found = prober.probe(features, name)
    found = replace(found, probe=replace(found.probe, regularisation=1.0))
    seen, unseen = prober.control(features, name, found)
    metric, base = ("r2", 0.0) if name == "number" else ("auroc", 0.5)
    assert seen.scores[metric].value > 0.95
    assert unseen.scores[metric].value == pytest.approx(base, abs=0.12)
    assert unseen.scores[metric].interval.low <= base
    assert seen.tested + unseen.tested == 4000
    assert 0.2 < unseen.tested / 4000 < 0.3
    # The property itself is drawn at random: nothing to read, and so no selectivity.
    assert found.scores[metric].value < base + 0.05
    assert selectivity(found, seen)[metric].value < -0.4
