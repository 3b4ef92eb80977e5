"""Words put into background sequence, and what they do to the log-odds of every class.

Backgrounds are dinucleotide shuffles, so that a word meets sequence that is made of what the genome
is made of and says nothing. A word is put over the bases that are there: nothing moves. What it
does is the log-odds with it less the log-odds without it, on one and the same background. All of it
is an effect on the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genomesieve.architecture import Architecture
from genomesieve.bootstrap import block_weights
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, gather_windows
from genomesieve.mutagenesis import MutantScorer
from genomesieve.shuffling import shuffle_dinucleotides

_TRIES = 1000
"""Places drawn for every background that is wanted, at most."""
_MOST_SLACK = 32
"""bp by which words of one batch may lie apart: all between counts as changed in every mutant."""
_REPEATS = 1000
_VALUES_AT_ONCE = 2_000_000


class Implant(NamedTuple):
    """A word at a place.

    Parameters
    ----------
    place : int
        Of its first forced base in the window.
    word : bytes
        Codes; unknown leaves the base of the background.
    """

    place: int
    word: bytes

    @property
    def end(self) -> int:
        """One past its last forced base."""
        return self.place + len(self.word)


Construct = tuple[Implant, ...]


@dataclass(frozen=True)
class Backgrounds:
    """Shuffled windows with one bin in their middle that is looked at.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(backgrounds, length), dtype=uint8
    bin : int
        Which prediction of the window.
    anchor : int
        Where the bin's first base stands in the window.
    """

    codes: np.ndarray
    bin: int
    anchor: int

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def length(self) -> int:
        """Bases that the network sees."""
        return self.codes.shape[1]

    def take(self, rows: slice) -> Backgrounds:
        """Return some of the backgrounds."""
        return Backgrounds(self.codes[rows], self.bin, self.anchor)


def middle_bin(architecture: Architecture) -> tuple[int, int]:
    """Return the bin in the middle of a window and where its first base stands."""
    middle = (architecture.stride // architecture.resolution - 1) // 2
    return middle, architecture.context + middle * architecture.resolution


def random_backgrounds(
    genome: EncodedGenome, architecture: Architecture, count: int, generator: np.random.Generator
) -> Backgrounds:
    """Shuffle windows of random places of a genome that hold no unknown base.

    Raises
    ------
    InputError
        If the genome has too few such places.
    """
    length = architecture.stride + 2 * architecture.context
    sizes = genome.contigs["length"].to_numpy(np.int64)
    offsets = genome.contigs["offset"].to_numpy(np.int64)
    last = np.cumsum(np.maximum(sizes - length + 1, 0))
    taken: list[np.ndarray] = []
    for _ in range(_TRIES if last[-1] else 0):
        drawn = generator.integers(0, last[-1], count)
        rows = np.searchsorted(last, drawn, "right")
        start = drawn - (last[rows] - np.maximum(sizes[rows] - length + 1, 0))
        unknown = genome.alphabet.unknown
        codes = gather_windows(genome.codes, offsets[rows], sizes[rows], start, length, unknown)
        taken.extend(codes[(codes != unknown).all(1)][: count - len(taken)])
        if len(taken) == count:
            break
    else:
        raise InputError(
            f"genome {genome.name}: {len(taken)} windows of {length} known bases were found; "
            f"expected {count} backgrounds of what the model sees"
        )
    return _shuffled(taken, architecture, generator)


def site_backgrounds(
    codes: np.ndarray,
    unknown: int,
    architecture: Architecture,
    count: int,
    generator: np.random.Generator,
) -> Backgrounds:
    """Shuffle the sites' own windows, again and again until there are enough.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(sites, length), dtype=uint8
    unknown : int
        Code of unknown bases; windows with some are left out.
    architecture : Architecture
    count : int
    generator : numpy.random.Generator

    Raises
    ------
    InputError
        If no window is left.
    """
    known = codes[(codes != unknown).all(1)]
    if not len(known):
        raise InputError(
            f"none of {len(codes)} sites has a window of {codes.shape[1]} known bases; expected "
            "--backgrounds random"
        )
    order = generator.permutation(len(known))
    return _shuffled([known[order[n % len(known)]] for n in range(count)], architecture, generator)


def _shuffled(
    windows: Sequence[np.ndarray], architecture: Architecture, generator: np.random.Generator
) -> Backgrounds:
    """Shuffle every window."""
    shuffled = np.stack([shuffle_dinucleotides(codes, generator) for codes in windows])
    return Backgrounds(shuffled, *middle_bin(architecture))


class Implanter:
    """Scores constructs on backgrounds.

    Parameters
    ----------
    scorer : MutantScorer
        Of all classes.
    backgrounds : Backgrounds
    """

    def __init__(self, scorer: MutantScorer, backgrounds: Backgrounds):
        self.scorer, self.backgrounds = scorer, backgrounds

    def fits(self, construct: Construct) -> bool:
        """Tell whether all words lie within what the network sees and none covers another."""
        ends = sorted(construct)
        apart = all(one.end <= other.place for one, other in zip(ends, ends[1:]))
        return apart and ends[0].place >= 0 and ends[-1].end <= self.backgrounds.length

    def effects(self, constructs: Sequence[Construct]) -> np.ndarray:
        """Measure what constructs do.

        Parameters
        ----------
        constructs : sequence of tuple of Implant
            All of them fit.

        Returns
        -------
        numpy.ndarray, shape=(constructs, backgrounds, classes), dtype=float32
            Log-odds with the words less log-odds without.
        """
        backgrounds, scorer = self.backgrounds, self.scorer
        shape = len(constructs), len(backgrounds), scorer.classes
        result = np.empty(shape, dtype=np.float32)
        if not len(constructs):
            return result
        # As many backgrounds together as leave room for a few words on each.
        together = min(scorer.sites, max(1, scorer.rows // 8))
        for first in range(0, len(backgrounds), together):
            rows = slice(first, min(first + together, len(backgrounds)))
            codes = backgrounds.codes[rows]
            bins = np.full(len(codes), backgrounds.bin, dtype=np.int64)
            before = scorer.reference(codes, bins)
            for batch in _batches(constructs, max(1, scorer.rows // len(codes))):
                start, changed = _write_words([constructs[n] for n in batch], codes, scorer)
                scores = scorer.mutants(start, changed)
                result[batch, rows] = (scores - before[:, None]).transpose(1, 0, 2)
        return result


def _batches(constructs: Sequence[Construct], most: int) -> Iterator[np.ndarray]:
    """Yield numbers of constructs that lie close together, some at a time."""
    spans = [(min(one.place for one in each), max(one.end for one in each)) for each in constructs]
    batch: list[int] = []
    for number in sorted(range(len(spans)), key=spans.__getitem__):
        if batch:
            low = min(spans[n][0] for n in (*batch, number))
            high = max(spans[n][1] for n in (*batch, number))
            own = max(spans[n][1] - spans[n][0] for n in (*batch, number))
            if len(batch) == most or high - low > own + _MOST_SLACK:
                yield np.array(batch)
                batch = []
        batch.append(number)
    yield np.array(batch)


def _write_words(
    constructs: Sequence[Construct], codes: np.ndarray, scorer: MutantScorer
) -> tuple[int, np.ndarray]:
    """Return the first base that differs and what stands from there on, (rows, constructs, n)."""
    first = min(one.place for each in constructs for one in each)
    end = max(one.end for each in constructs for one in each)
    changed = np.repeat(codes[:, None, first:end], len(constructs), axis=1)
    for number, each in enumerate(constructs):
        for one in each:
            word = np.frombuffer(one.word, dtype=np.uint8)
            forced = np.flatnonzero(word != scorer.alphabet.unknown)
            changed[:, number, one.place - first + forced] = word[forced]
    return first, changed


class Means(NamedTuple):
    """Means over backgrounds with the ends of their 95 % intervals, all of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean_with_interval(values: np.ndarray, seed: int = 0) -> Means:
    """Take means over the second axis, with bootstrap intervals over it.

    Parameters
    ----------
    values : numpy.ndarray, shape=(n, backgrounds, classes)
    seed : int

    Returns
    -------
    Means
        Arrays (n, classes). With one background the interval is that one value.
    """
    count = values.shape[1]
    weights = block_weights(count, _REPEATS, seed)
    low, high = (np.empty((len(values), values.shape[2])) for _ in range(2))
    step = max(1, _VALUES_AT_ONCE // (_REPEATS * max(1, values.shape[2])))
    for first in range(0, len(values), step):
        part = values[first : first + step].astype(np.float64)
        means = np.einsum("rb,nbc->rnc", weights, part) / count
        ends = np.percentile(means, [2.5, 97.5], axis=0)
        low[first : first + step], high[first : first + step] = ends
    return Means(values.mean(1, dtype=np.float64), low, high)
