"""Calibrate a model on the calibrate part of its training genomes, at their own rate of sites.

In: a model folder from train_model, import_model or fit_baseline, and the training genomes with
sites, intervals and split. Out, in --output-dir: the bundle that scans use. Its model.json gains
probabilities, thresholds for the precisions asked for (per merged call), the table of false
discovery rates, what a promise rests on, and the plan that every later scan follows; how many bins
with and without a site have each score stands beside it (score_counts.parquet). The calibrate part
is used for nothing else.

A class of an adapted model that the new genomes have no site of keeps the calibration of the model
that it was adapted from (--fallback), and says so.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.bundle import Bundle, load_bundle, require_classes, save_bundle
from genomesieve.calibration import calibrate_class, fit_logistic
from genomesieve.calls import judge_calls, merge_candidates
from genomesieve.command_line import (
    add_class_arguments,
    add_code_argument,
    add_device_arguments,
    add_genome_arguments,
    add_laboratory_argument,
    add_signal_argument,
    check_genome_arguments,
    json_value,
    make_parser,
    run_script,
    signals_of,
)
from genomesieve.devices import choose_device, reported_memory
from genomesieve.errors import InputError
from genomesieve.files import read_table, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.label_counts import (
    BlockCounts,
    LabelCounts,
    count_by_block,
    count_by_label,
    sparse_block_histogram,
    total_histogram,
)
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS, read_splits
from genomesieve.labels_on_bins import ScanLabels, label_bins
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.planning import PRECISIONS, ScanPlan, plan_scan
from genomesieve.precision import compare_precisions
from genomesieve.processors import use_threads
from genomesieve.scan_files import read_calibrated_model
from genomesieve.scanner import Scanner, scan_bins
from genomesieve.score_counts import FILE as SCORE_COUNTS
from genomesieve.score_counts import count_table
from genomesieve.scores import encode_scores, list_candidates
from genomesieve.settings import complete_settings
from genomesieve.signals import gather_signals, with_signals

logger = logging.getLogger(__name__)

_COMPARED_BASES = 50_000
"""Bases on which precisions are compared."""

DEFAULTS = {
    "precision_targets": [0.9, 0.75, 0.5],
    "operating": 0.75,
    "floor_probability": 0.002,
    "bootstrap": 1000,
    "seed": 0,
}


@dataclass(frozen=True)
class OpenPart:
    """The calibrate part of one genome, and the model that scans it."""

    genome: EncodedGenome
    layout: ScanLayout
    bundle: Bundle


@dataclass(frozen=True)
class CalibrationPart:
    """The scanned calibrate part of one genome.

    `scores` has shape (strands, classes, bins), score codes.
    """

    layout: ScanLayout
    labels: ScanLabels
    scores: np.ndarray


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="uncalibrated model folder")
    add_code_argument(parser)
    parser.add_argument(
        "--fallback",
        type=Path,
        help="calibrated bundle that the model was adapted from, for classes without a site in the "
        "calibrate part (default: an error)",
    )
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    add_laboratory_argument(parser)
    add_class_arguments(parser)
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"precision_targets": [0.9, 0.75, 0.5], "operating": one of them, '
        '"floor_probability": lowest probability of a candidate, "bootstrap": repeats, "seed": 0}',
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    add_device_arguments(parser)
    parser.add_argument(
        "--memory-gb", type=float, default=4.0, help="memory a scan may use, whatever the genome"
    )
    parser.add_argument(
        "--precision",
        choices=["auto", *PRECISIONS],
        default="auto",
        help="of this and all later scans; auto: bfloat16 where the device has units for it and "
        "scores hold (measured), else float32",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="run the network through torch.compile, here and later",
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the bundle")
    return parser.parse_args(argv)


def calibrate(arguments: argparse.Namespace) -> None:
    """Scan the calibrate parts, calibrate every class, write the bundle."""
    use_threads(arguments.threads)
    check_genome_arguments(arguments)
    settings = read_settings(arguments.settings)
    bundle = load_bundle(arguments.model, arguments.network_code)
    require_classes(bundle, list(arguments.classes), arguments.model)
    device = choose_device(arguments.device)
    opened = open_parts(arguments, bundle)
    plan, precision = choose_plan(arguments, opened, device)
    with tempfile.TemporaryDirectory(prefix="genomesieve-calibrate-") as folder:
        with reported_memory(device, "choose a smaller scan.memory_gb"):
            parts = scan_parts(arguments, opened, plan, device, Path(folder))
        known = fallback_classes(arguments.fallback)
        classes = calibrate_classes(bundle, parts, arguments.classes, settings, known)
        floors = np.array([classes[name]["floor_code"] for name in bundle.classes], np.uint16)
        score_counts = count_scores(bundle.classes, parts, floors)
        bins = sum(part.layout.bins for part in parts) * bundle.strands
    bundle.scan_plan = plan.to_dict()
    bundle.calibration = {
        "genomes": list(arguments.genome),
        "bins": bins,
        "blocks": sum(len(part.layout.blocks) for part in parts),
        "settings": settings,
        "precision": precision,
        "classes": classes,
    }
    write_table(arguments.output_dir / SCORE_COUNTS, score_counts)
    save_bundle(arguments.output_dir, bundle)


def choose_plan(
    arguments: argparse.Namespace, opened: list[OpenPart], device: torch.device
) -> tuple[ScanPlan, dict | None]:
    """Plan the scans; reduced precision is measured first and left where scores do not hold.

    Returns
    -------
    plan : ScanPlan
    precision : dict or None
        How far bfloat16 is from float32, where it was tried.
    """

    sample = next((part for part in opened if part.layout.bins), None)
    if sample is None:
        raise InputError("no genome's split has a calibrate part; expected at least one")

    def planned(precision: str) -> ScanPlan:
        memory = arguments.memory_gb
        plan, reasons = plan_scan(sample.bundle, device, memory, precision, arguments.compile)
        for line in reasons:
            logger.info(line)
        return plan

    plan = planned(arguments.precision)
    if plan.precision != "bfloat16":
        return plan, None
    check = compare_precisions(sample.bundle, plan, device, *sample_sequence(sample))
    logger.info("%s", check)
    if not check.holds and arguments.precision == "auto":
        logger.warning("scores do not hold in bfloat16: scanning in float32")
        return planned("float32"), check.to_dict()
    if not check.holds:
        logger.warning("scores do not hold in bfloat16, which was asked for")
    return plan, check.to_dict()


def sample_sequence(part: OpenPart) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the first stretch of a calibrate part, with its context.

    Returns
    -------
    codes : numpy.ndarray, shape=(1, L), dtype=uint8
    signals : numpy.ndarray or None, shape=(1, signals, L), dtype=float32
    """
    architecture, row = part.bundle.architecture, part.layout.intervals.iloc[0]
    strides = -(-min(row["end"] - row["start"], _COMPARED_BASES) // architecture.stride)
    start = row["start"] - architecture.context
    end = row["start"] + strides * architecture.stride + architecture.context
    codes = part.genome.fetch(row["contig"], start, end)[None]
    if not part.genome.signals:
        return codes, None
    contig = part.genome.contigs.iloc[[row["contig_index"]]]
    place = contig["offset"].to_numpy(), contig["length"].to_numpy(), np.array([start]), end - start
    return codes, gather_signals(part.genome.signals, *place)


def read_settings(given: object) -> dict:
    """Fill settings up with defaults; raise InputError for what is unknown or does not fit."""
    settings = complete_settings("calibration", given, DEFAULTS)
    targets = settings["precision_targets"]
    if not targets or not all(0 < target < 1 for target in targets):
        raise InputError(f"calibration.precision_targets is {targets}; expected values in (0, 1)")
    if settings["operating"] not in targets:
        raise InputError(
            f"calibration.operating is {settings['operating']}; expected one of {targets}"
        )
    return settings


def open_parts(arguments: argparse.Namespace, bundle: Bundle) -> list[OpenPart]:
    """Open every genome with its signals, and the model as it scans that genome."""
    opened, splits = [], read_splits(arguments.split)
    architecture = bundle.architecture
    for name, path in arguments.genome.items():
        genome = EncodedGenome.open_checked(path, name)
        genome = with_signals(genome, signals_of(name, arguments.signal), bundle.signals)
        layout = make_layout(
            splits[name],
            genome.contigs,
            ("calibrate",),
            architecture.resolution,
            architecture.context,
            name,
        )
        laboratory = arguments.laboratory.get(name, "")
        own, _ = bundle_for_genome(bundle, genome, layout, laboratory)
        opened.append(OpenPart(genome, layout, own))
    return opened


def scan_parts(
    arguments: argparse.Namespace,
    opened: list[OpenPart],
    plan: ScanPlan,
    device: torch.device,
    folder: Path,
) -> list[CalibrationPart]:
    """Scan the calibrate part of every genome into mapped files below `folder`."""
    scanner, parts = None, []
    for part in opened:
        genome, layout, bundle = part.genome, part.layout, part.bundle
        if scanner is None or scanner.bundle is not bundle:
            scanner = Scanner(bundle, plan, device)
        name = genome.name
        labels = label_bins(
            layout,
            genome.contigs,
            name,
            read_table(arguments.sites[name], f"sites of {name}", SITE_COLUMNS),
            read_table(arguments.intervals[name], f"intervals of {name}", INTERVAL_COLUMNS),
            bundle.classes,
            bundle.stranded,
            arguments.ignore_margin,
        )
        chunks = scanner.list_chunks(layout, genome)
        scores = scan_bins(
            scanner, genome, chunks, range(len(chunks)), (0, layout.bins), folder / f"{name}.npy"
        )
        parts.append(CalibrationPart(layout, labels, scores))
    return parts


def fallback_classes(folder: Path | None) -> dict[str, dict]:
    """Return the calibration of each class of the model that this one was adapted from."""
    if folder is None:
        return {}
    model = read_calibrated_model(folder)
    return {
        name: one | {"from_stage_before": True}
        for name, one in model["calibration"]["classes"].items()
    }


def calibrate_classes(
    bundle: Bundle,
    parts: list[CalibrationPart],
    classes: dict,
    settings: dict,
    known: dict[str, dict],
) -> dict[str, dict]:
    """Calibrate every class on all parts together; one without a site there may be known."""
    totals = [total_histogram(part.scores) for part in parts]
    result = {}
    for index, name in enumerate(bundle.classes):
        counted = [
            count_by_label(total, part.scores, part.labels, index)
            for total, part in zip(totals, parts)
        ]
        positives = sum(item.positives for item in counted)
        negatives = sum(item.negatives for item in counted)
        if name in known and not positives.any():
            logger.warning("%s: no site here; its calibration is that of the model before", name)
            result[name] = known[name]
            continue
        slope, intercept = fit_logistic(positives, negatives, name)
        floor = floor_code(slope, intercept, settings["floor_probability"])
        resolution = bundle.architecture.resolution
        min_distance = classes[name].get("min_distance") or resolution
        match_distance = classes[name].get("match_distance")
        if match_distance is None:
            match_distance = resolution // 2
        calls = judged_calls(parts, index, floor, min_distance, match_distance, bundle)
        result[name] = calibrate_class(
            positives,
            negatives,
            calls,
            name=name,
            sites=sum(count_sites(part.labels, index) for part in parts),
            blocks=sum(len(part.layout.blocks) for part in parts),
            precision_targets=settings["precision_targets"],
            floor_code=floor,
            min_distance=min_distance,
            match_distance=match_distance,
            operating=settings["precision_targets"].index(settings["operating"]),
            repeats=settings["bootstrap"],
            seed=settings["seed"],
        )
        report_class(name, result[name], counted)
    return result


def count_scores(
    classes: list[str], parts: list[CalibrationPart], floors: np.ndarray
) -> pd.DataFrame:
    """Count bins with and without a site by class, block and score code."""
    counted: dict[str, list[BlockCounts]] = {name: [] for name in classes}
    for part in parts:
        blocks = sparse_block_histogram(part.scores, part.layout, floors)
        for index, name in enumerate(classes):
            where = (part.labels, index, part.layout, int(floors[index]))
            counted[name].append(count_by_block(blocks, part.scores, *where))
    return pd.concat([count_table(*item) for item in counted.items()], ignore_index=True)


def floor_code(slope: float, intercept: float, probability: float) -> int:
    """Return the code from which on a bin's probability reaches the floor.

    It is beyond all scores where the slope is 0: any bin is then as likely as any other.
    """
    if slope == 0:
        return int(encode_scores(np.array([np.inf]))[0])
    score = (np.log(probability / (1 - probability)) - intercept) / slope
    return int(encode_scores(np.array([score]))[0])


def judged_calls(
    parts: list[CalibrationPart],
    index: int,
    floor: int,
    min_distance: int,
    match_distance: int,
    bundle: Bundle,
) -> pd.DataFrame:
    """Merge the candidates of one class and match them to sites; blocks counted over all parts."""
    tables, blocks = [], 0
    classes = len(bundle.classes)
    for part in parts:
        # No other class reaches a floor above every code.
        floors = np.full(classes, np.iinfo(np.uint16).max, dtype=np.uint16)
        floors[index] = floor
        candidates = list_candidates(part.scores, floors, 0)
        merged = merge_candidates(candidates, part.layout, np.full(classes, min_distance))
        judged = judge_calls(merged, part.layout, part.labels, np.full(classes, match_distance))
        tables.append(judged.assign(block=judged["block"] + blocks))
        blocks += len(part.layout.blocks)
    return pd.concat(tables, ignore_index=True)


def count_sites(labels: ScanLabels, index: int) -> int:
    """Count the sites of a class inside the universe."""
    return int((labels.sites["class_index"] == index).sum())


def report_class(name: str, calibrated: dict, counted: list[LabelCounts]) -> None:
    """Log what a class's calibration found."""
    bins = sum(int(item.positives.sum() + item.negatives.sum()) for item in counted)
    logger.info(
        "%s: %d sites in %d bins, slope %.3f, intercept %.3f",
        name,
        calibrated["sites"],
        bins,
        calibrated["slope"],
        calibrated["intercept"],
    )
    for entry in calibrated["thresholds"]:
        logger.info(
            "%s: precision %.2f %s at score %.3f: precision %.3f (lower bound %.3f), recall %.3f, "
            "%d calls",
            name,
            entry["precision_target"],
            "reached" if entry["reached"] else "NOT reached, best bound",
            entry["score"],
            entry["precision"],
            entry["lower_bound"],
            entry["recall"],
            entry["calls"],
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(calibrate, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
