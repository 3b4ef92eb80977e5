"""Properties of every bin that the sequence itself tells, computed from one-hot batches.

A property is taken over a window: the bin and a flank on both sides of it. Reading the other strand
leaves every one of them as it is. Unknown bases count neither way; a window of which they are more
than half, or in which a property is not defined, has NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genomesieve.alphabet import DNA
from genomesieve.running_sums import running_sum

FEWEST_KNOWN = 0.5
"""Least share of a window's bases that must be known."""

STACKING_ENERGY = {
    "AA": -1.00,
    "AT": -0.88,
    "TA": -0.58,
    "CA": -1.45,
    "GT": -1.44,
    "CT": -1.28,
    "GA": -1.30,
    "CG": -2.17,
    "GC": -2.24,
    "GG": -1.84,
}
"""Free energy at 37 degrees in 1 M NaCl of two neighbouring pairs, kcal/mol (unified parameters of
SantaLucia 1998, table 1); the other six are their reverse complements."""


def sequence_property(name: str, x: Tensor, bin_bp: int, flank: int) -> Tensor:
    """Compute a property of every bin.

    Parameters
    ----------
    name : str
        `gc`: share of G and C among the known bases. `cpg`: observed over expected CpG, that is
        known bases times CpG over C times G (Gardiner-Garden and Frommer 1987). `stacking`: mean
        free energy of the steps between known neighbours, kcal/mol (SantaLucia 1998).
        `purine_run`: bp of the longest run of purines or of pyrimidines inside the window, which
        are purines on the other strand; unknown bases end a run.
    x : torch.Tensor, shape=(N, 4, flank + bins * bin_bp + flank)
        One-hot DNA; unknown bases are zero columns.
    bin_bp, flank : int

    Returns
    -------
    torch.Tensor, shape=(N, bins), dtype=float32
    """
    letters = x.float()
    window = bin_bp + 2 * flank
    known = _count(letters.sum(1), window, bin_bp)
    value = _PROPERTIES[name](letters, known, window, bin_bp)
    return value.masked_fill(known < FEWEST_KNOWN * window, torch.nan)


def _gc(letters: Tensor, known: Tensor, window: int, bin_bp: int) -> Tensor:
    """Return the share of G and C, shape=(N, bins)."""
    return _count(_letter(letters, "C") + _letter(letters, "G"), window, bin_bp) / known


def _cpg(letters: Tensor, known: Tensor, window: int, bin_bp: int) -> Tensor:
    """Return observed over expected CpG, shape=(N, bins); NaN without a C or without a G."""
    c, g = _letter(letters, "C"), _letter(letters, "G")
    pairs = _count(c[:, :-1] * g[:, 1:], window - 1, bin_bp)
    # 0 / 0 is NaN, and there is no CpG without C and G.
    return pairs * known / (_count(c, window, bin_bp) * _count(g, window, bin_bp))


def _stacking(letters: Tensor, known: Tensor, window: int, bin_bp: int) -> Tensor:
    """Return the mean free energy of neighbours, shape=(N, bins)."""
    # Hundredths are whole numbers, so that sums are exact in whatever order.
    energies = _stacking_table(letters.device) * 100
    first, second = letters[..., :-1], letters[..., 1:]
    steps = ((energies @ second) * first).sum(1)
    exists = first.sum(1) * second.sum(1)
    total = _count(steps, window - 1, bin_bp)
    return total / (100 * _count(exists, window - 1, bin_bp))


def _stacking_table(device: torch.device) -> Tensor:
    """Return the free energy of every two letters in a row, shape=(4, 4), kcal/mol."""
    table = torch.zeros(DNA.size, DNA.size)
    for pair, energy in STACKING_ENERGY.items():
        for codes in (DNA.encode(pair), DNA.reverse_complement(DNA.encode(pair))):
            table[tuple(codes.tolist())] = energy
    return table.to(device)


def _purine_run(letters: Tensor, known: Tensor, window: int, bin_bp: int) -> Tensor:
    """Return the bp of the longest run of one kind of base in a window, shape=(N, bins)."""
    purine = _letter(letters, "A") + _letter(letters, "G")
    pyrimidine = _letter(letters, "C") + _letter(letters, "T")
    goes_on = purine[:, :-1] * purine[:, 1:] + pyrimidine[:, :-1] * pyrimidine[:, 1:]
    return 1 + longest_run(goes_on.bool(), window - 1)[:, ::bin_bp].float()


def longest_run(marks: Tensor, width: int) -> Tensor:
    """Return the longest run of marks in every window, in time that grows with log(width).

    A stretch is known by its run at the start, its run at the end and its longest one; those of two
    stretches in a row follow from theirs. Stretches of 1, 2, 4, ... positions are made by doubling,
    and those that add up to the width are joined.

    Parameters
    ----------
    marks : torch.Tensor, shape=(N, length), dtype=bool
    width : int
        Positions a window, 1 or more.

    Returns
    -------
    torch.Tensor, shape=(N, length - width + 1), dtype=int32
    """
    stretch, reach = (marks.int(),) * 3, 1
    joined, done = None, 0
    while reach <= width:
        if width & reach:
            here = tuple(part[:, done:] for part in stretch)
            joined = here if joined is None else _join_runs(joined, here, done, reach)
            done += reach
        if 2 * reach <= width:
            later = tuple(part[:, reach:] for part in stretch)
            stretch = _join_runs(stretch, later, reach, reach)
        reach *= 2
    return joined[2][:, : marks.shape[1] - width + 1]


Runs = tuple[Tensor, Tensor, Tensor]


def _join_runs(first: Runs, second: Runs, before: int, after: int) -> Runs:
    """Join stretches of `before` positions with those of `after` positions behind them."""
    length = min(first[0].shape[1], second[0].shape[1])
    start, end, longest = (part[:, :length] for part in first)
    next_start, next_end, next_longest = (part[:, :length] for part in second)
    return (
        torch.where(start == before, before + next_start, start),
        torch.where(next_end == after, end + after, next_end),
        torch.maximum(torch.maximum(longest, next_longest), end + next_start),
    )


def _letter(letters: Tensor, letter: str) -> Tensor:
    """Return where a letter is, shape=(N, L)."""
    return letters[:, DNA.letters.index(letter)]


def _count(values: Tensor, width: int, stride: int) -> Tensor:
    """Sum whole numbers (N, L) over windows, exactly."""
    return running_sum(values[:, None], width, stride)[:, 0].round()


_PROPERTIES: dict[str, Callable[[Tensor, Tensor, int, int], Tensor]] = {
    "gc": _gc,
    "cpg": _cpg,
    "stacking": _stacking,
    "purine_run": _purine_run,
}
