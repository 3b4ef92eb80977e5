"""From bins with high scores to calls, and from calls and known sites to right and wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genomesieve.labels_on_bins import ScanLabels, expand_ranges, in_ranges
from genomesieve.layout import ScanLayout


def merge_candidates(
    candidates: pd.DataFrame, layout: ScanLayout, min_distances: np.ndarray
) -> pd.DataFrame:
    """Keep the local maxima among candidate bins.

    The best-scoring candidate is kept, those of its class, strand and contig that start fewer than
    `min_distance` bases away are dropped, then the next best of the rest is kept, and so on; of
    equal scores the leftmost goes first. Lower candidates never change what happens to higher ones,
    so the calls above a threshold do not depend on the floor.

    Parameters
    ----------
    candidates : pandas.DataFrame
        Columns bin, class_index, strand_index, code; at most one row a bin, class and strand.
    layout : ScanLayout
    min_distances : numpy.ndarray, shape=(classes,), int
        Bases between the starts of two calls; at most `resolution` means no merging.

    Returns
    -------
    pandas.DataFrame
        The kept rows with the same columns and contig_index, start (int64, bp), sorted by contig,
        start, class and strand.
    """
    contig, start = layout.positions_of(candidates["bin"].to_numpy(np.int64))
    table = candidates.assign(contig_index=contig.astype(np.int64), start=start.astype(np.int64))
    order = ["contig_index", "class_index", "strand_index", "start"]
    table = table.sort_values(order, ignore_index=True)
    distance = np.asarray(min_distances, dtype=np.int64)[table["class_index"].to_numpy()]
    group = np.unique(_line_of(table), return_inverse=True)[1]
    kept = _local_maxima(group, table["start"].to_numpy(), table["code"].to_numpy(), distance)
    return table[kept].sort_values(
        ["contig_index", "start", "class_index", "strand_index"], ignore_index=True
    )


def _local_maxima(
    group: np.ndarray, start: np.ndarray, code: np.ndarray, distance: np.ndarray
) -> np.ndarray:
    """Tell which of the elements, sorted by group and start, the greedy choice keeps.

    Works in rounds: what is the best within reach is kept, and what it reaches is dropped. This
    ends with what choosing one after the other, best first, would give.
    """
    rank = np.empty(len(code), dtype=np.int64)
    rank[np.lexsort((np.arange(len(code)), -code.astype(np.int64)))] = np.arange(len(code))
    kept = np.zeros(len(code), dtype=bool)
    active = np.arange(len(code))
    while len(active):
        best, reached = rank[active].copy(), np.zeros(len(active), dtype=bool)
        pairs = list(_near_pairs(group[active], start[active], distance[active]))
        for left, right in pairs:
            best[left] = np.minimum(best[left], rank[active[right]])
            best[right] = np.minimum(best[right], rank[active[left]])
        winners = best == rank[active]
        for left, right in pairs:
            reached[right[winners[left]]] = True
            reached[left[winners[right]]] = True
        kept[active[winners]] = True
        active = active[~winners & ~reached]
    return kept


def _near_pairs(group: np.ndarray, start: np.ndarray, distance: np.ndarray):
    """Yield index arrays (left, right) of elements closer than their distance, by lag."""
    for lag in range(1, len(start)):
        near = (group[lag:] == group[:-lag]) & (start[lag:] - start[:-lag] < distance[lag:])
        if not near.any():
            return
        left = np.flatnonzero(near)
        yield left, left + lag


def judge_calls(
    calls: pd.DataFrame, layout: ScanLayout, labels: ScanLabels, match_distances: np.ndarray
) -> pd.DataFrame:
    """Match merged calls to known sites and say which are right.

    Calls are taken best score first (ties: by contig and position); each takes the nearest site of
    its class and strand that is still free and lies within `match_distance` of the call's bin (0
    inside it). A site is matched once, so a second call for it is false. A call that matches
    nothing and lies in an ignored or excluded bin counts neither way. What a call matches does not
    depend on calls that score lower.

    Parameters
    ----------
    calls : pandas.DataFrame
        Columns bin, class_index, strand_index, code, contig_index, start, from `merge_candidates`.
    layout : ScanLayout
    labels : ScanLabels
        From `label_bins` on the same layout.
    match_distances : numpy.ndarray, shape=(classes,), int
        Bases.

    Returns
    -------
    pandas.DataFrame
        The calls, in the same order, with site (int64, row of `labels.sites`, -1 for none), status
        ('true', 'false' or 'ignored') and block (int64).
    """
    matched = _match_sites(calls, labels.sites, layout.resolution, np.asarray(match_distances))
    bins = calls["bin"].to_numpy(np.int64)
    neutral = np.zeros(len(calls), dtype=bool)
    for (index, strand), mine in labels.of.items():
        here = (calls["class_index"] == index) & (calls["strand_index"] == strand)
        here = np.flatnonzero(here.to_numpy())
        neutral[here] = in_ranges(bins[here], mine.ignored) | in_ranges(bins[here], mine.excluded)
    status = np.where(matched >= 0, "true", np.where(neutral, "ignored", "false")).astype(object)
    return calls.assign(site=matched, status=status, block=layout.blocks_of(bins))


def _match_sites(
    calls: pd.DataFrame, sites: pd.DataFrame, resolution: int, match_distances: np.ndarray
) -> np.ndarray:
    """Return for each call the row of the site that it takes, or -1."""
    call, site, gap = _reachable_pairs(calls, sites, resolution, match_distances)
    code = calls["code"].to_numpy(np.int64)
    rank = np.empty(len(calls), dtype=np.int64)
    rank[np.lexsort((calls["start"], calls["contig_index"], -code))] = np.arange(len(calls))
    order = np.lexsort((site, gap, rank[call]))
    call, site = call[order], site[order]
    result = np.full(len(calls), -1, dtype=np.int64)
    while len(call):
        # A pair that comes first for its call and for its site is what going down the list takes.
        first = _first_of(call) & _first_of(site)
        result[call[first]] = site[first]
        rest = ~np.isin(call, call[first]) & ~np.isin(site, site[first])
        call, site = call[rest], site[rest]
    return result


def _first_of(values: np.ndarray) -> np.ndarray:
    """Tell which elements are the first with their value."""
    result = np.zeros(len(values), dtype=bool)
    result[np.unique(values, return_index=True)[1]] = True
    return result


def _reachable_pairs(
    calls: pd.DataFrame, sites: pd.DataFrame, resolution: int, match_distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List all pairs of a call and a site within reach, and the distance between them (bp)."""
    reach = match_distances[calls["class_index"].to_numpy(np.int64)].astype(np.int64)
    start = calls["start"].to_numpy(np.int64)
    position = sites["position"].to_numpy(np.int64)
    margin = int(match_distances.max(initial=0)) + resolution
    stride = int(max(start.max(initial=0), position.max(initial=0))) + 2 * margin + 1
    order = np.argsort(_line_of(sites) * stride + position, kind="stable")
    keys = (_line_of(sites) * stride + position)[order]
    base = _line_of(calls) * stride + start
    low = np.searchsorted(keys, base - reach, "left")
    high = np.searchsorted(keys, base + resolution - 1 + reach, "right")
    call = np.repeat(np.arange(len(calls)), high - low)
    site = order[expand_ranges(np.stack([low, high], axis=1))]
    before, after = start[call] - position[site], position[site] - start[call] - resolution + 1
    return call, site, np.maximum(np.maximum(before, after), 0)


def _line_of(table: pd.DataFrame) -> np.ndarray:
    """Give each combination of contig, class and strand a number."""
    classes = 1 << 16
    line = table["contig_index"].to_numpy(np.int64) * classes
    return (line + table["class_index"].to_numpy(np.int64)) * 2 + table["strand_index"].to_numpy(
        np.int64
    )
