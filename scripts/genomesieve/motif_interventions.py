"""What motifs do to a model: alone, by place and strand, several copies of one, and two together.

Every effect is a difference of log-odds on one background, averaged over backgrounds, with a 95 %
interval from a bootstrap over backgrounds. Places are offsets from the first base of the bin that
is looked at to the first base of the motif's matrix, in the direction that the model reads. The
place at which a motif acts most on a class is chosen on one half of the backgrounds, and everything
that is said of that place comes from the other half.

Two words are more than additive where log-odds with both, less those without, exceed the sum of
what each does alone at its place. That is about the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, product

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.implants import Construct, Implant, Implanter, Means, mean_with_interval
from genomesieve.motif_matrices import MotifMatrix
from genomesieve.mutagenesis import places_in_reach
from genomesieve.progress import watched

STRANDS = ("+", "-")
_ABOUT_EQUAL = 0.95
"""A maximum over a wide bin is the same nearly everywhere in it; its edge is no place to choose."""
POSITION_COLUMNS = ("motif", "strand", "offset", "class", "effect", "low", "high")
MARGINAL_COLUMNS = ("motif", "class", "strand", "offset", "effect", "low", "high",
                    "control", "control_low", "control_high", "backgrounds")  # fmt: skip
COPY_COLUMNS = ("motif", "class", "strand", "spacing", "copies", "effect", "low", "high",
                "sum_of_singles", "excess", "excess_low", "excess_high")  # fmt: skip
PAIR_COLUMNS = ("first", "first_strand", "first_offset", "second", "second_strand", "distance",
                "class", "together", "first_alone", "second_alone",
                "interaction", "low", "high")  # fmt: skip


@dataclass(frozen=True)
class InterventionSettings:
    """How motifs are implanted.

    Parameters
    ----------
    backgrounds : int
        Half of them choose places and show the effect by place, half measure the rest.
    flank : int
        Words stand at most so many bp from the bin.
    step : int
        bp between places; 0: a fifth of the bin, at least 1.
    copies : int
        Most copies of one motif.
    spacing : int
        bp from the first base of one copy to that of the next; a wider motif takes its width.
    most_pairs : int
        Pairs of motifs, those first of which both act most on one class.
    controls : int
        Shuffled words for every motif.
    seed : int
    """

    backgrounds: int = 48
    flank: int = 100
    step: int = 0
    copies: int = 4
    spacing: int = 20
    most_pairs: int = 20
    controls: int = 4
    seed: int = 0

    def places(self, resolution: int) -> int:
        """Return the bp between places."""
        return self.step or max(1, resolution // 5)


@dataclass
class Place:
    """Where a motif acts most on a class."""

    strand: str
    offset: int
    effect: float


@dataclass
class MotifEffects:
    """Everything that was measured, as tables with the columns named above."""

    marginal: pd.DataFrame
    positions: pd.DataFrame
    copies: pd.DataFrame
    pairs: pd.DataFrame
    pairs_left_out: int = 0
    silent: list[str] = field(default_factory=list)


class MotifMeter:
    """Measures motifs on two halves of backgrounds.

    Parameters
    ----------
    choosing, measuring : Implanter
        The half on which places are chosen, and the other one.
    motifs : sequence of MotifMatrix
    classes : sequence of str
    resolution : int
    settings : InterventionSettings
    """

    def __init__(
        self,
        choosing: Implanter,
        measuring: Implanter,
        motifs: Sequence[MotifMatrix],
        classes: Sequence[str],
        resolution: int,
        settings: InterventionSettings,
    ):
        self.choosing, self.measuring, self.settings = choosing, measuring, settings
        self.classes, self.resolution = list(classes), resolution
        self.motifs = {motif.name: motif for motif in motifs if implant_of(motif, "+", 0)}
        self.silent = [motif.name for motif in motifs if motif.name not in self.motifs]
        self.anchor = measuring.backgrounds.anchor
        self._known: dict[tuple[str, str, int], np.ndarray] = {}

    def measure(self) -> MotifEffects:
        """Measure all motifs."""
        positions, best = self.positions()
        marginal = self.marginal(best)
        wanted, left_out = self.choose_pairs(best)
        tables = marginal, positions, self.copies(best), self.pairs(best, wanted)
        return MotifEffects(*tables, left_out, self.silent)

    def construct(self, *words: tuple[str, str, int]) -> Construct:
        """Return a construct of words (motif, strand, offset)."""
        return tuple(
            implant_of(self.motifs[name], strand, self.anchor + offset)
            for name, strand, offset in words
        )

    def fits(self, *words: tuple[str, str, int]) -> bool:
        """Tell whether words lie in what is seen, at most `flank` from the bin, and apart."""
        flank = self.settings.flank
        near = all(
            offset >= -flank and offset + self.motifs[name].width <= self.resolution + flank
            for name, _, offset in words
        )
        return near and self.measuring.fits(self.construct(*words))

    def positions(self) -> tuple[pd.DataFrame, dict[str, list[Place]]]:
        """Measure every motif at every place; also return its best place for every class."""
        step, flank = self.settings.places(self.resolution), self.settings.flank
        reach = places_in_reach(
            range(-flank, self.resolution + flank), self.anchor, self.measuring.backgrounds.length
        )
        tables, best = [], {}
        motifs = watched(self.motifs.items(), "motif", "places")
        for name, motif in motifs:
            # Every step from the place in the middle of the bin.
            middle = (self.resolution - motif.width) // 2
            offsets = range(reach.start - self.anchor - motif.width, reach.stop - self.anchor)
            words = [
                (name, strand, offset)
                for strand, offset in product(STRANDS, offsets)
                if (offset - middle) % step == 0 and self.fits((name, strand, offset))
            ]
            if not words:
                continue
            values = self.choosing.effects([self.construct(word) for word in words])
            means = mean_with_interval(values, self.settings.seed)
            tables.append(self._table(POSITION_COLUMNS, words, means))
            offsets = np.array([offset for *_, offset in words])
            rows = strongest(np.abs(means.value), np.abs(offsets - middle))
            best[name] = [
                Place(*words[row][1:], float(means.value[row, column]))
                for column, row in enumerate(rows)
            ]
        self.silent += [name for name in self.motifs if name not in best]
        return _join(POSITION_COLUMNS, tables), best

    def marginal(self, best: dict[str, list[Place]]) -> pd.DataFrame:
        """Measure every motif at its best place for every class, and shuffled words there."""
        rows = []
        for name, places in watched(best.items(), "motif", "shuffled words"):
            words = _unique((name, place.strand, place.offset) for place in places)
            real = [self.construct(word) for word in words]
            controls = [self._shuffled(word) for word in words]
            flat = [item for items in controls for item in items]
            values = self.measuring.effects([*real, *flat])
            means = mean_with_interval(values[: len(real)], self.settings.seed)
            shape = len(real), -1, *values.shape[1:]
            averaged = values[len(real) :].reshape(shape).mean(1)
            control = mean_with_interval(averaged, self.settings.seed)
            for column, (kind, place) in enumerate(zip(self.classes, places)):
                row = words.index((name, place.strand, place.offset))
                numbers = [one[row, column] for one in (*means, *control)]
                rows.append([name, kind, place.strand, place.offset, *numbers, values.shape[1]])
        return pd.DataFrame(rows, columns=list(MARGINAL_COLUMNS))

    def copies(self, best: dict[str, list[Place]]) -> pd.DataFrame:
        """Measure up to so many copies of every motif, laid outwards from its strongest place."""
        rows = []
        for name, places in watched(best.items(), "motif", "copies"):
            place = max(places, key=lambda one: abs(one.effect))
            spacing = max(self.settings.spacing, self.motifs[name].width)
            words = self._copies(name, place, spacing)
            sets = [words[:number] for number in range(1, len(words) + 1)]
            each = [self.construct(word) for word in words]
            values = self.measuring.effects([*(self.construct(*one) for one in sets), *each])
            several, single = values[: len(sets)], values[len(sets) :]
            total = np.cumsum(single, axis=0, dtype=np.float64)
            seed = self.settings.seed
            means, excess = (mean_with_interval(one, seed) for one in (several, several - total))
            for number, column in product(range(len(sets)), range(len(self.classes))):
                numbers = [one[number, column] for one in means]
                sums = total[number, :, column].mean()
                more = [one[number, column] for one in excess]
                rows.append([name, self.classes[column], place.strand, spacing, number + 1,
                             *numbers, sums, *more])  # fmt: skip
        return pd.DataFrame(rows, columns=list(COPY_COLUMNS))

    def choose_pairs(self, best: dict[str, list[Place]]) -> tuple[list[tuple[str, str]], int]:
        """Return the pairs to measure, and how many are left out.

        Both have to act on one class for a pair to say much, so pairs are sorted by the weaker of
        the two effects on the class where that is largest.
        """
        strength = {
            name: np.abs([place.effect for place in places]) for name, places in best.items()
        }
        pairs = list(combinations_with_replacement(best, 2))
        pairs.sort(key=lambda pair: -np.minimum(strength[pair[0]], strength[pair[1]]).max())
        most = self.settings.most_pairs
        return pairs[:most], max(0, len(pairs) - most)

    def pairs(
        self,
        best: dict[str, list[Place]],
        wanted: Iterable[tuple[str, str]],
        distances: Sequence[int] | None = None,
    ) -> pd.DataFrame:
        """Measure pairs: the first at its strongest place, the second at every distance from it.

        Parameters
        ----------
        best : dict
            From `positions`.
        wanted : iterable of tuple of str
        distances : sequence of int or None
            bp from the first base of one to that of the other, negative where the second stands
            before the first; None for every step within the flank.
        """
        step = self.settings.places(self.resolution)
        if distances is None:
            whole = self.resolution + 2 * self.settings.flank
            distances = [d for d in range(-(whole // step) * step, whole + 1, step) if d]
        pairs = watched(wanted, "pair", "pairs")
        tables = [self._pair(best, pair, distances) for pair in pairs]
        return _join(PAIR_COLUMNS, [table for table in tables if table is not None])

    def _pair(
        self, best: dict[str, list[Place]], pair: tuple[str, str], distances: Sequence[int]
    ) -> pd.DataFrame | None:
        """Measure one pair; None where no distance fits."""
        place = max(best[pair[0]], key=lambda one: abs(one.effect))
        first = (pair[0], place.strand, place.offset)
        seconds = [
            (pair[1], strand, place.offset + distance)
            for strand, distance in product(STRANDS, distances)
        ]
        seconds = [second for second in seconds if self.fits(first, second)]
        if not seconds:
            return None
        joint = self.measuring.effects([self.construct(first, second) for second in seconds])
        one, other = self._alone([first]), self._alone(seconds)
        excess = mean_with_interval(joint.astype(np.float64) - one - other, self.settings.seed)
        singles = np.broadcast_to(one.mean(1), other.mean(1).shape), other.mean(1)
        words = [(*first, pair[1], strand, offset - place.offset) for _, strand, offset in seconds]
        return self._table(PAIR_COLUMNS, words, [joint.mean(1), *singles, *excess])

    def _alone(self, words: Sequence[tuple[str, str, int]]) -> np.ndarray:
        """Measure single words, each once for all pairs."""
        new = [word for word in words if word not in self._known]
        values = self.measuring.effects([self.construct(word) for word in new])
        self._known.update(zip(new, values))
        return np.stack([self._known[word] for word in words])

    def _copies(self, name: str, place: Place, spacing: int) -> list[tuple[str, str, int]]:
        """Return words at a place and, by turns, on both sides of it, as far as they fit."""
        words = [(name, place.strand, place.offset)]
        for number in range(1, 2 * self.settings.copies):
            side = (number + 1) // 2 * (1 if number % 2 else -1)
            word = (name, place.strand, place.offset + side * spacing)
            if len(words) < self.settings.copies and self.fits(*words, word):
                words.append(word)
        return words

    def _shuffled(self, word: tuple[str, str, int]) -> list[Construct]:
        """Return words of the same letters at the same bases, in other orders."""
        (one,) = self.construct(word)
        codes = np.frombuffer(one.word, dtype=np.uint8).copy()
        forced = np.flatnonzero(codes != self.motifs[word[0]].alphabet.unknown)
        generator = np.random.default_rng([self.settings.seed, *word[0].encode()])
        result = []
        for _ in range(self.settings.controls):
            codes[forced] = generator.permutation(codes[forced])
            result.append((Implant(one.place, codes.tobytes()),))
        return result

    def _table(
        self, columns: Sequence[str], words: Sequence[tuple], numbers: Sequence[np.ndarray] | Means
    ) -> pd.DataFrame:
        """Return a row for every word and class: words, class, numbers."""
        each = len(self.classes)
        named = columns[: len(words[0])]
        table = pd.DataFrame(words, columns=list(named)).loc[lambda t: t.index.repeat(each)]
        table = table.reset_index(drop=True)
        table["class"] = self.classes * len(words)
        for column, values in zip(columns[len(named) + 1 :], numbers, strict=True):
            table[column] = np.asarray(values).reshape(-1)
        return table


def strongest(sizes: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the row of the strongest place in every column; of about equal ones the most central.

    Parameters
    ----------
    sizes : numpy.ndarray, shape=(places, classes)
    distance : numpy.ndarray, shape=(places,)
        From the middle of the bin.
    """
    near = sizes >= _ABOUT_EQUAL * sizes.max(0)
    return np.where(near, distance[:, None], np.inf).argmin(0)


def implant_of(motif: MotifMatrix, strand: str, place: int) -> Implant | None:
    """Return a motif's consensus with its matrix at a place; None for one that forces nothing."""
    word = motif.word(strand)
    forced = np.flatnonzero(word != motif.alphabet.unknown)
    if not len(forced):
        return None
    first, end = int(forced[0]), int(forced[-1]) + 1
    return Implant(place + first, word[first:end].tobytes())


def _unique(items: Iterable) -> list:
    """Return items without repeats, in order."""
    return list(dict.fromkeys(items))


def _join(columns: Sequence[str], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables below each other; an empty one with the same columns if there is none."""
    if not tables:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(tables, ignore_index=True)


def check_settings(settings: InterventionSettings) -> None:
    """Raise InputError for numbers that cannot be."""
    least = {"backgrounds": 2, "flank": 0, "step": 0, "copies": 1, "spacing": 1, "most_pairs": 0,
             "controls": 1, "seed": 0}  # fmt: skip
    for name, smallest in least.items():
        found = getattr(settings, name)
        if found < smallest:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: found {found}; expected at least {smallest}")
