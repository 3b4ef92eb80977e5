"""What readers of an evaluation must know: how figures are defined, on what, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from genomesieve.bootstrap import is_reliable
from genomesieve.evaluated_scans import ScannedModel, Subject
from genomesieve.evaluation import MIDDLE_RECALL
from genomesieve.labels_on_bins import ScanLabels
from genomesieve.promises import operating_threshold
from genomesieve.scores import UNSCORED

DEFINITIONS = {
    "universe": "all bins of the part, both strands of stranded classes, without unknown bases, "
    "ignored bins and excluded stretches",
    "prevalence": "positive bins per bin of the universe, strands counted apart",
    "average_precision": "mean precision over the sites' bins; a step function, not interpolated",
    "precision_at_recall_r": "at the highest threshold with recall of at least r",
    "recall_at_precision_p": "largest recall with precision of at least p and at least 20 bins",
    "top_k": "share of positives among the k best bins, k the number of positives",
    "false_positives_per_mb": "wrong bins per Mb of genome, both strands summed, at the highest "
    f"threshold with recall of at least {MIDDLE_RECALL:g}",
    "enrichment": f"precision at recall {MIDDLE_RECALL:g} divided by prevalence",
    "ece": "mean distance of predicted and observed rate in 15 groups of equal size, predictions "
    "of at least 0.01 only",
    "brier_skill": "1 - Brier score / Brier score of predicting the prevalence everywhere",
    "calls": "merged candidates at or above the operating threshold, without ignored ones",
    "observed_precision": "share of calls that match a known site; each site is matched once",
    "observed_recall": "share of sites that a call matches",
    "promised_precision": "precision in calibration, with the 95 % prediction interval for the "
    "number of calls to be expected here, if prevalence and scores carry over",
    "expected_true_calls": "calls made here times the promised precision",
    "expected_true_calls_whole_genome": "the same, scaled to all known bases of the genome",
    "strand_disagreement": "classes without strand: share of bins at or above the operating "
    "threshold on one strand's reading alone, among those that are on either; on a sample of the "
    "scan",
    "strand_difference": "classes without strand: mean absolute difference of the log-odds between "
    "both readings, all bins of the sample",
    "false_calls_per_mb": "wrong calls per Mb of genome, both strands summed",
}


def describe(
    subject: Subject,
    scanned: list[ScannedModel],
    metrics: pd.DataFrame,
    notes: dict,
    settings: dict,
) -> dict:
    """Return details.json: what was evaluated, how, and what a reader must know.

    Parameters
    ----------
    subject : Subject
    scanned : list of ScannedModel
        The network first.
    metrics : pandas.DataFrame
        metrics.tsv.
    notes, settings : dict
        What is added, and how it was evaluated.
    """
    blocks = subject.layout.blocks
    sizes = (blocks["end_bin"] - blocks["first_bin"]) * subject.layout.resolution
    calibrated_on = scanned[0].model["calibration"].get("genomes", [])
    here = subject.genome in calibrated_on
    reliable = is_reliable(len(blocks))
    remarks = [
        "Blocks of these contigs do not speak for other contigs.",
        "Sites that nobody annotated count as false calls.",
    ]
    if not reliable:
        remarks.append(f"Only {len(blocks)} blocks: intervals are unreliable.")
    if not here:
        remarks.append(
            "Probabilities, fdr and promises hold if prevalence and score distributions carry over "
            f"from {', '.join(calibrated_on)}."
        )
    remarks += _prevalence_remarks(scanned[0], metrics, subject)
    by_class = subject.labels.sites["class_index"].to_numpy()
    return _json_safe(
        {
            "genome": subject.genome,
            "part": subject.part,
            "models": [scan.name for scan in scanned],
            "calibrated_on": calibrated_on,
            "calibrated_here": here,
            "settings": settings,
            "block_bp": float(np.median(sizes)) if len(sizes) else 0.0,
            "blocks": len(blocks),
            "intervals_reliable": reliable,
            "strand_bins": subject.strand_bins,
            "sites": {
                name: {
                    "in_universe": int((by_class == index).sum()),
                    "leaked": int((subject.leaked & (by_class == index)).sum()),
                    "on_unknown_bases": _unscored_sites(scanned[0], subject.labels, index),
                }
                for index, name in enumerate(subject.classes)
            },
            "undefined_metrics": int(metrics["value"].isna().sum()),
            "definitions": DEFINITIONS,
            "notes": remarks,
        }
        | notes
    )


def _prevalence_remarks(
    network: ScannedModel, metrics: pd.DataFrame, subject: Subject
) -> list[str]:
    """Say, per class, how far a different prevalence alone would move the promised precision."""
    mine = metrics[
        (metrics["model"] == network.name)
        & (metrics["metric"] == "prevalence")
        & (metrics["universe"] == subject.part)
    ].set_index("class")["value"]
    remarks = []
    for name in subject.classes:
        calibration = network.model["calibration"]["classes"][name]
        before, here = calibration["prevalence"], float(mine[name])
        promised = operating_threshold(calibration)["precision"]
        if not (0 < promised < 1 and 0 < here < 1):
            continue
        odds = promised / (1 - promised) * (here / (1 - here)) / (before / (1 - before))
        remarks.append(
            f"{name}: one site in {1 / here:,.0f} positions here against one in {1 / before:,.0f} "
            f"where the model was calibrated. That alone would move the precision from "
            f"{promised:.2f} to {odds / (1 + odds):.2f}; what is found beyond it comes from scores "
            "that differ or sites that are not annotated."
        )
    return remarks


def _unscored_sites(scan: ScannedModel, labels: ScanLabels, index: int) -> int:
    """Count the sites of a class whose bin has no score."""
    sites = labels.sites[labels.sites["class_index"] == index]
    codes = scan.scores[:, index][sites["strand_index"].to_numpy(), sites["bin"].to_numpy()]
    return int((codes == UNSCORED).sum())


def _json_safe(value: object) -> object:
    """Replace what JSON cannot hold (NaN, infinities) by None, at any depth."""
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_safe(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
