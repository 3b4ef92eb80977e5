"""What one change does, everything else the same: screens of one configuration, compared.

    python benchmarks/ablations.py symmetry imbalance

Each name is a configuration of benchmarks/ablations, run by the workflow in the repository's root
(a link `data` names the data where the configuration asks for it). The first screen is what the
others are compared with: differences of average precision are paired on the same blocks of the test
part. With several seeds the table gives the mean and range of the single networks beside their
ensemble. Results go to results/ablation_NAME.json.
"""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import yaml
from measuring import RESULTS, machine
from roads import (
    REPOSITORY,
    average,
    command_line,
    evaluate_roads,
    paired_rows,
    run_workflow,
)
from roads import RESULTS as RUNS

from genomesieve.bootstrap import percentile_interval

FOLDER = REPOSITORY / "benchmarks" / "ablations"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
ALSO = {"symmetry": dict.fromkeys(("lstm_average", "lstm_equivariant"), "lstm_augment")}
"""What some screens of an ablation are compared with beside the first one."""
AVERAGED = ("brier_skill", "ece", "strand_disagreement", "strand_difference")
"""Metrics that are averaged over classes."""


def measure(name: str) -> list[dict]:
    """Compare the screens of a finished configuration; return a row for each."""
    path = FOLDER / f"{name}.yaml"
    screens = yaml.safe_load(path.read_text())["screens"]
    first = next(iter(screens))
    genome = screens[first]["scan_genomes"][0]
    subject, results = evaluate_roads(path, first, genome, {one: one for one in screens})
    found = list(results.values())
    rows = []
    for screen, settings in screens.items():
        value, draws = average(found, screen)
        interval = percentile_interval(draws)
        row = {
            "screen": screen, "title": settings["title"], "average_precision": value,
            "low": interval.low, "high": interval.high,
            "blocks": len(subject.layout.blocks),
            **{f"average_precision.{kind}": results[kind][screen].values["average_precision"]
               for kind in results},
        }  # fmt: skip
        if screen != first:
            row |= difference_row(found, screen, first)
        if peer := ALSO.get(name, {}).get(screen):
            row["also"] = difference_row(found, screen, peer)
        rows.append(row | table_values(screen, genome, subject.part) | cost_of(screen))
    return rows


def difference_row(found: list[dict], screen: str, first: str) -> dict:
    """Return the paired difference of a screen's mean AP to the first screen's."""
    difference = paired_rows("mean", found, screen, first)[0]
    return {
        "compared_with": first, "difference": difference["value"],
        "difference_low": difference["low"], "difference_high": difference["high"],
    }  # fmt: skip


def table_values(screen: str, genome: str, part: str) -> dict:
    """Return what the screen's own tables say: calibration, strands, and its seeds' networks."""
    table = pd.read_csv(RUNS / screen / "evaluation" / genome / "metrics.tsv", sep="\t")
    table = table[(table["universe"] == part) & (table["unit"] == "position")]
    own = table[table["model"] == table["model"].iloc[0]]
    values = {
        metric: float(own.loc[own["metric"] == metric, "value"].mean())
        for metric in AVERAGED
        if (own["metric"] == metric).any()
    }
    single = table[table["model"].str.fullmatch(r"[^-]+\.seed\d+")]
    single = single[single["metric"] == "average_precision"].groupby("model")["value"].mean()
    if len(single):
        values["seeds"] = single.to_dict()
        values["seeds_mean"] = float(single.mean())
        values["seeds_sd"] = float(single.std(ddof=1))
    return values


def cost_of(screen: str) -> dict:
    """Return what training a screen's network cost, and how far from calibrated it was."""
    paths = sorted((RUNS / screen / "training" / "base").glob("round*/seed*/history.tsv"))
    histories = [pd.read_csv(path, sep="\t") for path in paths]
    model = json.loads((RUNS / screen / "model" / "model.json").read_text())
    classes = model["calibration"]["classes"].values()
    return {
        "train_minutes": float(np.median([one["seconds"].iloc[-1] for one in histories])) / 60,
        "train_bases_per_second": float(
            np.median([one["bases_per_second"].median() for one in histories])
        ),
        "parameters": model["parameters"],
        # Of the logistic curve from raw log-odds to probabilities: 1 and 0 for calibrated ones.
        "slope": float(np.mean([one["slope"] for one in classes])),
        "intercept": float(np.mean([one["intercept"] for one in classes])),
    }


def main() -> None:
    """Run and measure the ablations that are named."""
    arguments = command_line(__doc__, "ABLATION", NAMES)
    for name in arguments.names:
        if not arguments.measure_only:
            run_workflow(FOLDER / f"{name}.yaml", arguments.cores)
        rows = measure(name)
        content = {
            "benchmark": f"ablation_{name}", "date": date.today().isoformat(),
            "machine": machine(), "rows": rows,
        }  # fmt: skip
        (RESULTS / f"ablation_{name}.json").write_text(json.dumps(content, indent=1) + "\n")
        columns = ["screen", "average_precision", "low", "high", "difference", "difference_low"]
        table = pd.DataFrame(rows).reindex(columns=[*columns, "difference_high", "train_minutes"])
        print(table.to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
