"""Evaluate the scan of a genome with known sites: network and baselines, the same bins and blocks.

In: the genome's sites, ignored intervals and leakage audit, and for every model its bundle and its
merged scan with kept scores (the network first). Out, in --output-dir: metrics.tsv (long: genome,
model, class, universe, unit, metric, value, low, high), promises.tsv (promised against found
precision), curves.parquet, reliability.parquet, calls.parquet (judged calls and missed sites of the
network) and details.json. Intervals are 95 % block bootstrap; rows of model "network-baseline" are
paired differences.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve import evaluation
from genomesieve.bootstrap import block_weights, is_reliable, paired_difference
from genomesieve.calls import judge_calls
from genomesieve.command_line import json_value, make_parser, named_path, run_script
from genomesieve.curves import all_curves
from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_json, read_table, write_json, write_table
from genomesieve.genome import read_contigs
from genomesieve.label_counts import count_by_block, count_by_label, sparse_block_histogram
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS
from genomesieve.labels_on_bins import ScanLabels, drop_sites, label_bins
from genomesieve.layout import ScanLayout
from genomesieve.metrics import average_precision, prevalence, reliability
from genomesieve.promises import operating_threshold

logger = logging.getLogger(__name__)

DEFAULTS = {"bootstrap": 1000, "seed": 0, "ignore_margin": 0}
RELIABILITY_EDGES = np.arange(-9, 6.01, 0.75)
KEYS = ["genome", "model", "class", "universe", "unit", "metric", "value", "low", "high"]


@dataclass(frozen=True)
class ModelScan:
    """A model's merged scan, and what its bundle says of it."""

    name: str
    facts: dict
    total: np.ndarray
    floor: np.ndarray
    scores: np.ndarray
    candidates: pd.DataFrame

    def calibration(self, name: str) -> dict:
        """Return the calibration of a class."""
        return self.facts["calibration"]["classes"][name]


@dataclass(frozen=True)
class Setting:
    """What all models are measured on."""

    genome: str
    universe: str
    layout: ScanLayout
    labels: ScanLabels
    leaked: np.ndarray
    weights: np.ndarray


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--sites", type=Path, required=True, help="sites.parquet")
    parser.add_argument("--intervals", type=Path, required=True, help="intervals.parquet")
    parser.add_argument("--leakage", type=Path, required=True, help="from audit_leakage (parquet)")
    for option, text in {
        "--scan": "merged scan folder of a model; the network first",
        "--model": "bundle folder of a model, in the same order",
    }.items():
        parser.add_argument(
            option, type=named_path, action="append", required=True, metavar="NAME=PATH", help=text
        )
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"bootstrap": repeats, "seed": 0, "ignore_margin": bp}',
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the evaluation")
    return parser.parse_args(argv)


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure all models and write the tables."""
    for key in arguments.settings:
        if key not in DEFAULTS:
            raise InputError(f"evaluation.{key} is unknown; expected {', '.join(DEFAULTS)}")
    settings = DEFAULTS | arguments.settings
    scans = read_scans(arguments.scan, dict(arguments.model))
    network = scans[0]
    setting = read_setting(arguments, settings, dict(arguments.scan)[network.name], network)
    metrics, curves, reliabilities, promises, precisions = [], [], [], [], {}
    for scan in scans:
        judged = judge(scan, setting)
        for index, name in enumerate(network.facts["classes"]):
            results = evaluate_class(scan, setting, judged, index, name)
            key = {"genome": setting.genome, "model": scan.name, "class": name}
            metrics += [table.assign(**key) for table in results.metrics]
            where = key | {"universe": setting.universe}
            curves.append(results.curves.assign(**where))
            reliabilities.append(results.reliability.assign(**where))
            promises.append(pd.DataFrame(results.promises).assign(**key))
            precisions[scan.name, name] = results
        if scan is network:
            calls = list_calls(judged, setting, network)
    metrics += paired_rows(precisions, scans, setting)
    details = describe(setting, network, settings)
    folder = arguments.output_dir
    write_table(folder / "metrics.tsv", pd.concat(metrics, ignore_index=True)[KEYS])
    first = ["genome", "model", "class"]
    table = pd.concat(promises, ignore_index=True)
    write_table(folder / "promises.tsv", table[[*first, *table.columns.drop(first)]])
    write_table(folder / "curves.parquet", pd.concat(curves, ignore_index=True))
    write_table(folder / "reliability.parquet", pd.concat(reliabilities, ignore_index=True))
    write_table(folder / "calls.parquet", calls)
    write_json(folder / "details.json", details)


def read_scans(scans: list[tuple[str, Path]], models: dict[str, Path]) -> list[ModelScan]:
    """Read the merged scans and check that they cover the same bins of the same classes."""
    result = []
    for name, folder in scans:
        if name not in models:
            raise InputError(f"scan {name} has no --model {name}=PATH; expected one for each scan")
        facts = read_json(models[name] / "model.json", "model description")
        path = existing_file(folder / "scores.npy", "kept scores")
        with np.load(existing_file(folder / "histograms.npz", "histograms")) as content:
            total, floor = content["total"], content["floor"]
        scores = np.load(path, mmap_mode="r", allow_pickle=False)
        candidates = read_table(folder / "candidates.parquet", "candidates")
        result.append(ModelScan(name, facts, total, floor, scores, candidates))
        first = result[0]
        if scores.shape != first.scores.shape or facts["classes"] != first.facts["classes"]:
            raise InputError(
                f"scan {folder} has scores {scores.shape} of {', '.join(facts['classes'])}; "
                f"expected {first.scores.shape} of {', '.join(first.facts['classes'])}"
            )
    return result


def read_setting(arguments, settings: dict, folder: Path, network: ModelScan) -> Setting:
    """Place the known sites on the bins that the network's scan covers."""
    intervals = read_table(folder / "intervals.tsv", "scanned intervals", text=("contig", "part"))
    blocks = read_table(folder / "blocks.tsv", "blocks", text=("part",))
    layout = ScanLayout(intervals, blocks, network.facts["resolution"])
    universe = "test" if (intervals["part"] == "test").any() else "screen"
    tracks = read_table(arguments.intervals, "intervals", INTERVAL_COLUMNS)
    sites = read_table(arguments.sites, "sites", SITE_COLUMNS)
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    tracks = pd.concat([tracks, other_parts(intervals, universe)], ignore_index=True)
    labels = label_bins(
        layout,
        contigs,
        arguments.genome,
        sites,
        tracks,
        network.facts["classes"],
        bool(network.facts["stranded"][0]),
        settings["ignore_margin"],
    )
    leakage = read_table(arguments.leakage, "leakage audit", ("contig", "position", "leaked"))
    keys = ["contig", "position", "strand", "class"]
    audit = leakage.drop_duplicates(keys).set_index(keys)["leaked"]
    mine = pd.MultiIndex.from_frame(sites.iloc[labels.sites["row"].to_numpy()][keys])
    leaked = audit.reindex(mine).fillna(False).to_numpy(bool)
    weights = block_weights(
        int((blocks["part"] == universe).sum()), settings["bootstrap"], settings["seed"]
    )
    # Blocks of other parts are outside the universe and never drawn.
    full = np.zeros((len(weights), len(blocks)))
    full[:, (blocks["part"] == universe).to_numpy()] = weights
    return Setting(arguments.genome, universe, layout, labels, leaked, full)


def other_parts(intervals: pd.DataFrame, universe: str) -> pd.DataFrame:
    """Return the scanned intervals outside the evaluated part, as intervals to exclude."""
    rest = intervals[intervals["part"] != universe]
    return rest[["contig", "start", "end"]].assign(role="exclude", track="split", **{"class": ""})


def judge(scan: ModelScan, setting: Setting) -> pd.DataFrame:
    """Match all merged candidates of a model to the sites."""
    distances = [scan.calibration(name)["match_distance"] for name in scan.facts["classes"]]
    contig, _ = setting.layout.positions_of(scan.candidates["bin"].to_numpy(np.int64))
    calls = scan.candidates.assign(contig_index=contig)
    return judge_calls(calls, setting.layout, setting.labels, np.array(distances))


@dataclass(frozen=True)
class ClassResults:
    """What `evaluate_class` found."""

    metrics: list[pd.DataFrame]
    curves: pd.DataFrame
    reliability: pd.DataFrame
    promises: list[dict]
    average_precision: float
    resampled: np.ndarray


def evaluate_class(
    scan: ModelScan, setting: Setting, judged: pd.DataFrame, index: int, name: str
) -> ClassResults:
    """Measure one class of one model."""
    calibration, layout = scan.calibration(name), setting.layout
    histogram = sparse_block_histogram(
        scan.scores[:, index : index + 1], layout, scan.floor[index : index + 1]
    ).assign(class_index=index)
    counts = count_by_label(scan.total, scan.scores, setting.labels, index)
    blocks = count_by_block(
        histogram, scan.scores, setting.labels, index, layout, int(scan.floor[index])
    )
    if counts.positives.sum() == 0:
        raise InputError(f"genome {setting.genome} has no {name} in its {setting.universe} part")
    strands = scan.scores.shape[0]
    bins = int(counts.positives.sum() + counts.negatives.sum())
    megabases = bins * layout.resolution / strands / 1e6
    table, resampled = evaluation.position_metrics(
        counts, blocks, setting.weights, calibration, megabases
    )
    calls = judged[judged["class_index"] == index]
    sites = int((setting.labels.sites["class_index"] == index).sum())
    promises = [
        evaluation.promise_row(
            threshold,
            calls,
            sites,
            setting.weights,
            scan.facts["calibration"]["bins"],
            bins,
        )
        for threshold in calibration["thresholds"]
    ]
    per_call = evaluation.call_metrics(promises[calibration["operating"]], megabases)
    tables = [
        table.assign(universe=setting.universe, unit="position"),
        per_call.assign(universe=setting.universe, unit="call"),
        unleaked_metrics(scan, setting, index),
    ]
    log_odds = evaluation.code_log_odds(calibration)
    found = reliability(counts.positives, counts.negatives, log_odds, RELIABILITY_EDGES)
    operating = operating_threshold(calibration)["code"]
    value = float(average_precision(counts.positives, counts.negatives))
    curves = all_curves(counts, blocks, setting.weights, operating)
    return ClassResults(tables, curves, pd.DataFrame(found), promises, value, resampled)


def unleaked_metrics(scan: ModelScan, setting: Setting, index: int) -> pd.DataFrame:
    """Measure a class without the sites whose surroundings occur in training sequence."""
    labels = drop_sites(setting.labels, setting.leaked)
    counts = count_by_label(scan.total, scan.scores, labels, index)
    values = {
        "average_precision": average_precision(counts.positives, counts.negatives),
        "prevalence": prevalence(counts.positives, counts.negatives),
        "sites": counts.positives.sum(),
    }
    rows = [(name, float(value), np.nan, np.nan) for name, value in values.items()]
    table = pd.DataFrame(rows, columns=["metric", "value", "low", "high"])
    return table.assign(universe=f"{setting.universe}:unleaked", unit="position")


def paired_rows(results: dict, scans: list[ModelScan], setting: Setting) -> list[pd.DataFrame]:
    """Return the differences of average precision between the network and each baseline."""
    network, rows = scans[0], []
    for scan in scans[1:]:
        for name in network.facts["classes"]:
            ours, theirs = results[network.name, name], results[scan.name, name]
            interval = paired_difference(ours.resampled, theirs.resampled)
            rows.append(
                {
                    "genome": setting.genome,
                    "model": f"{network.name}-{scan.name}",
                    "class": name,
                    "universe": setting.universe,
                    "unit": "position",
                    "metric": "average_precision",
                    "value": ours.average_precision - theirs.average_precision,
                    "low": interval.low,
                    "high": interval.high,
                }
            )
    return [pd.DataFrame(rows)] if rows else []


def list_calls(judged: pd.DataFrame, setting: Setting, network: ModelScan) -> pd.DataFrame:
    """List the network's judged candidates above its lowest threshold, and the sites it missed."""
    parts, classes = [], network.facts["classes"]
    sites = setting.labels.sites
    contigs = setting.layout.intervals.drop_duplicates("contig_index").set_index("contig_index")
    signs = np.array(["+", "-"] if network.facts["stranded"][0] else ["."], dtype=object)
    for index, name in enumerate(classes):
        calibration = network.calibration(name)
        operating = operating_threshold(calibration)["code"]
        lowest = min(item["code"] for item in calibration["thresholds"])
        mine = judged[(judged["class_index"] == index) & (judged["code"] >= lowest)]
        mine = mine.assign(called=mine["code"] >= operating)
        parts.append(mine)
        found = mine.loc[mine["called"] & (mine["site"] >= 0), "site"]
        missed = sites[(sites["class_index"] == index) & ~sites.index.isin(found)]
        start = missed["position"] // setting.layout.resolution * setting.layout.resolution
        parts.append(
            pd.DataFrame(
                {
                    "contig": contigs["contig"].reindex(missed["contig_index"]).to_numpy(),
                    "start": start.to_numpy(),
                    "end": start.to_numpy() + setting.layout.resolution,
                    "class": name,
                    "strand": signs[missed["strand_index"].to_numpy()],
                    "status": "missed",
                    "called": False,
                }
            )
        )
    columns = ["contig", "start", "end", "class", "strand", "score", "probability", "fdr"]
    table = pd.concat(parts, ignore_index=True)[[*columns, "status", "called"]]
    return table.astype({"called": bool})


def describe(setting: Setting, network: ModelScan, settings: dict) -> dict:
    """Describe how the numbers came about."""
    mine = setting.layout.blocks["part"] == setting.universe
    blocks = setting.layout.blocks[mine]
    sizes = (blocks["end_bin"] - blocks["first_bin"]) * setting.layout.resolution
    contigs = setting.layout.intervals["contig"].nunique()
    notes = []
    if contigs == 1:
        notes.append("All blocks lie on one contig; they do not speak for other contigs.")
    if not is_reliable(len(blocks)):
        notes.append(f"Only {len(blocks)} blocks: intervals are unreliable below 20.")
    if setting.genome not in network.facts["calibration"]["genome"].split(", "):
        notes.append(
            f"Probabilities and false discovery rates hold at the prevalence of "
            f"{network.facts['calibration']['genome']}, where the model was calibrated; here "
            "promises hold if prevalence and score distributions carry over."
        )
    return {
        "genome": setting.genome,
        "universe": setting.universe,
        "settings": settings,
        "definitions": " ".join((evaluation.__doc__ or "").split()),
        "blocks": len(blocks),
        "block_bp": int(sizes.median()),
        "reliable": is_reliable(len(blocks)),
        "contigs": int(contigs),
        "sites": int(len(setting.labels.sites)),
        "leaked_sites": int(setting.leaked.sum()),
        "calibration_genome": network.facts["calibration"]["genome"],
        "notes": notes,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(evaluate, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
