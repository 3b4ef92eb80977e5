"""Mutagenesis against whole mutated windows, against matrices known by hand, and at the edges."""

import copy
import logging

import numpy as np
import pandas as pd
import pytest
import torch

from attributed_models import MODELS, make_bundle, matrix_bundle, random_windows
from genomesieve.alphabet import DNA
from genomesieve.change_rules import OpaqueRule
from genomesieve.genome import EncodedGenome
from genomesieve.mutagenesis import MutantScorer, cut_windows, measure_effects
from genomesieve.networks import log_odds

ONLY_WHOLE = ("kmer",)
"""Presets that cannot be followed; every mutant is run as a whole."""


def score_strings(bundle, strings, index, number):
    """Score sequences one at a time with the network itself, in float64."""
    scores, network = [], copy.deepcopy(bundle.network).double()
    for codes in strings:
        x = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 5)[:, :4].T[None].double()
        with torch.inference_mode():
            scores.append(float(log_odds(network(x), bundle.labels)[0, number, index]))
    return np.array(scores)


def naive_effects(bundle, window, anchor, index, place, number=1):
    """Every change at one place, as edits of text with the flank on both sides; no cleverness."""
    inner = window[1:-1]
    base = score_strings(bundle, [inner], index, number)[0]
    swapped = []
    for letter in range(4):
        mutant = inner.copy()
        mutant[place] = letter
        swapped.append(mutant)
    whole = list(window)
    at = place + 1
    shorter = np.array(whole[:at] + whole[at + 1 :], dtype=np.uint8)
    # The bin stays: a window with one base less begins one base earlier if that base lay before it.
    deleted = shorter[:-1] if place < anchor else shorter[1:]
    inserted = []
    for letter in range(4):
        longer = np.array(whole[:at] + [letter] + whole[at:], dtype=np.uint8)
        inserted.append(longer[2:-1] if place <= anchor else longer[1:-2])
    scores = [score_strings(bundle, each, index, number) - base for each in (swapped, inserted)]
    return scores[0], score_strings(bundle, [deleted], index, number)[0] - base, scores[1]


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), MODELS)
def test_effects_are_those_of_whole_windows(model, labels, reverse_complement, one_thread, caplog):
    bundle = make_bundle(model, labels, reverse_complement)
    windows = random_windows(bundle.architecture)
    context, resolution = bundle.architecture.context, bundle.architecture.resolution
    generator = np.random.default_rng(0)
    offsets = range(-context, resolution + context)
    if len(offsets) > 160:  # a stretch over the bin, whatever the network sees beyond
        offsets = range(-30, min(resolution, 60))
    scorer = MutantScorer(bundle, 1)
    found = measure_effects(scorer, windows, offsets, indels=True)
    assert (scorer._differencer is None) == (model["preset"] in ONLY_WHOLE)
    for row in range(len(windows)):
        anchor, index = int(windows.anchors[row]), int(windows.bins[row])
        expected = score_strings(bundle, windows.seen[row : row + 1], index, 1)
        np.testing.assert_allclose(found.scores[row], expected[0], rtol=1e-5, atol=1e-5)
        for column in generator.choice(len(offsets), 4, replace=False):
            place = anchor + offsets[column]
            if not 0 <= place < windows.length or windows.seen[row, place] == 4:
                continue
            swapped, deleted, inserted = naive_effects(
                bundle, windows.codes[row], anchor, index, place
            )
            # An effect is a difference of two log-odds, each as exact as the engine's.
            limit = 2e-5 * max(1, abs(expected[0]))
            assert abs(found.substitutions[row, column] - swapped).max() <= limit
            assert abs(found.deletions[row, column] - deleted) <= limit
            if place > 0:
                assert abs(found.insertions[row, column] - inserted).max() <= limit


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
def test_whole_run_and_differences_agree_for_ensembles(labels, one_thread):
    bundle = make_bundle({"preset": "dilated", "channels": 8}, labels, members=3)
    windows = random_windows(bundle.architecture, 5)
    offsets = range(-bundle.architecture.context - 3, 1 + bundle.architecture.context + 3)
    results = []
    for differencing in (True, False):
        scorer = MutantScorer(bundle, 0, differencing=differencing, rows=40)
        assert (scorer._differencer is not None) == differencing
        results.append(measure_effects(scorer, windows, offsets, indels=True))
    one, other = results
    for name in ("scores", "substitutions", "deletions", "insertions"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)
    assert np.nanmax(np.abs(one.substitutions)) > 0.01


@pytest.mark.parametrize("preset", ["dilated", "spliceai", "motif_cnn"])
def test_dense_presets_are_followed_to_the_end(preset):
    """No layer of theirs is computed at places that nothing reached."""
    scorer = MutantScorer(make_bundle({"preset": preset, "channels": 8}), 0)
    kinds = {type(rule) for rule in scorer._differencer._rules.values()}
    assert OpaqueRule not in kinds
    if preset == "spliceai":
        # Dilation 4 at the top: three of four positions of the layers below are never looked at.
        counts = [
            rule.count for rule in scorer._differencer._rules.values() if hasattr(rule, "taps")
        ]
        assert min(counts) == 1 and sorted(counts)[len(counts) // 2] < 120


def test_matrix_known_by_hand_is_recovered():
    """Substitutions are differences of the matrix's own log-odds, on both strands."""
    matrix = np.random.default_rng(2).normal(size=(4, 7))
    bundle = matrix_bundle(matrix)
    codes = np.random.default_rng(3).integers(0, 4, 90, dtype=np.uint8)
    contigs = pd.DataFrame({"contig": ["c", "d"], "length": [80, 10], "offset": [0, 80]})
    genome = EncodedGenome("g", codes, contigs)
    positions = np.array([30, 30, 41, 2, 79])
    minus = np.array([False, True, True, False, True])
    windows = cut_windows(genome, ["c"] * 5, positions, minus, bundle.architecture)
    offsets = range(-6, 8)
    found = measure_effects(MutantScorer(bundle, 1), windows, offsets)
    for row, (position, reverse) in enumerate(zip(positions, minus)):
        for column, offset in enumerate(offsets):
            at = position - offset if reverse else position + offset
            tap = offset + 2
            if not 0 <= at < 80:
                beyond = found.substitutions[row, column]
                assert np.isnan(beyond).all() or (
                    not 0 <= tap < 7 and np.nan_to_num(beyond).max() == 0
                )
                continue
            own = DNA.complement_codes[codes[at]] if reverse else codes[at]
            inside = 0 <= tap < 7
            expected = matrix[:, tap] - matrix[own, tap] if inside else np.zeros(4)
            np.testing.assert_allclose(found.substitutions[row, column], expected, atol=1e-5)


def test_bases_that_the_bin_does_not_see_have_exactly_no_effect():
    model = {"preset": "motif_cnn", "channels": 8, "resolution": 20, "stem_kernels": [5]}
    bundle = make_bundle(model)
    windows = random_windows(bundle.architecture, 2)
    windows.codes[:] = np.where(windows.codes == 4, 0, windows.codes)
    windows.anchors[:], windows.bins[:] = bundle.architecture.context, 0
    found = measure_effects(MutantScorer(bundle, 0), windows, range(-10, 30))
    assert (found.substitutions[:, :8] == 0).all() and (found.substitutions[:, -8:] == 0).all()
    assert np.abs(found.substitutions[:, 8:-8]).max() > 0


def test_unknown_bases_have_no_reference_effect():
    bundle = make_bundle({"preset": "dilated", "channels": 8})
    windows = random_windows(bundle.architecture, 2)
    start = -bundle.architecture.context
    found = measure_effects(MutantScorer(bundle, 0), windows, range(start, start + 10), True)
    missing = np.isnan(found.substitutions).all(2)
    assert missing[0].tolist() == [False, False, True, True, True] + [False] * 5
    assert not missing[1].any()
    assert (np.isnan(found.deletions) == missing).all()
    assert (np.isnan(found.insertions).all(2) == missing).all()


def test_minus_strand_is_the_plus_strand_of_the_other_sequence():
    bundle = make_bundle({"preset": "motif_cnn", "channels": 8, "resolution": 10})
    codes = np.random.default_rng(4).integers(0, 4, 200, dtype=np.uint8)
    contigs = pd.DataFrame({"contig": ["c"], "length": [200], "offset": [0]})
    one = EncodedGenome("g", codes, contigs)
    other = EncodedGenome("g", DNA.reverse_complement(codes).copy(), contigs)
    architecture = bundle.architecture
    plus = cut_windows(one, ["c"], np.array([57]), np.array([False]), architecture)
    minus = cut_windows(other, ["c"], np.array([199 - 57]), np.array([True]), architecture)
    assert (plus.codes == minus.codes).all() and (plus.anchors == minus.anchors).all()
    assert (plus.seen[0, plus.anchors[0] : plus.anchors[0] + 10] == codes[50:60]).all()


def test_network_that_decides_by_values_runs_as_a_whole(caplog):
    class Deciding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv1d(4, 2, 5)

        def forward(self, x):
            y = self.layer(x)
            return y * 2 if y.sum() > 0 else y

    inner = Deciding()
    bundle = make_bundle({"preset": "dilated", "channels": 4, "stem_kernels": [1], "dilations": [1],
                          "kernel": 3})  # fmt: skip
    bundle.network = inner.eval()
    with caplog.at_level(logging.WARNING):
        scorer = MutantScorer(bundle, 0)
    assert scorer._differencer is None and "as a whole" in caplog.text
    windows = random_windows(bundle.architecture, 1)
    assert np.isfinite(scorer.reference(windows.seen, windows.bins)).all()
