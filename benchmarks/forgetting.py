"""What networks keep and lose while they learn one genome after the other, by method.

Each sequence is a recipe of config/recipes, run by the workflow in the repository's root with the
data that the recipe names in data/ (a link will do; the recipe says how it is made):

    python benchmarks/forgetting.py viruses start_codons splice splice_reversed
    python benchmarks/forgetting.py --full splice

The small setting is the recipe as it stands: fine-tuning, consolidation at two lambdas and replay,
one seed. --full adds joint training, the head alone, low-rank matrices, fresh weights and three
lambdas more, and three seeds (--seeds 1 takes a third of the time, and has no spread). A run that
is finished already is not run again. Rows go to results/forgetting.json; those of other sequences
and settings stay.
"""

from __future__ import annotations

import argparse
import copy
import json
from datetime import date
from pathlib import Path

import pandas as pd
import yaml
from measuring import RESULTS, machine
from roads import REPOSITORY, run_workflow
from roads import RESULTS as RUNS

RECIPES = {
    "splice": "splice_stages",
    "splice_reversed": "splice_stages",
    "viruses": "virus_stages",
    "start_codons": "start_stages",
}
"""The recipe that holds a sequence's screen."""
REVERSED = "_reversed"
FULL_METHODS = {
    "finetune": {"method": "finetune"},
    "ewc_tenth": {"method": "ewc", "lambda": 0.1},
    **{f"ewc_{number}": {"method": "ewc", "lambda": number} for number in (10, 100, 1000)},
    "replay": {"method": "replay", "replay_share": 0.2},
    "joint": {"method": "joint"},
    "head": {"method": "head"},
    "lora": {"method": "lora"},
    "scratch": {"method": "scratch"},
}
OVER_SEEDS = ("seeds_mean", "seeds_low", "seeds_high")
NUMBERS = ("value", "low", "high", "difference", "difference_low", "difference_high", *OVER_SEEDS,
           *(f"difference_{key}" for key in OVER_SEEDS))  # fmt: skip
CALM = ("--max-jobs-per-timespan", "6000/1m")
"""Snakemake looks through waiting jobs less often than by itself (docs/cluster.md)."""
FILE = RESULTS / "forgetting.json"


def configure(sequence: str, full: bool, seeds: int = 3) -> tuple[dict, str]:
    """Return the configuration of a sequence, and the name of its screen."""
    recipe = RECIPES[sequence]
    config = yaml.safe_load((REPOSITORY / f"config/recipes/{recipe}.yaml").read_text())
    screen = config["screens"].pop(recipe)
    if sequence.endswith(REVERSED):
        screen["stages"] = reversed_stages(screen["stages"])
    if full:
        screen |= {"stage_methods": FULL_METHODS, "seeds": list(range(seeds))}
    name = recipe + (REVERSED if sequence.endswith(REVERSED) else "") + ("_full" if full else "")
    config["screens"] = {name: screen}
    return config, name


def reversed_stages(stages: dict) -> dict:
    """Return stages in the reverse order, the first of which is a training like any other."""
    names = list(stages)[::-1]
    settings = {key: value for key, value in stages[names[0]].items() if key != "genomes"}
    found = {names[0]: {"genomes": stages[names[0]]["genomes"]}}
    for name in names[1:]:
        found[name] = copy.deepcopy(settings) | {"genomes": stages[name]["genomes"]}
    return found


def measure(sequence: str, screen: str, full: bool) -> list[dict]:
    """Return the rows of a finished run: what each method reaches after each stage."""
    table = pd.read_csv(RUNS / screen / "forgetting" / "matrix.tsv", sep="\t")
    rows = []
    for row in table.to_dict("records"):
        values = {
            "sequence": sequence, "setting": "full" if full else "small", "method": row["method"],
            "seed": "ensemble" if row["seeds"] > 1 else 0, "stage": row["after"],
            "task": row["task"], "genome": row["genome"], "class": row["class"],
            **{key: row[key] for key in ("average_precision", "low", "high")},
            **{key: row[key] for key in ("seeds", *OVER_SEEDS)},
            "lambda": row["lambda"],
        }  # fmt: skip
        rows.append({key: None if pd.isna(value) else value for key, value in values.items()})
    return rows


def summarise(sequence: str, screen: str, full: bool) -> list[dict]:
    """Return a row a method of a finished run: average, transfer and forgetting."""
    table = pd.read_csv(RUNS / screen / "forgetting" / "summary.tsv", sep="\t")
    rows = []
    for method, group in table.groupby("method", sort=False):
        row = {"sequence": sequence, "setting": "full" if full else "small", "method": method}
        for one in group.to_dict("records"):
            for key in NUMBERS:
                name = one["measure"] if key == "value" else f"{one['measure']}_{key}"
                row[name] = None if pd.isna(one[key]) else one[key]
        rows.append(row)
    return rows


def keep(rows: list[dict], summary: list[dict], sequence: str, full: bool) -> None:
    """Put the rows of a sequence in the place of older ones of the same setting."""
    content = json.loads(FILE.read_text()) if FILE.is_file() else {"rows": [], "summary": []}
    setting, today = "full" if full else "small", date.today().isoformat()
    rows, summary = ([{**row, "date": today} for row in part] for part in (rows, summary))
    others = {
        key: [r for r in content[key] if (r["sequence"], r["setting"]) != (sequence, setting)]
        for key in ("rows", "summary")
    }
    content = {
        "benchmark": "forgetting", "date": today, "machine": machine(),
        "summary": [*others["summary"], *summary], "rows": [*others["rows"], *rows],
    }  # fmt: skip
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def write_configuration(config: dict, screen: str) -> Path:
    """Write a configuration where runs lie; return its path."""
    path = RUNS / "forgetting" / f"{screen}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def main() -> None:
    """Run and measure the sequences that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="SEQUENCE", choices=RECIPES, help="which")
    parser.add_argument("--full", action="store_true", help="all methods, several seeds")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds --full trains")
    parser.add_argument("--cores", type=int, default=2, help="cores that the workflow may use")
    parser.add_argument(
        "--threads", type=int, default=1,
        help="most threads of a job; two jobs of one thread are faster than one job of two",
    )  # fmt: skip
    parser.add_argument("--measure-only", action="store_true", help="of runs that are finished")
    arguments = parser.parse_args()
    for sequence in arguments.names:
        config, screen = configure(sequence, arguments.full, arguments.seeds)
        if not arguments.measure_only:
            options = ["--max-threads", str(arguments.threads), *CALM]
            run_workflow(write_configuration(config, screen), arguments.cores, *options)
        rows = measure(sequence, screen, arguments.full)
        keep(rows, summarise(sequence, screen, arguments.full), sequence, arguments.full)
        table = pd.DataFrame(rows)
        print(table[table["class"] == "mean"].to_string(index=False))


if __name__ == "__main__":
    main()
