"""Score what variants do: the largest gain and loss of every class near each of them.

In: a calibrated bundle, an encoded genome and a VCF file (plain, gzip or bgzip) on that genome,
sorted by position, whose REF alleles are compared with it. Substitutions of one base or several,
insertions, deletions and mixtures are scored, each ALT allele of a record by itself; `*`, symbolic
(<DEL>), breakend and very long alleles are not, and GS_SKIPPED says why. Out: the same records in
the same order with these fields of INFO (index_variants compresses and indexes the file), and a
summary of what was scored and skipped.

  GS          for each ALT allele and class, with bars between: number of the allele, class, then
              gain and loss of the calibrated probability and gain and loss of the calibrated
              log-odds, each with its distance from POS and its strand
  GS_GAIN     largest gain of probability of all classes, one value an ALT allele
  GS_LOSS     largest loss
  GS_SKIPPED  why an allele was not scored, where one was not

    chr1 101 . A G . . GS=1|donor|0.83|4|+|0|.|.|6.2|4|+|0.7|-3|-;GS_GAIN=0.83;GS_LOSS=0

says that G makes a donor 4 bp right of POS on the plus strand, with a probability that is 0.83
higher than that of the reference. `bcftools view -i 'GS_GAIN>=0.5'` keeps records like this one.
Distances are in genome coordinates on both strands (negative: left of POS). A gain or loss of 0 has
neither place nor strand. All are dots where nothing could be compared (unknown bases everywhere).

What is compared: the bins within --distance of the change, each with itself. Of an insertion or
deletion the sequence is read twice, in line with the reference on the left and on the right of the
change, so that the other bins hold the same bases in both alleles; the bins of the change and of
the base before it count as one, by their best score. Bins with unknown bases (N, past the ends of a
contig) are not compared. Alleles are taken as they are placed: left-align them first
(`bcftools norm`) where two ways to write one insertion should give one answer.

Windows of many variants are scored together, with the network, the precision and the memory of the
scan plan in the bundle. In bfloat16 a log-odds is uncertain by about 0.05, so small effects mean
nothing there; --precision float32 resolves them.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genomesieve.bundle import load_bundle
from genomesieve.command_line import (
    add_code_argument,
    add_device_arguments,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_device
from genomesieve.errors import InputError
from genomesieve.files import whole_file, write_json
from genomesieve.genome import EncodedGenome
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layout import whole_layout
from genomesieve.processors import use_threads
from genomesieve.progress import watched
from genomesieve.scanner import Scanner
from genomesieve.variant_effects import VariantScorer, variant_scanner_plan
from genomesieve.variant_output import extend_header, format_record
from genomesieve.variant_records import VariantReader

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="calibrated model folder")
    add_code_argument(parser)
    add("--genome-folder", type=Path, required=True, help="from encode_genome; its name is used")
    add("--variants", type=Path, required=True, help="VCF file: plain, gzip or bgzip")
    add(
        "--distance",
        type=int,
        default=50,
        help="bp on each side of a change in which scores are compared",
    )
    add("--longest", type=int, default=1000, help="longest REF or ALT allele that is scored, bp")
    add(
        "--precision",
        choices=["plan", "float32"],
        default="plan",
        help="plan: that of the model's scans; float32: also where those are in bfloat16",
    )
    add("--laboratory", default="", help="where the genome's data comes from (batch), if known")
    add_device_arguments(parser)
    add("--output", type=Path, required=True, help="VCF file to write, plain text")
    add("--summary", type=Path, required=True, help="JSON file of counts to write")
    return parser.parse_args(argv)


def score(arguments: argparse.Namespace) -> None:
    """Score all variants and write them."""
    for name, least in (("distance", 0), ("longest", 1)):
        if getattr(arguments, name) < least:
            found = getattr(arguments, name)
            raise InputError(f"--{name}: found {found}; expected at least {least}")
    device = choose_device(arguments.device)
    use_threads(arguments.threads)
    bundle = load_bundle(arguments.model, arguments.network_code)
    plan = variant_scanner_plan(bundle, arguments.precision)
    genome = EncodedGenome.open_checked(arguments.genome_folder, arguments.genome_folder.name)
    reader = VariantReader(arguments.variants, genome, arguments.longest)
    seen = bundle.architecture
    layout = whole_layout(genome, seen.resolution, seen.context)
    adapted, statistics = bundle_for_genome(bundle, genome, layout, arguments.laboratory)
    calibrations = [bundle.calibration["classes"][name] for name in bundle.classes]
    scorer = VariantScorer(Scanner(adapted, plan, device), genome, calibrations, arguments.distance)
    begin = time.monotonic()
    source = f"model={bundle.name};distance={arguments.distance};precision={plan.precision}"
    counts = write_scored(arguments.output, reader, scorer, source)
    seconds = time.monotonic() - begin
    norm = {"domain_statistics": statistics} if statistics else {}
    write_json(
        arguments.summary,
        counts
        | norm
        | {
            "genome": genome.name,
            "genome_sha256": genome.sha256,
            "model": bundle.name,
            "classes": bundle.classes,
            "distance": arguments.distance,
            "longest": arguments.longest,
            "precision": plan.precision,
            "device": str(device),
            "threads": arguments.threads,
            "seconds": round(seconds, 3),
            "alleles_per_second": round(counts["scored"] / max(seconds, 1e-9), 1),
        },
    )
    logger.info(
        "%s: %d of %d alleles scored in %.1f s",
        arguments.variants,
        counts["scored"],
        counts["alleles"],
        seconds,
    )


def write_scored(path: Path, reader: VariantReader, scorer: VariantScorer, source: str) -> dict:
    """Write the scored records; return what was scored and what was skipped."""
    bundle = scorer.scanner.bundle
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    largest = np.zeros((2, len(bundle.classes)))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        for line in extend_header(reader.header, reader.columns, source):
            print(line, file=out)
        for record, effects in watched(scorer.score(reader), "record", path.name):
            print(format_record(record, effects, bundle.classes, bundle.stranded), file=out)
            counts["records"] += 1
            counts["alleles"] += len(effects)
            for one, found in zip(record.alternatives, effects):
                if found is None:
                    skipped[one.reason] += 1
                    continue
                counts["scored"] += 1
                counts["not_comparable"] += found[0].gain is None
                for row, way in enumerate(("gain", "loss")):
                    values = [getattr(effect, way) for effect in found]
                    heights = [peak.value if peak else 0.0 for peak in values]
                    largest[row] = np.maximum(largest[row], heights)
    names = ("records", "alleles", "scored", "not_comparable")
    return {name: counts[name] for name in names} | {
        "skipped": dict(sorted(skipped.items())),
        "largest": {
            name: {"gain": round(float(gain), 6), "loss": round(float(loss), 6)}
            for name, gain, loss in zip(bundle.classes, *largest)
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(score, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
