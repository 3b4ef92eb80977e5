"""Cut a genome into train, valid, calibrate and test parts that keep their distance."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_table
from genomesieve.genome import contig_rows
from genomesieve.regions import parse_regions

PARTS = ("train", "valid", "calibrate", "test")
SCREEN = "screen"
COLUMNS = ["contig", "start", "end", "part"]

_LARGEST_BLOCK = 1_000_000
_DEFAULT_BLOCKS = 40
_SHARED_BLOCKS = 200
_TOLERANCE = 1 / 3
"""Whole contigs are used if every part gets its share to within this part of it."""


def read_split(path: str | os.PathLike) -> pd.DataFrame:
    """Read a split table: columns contig (str), start, end (int64, 0-based half-open), part.

    Raises
    ------
    InputError
        If the file is missing, lacks a column or holds an unknown part.
    """
    table = read_table(path, "split", tuple(COLUMNS), text=("contig", "part"))
    unknown = sorted(set(table["part"]) - {*PARTS, SCREEN})
    if unknown:
        raise InputError(
            f"split {path}: unknown part {unknown[0]!r}; expected {', '.join((*PARTS, SCREEN))}"
        )
    try:
        return table[COLUMNS].astype({"start": "int64", "end": "int64"})
    except ValueError as error:
        raise InputError(f"split {path}: start and end must be whole numbers: {error}") from error


def screen_only(regions: pd.DataFrame) -> pd.DataFrame:
    """Return the split of a genome that is only screened: all its regions, touching ones merged."""
    return merge_touching(regions.assign(part=SCREEN))


def split_by_lists(
    lists: Mapping[str, list[str]], regions: pd.DataFrame, contigs: pd.DataFrame, genome: str
) -> pd.DataFrame:
    """Assign listed contigs and stretches of contigs to parts.

    Parameters
    ----------
    lists : mapping of str to list of str
        Part to contigs (`chr1`, meaning all its regions; `chrUn_*` for all that are so called) or
        stretches (`chr1:0-5000`, 0-based half-open).
    regions : pandas.DataFrame
        Columns contig, start, end: what of the genome is used at all.
    contigs : pandas.DataFrame
        The genome's contig table.
    genome : str
        Name, for messages.

    Returns
    -------
    pandas.DataFrame
        Columns contig, start, end, part in genome order; no guard zones yet.

    Raises
    ------
    InputError
        If a part is missing, empty or unknown, a stretch does not exist or leaves the regions, or
        parts overlap; the key is named.
    """
    _check_parts(lists, "contigs", genome)
    whole = merge_touching(regions.assign(part=""))
    rows = []
    for part in PARTS:
        key = f"split of genome {genome}, key contigs.{part}"
        texts = lists[part]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{key}: found {texts!r}; expected a list of contigs or regions")
        if not texts:
            raise InputError(f"{key}: the list is empty; expected at least one contig or region")
        for text in texts:
            rows += [(*row, part) for row in _stretches(text, whole, contigs, genome, key)]
    table = _in_genome_order(pd.DataFrame(rows, columns=COLUMNS), contigs)
    _check_overlaps(table, genome)
    return merge_touching(table)


def split_by_fractions(
    fractions: Mapping[str, float], block: int | None, regions: pd.DataFrame, genome: str
) -> tuple[pd.DataFrame, str]:
    """Assign whole contigs to parts by length, or blocks of contigs where those are too coarse.

    Whole contigs go, longest first, to the part that lacks most. If a part would then get more or
    less than its fraction by more than a third of it, the regions are cut into blocks instead, and
    along the genome each block goes to the part that lags most behind its fraction, so that every
    part is spread over the whole genome.

    Parameters
    ----------
    fractions : mapping of str to float
        Part to its share of the bases; positive, together 1.
    block : int or None
        Bases a block; None means 1 Mb, or a fortieth of the regions where that is less.
    regions : pandas.DataFrame
        Columns contig, start, end in genome order.
    genome : str
        Name, for messages.

    Returns
    -------
    table : pandas.DataFrame
        Columns contig, start, end, part in genome order; no guard zones yet.
    method : {'whole contigs', 'blocks'}

    Raises
    ------
    InputError
        If fractions are missing or do not sum to 1, or there are fewer blocks than parts.
    """
    shares = _check_fractions(fractions, genome)
    sizes = (regions["end"] - regions["start"]).groupby(regions["contig"], sort=False).sum()
    part_of_contig = _assign_contigs(sizes, shares)
    if part_of_contig is not None:
        table = regions.assign(part=regions["contig"].map(part_of_contig))
        return merge_touching(table), "whole contigs"
    if block is None:
        block = max(1, min(_LARGEST_BLOCK, int(sizes.sum()) // _DEFAULT_BLOCKS))
    blocks = _cut_regions(regions, block)
    blocks["part"] = _assign_blocks((blocks["end"] - blocks["start"]).tolist(), shares)
    missing = [part for part in PARTS if part not in set(blocks["part"])]
    if missing:
        raise InputError(
            f"split of genome {genome}, key block: {len(blocks)} blocks of {block} bp give nothing "
            f"to part {', '.join(missing)}; expected a smaller block"
        )
    return merge_touching(blocks), "blocks"


def separate_parts(intervals: pd.DataFrame, guard: int) -> pd.DataFrame:
    """Cut guard zones, so that different parts of one contig are at least `guard` bases apart.

    What is missing in distance is cut from the longer of two neighbours (of equal ones, from the
    part that has more bases), which costs the small parts least.

    Parameters
    ----------
    intervals : pandas.DataFrame
        Columns contig, start, end, part in genome order, not overlapping.
    guard : int
        Bases, >= 0.

    Returns
    -------
    pandas.DataFrame
        The same columns; intervals that a guard zone swallows are gone.
    """
    sizes = (intervals["end"] - intervals["start"]).groupby(intervals["part"]).sum().to_dict()
    kept: list[list] = []
    for row in intervals[COLUMNS].itertuples(index=False):
        _push_interval(kept, list(row), guard, sizes)
    return pd.DataFrame(kept, columns=COLUMNS).astype({"start": "int64", "end": "int64"})


def keep_train_share(
    intervals: pd.DataFrame, share: float, block: int | None, seed: int, genome: str
) -> pd.DataFrame:
    """Leave out all but a share of the training part, in whole blocks; other parts stay.

    What is left out belongs to no part, so that nothing there is learned from, as a site or as a
    negative. Blocks are cut along each interval and drawn without replacement; those of a smaller
    share are among those of a larger one with the same seed and block.

    Parameters
    ----------
    intervals : pandas.DataFrame
        Columns contig, start, end, part in genome order, after `separate_parts`.
    share : float
        Of the training part's bases, above 0 and at most 1.
    block : int or None
        Bases a block; None means a two-hundredth of the training part.
    seed : int
    genome : str
        Name, for messages.

    Raises
    ------
    InputError
        If the share is less than half a block.
    """
    if share == 1:
        return intervals
    train = intervals[intervals["part"] == PARTS[0]]
    total = int((train["end"] - train["start"]).sum())
    block = block or max(1, total // _SHARED_BLOCKS)
    blocks = _cut_regions(train, block)
    order = np.random.default_rng(seed).permutation(len(blocks))
    sizes = (blocks["end"] - blocks["start"]).to_numpy()[order]
    # As many whole blocks as come nearest to the share.
    kept = int(np.argmin(np.abs(np.append(0, np.cumsum(sizes)) - share * total)))
    if kept == 0:
        raise InputError(
            f"split of genome {genome}, key train_share: {share:g} of {total} bp is less than half "
            f"a block of {block} bp; expected a larger share, or a smaller train_block"
        )
    chosen = blocks.iloc[np.sort(order[:kept])].assign(part=PARTS[0])
    others = intervals[intervals["part"] != PARTS[0]]
    rank = {name: row for row, name in enumerate(dict.fromkeys(intervals["contig"]))}
    table = pd.concat([chosen, others], ignore_index=True)
    keys = (table["start"].to_numpy(), table["contig"].map(rank).to_numpy())
    return merge_touching(table.iloc[np.lexsort(keys)])


def merge_touching(table: pd.DataFrame) -> pd.DataFrame:
    """Join neighbours of one contig and part that touch (rows in genome order)."""
    table = table[COLUMNS].reset_index(drop=True)
    before = table.shift(1)
    joined = (
        (table["contig"] == before["contig"])
        & (table["part"] == before["part"])
        & (table["start"] == before["end"])
    )
    groups = (~joined).cumsum().to_numpy()
    merged = table.groupby(groups, sort=False).agg(
        contig=("contig", "first"),
        start=("start", "first"),
        end=("end", "last"),
        part=("part", "first"),
    )
    return merged.reset_index(drop=True).astype({"start": "int64", "end": "int64"})


def locate(
    intervals: pd.DataFrame,
    contigs: pd.DataFrame,
    names: Iterable[str],
    positions: np.ndarray,
    genome: str,
) -> np.ndarray:
    """Find the interval that holds each position.

    Parameters
    ----------
    intervals : pandas.DataFrame, length=m
        Columns contig, start, end (0-based half-open), not overlapping.
    contigs : pandas.DataFrame
        The genome's contig table.
    names : iterable of str, length=n
        Contig of each position.
    positions : numpy.ndarray, shape=(n,)
        0-based.
    genome : str
        Name, for messages.

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=int64
        Row of `intervals` (0 to m - 1), -1 where no interval holds the position.

    Raises
    ------
    InputError
        If the genome has no contig of that name.
    """
    offsets = contigs["offset"].to_numpy(np.int64)
    first = offsets[contig_rows(contigs, intervals["contig"], genome)]
    starts = first + intervals["start"].to_numpy(np.int64)
    ends = first + intervals["end"].to_numpy(np.int64)
    where = offsets[contig_rows(contigs, names, genome)] + np.asarray(positions, dtype=np.int64)
    if len(starts) == 0:
        return np.full(len(where), -1, dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    found = order[np.maximum(np.searchsorted(starts[order], where, "right") - 1, 0)]
    inside = (starts[found] <= where) & (where < ends[found])
    return np.where(inside, found, -1)


def _check_parts(given: Mapping, key: str, genome: str) -> None:
    """Check that `given` is a mapping with exactly the four parts as keys."""
    if not isinstance(given, Mapping):
        raise InputError(f"split of genome {genome}, key {key}: found {given!r}; expected a table")
    for part in given:
        if part not in PARTS:
            raise InputError(
                f"split of genome {genome}, key {key}.{part}: unknown part; "
                f"expected {', '.join(PARTS)}"
            )
    for part in PARTS:
        if part not in given:
            raise InputError(
                f"split of genome {genome}, key {key}.{part}: missing; expected all of "
                f"{', '.join(PARTS)}"
            )


def _check_fractions(fractions: Mapping[str, float], genome: str) -> dict[str, float]:
    """Return the fractions in the order of the parts, after checking them."""
    _check_parts(fractions, "fractions", genome)
    for part in PARTS:
        value = fractions[part]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise InputError(
                f"split of genome {genome}, key fractions.{part}: found {value!r}; "
                "expected a number between 0 and 1"
            )
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6:
        raise InputError(
            f"split of genome {genome}, key fractions: they sum to {total:g}; expected 1"
        )
    return {part: float(fractions[part]) for part in PARTS}


def _stretches(
    text: str, whole: pd.DataFrame, contigs: pd.DataFrame, genome: str, key: str
) -> list[tuple[str, int, int]]:
    """Return (contig, start, end) of the regions of some contigs or of one stretch inside them."""
    named = contigs["contig"] == text
    if "*" in text and not named.any():
        named = contigs["contig"].map(lambda name: fnmatch.fnmatchcase(name, text)).astype(bool)
        if not named.any():
            raise InputError(
                f"{key}: no contig of genome {genome} is like {text}; expected a pattern such as "
                "chrUn_* that some contigs match"
            )
    if named.any():
        mine = whole[whole["contig"].isin(contigs.loc[named, "contig"])]
        if mine.empty:
            raise InputError(f"{key}: contig {text} is not among the regions of genome {genome}")
        return list(mine[["contig", "start", "end"]].itertuples(index=False, name=None))
    contig, start, end = parse_regions([text], contigs, genome, key).iloc[0]
    mine = whole[whole["contig"] == contig]
    if not ((mine["start"] <= start) & (end <= mine["end"])).any():
        known = ", ".join(f"{contig}:{a}-{b}" for a, b in zip(mine["start"], mine["end"]))
        raise InputError(
            f"{key}: {text} does not lie in one of the regions of genome {genome}; "
            f"expected it inside {known or 'another contig'}"
        )
    return [(contig, int(start), int(end))]


def _in_genome_order(table: pd.DataFrame, contigs: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by contig (in the order of the contig table) and start."""
    rank = pd.Index(contigs["contig"]).get_indexer(table["contig"])
    order = np.lexsort((table["start"].to_numpy(), rank))
    return table.iloc[order].reset_index(drop=True)


def _check_overlaps(table: pd.DataFrame, genome: str) -> None:
    """Raise InputError that names two rows (in genome order) that overlap."""
    overlap = (table["contig"] == table["contig"].shift(-1)) & (
        table["end"] > table["start"].shift(-1)
    )
    if overlap.any():
        row = int(np.argmax(overlap.to_numpy()))
        one, other = (table.iloc[row + step] for step in (0, 1))
        raise InputError(
            f"split of genome {genome}, key contigs: {one['part']} {one['contig']}:{one['start']}-"
            f"{one['end']} overlaps {other['part']} {other['contig']}:{other['start']}-"
            f"{other['end']}; expected parts that do not overlap"
        )


def _assign_contigs(sizes: pd.Series, shares: dict[str, float]) -> dict[str, str] | None:
    """Give whole contigs to parts, longest first; None if a part then misses its share."""
    lacking = {part: share * int(sizes.sum()) for part, share in shares.items()}
    wanted = dict(lacking)
    chosen = {}
    for contig, size in sizes.sort_values(ascending=False, kind="stable").items():
        part = max(lacking, key=lacking.get)
        chosen[contig] = part
        lacking[part] -= size
    if any(abs(lacking[part]) > _TOLERANCE * wanted[part] for part in PARTS):
        return None
    return chosen


def _cut_regions(regions: pd.DataFrame, block: int) -> pd.DataFrame:
    """Cut each region into pieces of about `block` bases: whole blocks, a short rest joins one."""
    rows = []
    for contig, start, end in regions[["contig", "start", "end"]].itertuples(index=False):
        edges = [*range(start, end, block), end]
        if len(edges) > 2 and edges[-1] - edges[-2] < block / 2:
            del edges[-2]
        rows += [(contig, a, b) for a, b in zip(edges[:-1], edges[1:])]
    return pd.DataFrame(rows, columns=["contig", "start", "end"])


def _assign_blocks(sizes: list[int], shares: dict[str, float]) -> list[str]:
    """Give each block, in order, to the part that lags most behind its share so far."""
    given = dict.fromkeys(shares, 0)
    seen, chosen = 0, []
    for size in sizes:
        seen += size
        part = max(shares, key=lambda name: shares[name] * seen - given[name])
        given[part] += size
        chosen.append(part)
    return chosen


def _push_interval(kept: list[list], new: list, guard: int, sizes: dict[str, int]) -> None:
    """Append `new` (contig, start, end, part) to `kept` after cutting the guard between them.

    Cuts only widen gaps, so pairs that were settled stay so; where the last kept interval vanishes,
    the one before it becomes the neighbour.
    """
    while kept and kept[-1][0] == new[0] and kept[-1][3] != new[3]:
        last = kept[-1]
        lacking = guard - (new[1] - last[2])
        if lacking <= 0:
            break
        if (last[2] - last[1], sizes[last[3]]) > (new[2] - new[1], sizes[new[3]]):
            last[2] -= lacking
            if last[2] > last[1]:
                break
            kept.pop()
        else:
            new[1] += lacking
            if new[1] >= new[2]:
                return
            break
    kept.append(new)
