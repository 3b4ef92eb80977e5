"""How well recipes find sites of real genomes, beside what others reach on the same bins.

Each task is a recipe of config/recipes, run by the workflow in the repository's root with the data
that the recipe names in data/ (a link will do):

    ln -s /path/to/data data
    python benchmarks/accuracy.py splice_arabidopsis binding_yeast

A run that is finished already is not run again. Networks, baselines and peers are evaluated on one
universe: all positions of the test part at natural prevalence, both strands. Intervals are 95 %
block bootstraps, differences and ratios are paired on the same blocks. Rows go to
results/accuracy.json, those of other tasks stay.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
from measuring import RESULTS, machine
from roads import (
    REPOSITORY,
    average,
    command_line,
    evaluate_roads,
    paired_rows,
    run_workflow,
    training_minutes,
)

from genomesieve.bootstrap import Interval, percentile_interval

MEAN = "mean"
SEEN = " (has seen the test part)"
EMBEDDINGS = "frozen embeddings, best of five DNA language models (s41467-025-65823-8)"
JUNCTIONS = "uci_junctions"
"""The task whose heads `heads.py` compares, fold by fold; its rows are taken from there."""
METRICS = ("average_precision", "auroc", "precision_at_recall_0.5")


@dataclass(frozen=True)
class Task:
    """A recipe's screen and what it is measured against.

    Parameters
    ----------
    genome : str
        The one whose test part is evaluated.
    peers : dict of str to str
        Folder of the road (below results/) by the peer's name in the table.
    classes : tuple of str
        Those that count; none means all.
    published : dict of str to dict
        What others published, by what they are: value by (class, metric).
    metrics : tuple of str
    trained_on : str
        The machine, where that is another one than the one that evaluates.
    """

    genome: str
    peers: dict[str, str]
    classes: tuple[str, ...] = ()
    published: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    metrics: tuple[str, ...] = METRICS
    trained_on: str = ""


def splice_weights(acceptor: float, donor: float) -> dict[tuple[str, str], float]:
    """Return the average precision of published splice weights, by class and metric."""
    return {("acceptor", METRICS[0]): acceptor, ("donor", METRICS[0]): donor}


def baselines(screen: str, *names: str) -> dict[str, str]:
    """Return the roads of a screen's own baselines."""
    return {name: f"{screen}/baselines/{name}" for name in names}


TASKS = {
    "splice_arabidopsis": Task(
        "athaliana",
        {"OpenSpliceAI architecture, same minutes": "splice_arabidopsis_peer"}
        | baselines("splice_arabidopsis", "pwm", "kmer"),
        published={
            f"OpenSpliceAI arabidopsis 400 nt{SEEN}": splice_weights(0.8835, 0.8946),
            f"OpenSpliceAI arabidopsis 10,000 nt{SEEN}": splice_weights(0.9357, 0.9339),
        },
    ),
    "splice_arabidopsis_large": Task(
        "athaliana",
        baselines("splice_arabidopsis_large", "pwm", "kmer"),
        published={f"OpenSpliceAI arabidopsis 10,000 nt{SEEN}": splice_weights(0.9357, 0.9339)},
        trained_on="NVIDIA H200",
    ),
    "splice_human": Task(
        "chr20",
        {"MaxEntScan": "splice_human_maxentscan"} | baselines("splice_human", "pwm", "kmer"),
        published={f"OpenSpliceAI mane 400 nt{SEEN}": splice_weights(0.8557, 0.8367)},
    ),
    "binding_yeast": Task(
        "yeast",
        baselines("binding_yeast", "pwm"),
        classes=(
            *("Reb1", "Abf1", "Rap1", "Cbf1", "Mcm1", "Fkh1"),
            *("Ume6", "Tbf1", "Mbp1", "Swi4", "Hap1", "Ino2"),
        ),
    ),
    "binding_human": Task("chr20", baselines("binding_human", "pwm")),
    **{
        f"tf_gue{number}": Task(
            f"tf{number}",
            baselines(f"tf_gue{number}", "kmer"),
            published={EMBEDDINGS: {("bound", "auroc"): auroc}},
            metrics=("auroc", "mcc", "average_precision"),
        )
        for number, auroc in enumerate((0.880, 0.869, 0.825, 0.773, 0.931))
    },
}
RECIPES = {name: "tf_gue" if name.startswith("tf_gue") else name for name in TASKS}
RECIPES["splice_arabidopsis_large"] = "splice_large"
"""The recipe that holds a task's screen, where it has another name."""


def measure(name: str, task: Task) -> list[dict]:
    """Evaluate a finished recipe's network and its peers; return rows of the table."""
    roads = {"network": name, **task.peers}
    recipe = REPOSITORY / f"config/recipes/{RECIPES[name]}.yaml"
    subject, results = evaluate_roads(recipe, name, task.genome, roads)
    results = {kind: results[kind] for kind in task.classes or subject.classes}
    minutes = {one: training_minutes(road) for one, road in roads.items()}
    universe = f"{task.genome}:{subject.part}"
    common = {"task": name, "universe": universe, "blocks": len(subject.layout.blocks)}
    rows = [common | row for row in table_rows(results, roads, minutes, task.metrics)]
    for label, known in task.published.items():
        for (kind, metric), value in known.items():
            ours = row_of(kind, metric, results[kind]["network"])
            rows.append(common | ours | {"peer": label, "peer_value": value})
    made = {"machine": task.trained_on or machine()["processor"], "date": date.today().isoformat()}
    return [row | {"train_minutes": minutes["network"]} | made for row in rows]


def row_of(kind: str, metric: str, result) -> dict:
    """Return one metric of one model as the beginning of a row."""
    interval = result.intervals.get(metric, Interval(math.nan, math.nan))
    return {
        "class": kind, "metric": metric, "value": result.values[metric],
        "low": interval.low, "high": interval.high,
    }  # fmt: skip


def table_rows(
    results: dict, roads: dict[str, str], minutes: dict, metrics: tuple[str, ...]
) -> list[dict]:
    """Compare the network with every peer, class by class and, for several classes, on average."""
    rows = []
    peers = [name for name in roads if name != "network"]
    for peer in peers:
        extra = {"peer": peer, "peer_minutes": minutes[peer]}
        for kind, found in results.items():
            for metric in metrics:
                rows.append(
                    row_of(kind, metric, found["network"])
                    | extra
                    | {"peer_value": found[peer].values[metric]}
                )
            rows += [row | extra for row in paired_rows(kind, [found], "network", peer)]
        if len(results) > 1:
            rows += [row | extra for row in mean_rows(list(results.values()), peer)]
    return rows


def mean_rows(found: list[dict], peer: str) -> list[dict]:
    """Average AP over the classes, each class counting the same."""
    ours, theirs = (average(found, name) for name in ("network", peer))
    interval = percentile_interval(ours[1])
    first = {
        "class": MEAN, "metric": "average_precision", "value": ours[0], "low": interval.low,
        "high": interval.high, "peer_value": theirs[0],
    }  # fmt: skip
    return [first, *paired_rows(MEAN, found, "network", peer)]


def junction_rows() -> list[dict]:
    """Return accuracies of exclusive and independent classes, as `heads.py` recorded them."""
    content = json.loads((RESULTS / "heads.json").read_text())
    found = {
        row["what"]: row
        for row in content["rows"]
        if row["part"].startswith("UCI") and row["metric"] == "accuracy"
    }
    common = {"task": JUNCTIONS, "class": "mean", "universe": "uci:folds", "peer": "independent"}
    common |= {"machine": content["machine"]["processor"], "date": content["date"]}
    names = {"exclusive": "accuracy", "exclusive - independent": "accuracy_difference"}
    return [
        common
        | {"metric": metric, **{key: found[what][key] for key in ("value", "low", "high")}}
        | {"peer_value": found["independent"]["value"] if what == "exclusive" else None}
        for what, metric in names.items()
    ]


def save_rows(rows: list[dict], tasks: set[str]) -> None:
    """Put rows in the place of those of the same tasks."""
    path = RESULTS / "accuracy.json"
    known = json.loads(path.read_text())["rows"] if path.is_file() else []
    kept = [row for row in known if row["task"] not in tasks]
    path.write_text(json.dumps({"benchmark": "accuracy", "rows": kept + rows}, indent=1) + "\n")


def main() -> None:
    """Run and measure the tasks that are named."""
    arguments = command_line(__doc__, "TASK", [*TASKS, JUNCTIONS])
    rows = []
    for name in arguments.names:
        if name == JUNCTIONS:
            rows += junction_rows()
            continue
        if not arguments.measure_only:
            run_workflow(REPOSITORY / f"config/recipes/{RECIPES[name]}.yaml", arguments.cores)
        rows += measure(name, TASKS[name])
    save_rows(rows, set(arguments.names))
    shown = pd.DataFrame(rows)
    shown = shown[shown["metric"].str.match("average_precision|accuracy")]
    columns = ["task", "class", "metric", "value", "low", "high", "peer", "peer_value"]
    print(shown[columns].to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
