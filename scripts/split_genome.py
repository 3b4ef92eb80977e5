"""Cut a genome into train, valid, calibrate and test parts with guard zones between them.

In: an encoded genome (contigs.tsv), the regions of it that are used, and how to cut it: lists of
contigs or stretches, or fractions. Sites, where given, are counted per part.
Out: split.tsv (contig, start, end, part; 0-based half-open) and a summary of bases and sites per
part and of what was dropped. A genome that is only screened gets the single part `screen`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.command_line import json_value, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_files, write_json, write_table
from genomesieve.genome import read_contigs
from genomesieve.regions import parse_regions
from genomesieve.splitting import (
    PARTS,
    SCREEN,
    locate,
    screen_only,
    separate_parts,
    split_by_fractions,
    split_by_lists,
)

WAYS = ("contigs", "fractions", "table")


def choose_parts(
    settings: object, regions: pd.DataFrame, contigs: pd.DataFrame, genome: str
) -> tuple[pd.DataFrame, str]:
    """Apply the settings: return intervals without guard zones, and the method used."""
    key = f"split of genome {genome}"
    if not isinstance(settings, dict):
        raise InputError(f"{key}: found {settings!r}; expected contigs, or fractions and block")
    unknown = [name for name in settings if name not in (*WAYS, "block")]
    if unknown:
        raise InputError(
            f"{key}, key {unknown[0]}: unknown; expected {', '.join(WAYS)}, or fractions and block"
        )
    chosen = [way for way in WAYS if way in settings]
    if len(chosen) != 1:
        raise InputError(f"{key}: found {sorted(settings)}; expected one of {', '.join(WAYS)}")
    if "block" in settings and chosen != ["fractions"]:
        raise InputError(f"{key}, key block: goes with fractions only; found {chosen[0]}")
    if "table" in settings:
        lists = read_lists(settings["table"])
        return split_by_lists(lists, regions, contigs, genome), "table"
    if "contigs" in settings:
        return split_by_lists(settings["contigs"], regions, contigs, genome), "lists"
    block = settings.get("block")
    if block is not None and (isinstance(block, bool) or not isinstance(block, int) or block < 1):
        raise InputError(f"{key}, key block: found {block!r}; expected bp, a positive integer")
    return split_by_fractions(settings["fractions"], block, regions, genome)


def read_lists(path: str) -> dict[str, list[str]]:
    """Read a table of regions (columns region and part) as the regions of each part."""
    table = read_table(Path(path), "table of a split", ("region", "part"))
    return {part: rows["region"].astype(str).tolist() for part, rows in table.groupby("part")}


def check_parts(
    split: pd.DataFrame, parts: tuple[str, ...], resolution: int, genome: str, guard: int
) -> dict[str, int]:
    """Return the number of whole bins of each part; a part without one is an InputError."""
    bins = split["end"] // resolution - -(-split["start"] // resolution)
    counts = bins.clip(lower=0).groupby(split["part"]).sum()
    for part in parts:
        if counts.get(part, 0) == 0:
            raise InputError(
                f"split of genome {genome}, part {part}: nothing is left of it after guard zones "
                f"of {guard} bp; expected at least one bin of {resolution} bp"
            )
    return {part: int(counts[part]) for part in parts}


def count_sites(
    sites: pd.DataFrame, split: pd.DataFrame, contigs: pd.DataFrame, genome: str
) -> tuple[pd.DataFrame, int]:
    """Return sites per part (rows) and class (columns), and the number of sites in no part."""
    rows = locate(split, contigs, sites["contig"], sites["position"].to_numpy(), genome)
    inside = rows >= 0
    part = pd.Series(split["part"].to_numpy()[rows[inside]], name="part")
    classes = sites["class"].astype(str).to_numpy()
    table = pd.crosstab(part, pd.Series(classes[inside], name="class"))
    return table.reindex(columns=sorted(set(classes)), fill_value=0), int(np.sum(~inside))


def check_sites(table: pd.DataFrame, genome: str) -> None:
    """Raise InputError if fewer than two parts hold sites."""
    filled = table.index[table.sum(axis=1) > 0].tolist()
    if len(filled) < 2:
        found = "no site lies in any part"
        if filled:
            found = f"all {int(table.to_numpy().sum())} sites lie in part {filled[0]}"
        raise InputError(f"split of genome {genome}: {found}; expected sites in {', '.join(PARTS)}")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--genome", required=True, help="name of the genome")
    add("--genome-folder", type=Path, required=True, help="folder with its contigs.tsv")
    add(
        "--regions",
        type=json_value,
        default=[],
        help='JSON list of used regions, "contig" or "contig:start-end" (0-based half-open); '
        "empty means all",
    )
    add(
        "--settings",
        type=json_value,
        default=None,
        help='JSON: {"contigs": {"train": ["chr1", "chr2:0-1000"], "valid": [..], "calibrate": '
        '[..], "test": [..]}} or {"fractions": {"train": 0.7, ..}, "block": bp} or {"table": a '
        "tab-separated file with the columns region and part}",
    )
    add("--guard", type=int, default=0, help="least distance between parts of a contig, bp")
    add("--resolution", type=int, default=1, help="bases a bin; a part needs one whole bin")
    add("--sites", type=Path, default=None, help="sites.parquet, to count sites per part")
    add("--screen-only", action="store_true", help="write the regions as one part, `screen`")
    add("--output", type=Path, required=True, help="split.tsv to write")
    add("--summary", type=Path, required=True, help="summary JSON to write")
    return parser.parse_args(argv)


def make_split(
    arguments: argparse.Namespace, regions: pd.DataFrame, contigs: pd.DataFrame
) -> tuple[pd.DataFrame, dict]:
    """Return the split and the entries of the summary that say how it was made."""
    if arguments.screen_only:
        split, method, before = screen_only(regions), "screen", None
    else:
        before, method = choose_parts(arguments.settings, regions, contigs, arguments.genome)
        split = separate_parts(before, arguments.guard)
    used = _bases(regions)
    assigned = used if before is None else _bases(before)
    details = {
        "method": method,
        "guard": arguments.guard,
        "resolution": arguments.resolution,
        "regions_bp": used,
        "dropped_bp": {"in no part": used - assigned, "guard zones": assigned - _bases(split)},
    }
    return split, details


def _bases(intervals: pd.DataFrame) -> int:
    """Return the number of bases in a table of intervals."""
    return int((intervals["end"] - intervals["start"]).sum())


def work(arguments: argparse.Namespace) -> None:
    """Read, cut, count and write."""
    genome = arguments.genome
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    regions = parse_regions(arguments.regions, contigs, genome, f"regions of genome {genome}")
    split, details = make_split(arguments, regions, contigs)
    parts = (SCREEN,) if arguments.screen_only else PARTS
    bins = check_parts(split, parts, arguments.resolution, genome, arguments.guard)
    summary = {"genome": genome, **details, "parts": {}}
    for part in parts:
        mine = split[split["part"] == part]
        summary["parts"][part] = {"bp": _bases(mine), "bins": bins[part], "intervals": len(mine)}
    if arguments.sites is not None:
        sites = read_table(arguments.sites, "sites", ("contig", "position", "class"))
        table, outside = count_sites(sites, split, contigs, genome)
        if not arguments.screen_only:
            check_sites(table, genome)
        for part in parts:
            counts = table.loc[part] if part in table.index else table.sum() * 0
            summary["parts"][part]["sites"] = {name: int(n) for name, n in counts.items()}
        summary["dropped_sites"] = {"in no part": outside}
    with whole_files(arguments.output, arguments.summary) as (table_file, summary_file):
        write_table(table_file, split)
        write_json(summary_file, summary)


def main(argv: list[str] | None = None) -> int:
    """Run the script."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
