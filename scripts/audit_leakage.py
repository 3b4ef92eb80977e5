"""Measure how much of the sequence around held-out sites was also seen in training.

In: the training genomes with their splits; the audited genome with its split and sites.
Out: for every site in the parts valid, calibrate, test or screen, the share of the k-mers around it
that occur in the training part of any training genome, on either strand, and whether that is at
least the threshold (`leaked`); a summary with counts per part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.command_line import (
    NamedPaths,
    make_parser,
    require_same_names,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_files, write_json, write_table
from genomesieve.genome import EncodedGenome, check_intervals
from genomesieve.leakage import LARGEST_K, shared_fractions
from genomesieve.splitting import PARTS, SCREEN, locate, read_split

AUDITED = (*(part for part in PARTS if part != "train"), SCREEN)
SITE_COLUMNS = ("contig", "position", "strand", "class")


def open_training(
    folders: Mapping[str, Path], splits: Mapping[str, Path]
) -> list[tuple[EncodedGenome, pd.DataFrame]]:
    """Return each training genome with the intervals of its training part."""
    training = []
    for name, folder in folders.items():
        split = read_split(splits[name])
        intervals = split[split["part"] == "train"]
        genome = EncodedGenome.open(folder, name)
        check_intervals(genome.contigs, intervals, name, "part of the split")
        training.append((genome, intervals))
    return training


def summarise(
    table: pd.DataFrame, parts: np.ndarray, kmers: np.ndarray, settings: dict
) -> dict[str, object]:
    """Count leaked sites per part and class."""
    counts = {}
    for part in AUDITED:
        mine = table[parts == part]
        if len(mine):
            counts[part] = {
                "sites": len(mine),
                "leaked": int(mine["leaked"].sum()),
                "mean_shared": float(mine["shared"].mean()),
                "leaked_by_class": {
                    str(name): int(group.sum()) for name, group in mine.groupby("class")["leaked"]
                },
            }
    return {**settings, "parts": counts, "sites_without_known_kmers": int((kmers == 0).sum())}


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        "--train",
        action=NamedPaths,
        required=True,
        help="NAME=FOLDER of an encoded training genome (repeat)",
    )
    add(
        "--train-split",
        action=NamedPaths,
        required=True,
        help="NAME=split.tsv of a training genome (repeat)",
    )
    add("--genome", required=True, help="name of the audited genome")
    add("--genome-folder", type=Path, required=True, help="folder of the audited genome")
    add("--split", type=Path, required=True, help="split.tsv of the audited genome")
    add("--sites", type=Path, required=True, help="sites.parquet of the audited genome")
    add("--flank", type=int, default=100, help="bases on each side of a site that are compared")
    add("--k", type=int, default=21, help=f"length of the compared words, 1 to {LARGEST_K}")
    add("--threshold", type=float, default=0.5, help="share from which on a site counts as leaked")
    add("--output", type=Path, required=True, help="leakage.parquet to write")
    add("--summary", type=Path, required=True, help="summary JSON to write")
    return parser.parse_args(argv)


def check_numbers(arguments: argparse.Namespace) -> None:
    """Raise InputError for a k, flank or threshold that cannot be."""
    if arguments.flank < 0:
        raise InputError(f"--flank: found {arguments.flank}; expected at least 0 bp")
    largest = min(LARGEST_K, 2 * arguments.flank + 1)
    if not 1 <= arguments.k <= largest:
        raise InputError(
            f"--k: found {arguments.k}; expected 1 to {largest} with a flank of {arguments.flank}"
        )
    if not 0 < arguments.threshold <= 1:
        raise InputError(f"--threshold: found {arguments.threshold}; expected above 0, at most 1")


def work(arguments: argparse.Namespace) -> None:
    """Read, compare and write."""
    check_numbers(arguments)
    require_same_names("train", "train-split", arguments)
    training = open_training(arguments.train, arguments.train_split)
    if not any(len(rows) for _, rows in training):
        raise InputError("no --train-split has a part train; expected training sequence to compare")
    genome = EncodedGenome.open(arguments.genome_folder, arguments.genome)
    split = read_split(arguments.split)
    split = split[split["part"].isin(AUDITED)].reset_index(drop=True)
    sites = read_table(arguments.sites, "sites", SITE_COLUMNS)
    check_intervals(genome.contigs, split, genome.name, "part of the split")
    rows = locate(split, genome.contigs, sites["contig"], sites["position"].to_numpy(), genome.name)
    parts = split["part"].to_numpy()[rows[rows >= 0]]
    table = sites.loc[rows >= 0, list(SITE_COLUMNS)].reset_index(drop=True)
    shared, kmers = shared_fractions(
        genome,
        table["contig"],
        table["position"].to_numpy(np.int64),
        training,
        arguments.flank,
        arguments.k,
    )
    table["shared"], table["leaked"] = shared, shared >= arguments.threshold
    settings = {
        "genome": genome.name,
        "training": [other.name for other, _ in training],
        "training_bp": sum(int((rows["end"] - rows["start"]).sum()) for _, rows in training),
        "flank": arguments.flank,
        "k": arguments.k,
        "threshold": arguments.threshold,
    }
    summary = summarise(table, parts, kmers, settings)
    with whole_files(arguments.output, arguments.summary) as (table_file, summary_file):
        write_table(table_file, table)
        write_json(summary_file, summary)


def main(argv: list[str] | None = None) -> int:
    """Run the script."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
