"""Print what a finished screen found: what was trained, what was screened, calls, promises, report.

In: the folder of a screen's results. Out: a few lines on standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genomesieve.command_line import make_parser, run_script
from genomesieve.files import read_json, read_table


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of a screen's results")
    return parser.parse_args(argv)


def summarise(arguments: argparse.Namespace) -> None:
    """Read the results and print the lines."""
    folder = arguments.results
    model = read_json(folder / "model" / "model.json", "model description")
    lines = [training_line(model)]
    for path in sorted((folder / "scan").glob("*/summary.json")):
        lines.append(scan_line(read_json(path, "scan summary")))
        evaluated = folder / "evaluation" / path.parent.name
        if (evaluated / "promises.tsv").is_file():
            lines += evaluation_lines(evaluated, model)
        else:
            lines.append("    no annotation: calls only")
    archive = folder.parent / "report.zip"
    more = f" (and {archive})" if archive.is_file() else ""
    lines.append(f"report    {folder / 'report.html'}{more}")
    print("\n".join(lines))


def training_line(model: dict) -> str:
    """Say what was trained."""
    training = model["training"]
    genomes = ", ".join(training["genomes"])
    return (
        f"trained   {model['name']} ({model['parameters']:,} parameters, context "
        f"{model['context']} bp a side) for {', '.join(model['classes'])} on {genomes}"
    )


def scan_line(summary: dict) -> str:
    """Say what was screened and how many calls there are."""
    listed = ", ".join(f"{item['calls']:,} {name}" for name, item in summary["classes"].items())
    return (
        f"screened  {summary['genome']} ({summary['bases'] / 1e6:.1f} Mb, "
        f"{summary['strands']} strand(s)): {listed} calls"
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
    return lines


def promise(row: pd.Series, target: float) -> str:
    """Put the precision that calibration promised beside the one that was found."""
    text = (
        f"precision promised {row['promised']:.3f} ({row['low']:.3f}-{row['high']:.3f}; target "
        f"{target:g} {'reached' if row['reached'] else 'NOT REACHED'})"
    )
    if not row["calls"]:
        return f"{text}, but there are no calls"
    verdict = "inside" if row["within"] else "OUTSIDE"
    return (
        f"{text}, found {row['observed']:.3f} ({verdict} the interval), recall {row['recall']:.3f}"
    )


def comparison(metrics: pd.DataFrame, name: str) -> str:
    """Put average precision and AUROC of all models beside each other."""
    mine = metrics[
        (metrics["class"] == name) & metrics["metric"].isin(["average_precision", "auroc"])
    ]
    table = mine[~mine["model"].str.contains("-")].pivot_table(
        index="model", columns="metric", values="value", sort=False
    )
    parts = [
        f"{model} {row['average_precision']:.3f} / {row['auroc']:.4f}"
        for model, row in table.iterrows()
    ]
    return "average precision / AUROC: " + ", ".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(summarise, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
