"""Measure what a screen with stages kept and lost.

In: for every stage the folder of its evaluations (metrics.tsv and draws.parquet of each genome).
Out: matrix.tsv, the average precision after each stage on what each stage taught (and, as task
`older`, the mean over all earlier stages), and summary.tsv, average, gain, backward and forward
transfer and forgetting of each method (genomesieve/forgetting.py says how they are defined), with
the differences to plain fine-tuning on the same blocks and seeds where it is among the methods.
Average precision is at each genome's own rate of sites. Intervals are 95 %: over blocks of the
genome for each model, and over seeds (Student's t) where there are several.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from genomesieve.command_line import json_value, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_files, write_table
from genomesieve.forgetting import (
    Measured,
    StageMatrix,
    Task,
    cell_interval,
    compare,
    make_matrix,
    older_mean,
    summarise,
)

_SEED = re.compile(r".*\.seed(\d+)")
OLDER = "older"
"""Task that stands for everything that earlier stages taught."""
SUMMARY_SEEDS = {"value": "seeds", "difference": "difference_seeds"}
"""Columns of summary.tsv that are shown over seeds, and what begins the columns that show them."""
STAGE_KEYS = ("key", "name", "method", "before", "genome", "classes", "settings", "evaluation")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--stages",
        type=json_value,
        required=True,
        help="JSON list or its file: for every stage its key, name, method (empty for the screen's "
        "own), before (key of the stage before), genome and classes it is measured by, settings "
        "of the adaptation, and evaluation (folder with one folder a genome)",
    )
    parser.add_argument("--matrix", type=Path, required=True, help="matrix.tsv to write")
    parser.add_argument("--summary", type=Path, required=True, help="summary.tsv to write")
    return parser.parse_args(argv)


def measure(arguments: argparse.Namespace) -> None:
    """Read all evaluations and write both tables."""
    stages = check_stages(arguments.stages)
    genomes = list(dict.fromkeys(stage["genome"] for stage in stages.values()))
    measured = {key: read_evaluations(stage, genomes) for key, stage in stages.items()}
    cells, measures = [], []
    sequences = chains(stages)
    plain = plain_method(stages, sequences)
    for method, keys in sequences.items():
        for seed in seeds_of(measured, keys):
            matrix, tables = matrix_of(method, keys, seed, stages, measured)
            cells += matrix_rows(matrix, seed, stages, keys, tables)
            other = None
            if plain not in (None, method):
                other = matrix_of(plain, sequences[plain], seed, stages, measured)[0]
            measures += summary_rows(matrix, seed, other)
    keys = ["method", "after", "task", "genome", "class"]
    matrix_table = with_seeds(pd.DataFrame(cells), keys, {"average_precision": "seeds"})
    summary_table = with_seeds(pd.DataFrame(measures), ["method", "measure"], SUMMARY_SEEDS)
    with whole_files(arguments.matrix, arguments.summary) as (matrix_file, summary_file):
        write_table(matrix_file, matrix_table)
        write_table(summary_file, summary_table)


def matrix_of(
    method: str, keys: list[str], seed: str, stages: dict[str, dict], measured: dict[str, dict]
) -> tuple[StageMatrix, list[dict]]:
    """Return the matrix of a method and seed, and what was measured after each stage."""
    tables = [measured[key][seed] for key in keys]
    return make_matrix(method, [task_of(stages[key]) for key in keys], tables), tables


def plain_method(stages: dict[str, dict], sequences: dict[str, list[str]]) -> str | None:
    """Return the method that is plain fine-tuning, if there is one: others are compared with it."""
    for method, keys in sequences.items():
        if stages[keys[-1]]["settings"].get("method", "finetune") == "finetune":
            return method
    return None


def summary_rows(matrix: StageMatrix, seed: str, other: StageMatrix | None) -> list[dict]:
    """Return the rows of summary.tsv of one method and seed."""
    differences = compare(matrix, other) if other else {}
    rows = []
    for name, (value, low, high) in summarise(matrix).items():
        row = {"method": matrix.method, "seed": seed, "measure": name}
        row |= {"value": value, "low": low, "high": high}
        row["compared_with"] = other.method if other else ""
        numbers = differences.get(name, (np.nan, np.nan, np.nan))
        rows.append(row | dict(zip(("difference", "difference_low", "difference_high"), numbers)))
    return rows


def check_stages(given: object) -> dict[str, dict]:
    """Return the stages by key, or raise InputError for one that lacks something."""
    if not isinstance(given, list) or len(given) < 2:
        raise InputError(f"--stages is {given!r}; expected a list of two stages or more")
    for stage in given:
        missing = [key for key in STAGE_KEYS if key not in stage]
        if missing:
            raise InputError(f"--stages: stage {stage} lacks {missing[0]!r}")
    return {stage["key"]: stage for stage in given}


def chains(stages: dict[str, dict]) -> dict[str, list[str]]:
    """Return the keys of the stages of every method, the first stage's among each."""
    found: dict[str, list[str]] = {}
    for stage in stages.values():
        if stage["before"]:
            found.setdefault(stage["method"], []).append(stage["key"])
    named = {}
    for method, keys in found.items():
        first = stages[keys[0]]["before"]
        own = own_name(stages[keys[-1]]["settings"])
        name = method or (f"{own} (the screen's own)" if own in found else own)
        named[name] = [first, *keys]
    return named


def own_name(settings: dict) -> str:
    """Name the screen's own method by its settings."""
    method = settings.get("method", "finetune")
    if method != "ewc":
        return method
    strength = settings.get("lambda")
    return f"{method} (lambda {'chosen' if strength is None else f'{strength:g}'})"


def task_of(stage: dict) -> Task:
    """Return what a stage taught."""
    return Task(stage["name"], stage["genome"], tuple(stage["classes"]))


def read_evaluations(stage: dict, genomes: list[str]) -> dict[str, dict[tuple[str, str], Measured]]:
    """Read what a stage's models reach, by seed ("" for the stage's model), genome and class."""
    found: dict[str, dict] = {}
    for genome in genomes:
        folder = Path(stage["evaluation"]) / genome
        table = read_table(folder / "metrics.tsv", f"metrics of {stage['key']}")
        draws = read_table(folder / "draws.parquet", f"draws of {stage['key']}")
        table = table[(table["unit"] == "position") & ~table["universe"].str.contains(":")]
        own = table["model"].iloc[0]
        values = table.set_index(["model", "class", "metric"])["value"]
        for (model, name), rows in draws.groupby(["model", "class"], sort=False):
            match = _SEED.fullmatch(model)
            if model != own and not match:
                continue
            drawn = rows.sort_values("draw")["average_precision"].to_numpy()
            found.setdefault(match[1] if match else "", {})[genome, name] = Measured(
                float(values[model, name, "average_precision"]),
                drawn,
                float(values[model, name, "prevalence"]),
            )
    return found


def seeds_of(measured: dict[str, dict], keys: list[str]) -> list[str]:
    """Return the seeds that all stages of a method have, the stages' own models first."""
    return [seed for seed in measured[keys[0]] if all(seed in measured[key] for key in keys)]


def matrix_rows(
    matrix: StageMatrix, seed: str, stages: dict[str, dict], keys: list[str], tables: list[dict]
) -> list[dict]:
    """Return the rows of matrix.tsv of one method and seed: each class, then their mean."""
    rows = []
    settings = stages[keys[-1]]["settings"]
    for row, key in enumerate(keys):
        shared = {
            "method": matrix.method, "kind": settings.get("method", "finetune"),
            "lambda": settings.get("lambda"), "after": stages[key]["name"], "seed": seed,
        }  # fmt: skip
        if row:
            here = shared | {"task": OLDER, "genome": "all"}
            rows.append(cell(here, "mean", *older_mean(matrix, row), np.nan))
        for column, task in enumerate(matrix.tasks):
            here = shared | {"task": task.stage, "genome": task.genome}
            for name in task.classes:
                one = tables[row].get((task.genome, name))
                if one is not None and not np.isnan(one.value):
                    low, high = np.nanquantile(one.draws, [0.025, 0.975])
                    rows.append(cell(here, name, one.value, low, high, one.prevalence))
            low, high = cell_interval(matrix, row, column)
            value, chance = matrix.values[row, column], matrix.chance[column]
            rows.append(cell(here, "mean", value, low, high, chance))
    return rows


def cell(key: dict, name: str, value: float, low: float, high: float, prevalence: float) -> dict:
    """Return one row of matrix.tsv."""
    return key | {
        "class": name, "average_precision": value, "low": low, "high": high,
        "prevalence": prevalence,
    }  # fmt: skip


def with_seeds(table: pd.DataFrame, keys: list[str], values: dict[str, str]) -> pd.DataFrame:
    """Return the rows of the stages' models, with what the seeds' own networks say beside them.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of all seeds; seed "" is a stage's own model.
    keys : list of str
        Columns that tell rows of one seed apart.
    values : dict of str to str
        What begins the names of the new columns (`_mean`, `_low` and `_high`), by the column of
        which the mean and its 95 % interval over seeds (Student's t) are wanted.
    """
    own = table[table["seed"] == ""].drop(columns="seed")
    groups = table[table["seed"] != ""].groupby(keys)
    count = groups.size()
    beside = {"seeds": count}
    for value, name in values.items():
        mean, spread = groups[value].mean(), groups[value].std(ddof=1)
        half = student.ppf(0.975, count - 1) * spread / np.sqrt(count)
        beside |= {f"{name}_mean": mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
    own = own.merge(pd.DataFrame(beside).reset_index(), on=keys, how="left")
    return own.assign(seeds=own["seeds"].fillna(1).astype(int))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(measure, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
