"""Where sites, ignored and excluded stretches lie on the numbered bins of a scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from genomesieve.genome import contig_index
from genomesieve.layout import ScanLayout


@dataclass(frozen=True)
class BinLabels:
    """The labels of one class on one strand; every other bin is a negative.

    Parameters
    ----------
    positive : numpy.ndarray, shape=(n,), dtype=int64
        Sorted bins that hold a site's base.
    ignored : numpy.ndarray, shape=(m, 2), dtype=int64
        Sorted disjoint ranges of bins [first, end) that count neither way; no positive bin among
        them.
    excluded : numpy.ndarray, shape=(m, 2), dtype=int64
        Ranges outside the universe; disjoint from the other two.
    """

    positive: np.ndarray
    ignored: np.ndarray
    excluded: np.ndarray


@dataclass(frozen=True)
class ScanLabels:
    """The labels of all classes and strands on a layout.

    Parameters
    ----------
    sites : pandas.DataFrame
        Sites inside the universe, sorted by contig and position: contig_index, position,
        class_index, strand_index, bin (all int64), and row (int64, of the table they come from).
    of : dict
        (class index, strand index) -> BinLabels.
    """

    sites: pd.DataFrame
    of: dict[tuple[int, int], BinLabels]


def label_bins(
    layout: ScanLayout,
    contigs: pd.DataFrame,
    genome: str,
    sites: pd.DataFrame,
    intervals: pd.DataFrame,
    classes: list[str],
    stranded: bool,
    ignore_margin: int = 0,
) -> ScanLabels:
    """Label the bins of a layout for every class and strand.

    A bin that holds a site's base is positive, whatever ignore tracks say. A bin that only overlaps
    the interval that a site came from, its margin, or an ignore track is ignored. A bin that
    overlaps an exclude track, or that no `universe` interval touches where there are any, is
    excluded, sites or not.

    Parameters
    ----------
    layout : ScanLayout
    contigs : pandas.DataFrame
        The genome's contig table.
    genome : str
        Name, for messages.
    sites : pandas.DataFrame
        Columns contig, position, start, end, strand, class; rows of other classes are left out.
    intervals : pandas.DataFrame
        Columns contig, start, end, role (ignore, exclude or universe), class ('' is every class).
        They hold for both strands.
    classes : list of str
    stranded : bool
        Whether the classes have strands; if not, all sites share strand index 0.
    ignore_margin : int
        Bases on each side of a site's interval that are ignored too.

    Returns
    -------
    ScanLabels

    Raises
    ------
    InputError
        If a contig is not one of the genome's.
    """
    rows = _contig_rows(contigs, pd.concat([sites["contig"], intervals["contig"]]), genome)
    table = _sites_on_layout(layout, rows, sites, classes, stranded)
    tracks = intervals.assign(contig_index=intervals["contig"].map(rows).to_numpy(np.int64))
    labels, kept = {}, []
    for index, name in enumerate(classes):
        mine = tracks[tracks["class"].fillna("").isin([name, ""])]
        roles = {
            role: _overlapped(layout, mine[mine["role"] == role]) for role in mine["role"].unique()
        }
        excluded = _outside_universe(roles, layout.bins)
        for strand in range(2 if stranded else 1):
            chosen = table[(table["class_index"] == index) & (table["strand_index"] == strand)]
            chosen_bins = chosen["bin"].to_numpy()
            inside = (chosen_bins >= 0) & ~in_ranges(chosen_bins, excluded)
            kept.append(chosen[inside])
            positive = np.unique(chosen_bins[inside])
            margins = _site_margins(layout, chosen, contigs, ignore_margin)
            ignored = _merge_ranges(np.concatenate([margins, roles.get("ignore", _NOTHING)]))
            ignored = _subtract(ignored, _merge_ranges(np.concatenate([excluded, _ones(positive)])))
            labels[index, strand] = BinLabels(positive, ignored, excluded)
    merged = pd.concat(kept) if kept else table
    merged = merged[merged["bin"] >= 0].drop(columns=["start", "end"])
    merged = merged.sort_values(
        ["contig_index", "position", "class_index", "strand_index"], ignore_index=True
    )
    return ScanLabels(merged, labels)


_NOTHING = np.zeros((0, 2), dtype=np.int64)


def drop_sites(labels: ScanLabels, dropped: np.ndarray) -> ScanLabels:
    """Take sites out of the universe, with their bins on both sides of the count.

    Parameters
    ----------
    labels : ScanLabels
    dropped : numpy.ndarray, shape=(len(labels.sites),), dtype=bool

    Returns
    -------
    ScanLabels
        A bin that holds a dropped site is excluded, and so is every other site in it.
    """
    of = {}
    sites = labels.sites
    gone = np.zeros(len(sites), dtype=bool)
    for (index, strand), mine in labels.of.items():
        here = ((sites["class_index"] == index) & (sites["strand_index"] == strand)).to_numpy()
        bins = np.unique(sites["bin"].to_numpy()[here & dropped])
        gone |= here & np.isin(sites["bin"].to_numpy(), bins)
        excluded = _merge_ranges(np.concatenate([mine.excluded, _ones(bins)]))
        of[index, strand] = replace(
            mine, positive=np.setdiff1d(mine.positive, bins), excluded=excluded
        )
    return ScanLabels(sites[~gone].reset_index(drop=True), of)


def in_ranges(bins: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Tell which bins lie in sorted disjoint ranges (shape=(m, 2)); shape=(n,), dtype=bool."""
    if len(ranges) == 0:
        return np.zeros(len(bins), dtype=bool)
    row = np.searchsorted(ranges[:, 0], bins, "right") - 1
    return (row >= 0) & (bins < ranges[np.maximum(row, 0), 1])


def range_bins(ranges: np.ndarray) -> int:
    """Return the number of bins in disjoint ranges (shape=(m, 2))."""
    return int((ranges[:, 1] - ranges[:, 0]).sum())


def expand_ranges(ranges: np.ndarray) -> np.ndarray:
    """List the bins of ranges (shape=(m, 2)) in order; shape=(n,), dtype=int64."""
    sizes = ranges[:, 1] - ranges[:, 0]
    shift = np.repeat(ranges[:, 0] - (np.cumsum(sizes) - sizes), sizes)
    return shift + np.arange(len(shift), dtype=np.int64)


def overlapped_ranges(
    layout: ScanLayout, contig_rows: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Return the ranges of bins that intervals on contigs overlap.

    Parameters
    ----------
    layout : ScanLayout
    contig_rows, starts, ends : numpy.ndarray, shape=(n,), int
        0-based half-open intervals in bp; they may reach beyond what is scored.

    Returns
    -------
    numpy.ndarray, shape=(m, 2), dtype=int64
        Sorted, disjoint.
    """
    table = layout.intervals.sort_values(["contig_index", "start"])
    if table.empty or len(starts) == 0:
        return _NOTHING
    contig, first, last = (
        table[column].to_numpy(np.int64) for column in ("contig_index", "start", "end")
    )
    starts, ends = np.maximum(starts, 0), np.maximum(ends, 0)
    stride = int(max(last.max(), ends.max())) + 1
    contig_rows = np.asarray(contig_rows, dtype=np.int64)
    lowest = np.searchsorted(contig * stride + last, contig_rows * stride + starts, "right")
    highest = np.searchsorted(contig * stride + first, contig_rows * stride + ends, "left")
    pairs = np.maximum(highest - lowest, 0)
    which = np.repeat(np.arange(len(starts)), pairs)
    row = expand_ranges(np.stack([lowest, lowest + pairs], axis=1))
    begin = np.maximum(starts[which], first[row]) - first[row]
    end = np.minimum(ends[which], last[row]) - first[row]
    base = table["first_bin"].to_numpy(np.int64)[row]
    ranges = np.stack(
        [base + begin // layout.resolution, base - (-end // layout.resolution)], axis=1
    )
    return _merge_ranges(ranges[begin < end])


def _contig_rows(contigs: pd.DataFrame, names: pd.Series, genome: str) -> dict[str, int]:
    """Map contig names to rows of the contig table."""
    known = {name: row for row, name in enumerate(contigs["contig"])}
    for name in names.unique():
        if name not in known:
            contig_index(contigs, name, genome)
    return known


def _sites_on_layout(
    layout: ScanLayout, rows: dict[str, int], sites: pd.DataFrame, classes: list[str], stranded
) -> pd.DataFrame:
    """Return the sites of the classes with numbers for contig, class, strand and bin (or -1)."""
    chosen = sites["class"].isin(classes).to_numpy()
    mine = sites[chosen]
    minus = (mine["strand"] == "-").to_numpy()
    contig = mine["contig"].map(rows).to_numpy(np.int64)
    position = mine["position"].to_numpy(np.int64)
    return pd.DataFrame(
        {
            "contig_index": contig,
            "position": position,
            "start": mine["start"].to_numpy(np.int64),
            "end": mine["end"].to_numpy(np.int64),
            "class_index": pd.Index(classes).get_indexer(mine["class"]).astype(np.int64),
            "strand_index": (minus if stranded else np.zeros(len(mine))).astype(np.int64),
            "bin": layout.bins_of(contig, position),
            "row": np.flatnonzero(chosen),
        }
    )


def _site_margins(
    layout: ScanLayout, sites: pd.DataFrame, contigs: pd.DataFrame, margin: int
) -> np.ndarray:
    """Return the bins that the sites' intervals and their margins overlap."""
    lengths = contigs["length"].to_numpy(np.int64)[sites["contig_index"]]
    return overlapped_ranges(
        layout,
        sites["contig_index"].to_numpy(),
        np.maximum(sites["start"].to_numpy() - margin, 0),
        np.minimum(sites["end"].to_numpy() + margin, lengths),
    )


def _overlapped(layout: ScanLayout, tracks: pd.DataFrame) -> np.ndarray:
    """Return the bins that rows of an interval table overlap."""
    columns = (tracks[name].to_numpy(np.int64) for name in ("contig_index", "start", "end"))
    return overlapped_ranges(layout, *columns)


def _outside_universe(roles: dict[str, np.ndarray], bins: int) -> np.ndarray:
    """Return the excluded ranges, given the ranges of each role."""
    excluded = roles.get("exclude", _NOTHING)
    if "universe" in roles:
        everything = np.array([[0, bins]], dtype=np.int64)
        excluded = np.concatenate([excluded, _subtract(everything, roles["universe"])])
    return _merge_ranges(excluded)


def _ones(bins: np.ndarray) -> np.ndarray:
    """Turn bins into ranges of one bin each."""
    return np.stack([bins, bins + 1], axis=1).astype(np.int64)


def _merge_ranges(ranges: np.ndarray) -> np.ndarray:
    """Sort ranges and join those that overlap or touch."""
    ranges = ranges[ranges[:, 0] < ranges[:, 1]]
    if len(ranges) == 0:
        return _NOTHING
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ranges[:, 1])
    fresh = np.concatenate([[True], ranges[1:, 0] > reach[:-1]])
    last = np.concatenate([np.flatnonzero(fresh)[1:] - 1, [len(ranges) - 1]])
    return np.stack([ranges[fresh, 0], reach[last]], axis=1)


def _subtract(ranges: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Return what of sorted disjoint ranges lies outside other sorted disjoint ranges."""
    if len(ranges) == 0 or len(removed) == 0:
        return ranges
    edges = np.unique(np.concatenate([ranges.ravel(), removed.ravel()]))
    pieces = np.stack([edges[:-1], edges[1:]], axis=1)
    kept = in_ranges(pieces[:, 0], ranges) & ~in_ranges(pieces[:, 0], removed)
    return _merge_ranges(pieces[kept])
