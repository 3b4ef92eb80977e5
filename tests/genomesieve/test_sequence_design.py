"""Search for edits: known optima, steps against naive scores, beams against greedy."""

import copy
import itertools

import numpy as np
import pytest
import torch

from attributed_models import MODELS, make_bundle, matrix_bundle, random_windows
from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.mutagenesis import MutantScorer, SiteWindows
from genomesieve.networks import log_odds
from genomesieve.sequence_design import Designer, Target, free_places, make_target, score_anew

WORD = "GATTACACG"


def word_bundle():
    """A model whose class b counts letters of a word, later ones for more."""
    matrix = np.zeros((4, 9), dtype=np.float32)
    matrix[DNA.encode(WORD), np.arange(9)] = np.arange(1, 10)
    return matrix_bundle(matrix)


def start_window(bundle, seed=0):
    """A window at which no letter of the word stands."""
    codes = random_windows(bundle.architecture, 2, seed).codes[1:]
    anchor = bundle.architecture.context
    word = DNA.encode(WORD)
    codes[0, 1 + anchor - 2 : 1 + anchor + 7] = (word + 1) % 4
    return SiteWindows(codes, np.array([anchor]), np.zeros(1, np.int64))


def everywhere(window):
    return np.ones(window.length, dtype=bool)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_known_optimum_is_reached_in_as_many_edits_as_it_takes(beam, one_thread):
    bundle = word_bundle()
    window = start_window(bundle)
    target = make_target({"b": "high"}, bundle.classes)
    designer = Designer(MutantScorer(bundle), target, 12, beam)
    start, end = designer.design(window, everywhere(window))
    assert start.objective == pytest.approx(-1.5)
    assert end.objective == pytest.approx(45 - 1.5)
    # Nothing is gained by more edits, and the heaviest letters come first.
    assert len(end.trail) == 9
    offsets = [edit.place - int(window.anchors[0]) for edit, *_ in end.trail]
    assert offsets == list(range(6, -3, -1))
    assert DNA.decode(end.codes[window.anchors[0] - 2 :][:9]) == WORD
    three = Designer(MutantScorer(bundle), target, 3, beam).design(window, everywhere(window))[1]
    assert three.objective == pytest.approx(9 + 8 + 7 - 1.5)


def test_protected_places_and_the_flank_stay(one_thread):
    bundle = word_bundle()
    window = start_window(bundle)
    anchor = int(window.anchors[0])
    free = free_places(window.length, anchor, range(-2, 6), [(3, 5), (-9, -1)])
    assert (np.flatnonzero(free) - anchor).tolist() == [-1, 0, 1, 2, 5]
    target = make_target({"b": "high"}, bundle.classes)
    end = Designer(MutantScorer(bundle), target, 12, 2).design(window, free)[1]
    assert {edit.place - anchor for edit, *_ in end.trail} == {-1, 0, 1, 2, 5}
    nothing = free_places(window.length, anchor, range(0), [])
    start, end = Designer(MutantScorer(bundle), target, 5, 2).design(window, nothing)
    assert end is start


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), MODELS)
@pytest.mark.parametrize("members", [1, 2])
def test_each_step_is_the_best_of_all_naive_mutants(
    model, labels, reverse_complement, members, one_thread
):
    bundle = make_bundle(model, labels, reverse_complement, members)
    window = random_windows(bundle.architecture, 1)
    anchor = int(window.anchors[0])
    target = make_target({"a": "low", "b": 1.5}, bundle.classes)
    free = free_places(window.length, anchor, range(-6, 7), [])
    start, end = Designer(MutantScorer(bundle), target, 3, 1).design(window, free)
    codes, objective = window.seen[0].copy(), start.objective
    exact = copy.deepcopy(bundle.network).double()
    for edit, scores, value in end.trail:
        mutants, names = [], []
        for place, letter in itertools.product(np.flatnonzero(free), range(4)):
            if codes[place] not in (letter, DNA.unknown):
                mutants.append(codes.copy())
                mutants[-1][place] = letter
                names.append((place, letter))
        x = torch.nn.functional.one_hot(torch.from_numpy(np.stack(mutants)).long(), 5)[..., :4]
        with torch.inference_mode():
            logits = exact(x.transpose(1, 2).double())
            naive = log_odds(logits, labels)[..., window.bins[0]].numpy()
        values = -naive[:, 0].astype(float) - np.abs(naive[:, 1].astype(float) - 1.5)
        row = names.index((edit.place, edit.after))
        scale = max(1, float(np.abs(naive).max()))
        # Places that the step before has changed are not open any more.
        allowed = [i for i, (place, _) in enumerate(names) if free[place]]
        # Two classes, each to 1e-5.
        assert value == pytest.approx(values[row], abs=2e-5 * scale)
        assert value == pytest.approx(values[allowed].max(), abs=2e-5 * scale)
        np.testing.assert_allclose(scores, naive[row], atol=1e-5 * scale)
        assert value > objective and edit.before == codes[edit.place] != DNA.unknown
        codes[edit.place], objective = edit.after, value
        free[edit.place] = False
    assert (codes == end.codes).all()
    anew = score_anew(bundle, end.codes, int(window.bins[0]), DNA)
    np.testing.assert_allclose(anew, end.scores, atol=1e-4 * max(1, np.abs(anew).max()))


class Trap(torch.nn.Module):
    """One letter gives 1 at once; two others give nothing each, but 5 together."""

    def forward(self, x):
        length = x.shape[-1]
        middle = length // 2
        one = x[:, 0, middle - 2]
        both = torch.relu(x[:, 1, middle + 2] + x[:, 1, middle + 4] - 1)
        return torch.stack([torch.zeros_like(one), one + 5 * both], 1)[..., None]


def test_a_beam_goes_around_where_greedy_is_trapped(one_thread):
    bundle = word_bundle()
    bundle.network = Trap()
    codes = np.full((1, bundle.architecture.context * 2 + 3), 3, dtype=np.uint8)
    window = SiteWindows(codes, np.array([bundle.architecture.context]), np.zeros(1, np.int64))
    target = make_target({"b": "high"}, bundle.classes)
    greedy, wide = (
        Designer(MutantScorer(bundle), target, 2, beam).design(window, everywhere(window))[1]
        for beam in (1, 60)
    )
    assert greedy.objective == 1 and len(greedy.trail) == 1
    assert wide.objective == 5 and len(wide.trail) == 2


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_never_ends_below_greedy(seed, one_thread):
    bundle = make_bundle({"preset": "dilated", "channels": 8, "dilations": [1, 4]}, "exclusive")
    window = random_windows(bundle.architecture, 2, seed).take(slice(1, 2))
    target = make_target({"a": "high", "b": "low"}, bundle.classes)
    free = free_places(window.length, int(window.anchors[0]), range(-8, 9), [])
    ends = [
        Designer(MutantScorer(bundle), target, 4, beam).design(window, free)[1].objective
        for beam in (1, 2, 5)
    ]
    assert all(end >= ends[0] - 1e-5 for end in ends)


def test_unknown_bases_are_never_changed(one_thread):
    bundle = word_bundle()
    window = start_window(bundle)
    window.codes[0, 1 + int(window.anchors[0]) + 6] = DNA.unknown
    target = make_target({"b": "high"}, bundle.classes)
    end = Designer(MutantScorer(bundle), target, 12, 2).design(window, everywhere(window))[1]
    assert end.objective == pytest.approx(36 - 1.5)
    assert end.codes[int(window.anchors[0]) + 6] == DNA.unknown


def test_what_is_wanted_adds_up():
    target = make_target({"a": "low", "c": "high", "b": -2}, ["a", "b", "c"])
    assert target == Target({0: -1.0, 2: 1.0}, {1: -2.0})
    scores = np.array([[1.0, -5.0, 4.0], [0.0, -2.0, 0.5]])
    assert target.value(scores).tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "expected classes with high, low or a number"),
        (["a"], "expected classes with high, low or a number"),
        ({"x": "high"}, "class 'x'; expected one of a, b"),
        ({"a": "up"}, "found 'up' for class a; expected high, low or a log-odds"),
        ({"a": True}, "found True for class a"),
        ({"a": float("inf")}, "found inf for class a"),
    ],
)
def test_targets_that_mean_nothing_are_named(wanted, message):
    with pytest.raises(InputError, match=message):
        make_target(wanted, ["a", "b"])
