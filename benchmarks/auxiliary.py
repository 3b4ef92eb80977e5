"""What properties of the sequence, learned beside the classes, do to the classes: an ablation.

Splice sites of A. thaliana are learned from 0.5, 2 and 8 Mb of chromosome 1 (blocks of 50 kb that
a seed draws from its first 20 Mb), once alone and once beside GC, CpG, stacking energy and purine
runs (`auxiliary` of a screen, default weights). Both networks of a pair have the same sequence,
windows, first weights and order of windows; all have the same number of steps. Weights are kept by
the average precision on 24.0-24.5 Mb. Average precision per class is then measured on every
position of 27-28 Mb, both strands. That part chose no weights and no setting of this script.

The interval of a difference is that of 20 blocks of 50 kb drawn with replacement, the same for
both, mean over seeds: it speaks for other sequence of that chromosome and these seeds. Seeds are
listed one by one. The steps are few: a gain may be that of learning sooner and not of learning
better, which more `--steps` can tell apart. A difference counts only where the interval excludes 0
and all seeds, two or more, agree on its sign.

Everything runs on one core. Genome and annotation are looked for where the tests look for real
genomes (GENOMESIEVE_DATA); nothing is fetched.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from measuring import machine  # noqa: E402
from real_data import ARABIDOPSIS_CONTIG as CONTIG  # noqa: E402
from real_data import ARABIDOPSIS_FASTA as FASTA  # noqa: E402
from real_data import ARABIDOPSIS_GTF as GTF  # noqa: E402
from real_data import DATA  # noqa: E402

import augment_windows  # noqa: E402
import encode_genome  # noqa: E402
import extract_sites  # noqa: E402
import sample_windows  # noqa: E402
import train_model  # noqa: E402
from genomesieve.batches import WindowSource  # noqa: E402
from genomesieve.bootstrap import (  # noqa: E402
    block_weights,
    paired_difference,
    percentile_interval,
    resample_histograms,
)
from genomesieve.bundle import load_bundle  # noqa: E402
from genomesieve.labelled_genome import LabelledGenome, open_labelled_genomes  # noqa: E402
from genomesieve.metrics import average_precision  # noqa: E402
from genomesieve.networks import log_odds  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402
from genomesieve.scores import CODES  # noqa: E402
from genomesieve.validation import count_by_label  # noqa: E402

BLOCK = 50_000
LEARNED, CHOSEN_ON, TESTED_ON = (0, 20_000_000), (24_000_000, 24_500_000), (27_000_000, 28_000_000)
CLASSES = {
    "donor": {"stranded": True, "site": "splice_donor"},
    "acceptor": {"stranded": True, "site": "splice_acceptor"},
}
MODEL = {"preset": "dilated", "channels": 16, "dilations": [1, 2, 4, 8]}
AUXILIARY = {name: {"property": name} for name in ("gc", "cpg", "stacking", "purine_run")}
ARMS = {"alone": {}, "beside": AUXILIARY}
LENGTH, BATCH, VALIDATIONS, VALIDATION_BP = 1000, 16, 4, 250_000
RESULT = Path(__file__).parent / "results" / "auxiliary.json"


@dataclass(frozen=True)
class Data:
    """The encoded chromosome and its sites, and the held-out windows."""

    folder: Path
    labelled: dict[str, LabelledGenome]

    def options(self, split: Path) -> list[str]:
        """Return the options of scripts that read a labelled genome."""
        paths = {
            "--genome": self.folder,
            "--sites": self.folder / "sites.parquet",
            "--intervals": self.folder / "intervals.parquet",
            "--split": split,
        }
        return [word for name, path in paths.items() for word in (name, f"g={path}")]


def run(script: Callable[[Sequence[str]], int], *words: object) -> None:
    """Run a script of the workflow in this process."""
    if script([str(word) for word in words]):
        raise RuntimeError(f"{script.__module__} failed")


def prepare(folder: Path) -> Data:
    """Encode the chromosome and extract its splice sites."""
    names = {"codes": "codes.npy", "contigs": "contigs.tsv", "softmask": "softmask.parquet"}
    names["summary"] = "summary.json"
    outputs = [word for key, name in names.items() for word in (f"--{key}", folder / name)]
    run(encode_genome.main, "--genome", "g", "--fasta", FASTA, *outputs)
    sites, intervals = folder / "sites.parquet", folder / "intervals.parquet"
    run(
        extract_sites.main, "--genome", "g", "--genome-folder", folder, "--annotation", GTF,
        "--classes", json.dumps(CLASSES), "--labels", "exclusive", "--sites", sites,
        "--intervals", intervals, "--summary", folder / "sites.json",
    )  # fmt: skip
    files = {"g": folder}, {"g": sites}, {"g": intervals}
    return Data(folder, open_labelled_genomes(*files, list(CLASSES), True, 0))


def write_split(path: Path, size: int, seed: int) -> None:
    """Write which blocks are learned from (those of a smaller size are among those of a larger)."""
    blocks = np.random.default_rng(seed).permutation(range(*LEARNED, BLOCK))[: size // BLOCK]
    rows = [(CONTIG, start, start + BLOCK, "train") for start in sorted(blocks.tolist())]
    rows.append((CONTIG, *CHOSEN_ON, "valid"))
    table = pd.DataFrame(rows, columns=["contig", "start", "end", "part"])
    table.to_csv(path, sep="\t", index=False)


def write_windows(data: Data, folder: Path, size: int, seed: int, steps: int) -> tuple[Path, Path]:
    """Draw the windows of a size and seed, as many as all steps take; return split and windows."""
    split, sampled, windows = (folder / name for name in ("split.tsv", "s.parquet", "w.parquet"))
    write_split(split, size, seed)
    settings = {
        "length": LENGTH,
        "windows": max(BATCH, steps * BATCH // 2),
        "validation_bp": VALIDATION_BP,
    }
    run(
        sample_windows.main, *data.options(split), "--settings", json.dumps(settings),
        "--resolution", 1, "--seed", seed, "--output", sampled, "--summary", folder / "s.json",
    )  # fmt: skip
    run(
        augment_windows.main, "--windows", sampled, "--stranded", "true", "--output", windows,
        "--summary", folder / "a.json",
    )  # fmt: skip
    return split, windows


def train(
    data: Data, split: Path, windows: Path, auxiliary: dict, seed: int, steps: int, output: Path
) -> None:
    """Train a network on one core."""
    training = {"steps": steps, "batch": BATCH, "learning_rate": 0.006}
    training |= {"validations": min(VALIDATIONS, steps), "patience": VALIDATIONS}
    run(
        train_model.main, *data.options(split), "--windows", windows, "--labels", "exclusive",
        "--classes", json.dumps(CLASSES), "--model", json.dumps(MODEL),
        "--training", json.dumps(training), "--auxiliary", json.dumps(auxiliary),
        "--seed", seed, "--threads", 1, "--device", "cpu", "--output-dir", output,
    )  # fmt: skip


def count_scores(data: Data, model: Path, tested_on: tuple[int, int]) -> np.ndarray:
    """Score every position of the held-out part; count scores of negatives and sites by block.

    Returns
    -------
    numpy.ndarray, shape=(2, classes, blocks, codes)
    """
    bundle = load_bundle(model)
    starts = np.repeat(np.arange(*tested_on, BLOCK // 10), 2)
    table = pd.DataFrame({"genome": "g", "contig": CONTIG, "start": starts, "length": BLOCK // 10})
    table["strand"] = np.tile(["+", "-"], len(starts) // 2)
    table["inclusion"] = [np.ones(1)] * len(table)
    source = WindowSource(table, data.labelled, bundle.architecture)
    blocks = len(table) // 20
    counts = np.zeros((2, len(CLASSES), blocks, CODES), dtype=np.int64)
    for block in range(blocks):
        batch = source.batch(np.arange(20 * block, 20 * (block + 1)))
        with torch.inference_mode():
            scores = log_odds(bundle.network(batch.x), bundle.labels)
        counts[:, :, block] = count_by_label(scores, batch)
    return counts


def measure_cell(
    data: Data, folder: Path, size: int, seed: int, arguments: argparse.Namespace
) -> dict:
    """Train and test both networks of a pair; return average precisions, one row of them a class.

    `drawn` holds those of the block bootstrap, shape=(repeats,).
    """
    split, windows = write_windows(data, folder, size, seed, arguments.steps)
    tested_on = TESTED_ON[0], TESTED_ON[0] + int(arguments.test_mb * 1e6)
    weights = block_weights((tested_on[1] - tested_on[0]) // BLOCK, arguments.repeats, 0)
    cell: dict = {"size_mb": size / 1e6, "seed": seed, "arms": {}}
    for arm, auxiliary in ARMS.items():
        begin, model = time.process_time(), folder / arm
        train(data, split, windows, auxiliary, seed, arguments.steps, model)
        trained = time.process_time() - begin
        negatives, sites = count_scores(data, model, tested_on)
        found = {"training_core_seconds": trained}
        for row, name in enumerate(CLASSES):
            statistic = {"value": average_precision}
            drawn = resample_histograms(weights, sites[row], negatives[row], statistic)["value"]
            value = float(average_precision(sites[row].sum(0), negatives[row].sum(0)))
            found[name] = {"average_precision": value, "drawn": drawn}
        found["core_seconds"] = time.process_time() - begin
        history = load_bundle(model).history
        found["history"] = history.drop(columns=["seconds", "bases_per_second"]).to_dict("records")
        cell["arms"][arm] = found
        print(cell["size_mb"], seed, arm, {n: found[n]["average_precision"] for n in CLASSES})
    return cell


def summarise(cells: list[dict]) -> list[dict]:
    """Return one row a size and class: both arms, their difference, and whether it counts."""
    rows = []
    for size in dict.fromkeys(cell["size_mb"] for cell in cells):
        for name in CLASSES:
            mine = [cell["arms"] for cell in cells if cell["size_mb"] == size]
            values = {arm: [one[arm][name]["average_precision"] for one in mine] for arm in ARMS}
            drawn = {arm: np.mean([one[arm][name]["drawn"] for one in mine], 0) for arm in ARMS}
            by_seed = np.subtract(values["beside"], values["alone"])
            interval = paired_difference(drawn["beside"], drawn["alone"])
            agree = len(mine) > 1 and bool((by_seed > 0).all() or (by_seed < 0).all())
            row = {"size_mb": size, "class": name, "seeds": len(mine)}
            for arm in ARMS:
                one = percentile_interval(drawn[arm])
                row[arm] = {
                    "average_precision": float(np.mean(values[arm])),
                    "by_seed": values[arm],
                }
                row[arm] |= {"low": one.low, "high": one.high}
            row["difference"] = {
                "mean": float(by_seed.mean()),
                "low": interval.low,
                "high": interval.high,
                "by_seed": by_seed.tolist(),
                "counts": interval.excludes_zero and agree,
            }
            rows.append(row)
    return rows


def table(rows: list[dict]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| learned from | class | alone | beside properties | difference (95 %) | seeds | counts |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        change = row["difference"]
        seeds = ", ".join(f"{value:+.3f}" for value in change["by_seed"])
        lines.append(
            f"| {row['size_mb']:g} Mb | {row['class']} | {row['alone']['average_precision']:.3f} "
            f"| {row['beside']['average_precision']:.3f} | {change['mean']:+.3f} "
            f"({change['low']:+.3f} to {change['high']:+.3f}) | {seeds} "
            f"| {'yes' if change['counts'] else 'no'} |"
        )
    return "\n".join(lines)


def write_result(
    path: Path, arguments: argparse.Namespace, cells: list[dict], rows: list[dict]
) -> None:
    """Write everything that was measured."""
    for cell in cells:
        for found in cell["arms"].values():
            for name in CLASSES:
                del found[name]["drawn"]
    content = {
        "benchmark": "auxiliary",
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": {"torch": torch.__version__},
        "rows": rows,
        "details": {
            "steps": arguments.steps,
            "batch": BATCH,
            "window_bp": LENGTH,
            "model": MODEL,
            "auxiliary": AUXILIARY,
            "tested_mb": arguments.test_mb,
            "bootstrap_repeats": arguments.repeats,
            "cells": cells,
        },
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400, help="optimiser steps of every network")
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.5, 2, 8], help="Mb")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--test-mb", type=float, default=1.0, help="of the held-out part, from 25")
    parser.add_argument("--repeats", type=int, default=200, help="of the block bootstrap")
    parser.add_argument("--output", type=Path, default=RESULT, help="JSON to write")
    return parser.parse_args()


def main() -> int:
    """Measure and write."""
    arguments = parse_arguments()
    if not (FASTA.is_file() and GTF.is_file()):
        print(f"not measured: no genome at {DATA} (set GENOMESIEVE_DATA)")
        return 0
    use_threads(1)
    with tempfile.TemporaryDirectory() as name:
        data, cells = prepare(Path(name)), []
        for size in arguments.sizes:
            for seed in arguments.seeds:
                folder = Path(name) / f"{size}-{seed}"
                folder.mkdir()
                cells.append(measure_cell(data, folder, round(size * 1e6), seed, arguments))
    rows = summarise(cells)
    write_result(arguments.output, arguments, cells, rows)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
