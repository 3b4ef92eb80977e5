"""Choose the windows that a network is trained and validated on.

In: for every training genome its encoded folder, sites, intervals and split. Out: a table of
windows (parquet) with the source of each and how often its positions were to be expected in the
sample (inclusion), and a summary. Validation windows tile the validation part at its own rate of
sites. Windows stand for the plus strand; augment_windows adds the other one.

A round of hard negatives (--round, --negatives) draws other training windows, some of them around
the places that harvest_negatives found, and has the same validation windows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.alphabet import DNA
from genomesieve.command_line import (
    add_genome_arguments,
    check_genome_arguments,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_files, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.intervals import merge_intervals
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS, read_splits
from genomesieve.sampling import (
    SOURCES,
    Stretch,
    add_hard_negatives,
    allow_decoys,
    common_dinucleotides,
    draw_windows,
    list_stretches,
    make_grid,
    tile_part,
)
from genomesieve.settings import complete_settings, require_above_zero
from genomesieve.splitting import locate
from genomesieve.training_plan import HARD

DEFAULTS = {
    "length": 5000,
    "windows": 2000,
    "sources": {"sites": 0.2, "uniform": 0.6, "gc_matched": 0.1, "decoys": 0.1},
    "validation_bp": 1_000_000,
}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_genome_arguments(parser)
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"length": bp a window, "windows": how many, "sources": {"sites": '
        'share, "uniform": share, "gc_matched": share, "decoys": share, "hard": share}, '
        '"validation_bp": bp}',
    )
    parser.add_argument("--resolution", type=int, required=True, help="bp a prediction covers")
    parser.add_argument(
        "--ignore-margin", type=int, default=0, help="bp around a site's interval without decoys"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument(
        "--negatives", type=Path, help="places from harvest_negatives, for the source hard"
    )
    parser.add_argument(
        "--round", type=int, default=0, help="round of hard negatives; 0 is the first training"
    )
    parser.add_argument("--output", type=Path, required=True, help="table of windows (parquet)")
    parser.add_argument("--summary", type=Path, required=True, help="what was drawn (JSON)")
    return parser.parse_args(argv)


def sample(arguments: argparse.Namespace) -> None:
    """Draw the windows and write them."""
    check_genome_arguments(arguments)
    settings = read_settings(arguments.settings)
    grid = make_grid(settings["length"], arguments.resolution)
    genomes = {name: EncodedGenome.open(path, name) for name, path in arguments.genome.items()}
    sites = {
        name: read_table(path, f"sites of {name}", SITE_COLUMNS)
        for name, path in arguments.sites.items()
    }
    splits = read_splits(arguments.split)
    stretches = {
        part: [
            item
            for name, genome in genomes.items()
            for item in list_stretches(
                genome,
                splits[name][splits[name]["part"] == part],
                sites[name],
                grid,
                arguments.resolution,
            )
        ]
        for part in ("train", "valid")
    }
    check_parts(stretches, grid.length)
    # Sites of other parts must not decide what the network is shown.
    motifs = common_dinucleotides(genomes, training_sites(genomes, sites, splits))
    if settings["sources"].get("decoys", 0) > 0:
        hidden = {name: hidden_intervals(arguments, name, sites[name]) for name in genomes}
        stretches["train"] = allow_decoys(stretches["train"], motifs, hidden)
    if settings["sources"].get(HARD, 0) > 0:
        negatives = read_negatives(arguments.negatives, genomes, splits)
        stretches["train"] = add_hard_negatives(stretches["train"], negatives)
    # Validation windows are the same in all rounds, so that their histories can be compared.
    seed = [arguments.seed, arguments.round] if arguments.round else arguments.seed
    train = draw_windows(stretches["train"], settings["sources"], settings["windows"], grid, seed)
    valid = tile_part(stretches["valid"], grid, settings["validation_bp"], arguments.seed)
    windows = pd.concat([train.assign(part="train"), valid.assign(part="valid")], ignore_index=True)
    windows = windows.assign(strand="+", augmented=False)
    columns = ["genome", "contig", "start", "length", "part", "source", "strand", "augmented"]
    summary = summarise(windows, motifs, grid.step, settings, arguments)
    with whole_files(arguments.output, arguments.summary) as (table_file, summary_file):
        write_table(table_file, windows[[*columns, "inclusion"]])
        write_json(summary_file, summary)


def read_settings(given: object) -> dict:
    """Fill settings up with defaults; raise InputError for what is unknown or does not fit."""
    settings = complete_settings("sampling", given, DEFAULTS)
    require_above_zero("sampling", settings, "length", "windows", "validation_bp")
    complete_settings("sampling.sources", settings["sources"], dict.fromkeys(SOURCES, 0.0))
    return settings


def training_sites(
    genomes: dict[str, EncodedGenome],
    sites: dict[str, pd.DataFrame],
    splits: dict[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Return the sites that lie in the training part of each genome."""
    kept = {}
    for name, genome in genomes.items():
        intervals = splits[name][splits[name]["part"] == "train"]
        table = sites[name]
        positions = table["position"].to_numpy()
        row = locate(intervals, genome.contigs, table["contig"], positions, name)
        kept[name] = table[row >= 0]
    return kept


def hidden_intervals(
    arguments: argparse.Namespace, name: str, sites: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return where a genome's bins count neither way, for each class; decoys would teach nothing.

    These are ignored and excluded intervals, and the intervals of sites with their margin.
    """
    path = arguments.intervals[name]
    table = read_table(path, f"intervals of {name}", INTERVAL_COLUMNS)
    table = table[table["role"].isin(["ignore", "exclude"])]
    margin = arguments.ignore_margin
    wide = sites.assign(start=(sites["start"] - margin).clip(lower=0), end=sites["end"] + margin)
    hidden = {}
    for kind in sites["class"].unique():
        mine = table[table["class"].fillna("").isin(["", kind])]
        own = wide[wide["class"] == kind]
        hidden[kind] = merge_intervals(pd.concat([mine, own], ignore_index=True))
    return hidden


def read_negatives(
    path: Path | None, genomes: dict[str, EncodedGenome], splits: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Read the hard negatives of each genome; all of them must lie in its training part."""
    if path is None:
        raise InputError("sampling.sources.hard needs --negatives, a table of places")
    table = read_table(path, "hard negatives", ("genome", "contig", "position"), text=("contig",))
    unknown = sorted(set(table["genome"]) - set(genomes))
    if unknown:
        raise InputError(f"{path} names genome {unknown[0]}; expected {', '.join(genomes)}")
    found = dict(iter(table.groupby("genome")))
    for name, rows in found.items():
        intervals = splits[name][splits[name]["part"] == "train"]
        positions = rows["position"].to_numpy()
        outside = locate(intervals, genomes[name].contigs, rows["contig"], positions, name) < 0
        if outside.any():
            place = rows[outside].iloc[0]
            raise InputError(
                f"{path}: {place['contig']}:{place['position']} of {name} lies outside the "
                "training part; expected hard negatives of that part alone"
            )
    return found


def check_parts(stretches: dict[str, list[Stretch]], length: int) -> None:
    """Raise InputError where a part cannot hold a window or the training part has no site."""
    for part, items in stretches.items():
        if not items:
            raise InputError(f"no interval of part {part} holds a window of {length} bp")
    if not any(len(item.sites) for item in stretches["train"]):
        raise InputError("the training part holds no site; expected some to learn from")


def summarise(
    windows: pd.DataFrame,
    motifs: pd.DataFrame,
    step: int,
    settings: dict,
    arguments: argparse.Namespace,
) -> dict:
    """Describe what was drawn."""
    train = windows[windows["part"] == "train"]
    covered = np.concatenate(train["inclusion"].to_numpy())
    weights = 1 / covered
    letters = DNA.letters
    return {
        "settings": settings,
        "step": step,
        "seed": arguments.seed,
        "round": arguments.round,
        "windows": {
            part: rows["source"].value_counts().to_dict() for part, rows in windows.groupby("part")
        },
        "bases": {part: int(rows["length"].sum()) for part, rows in windows.groupby("part")},
        "inclusion": {"least": float(covered.min()), "most": float(covered.max())},
        "effective_share": float(weights.sum() ** 2 / (weights**2).sum() / len(weights)),
        "decoy_dinucleotides": {
            row["class"]: {
                "dinucleotide": letters[row["dinucleotide"] // 4]
                + letters[row["dinucleotide"] % 4],
                "offset": row["offset"],
                "share_of_sites": row["share"],
            }
            for row in motifs.to_dict("records")
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(sample, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
