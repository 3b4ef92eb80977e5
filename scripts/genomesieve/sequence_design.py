"""Sequence changed base by base towards a wanted profile of classes, as a model scores it.

A step scores every substitution in reach of every sequence that is kept, and keeps the best ones:
one (greedy) or several (a beam). The greedy trail is always among those that are kept, so a beam
never ends below it. No place is changed twice, so that the number of edits is the number of places
that differ from the start. What is reached is reached on the model; whether a cell agrees only an
experiment tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from genomesieve.alphabet import Alphabet
from genomesieve.bundle import Bundle
from genomesieve.errors import InputError
from genomesieve.gathering import one_hot
from genomesieve.mutagenesis import MutantScorer, SiteWindows, score_substitutions
from genomesieve.networks import log_odds

WAYS = {"high": 1.0, "low": -1.0}
_LEAST_GAIN = 1e-6
"""An edit that gives less is the rounding's."""


@dataclass(frozen=True)
class Target:
    """What is wanted of some classes.

    Parameters
    ----------
    slopes : mapping of int to float
        Classes whose log-odds are to rise (1) or fall (-1).
    levels : mapping of int to float
        Classes whose log-odds are to come near a value.
    """

    slopes: Mapping[int, float]
    levels: Mapping[int, float]

    def value(self, scores: np.ndarray) -> np.ndarray:
        """Return the objective of log-odds (..., classes): more is better."""
        result = np.zeros(scores.shape[:-1])
        for column, slope in self.slopes.items():
            result += slope * scores[..., column].astype(np.float64)
        for column, level in self.levels.items():
            result -= np.abs(scores[..., column].astype(np.float64) - level)
        return result


def make_target(wanted: Mapping[str, object], classes: Sequence[str]) -> Target:
    """Read what is wanted: a class each with `high`, `low` or a log-odds.

    Raises
    ------
    InputError
        Naming the class and what was expected.
    """
    if not isinstance(wanted, Mapping) or not wanted:
        raise InputError(f"target: found {wanted!r}; expected classes with high, low or a number")
    slopes, levels = {}, {}
    for name, value in wanted.items():
        if name not in classes:
            raise InputError(f"target: found class {name!r}; expected one of {', '.join(classes)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str) and value in WAYS:
            slopes[classes.index(name)] = WAYS[value]
        elif number and np.isfinite(value):
            levels[classes.index(name)] = float(value)
        else:
            raise InputError(
                f"target: found {value!r} for class {name}; expected high, low or a log-odds"
            )
    return Target(slopes, levels)


@dataclass(frozen=True)
class Edit:
    """A substitution; codes of the letters before and after it."""

    place: int
    before: int
    after: int


@dataclass(frozen=True, eq=False)
class State:
    """A sequence on the way.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(length,), dtype=uint8
    scores : numpy.ndarray, shape=(classes,)
    objective : float
    trail : tuple of (Edit, numpy.ndarray, float)
        Edits so far, with scores and objective after each.
    """

    codes: np.ndarray
    scores: np.ndarray
    objective: float
    trail: tuple[tuple[Edit, np.ndarray, float], ...] = ()

    @property
    def edits(self) -> frozenset[Edit]:
        """What differs from the start, in any order."""
        return frozenset(edit for edit, *_ in self.trail)


class Designer:
    """Searches for edits.

    Parameters
    ----------
    scorer : MutantScorer
        Of all classes.
    target : Target
    edits : int
        At most.
    beam : int
        Sequences that are kept after every step; 1 is greedy.
    """

    def __init__(self, scorer: MutantScorer, target: Target, edits: int, beam: int):
        self.scorer, self.target, self.edits, self.beam = scorer, target, edits, beam
        self.scored = 0

    def design(self, window: SiteWindows, free: np.ndarray) -> tuple[State, State]:
        """Edit one sequence.

        Parameters
        ----------
        window : SiteWindows
            One.
        free : numpy.ndarray, shape=(length,), dtype=bool
            Places that may be changed. Unknown bases never are.

        Returns
        -------
        start, best : State
            The best of all that were kept, with as few edits as possible.
        """
        seen = window.seen[0]
        scores = self.scorer.reference(window.seen, window.bins)[0]
        start = State(seen, scores, float(self.target.value(scores)))
        free = free & (seen != self.scorer.alphabet.unknown)
        best, kept, greedy = start, [start], start
        for _ in range(min(self.edits, int(free.sum()))):
            objectives, scores = self._substitutions(kept, window, free)
            greedy = self._best_children(kept, objectives, scores, kept.index(greedy))[0]
            kept = self._best_children(kept, objectives, scores)
            if all(one.edits != greedy.edits for one in kept):
                kept.append(greedy)
            greedy = next(one for one in kept if one.edits == greedy.edits)
            if kept[0].objective > best.objective + _LEAST_GAIN:
                best = kept[0]
        return start, best

    def _substitutions(
        self, states: Sequence[State], window: SiteWindows, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score all single substitutions of some sequences.

        Returns
        -------
        objectives : numpy.ndarray, shape=(states, places, letters)
            Minus infinity where nothing may be changed, or would be.
        scores : numpy.ndarray, shape=(states, places, letters, classes)
            Of the stretch that holds all free places.
        """
        where = np.flatnonzero(free)
        places = range(int(where[0]), int(where[-1]) + 1)
        span = slice(places.start, places.stop)
        size, found = self.scorer.alphabet.size, []
        for first in range(0, len(states), self.scorer.sites):
            codes = np.stack([one.codes for one in states[first : first + self.scorer.sites]])
            sides = np.pad(codes, ((0, 0), (1, 1)), constant_values=self.scorer.alphabet.unknown)
            repeated = (np.repeat(part, len(codes)) for part in (window.anchors, window.bins))
            windows = SiteWindows(sides, *repeated)
            self.scorer.reference(windows.seen, windows.bins)
            found.append(score_substitutions(self.scorer, windows, places))
        scores = np.concatenate(found)
        allowed = np.repeat(free[None, span], len(states), axis=0)
        own = np.stack([one.codes[span] for one in states])
        for row, one in enumerate(states):
            for edit in one.edits:
                allowed[row, edit.place - places.start] = False
        objectives = self.target.value(scores)
        blocked = ~allowed[..., None] | (own[..., None] == np.arange(size))
        self.scored += int((~blocked).sum())
        self._first = places.start
        return np.where(blocked, -np.inf, objectives), scores

    def _best_children(
        self,
        states: Sequence[State],
        objectives: np.ndarray,
        scores: np.ndarray,
        only: int | None = None,
    ) -> list[State]:
        """Return the best different children of all sequences, or the best of one of them."""
        values = objectives if only is None else objectives[only : only + 1]
        most = self.beam if only is None else 1
        # The same edits in another order give the same child: look at enough to find others.
        look = min(values.size, most * (self.edits + 1))
        order = np.argsort(-values, axis=None, kind="stable")[:look]
        children: list[State] = []
        for number in order:
            row, place, letter = (int(n) for n in np.unravel_index(number, values.shape))
            value, row = float(values[row, place, letter]), row if only is None else only
            child = _child(states[row], self._first + place, letter, scores[row, place, letter],
                           value)  # fmt: skip
            if np.isfinite(value) and all(child.edits != one.edits for one in children):
                children.append(child)
            if len(children) == most:
                break
        return children


def _child(state: State, place: int, letter: int, scores: np.ndarray, value: float) -> State:
    """Return a sequence with one more edit."""
    codes = state.codes.copy()
    edit = Edit(place, int(codes[place]), letter)
    codes[place] = letter
    return State(codes, scores.copy(), value, (*state.trail, (edit, scores.copy(), value)))


def score_anew(bundle: Bundle, codes: np.ndarray, index: int, alphabet: Alphabet) -> np.ndarray:
    """Score a whole window with the network as it is, for a check of what a search found.

    Parameters
    ----------
    bundle : Bundle
    codes : numpy.ndarray, shape=(length,), dtype=uint8
    index : int
        Which prediction of the window.
    alphabet : Alphabet

    Returns
    -------
    numpy.ndarray, shape=(classes,), dtype=float32
        Log-odds.
    """
    device = next((p.device for p in bundle.network.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        x = one_hot(torch.from_numpy(np.ascontiguousarray(codes))[None].to(device), alphabet)
        return log_odds(bundle.network(x), bundle.labels)[0, :, index].cpu().numpy()


def free_places(
    length: int, anchor: int, offsets: range, protected: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Return which places may be changed: those at some offsets from the bin, less others.

    Parameters
    ----------
    length, anchor : int
        Of the window, and where its bin begins.
    offsets : range
    protected : sequence of tuple of int
        Offsets, start and end (half-open).
    """
    offset = np.arange(length) - anchor
    free = (offset >= offsets.start) & (offset < offsets.stop)
    for start, end in protected:
        free &= (offset < start) | (offset >= end)
    return free
