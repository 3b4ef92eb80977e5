"""Join the shards of a scan into calls, tracks and histograms of one genome.

In: the calibrated bundle (model.json), the genome's contig table, the split, and the folders that
scan_genome wrote, in order. Out, in --output-dir: calls.bed.gz (BED6 + probability + fdr, merged
local maxima at the operating threshold) with its index, candidates.parquet (merged, down to the
floor), a bigWig of probabilities per strand and class (of the first 20, unless others are asked
for), histograms.npz, intervals.tsv and blocks.tsv (which bins were scanned), summary.json and,
where the shards have it, scores.npy.

Coordinates are 0-based half-open. No label is looked at.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.calls import merge_candidates
from genomesieve.command_line import add_scan_arguments, comma_list, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_json, read_table, whole_file, write_json, write_table
from genomesieve.genome import read_contigs
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.promises import fdr_of, operating_threshold, probability_of
from genomesieve.scan_files import (
    CANDIDATE_COLUMNS,
    Histograms,
    class_calibrations,
    read_calibrated_model,
    read_histograms,
    read_scores,
    strands_of,
    sum_block_counts,
    write_histograms,
)
from genomesieve.scores import decode_scores
from genomesieve.settings import MOST_BIGWIGS, bigwig_classes
from genomesieve.splitting import read_split
from genomesieve.strand_agreement import add_agreements
from genomesieve.tracks import write_bigwig, write_calls

logger = logging.getLogger(__name__)

STRAND_NAMES = {1: (("both", "."),), 2: (("plus", "+"), ("minus", "-"))}
"""File name and BED symbol of each strand index, by the number of strands."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_scan_arguments(parser)
    parser.add_argument(
        "--shard",
        type=Path,
        action="append",
        required=True,
        help="folder of a shard; repeat for all of them, in order",
    )
    parser.add_argument(
        "--bigwigs",
        type=comma_list,
        help="classes that get bigWig tracks, with commas between them; empty text: none "
        f"(default: the first {MOST_BIGWIGS})",
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the scan")
    return parser.parse_args(argv)


def merge(arguments: argparse.Namespace) -> None:
    """Read all shards, merge them and write the scan."""
    model = read_calibrated_model(arguments.model)
    tracks = bigwig_classes(model["classes"], arguments.bigwigs)
    genome = arguments.genome_folder.name
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    split = read_split(arguments.split)
    layout = make_layout(
        split, contigs, arguments.parts, model["resolution"], model["context"], genome
    )
    summaries = read_summaries(arguments.shard, layout)
    histograms = join_histograms(arguments.shard, model)
    scores = open_scores(arguments.shard, summaries, histograms.total.shape[:2])
    bins = read_candidates(arguments.shard, summaries, model)
    calibrations = class_calibrations(model)
    distances = np.array([one["min_distance"] for one in calibrations])
    merged = describe(merge_candidates(bins, layout, distances), contigs, model)
    calls = merged[merged["code"].to_numpy() >= operating_codes(model)[merged["class_index"]]]
    write_scan(arguments.output_dir, layout, histograms, merged, scores)
    write_tracks(arguments.output_dir, bins, layout, contigs, model, tracks)
    longest = int(contigs["length"].max())
    # Probabilities are those of the genomes that the model was calibrated on, wherever it scans.
    known = model["calibration"].get("genomes") or ["the genome that the model was calibrated on"]
    write_calls(arguments.output_dir / "calls.bed.gz", calls, ", ".join(known), longest)
    write_json(
        arguments.output_dir / "summary.json",
        summarize(genome, model, layout, histograms, bins, merged, calls, summaries),
    )
    logger.info("%s: %d calls in %d bins", genome, len(calls), layout.bins)


def read_summaries(shards: list[Path], layout: ScanLayout) -> list[dict]:
    """Read the shards' summaries and check that they tile the layout in the given order.

    Raises
    ------
    InputError
        If a shard is missing, out of order, of another scan or does not follow the one before.
    """
    summaries = [read_json(folder / "summary.json", "shard summary") for folder in shards]
    expected_first = 0
    for number, (folder, summary) in enumerate(zip(shards, summaries), start=1):
        missing = [k for k in ("shard", "shards", "first_bin", "end_bin") if k not in summary]
        if missing:
            raise InputError(f"shard summary {folder / 'summary.json'} lacks {', '.join(missing)}")
        if (summary["shard"], summary["shards"]) != (number, len(shards)):
            raise InputError(
                f"shard {folder} is {summary['shard']} of {summary['shards']}; expected {number} "
                f"of {len(shards)}: give all shards of one scan, in order"
            )
        for key in ("model", "genome", "genome_sha256", "plan"):
            if summary.get(key) != summaries[0].get(key):
                raise InputError(
                    f"shard {folder}: {key} is {summary.get(key)}; expected "
                    f"{summaries[0].get(key)} as in {shards[0]}"
                )
        if summary["first_bin"] != expected_first:
            raise InputError(
                f"shard {folder} starts at bin {summary['first_bin']}; expected {expected_first}"
            )
        expected_first = summary["end_bin"]
    if expected_first != layout.bins:
        raise InputError(
            f"shard {shards[-1]} ends at bin {expected_first}; expected {layout.bins}, the bins "
            "of the given parts"
        )
    return summaries


def join_histograms(shards: list[Path], model: dict) -> Histograms:
    """Add up the histograms of all shards.

    Raises
    ------
    InputError
        If a shard was scanned with other classes or another calibration.
    """
    floors = np.array([one["floor_code"] for one in class_calibrations(model)], dtype=np.uint16)
    total, blocks = 0, []
    for folder in shards:
        part = read_histograms(folder / "histograms.npz")
        if part.total.shape[0] != strands_of(model) or not np.array_equal(part.floors, floors):
            raise InputError(
                f"shard {folder} has {part.total.shape[0]} strands and floors "
                f"{part.floors.tolist()}; expected {strands_of(model)} and {floors.tolist()}: it "
                "was scanned with another model or another calibration"
            )
        total = total + part.total
        blocks.append(part.blocks)
    return Histograms(total, floors, sum_block_counts(blocks))


def open_scores(
    shards: list[Path], summaries: list[dict], shape: tuple[int, int]
) -> list[np.ndarray]:
    """Map the shards' scores, in order; an empty list where no shard kept them."""
    kept = [(folder / "scores.npy").is_file() for folder in shards]
    if not any(kept):
        return []
    return [
        read_scores(folder / "scores.npy", (*shape, summary["end_bin"] - summary["first_bin"]))
        for folder, summary in zip(shards, summaries)
    ]


def read_candidates(shards: list[Path], summaries: list[dict], model: dict) -> pd.DataFrame:
    """Read the bins above the floor of all shards, checked against the shards' ranges."""
    tables = []
    for folder, summary in zip(shards, summaries):
        path = folder / "candidates.parquet"
        table = read_table(path, "candidates", CANDIDATE_COLUMNS)
        inside = table["bin"].between(summary["first_bin"], summary["end_bin"] - 1)
        if not inside.all() or (table["class_index"] >= len(model["classes"])).any():
            raise InputError(
                f"candidates {path} name bins or classes outside the shard; expected bins "
                f"{summary['first_bin']} to {summary['end_bin'] - 1} and {len(model['classes'])} "
                "classes"
            )
        tables.append(table[list(CANDIDATE_COLUMNS)])
    return pd.concat(tables, ignore_index=True)


def by_class(
    function: Callable[[np.ndarray, dict], np.ndarray],
    codes: np.ndarray,
    class_index: np.ndarray,
    model: dict,
) -> np.ndarray:
    """Apply `function(codes, calibration)` to the codes of each class with its calibration."""
    result = np.zeros(len(codes))
    for index, calibration in enumerate(class_calibrations(model)):
        mine = class_index == index
        result[mine] = function(codes[mine], calibration)
    return result


def describe(merged: pd.DataFrame, contigs: pd.DataFrame, model: dict) -> pd.DataFrame:
    """Add contig, start, end, strand, class, score, probability and fdr to merged candidates."""
    codes, classes = merged["code"].to_numpy(), merged["class_index"].to_numpy()
    symbols = np.array([symbol for _, symbol in STRAND_NAMES[strands_of(model)]], dtype=object)
    return merged[list(CANDIDATE_COLUMNS)].assign(
        **{
            "contig": contigs["contig"].to_numpy(object)[merged["contig_index"]],
            "start": merged["start"],
            "end": merged["start"] + model["resolution"],
            "strand": symbols[merged["strand_index"]],
            "class": np.array(model["classes"], dtype=object)[classes],
            "score": decode_scores(codes),
            "probability": by_class(probability_of, codes, classes, model),
            "fdr": by_class(fdr_of, codes, classes, model),
        }
    )


def operating_codes(model: dict) -> np.ndarray:
    """Return the lowest code that is called, for each class."""
    return np.array([operating_threshold(one)["code"] for one in class_calibrations(model)])


def write_scan(
    folder: Path,
    layout: ScanLayout,
    histograms: Histograms,
    merged: pd.DataFrame,
    scores: list[np.ndarray],
) -> None:
    """Write what later steps read: layout, histograms, candidates, scores."""
    write_table(folder / "intervals.tsv", layout.intervals)
    write_table(folder / "blocks.tsv", layout.blocks)
    write_histograms(folder / "histograms.npz", histograms)
    write_table(folder / "candidates.parquet", merged)
    if scores:
        shape = (*scores[0].shape[:2], layout.bins)
        with whole_file(folder / "scores.npy") as temporary:
            joined = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint16, shape=shape)
            first = 0
            for shard in scores:
                joined[:, :, first : first + shard.shape[2]] = shard
                first += shard.shape[2]
            joined.flush()


def write_tracks(
    folder: Path,
    bins: pd.DataFrame,
    layout: ScanLayout,
    contigs: pd.DataFrame,
    model: dict,
    classes: list[str],
) -> None:
    """Write a bigWig of probabilities above the floor for every strand of some classes."""
    for name in classes:
        index = model["classes"].index(name)
        for strand, (word, _) in enumerate(STRAND_NAMES[strands_of(model)]):
            here = bins[(bins["class_index"] == index) & (bins["strand_index"] == strand)]
            contig, start = layout.positions_of(here["bin"].to_numpy(np.int64))
            probability = probability_of(here["code"].to_numpy(), class_calibrations(model)[index])
            table = pd.DataFrame({"contig_index": contig, "start": start, "value": probability})
            write_bigwig(
                folder / f"{name}.{word}.bw",
                contigs,
                table.sort_values(["contig_index", "start"], ignore_index=True),
                layout.resolution,
            )


def summarize(
    genome: str,
    model: dict,
    layout: ScanLayout,
    histograms: Histograms,
    bins: pd.DataFrame,
    merged: pd.DataFrame,
    calls: pd.DataFrame,
    shards: list[dict],
) -> dict:
    """Count what was scanned and found, per class."""
    strands = strands_of(model)
    classes = {}
    for index, name in enumerate(model["classes"]):
        threshold = operating_threshold(class_calibrations(model)[index])
        classes[name] = {
            "bins_above_floor": int((bins["class_index"] == index).sum()),
            "merged_candidates": int((merged["class_index"] == index).sum()),
            "calls": int((calls["class_index"] == index).sum()),
            "threshold_code": threshold["code"],
            "precision_target": threshold["precision_target"],
            "target_reached": threshold["reached"],
        }
    scored = int(histograms.total[:, 0].sum())
    return {
        "genome": genome,
        "genome_sha256": shards[0].get("genome_sha256"),
        "model": model["name"],
        "bins": layout.bins,
        "strands": strands,
        "bases": layout.bins * layout.resolution,
        "strand_bins_scored": scored,
        "strand_bins_with_unknown_bases": layout.bins * strands - scored,
        "blocks": len(layout.blocks),
        "classes": classes,
        "shards": len(shards),
        "hardware": distinct(shard.get("hardware", {}) for shard in shards),
        "strand_agreement": add_agreements(shard.get("strand_agreement", {}) for shard in shards),
        "seconds": round(sum(float(shard.get("seconds", 0)) for shard in shards), 3),
        **{key: shards[0][key] for key in ("domain_statistics",) if key in shards[0]},
    }


def distinct(items: Iterable[dict]) -> list[dict]:
    """Return what differs among tables, in order of appearance."""
    found: list[dict] = []
    for item in items:
        if item and item not in found:
            found.append(item)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(merge, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
