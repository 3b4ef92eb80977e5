"""Change sequence base by base until a model scores it as wanted, with as few edits as allowed.

In: a model, an encoded genome and places in it (BED; the middle base's bin is what is scored, read
on the strand of column 6), as they are or shuffled (--shuffle keeps every dinucleotide). --target
names classes with "high", "low" or a wanted log-odds: the objective is the sum of the log-odds of
high ones, less those of low ones, less the distances from wanted values. Every step scores all
substitutions within --flank bp of the bin and keeps the --beam best sequences. Out, in
--output-dir:

  designs.fa    the final sequences, all that the model sees of each
  designs.tsv   design, name, contig, position (of offset 0, 0-based), strand, edits, objective at
                the start and at the end, and start_{class}, end_{class}
  trail.tsv     a row a step: design, step (0: the start), offset (bp from the first base of the
                bin, in the direction of the strand), from, to, objective, and a column a class
  summary.json  what was wanted, how many candidates were scored, and the check: the final scores
                against the whole windows scored anew

Scores are log-odds of the model. That a model is content does not mean that a cell is: try designs
in an experiment.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.bundle import Bundle, load_bundle, require_sequence_alone
from genomesieve.command_line import (
    add_device_arguments,
    add_model_on_genome_arguments,
    comma_list,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_devices
from genomesieve.errors import InputError
from genomesieve.files import whole_file, write_json, write_table
from genomesieve.genome import EncodedGenome, check_intervals
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layout import whole_layout
from genomesieve.mutagenesis import MutantScorer, SiteWindows, cut_windows
from genomesieve.places import read_places
from genomesieve.processors import use_threads
from genomesieve.progress import watched
from genomesieve.sequence_design import (
    Designer,
    State,
    free_places,
    make_target,
    score_anew,
)
from genomesieve.shuffling import shuffle_dinucleotides

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-3
"""Largest difference of scores found and scored anew, * max(1, |score|): more is a fault."""
_LINE = 60


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add_model_on_genome_arguments(parser)
    add("--sites", type=Path, required=True, help="BED file of places to start from")
    add("--target", type=json_value, required=True, help='JSON, such as {"donor": "high"}')
    add("--edits", type=int, default=5, help="most substitutions")
    add("--beam", type=int, default=4, help="sequences that are kept; 1 is greedy")
    add("--flank", type=int, default=100, help="bp on each side of the bin that may be changed")
    add("--protect", type=comma_list, default="",
        help="offsets that stay, such as --protect=-3:6,10:20 (half-open)")  # fmt: skip
    add("--shuffle", action="store_true", help="start from shuffles of the places' sequence")
    add("--most", type=int, default=10, help="most places, the first ones")
    add("--seed", type=int, default=0, help="of the shuffles")
    add("--laboratory", default="", help="where the genome's data comes from (batch), if known")
    add_device_arguments(parser)
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Design and write the files."""
    for name, least in (("edits", 0), ("beam", 1), ("flank", 0), ("most", 1), ("seed", 0)):
        if getattr(arguments, name) < least:
            found = getattr(arguments, name)
            raise InputError(f"--{name}: found {found}; expected at least {least}")
    protected = [read_offsets(text) for text in arguments.protect]
    device = choose_devices(arguments.device)[0]
    use_threads(arguments.threads)
    bundle = load_bundle(arguments.model, arguments.network_code)
    require_sequence_alone(bundle, arguments.model)
    target = make_target(arguments.target, bundle.classes)
    genome = EncodedGenome.open(arguments.genome_folder)
    layout = whole_layout(genome, bundle.architecture.resolution, bundle.architecture.context)
    bundle, _ = bundle_for_genome(bundle, genome, layout, arguments.laboratory)
    sites = read_places(arguments.sites, bundle.stranded, "places").head(arguments.most)
    if sites.empty:
        raise InputError(f"places {arguments.sites}: there is none; expected at least one line")
    check_intervals(genome.contigs, sites, genome.name, "place")
    windows = start_windows(sites, bundle, genome, arguments)
    scorer = MutantScorer(bundle, None, device, genome.alphabet)
    designer = Designer(scorer, target, arguments.edits, arguments.beam)
    found = []
    for row, anchor in enumerate(watched(windows.anchors, "design", genome.name)):
        offsets = range(-arguments.flank, bundle.architecture.resolution + arguments.flank)
        free = free_places(windows.length, int(anchor), offsets, protected)
        found.append(designer.design(windows.take(slice(row, row + 1)), free))
    difference = check(bundle, windows, found, genome)
    write(arguments.output_dir, bundle, genome, sites, windows, found, {
        "genome": genome.name,
        "model": bundle.name,
        "unit": "log-odds",
        "classes": bundle.classes,
        "target": arguments.target,
        "edits": arguments.edits,
        "beam": arguments.beam,
        "flank": arguments.flank,
        "protect": list(arguments.protect),
        "start": "shuffled" if arguments.shuffle else "as it is",
        "designs": len(found),
        "candidates_scored": designer.scored,
        "largest_difference_when_scored_anew": difference,
    })  # fmt: skip
    logger.info("%s: %d designs, %d candidates", genome.name, len(found), designer.scored)


def read_offsets(text: str) -> tuple[int, int]:
    """Read protected offsets, `start:end`."""
    match = re.fullmatch(r"(-?\d+):(-?\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise InputError(f"--protect: found {text!r}; expected start:end, such as -3:6")
    return int(match[1]), int(match[2])


def start_windows(
    sites: pd.DataFrame, bundle: Bundle, genome: EncodedGenome, arguments: argparse.Namespace
) -> SiteWindows:
    """Cut the sequence around places, shuffled where that is asked for."""
    minus = sites["strand"].to_numpy() == "-"
    position = sites["start"].to_numpy(np.int64)
    place = genome, sites["contig"].to_list(), position, minus
    windows = cut_windows(*place, bundle.architecture)
    if arguments.shuffle:
        generator = np.random.default_rng(arguments.seed)
        for row in windows.seen:
            row[:] = shuffle_dinucleotides(row, generator)
    return windows


def check(
    bundle: Bundle,
    windows: SiteWindows,
    found: Sequence[tuple[State, State]],
    genome: EncodedGenome,
) -> float:
    """Score final windows anew; return the largest difference from what the search says."""
    largest = 0.0
    for row, (_, end) in enumerate(found):
        anew = score_anew(bundle, end.codes, int(windows.bins[row]), genome.alphabet)
        apart = np.abs(anew - end.scores) / np.maximum(1, np.abs(anew))
        largest = max(largest, float(apart.max()))
    if not largest <= _TOLERANCE:
        raise InputError(
            f"model {bundle.name} scores final sequences anew {largest:.2g} apart from the search; "
            f"expected at most {_TOLERANCE:g}: its scores depend on what else is in a batch"
        )
    return largest


def write(
    folder: Path,
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    windows: SiteWindows,
    found: Sequence[tuple[State, State]],
    summary: dict,
) -> None:
    """Write the files."""
    trail = trail_table(bundle, windows, found, genome)
    numbers = trail.select_dtypes("float").columns
    write_table(folder / "trail.tsv", trail.round(dict.fromkeys(numbers, 5)))
    write_table(folder / "designs.tsv", design_table(bundle, sites, found))
    with whole_file(folder / "designs.fa") as temporary:
        temporary.write_text("".join(fasta(sites, found, genome)), encoding="utf-8")
    write_json(folder / "summary.json", summary)


def trail_table(
    bundle: Bundle,
    windows: SiteWindows,
    found: Sequence[tuple[State, State]],
    genome: EncodedGenome,
) -> pd.DataFrame:
    """Return a row for every step of every design."""
    rows, letters = [], genome.alphabet.letters
    for number, (start, end) in enumerate(found, start=1):
        rows.append([number, 0, None, "", "", start.objective, *start.scores])
        for step, (edit, scores, objective) in enumerate(end.trail, start=1):
            offset = edit.place - int(windows.anchors[number - 1])
            names = letters[edit.before], letters[edit.after]
            rows.append([number, step, offset, *names, objective, *scores])
    columns = ["design", "step", "offset", "from", "to", "objective", *bundle.classes]
    return pd.DataFrame(rows, columns=columns).astype({"offset": "Int64"})


def design_table(
    bundle: Bundle, sites: pd.DataFrame, found: Sequence[tuple[State, State]]
) -> pd.DataFrame:
    """Return a row for every design."""
    resolution = bundle.architecture.resolution
    first = sites["start"].to_numpy(np.int64) // resolution * resolution
    position = np.where(sites["strand"] == "-", first + resolution - 1, first)
    table = pd.DataFrame({
        "design": np.arange(1, len(found) + 1),
        "name": sites["name"],
        "contig": sites["contig"],
        "position": position,
        "strand": sites["strand"],
        "edits": [len(end.trail) for _, end in found],
        "start_objective": [start.objective for start, _ in found],
        "end_objective": [end.objective for _, end in found],
    })  # fmt: skip
    for column, name in enumerate(bundle.classes):
        table[f"start_{name}"] = [start.scores[column] for start, _ in found]
        table[f"end_{name}"] = [end.scores[column] for _, end in found]
    numbers = table.select_dtypes("float").columns
    return table.round(dict.fromkeys(numbers, 5))


def fasta(
    sites: pd.DataFrame, found: Sequence[tuple[State, State]], genome: EncodedGenome
) -> list[str]:
    """Return the lines of the final sequences."""
    lines = []
    for number, (site, (start, end)) in enumerate(zip(sites.itertuples(), found), start=1):
        lines.append(
            f">design_{number} {site.contig}:{site.start + 1}({site.strand}) "
            f"edits={len(end.trail)} start={start.objective:.4f} objective={end.objective:.4f}\n"
        )
        text = genome.alphabet.decode(end.codes)
        lines.extend(text[at : at + _LINE] + "\n" for at in range(0, len(text), _LINE))
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
