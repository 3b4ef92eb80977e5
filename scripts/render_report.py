"""Render the report of a screen: one self-contained HTML page and its pictures as SVG.

Reads the evaluations, the merged scans, the bundles and the summaries of one screen, and writes
report.html (no outside resources) and, for each subject, one SVG with a panel for every genome and
class: precision_recall, roc, promises, prevalence, reliability, scores, genome_map, logos, training
and split, where genomes were learned in order stage_matrix, stage_curves and stage_trade_off, and
those of each part that explains calls.
Genomes without --evaluation have calls only. A file is written only after everything
could be drawn.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import pandas as pd

from genomesieve.call_files import CALL_COLUMNS, read_calls
from genomesieve.command_line import (
    NamedPaths,
    comma_list,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.figures import draw_panels, join_panels
from genomesieve.files import read_json, read_table, whole_file
from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.report_data import Evaluation, GenomeResults, ModelFacts, Screen, Trust
from genomesieve.report_explanations import READERS
from genomesieve.report_page import make_page, make_pictures

logger = logging.getLogger(__name__)

INTERVAL_COLUMNS = ("contig", "start", "end", "part")
SUMMARIES = ("genome", "sites", "split", "leakage")
TRANSFER_COLUMNS = {
    "measures": ("class", "measure", "value", "low", "high"),
    "warnings": ("class", "what", "sentence"),
}
KEYS = ("model", "class", "universe")


def read_evaluation(folder: Path, genome: str) -> Evaluation:
    """Read the tables that evaluate_scan wrote for one genome."""
    what = f"evaluation of {genome}"
    metrics = read_table(
        folder / "metrics.tsv", what, (*KEYS, "metric", "value", "low", "high"), text=("class",)
    )
    return Evaluation(
        metrics=metrics,
        curves=read_table(
            folder / "curves.parquet", what, (*KEYS, "curve", "x", "y", "low", "high", "label")
        ),
        reliability=read_table(
            folder / "reliability.parquet", what, (*KEYS, "expected", "observed", "bins")
        ),
        promises=_read_promises(folder / "promises.tsv", what),
        calls=read_table(
            folder / "calls.parquet",
            what,
            ("contig", "start", "end", "class", "strand", "score", "status", "called"),
        ),
        details=read_json(folder / "details.json", what),
    )


def _read_promises(path: Path, what: str) -> pd.DataFrame:
    """Read promises.tsv; its numbers may be blank where nothing was called."""
    numbers = [
        "precision_target", "promised", "low", "high", "observed", "observed_low",
        "observed_high", "calls", "true_calls", "recall",
    ]  # fmt: skip
    table = read_table(path, what, ("model", "class", "reached", *numbers), text=("class",))
    for column in numbers:
        table[column] = pd.to_numeric(table[column])
    return table


def read_scan(folder: Path | None, genome: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the calls of a merged scan and the stretches it covers; empty without a folder."""
    if folder is None:
        empty = pd.DataFrame(columns=CALL_COLUMNS), pd.DataFrame(columns=INTERVAL_COLUMNS)
        return empty
    intervals = read_table(
        folder / "intervals.tsv", f"scan of {genome}", INTERVAL_COLUMNS, text=("contig",)
    )
    return read_calls(folder / "calls.bed.gz", genome), intervals


def read_transfer(path: Path | None, genome: str) -> Trust | None:
    """Read what was estimated of a genome without its labels; None without a file."""
    if path is None:
        return None
    content = read_json(path, f"estimates of {genome}")
    for key, columns in TRANSFER_COLUMNS.items():
        rows = content.get(key)
        known = isinstance(rows, list) and all(
            isinstance(row, dict) and set(columns) <= set(row) for row in rows
        )
        if not known:
            raise InputError(
                f"estimates of {genome} {path}: `{key}` are no rows of {', '.join(columns)}; "
                "expected what estimate_transfer writes"
            )
    return Trust(content["measures"], content["warnings"])


def read_facts(folder: Path) -> dict:
    """Read what a bundle says about itself."""
    facts = read_json(folder / "model.json", "model")
    missing = [key for key in ("name", "classes", "stranded", "resolution") if key not in facts]
    if missing:
        raise InputError(f"model {folder / 'model.json'} lacks {', '.join(missing)}")
    return facts


def read_network(folder: Path) -> ModelFacts:
    """Read the network's bundle and its training history."""
    facts = read_facts(folder)
    history = read_table(folder / "history.tsv", "training history", ("step", "loss"))
    return ModelFacts(facts["name"], facts, history)


def read_genome(name: str, arguments: dict[str, dict[str, Path]]) -> GenomeResults:
    """Read everything about one genome.

    Parameters
    ----------
    name : str
    arguments : dict of str to dict
        Paths by genome, by what they are: genome_folder, split, and where given scan, evaluation,
        transfer, summaries and parts of explanations.
    """
    if name not in arguments["genome_folder"]:
        raise InputError(f"genome {name} has --split but no --genome-folder; expected both")
    evaluation = arguments["evaluation"].get(name)
    summaries = {}
    for title in SUMMARIES:
        path = arguments[f"{title}_summary"].get(name)
        if path is not None:
            summaries[title] = read_json(path, f"{title} summary of {name}")
    calls, intervals = read_scan(arguments["scan"].get(name), name)
    results = GenomeResults(
        name=name,
        genome=EncodedGenome.open(arguments["genome_folder"][name], name),
        split=read_table(arguments["split"][name], "split", INTERVAL_COLUMNS, text=("contig",)),
        calls=calls,
        intervals=intervals,
        evaluation=read_evaluation(evaluation, name) if evaluation else None,
        summaries=summaries,
        transfer=read_transfer(arguments["transfer"].get(name), name),
        explanations={
            part: read(arguments[part][name], name)
            for part, read in READERS.items()
            if name in arguments[part]
        },
    )
    contigs = pd.concat([results.split["contig"], results.calls["contig"]]).unique()
    contig_rows(results.genome.contigs, contigs, name)
    return results


def read_screen(arguments: argparse.Namespace) -> Screen:
    """Read all results of a screen."""
    keys = ["scan", "genome_folder", "split", "evaluation", "transfer", "view", *READERS]
    keys += [f"{title}_summary" for title in SUMMARIES]
    paths = {key: getattr(arguments, key) for key in keys}
    for key, named in paths.items():
        unknown = sorted(set(named) - set(paths["split"]))
        if unknown:
            option = "--" + key.replace("_", "-")
            raise InputError(f"{option} names genome {unknown[0]}, which has no --split")
    evaluated = sorted(set(paths["evaluation"]) - set(paths["scan"]))
    if evaluated:
        raise InputError(f"--evaluation names genome {evaluated[0]}, which has no --scan")
    return Screen(
        name=arguments.screen,
        settings=arguments.settings,
        network=read_network(arguments.model),
        baselines=[
            ModelFacts(name, read_facts(folder), pd.DataFrame())
            for name, folder in arguments.baseline.items()
        ],
        genomes=[read_genome(name, paths) for name in paths["split"]],
        windows_summary=read_json(arguments.windows_summary, "windows summary")
        if arguments.windows_summary
        else {},
        members=arguments.members,
        rounds=arguments.rounds,
        harvests={
            name: read_json(path, "summary of a harvest")
            for name, path in arguments.harvest_summary.items()
        },
        views={name: path.as_posix() for name, path in arguments.view.items()},
        **read_stages(arguments.stage_matrix, arguments.stage_summary),
    )


def read_stages(matrix: Path | None, summary: Path | None) -> dict[str, pd.DataFrame]:
    """Read the tables of measure_forgetting.py, where there are stages."""
    if matrix is None or summary is None:
        return {}
    keys = ("method", "kind", "lambda", "after", "task", "class", "average_precision")
    return {
        "stage_matrix": read_table(matrix, "matrix of stages", keys, text=("class", "genome")),
        "stage_summary": read_table(
            summary,
            "summary of stages",
            ("method", "measure", "value", "difference", "compared_with"),
        ),
    }


def work(arguments: argparse.Namespace) -> None:
    """Read a screen, draw its pictures and write them and the page."""
    screen = read_screen(arguments)
    pictures = make_pictures(screen)
    drawings = {name: draw_panels(picture) for name, picture in pictures.items()}
    page = make_page(screen, pictures, drawings)
    files = {name: join_panels(pictures[name], svgs) for name, svgs in drawings.items()}
    for name, svg in files.items():
        with whole_file(arguments.figures / f"{name}.svg") as path:
            path.write_text(svg, encoding="utf-8")
    with whole_file(arguments.output) as path:
        path.write_text(page, encoding="utf-8")
    logger.info("wrote %s (%.1f MB)", arguments.output, len(page.encode()) / 1e6)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--screen", required=True, help="name of the screen")
    parser.add_argument(
        "--settings",
        type=json_value,
        required=True,
        help="JSON object or file, shown as the configuration; its keys `title` (text) and `notes` "
        "(list of sentences for the reader) are used",
    )
    add_results_of_genomes(parser)
    parser.add_argument("--windows-summary", type=Path, help="JSON of the training windows")
    parser.add_argument("--model", type=Path, required=True, help="calibrated bundle folder")
    parser.add_argument(
        "--baseline",
        action=NamedPaths,
        default={},
        metavar="NAME=PATH",
        help="bundle folder of a baseline, by its name in the metrics (repeat)",
    )
    for option, text in (
        ("--members", "network of each seed, where the model is their mean"),
        ("--rounds", "model of each round of hard negatives but the last, in order"),
    ):
        parser.add_argument(
            option,
            type=comma_list,
            default=(),
            help=f"names in the metrics of the {text}, with commas between them",
        )
    parser.add_argument(
        "--harvest-summary",
        action=NamedPaths,
        default={},
        metavar="roundR/seedS=PATH",
        help="JSON of the harvest before a round (repeat)",
    )
    for option, text in (("matrix", "after each stage"), ("summary", "of each method")):
        parser.add_argument(
            f"--stage-{option}", type=Path, help=f"table of measure_forgetting.py, {text}"
        )
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the SVG pictures")
    return parser.parse_args(argv)


def add_results_of_genomes(parser: argparse.ArgumentParser) -> None:
    """Add the options that are given once for each genome."""
    named = {"action": NamedPaths, "metavar": "GENOME=PATH"}
    parser.add_argument(
        "--genome-folder", **named, required=True, help="encoded genome folder (repeat)"
    )
    parser.add_argument("--split", **named, required=True, help="split table, bp (repeat)")
    parser.add_argument(
        "--scan", **named, default={}, help="merged scan folder of a genome that has one (repeat)"
    )
    parser.add_argument(
        "--evaluation", **named, default={}, help="evaluation folder, if annotated (repeat)"
    )
    parser.add_argument(
        "--transfer", **named, default={}, help="JSON of estimate_transfer (repeat)"
    )
    parser.add_argument(
        "--view",
        **named,
        default={},
        help="page of view_calls, as the report links to it (repeat)",
    )
    for part in READERS:
        parser.add_argument(
            f"--{part}", **named, default={}, help="folder that explains a genome's calls (repeat)"
        )
    for title in SUMMARIES:
        parser.add_argument(
            f"--{title}-summary", **named, default={}, help=f"JSON of the {title} step (repeat)"
        )


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
