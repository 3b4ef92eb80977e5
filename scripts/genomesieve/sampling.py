"""Choosing training windows, and knowing how often each position was chosen.

Every source of windows (sites, uniform, GC-matched, decoys) is written as a start intensity: how
many windows are expected to start at each point of a grid. The inclusion of a position is the sum
over the starts whose window covers it, so it is exact for the mixture of sources, at the edges of
intervals too, and the loss can weight each position by its inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, contig_rows

SOURCES = ("sites", "uniform", "gc_matched", "decoys")
GC_BINS = 50
CELLS_A_WINDOW = 50


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
    decoys : numpy.ndarray, dtype=int64
        Positions that carry a class's own dinucleotide and are no site, counted from `start`.
    """

    genome: str
    contig: str
    start: int
    starts: int
    codes: np.ndarray
    sites: np.ndarray
    decoys: np.ndarray


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
        Columns contig, position.
    grid : Grid
    resolution : int
        Windows start at multiples of it on the contig.

    Raises
    ------
    InputError
        If a site lies on a contig that the genome does not have.
    """
    stretches, groups = [], sites.groupby("contig")["position"]
    positions = {contig: np.unique(where.to_numpy(np.int64)) for contig, where in groups}
    nothing = np.zeros(0, dtype=np.int64)
    contig_rows(genome.contigs, positions, genome.name)
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
        stretches.append(Stretch(genome.name, contig, first, starts, codes, mine, mine[:0]))
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


def find_decoys(stretch: Stretch, motifs: pd.DataFrame, complement: np.ndarray) -> np.ndarray:
    """List where either strand carries the dinucleotide of a class at its place, sites left out.

    Returns
    -------
    numpy.ndarray, dtype=int64
        Positions (of the would-be site) counted from the stretch's start.
    """
    codes = stretch.codes
    # Two codes below 5 make a number below 25: one byte a base is enough.
    pair = codes[:-1] * np.uint8(5) + codes[1:]
    is_decoy = np.zeros(len(codes), dtype=bool)
    for row in motifs.itertuples():
        one, two = divmod(int(row.dinucleotide), 4)
        other = int(complement[two]) * 5 + int(complement[one])
        for places in (
            np.flatnonzero(pair == one * 5 + two) - row.offset,
            np.flatnonzero(pair == other) + 1 + row.offset,
        ):
            is_decoy[places[(places >= 0) & (places < len(codes))]] = True
    sites = stretch.sites
    is_decoy[sites[(sites >= 0) & (sites < len(codes))]] = False
    return np.flatnonzero(is_decoy)


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
    else:
        intensity = [_around(getattr(item, source), item.starts, grid) for item in stretches]
    total = sum(values.sum() for values in intensity)
    if not total > 0:
        raise InputError(f"sampling source {source} finds nothing in the training part")
    return [values * (windows / total) for values in intensity]


def _around(points: np.ndarray, starts: int, grid: Grid) -> np.ndarray:
    """Spread one unit of each point evenly over the starts whose window covers it."""
    low = np.clip(-((grid.length - 1 - points) // grid.step), 0, starts)
    high = np.clip(points // grid.step + 1, 0, starts)
    inside = low < high
    low, high = low[inside], high[inside]
    change = np.zeros(starts + 1)
    np.add.at(change, low, 1 / (high - low))
    np.subtract.at(change, high, 1 / (high - low))
    return np.maximum(np.cumsum(change)[:-1], 0)


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
    is_gc = (stretch.codes == 1) | (stretch.codes == 2)
    sums = np.concatenate([[0], np.cumsum(is_gc)])
    at = np.arange(stretch.starts) * grid.step
    return ((sums[at + grid.length] - sums[at]) * GC_BINS // grid.length).astype(np.int64)


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
    stretches: list[Stretch], shares: Mapping[str, float], windows: int, grid: Grid, seed: int
) -> pd.DataFrame:
    """Draw training windows from a mixture of sources.

    Parameters
    ----------
    stretches : list of Stretch
    shares : mapping of str to float
        Share of the windows that each source gives; they sum to 1.
    windows : int
    grid : Grid
    seed : int

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
        if share < 0:
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
