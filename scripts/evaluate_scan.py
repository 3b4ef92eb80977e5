"""Compare the scans of a network and its baselines with the known sites of a genome.

In: the genome's contig table, its sites, ignore/exclude/universe intervals and leakage audit, and
for each model its bundle and its scan (histograms.npz, scores.npy, candidates.parquet, summary.json
with what was counted of both strands). Out, in
--output-dir: metrics.tsv (long: genome, model, class, universe, unit, metric, value, low, high, and
batch, the laboratory of the genome's data), curves.parquet, reliability.parquet, draws.parquet (the
bootstrapped average precision of each model; equal draws are of equal blocks), promises.tsv
(promised against observed precision of merged calls), calls.parquet (the network's calls, right,
wrong and ignored, and the sites it missed) and details.json (definitions, counts, notes).

The part `test` is evaluated where the scan has one, else `screen`. Rows of the universe
`{part}:unleaked` leave out sites whose surroundings resemble training sequence. Intervals are 95 %
block bootstraps; all models share the resampled blocks, so that their differences are paired.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.bootstrap import Interval, block_weights
from genomesieve.call_evaluation import KeptPromise, judge_promise, list_outcomes
from genomesieve.calls import judge_calls
from genomesieve.command_line import (
    NamedPaths,
    json_value,
    make_parser,
    require_same_names,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.evaluated_scans import (
    SITE_KEYS,
    ScannedModel,
    Subject,
    evaluated_layout,
    leaked_sites,
    open_scan,
)
from genomesieve.evaluation import (
    PRECISIONS,
    PositionResult,
    compare_positions,
    evaluate_positions,
    shares,
)
from genomesieve.evaluation_details import describe
from genomesieve.files import read_table, whole_files, write_json, write_table
from genomesieve.genome import read_contigs
from genomesieve.label_counts import count_by_block, count_by_label
from genomesieve.labels_on_bins import ScanLabels, drop_sites, label_bins
from genomesieve.layout import ScanLayout
from genomesieve.progress import watched
from genomesieve.promises import fdr_of, operating_threshold, probability_of
from genomesieve.scan_files import read_calibrated_model, strands_of
from genomesieve.scores import UNSCORED, decode_scores
from genomesieve.settings import complete_settings
from genomesieve.strand_agreement import strand_metrics

DEFAULTS = {"bootstrap": 1000, "seed": 0, "ignore_margin": 0, "precision_targets": []}
SITE_COLUMNS = ("contig", "position", "start", "end", "strand", "class")
INTERVAL_COLUMNS = ("contig", "start", "end", "role", "class")
COMPARED = ("average_precision", "auroc")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--sites", type=Path, required=True, help="sites.parquet")
    parser.add_argument("--intervals", type=Path, required=True, help="intervals.parquet")
    parser.add_argument("--leakage", type=Path, required=True, help="leakage.parquet")
    for option, text in (
        ("--scan", "folder that merge_scan wrote; repeat for each model, the network first"),
        ("--model", "calibrated bundle of each model"),
    ):
        parser.add_argument(
            option, action=NamedPaths, required=True, metavar="MODEL=PATH", help=text
        )
    parser.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar=("MODEL", "OTHER"),
        help="models whose difference is wanted too; the first model is compared with all others",
    )
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"bootstrap": repeats, "seed": int, "ignore_margin": bp around a '
        'site\'s interval, "precision_targets": precisions at which the recall is given too}',
    )
    parser.add_argument("--batch", default="", help="laboratory of the genome's data, if known")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the evaluation")
    return parser.parse_args(argv)


def evaluate(arguments: argparse.Namespace) -> None:
    """Evaluate all models and write all tables."""
    settings = complete_settings("evaluation", arguments.settings, DEFAULTS)
    require_same_names("scan", "model", arguments)
    scans = arguments.scan
    models = {name: read_calibrated_model(arguments.model[name]) for name in scans}
    check_models(models)
    network = next(iter(scans))
    check_pairs(arguments.pair, list(scans))
    pairs = [*((network, name) for name in list(scans)[1:]), *map(tuple, arguments.pair)]
    layout, part, first_bin = evaluated_layout(scans[network], models[network])
    subject = make_subject(arguments, models[network], layout, part, settings)
    scanned = [
        open_scan(name, models[name], folder, subject.layout, part, first_bin)
        for name, folder in scans.items()
    ]
    tables, notes = evaluate_all(subject, scanned, pairs)
    details = describe(subject, scanned, tables["metrics.tsv"], notes, settings)
    paths = [arguments.output_dir / name for name in (*tables, "details.json")]
    with whole_files(*paths) as files:
        for file, table in zip(files, tables.values()):
            write_table(file, table)
        write_json(files[-1], details)


def check_models(models: dict[str, dict]) -> None:
    """Raise InputError unless all models predict the same classes on the same bins."""
    first_name, first = next(iter(models.items()))
    for name, model in models.items():
        for key in ("classes", "stranded", "resolution"):
            if model[key] != first[key]:
                raise InputError(
                    f"model {name}: {key} is {model[key]}; expected {first[key]} as for "
                    f"{first_name}: models are compared on one universe"
                )


def check_pairs(pairs: list[list[str]], models: list[str]) -> None:
    """Raise InputError for a pair of models that are not evaluated."""
    for name in (name for pair in pairs for name in pair):
        if name not in models:
            raise InputError(f"--pair names model {name}; expected some of {', '.join(models)}")


def make_subject(
    arguments: argparse.Namespace, model: dict, layout: ScanLayout, part: str, settings: dict
) -> Subject:
    """Read contigs and labels and draw the bootstrap's blocks."""
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    sites = read_table(arguments.sites, "sites", SITE_COLUMNS)
    intervals = read_table(arguments.intervals, "intervals", INTERVAL_COLUMNS)
    leakage = read_table(arguments.leakage, "leakage audit", (*SITE_KEYS, "leaked"))
    strands = strands_of(model)
    labels = label_bins(
        layout,
        contigs,
        arguments.genome,
        sites,
        intervals,
        model["classes"],
        strands == 2,
        settings["ignore_margin"],
    )
    return Subject(
        genome=arguments.genome,
        contigs=contigs,
        part=part,
        layout=layout,
        labels=labels,
        leaked=leaked_sites(sites, labels, leakage),
        classes=model["classes"],
        strands=strands,
        weights=block_weights(len(layout.blocks), settings["bootstrap"], settings["seed"]),
        precisions=tuple(sorted({*PRECISIONS, *settings["precision_targets"]})),
        batch=arguments.batch,
    )


def evaluate_all(
    subject: Subject, scanned: list[ScannedModel], pairs: list[tuple[str, str]]
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Evaluate every class on both universes; return the tables by file name, and notes."""
    rows: list[dict] = []
    curves, reliability, promises, outcomes, draws = [], [], [], [], []
    notes: dict = {"beats": {}, "prevalence_table": {}}
    for index, name in enumerate(watched(subject.classes, "class", subject.genome)):
        for universe, labels in universes(subject, index):
            key = {"genome": subject.genome, "class": name, "universe": universe}
            results = {}
            for scan in scanned:
                here = key | {"model": scan.name}
                result, found = evaluate_bins(subject, scan, labels, index)
                results[scan.name] = result
                rows += [here | row for row in found]
                curves += [curve.assign(**here) for curve in result.curves]
                reliability.append(result.reliability.assign(**here))
                judged, kept = evaluate_calls(subject, scan, labels, index)
                rows += [here | row for row in call_rows(subject, result, kept, scan, index)]
                if universe == subject.part:
                    draws.append(draw_table(here, result))
                    promises += [promise_row(here, one) for one in kept]
                    if scan is scanned[0]:
                        outcomes.append(outcome_table(subject, scan, judged, labels, index))
            compared = compare_models(pairs, results)
            rows += [key | row for row in compared]
            if universe == subject.part:
                notes["beats"][name] = beaten(scanned, compared)
                notes["prevalence_table"][name] = prevalence_table(results)
    first = ["genome", "model", "class", "universe"]
    order = [*first, "unit", "metric", "value", "low", "high"]
    tables = {
        "metrics.tsv": pd.DataFrame(rows)[order].assign(batch=subject.batch),
        "curves.parquet": ordered(curves, first),
        "reliability.parquet": ordered(reliability, first),
        "draws.parquet": pd.concat(draws, ignore_index=True),
        "promises.tsv": pd.DataFrame(promises),
        "calls.parquet": pd.concat(outcomes, ignore_index=True),
    }
    return tables, notes


def draw_table(key: dict, result: PositionResult) -> pd.DataFrame:
    """Return the bootstrapped average precision of one model and class."""
    drawn = result.draws["average_precision"]
    names = {name: key[name] for name in ("genome", "model", "class")}
    return pd.DataFrame(names | {"draw": np.arange(len(drawn)), "average_precision": drawn})


def universes(subject: Subject, index: int) -> list[tuple[str, ScanLabels]]:
    """Return the universes of a class: all sites, and those that the leakage audit passed."""
    mine = (subject.labels.sites["class_index"] == index).to_numpy()
    clean = drop_sites(subject.labels, subject.leaked & mine)
    return [(subject.part, subject.labels), (f"{subject.part}:unleaked", clean)]


def evaluate_bins(
    subject: Subject, scan: ScannedModel, labels: ScanLabels, index: int
) -> tuple[PositionResult, list[dict]]:
    """Evaluate one model for one class bin by bin; return the result and rows of metrics."""
    calibration = scan.calibration(index)
    counts = count_by_label(scan.total, scan.scores, labels, index)
    blocks = count_by_block(
        scan.blocks, scan.scores, labels, index, subject.layout, calibration["floor_code"]
    )
    universe = int(counts.positives.sum() + counts.negatives.sum())
    megabases = universe * subject.layout.resolution / subject.strands / 1e6
    result = evaluate_positions(
        counts, blocks, subject.weights, calibration, megabases, subject.precisions
    )
    values = result.values | shares(counts, subject.strand_bins)
    values["sites"] = float((labels.sites["class_index"] == index).sum())
    values["blocks"] = float(len(subject.layout.blocks))
    values |= strand_metrics(scan.agreement.get(subject.classes[index]))
    return result, [
        metric_row("position", name, value, result.intervals.get(name))
        for name, value in values.items()
    ]


def metric_row(unit: str, metric: str, value: float, interval: Interval | None = None) -> dict:
    """Return the end of a row of metrics.tsv."""
    low, high = (interval.low, interval.high) if interval else (math.nan, math.nan)
    return {"unit": unit, "metric": metric, "value": value, "low": low, "high": high}


def evaluate_calls(
    subject: Subject, scan: ScannedModel, labels: ScanLabels, index: int
) -> tuple[pd.DataFrame, list[KeptPromise]]:
    """Match a model's candidates of a class to sites; judge the promise of each threshold."""
    calibration = scan.calibration(index)
    mine = scan.candidates[scan.candidates["class_index"] == index].reset_index(drop=True)
    distances = np.full(len(subject.classes), calibration["match_distance"])
    judged = judge_calls(mine, subject.layout, labels, distances)
    sites = labels.sites[labels.sites["class_index"] == index]
    site_blocks = subject.layout.blocks_of(sites["bin"].to_numpy())
    kept = [
        judge_promise(
            threshold,
            judged,
            site_blocks,
            subject.weights,
            scan.model["calibration"]["bins"],
            subject.strand_bins,
        )
        for threshold in calibration["thresholds"]
    ]
    return judged, kept


def call_rows(
    subject: Subject,
    result: PositionResult,
    kept: list[KeptPromise],
    scan: ScannedModel,
    index: int,
) -> list[dict]:
    """Return rows of metrics of the calls at the operating threshold."""
    one = kept[scan.calibration(index)["operating"]]
    promise = Interval(one.promise.low, one.promise.high)
    rows = [
        metric_row("call", "calls", one.calls),
        metric_row("call", "true_calls", one.true_calls),
        metric_row("call", "observed_precision", one.precision, one.precision_interval),
        metric_row("call", "observed_recall", one.recall, one.recall_interval),
        metric_row("call", "promised_precision", one.promise.precision, promise),
        metric_row("call", "promise_kept", math.nan if one.within is None else float(one.within)),
    ]
    bases = scored_bases(subject, scan, index)
    scale = subject.known_bases / bases if bases else math.nan
    for word, right in (("true", True), ("false", False)):
        for suffix, calls in (("", one.calls), ("_whole_genome", one.calls * scale)):
            expected = one.expected(calls, right)
            rows.append(metric_row("call", f"expected_{word}_calls{suffix}", *expected))
    wrong = one.calls - one.true_calls
    rows.append(
        metric_row("call", "false_calls_per_mb", wrong / bases * 1e6 if bases else math.nan)
    )
    rows.append(metric_row("position", "operating_recall", result.true_positive_rate))
    rows.append(metric_row("position", "operating_false_positive_rate", result.false_positive_rate))
    return rows


def scored_bases(subject: Subject, scan: ScannedModel, index: int) -> float:
    """Return the bases of the part that were scored, each counted once."""
    return float(scan.total[:, index].sum()) * subject.layout.resolution / subject.strands


def promise_row(key: dict, one: KeptPromise) -> dict:
    """Return a row of promises.tsv."""
    threshold = one.threshold
    return {name: key[name] for name in ("genome", "model", "class")} | {
        "precision_target": threshold["precision_target"],
        "reached": threshold["reached"],
        "threshold_score": threshold["score"],
        "promised": one.promise.precision,
        "low": one.promise.low,
        "high": one.promise.high,
        "observed": one.precision,
        "observed_low": one.precision_interval.low,
        "observed_high": one.precision_interval.high,
        "calls": one.calls,
        "true_calls": one.true_calls,
        "within": one.within,
        "recall": one.recall,
        "expected_true": one.expected(one.calls, True)[0],
        "expected_false": one.expected(one.calls, False)[0],
    }


def outcome_table(
    subject: Subject, scan: ScannedModel, judged: pd.DataFrame, labels: ScanLabels, index: int
) -> pd.DataFrame:
    """Return the rows of calls.parquet of one class."""
    sites = labels.sites[labels.sites["class_index"] == index]
    codes = scan.scores[:, index][sites["strand_index"].to_numpy(), sites["bin"].to_numpy()]
    calibration = scan.calibration(index)
    table = list_outcomes(judged, sites, codes, operating_threshold(calibration)["code"])
    symbols = np.array(["+", "-"] if subject.strands == 2 else ["."], dtype=object)
    found = table["code"].to_numpy(np.uint16)
    return pd.DataFrame(
        {
            "contig": subject.contigs["contig"].to_numpy(object)[table["contig_index"]],
            "start": table["start"],
            "end": table["end"],
            "class": subject.classes[index],
            "strand": symbols[table["strand_index"]],
            "score": decode_scores(found),
            "probability": probability_of(found, calibration),
            "fdr": np.where(found == UNSCORED, np.nan, fdr_of(found, calibration)),
            "status": table["status"],
            "called": table["called"].astype(bool),
        }
    )


def compare_models(pairs: list[tuple[str, str]], results: dict[str, PositionResult]) -> list[dict]:
    """Return rows of the differences between the models of each pair."""
    rows = []
    for one, other in pairs:
        for metric in COMPARED:
            value, interval = compare_positions(results[one], results[other], metric)
            rows.append(
                metric_row("position", metric, value, interval) | {"model": f"{one}-{other}"}
            )
    return rows


def beaten(scanned: list[ScannedModel], compared: list[dict]) -> dict:
    """Say for each baseline whether the network's average precision beats it."""
    result = {}
    for scan in scanned[1:]:
        model = f"{scanned[0].name}-{scan.name}"
        row = next(one for one in compared if (one["model"], one["metric"]) == (model, COMPARED[0]))
        numbers = {name: row[name] for name in ("value", "low", "high")}
        result[scan.name] = numbers | {"beats": bool(row["low"] > 0)}
    return result


def prevalence_table(results: dict[str, PositionResult]) -> dict:
    """Return the precision of bins at the operating threshold at other prevalences."""
    return {
        name: [
            {
                "times": times,
                "prevalence": result.values["prevalence"] * times,
                "precision": result.precision_at(result.values["prevalence"] * times),
            }
            for times in (1 / 3, 1.0, 3.0)
        ]
        for name, result in results.items()
    }


def ordered(tables: list[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    """Join tables, keys first."""
    joined = pd.concat(tables, ignore_index=True)
    return joined[[*first, *(name for name in joined.columns if name not in first)]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(evaluate, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
