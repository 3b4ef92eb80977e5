"""Which stretch of a genome shows what a variant does, with and without it, and what is compared.

An allele is first reduced to its change: bases that REF and ALT share at their ends are taken off,
last ones first. The change replaces the reference bases [start, end) by others, of which there may
be none; `shift` is by how many bases ALT is longer.

Bins lie on the genome's grid. Without a shift (a substitution of one base or several) each bin is
compared with itself. With a shift ALT is read twice: once in line with the reference on the left of
the change, for the bins before it, and once in line on its right, for the bins after it. So a bin
outside of the change holds the same bases in both alleles, whatever the resolution, and its score
differs only by what the network sees around it.

What is left is the *group*: the bins of the change and of the base before it. It is compared as
one, best score of REF against best score of ALT. In ALT the group covers as many bases more as it
is longer; its scores are those of the whole bins from its left end on, and of the last bin before
its right end. Where ALT's part would hold no whole bin, the group takes in the next ones. So a base
that exists in one allele only is set against the base before it, for insertions as in SpliceAI
(Jaganathan et al. 2019). For deletions SpliceAI sets the deleted bases against 0, here they are set
against the base before them: exchanging REF and ALT exchanges gain and loss, at a resolution of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomesieve.genome import EncodedGenome, fetch_window


@dataclass(frozen=True)
class Change:
    """The reference bases [start, end) of a contig replaced by `bases` (codes, may be none)."""

    start: int
    end: int
    bases: np.ndarray

    @property
    def shift(self) -> int:
        """By how many bases the alternative is longer."""
        return len(self.bases) - (self.end - self.start)

    def place_of(self, base: int) -> int:
        """Return the reference base that a base of the alternative stands for.

        Replaced bases stand for each other from the left; inserted ones for the base before them.
        """
        if base < self.start:
            return base
        if base >= self.start + len(self.bases):
            return base - self.shift
        paired = min(self.end - self.start, len(self.bases))
        return max(0, min(base, self.start + paired - 1))


def reduce_alleles(start: int, reference: np.ndarray, alternative: np.ndarray) -> Change:
    """Take off what two alleles share at their ends, last bases first.

    Parameters
    ----------
    start : int
        0-based position of the first base of REF.
    reference, alternative : numpy.ndarray, shape=(n,), dtype=uint8
        Codes of two alleles that differ.

    Returns
    -------
    Change
    """
    shortest = min(len(reference), len(alternative))
    same = reference[::-1][:shortest] == alternative[::-1][:shortest]
    last = shortest if same.all() else int(np.argmin(same))
    same = reference[: shortest - last] == alternative[: shortest - last]
    first = len(same) if same.all() else int(np.argmin(same))
    return Change(
        start + first,
        start + len(reference) - last,
        alternative[first : len(alternative) - last],
    )


@dataclass(frozen=True)
class Comparison:
    """The window of a change and the bins that are compared in it.

    Parameters
    ----------
    change : Change
    contig : int
        Row of the contig table.
    start, length : int
        Core of the window: bp on the contig, multiples of the network's stride.
    bins : range
        Numbers of the compared bins on the contig's grid; may be empty on a tiny contig.
    group : range
        Those that are compared as one; empty where nothing is shifted.
    whole : int
        Whole bins of the alternative from the group's left end on.
    """

    change: Change
    contig: int
    start: int
    length: int
    bins: range
    group: range
    whole: int


def plan_comparison(
    change: Change,
    contig: int,
    size: int,
    distance: int,
    resolution: int,
    stride: int,
    step: int,
) -> Comparison:
    """Choose the window of a change.

    Parameters
    ----------
    change : Change
    contig, size : int
        Row of the contig table, and bases of the contig.
    distance : int
        Bins are compared that hold a base at most so many bp from the change or, where something
        is shifted, from the base before it.
    resolution, stride : int
        Bases a bin, and bases whose multiples a window starts at.
    step : int
        Bases whose multiples windows are long, so that few lengths occur.

    Returns
    -------
    Comparison
    """
    shift = change.shift
    first = max(0, change.start - 1) if shift else change.start
    end = max(change.end, first + 1)
    group, whole = range(0), 0
    if shift:
        low, high = first // resolution, (end - 1) // resolution + 1
        # At least one whole bin of the alternative has to fit into the group.
        high = max(high, low + -(-(resolution - shift) // resolution))
        group, whole = range(low, high), ((high - low) * resolution + shift) // resolution
    low = max(0, first - distance) // resolution
    high = min((end - 1 + distance) // resolution + 1, size // resolution)
    bins = range(low, max(low, high, group.stop if group else 0))
    last = max(bins.stop, group.start + whole, low + 1)
    start = low * resolution // stride * stride
    length = -(-(last * resolution - start) // step) * step
    return Comparison(change, contig, start, length, bins, group, whole)


def fetch_changed(
    genome: EncodedGenome, place: tuple[int, int], change: Change, start: int, end: int
) -> np.ndarray:
    """Return codes of [start, end) of a contig that carries a change, unknown outside of it.

    Parameters
    ----------
    genome : EncodedGenome
    place : tuple of int
        First base of the contig in the genome's codes, and its length.
    change : Change
    start, end : int
        Counted along the changed contig, so that they are the reference's before the change.

    Returns
    -------
    numpy.ndarray, shape=(end - start,), dtype=uint8
    """
    beyond = genome.alphabet.unknown
    first, last = change.start, change.start + len(change.bases)
    left, right = min(max(start, first), end), max(min(end, last), start)
    return np.concatenate(
        [
            fetch_window(genome.codes, *place, start, left, beyond),
            change.bases[max(0, start - first) : max(0, end - first)],
            fetch_window(genome.codes, *place, right - change.shift, end - change.shift, beyond),
        ]
    )
