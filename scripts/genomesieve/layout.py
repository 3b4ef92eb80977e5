"""Which bins of a genome are scored, numbered from 0, and the blocks that they form.

A bin covers `resolution` bases on a grid that starts at each contig's first base. Everything after
the scan (histograms, labels, calls, bootstrap) speaks of bin numbers, so that it knows neither
contigs nor coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.genome import EncodedGenome, check_intervals, contig_rows

SMALLEST_BLOCK = 100_000
BLOCK_CONTEXTS = 10
FEWEST_BLOCKS = 20
MOST_BLOCKS = 256


@dataclass(frozen=True)
class ScanLayout:
    """The scored bins of a genome.

    Parameters
    ----------
    intervals : pandas.DataFrame
        One row an interval, in scan order: contig (str), contig_index (int64), start, end (int64,
        bp, multiples of the resolution), part (str), first_bin (int64).
    blocks : pandas.DataFrame
        One row a bootstrap block: block (int64), part (str), first_bin, end_bin (int64). Blocks
        tile the bins; none spans two parts.
    resolution : int
        Bases a bin.
    """

    intervals: pd.DataFrame
    blocks: pd.DataFrame
    resolution: int

    @property
    def bins(self) -> int:
        """Number of bins."""
        if self.intervals.empty:
            return 0
        return int((self.intervals["end"] - self.intervals["start"]).sum()) // self.resolution

    def bins_of(self, contig_rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the bin of each base, -1 where it is not scored.

        Parameters
        ----------
        contig_rows : numpy.ndarray, shape=(n,), int
            Rows in the genome's contig table.
        positions : numpy.ndarray, shape=(n,), int
            0-based positions on those contigs.

        Returns
        -------
        numpy.ndarray, shape=(n,), dtype=int64
        """
        table = self.intervals
        order = np.lexsort((table["start"], table["contig_index"]))
        contig, start, end, first = (
            table[column].to_numpy()[order]
            for column in ("contig_index", "start", "end", "first_bin")
        )
        if len(order) == 0 or len(positions) == 0:
            return np.full(len(positions), -1, dtype=np.int64)
        stride = int(max(end.max(), np.max(positions))) + 1
        keys = contig.astype(np.int64) * stride + start
        rows = (
            np.searchsorted(keys, np.asarray(contig_rows, np.int64) * stride + positions, "right")
            - 1
        )
        rows_safe = np.maximum(rows, 0)
        inside = (rows >= 0) & (contig[rows_safe] == contig_rows) & (positions < end[rows_safe])
        bins = first[rows_safe] + (positions - start[rows_safe]) // self.resolution
        return np.where(inside, bins, -1)

    def positions_of(self, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row in the genome's contig table and the start (bp) of each bin."""
        first = self.intervals["first_bin"].to_numpy()
        rows = np.searchsorted(first, bins, "right") - 1
        starts = self.intervals["start"].to_numpy()[rows] + (bins - first[rows]) * self.resolution
        return self.intervals["contig_index"].to_numpy()[rows], starts

    def blocks_of(self, bins: np.ndarray) -> np.ndarray:
        """Return the block number of each bin."""
        return np.searchsorted(self.blocks["first_bin"].to_numpy(), bins, "right") - 1


def make_layout(
    split: pd.DataFrame,
    contigs: pd.DataFrame,
    parts: tuple[str, ...],
    resolution: int,
    context: int,
    genome: str,
) -> ScanLayout:
    """Assign numbers to the whole bins of the given parts of a split, and cut them into blocks.

    Parameters
    ----------
    split : pandas.DataFrame
        Columns contig, start, end (0-based half-open), part.
    contigs : pandas.DataFrame
        The genome's contig table.
    parts : tuple of str
        Parts to score; intervals keep the order of `split`.
    resolution : int
        Bases a bin; bins that an interval cuts are left out.
    context : int
        Bases that a prediction sees on each side; sets the size of blocks.
    genome : str
        Name, for messages.

    Returns
    -------
    ScanLayout
    """
    chosen = split[split["part"].isin(parts)]
    check_intervals(contigs, chosen, genome, "part of the split")
    start = -(-chosen["start"].to_numpy(np.int64) // resolution) * resolution
    end = chosen["end"].to_numpy(np.int64) // resolution * resolution
    intervals = pd.DataFrame(
        {
            "contig": chosen["contig"].astype(str).to_numpy(),
            "contig_index": contig_rows(contigs, chosen["contig"], genome),
            "start": start,
            "end": end,
            "part": chosen["part"].astype(str).to_numpy(),
        }
    )
    intervals = intervals[intervals["end"] > intervals["start"]]
    intervals = intervals.sort_values("part", kind="stable", ignore_index=True)
    sizes = (intervals["end"] - intervals["start"]).to_numpy() // resolution
    intervals["first_bin"] = np.cumsum(sizes) - sizes
    return ScanLayout(intervals, _cut_blocks(intervals, sizes, resolution, context), resolution)


def _cut_blocks(
    intervals: pd.DataFrame, sizes: np.ndarray, resolution: int, context: int
) -> pd.DataFrame:
    """Cut each part's bins into blocks of equal length; small contigs share a block.

    Blocks have max(100 kb, 10 contexts), less where a part would have fewer than 20, more where the
    genome would have more than 256.
    """
    total = int(sizes.sum())
    rows = []
    for part in intervals["part"].unique():
        mine = (intervals["part"] == part).to_numpy()
        first, count = int(intervals["first_bin"][mine].iloc[0]), int(sizes[mine].sum())
        length = max(SMALLEST_BLOCK, BLOCK_CONTEXTS * context) // resolution
        length = max(1, min(length, count // FEWEST_BLOCKS), -(-total // (MOST_BLOCKS - 8)))
        edges = np.linspace(0, count, max(1, round(count / length)) + 1).astype(np.int64)
        rows += [(part, first + a, first + b) for a, b in zip(edges[:-1], edges[1:])]
    blocks = pd.DataFrame(rows, columns=["part", "first_bin", "end_bin"])
    blocks.insert(0, "block", np.arange(len(blocks)))
    return blocks


def whole_layout(genome: EncodedGenome, resolution: int, context: int) -> ScanLayout:
    """Return all bins of a genome, on which norm `domain` measures an unknown laboratory.

    Parameters
    ----------
    genome : EncodedGenome
    resolution, context : int
        Of the network: bases a bin, and bases that are seen on each side of one.

    Returns
    -------
    ScanLayout
    """
    contigs = genome.contigs
    parts = pd.DataFrame(
        {"contig": contigs["contig"], "start": 0, "end": contigs["length"], "part": "screen"}
    )
    parts = parts[parts["end"] > 0]
    return make_layout(parts, contigs, ("screen",), resolution, context, genome.name)
