"""Scan one shard of a genome with a calibrated model, without looking at any label.

In: a model bundle, an encoded genome and its split. Out, in --output-dir: histograms.npz (exact
histogram of score codes per class and strand, and per block), candidates.parquet (every bin that
scores at or above the class's floor), summary.json and, with --keep-scores, scores.npy (uint16 code
of every bin: strands x classes x bins).

Shards are ranges of chunks, not of contigs, so they take equal time whatever the genome looks like,
and cutting a scan differently does not change a score.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from genomesieve.bundle import Bundle, load_bundle
from genomesieve.chunks import shard_of_rows
from genomesieve.command_line import (
    add_code_argument,
    add_device_arguments,
    add_scan_arguments,
    make_parser,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.files import write_json
from genomesieve.genome import EncodedGenome
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner, choose_device
from genomesieve.shard_output import write_shard
from genomesieve.splitting import read_split

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_scan_arguments(parser)
    add_code_argument(parser)
    parser.add_argument("--shard", type=int, default=1, help="which shard, counted from 1")
    parser.add_argument("--shards", type=int, default=1, help="into how many the scan is cut")
    parser.add_argument(
        "--keep-scores", action="store_true", help="write scores.npy, two bytes a score"
    )
    add_device_arguments(parser)
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the shard")
    return parser.parse_args(argv)


def scan(arguments: argparse.Namespace) -> None:
    """Scan the shard and write its files."""
    torch.set_num_threads(arguments.threads)
    bundle = load_bundle(arguments.model, arguments.network_code)
    floors = calibrated_floors(bundle, arguments.model)
    plan = ScanPlan(**bundle.scan_plan)
    genome = EncodedGenome.open(arguments.genome_folder, arguments.genome_folder.name)
    layout = scanned_layout(arguments, genome, bundle)
    scanner = Scanner(bundle, plan, choose_device(arguments.device))
    chunks = scanner.list_chunks(layout, genome)
    wanted = shard_of_rows(len(chunks), arguments.shard, arguments.shards)
    first, end = chunks.bin_range(wanted, layout)
    begin = time.monotonic()
    write_shard(
        arguments.output_dir,
        scanner.scan(genome, chunks, wanted),
        floors,
        layout,
        (first, end),
        (bundle.strands, len(bundle.classes)),
        arguments.keep_scores,
    )
    seconds = time.monotonic() - begin
    summary = describe(arguments, scanner, genome.name, (first, end, layout.bins), seconds)
    write_json(arguments.output_dir / "summary.json", summary)
    bases = (end - first) * layout.resolution
    logger.info(
        "%s: %d bp, %d strand passes, %.0f bp/s",
        genome.name,
        bases,
        bundle.strands,
        bases * bundle.strands / max(seconds, 1e-9),
    )


def scanned_layout(
    arguments: argparse.Namespace, genome: EncodedGenome, bundle: Bundle
) -> ScanLayout:
    """Return the bins of the parts to scan, of all shards together."""
    layout = make_layout(
        read_split(arguments.split),
        genome.contigs,
        arguments.parts,
        bundle.architecture.resolution,
        bundle.architecture.context,
        genome.name,
    )
    if layout.bins == 0:
        raise InputError(
            f"{arguments.split} has no bins in parts {','.join(arguments.parts)}; expected some"
        )
    return layout


def describe(
    arguments: argparse.Namespace,
    scanner: Scanner,
    genome: str,
    bins: tuple[int, int, int],
    seconds: float,
) -> dict:
    """Return summary.json; `bins` are the shard's first, the one after its last, and all."""
    first, end, total = bins
    return {
        "genome": genome,
        "model": scanner.bundle.name,
        "shard": arguments.shard,
        "shards": arguments.shards,
        "parts": list(arguments.parts),
        "first_bin": first,
        "end_bin": end,
        "bins": end - first,
        "total_bins": total,
        "strands": scanner.bundle.strands,
        "plan": scanner.plan.to_dict(),
        "device": str(scanner.device),
        "threads": arguments.threads,
        "seconds": round(seconds, 3),
    }


def calibrated_floors(bundle: Bundle, folder: Path) -> np.ndarray:
    """Return the lowest code worth keeping of every class, shape=(classes,), dtype=uint16."""
    if not bundle.calibration or not bundle.scan_plan:
        raise InputError(
            f"model {folder} is not calibrated; expected a folder written by calibrate_model"
        )
    known = bundle.calibration["classes"]
    return np.array([known[name]["floor_code"] for name in bundle.classes], dtype=np.uint16)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(scan, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
