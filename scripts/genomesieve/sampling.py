"""Choosing training windows, and knowing how often each position was chosen.

Every source of windows (sites, uniform, GC-matched, decoys, hard negatives) is written as a start
intensity: how many windows are expected to start at each point of a grid. The inclusion of a
position is the sum over the starts whose window covers it, so it is exact for the mixture of
sources, at the edges of intervals too, and the loss can weight each position by its inverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, check_intervals, contig_rows
from genomesieve.training_plan import HARD

SOURCES = ("sites", "uniform", "gc_matched", "decoys", HARD)
GC_BINS = 50
CELLS_A_WINDOW = 50
_BASES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Stretch:
    """One training interval and the grid of window starts in it.

    Parameters
    ----------
    genome, contig : str
    start : int
        First base (bp on the contig).
    starts : int
        Number of grid points where a window may start; the first is `start`.
    codes : numpy.ndarray, shape=(length of the interval,), dtype=uint8
        A view of the encoded genome.
    sites : numpy.ndarray, dtype=int64
        Distinct site positions, counted from `start`.
    words : pandas.DataFrame
        Dinucleotide of each class, as `common_dinucleotides` returns; what decoys carry.
    hidden : dict of str to numpy.ndarray, shape=(n, 2), dtype=int64
        Merged intervals that count neither way for a class, counted from `start`; no decoy there.
    hard : numpy.ndarray, dtype=int64
        Distinct positions of hard negatives, counted from `start`.
    """

    genome: str
    contig: str
    start: int
    starts: int
    codes: np.ndarray
    sites: np.ndarray
    words: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"class": []}))
    hidden: Mapping[str, np.ndarray] = field(default_factory=dict)
    hard: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class Grid:
    """Length of windows and step of their starts, in bp; `cells` steps make a window."""

    length: int
    step: int

    @property
    def cells(self) -> int:
        """Steps a window."""
        return self.length // self.step


def make_grid(length: int, resolution: int) -> Grid:
    """Return a grid of about 50 cells a window whose step is a multiple of the resolution.

    Raises
    ------
    InputError
        If the length is no multiple of the resolution.
    """
    if length < resolution or length % resolution:
        raise InputError(
            f"sampling.length is {length}; expected a multiple of the resolution ({resolution} bp)"
        )
    bins = length // resolution
    cells = max(count for count in range(1, min(CELLS_A_WINDOW, bins) + 1) if bins % count == 0)
    return Grid(length, length // cells)


def list_stretches(
    genome: EncodedGenome, intervals: pd.DataFrame, sites: pd.DataFrame, grid: Grid, resolution: int
) -> list[Stretch]:
    """List the intervals of one part that hold at least one window.

    Parameters
    ----------
    genome : EncodedGenome
    intervals : pandas.DataFrame
        Columns contig, start, end: rows of one part of the split.
    sites : pandas.DataFrame
        Columns contig, position, start, end.
    grid : Grid
    resolution : int
        Windows start at multiples of it on the contig.

    Raises
    ------
    InputError
        If a site or an interval does not lie on a contig of the genome.
    """
    stretches, groups = [], sites.groupby("contig")["position"]
    positions = {contig: np.unique(where.to_numpy(np.int64)) for contig, where in groups}
    nothing = np.zeros(0, dtype=np.int64)
    check_intervals(genome.contigs, sites, genome.name, "site")
    check_intervals(genome.contigs, intervals, genome.name, "part of the split")
    offsets = genome.contigs["offset"].to_numpy()
    rows = contig_rows(genome.contigs, intervals["contig"], genome.name)
    for row, contig, start, end in zip(
        rows, intervals["contig"], intervals["start"], intervals["end"]
    ):
        first = -(-int(start) // resolution) * resolution
        starts = (int(end) - first - grid.length) // grid.step + 1
        if starts < 1:
            continue
        offset = int(offsets[row])
        last = first + (starts - 1) * grid.step + grid.length
        mine = positions.get(contig, nothing)
        mine = mine[np.searchsorted(mine, first) : np.searchsorted(mine, last)] - first
        codes = genome.codes[offset + first : offset + last]
        stretches.append(Stretch(genome.name, contig, first, starts, codes, mine))
    return stretches


def common_dinucleotides(
    genomes: Mapping[str, EncodedGenome], sites: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Find, for every class, the dinucleotide that its sites have most in common.

    Offsets -2 to +2 from the site, on the site's strand, are compared; a site without a strand is
    read on plus.

    Returns
    -------
    pandas.DataFrame
        Columns class, offset (bp from the site to the first base), dinucleotide (0-15), share.
    """
    counts: dict[tuple[str, int], np.ndarray] = {}
    for name, genome in genomes.items():
        offsets = dict(zip(genome.contigs["contig"], genome.contigs["offset"]))
        table = sites[name]
        base = table["contig"].map(offsets).to_numpy(np.int64) + table["position"].to_numpy()
        base_ok = (base > 3) & (base < len(genome.codes) - 4)
        minus = table["strand"].to_numpy(str) == "-"
        for offset in range(-2, 3):
            pairs = _dinucleotides_at(genome, base[base_ok], offset, minus[base_ok])
            for kind in table["class"].unique():
                mine = pairs[(table["class"].to_numpy(str) == kind)[base_ok]]
                total = counts.setdefault((kind, offset), np.zeros(16, dtype=np.int64))
                total += np.bincount(mine[mine >= 0], minlength=16)
    rows = [
        (kind, offset, int(total.argmax()), float(total.max() / max(total.sum(), 1)))
        for (kind, offset), total in counts.items()
    ]
    table = pd.DataFrame(rows, columns=["class", "offset", "dinucleotide", "share"])
    table = table.sort_values(["class", "share"], ascending=[True, False], kind="stable")
    return table.drop_duplicates("class", ignore_index=True)


def _dinucleotides_at(
    genome: EncodedGenome, base: np.ndarray, offset: int, minus: np.ndarray
) -> np.ndarray:
    """Return the dinucleotide `offset` bases after each base on its strand, -1 if unknown."""
    alphabet = genome.alphabet
    first = np.where(minus, base - offset, base + offset)
    second = np.where(minus, first - 1, first + 1)
    one, two = genome.codes[first], genome.codes[second]
    one = np.where(minus, alphabet.complement_codes[one], one)
    two = np.where(minus, alphabet.complement_codes[two], two)
    known = (one < alphabet.size) & (two < alphabet.size)
    return np.where(known, one.astype(np.int64) * 4 + two, -1)


def allow_decoys(
    stretches: list[Stretch],
    words: pd.DataFrame,
    hidden: Mapping[str, Mapping[str, pd.DataFrame]],
) -> list[Stretch]:
    """Tell stretches what decoys carry and where none may lie.

    Parameters
    ----------
    stretches : list of Stretch
    words : pandas.DataFrame
        From `common_dinucleotides`.
    hidden : mapping of str to mapping of str to pandas.DataFrame
        By genome and class: merged intervals (contig, start, end) that count neither way.
    """
    by_contig = {
        genome: {
            kind: {contig: rows[["start", "end"]].to_numpy(np.int64) for contig, rows in groups}
            for kind, groups in ((kind, table.groupby("contig")) for kind, table in tables.items())
        }
        for genome, tables in hidden.items()
    }
    return [
        replace(
            item,
            words=words,
            hidden={
                kind: contigs[item.contig] - item.start
                for kind, contigs in by_contig.get(item.genome, {}).items()
                if item.contig in contigs
            },
        )
        for item in stretches
    ]


def add_hard_negatives(
    stretches: list[Stretch], negatives: Mapping[str, pd.DataFrame]
) -> list[Stretch]:
    """Tell stretches where the hard negatives in them lie; classes and strands are put together.

    Parameters
    ----------
    stretches : list of Stretch
    negatives : mapping of str to pandas.DataFrame
        By genome: columns contig, position.

    Returns
    -------
    list of Stretch
    """
    by_contig = {
        (genome, contig): np.unique(where.to_numpy(np.int64))
        for genome, table in negatives.items()
        for contig, where in table.groupby("contig")["position"]
    }
    result = []
    for item in stretches:
        mine = by_contig.get((item.genome, item.contig), np.zeros(0, dtype=np.int64)) - item.start
        inside = (mine >= 0) & (mine < len(item.codes))
        result.append(replace(item, hard=mine[inside]))
    return result


def find_decoys(
    stretch: Stretch, word: Mapping, complement: np.ndarray, first: int, end: int
) -> np.ndarray:
    """List where either strand carries the dinucleotide of a class at its place.

    Sites of any class and what is hidden for this class are left out.

    Parameters
    ----------
    stretch : Stretch
    word : mapping
        A row of `common_dinucleotides`: class, offset, dinucleotide.
    complement : numpy.ndarray, shape=(letters + 1,)
        Complement of every code.
    first, end : int
        Would-be sites in [first, end) are listed, counted from the stretch's start.

    Returns
    -------
    numpy.ndarray, dtype=int64
        Positions of the would-be sites, counted from the stretch's start, sorted.
    """
    one, two = divmod(int(word["dinucleotide"]), 4)
    there = np.zeros(end - first, dtype=bool)
    there[_pairs_at(stretch.codes, one, two, first, end, word["offset"]) - first] = True
    # On minus the word reads backwards, so its first base on plus lies on the site's other side.
    other = (int(complement[two]), int(complement[one]))
    there[_pairs_at(stretch.codes, *other, first, end, -1 - word["offset"]) - first] = True
    sites = stretch.sites[slice(*np.searchsorted(stretch.sites, [first, end]))]
    there[sites - first] = False
    places = np.flatnonzero(there) + first
    hidden = stretch.hidden.get(word["class"])
    if hidden is None or len(hidden) == 0:
        return places
    row = np.searchsorted(hidden[:, 0], places, "right") - 1
    return places[(row < 0) | (places >= hidden[row, 1])]


def _pairs_at(
    codes: np.ndarray, one: int, two: int, first: int, end: int, offset: int
) -> np.ndarray:
    """List the positions in [first, end) with the pair of codes `offset` bases after them."""
    low = min(max(first + offset, 0), len(codes))
    high = max(min(end + offset, len(codes) - 1), low)
    hits = (codes[low:high] == one) & (codes[low + 1 : high + 1] == two)
    return np.flatnonzero(hits) + (low - offset)


def start_intensity(
    source: str, stretches: list[Stretch], windows: int, grid: Grid
) -> list[np.ndarray]:
    """Return the expected number of windows at every start, over all stretches.

    Parameters
    ----------
    source : str
        One of `SOURCES`.
    stretches : list of Stretch
    windows : int
        Windows of this source; the intensities sum to it.
    grid : Grid

    Returns
    -------
    list of numpy.ndarray, shape=(starts,)

    Raises
    ------
    InputError
        If the source has nothing to choose from.
    """
    if source == "uniform":
        intensity = [np.ones(item.starts) for item in stretches]
    elif source == "gc_matched":
        intensity = _gc_matched(stretches, grid)
    elif source == "decoys":
        intensity = _decoys(stretches, grid)
    elif source == HARD:
        intensity = [_around(item.hard, item.starts, grid) for item in stretches]
    else:
        intensity = [_around(item.sites, item.starts, grid) for item in stretches]
    total = sum(values.sum() for values in intensity)
    if not total > 0:
        raise InputError(f"sampling source {source} finds nothing in the training part")
    return [values * (windows / total) for values in intensity]


def _around(points: np.ndarray, starts: int, grid: Grid) -> np.ndarray:
    """Spread one unit of each point evenly over the starts whose window covers it."""
    change = np.zeros(starts + 1)
    _spread_points(points, change, grid)
    return _cumulated(change)


def _spread_points(points: np.ndarray, change: np.ndarray, grid: Grid) -> None:
    """Add the points to the steps (shape (starts + 1,)) of an intensity."""
    starts = len(change) - 1
    low = np.clip(-((grid.length - 1 - points) // grid.step), 0, starts)
    high = np.clip(points // grid.step + 1, 0, starts)
    inside = low < high
    low, high = low[inside], high[inside]
    share = 1 / (high - low)
    change += np.bincount(low, share, len(change)) - np.bincount(high, share, len(change))


def _cumulated(change: np.ndarray) -> np.ndarray:
    """Turn steps into an intensity; rounding must not make it negative."""
    return np.maximum(np.cumsum(change)[:-1], 0)


def _decoys(stretches: list[Stretch], grid: Grid) -> list[np.ndarray]:
    """Spread decoys over starts; every class that has some gets the same share.

    Positions are looked for a piece at a time: there are hundreds of millions in a large genome.
    """
    total = [np.zeros(item.starts) for item in stretches]
    for number in range(max((len(item.words) for item in stretches), default=0)):
        mine = [_decoys_of_word(item, number, grid) for item in stretches]
        amount = sum(values.sum() for values in mine)
        if amount > 0:
            total = [values + new / amount for values, new in zip(total, mine)]
    return total


def _decoys_of_word(stretch: Stretch, number: int, grid: Grid) -> np.ndarray:
    """Spread the decoys of one class of a stretch over its starts."""
    word = stretch.words.iloc[number].to_dict()
    change = np.zeros(stretch.starts + 1)
    for first in range(0, len(stretch.codes), _BASES_AT_ONCE):
        end = min(first + _BASES_AT_ONCE, len(stretch.codes))
        places = find_decoys(stretch, word, DNA.complement_codes, first, end)
        _spread_points(places, change, grid)
    return _cumulated(change)


def _gc_matched(stretches: list[Stretch], grid: Grid) -> list[np.ndarray]:
    """Weight starts so that the GC content of windows follows that around sites."""
    rows = [_gc_bins(item, grid) for item in stretches]
    near = [_around(item.sites, item.starts, grid) for item in stretches]
    everything, wanted = np.concatenate(rows), np.concatenate(near)
    background = np.bincount(everything, minlength=GC_BINS + 1)
    target = np.bincount(everything, weights=wanted, minlength=GC_BINS + 1)
    weight = np.divide(target, background, out=np.zeros(GC_BINS + 1), where=background > 0)
    return [weight[row] for row in rows]


def _gc_bins(stretch: Stretch, grid: Grid) -> np.ndarray:
    """Return the GC content of the window at every start, in steps of 2 %."""
    cells = stretch.starts + grid.cells - 1
    counts, at_once = np.zeros(cells, dtype=np.int64), max(1, _BASES_AT_ONCE // grid.step)
    for first in range(0, cells, at_once):
        end = min(first + at_once, cells)
        codes = stretch.codes[first * grid.step : end * grid.step].reshape(-1, grid.step)
        counts[first:end] = ((codes == 1) | (codes == 2)).sum(1)
    sums = np.concatenate([[0], np.cumsum(counts)])
    return (sums[grid.cells :] - sums[: stretch.starts]) * GC_BINS // grid.length


def cell_inclusion(intensity: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the expected number of windows over each grid cell of a stretch.

    Parameters
    ----------
    intensity : numpy.ndarray, shape=(starts,)
        Sum over all sources.

    Returns
    -------
    numpy.ndarray, shape=(starts + cells - 1,)
    """
    sums = np.concatenate([[0], np.cumsum(intensity)])
    cell = np.arange(len(intensity) + grid.cells - 1)
    last = np.minimum(cell + 1, len(intensity))
    return sums[last] - sums[np.maximum(cell - grid.cells + 1, 0)]


def draw_windows(
    stretches: list[Stretch],
    shares: Mapping[str, float],
    windows: int,
    grid: Grid,
    seed: int | Sequence[int],
) -> pd.DataFrame:
    """Draw training windows from a mixture of sources.

    Parameters
    ----------
    stretches : list of Stretch
    shares : mapping of str to float
        Share of the windows that each source gives; they sum to 1.
    windows : int
    grid : Grid
    seed : int or sequence of int

    Returns
    -------
    pandas.DataFrame
        Columns genome, contig, start, length, source, inclusion (list of float32, one a cell).
    """
    generator = np.random.default_rng(seed)
    sizes = np.array([item.starts for item in stretches])
    total, drawn = np.zeros(sizes.sum()), []
    for source, count in _counts(shares, windows).items():
        intensity = np.concatenate(start_intensity(source, stretches, count, grid))
        total += intensity
        picks = generator.choice(len(intensity), count, p=intensity / intensity.sum())
        drawn.append(pd.DataFrame({"source": source, "place": np.sort(picks)}))
    chosen = pd.concat(drawn, ignore_index=True)
    edges = np.cumsum(sizes)
    owner = np.searchsorted(edges, chosen["place"], "right")
    at = chosen["place"].to_numpy() - (edges - sizes)[owner]
    inclusion = [cell_inclusion(part, grid) for part in np.split(total, edges[:-1])]
    return pd.DataFrame(
        {
            "genome": [stretches[row].genome for row in owner],
            "contig": [stretches[row].contig for row in owner],
            "start": [stretches[row].start + grid.step * step for row, step in zip(owner, at)],
            "length": grid.length,
            "source": chosen["source"],
            "inclusion": [
                inclusion[row][step : step + grid.cells].astype(np.float32)
                for row, step in zip(owner, at)
            ],
        }
    )


def _counts(shares: Mapping[str, float], windows: int) -> dict[str, int]:
    """Turn shares into whole numbers of windows that sum to `windows`."""
    for name, share in shares.items():
        if not share >= 0:
            raise InputError(f"sampling.sources.{name} is {share}; expected 0 or more")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(f"sampling.sources sum to {sum(shares.values()):g}; expected 1")
    edges = np.round(np.cumsum(list(shares.values())) * windows).astype(int)
    counts = np.diff(edges, prepend=0)
    return {name: int(count) for name, count in zip(shares, counts) if count > 0}


def tile_part(stretches: list[Stretch], grid: Grid, most_bases: int, seed: int) -> pd.DataFrame:
    """Tile a part without overlap, at natural prevalence; a random choice if it is long.

    Returns
    -------
    pandas.DataFrame
        As `draw_windows`, source `tile`, inclusion 1.
    """
    rows = [
        (item.genome, item.contig, item.start + at)
        for item in stretches
        for at in range(0, (item.starts - 1) * grid.step + 1, grid.length)
    ]
    keep = max(1, most_bases // grid.length)
    if len(rows) > keep:
        chosen = np.random.default_rng(seed).choice(len(rows), keep, replace=False)
        rows = [rows[row] for row in np.sort(chosen)]
    table = pd.DataFrame(rows, columns=["genome", "contig", "start"])
    ones = [np.ones(grid.cells, dtype=np.float32)] * len(table)
    return table.assign(length=grid.length, source="tile", inclusion=ones)
