"""Sequences in which a site is a motif with a second motif far downstream of it.

A bin is a site if motif A starts in it and motif B starts `NEAREST` to `FARTHEST` bp downstream
of that start. Everything else is a negative: A alone, B without A, both in the wrong order, and
both in the right order but too far apart. Neither motif tells a site alone, and neither do both
without their order. Labels are read from the sequence, so a motif that is there by chance counts
as well.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from examples import Examples  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402

MOTIF_A, MOTIF_B = "TGACTCAGCA", "CCGATATTGG"
NEAREST, FARTHEST = 10, 1500
DISTANCES = ((10, 100), (100, 500), (500, 1500))
"""Distance classes, bp between the starts of A and B, half-open but for the last."""
UNCLEAR = 1750
"""No pair is planted between `FARTHEST` and this: a network need not count bases exactly."""
BIN, CORE, FLANK = 50, 1200, 1700
A_IN_CORE = 4
SHARE_WITH_B = 0.75


@dataclass(frozen=True)
class Pairs:
    """Planted windows.

    Parameters
    ----------
    examples : Examples
        One class; bins of `BIN` bp.
    distance : numpy.ndarray, shape=(N, bins), dtype=int64
        bp from the bin's A to the nearest B at least `NEAREST` downstream; -1 without A or B.
    """

    examples: Examples
    distance: np.ndarray


def find_word(codes: np.ndarray, word: str) -> np.ndarray:
    """Tell where a word starts: (N, L) codes to (N, L) bool."""
    wanted = DNA.encode(word)
    found = np.zeros(codes.shape, dtype=bool)
    starts = found[:, : codes.shape[1] - len(wanted) + 1]
    starts[:] = True
    for at, code in enumerate(wanted):
        starts &= codes[:, at : at + starts.shape[1]] == code
    return found


def pair_distances(codes: np.ndarray) -> np.ndarray:
    """Return, for each start of A in a row, bp to the nearest B downstream; -1 elsewhere.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, L), dtype=uint8

    Returns
    -------
    numpy.ndarray, shape=(N, L), dtype=int64
        Only a B that starts at least `NEAREST` bp downstream counts.
    """
    is_a, is_b = find_word(codes, MOTIF_A), find_word(codes, MOTIF_B)
    distance = np.full(codes.shape, -1, dtype=np.int64)
    for row, at in zip(*np.nonzero(is_a)):
        (later,) = np.nonzero(is_b[row, at + NEAREST :])
        if len(later):
            distance[row, at] = later[0] + NEAREST
    return distance


def bin_maximum(values: np.ndarray, flank: int = FLANK) -> np.ndarray:
    """Return the largest value of each bin of the core: (N, L) to (N, bins)."""
    core = values[:, flank : values.shape[1] - flank]
    return core.reshape(len(core), -1, BIN).max(-1)


def label_bins(codes: np.ndarray, flank: int = FLANK) -> tuple[np.ndarray, np.ndarray]:
    """Return which bins of the core are sites, and the distance of their pair, each (N, bins).

    Of two A in one bin the one that makes a site counts.
    """
    distance = pair_distances(codes)
    paired = np.where(distance <= FARTHEST, distance, -1)
    sites = bin_maximum(paired >= NEAREST, flank)
    shown = np.where(sites, bin_maximum(paired, flank), bin_maximum(distance, flank))
    return sites, shown


def plant_pairs(windows: int, seed: int) -> Pairs:
    """Plant motifs in windows of random sequence.

    Each window has `A_IN_CORE` motifs A. Three windows in four have one motif B, upstream or
    downstream of one of them at a distance whose class is drawn first, so that all classes are
    frequent; for the other A of the window it lies wherever it happens to.
    """
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (windows, CORE + 2 * FLANK), dtype=np.uint8)
    size = len(MOTIF_A)
    for row in codes:
        share = CORE // A_IN_CORE
        places = FLANK + share * np.arange(A_IN_CORE)
        places += generator.integers(0, share - size, A_IN_CORE)
        if generator.random() < SHARE_WITH_B:
            at = int(generator.choice(places)) + generator.choice([-1, 1]) * _distance(generator)
            places = places[~_in_the_way(places, at)]
            row[at : at + size] = DNA.encode(MOTIF_B)
        for place in places:
            row[place : place + size] = DNA.encode(MOTIF_A)
    sites, distance = label_bins(codes)
    return Pairs(Examples(codes, sites[:, None]), distance)


def _distance(generator: np.random.Generator) -> int:
    """Draw a distance; each of the distance classes is equally likely."""
    return int(generator.integers(*DISTANCES[int(generator.integers(len(DISTANCES)))]))


def _in_the_way(places: np.ndarray, at: int) -> np.ndarray:
    """Tell which A would overlap the B at `at`, or be too far from it by very little."""
    apart = at - places
    return (np.abs(apart) < len(MOTIF_A)) | ((apart > FARTHEST) & (apart <= UNCLEAR))


def oracle_scores(codes: np.ndarray) -> dict[str, np.ndarray]:
    """Score bins by what is known of the motifs exactly, so that nothing has to be learned.

    Returns
    -------
    dict of str to numpy.ndarray, shape=(N, bins)
        `motif A` (the bin holds one), `motif B` (one starts 10 to 1,500 bp downstream of the bin's
        first base), `both, any order` (A, and B on either side).
    """
    is_a, is_b = find_word(codes, MOTIF_A), find_word(codes, MOTIF_B)
    has_a = bin_maximum(is_a)
    summed = np.pad(is_b.cumsum(1), ((0, 0), (1, 0)))
    first = np.arange(FLANK, FLANK + CORE, BIN)
    after = summed[:, first + FARTHEST + 1] > summed[:, first + NEAREST]
    before = summed[:, first - NEAREST + 1] > summed[:, first - FARTHEST]
    return {
        "motif A": has_a.astype(float),
        "motif B": after.astype(float),
        "both, any order": (has_a & (after | before)).astype(float),
    }
