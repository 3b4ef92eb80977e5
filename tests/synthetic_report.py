"""Write the results of a made-up screen, in the formats that a report reads.

Scores are drawn from two normal distributions, so that curves look like real ones; nothing is
trained or scanned.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

CLASSES = ("donor", "acceptor")
SHIFTS = {"dilated": 5.0, "pwm": 3.0, "kmer": 2.2}
LENGTH = 60_000
TARGETS = (0.5, 0.8, 0.9)
RECALLS = np.arange(1, 201) / 200


def write_screen(
    folder: Path,
    baselines: tuple[str, ...] = ("pwm", "kmer"),
    annotated: tuple[str, ...] = ("thaliana", "arenosa"),
    reached: bool = True,
    calls: int = 240,
) -> list[str]:
    """Write a screen of three genomes and return the arguments of render_report."""
    random = np.random.default_rng(3)
    settings = {"title": "Splice sites of <cress>", "notes": ["A. arenosa is a relative."]}
    settings |= {"config": {"seed": 1}}
    arguments = ["--screen", "splice", "--settings", json.dumps(settings)]
    models = {"model": "dilated", **{f"baselines/{name}/model": name for name in baselines}}
    for path, name in models.items():
        _write_model(folder / path, name, reached)
    arguments += ["--model", str(folder / "model")]
    for name in baselines:
        arguments += ["--baseline", f"{name}={folder / 'baselines' / name / 'model'}"]
    for genome in ("thaliana", "arenosa", "lyrata"):
        home = folder / genome
        sites = _write_genome(home, genome, random)
        table = _write_scan(home, sites, random, calls)
        arguments += ["--scan", f"{genome}={home}", "--genome-folder", f"{genome}={home}"]
        arguments += ["--split", f"{genome}={home / 'split.tsv'}"]
        arguments += ["--genome-summary", f"{genome}={home / 'summary.json'}"]
        _write_transfer(home / "transfer.json", genome, calls)
        arguments += ["--transfer", f"{genome}={home / 'transfer.json'}"]
        if genome in annotated:
            universe = "test" if genome == "thaliana" else "screen"
            names = ["dilated", *baselines]
            _write_evaluation(home, genome, universe, names, table, sites, reached, random)
            (home / "sites.json").write_text(
                json.dumps({"kept": {"donor": 120}, "dropped": {"intron_too_short": 3}})
            )
            arguments += ["--evaluation", f"{genome}={home}"]
            arguments += ["--sites-summary", f"{genome}={home / 'sites.json'}"]
    (folder / "windows.json").write_text(json.dumps({"windows": 4000, "step": 500}))
    arguments += ["--windows-summary", str(folder / "windows.json")]
    return arguments


def _write_model(folder: Path, name: str, reached: bool) -> None:
    """Write model.json and history.tsv."""
    folder.mkdir(parents=True)
    thresholds = [
        {
            "precision_target": target, "code": 50_000, "score": 1.0 + target, "reached": reached,
            "precision": target + 0.03, "lower_bound": target + 0.01 if reached else 0.31,
            "recall": 0.95 - target / 2, "calls": 300, "design_effect": 1.3,
            "bootstrap_quantiles": list(np.linspace(target, min(target + 0.06, 1), 101)),
        }
        for target in TARGETS
    ]  # fmt: skip
    one = {"slope": 1.0, "intercept": 0.0, "sites": 150, "prevalence": 1 / 1604,
           "thresholds": thresholds, "operating": 2}  # fmt: skip
    facts = {
        "format": 1, "name": name, "classes": CLASSES, "stranded": [True, True], "resolution": 1,
        "context": 200, "versions": {"torch": "2.13.0"},
        "training": {"prevalence": dict.fromkeys(CLASSES, 1 / 1604)},
        "calibration": {
            "genomes": ["thaliana"], "bins": 10**6, "classes": dict.fromkeys(CLASSES, one),
        },
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(facts))
    steps = np.arange(0, 1001, 50)
    history = pd.DataFrame({"step": steps, "loss": 0.01 * np.exp(-steps / 300) + 0.002})
    if name == "dilated":
        mean = np.where(steps % 200 == 0, 0.6 * (1 - np.exp(-steps / 250)), np.nan)
        history["validation_average_precision"] = mean
        for number, class_name in enumerate(CLASSES):
            history[f"validation_average_precision.{class_name}"] = mean + 0.02 * number
    history.to_csv(folder / "history.tsv", sep="\t", index=False)


def _write_genome(folder: Path, genome: str, random: np.random.Generator) -> pd.DataFrame:
    """Write an encoded genome of one contig with planted sites; return the sites."""
    folder.mkdir(parents=True)
    codes = random.integers(0, 4, LENGTH).astype(np.uint8)
    places = np.sort(random.choice(np.arange(50, LENGTH // 20 - 5), 400, replace=False) * 20)
    classes = np.array(CLASSES)[np.arange(len(places)) % 2]
    strands = np.array(["+", "-"])[random.integers(0, 2, len(places))]
    for place, name, strand in zip(places, classes, strands):
        first, motif = (1, [2, 3, 0]) if name == "donor" else (-2, [0, 2])
        word = np.array(motif, dtype=np.uint8)
        if strand == "-":
            word, first = 3 - word[::-1], 1 - first - len(word)
        codes[place + first : place + first + len(word)] = word
    np.save(folder / "codes.npy", codes)
    contig = f"chr_{genome}"
    pd.DataFrame({"contig": [contig], "length": [LENGTH], "offset": [0]}).to_csv(
        folder / "contigs.tsv", sep="\t", index=False
    )
    if genome == "thaliana":
        parts = [(0, 20_000, "train"), (20_400, 28_000, "valid"), (28_400, 36_000, "calibrate"),
                 (36_400, LENGTH, "test")]  # fmt: skip
    else:
        parts = [(1000, LENGTH, "screen")]
    split = pd.DataFrame(
        [(contig, *part) for part in parts], columns=["contig", "start", "end", "part"]
    )
    split.to_csv(folder / "split.tsv", sep="\t", index=False)
    split.tail(1).to_csv(folder / "intervals.tsv", sep="\t", index=False)
    (folder / "summary.json").write_text(json.dumps({"genome": genome, "bases": LENGTH}))
    inside = places >= int(split["start"].iloc[-1])
    return pd.DataFrame(
        {"contig": contig, "start": places, "end": places + 1, "class": classes, "strand": strands}
    )[inside]


def _write_scan(
    folder: Path, sites: pd.DataFrame, random: np.random.Generator, calls: int
) -> pd.DataFrame:
    """Write calls.bed.gz; return judged candidates: most sites, and others."""
    others = sites.sample(60, random_state=1).assign(start=lambda rows: rows["start"] + 7)
    others["end"] = others["start"] + 1
    table = pd.concat([sites.assign(status="true"), others.assign(status="false")])
    table = table.sort_values("start", ignore_index=True)
    table["score"] = random.normal(3, 1, len(table))
    table["called"] = table["score"] > np.sort(table["score"])[-min(calls, len(table) - 1) - 1]
    table.loc[~table["called"] & (table["status"] == "true"), "status"] = "missed"
    if not calls:
        table["called"] = False
    table["probability"] = 1 / (1 + np.exp(-table["score"]))
    table["fdr"] = 0.1
    made = table[table["called"]]
    rows = ["#contig\tstart\tend\tclass\tscore\tstrand\tprobability\tfdr"]
    for row in made.to_dict("records"):
        score = round(1000 * row["probability"])
        rows.append(
            f"{row['contig']}\t{row['start']}\t{row['end']}\t{row['class']}\t{score}\t"
            f"{row['strand']}\t{row['probability']:.4f}\t{row['fdr']}"
        )
    with gzip.open(folder / "calls.bed.gz", "wt") as handle:
        handle.write("\n".join(rows) + "\n")
    return table


def _write_evaluation(folder, genome, universe, models, judged, sites, reached, random) -> None:
    """Write the tables of evaluate_scan."""
    metrics, curves, reliability, promises = [], [], [], []
    for class_name in CLASSES:
        count = int((sites["class"] == class_name).sum())
        for model in models:
            key = {"genome": genome, "model": model, "class": class_name, "universe": universe}
            labels, scores = _draw_scores(count, SHIFTS[model], random)
            found = {
                "prevalence": labels.mean(),
                "average_precision": average_precision_score(labels, scores),
                "auroc": roc_auc_score(labels, scores), "sites": count, "bins": len(labels),
                "blocks": 24, "false_positives_per_mb": 40, "ignored_share": 0.01,
                "ece": 0.002, "brier_skill": 0.4, "top_k": 0.6, "enrichment": 900,
            }  # fmt: skip
            kept = np.ones(len(labels), bool)
            kept[np.flatnonzero(labels)[::5]] = False
            clean = {"universe": universe + ":unleaked"}
            others = {"prevalence": labels[kept].mean(), "bins": kept.sum()}
            for metric, value in found.items():
                interval = {"low": value * 0.97, "high": min(value * 1.03, 1)}
                row = key | {"unit": "position", "metric": metric, "value": value} | interval
                metrics += [row, row | clean | {"value": others.get(metric, value)}]
            curves += _curves(key, labels, scores)
            curves += _curves(key | clean, labels[kept], scores[kept])
            promises += _promises(key, judged[judged["class"] == class_name], reached)
            for edge in range(-10, 6):
                share = 1 / (1 + np.exp(-edge - 0.5))
                bins = int(1e6 * np.exp(-abs(edge + 10))) + 30
                expected = share * bins
                row = key | {"expected": expected, "observed": round(expected * 0.9), "bins": bins}
                reliability.append(row | {"low_logodds": edge, "high_logodds": edge + 1})
        for model in models[1:]:
            row = {"genome": genome, "model": f"{models[0]}-{model}", "class": class_name}
            row |= {"universe": universe, "unit": "position", "metric": "average_precision"}
            metrics.append(row | {"value": 0.3, "low": 0.25, "high": 0.36})
    pd.DataFrame(metrics).to_csv(folder / "metrics.tsv", sep="\t", index=False)
    pd.DataFrame(curves).to_parquet(folder / "curves.parquet", index=False)
    pd.DataFrame(reliability).to_parquet(folder / "reliability.parquet", index=False)
    pd.DataFrame(promises).to_csv(folder / "promises.tsv", sep="\t", index=False)
    judged.to_parquet(folder / "calls.parquet", index=False)
    (folder / "details.json").write_text(
        json.dumps({"block_bp": 100_000, "notes": ["Blocks <lie> on one contig."]})
    )


def _write_transfer(path: Path, genome: str, calls: int) -> None:
    """Write what estimate_transfer says of a genome; lyrata is the one with warnings."""
    figures = {"kmer_divergence": 0.021, "kmer_divergence_within": 0.004, "shared_kmers": 0.02,
               "mash_distance": 0.18, "gc": 0.37, "gc_training": 0.36, "unknown": 0.01}  # fmt: skip
    rows = [("", name, value, None) for name, value in figures.items()]
    for name in CLASSES:
        rows += [
            (name, "calibration_prevalence", 1 / 1600, 1e-5), (name, "calls", calls, None),
            (name, "em_prevalence", 1 / 1700, 1e-5), (name, "bbse_prevalence", 0.0, None),
            (name, "em_precision", 0.71 if calls else None, 0.04),
            (name, "bbse_precision", 0.7, 0.04), (name, "misfit", 0.31, None),
        ]  # fmt: skip
    measures = [
        {"class": kind, "measure": measure, "value": value, "unit": "x",
         "low": value - width if width and value else None,
         "high": value + width if width and value else None}
        for kind, measure, value, width in rows
    ]  # fmt: skip
    warnings = [("", "gc", "GC <content> is another.")] + [
        (name, "no_mixture", "The high scores are not those of known sites.") for name in CLASSES
    ]
    found = [
        {"class": kind, "what": what, "sentence": sentence} for kind, what, sentence in warnings
    ]
    content = {"measures": measures, "warnings": found if genome == "lyrata" else []}
    path.write_text(json.dumps(content))


def _draw_scores(count: int, shift: float, random: np.random.Generator):
    """Return labels and scores of rare sites among many other places."""
    labels = np.repeat([0, 1], [count * 400, count])
    return labels, random.normal(-6, 1.5, len(labels)) + labels * shift


def _curves(key: dict, labels: np.ndarray, scores: np.ndarray) -> list[dict]:
    """Return points of all curves of one model and class."""
    blank = {"low": np.nan, "high": np.nan, "label": ""}
    rows = []
    precision, recall, _ = precision_recall_curve(labels, scores)
    # Recall falls along the curve: what reaches a level is its beginning.
    reached = np.searchsorted(-recall, -RECALLS, "right") - 1
    for at, y in zip(RECALLS, np.maximum.accumulate(precision)[reached]):
        band = {"low": max(y - 0.04, 0), "high": min(y + 0.04, 1), "label": ""}
        rows.append(key | {"curve": "precision_recall", "x": at, "y": y} | band)
    others, best = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])[::-1]
    called = np.ceil(RECALLS * len(best) - 1e-9).astype(int)
    thresholds = best[called - 1]
    false = 1 - np.searchsorted(others, thresholds) / len(others)
    for x, y, threshold in zip(false, called / len(best), thresholds):
        rows.append(key | {"curve": "roc", "x": x, "y": y, "score": threshold} | blank)
    for prevalence in np.logspace(-5, -1, 60):
        y = 0.6 * prevalence / (0.6 * prevalence + 0.0004 * (1 - prevalence))
        rows.append(key | {"curve": "prevalence", "x": prevalence, "y": y} | blank)
    for label, kind in (("background", 0), ("sites", 1)):
        counts, edges = np.histogram(scores[labels == kind], np.arange(-12, 4, 0.5))
        for x, y in zip(edges[:-1] + 0.25, counts):
            rows.append(key | {"curve": "scores", "x": x, "y": y} | blank | {"label": label})
    return rows


def _promises(key: dict, judged: pd.DataFrame, reached: bool) -> list[dict]:
    """Return the promises of one model and class."""
    made = judged[judged["called"]]
    true = int((made["status"] == "true").sum())
    observed = true / len(made) if len(made) else np.nan
    rows = []
    for target in TARGETS:
        row = {name: key[name] for name in ("genome", "model", "class")}
        row |= {"precision_target": target, "reached": reached, "threshold_score": 2.0}
        row |= {"promised": target + 0.03, "low": target - 0.03, "high": target + 0.08}
        row |= {"observed": observed, "observed_low": observed - 0.05}
        row |= {"observed_high": observed + 0.05, "calls": len(made), "true_calls": true}
        row |= {"within": bool(target - 0.03 <= observed <= target + 0.08), "recall": 0.7}
        rows.append(row | {"expected_true": 100.0, "expected_false": 10.0})
    return rows
