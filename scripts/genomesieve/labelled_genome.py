"""A genome with its known sites, from which the labels of any stretch can be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_table
from genomesieve.genome import EncodedGenome, check_intervals, contig_rows
from genomesieve.signals import with_signals
from genomesieve.splitting import read_split

SITE_COLUMNS = ("contig", "position", "start", "end", "strand", "class")
INTERVAL_COLUMNS = ("contig", "start", "end", "role", "class")
STRANDS = ("+", "-")


class LabelledGenome:
    """A genome with its sites and ignored intervals, ready to draw labels of any stretch.

    Parameters
    ----------
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, position, start, end, strand, class.
    intervals : pandas.DataFrame
        Columns contig, start, end, role, class; `ignore` and `exclude` rows are left out of the
        loss.
    classes : list of str
    stranded : bool
    ignore_margin : int
        Bases around a site's interval that are ignored too.
    """

    def __init__(
        self,
        genome: EncodedGenome,
        sites: pd.DataFrame,
        intervals: pd.DataFrame,
        classes: list[str],
        stranded: bool,
        ignore_margin: int = 0,
    ):
        self.genome = genome
        self.classes = classes
        self.stranded = stranded
        offsets = dict(zip(genome.contigs["contig"], genome.contigs["offset"]))
        check_intervals(genome.contigs, sites, genome.name, "site")
        check_intervals(genome.contigs, intervals, genome.name, "interval")
        self._sites, self._ignored = {}, {}
        site_extents = _global_extents(sites, offsets, ignore_margin)
        positions = sites["contig"].map(offsets).to_numpy(np.int64) + sites["position"].to_numpy()
        hidden = intervals[intervals["role"].isin(["ignore", "exclude"])]
        hidden_extents = _global_extents(hidden, offsets, 0)
        hidden_class = hidden["class"].fillna("").to_numpy(str)
        strand = sites["strand"].to_numpy(str)
        if stranded and not np.isin(strand, STRANDS).all():
            row = int(np.argmin(np.isin(strand, STRANDS)))
            raise InputError(
                f"genome {genome.name}: site {sites['contig'].iloc[row]}:"
                f"{sites['position'].iloc[row]} has strand {str(strand[row])!r}; expected + or -"
            )
        for row, name in enumerate(classes):
            hides = np.isin(hidden_class, ["", name])
            of_class = sites["class"].to_numpy(str) == name
            for side, sign in enumerate(STRANDS):
                mine = of_class & ((strand == sign) if stranded else True)
                # A one-base interval without margin is the site itself and hides nothing.
                wide = mine & (site_extents[1] - site_extents[0] > 1)
                self._sites[row, side] = np.unique(positions[mine])
                self._ignored[row, side] = _merge(
                    *np.concatenate([site_extents[:, wide], hidden_extents[:, hides]], axis=1)
                )

    def site_bins(
        self, row: int, side: int, starts: np.ndarray, length: int, bin_bp: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (window, bin) index arrays of the bins that hold a site's base.

        Parameters
        ----------
        row, side : int
            Class and strand index.
        starts : numpy.ndarray, shape=(N,)
            First base of each window, counted over all contigs.
        length, bin_bp : int
            Bases a window and a bin.
        """
        positions = self._sites[row, side]
        first, last = np.searchsorted(positions, [starts, starts + length])
        window, inside = _spread(first, last)
        return window, (positions[inside] - starts[window]) // bin_bp

    def ignored_bins(
        self, row: int, side: int, starts: np.ndarray, length: int, bin_bp: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (window, bin) index arrays of the bins that ignored intervals overlap."""
        low, high = self._ignored[row, side]
        first = np.searchsorted(high, starts, "right")
        last = np.searchsorted(low, starts + length, "left")
        window, inside = _spread(first, last)
        begin = np.maximum(low[inside] - starts[window], 0) // bin_bp
        end = -(-np.minimum(high[inside] - starts[window], length) // bin_bp)
        piece, bins = _spread(begin, end)
        return window[piece], bins

    def positions_between(self, row: int, side: int, start: int, end: int) -> np.ndarray:
        """Return the sites of a class and strand in [start, end), all counted over all contigs."""
        where = self._sites[row, side]
        return where[np.searchsorted(where, start) : np.searchsorted(where, end)]

    def count_site_bins(self, intervals: pd.DataFrame, bin_bp: int) -> tuple[np.ndarray, int]:
        """Count the bins with a site in some intervals, both strands together.

        Parameters
        ----------
        intervals : pandas.DataFrame
            Columns contig, start, end (bp).
        bin_bp : int
            Bases a bin.

        Returns
        -------
        positives : numpy.ndarray, shape=(classes,)
        bins : int
            Bins on both strands.
        """
        contigs = self.genome.contigs
        positives, bins = np.zeros(len(self.classes)), 0
        check_intervals(contigs, intervals, self.genome.name, "part of the split")
        rows = contig_rows(contigs, intervals["contig"], self.genome.name)
        offsets = contigs["offset"].to_numpy()[rows]
        for offset, start, end in zip(offsets, intervals["start"], intervals["end"]):
            bins += 2 * ((end - start) // bin_bp)
            for (row, _), where in self._sites.items():
                first, last = np.searchsorted(where, [offset + start, offset + end])
                positives[row] += len(np.unique((where[first:last] - offset) // bin_bp))
        return positives, bins


def part_prevalence(
    genomes: Mapping[str, LabelledGenome],
    splits: Mapping[str, pd.DataFrame],
    resolution: int,
    lacking: Sequence[str] = (),
) -> np.ndarray:
    """Count the share of training bins that hold a site, per class (both strands pooled).

    Parameters
    ----------
    genomes : mapping of str to LabelledGenome
    splits : mapping of str to pandas.DataFrame
        Columns contig, start, end, part of every genome.
    resolution : int
        Bases a bin.
    lacking : sequence of str
        Classes that may have no site there.

    Returns
    -------
    numpy.ndarray, shape=(classes,)

    Raises
    ------
    InputError
        If the training parts hold no bin, or no site of a class that must have some.
    """
    names = next(iter(genomes.values())).classes
    positives, bins = np.zeros(len(names)), 0
    for name, labelled in genomes.items():
        rows = splits[name][splits[name]["part"] == "train"]
        found, total = labelled.count_site_bins(rows, resolution)
        positives, bins = positives + found, bins + total
    listed = ", ".join(genomes)
    if not bins:
        raise InputError(f"the splits of {listed} have no part train; expected one to learn from")
    for kind, found in zip(names, positives):
        if not found and kind not in lacking:
            raise InputError(
                f"the training part of {listed} holds no site of class {kind}; expected some to "
                "learn from"
            )
    return positives / bins


def read_splits(paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Read split.tsv (contig, start, end, part) of every genome."""
    return {name: read_split(path) for name, path in paths.items()}


def _merge(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge intervals that touch; both results are sorted."""
    order = np.argsort(low, kind="stable")
    low, high = low[order], high[order]
    reach = np.maximum.accumulate(high) if len(high) else high
    first = np.ones(len(low), dtype=bool)
    first[1:] = low[1:] > reach[:-1]
    last = np.append(np.flatnonzero(first)[1:] - 1, len(low) - 1) if len(low) else first
    return low[first], reach[last]


def _spread(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List every integer of the ranges [first, last) with the number of its range."""
    counts = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(counts)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, np.asarray(first)[owner] + inside


def _global_extents(table: pd.DataFrame, offsets: Mapping[str, int], margin: int) -> np.ndarray:
    """Return starts and ends (shape (2, rows)) counted over all contigs, widened by a margin."""
    base = table["contig"].map(offsets).to_numpy(np.int64)
    low = base + table["start"].to_numpy(np.int64) - margin
    return np.stack([low, base + table["end"].to_numpy(np.int64) + margin])


def open_labelled_genomes(
    folders: Mapping[str, Path],
    sites: Mapping[str, Path],
    intervals: Mapping[str, Path],
    classes: list[str],
    stranded: bool,
    ignore_margin: int,
    signals: Mapping[str, Mapping[str, Path]] | None = None,
    channels: Sequence[str] = (),
) -> dict[str, LabelledGenome]:
    """Open several genomes with their sites.

    Parameters
    ----------
    folders, sites, intervals : mapping of str to Path
        Encoded folder, sites.parquet and intervals.parquet of every genome.
    classes : list of str
    stranded : bool
    ignore_margin : int
        Bases around a site's interval that are left out of the loss.
    signals : mapping of str to mapping of str to Path, or None
        What `encode_signal` wrote for each genome, by channel.
    channels : sequence of str
        Signals that a network sees, in its order.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    opened = {}
    for name, folder in folders.items():
        genome = EncodedGenome.open_checked(folder, name)
        opened[name] = LabelledGenome(
            with_signals(genome, (signals or {}).get(name, {}), channels),
            read_table(sites[name], f"sites of {name}", SITE_COLUMNS),
            read_table(intervals[name], f"intervals of {name}", INTERVAL_COLUMNS),
            classes,
            stranded,
            ignore_margin,
        )
    return opened


def shared_strandedness(classes: Mapping[str, Mapping]) -> bool:
    """Return whether the classes have a strand; a screen does not mix the two kinds.

    Parameters
    ----------
    classes : mapping of str to mapping
        Each class's settings, with `stranded`.
    """
    values = {name: bool(settings.get("stranded", False)) for name, settings in classes.items()}
    if len(set(values.values())) != 1:
        listed = ", ".join(f"{name}: {value}" for name, value in values.items())
        raise InputError(f"classes mix stranded and unstranded ({listed}); expected one kind")
    return next(iter(values.values()))
