"""What pretraining on hidden bases does for splice sites, by how much of the sequence is labelled.

A network's stem and trunk are pretrained on the first 20 Mb of chromosome 1 of A. thaliana, without
labels. Its perplexity is measured on 24.5-26.5 Mb, beside k-mer models on the same hidden bases.
Then splice sites are learned from 1, 3, 10, 30 and 100 % of those 20 Mb, once from scratch and once
from the pretrained trunk. A share (`train_share` of `split_genome`) is made of blocks of 50 kb that
the seed draws, those of a smaller share among those of a larger one; what is left out is not used,
as a site or as a negative. Both networks of a pair have the same windows, the same first weights of
the head, the same order of windows and the same number of steps. Weights are kept by the average
precision on 24.0-24.5 Mb, whose labels both have whatever the share. Average precision per class is
measured on every position of 27-28 Mb, both strands. That part was seen in no training, labelled or
not, and chose nothing.

The interval of a difference is that of 20 blocks of 50 kb drawn with replacement, the same for
both, mean over seeds. A difference counts only where the interval excludes 0 and all seeds, two or
more, agree on its sign. One trunk serves all seeds: they vary labelled blocks, windows and heads.

Everything runs on one core. Genome and annotation are looked for where the tests look for real
genomes (GENOMESIEVE_DATA); nothing is fetched. What is finished in --folder is not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from auxiliary import (
    BLOCK,
    CHOSEN_ON,
    CLASSES,
    LEARNED,
    TESTED_ON,
    VALIDATION_BP,
    Data,
    count_scores,
    prepare,
    run,
)
from measuring import machine
from real_data import ARABIDOPSIS_CONTIG as CONTIG
from real_data import ARABIDOPSIS_FASTA as FASTA
from real_data import ARABIDOPSIS_GTF as GTF
from real_data import DATA

import augment_windows
import pretrain_model
import sample_windows
import split_genome
import train_model
from genomesieve.bootstrap import (
    block_weights,
    paired_difference,
    percentile_interval,
    resample_histograms,
)
from genomesieve.bundle import load_bundle
from genomesieve.metrics import average_precision
from genomesieve.processors import use_threads

HELD_OUT = (24_500_000, 26_500_000)
MODEL = {"preset": "dilated", "channels": 32, "dilations": [1, 2, 4, 8, 16]}
LENGTH, BATCH, VALIDATIONS = 1000, 16, 4
RATE = 0.004
TRANSFER = {"trunk_rate": 0.3, "layer_decay": 0.9}
ARMS = ("scratch", "pretrained")
RESULT = Path(__file__).parent / "results" / "pretraining.json"


def pretrain(data: Data, folder: Path, arguments: argparse.Namespace) -> Path:
    """Pretrain the stem and trunk; an interrupted run goes on."""
    output = folder / "trunk"
    if (output / "model.json").is_file():
        return output
    training = {"steps": arguments.pretraining_steps, "batch": 16, "length": 2000}
    training |= {"learning_rate": RATE, "evaluation_bp": round(arguments.perplexity_mb * 1e6)}
    training |= {"validations": min(6, arguments.pretraining_steps)}
    split = {"train": [region(LEARNED)], "held_out": [region(HELD_OUT)]}
    run(
        pretrain_model.main, "--genome", f"g={data.folder}", "--split", json.dumps({"g": split}),
        "--model", json.dumps(MODEL), "--training", json.dumps(training), "--threads", 1,
        "--device", "cpu", "--checkpoint", folder / "checkpoint", "--output-dir", output,
    )  # fmt: skip
    return output


def region(interval: tuple[int, int]) -> str:
    """Write an interval of the chromosome as scripts read it."""
    return f"{CONTIG}:{interval[0]}-{interval[1]}"


def write_windows(data: Data, folder: Path, share: float, seed: int, steps: int) -> list[str]:
    """Choose the labelled share and draw windows in it; return options for training."""
    split, sampled, windows = (folder / name for name in ("split.tsv", "s.parquet", "w.parquet"))
    parts = {"train": LEARNED, "valid": CHOSEN_ON, "calibrate": HELD_OUT, "test": TESTED_ON}
    settings = {"contigs": {part: [region(where)] for part, where in parts.items()}}
    settings |= {"train_share": share, "train_block": BLOCK, "train_seed": seed}
    run(
        split_genome.main, "--genome", "g", "--genome-folder", data.folder, "--settings",
        json.dumps(settings), "--sites", data.folder / "sites.parquet", "--output", split,
        "--summary", folder / "split.json",
    )  # fmt: skip
    drawn = {
        "length": LENGTH,
        "windows": max(BATCH, steps * BATCH // 2),
        "validation_bp": VALIDATION_BP,
    }
    run(
        sample_windows.main, *data.options(split), "--settings", json.dumps(drawn),
        "--resolution", 1, "--seed", seed, "--output", sampled, "--summary", folder / "s.json",
    )  # fmt: skip
    run(
        augment_windows.main, "--windows", sampled, "--stranded", "true", "--output", windows,
        "--summary", folder / "a.json",
    )  # fmt: skip
    return [*data.options(split), "--windows", str(windows)]


def train(
    given: Sequence[str], trunk: Path | None, seed: int, arguments: argparse.Namespace, output: Path
) -> None:
    """Train a network on one core, from a trunk or from scratch."""
    training: dict = {"steps": arguments.steps, "batch": BATCH, "learning_rate": RATE}
    training |= {"validations": min(VALIDATIONS, arguments.steps), "patience": VALIDATIONS}
    start = []
    if trunk is not None:
        training["pretrained"] = TRANSFER | {"trunk_rate": arguments.trunk_rate}
        start = ["--pretrained", trunk]
    run(
        train_model.main, *given, "--labels", "exclusive", "--classes", json.dumps(CLASSES),
        "--model", json.dumps(MODEL), "--training", json.dumps(training), *start,
        "--seed", seed, "--threads", 1, "--device", "cpu", "--output-dir", output,
    )  # fmt: skip


def measure_cell(
    data: Data, folder: Path, trunk: Path, share: float, seed: int, arguments: argparse.Namespace
) -> dict:
    """Train and test both networks of a pair; return average precisions, one row of them a class.

    `drawn` holds those of the block bootstrap, shape=(repeats,).
    """
    given = write_windows(data, folder, share, seed, arguments.steps)
    tested_on = TESTED_ON[0], TESTED_ON[0] + round(arguments.test_mb * 1e6)
    weights = block_weights((tested_on[1] - tested_on[0]) // BLOCK, arguments.repeats, 0)
    summary = json.loads((folder / "split.json").read_text())["parts"]["train"]
    cell: dict = {"share": share, "seed": seed, "bp": summary["bp"], "sites": summary["sites"]}
    cell["arms"] = {}
    for arm, start in zip(ARMS, (None, trunk)):
        begin, model = time.process_time(), folder / arm
        if not (model / "model.json").is_file():
            train(given, start, seed, arguments, model)
        found: dict = {"training_core_seconds": time.process_time() - begin}
        negatives, sites = count_scores(data, model, tested_on)
        for row, name in enumerate(CLASSES):
            statistic = {"value": average_precision}
            drawn = resample_histograms(weights, sites[row], negatives[row], statistic)["value"]
            value = float(average_precision(sites[row].sum(0), negatives[row].sum(0)))
            found[name] = {"average_precision": value, "drawn": drawn}
        history = load_bundle(model).history
        found["history"] = history.drop(columns=["seconds", "bases_per_second"]).to_dict("records")
        cell["arms"][arm] = found
        print(share, seed, arm, {n: round(found[n]["average_precision"], 4) for n in CLASSES})
    return cell


def summarise(cells: list[dict]) -> list[dict]:
    """Return one row a share and class: both arms, their difference, and whether it counts."""
    rows = []
    for share in dict.fromkeys(cell["share"] for cell in cells):
        mine = [cell for cell in cells if cell["share"] == share]
        rows += [_row([cell["arms"] for cell in mine], mine, name) for name in CLASSES]
    return rows


def _row(arms: list[dict], cells: list[dict], name: str) -> dict:
    """Return the row of a share and a class, over seeds."""
    row = {
        "share": cells[0]["share"],
        "percent": f"{100 * cells[0]['share']:g} %",
        "labelled_mb": float(np.mean([cell["bp"] for cell in cells])) / 1e6,
        "sites": round(float(np.mean([cell["sites"][name] for cell in cells]))),
        "class": name,
        "seeds": len(cells),
    }
    drawn, values = {}, {}
    for arm in ARMS:
        values[arm] = [one[arm][name]["average_precision"] for one in arms]
        drawn[arm] = np.mean([one[arm][name]["drawn"] for one in arms], 0)
        interval = percentile_interval(drawn[arm])
        row[arm] = {"average_precision": float(np.mean(values[arm])), "by_seed": values[arm]}
        row[arm] |= {"low": interval.low, "high": interval.high}
    by_seed = np.subtract(values["pretrained"], values["scratch"])
    interval = paired_difference(drawn["pretrained"], drawn["scratch"])
    agree = len(cells) > 1 and bool((by_seed > 0).all() or (by_seed < 0).all())
    row["difference"] = {
        "mean": float(by_seed.mean()), "low": interval.low, "high": interval.high,
        "by_seed": by_seed.tolist(), "shown": ", ".join(f"{value:+.3f}" for value in by_seed),
        "counts": "yes" if interval.excludes_zero and agree else "no",
    }  # fmt: skip
    return row


def perplexity_rows(trunk: Path) -> list[dict]:
    """Return the perplexities of the network and the k-mer models, as pretraining wrote them."""
    table = pd.read_csv(trunk / "perplexity.tsv", sep="\t")
    return json.loads(table.to_json(orient="records"))


def write_result(path: Path, arguments: argparse.Namespace, cells: list[dict], trunk: Path) -> None:
    """Write everything that was measured."""
    rows = summarise(cells)
    history = pd.read_csv(trunk / "history.tsv", sep="\t")
    kept = [_without_draws(cell) for cell in cells]
    content = {
        "benchmark": "pretraining",
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": {"torch": torch.__version__},
        "rows": rows,
        "perplexity": perplexity_rows(trunk),
        "details": {
            "model": MODEL,
            "pretraining_steps": arguments.pretraining_steps,
            "pretraining_history": history.to_dict("records"),
            "steps": arguments.steps,
            "batch": BATCH,
            "window_bp": LENGTH,
            "transfer": TRANSFER | {"trunk_rate": arguments.trunk_rate},
            "tested_mb": arguments.test_mb,
            "bootstrap_repeats": arguments.repeats,
            "cells": kept,
        },
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def _without_draws(cell: Mapping) -> dict:
    """Return a cell without its bootstrap repeats."""
    arms = {
        arm: {
            key: {"average_precision": item["average_precision"]} if key in CLASSES else item
            for key, item in found.items()
        }
        for arm, found in cell["arms"].items()
    }
    return dict(cell) | {"arms": arms}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pretraining-steps", type=int, default=4000, help="of 16 windows of 2,000 bp")
    add("--steps", type=int, default=800, help="optimiser steps of every labelled training")
    add("--shares", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3, 1.0])
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--trunk-rate", type=float, default=TRANSFER["trunk_rate"], help="of the pretrained arm")
    add("--test-mb", type=float, default=1.0, help="of the tested part, from 27")
    add("--perplexity-mb", type=float, default=2.0, help="of the held-out part, from 24.5")
    add("--repeats", type=int, default=200, help="of the block bootstrap")
    add("--folder", type=Path, help="where to work and keep models (default: a temporary folder)")
    add("--output", type=Path, default=RESULT, help="JSON to write")
    return parser.parse_args()


def main() -> int:
    """Measure and write."""
    arguments = parse_arguments()
    if not (FASTA.is_file() and GTF.is_file()):
        print(f"not measured: no genome at {DATA} (set GENOMESIEVE_DATA)")
        return 0
    use_threads(1)
    own = arguments.folder
    with tempfile.TemporaryDirectory() if own is None else nullcontext(own) as name:
        folder = Path(name)
        (folder / "data").mkdir(parents=True, exist_ok=True)
        data = prepare(folder / "data")
        trunk, cells = pretrain(data, folder, arguments), []
        for seed in arguments.seeds:
            for share in arguments.shares:
                place = folder / f"{share:g}-{seed}"
                place.mkdir(exist_ok=True)
                cells.append(measure_cell(data, place, trunk, share, seed, arguments))
                cells.sort(key=lambda cell: (cell["share"], cell["seed"]))
                # Hours may be ahead: what is measured is written.
                write_result(arguments.output, arguments, cells, trunk)
    return 0


if __name__ == "__main__":
    sys.exit(main())
