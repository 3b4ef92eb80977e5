"""Estimate how far the calls on a genome can be trusted, without looking at any label of it.

In: the calibrated bundle (model.json and score_counts.parquet), the merged scan of a genome, that
genome encoded, and the training genomes encoded with their splits. Out: one JSON with `measures`
(rows of class, measure, value, unit, low, high; class "" is the whole genome) and `warnings`
(class, what, sentence).

Distance: Jensen-Shannon divergence of canonical 6-mers beside that of pieces of the training
sequence from each other, Mash distance and shared 21-mers, GC content, unknown bases.

Scores: if sites of this genome score as those of the calibration genome do, and other places too,
then only the share of sites differs (prior shift), and it follows from the scan's score histogram:
by expectation maximisation on the calibrated probabilities (em; Saerens et al. 2002), and from the
number of called positions by the calibration's true and false positive rates (bbse; Lipton et al.
2018). The share of sites gives the precision of the calls. Intervals resample blocks of both
genomes; they hold sampling error alone. Whether the histogram is such a mixture at all is tested,
and warnings say in words where it is not, or where sites are so rare that nothing can be told.

A bundle that was calibrated before score_counts.parquet existed gives the distance alone, with a
warning: run calibrate_model again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genomesieve.assessment import Assessment, Caution
from genomesieve.command_line import NamedPaths, make_parser, require_same_names, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_json, write_json
from genomesieve.genome import EncodedGenome, check_intervals
from genomesieve.kmer_distance import Stretches
from genomesieve.scan_files import (
    Histograms,
    class_calibrations,
    read_calibrated_model,
    read_histograms,
    read_layout,
)
from genomesieve.score_counts import FILE, read_score_counts
from genomesieve.splitting import read_split
from genomesieve.strand_agreement import strand_metrics
from genomesieve.transfer import Target, assess_class, assess_sequence

logger = logging.getLogger(__name__)

OLDER = (
    f"The model folder holds no {FILE}: it was calibrated before such counts were kept. "
    "Calibrate it again to have prevalence and precision estimated."
)
EARLIER_STAGE = (
    "The genome that the model was last calibrated on has no site of this class, so that nothing "
    "is known of how its sites score with this model."
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="calibrated model folder")
    add("--genome-folder", type=Path, required=True, help="encoded folder of the scanned genome")
    add("--scan", type=Path, required=True, help="folder that merge_scan wrote for it")
    named = {"action": NamedPaths, "required": True, "metavar": "NAME=PATH"}
    add("--train", **named, help="encoded folder of a training genome; repeat for every one")
    add("--train-split", **named, help="its split.tsv from split_genome; repeat for every one")
    add("--bootstrap", type=int, default=500, help="resamplings of blocks, 1 or more")
    add("--seed", type=int, default=0, help="of the resamplings")
    add("--output", type=Path, required=True, help="JSON to write")
    return parser.parse_args(argv)


def open_training(folders: Mapping[str, Path], splits: Mapping[str, Path]) -> Stretches:
    """Return what the model was trained on: the train parts, or the calibrate parts if none is.

    A network that came with its weights may have a calibrate part alone. Of genomes with the same
    sequence, as laboratories have them, one counts: they tell nothing of how sequence varies.
    """
    genomes = {name: EncodedGenome.open_checked(folder, name) for name, folder in folders.items()}
    tables = {name: read_split(splits[name]) for name in folders}
    for part in ("train", "calibrate"):
        found = [(genomes[name], rows[rows["part"] == part]) for name, rows in tables.items()]
        found = [(genome, rows) for genome, rows in found if len(rows)]
        if found:
            for genome, rows in found:
                check_intervals(genome.contigs, rows, genome.name, "part of the split")
            different = {genome.sha256 or genome.name: (genome, rows) for genome, rows in found}
            return list(different.values())
    raise InputError("no --train-split has a part train or calibrate; expected sequence to compare")


def read_targets(folder: Path, model: dict, blocks: int) -> dict[str, Target]:
    """Read what a scan found of each class.

    Raises
    ------
    InputError
        If a file is damaged or of another model.
    """
    histograms = read_histograms(folder / "histograms.npz")
    floors = [one["floor_code"] for one in class_calibrations(model)]
    if histograms.floors.tolist() != floors:
        raise InputError(
            f"scan {folder} has floors {histograms.floors.tolist()}; expected {floors}: it was "
            "made with another model or another calibration"
        )
    summary = read_json(folder / "summary.json", "summary of the scan")
    classes = summary.get("classes")
    if not isinstance(classes, dict) or set(classes) != set(model["classes"]):
        raise InputError(
            f"summary of the scan {folder / 'summary.json'} does not count the calls of "
            f"{', '.join(model['classes'])}"
        )
    agreement = summary.get("strand_agreement") or {}
    return {
        name: make_target(
            histograms, index, blocks, int(classes[name]["calls"]), agreement.get(name)
        )
        for index, name in enumerate(model["classes"])
    }


def make_target(
    histograms: Histograms, index: int, blocks: int, calls: int, agreement: Mapping | None
) -> Target:
    """Return the counts of one class by block and code, strands pooled."""
    mine = histograms.blocks[histograms.blocks["class_index"] == index]
    codes, column = np.unique(mine["code"].to_numpy(np.int64), return_inverse=True)
    counts = np.zeros((max(blocks, 1), len(codes)))
    np.add.at(counts, (mine["block"].to_numpy(), column), mine["count"].to_numpy())
    disagreement = strand_metrics(agreement).get("strand_disagreement", float("nan"))
    return Target(codes, counts, calls, disagreement)


def assess_scores(arguments: argparse.Namespace, model: dict, blocks: int) -> list[Assessment]:
    """Assess all classes; where scores were not counted there is only that to say."""
    known = read_score_counts(arguments.model, model)
    targets = read_targets(arguments.scan, model, blocks)
    found = []
    for name in model["classes"]:
        if known is None or name not in known:
            found.append(unavailable(name, OLDER if known is None else EARLIER_STAGE))
            continue
        calibration = model["calibration"]["classes"][name]
        settings = (arguments.bootstrap, arguments.seed)
        found.append(assess_class(name, calibration, known[name], targets[name], *settings))
    return found


def unavailable(name: str, sentence: str) -> Assessment:
    """Return the assessment of a class of which nothing can be estimated."""
    return Assessment(name, cautions=[Caution("not_available", sentence)])


def estimate(arguments: argparse.Namespace) -> None:
    """Read everything, assess sequence and scores, write the JSON."""
    require_same_names("train", "train-split", arguments)
    if arguments.bootstrap < 1:
        raise InputError(f"--bootstrap: found {arguments.bootstrap}; expected at least 1")
    model = read_calibrated_model(arguments.model)
    layout = read_layout(arguments.scan, model["resolution"])
    genome = EncodedGenome.open(arguments.genome_folder)
    check_intervals(genome.contigs, layout.intervals, genome.name, "scanned interval")
    training = open_training(arguments.train, arguments.train_split)
    found = [
        assess_sequence([(genome, layout.intervals)], training),
        *assess_scores(arguments, model, len(layout.blocks)),
    ]
    content = {
        "genome": genome.name,
        "model": model["name"],
        "training_genomes": list(arguments.train),
        "calibration_genomes": model["calibration"].get("genomes", []),
        "bootstrap": arguments.bootstrap,
        "seed": arguments.seed,
        "measures": [row for one in found for row in one.rows()],
        "warnings": [row for one in found for row in one.warnings()],
    }
    write_json(arguments.output, content)
    for row in content["warnings"]:
        logger.warning("%s", " ".join(filter(None, [row["class"], row["sentence"]])))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(estimate, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
