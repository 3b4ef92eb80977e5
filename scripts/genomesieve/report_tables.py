"""The tables of a report, as text cells under headings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.figures_evaluation import curve_of, precision_at
from genomesieve.figures_genome import MOST_FALSE, called_sites
from genomesieve.logos import codes_around, find_consensus, share_with
from genomesieve.report_data import (
    GenomeResults,
    ModelFacts,
    Screen,
    estimate,
    operating_promise,
    promises_of,
)
from genomesieve.report_numbers import (
    ABSENT,
    Estimate,
    count,
    decimal,
    megabases,
    one_in,
    percent,
    percent_with_interval,
    with_interval,
)
from genomesieve.report_words import (
    expectation_words,
    expected_calls,
    expected_in_whole_genome,
    verdict,
)


@dataclass(frozen=True)
class Table:
    """Headings and rows; the first `labels` columns are text, the others numbers."""

    headings: list[str]
    rows: list[list[str]]
    labels: int = 1


def contrast_table(screen: Screen) -> Table:
    """List average precision beside AUROC for every genome, class and model."""
    rows = []
    for genome, name in screen.pairs():
        for model in screen.models:
            found = [
                estimate(genome, model.name, name, metric)
                for metric in ("average_precision", "auroc", "false_positives_per_mb")
            ]
            if not found[0].known:
                continue
            prevalence = estimate(genome, model.name, name, "prevalence").value
            rows.append(
                [genome.name, name, model.name, with_interval(found[0]), with_interval(found[1], 4),
                 count(found[2].value), one_in(prevalence)]
            )  # fmt: skip
    return Table(
        ["genome", "class", "model", "average precision (95 % interval)", "AUROC (95 % interval)",
         "false positives per Mb at half recall", "prevalence"],
        rows, 3,
    )  # fmt: skip


def metrics_table(screen: Screen) -> Table:
    """List more metrics of the network and the baselines."""
    metrics = {
        "precision at recall 0.1": ("precision_at_recall_0.1", percent),
        "at 0.5": ("precision_at_recall_0.5", percent),
        "at 0.9": ("precision_at_recall_0.9", percent),
        "recall at precision 0.5": ("recall_at_precision_0.5", percent),
        "at 0.9 ": ("recall_at_precision_0.9", percent),
        "top-k": ("top_k", percent),
        "enrichment at half recall": ("enrichment", count),
        "ECE": ("ece", lambda value: decimal(value, 4)),
        "Brier skill": ("brier_skill", decimal),
        "sites": ("sites", count),
    }
    rows = []
    for genome, name in screen.pairs():
        for model in screen.models:
            values = [
                write(estimate(genome, model.name, name, metric).value)
                for metric, write in metrics.values()
            ]
            if set(values) != {ABSENT}:
                rows.append([genome.name, name, model.name, *values])
    return Table(["genome", "class", "model", *(key.strip() for key in metrics)], rows, 3)


def differences_table(screen: Screen) -> Table:
    """List the average precision of the network minus each baseline's, on the same blocks."""
    rows = []
    for genome, name in screen.pairs():
        for model in screen.baselines:
            pair = f"{screen.network.name}-{model.name}"
            found = estimate(genome, pair, name, "average_precision")
            if found.known:
                rows.append([genome.name, name, model.name, with_interval(found), _beats(found)])
    return Table(
        ["genome", "class", "baseline", "difference in average precision (95 % interval)",
         f"does {screen.network.name} beat it?"],
        rows, 3,
    )  # fmt: skip


def _beats(found: Estimate) -> str:
    """Say what a paired difference means."""
    if not found.bounded:
        return "no interval"
    if found.low > 0:
        return "yes"
    return "no, it is worse" if found.high < 0 else "no: the interval holds 0"


def promises_table(screen: Screen, models: list[ModelFacts]) -> Table:
    """List promised and found precision for every target; the operating one is marked."""
    rows = []
    for genome, name in screen.pairs():
        for model in models:
            operating = operating_promise(genome, model, name)
            for row in promises_of(genome, model.name, name).to_dict("records"):
                target = percent(row["precision_target"])
                if operating is not None and (
                    operating["precision_target"] == row["precision_target"]
                ):
                    target += " ●"
                promised = Estimate(row["promised"], row["low"], row["high"])
                found = Estimate(row["observed"], row["observed_low"], row["observed_high"])
                rows.append(
                    [genome.name, name, model.name, target, _reached(row),
                     percent_with_interval(promised), percent_with_interval(found),
                     verdict(pd.Series(row)), count(row["calls"]), percent(row["recall"])]
                )  # fmt: skip
    return Table(
        ["genome", "class", "model", "asked for", "reached in calibration",
         "promised (95 % prediction interval)", "found (95 % interval)", "verdict",
         "calls judged", "sites found"],
        rows, 3,
    )  # fmt: skip


def _reached(row: dict) -> str:
    """Say whether a target was reached when the thresholds were set."""
    return "yes" if row["reached"] else "not reached"


def expected_table(screen: Screen) -> Table:
    """List the expected right and wrong calls in what was scanned of every genome."""
    rows = []
    for genome in screen.scanned:
        for name in screen.classes:
            calls = int((genome.calls["class"] == name).sum())
            true, false = expectation_words(expected_calls(screen, genome, name))
            promise = operating_promise(genome, screen.network, name)
            found = count(promise["true_calls"]) if promise is not None else "no annotation"
            rows.append(
                [genome.name, name, megabases(genome.scanned_bases), count(calls), true, false,
                 found]
            )  # fmt: skip
    return Table(
        ["genome", "class", "scanned", "calls", "expected right (95 % interval)",
         "expected wrong (95 % interval)", "found in the annotation"],
        rows, 2,
    )  # fmt: skip


def whole_genome_table(screen: Screen) -> Table:
    """List the expected right and wrong calls if a whole genome is like what was scanned of it."""
    rows = []
    for genome in screen.scanned:
        for name in screen.classes:
            words = expectation_words(expected_in_whole_genome(screen, genome, name))
            rows.append([genome.name, name, megabases(genome.whole_bases), *words])
    return Table(
        ["genome", "class", "all contigs", "expected right (95 % interval)",
         "expected wrong (95 % interval)"],
        rows, 2,
    )  # fmt: skip


def prevalence_table(screen: Screen) -> Table:
    """List the precision at the operating point at this prevalence, a third and three times it."""
    rows = []
    for genome, name in screen.pairs():
        prevalence = estimate(genome, screen.network.name, name, "prevalence").value
        points = curve_of(genome, screen.network.name, name, "prevalence").sort_values("x")
        values = [percent(precision_at(points, prevalence * factor)) for factor in (1 / 3, 1, 3)]
        rows.append([genome.name, name, one_in(prevalence), *values])
    return Table(
        ["genome", "class", "prevalence", "precision at a third of it", "at it",
         "at three times it"],
        rows, 2,
    )  # fmt: skip


def leakage_table(screen: Screen) -> Table:
    """List average precision with and without sites that resemble training sequence."""
    rows = []
    for genome, name in screen.pairs():
        for model in screen.models:
            cells = []
            for universe in (genome.universe, genome.universe + ":unleaked"):
                found = estimate(genome, model.name, name, "average_precision", universe)
                sites = estimate(genome, model.name, name, "sites", universe)
                cells += [count(sites.value), with_interval(found)]
            rows.append([genome.name, name, model.name, *cells])
    return Table(
        ["genome", "class", "model", "sites", "average precision", "sites without the leaked",
         "average precision without them"],
        rows, 3,
    )  # fmt: skip


def universe_table(screen: Screen) -> Table:
    """List what the metrics were computed on, and what was left out."""
    rows = []
    for genome, name in screen.pairs():
        model = screen.network.name
        shares = [
            percent(estimate(genome, model, name, metric).value, 2)
            for metric in ("ignored_share", "unknown_share", "strand_disagreement")
        ]
        counts = [
            count(estimate(genome, model, name, metric).value)
            for metric in ("bins", "sites", "blocks")
        ]
        rows.append([genome.name, name, *counts, *shares])
    return Table(
        ["genome", "class", "predictions judged", "sites", "bootstrap blocks", "ignored",
         "unknown bases", "strand disagreement"],
        rows, 2,
    )  # fmt: skip


def consensus_table(screen: Screen) -> Table:
    """List how many sites, misses and best false positives carry the sites' own dinucleotide."""
    rows = []
    for genome, name in screen.pairs():
        found = called_sites(genome, name)
        windows = {kind: codes_around(sites, genome.genome) for kind, sites in found.items()}
        alphabet = genome.genome.alphabet
        consensus = find_consensus(windows["annotated sites"], alphabet)
        if consensus is None:
            continue
        place = f"{consensus.letters} at {consensus.offset:+d}..{consensus.offset + 1:+d}"
        shares = [
            f"{percent(share_with(consensus, windows[kind], alphabet))} of {count(len(sites))}"
            for kind, sites in found.items()
            if kind != "calls"
        ]
        rows.append([genome.name, name, place, *shares])
    return Table(
        ["genome", "class", "consensus", "annotated sites with it",
         f"best {MOST_FALSE} false positives with it", "missed sites with it"],
        rows, 3,
    )  # fmt: skip


def split_table(screen: Screen) -> Table:
    """List the length of the parts of every genome, and what lies between them."""
    parts = ("train", "valid", "calibrate", "test", "screen")
    rows = []
    for genome in screen.genomes:
        lengths = [genome.bases(part) for part in parts]
        cells = [megabases(length) if length else ABSENT for length in lengths]
        rows.append([genome.name, *cells, megabases(_between(genome))])
    return Table(["genome", *parts, "unused or guard, between parts"], rows)


def _between(genome: GenomeResults) -> int:
    """Return the bases between neighbouring intervals of one contig."""
    total = 0
    for _, rows in genome.split.groupby("contig", sort=False):
        rows = rows.sort_values("start")
        total += int((rows["start"].to_numpy()[1:] - rows["end"].to_numpy()[:-1]).sum())
    return total


def dropped_table(screen: Screen) -> Table:
    """List everything that summaries count as dropped, by reason."""
    rows = []
    for genome in screen.genomes:
        for subject, summary in genome.summaries.items():
            for key, value in flatten(summary):
                keys = key.split(" / ")
                if "dropped" in key and isinstance(value, (int, float)) and value:
                    reason = " / ".join(word for word in keys if word != "dropped")
                    rows.append([genome.name, subject, reason.replace("_", " "), count(value)])
    return Table(["genome", "step", "reason", "dropped"], rows, 3)


def summary_table(summary: dict) -> Table:
    """Turn a summary into rows of key and value."""
    rows = []
    for key, value in flatten(summary):
        text = count(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(value, float):
            text = f"{value:,.4g}"
        rows.append([key, str(text)])
    return Table(["what", "value"], rows)


def flatten(content: object, path: tuple[str, ...] = ()) -> list[tuple[str, object]]:
    """List the leaves of nested JSON with their keys joined by ` / `; long lists are shortened."""
    if isinstance(content, dict):
        return [
            leaf for key, value in content.items() for leaf in flatten(value, (*path, str(key)))
        ]
    if isinstance(content, list) and any(isinstance(value, (dict, list)) for value in content):
        numbered = {str(number): value for number, value in enumerate(content[:20], start=1)}
        return flatten(numbered, path)
    return [(" / ".join(path), shorten(content))]


def shorten(content: object, most: int = 12) -> object:
    """Replace long lists inside JSON by their length."""
    if isinstance(content, dict):
        return {key: shorten(value, most) for key, value in content.items()}
    if isinstance(content, list):
        if len(content) > most and not any(isinstance(value, (dict, list)) for value in content):
            return f"[{len(content)} values]"
        return [shorten(value, most) for value in content]
    if isinstance(content, (float, np.floating)) and not np.isfinite(content):
        return None
    return content
