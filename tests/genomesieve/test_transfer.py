"""Assessment of a genome without labels: where assumptions fail, warnings say so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.assessment import Assessment
from genomesieve.genome import EncodedGenome
from genomesieve.mixture_fit import judge_mixture, mix, shares, site_cells, total_variation
from genomesieve.score_counts import ScoreCounts
from genomesieve.transfer import Target, assess_class, assess_sequence
from genomesieve.transfer_warnings import class_warnings
from shifted_scores import RARE, calibrate, draw


@pytest.fixture(scope="module")
def known():
    """A calibration genome with one site in 1,500 bins."""
    drawn = draw(np.random.default_rng(21), RARE)
    entry = calibrate(drawn)
    return entry, drawn.counts(entry["floor_code"])


def assess(known, **changes) -> Assessment:
    """Assess a genome drawn with changes."""
    entry, counts = known
    options = {"prevalence": RARE} | changes
    drawn = draw(np.random.default_rng(options.pop("seed", 4)), **options)
    code = entry["thresholds"][entry["operating"]]["code"]
    return assess_class(
        "donor", entry, counts, drawn.target(entry["floor_code"], code), repeats=200
    )


def names(found: Assessment) -> set[str]:
    """Return the short names of all cautions."""
    return {caution.what for caution in found.cautions}


def test_sites_that_look_different_raise_a_warning(known):
    """The conditional distribution of sites changed: the estimate is wrong, and said to be so."""
    found = assess(known, sites=-3.0)
    assert found.value("em_prevalence_ratio") < 0.75
    assert "no_mixture" in names(found)
    (sentence,) = [one.sentence for one in found.cautions if one.what == "no_mixture"]
    assert "nor the estimated precision can be relied on" in sentence


def test_another_background_raises_a_warning(known):
    found = assess(known, others_spread=2.8)
    assert found.value("em_prevalence_ratio") > 1.3
    assert {"shifted_scores"} <= names(found)
    assert found.value("score_distance") > 10 * found.value("score_distance_within")


def test_the_test_of_the_mixture_is_seldom_wrong(known):
    """Where only the prevalence differs, p is not small more often than it may be."""
    values = [
        assess(known, prevalence=1 / 700, seed=seed, bins=600_000).value("misfit_p")
        for seed in range(30)
    ]
    assert np.mean(np.array(values) < 0.1) <= 0.3
    assert np.mean(values) > 0.25


def test_no_sites_at_all(known):
    found = assess(known, prevalence=0.0, others_spread=2.2)
    assert found.value("em_sites") < 1
    assert {"at_bound", "swamped"} <= names(found)


def test_few_blocks(known):
    assert "few_blocks" in names(assess(known, blocks=5))


def test_scores_never_seen(known):
    entry, counts = known
    codes = np.append(counts.codes, [60_000, 60_001])
    target = np.pad(counts.sites + counts.others, ((0, 0), (0, 2)), constant_values=100.0)
    found = assess_class("donor", entry, counts, Target(codes, target, 500), repeats=50)
    assert found.value("unseen_scores") == pytest.approx(6000 / target.sum())
    assert "unseen_scores" in names(found)


def test_strands_that_disagree(known):
    entry, counts = known
    target = Target(counts.codes, counts.sites + counts.others, 500, strand_disagreement=0.4)
    found = assess_class("peak", entry, counts, target, repeats=50)
    assert names(found) == {"strands_disagree"}


def test_a_model_without_knowledge_and_a_scan_of_nothing(known):
    entry, counts = known
    flat = assess_class(
        "donor", entry | {"slope": 0.0}, counts, Target(counts.codes, 1.0 + counts.others, 3)
    )
    nothing = assess_class(
        "donor", entry, counts, Target(np.zeros(0, np.int64), np.zeros((1, 0)), 0)
    )
    for found in (flat, nothing):
        assert "no_estimate" in names(found)
        assert np.isnan(found.value("em_prevalence"))
    assert all(row["value"] is None or np.isfinite(row["value"]) for row in nothing.rows())


def test_estimators_that_contradict_each_other():
    found = Assessment("donor")
    for how, value in (("em", 1e-3), ("bbse", 3e-3)):
        found.add(f"{how}_prevalence", value, "", np.full(9, value))
        found.add(f"{how}_sites", 1e6 * value, "")
    found.add("em_converged", 1.0, "")
    assert [one.what for one in class_warnings(found, reliable=True)] == ["estimates_differ"]
    found.measures = [one for one in found.measures if one.measure != "em_converged"]
    found.add("em_converged", 0.0, "")
    assert "not_converged" in [one.what for one in class_warnings(found, reliable=True)]


def test_mixture_of_equal_parts():
    sites, others = np.array([[0.0, 10, 30]]), np.array([[90.0, 9, 1]])
    assert mix(np.array([0.5]), sites, others)[0] == pytest.approx([0.45, 0.17, 0.38])
    assert shares(np.zeros((1, 2))).tolist() == [[0, 0]]
    assert total_variation(np.array([1.0, 0]), np.array([0.0, 1])) == 1
    sites = np.full(100, 5.0)
    assert np.bincount(site_cells(sites, 0)).tolist() == [9, 20, 20, 20, 20, 11]
    assert np.bincount(site_cells(sites, 60)).tolist() == [60, 9, 20, 11]


def test_misfit_is_counted_in_sites():
    """A hundredth of the bins hold a site; as many again lie in another cell than they should."""
    expected, observed = np.array([0.98, 0.01, 0.01]), np.array([0.97, 0.01, 0.02])
    draws = np.tile(expected, (99, 1))
    fit = judge_mixture(observed, expected, draws - expected + observed, draws, 0.01)
    assert (fit.misfit, fit.p_value) == (pytest.approx(1.0), 0.01)


def sequence(seed: int, length: int, gc: float) -> np.ndarray:
    """Draw a sequence of some GC content."""
    chance = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, length, p=chance).astype(np.uint8)


def stretches(name: str, codes: np.ndarray) -> list:
    """Return a whole genome of one contig."""
    contigs = pd.DataFrame({"contig": ["a"], "length": [len(codes)], "offset": [0]})
    rows = pd.DataFrame({"contig": ["a"], "start": [0], "end": [len(codes)]})
    return [(EncodedGenome(name, codes, contigs), rows)]


def test_sequence_of_the_same_kind_and_of_another():
    training = stretches("old", sequence(1, 400_000, 0.36))
    same = assess_sequence(stretches("new", sequence(2, 100_000, 0.36)), training)
    assert same.cautions == []
    assert same.value("kmer_divergence") < 1.5 * same.value("kmer_divergence_within")
    assert (same.value("mash_distance"), same.value("shared_kmers")) == (1, 0)
    other = sequence(3, 100_000, 0.6)
    other[:30_000] = 4
    far = assess_sequence(stretches("new", other), training)
    assert names(far) == {"far_sequence", "gc", "unknown_bases"}
    assert far.value("gc") == pytest.approx(0.6, abs=0.01)
    assert far.value("unknown") == 0.3


def test_relatives_are_named():
    codes = sequence(1, 200_000, 0.4)
    found = assess_sequence(stretches("new", codes[50_000:150_000]), stretches("old", codes))
    assert names(found) == {"relative"}
    itself = assess_sequence(stretches("old", codes[:100_000]), stretches("old", codes))
    assert itself.cautions == []
    assert found.value("shared_kmers") == 1 and found.value("nucleotide_identity") == 1


def test_score_counts_are_complete(known):
    entry, counts = known
    assert isinstance(counts, ScoreCounts)
    assert counts.prevalence == pytest.approx(entry["prevalence"])
