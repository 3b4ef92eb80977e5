"""Finished runs of the workflow, compared on one universe with the workflow's own evaluation."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

import evaluate_scan  # noqa: E402
from genomesieve.bootstrap import percentile_interval  # noqa: E402
from genomesieve.promises import probability_of  # noqa: E402
from genomesieve.scan_files import read_calibrated_model  # noqa: E402

RESULTS = REPOSITORY / "results"
RATIO = "average_precision_ratio"
DIFFERENCE = "average_precision_difference"
_PRECISION = "average_precision"


def command_line(description: str, metavar: str, choices: Iterable[str]) -> argparse.Namespace:
    """Read which runs are wanted, and whether they are only to be measured."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="+", metavar=metavar, choices=choices, help=", ".join(choices)
    )
    parser.add_argument("--cores", type=int, default=2, help="cores that the workflow may use")
    parser.add_argument("--measure-only", action="store_true", help="of runs that are finished")
    return parser.parse_args()


def run_workflow(config: Path, cores: int, *options: str) -> None:
    """Run a configuration to the end; what is finished is not run again."""
    command = ["snakemake", "--configfile", str(config), "--cores", str(cores), *options]
    subprocess.run(command, cwd=REPOSITORY, check=True)


def evaluate_roads(
    config: Path, screen: str, genome: str, roads: dict[str, str]
) -> tuple[evaluate_scan.Subject, dict[str, dict]]:
    """Evaluate finished scans bin by bin on the labels of one screen.

    Parameters
    ----------
    config : Path
        The configuration that holds the screen.
    screen, genome : str
        Whose sites, intervals and test part are used.
    roads : dict of str to str
        Folder below results/ by model name, the network first.

    Returns
    -------
    subject : evaluate_scan.Subject
    results : dict
        PositionResult by class and model name; draws are paired.
    """
    arguments = _arguments(config, screen, genome, roads)
    settings = evaluate_scan.complete_settings(
        "evaluation", arguments.settings, evaluate_scan.DEFAULTS
    )
    models = {name: read_calibrated_model(path) for name, path in arguments.model.items()}
    evaluate_scan.check_models(models)
    network = next(iter(roads))
    layout, part, first = evaluate_scan.evaluated_layout(arguments.scan[network], models[network])
    subject = evaluate_scan.make_subject(arguments, models[network], layout, part, settings)
    scans = [
        evaluate_scan.open_scan(name, models[name], arguments.scan[name], layout, part, first)
        for name in roads
    ]
    results = {
        kind: {scan.name: _evaluate(subject, scan, index) for scan in scans}
        for index, kind in enumerate(subject.classes)
    }
    return subject, results


def _evaluate(subject: evaluate_scan.Subject, scan: evaluate_scan.ScannedModel, index: int):
    """Evaluate a model for a class as evaluate_scan does, with Matthews' correlation beside it.

    The correlation is that of calling every bin whose calibrated probability is at least one half.
    """
    result = evaluate_scan.evaluate_bins(subject, scan, subject.labels, index)[0]
    counts = evaluate_scan.count_by_label(scan.total, scan.scores, subject.labels, index)
    codes = np.arange(len(counts.positives))
    called = probability_of(codes, scan.calibration(index)) >= 0.5
    true, false = counts.positives[called].sum(), counts.negatives[called].sum()
    missed, left = counts.positives[~called].sum(), counts.negatives[~called].sum()
    sides = np.sqrt(float(true + false) * (true + missed) * (left + false) * (left + missed))
    result.values["mcc"] = float((float(true) * left - float(false) * missed) / max(sides, 1e-300))
    return result


def _arguments(config: Path, screen: str, genome: str, roads: dict[str, str]):
    """Write the command line of evaluate_scan for finished scans, and read it."""
    chosen = yaml.safe_load(config.read_text())["screens"][screen]
    settings = {"ignore_margin": chosen.get("ignore_margin", 0), **chosen.get("evaluation", {})}
    sites = RESULTS / screen / "sites"
    given = [
        *("--genome", genome, "--genome-folder", str(RESULTS / "genomes" / genome)),
        *("--sites", str(sites / f"{genome}.parquet")),
        *("--intervals", str(sites / f"{genome}.intervals.parquet")),
        *("--leakage", str(RESULTS / screen / "leakage" / f"{genome}.parquet")),
        *("--settings", json.dumps(settings), "--output-dir", "unused"),
    ]
    for name, road in roads.items():
        given += ["--scan", f"{name}={RESULTS / road / 'scan' / genome}"]
        given += ["--model", f"{name}={RESULTS / road / 'model'}"]
    return evaluate_scan.parse_arguments(given)


def training_minutes(road: str) -> float | None:
    """Return how long a road's network was trained; None for what is fitted or imported."""
    history = pd.read_csv(RESULTS / road / "model" / "history.tsv", sep="\t")
    return round(history["seconds"].iloc[-1] / 60, 1) if "seconds" in history else None


def average(found: list[dict], name: str) -> tuple[float, np.ndarray]:
    """Return a model's AP averaged over classes, and the same of every bootstrap repeat."""
    value = float(np.mean([one[name].values[_PRECISION] for one in found]))
    return value, np.mean([one[name].draws[_PRECISION] for one in found], axis=0)


def paired_rows(kind: str, found: list[dict], name: str, peer: str) -> list[dict]:
    """Return the difference and the ratio of a model's AP to a peer's, on the same blocks."""
    (ours, our_draws), (theirs, their_draws) = (average(found, one) for one in (name, peer))
    pairs = {
        DIFFERENCE: (ours - theirs, our_draws - their_draws),
        RATIO: (ours / theirs, our_draws / their_draws),
    }
    rows = []
    for metric, (value, draws) in pairs.items():
        interval = percentile_interval(draws)
        rows.append(
            {
                "class": kind,
                "metric": metric,
                "value": value,
                "low": interval.low,
                "high": interval.high,
                "peer_value": None,
            }  # fmt: skip
        )
    return rows
