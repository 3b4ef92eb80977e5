"""Print what a finished screen found: what was trained, what was screened, calls, promises, report.

In: the folder of a screen's results. Out: a few lines on standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_json, read_table


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of a screen's results")
    parser.add_argument(
        "--config",
        type=Path,
        help="configuration that the screen stands in; genomes are listed in its order "
        "(default: those that the model was trained on first)",
    )
    return parser.parse_args(argv)


def summarise(arguments: argparse.Namespace) -> None:
    """Read the results and print the lines."""
    folder = arguments.results
    model = read_json(folder / "model" / "model.json", "model description")
    lines = [training_line(model)]
    first = model["training"]["genomes"]
    if arguments.config is not None:
        first = scan_order(arguments.config, folder.name)
    paths = sorted((folder / "scan").glob("*/summary.json"))
    known = {name: number for number, name in enumerate(first)}
    for path in sorted(paths, key=lambda path: known.get(path.parent.name, len(known))):
        lines.append(scan_line(read_json(path, "scan summary"), model))
        evaluated = folder / "evaluation" / path.parent.name
        if (evaluated / "promises.tsv").is_file():
            lines += evaluation_lines(evaluated, model)
        else:
            lines.append("    no annotation: calls only")
    archive = folder.parent / "report.zip"
    more = f" (and {archive})" if archive.is_file() else ""
    lines.append(f"report    {folder / 'report.html'}{more}")
    print("\n".join(lines))


def scan_order(path: Path, screen: str) -> list[str]:
    """Return the genomes that a screen scans, in the order of the configuration."""
    try:
        content = yaml.safe_load(existing_file(path, "configuration").read_text())
        return list(content["screens"][screen]["scan_genomes"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            f"configuration {path} names no genomes to scan for screen {screen} "
            f"({' '.join(str(error).split())}); expected screens, the screen and its scan_genomes"
        ) from error


def training_line(model: dict) -> str:
    """Say what was trained."""
    training = model["training"]
    genomes = ", ".join(training["genomes"])
    return (
        f"trained   {model['name']} ({model['parameters']:,} parameters, context "
        f"{model['context']} bp a side) for {', '.join(model['classes'])} on {genomes}"
    )


def scan_line(summary: dict, model: dict) -> str:
    """Say what was screened and how many calls there are."""
    listed = ", ".join(f"{item['calls']:,} {name}" for name, item in summary["classes"].items())
    own = summary["genome"] in model["training"]["genomes"]
    what = "the genome trained on" if own else "not trained on"
    strands = ", both strands" if summary["strands"] == 2 else ""
    return (
        f"screened  {summary['genome']}, {what} ({summary['bases'] / 1e6:.1f} Mb{strands}): "
        f"{listed} calls"
    )


def evaluation_lines(folder: Path, model: dict) -> list[str]:
    """Say, per class, what precision was promised and found, and how models compare."""
    promises = read_table(folder / "promises.tsv", "promises", text=("genome", "model", "class"))
    metrics = read_table(folder / "metrics.tsv", "metrics", text=("genome", "model", "class"))
    metrics = metrics[~metrics["universe"].str.contains(":")]
    lines = []
    for name in model["classes"]:
        operating = model["calibration"]["classes"][name]
        target = operating["thresholds"][operating["operating"]]["precision_target"]
        mine = promises[(promises["model"] == model["name"]) & (promises["class"] == name)]
        row = mine[mine["precision_target"] == target].iloc[0]
        lines.append(f"    {name}: {promise(row, target)}")
        lines.append(f"      {comparison(metrics, name)}")
        lines += [f"      {words}" for words in verdict(metrics, name, model["name"])]
    return lines


def promise(row: pd.Series, target: float) -> str:
    """Put the precision that calibration promised beside the one that was found."""
    text = (
        f"precision promised {row['promised']:.3f} ({row['low']:.3f}-{row['high']:.3f}; target "
        f"{target:g} {'reached' if row['reached'] else 'NOT REACHED'})"
    )
    if not row["calls"]:
        return f"{text}, but there are no calls"
    where = "inside"
    if not row["within"]:
        where = "ABOVE" if row["observed"] > row["high"] else "BELOW"
    return f"{text}, found {row['observed']:.3f} ({where} the interval), recall {row['recall']:.3f}"


def comparison(metrics: pd.DataFrame, name: str) -> str:
    """Put average precision and AUROC of all models beside each other."""
    mine = metrics[
        (metrics["class"] == name)
        & metrics["metric"].isin(["average_precision", "auroc"])
        & ~metrics["model"].str.contains("-")
    ]
    table = mine.pivot_table(index="model", columns="metric", values="value", sort=False)
    parts = [
        f"{model} {row['average_precision']:.3f} / {row['auroc']:.4f}"
        for model, row in table.iterrows()
    ]
    return "average precision / AUROC: " + ", ".join(parts)


def verdict(metrics: pd.DataFrame, name: str, network: str) -> list[str]:
    """Say whether the network beats each baseline, by whether the paired interval excludes 0."""
    words = []
    pairs = metrics[(metrics["class"] == name) & (metrics["metric"] == "average_precision")]
    for row in pairs[pairs["model"].str.startswith(f"{network}-")].to_dict("records"):
        how = "does not differ clearly from"
        if row["low"] > 0:
            how = "beats"
        elif row["high"] < 0:
            how = "is worse than"
        baseline = row["model"].removeprefix(f"{network}-")
        words.append(
            f"{how} {baseline} ({row['value']:+.3f}, 95 % {row['low']:+.3f} to {row['high']:+.3f})"
        )
    return [f"{network} {'; '.join(words)}"] if words else []


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(summarise, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
