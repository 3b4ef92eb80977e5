"""Scan one shard of a genome with a calibrated model, without looking at any label.

In: a model bundle, an encoded genome and its split. Out, in --output-dir: histograms.npz (exact
histogram of score codes per class and strand, and per block), candidates.parquet (every bin that
scores at or above the class's floor), summary.json and, with --keep-scores, scores.npy (uint16 code
of every bin: strands x classes x bins). For classes without strand the summary also counts, on a
sample of the scan, where the model says something else of the reverse complement.

Shards are ranges of chunks, not of contigs, so they take equal time whatever the genome looks like,
and cutting a scan differently does not change a score.

Each of several devices scans a contiguous part of the shard in a process of its own; the files are
the same bytes as from one device of the kind. Every process has --threads threads: dividing them
would change how sums are rounded.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genomesieve.bundle import Bundle, load_bundle
from genomesieve.chunks import Chunks, shard_of_rows
from genomesieve.command_line import (
    add_code_argument,
    add_device_arguments,
    add_scan_arguments,
    add_signal_argument,
    make_parser,
    run_script,
)
from genomesieve.device_reduction import DeviceReduction
from genomesieve.device_scan import scan_on_device
from genomesieve.devices import (
    choose_devices,
    divide_rows,
    reported_memory,
    run_processes,
)
from genomesieve.errors import InputError
from genomesieve.files import write_json
from genomesieve.genome import EncodedGenome
from genomesieve.hardware import describe_hardware
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.model_description import require_calibrated
from genomesieve.planning import ScanPlan
from genomesieve.processors import use_threads
from genomesieve.promises import operating_threshold
from genomesieve.reduction import Reduced, reduce_scores
from genomesieve.scanner import Scanner, cut_rows
from genomesieve.shard_output import join_parts, write_reduced
from genomesieve.signals import with_signals
from genomesieve.splitting import read_split
from genomesieve.strand_agreement import measure_agreement, sample_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanTask:
    """What is scanned with what.

    `floors` has shape (classes,), dtype uint16; `wanted` are the numbers of the shard's rows;
    `statistics` says where those of norm `domain` come from.
    """

    bundle: Bundle
    plan: ScanPlan
    floors: np.ndarray
    genome: EncodedGenome
    layout: ScanLayout
    chunks: Chunks
    wanted: range
    statistics: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Strands and classes."""
        return self.bundle.strands, len(self.bundle.classes)

    def bins(self, rows: range) -> tuple[int, int]:
        """Return the first bin of some rows and the one after their last."""
        return self.chunks.bin_range(rows, self.layout)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_scan_arguments(parser)
    add_code_argument(parser)
    add_signal_argument(parser, of_genomes=False)
    parser.add_argument(
        "--laboratory", default="", help="where the genome's data comes from (batch), if known"
    )
    parser.add_argument("--shard", type=int, default=1, help="which shard, counted from 1")
    parser.add_argument("--shards", type=int, default=1, help="into how many the scan is cut")
    parser.add_argument(
        "--keep-scores", action="store_true", help="write scores.npy, two bytes a score"
    )
    add_device_arguments(parser, several="its part of the shard")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the shard")
    return parser.parse_args(argv)


def scan(arguments: argparse.Namespace) -> None:
    """Scan the shard on its devices and write its files."""
    devices = choose_devices(arguments.devices)
    use_threads(arguments.threads)
    task = open_task(arguments)
    parts = divide_rows(task.wanted, len(devices))
    begin = time.monotonic()
    if len(parts) > 1:
        scan_by_processes(arguments, task, devices, parts)
    else:
        scan_rows(task, devices[0], task.wanted, arguments.output_dir, arguments.keep_scores)
    seconds = time.monotonic() - begin
    used = devices[: max(1, len(parts))]
    summary = describe(arguments, task, used, seconds)
    if not task.bundle.stranded:
        summary["strand_agreement"] = compare_strands(task, devices[0])
    write_json(arguments.output_dir / "summary.json", summary)
    first, end = task.bins(task.wanted)
    bases = (end - first) * task.layout.resolution
    logger.info(
        "%s: %d bp, %d strand passes, %.0f bp/s",
        task.genome.name,
        bases,
        task.bundle.strands,
        bases * task.bundle.strands / max(seconds, 1e-9),
    )


def open_task(arguments: argparse.Namespace) -> ScanTask:
    """Read the model and the genome and cut the scan into rows."""
    bundle = load_bundle(arguments.model, arguments.network_code)
    floors = calibrated_floors(bundle, arguments.model)
    plan = ScanPlan(**bundle.scan_plan)
    genome = EncodedGenome.open_checked(arguments.genome_folder, arguments.genome_folder.name)
    genome = with_signals(genome, arguments.signal, bundle.signals)
    layout = scanned_layout(arguments, genome, bundle)
    bundle, statistics = bundle_for_genome(bundle, genome, layout, arguments.laboratory)
    chunks = cut_rows(bundle, plan, layout, genome)
    wanted = shard_of_rows(len(chunks), arguments.shard, arguments.shards)
    return ScanTask(bundle, plan, floors, genome, layout, chunks, wanted, statistics)


def scan_rows(
    task: ScanTask, device: torch.device, rows: range, folder: Path, keep_scores: bool
) -> None:
    """Scan consecutive rows on one device and write the files of a shard."""
    advice = "calibrate the model with a smaller scan.memory_gb, or use a larger device"
    with reported_memory(device, advice):
        pieces = reduced_rows(task, device, rows, keep_scores)
        write_reduced(folder, pieces, task.floors, task.bins(rows), task.shape, keep_scores)


def reduced_rows(
    task: ScanTask, device: torch.device, rows: range, keep_scores: bool
) -> Iterator[Reduced]:
    """Scan consecutive rows and reduce their scores, on the device where it is a GPU."""
    scanner = Scanner(task.bundle, task.plan, device)
    if scanner.on_device:
        reduction = DeviceReduction(task.floors, task.layout, task.shape, device, keep_scores)
        return reduction.reduce(scan_on_device(scanner, task.genome, task.chunks, rows))
    scores = scanner.scan(task.genome, task.chunks, rows)
    return reduce_scores(scores, task.floors, task.layout, task.shape)


def scan_by_processes(
    arguments: argparse.Namespace,
    task: ScanTask,
    devices: list[torch.device],
    parts: list[range],
) -> None:
    """Scan each part of the rows in a process of its own and join their files."""
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=arguments.output_dir) as name:
        folders = [Path(name) / str(number) for number in range(len(parts))]
        names = [
            f"{device} ({number} of {len(parts)})"
            for number, device in enumerate(devices[: len(parts)], start=1)
        ]
        jobs = [
            (label, (arguments, str(device), rows, folder))
            for label, device, rows, folder in zip(names, devices, parts, folders)
        ]
        run_processes(scan_part, jobs)
        bins = [task.bins(rows) for rows in parts]
        join_parts(
            arguments.output_dir, folders, task.floors, bins, task.shape, arguments.keep_scores
        )


def scan_part(arguments: argparse.Namespace, device: str, rows: range, folder: Path) -> None:
    """Scan some rows of the shard; the work of one of several processes."""
    use_threads(arguments.threads)
    task = open_task(arguments)
    scan_rows(task, torch.device(device), rows, folder, arguments.keep_scores)


def compare_strands(task: ScanTask, device: torch.device) -> dict[str, dict]:
    """Count where the model says something else of the reverse complement of sampled rows."""
    scanner = Scanner(task.bundle, task.plan, device)
    return measure_agreement(
        scanner.score,
        task.plan.batch,
        task.genome,
        task.chunks,
        sample_rows(task.chunks, task.wanted),
        (scanner.context, task.layout.resolution),
        operating_codes(task.bundle),
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
    task: ScanTask,
    devices: list[torch.device],
    seconds: float,
) -> dict:
    """Return summary.json."""
    first, end = task.bins(task.wanted)
    norm = {"domain_statistics": task.statistics} if task.statistics else {}
    return norm | {
        "genome": task.genome.name,
        "genome_sha256": task.genome.sha256,
        "model": task.bundle.name,
        "shard": arguments.shard,
        "shards": arguments.shards,
        "parts": list(arguments.parts),
        "first_bin": first,
        "end_bin": end,
        "bins": end - first,
        "total_bins": task.layout.bins,
        "strands": task.bundle.strands,
        "plan": task.plan.to_dict(),
        "device": ", ".join(map(str, devices)),
        "threads": arguments.threads,
        "hardware": describe_hardware(devices),
        "seconds": round(seconds, 3),
    }


def calibrated_floors(bundle: Bundle, folder: Path) -> np.ndarray:
    """Return the lowest code worth keeping of every class, shape=(classes,), dtype=uint16."""
    if not bundle.calibration or not bundle.scan_plan:
        raise InputError(
            f"model {folder} is not calibrated; expected a folder written by calibrate_model"
        )
    require_calibrated(bundle.calibration, bundle.classes, folder)
    known = bundle.calibration["classes"]
    return np.array([known[name]["floor_code"] for name in bundle.classes], dtype=np.uint16)


def operating_codes(bundle: Bundle) -> dict[str, int]:
    """Return the lowest code that is called, by class."""
    known = bundle.calibration["classes"]
    return {name: operating_threshold(known[name])["code"] for name in bundle.classes}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(scan, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
