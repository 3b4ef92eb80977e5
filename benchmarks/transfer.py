"""How wrong estimates without labels are: models carried to genomes whose labels were hidden.

    python benchmarks/transfer.py arabidopsis fly human

Each name is a screen of benchmarks/transfer/transfer.yaml: a small network is trained on one genome
and scans its own held-out part and other genomes. `estimate_transfer` says from the scores alone
how common sites are and how many calls are right; `evaluate_scan` says it from the labels. The
workflow runs in the repository's root, where a link `data` names the data. Results go to
results/transfer.json: one row a screen, genome and class.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd
import yaml
from measuring import RESULTS, machine
from roads import REPOSITORY, command_line
from roads import RESULTS as RUNS

from genomesieve.transfer_warnings import NOTES

CONFIG = REPOSITORY / "benchmarks" / "transfer" / "transfer.yaml"
NAMES = ("arabidopsis", "fly", "human")
TITLES = {
    "athaliana": "A. thaliana chr1",
    "athaliana_part": "A. thaliana chr1",
    "aarenosa": "A. arenosa",
    "melanogaster": "D. melanogaster chr4",
    "simulans": "D. simulans chr4",
    "human": "human chr20",
    "human_part": "human chr20",
}
FACTOR = 1.5
"""A prevalence that is off by more than this factor is called badly wrong."""
POINTS = 0.15
"""So is a precision that is off by more than this."""


def run(names: Iterable[str], cores: int) -> None:
    """Make the reports of some screens, and all that they need."""
    targets = [f"results/transfer_{name}/report.html" for name in names]
    command = ["snakemake", "--configfile", str(CONFIG), "--cores", str(cores), *targets]
    subprocess.run(command, cwd=REPOSITORY, check=True)


def measure(name: str) -> list[dict]:
    """Return a row for each genome and class of a finished screen."""
    screen = f"transfer_{name}"
    settings = yaml.safe_load(CONFIG.read_text())["screens"][screen]
    own = settings["train_genomes"][0]
    rows = []
    for genome in settings["scan_genomes"]:
        content = json.loads((RUNS / screen / "transfer" / f"{genome}.json").read_text())
        folder = RUNS / screen / "evaluation" / genome
        truth = pd.read_csv(folder / "metrics.tsv", sep="\t")
        promises = pd.read_csv(folder / "promises.tsv", sep="\t")
        for kind in settings["classes"]:
            row = {
                "screen": name,
                "trained_on": TITLES[own],
                "genome": TITLES[genome] + (" (held out)" if genome == own else ""),
                "class": kind,
            }
            row |= sequence_values(content) | found_values(truth, promises, kind, settings)
            rows.append(row | compare(row, content, kind))
    return rows


def sequence_values(content: dict) -> dict:
    """Return how far a genome is from the training sequence."""
    found = {row["measure"]: row for row in content["measures"] if row["class"] == ""}
    divergence, within = found["kmer_divergence"], found["kmer_divergence_within"]
    return {
        "divergence_ratio": divergence["value"] / within["value"],
        "shared_kmers": found["shared_kmers"]["value"],
        "gc": found["gc"]["value"],
    }


def found_values(truth: pd.DataFrame, promises: pd.DataFrame, kind: str, settings: dict) -> dict:
    """Return what the labels say of one class: prevalence, AP, precision of the calls."""
    universe = "test" if (truth["universe"] == "test").any() else "screen"
    mine = truth[(truth["class"] == kind) & (truth["universe"] == universe)]
    mine = mine[mine["model"] == mine["model"].iloc[0]].drop_duplicates("metric")
    metrics = mine.set_index("metric")["value"]
    target = settings["calibration"]["operating"]
    chosen = promises[(promises["class"] == kind) & (promises["precision_target"] == target)]
    promise = chosen.iloc[0]
    return {
        "sites": int(metrics["sites"]),
        "prevalence": float(metrics["prevalence"]),
        "one_in": 1 / float(metrics["prevalence"]),
        "average_precision": float(metrics["average_precision"]),
        "calls": int(promise["calls"]),
        "precision": _known(promise["observed"]),
        "precision_low": _known(promise["observed_low"]),
        "precision_high": _known(promise["observed_high"]),
        "promised": _known(promise["promised"]),
        "promised_low": _known(promise["low"]),
        "promised_high": _known(promise["high"]),
    }


def _known(value: float) -> float | None:
    """Return a number, None where there is none."""
    return float(value) if np.isfinite(value) else None


def compare(row: dict, content: dict, kind: str) -> dict:
    """Set the estimates of one class beside what the labels say."""
    found = {one["measure"]: one for one in content["measures"] if one["class"] == kind}
    values: dict = {"calibration_one_in": 1 / found["calibration_prevalence"]["value"]}
    for how in ("em", "bbse"):
        prevalence, precision = found[f"{how}_prevalence"], found[f"{how}_precision"]
        for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            estimate = prevalence[end]
            known = estimate is not None
            values[f"{how}_ratio{suffix}"] = estimate / row["prevalence"] if known else None
            values[f"{how}_precision{suffix}"] = precision[end]
        values[f"{how}_covers"] = covers(row["prevalence"], prevalence)
        values[f"{how}_error"] = _difference(precision["value"], row["precision"])
    values["promise_error"] = _difference(row["promised"], row["precision"])
    for name in ("misfit", "misfit_p", "score_distance", "score_distance_within"):
        values[name] = found[name]["value"]
    about = [one["what"] for one in content["warnings"] if one["class"] in ("", kind)]
    values["warnings"] = ", ".join(about).replace("_", " ") or "none"
    values["warned"] = bool(set(about) - set(NOTES))
    ratio, error = values["em_ratio"], values["em_error"]
    wrong = not ratio or max(ratio, 1 / ratio) > FACTOR or error is None or abs(error) > POINTS
    values["badly_wrong"] = bool(wrong)
    values["verdict"] = {
        (True, True): "wrong, warned",
        (True, False): "wrong, NOT warned",
        (False, True): "right, warned",
        (False, False): "right",
    }[bool(wrong), values["warned"]]
    return values


def precision_errors(rows: list[dict]) -> list[dict]:
    """Return the mean absolute error of the precision, of pairs with and without a warning."""
    table, found = pd.DataFrame(rows), []
    for title, some in (("without a warning", ~table["warned"]), ("with one", table["warned"])):
        errors = table.loc[some, ["em_error", "bbse_error", "promise_error"]].astype(float).abs()
        if len(errors):
            found.append({"pairs": title, "count": len(errors)} | errors.mean().to_dict())
    return found


def covers(truth: float, found: dict) -> bool | None:
    """Tell whether an interval holds the truth; None where there is none."""
    if found["low"] is None:
        return None
    return bool(found["low"] <= truth <= found["high"])


def _difference(one: float | None, other: float | None) -> float | None:
    """Return a difference, None where a side is missing."""
    return None if one is None or other is None else one - other


def main() -> None:
    """Run and measure the screens that are named."""
    arguments = command_line(__doc__, "SCREEN", NAMES)
    if not arguments.measure_only:
        run(arguments.names, arguments.cores)
    rows = [row for name in arguments.names for row in measure(name)]
    counts = pd.Series([row["verdict"] for row in rows]).value_counts()
    content = {
        "benchmark": "transfer", "date": date.today().isoformat(), "machine": machine(),
        "factor": FACTOR, "points": POINTS,
        "verdicts": [{"verdict": key, "count": int(count)} for key, count in counts.items()],
        "precision_errors": precision_errors(rows),
        "rows": rows,
    }  # fmt: skip
    (RESULTS / "transfer.json").write_text(json.dumps(content, indent=1) + "\n")
    columns = """trained_on genome class average_precision one_in em_ratio bbse_ratio precision
        em_precision bbse_precision promised verdict warnings"""
    table = pd.DataFrame(rows)[columns.split()]
    print(table.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
