"""Harvest hard negatives: scan the training part and keep the best-scoring places without a site.

In: an uncalibrated model folder from train_model and the training genomes with sites, intervals and
split. Out: a table of places (parquet: genome, contig, position, strand, class, score as log-odds)
and a summary. Only the part train is scanned. Bins that count neither way or lie close to a site of
the class are left out (see genomesieve/hard_negatives.py).
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from genomesieve.bundle import Bundle, load_bundle, require_classes
from genomesieve.command_line import (
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
from genomesieve.files import read_table, whole_files, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.hard_negatives import (
    Harvest,
    HarvestSettings,
    join_harvests,
    near_sites,
    summarise_harvest,
)
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS, read_splits
from genomesieve.labels_on_bins import label_bins
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layout import make_layout
from genomesieve.planning import PRECISIONS, plan_scan
from genomesieve.processors import use_threads
from genomesieve.scanner import Scanner
from genomesieve.settings import complete_settings, require_above_zero
from genomesieve.signals import with_signals

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="uncalibrated model folder")
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    add_laboratory_argument(parser)
    parser.add_argument(
        "--classes", type=json_value, required=True, help="JSON or its file, in the model's order"
    )
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"most": places a class, "min_distance": least bp between two of '
        "them and between them and a site}",
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    add_device_arguments(parser)
    parser.add_argument("--memory-gb", type=float, default=4.0, help="memory the scan may use")
    parser.add_argument(
        "--precision",
        choices=["auto", *PRECISIONS],
        default="auto",
        help="of the scan; auto: bfloat16 where the device has units for it, else float32",
    )
    parser.add_argument("--output", type=Path, required=True, help="table of places (parquet)")
    parser.add_argument("--summary", type=Path, required=True, help="what was harvested (JSON)")
    return parser.parse_args(argv)


def harvest(arguments: argparse.Namespace) -> None:
    """Scan the training part of every genome and write the best non-sites."""
    use_threads(arguments.threads)
    check_genome_arguments(arguments)
    settings = read_settings(arguments.settings)
    bundle = load_bundle(arguments.model)
    require_classes(bundle, list(arguments.classes), arguments.model)
    device = choose_device(arguments.device)
    places, contigs = {}, {}
    for name, path in arguments.genome.items():
        genome = EncodedGenome.open_checked(path, name)
        genome = with_signals(genome, signals_of(name, arguments.signal), bundle.signals)
        contigs[name] = genome.contigs
        with reported_memory(device, "choose a smaller scan.memory_gb"):
            places[name] = harvest_genome(arguments, bundle, genome, settings, device)
    negatives = join_harvests(
        places,
        contigs,
        bundle.classes,
        bundle.stranded,
        bundle.architecture.resolution,
        settings.most,
    )
    if negatives.empty:
        raise InputError("the training part holds no place that could be a hard negative")
    write_negatives(arguments, negatives, bundle.classes, settings)


def read_settings(given: object) -> HarvestSettings:
    """Fill settings up with defaults; raise InputError for what is unknown or does not fit."""
    settings = complete_settings("hard_negatives", given, asdict(HarvestSettings()))
    require_above_zero("hard_negatives", settings, "most", "min_distance")
    return HarvestSettings(**settings)


def harvest_genome(
    arguments: argparse.Namespace,
    bundle: Bundle,
    genome: EncodedGenome,
    settings: HarvestSettings,
    device: torch.device,
) -> pd.DataFrame:
    """Return the best non-sites of one genome's training part."""
    name = genome.name
    split = read_splits({name: arguments.split[name]})[name]
    architecture = bundle.architecture
    layout = make_layout(
        split, genome.contigs, ("train",), architecture.resolution, architecture.context, name
    )
    sites = read_table(arguments.sites[name], f"sites of {name}", SITE_COLUMNS)
    intervals = read_table(arguments.intervals[name], f"intervals of {name}", INTERVAL_COLUMNS)
    known = bundle.classes, bundle.stranded
    labels = label_bins(
        layout, genome.contigs, name, sites, intervals, *known, arguments.ignore_margin
    )
    near = near_sites(layout, genome, sites, *known, settings.min_distance)
    found = Harvest(layout, labels, near, bundle.classes, settings)
    own, _ = bundle_for_genome(bundle, genome, layout, arguments.laboratory.get(name, ""))
    # Which places score best does not need float32, so that the plan may choose the precision.
    plan, reasons = plan_scan(own, device, arguments.memory_gb, arguments.precision)
    for line in reasons:
        logger.info(line)
    scanner = Scanner(own, plan, device)
    chunks = scanner.list_chunks(layout, genome)
    for first_bin, codes in scanner.scan(genome, chunks, range(len(chunks))):
        found.add(first_bin, codes)
    return found.places()


def write_negatives(
    arguments: argparse.Namespace,
    negatives: pd.DataFrame,
    classes: list[str],
    settings: HarvestSettings,
) -> None:
    """Write the table and its summary, and log what was harvested."""
    counted = summarise_harvest(negatives, classes)
    for name, item in counted.items():
        if item["places"]:
            logger.info(
                "%s: %d places, log-odds %.2f to %.2f",
                name,
                item["places"],
                item["lowest"],
                item["highest"],
            )
        else:
            logger.warning("%s: no place that could be a hard negative", name)
    summary = {"settings": asdict(settings), "classes": counted}
    with whole_files(arguments.output, arguments.summary) as (table_file, summary_file):
        write_table(table_file, negatives)
        write_json(summary_file, summary)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(harvest, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
