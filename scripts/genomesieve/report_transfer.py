"""How far a genome without labels can be trusted, as tables and words of a report."""

from __future__ import annotations

from markupsafe import Markup

from genomesieve.report_data import GenomeResults, Screen, Trust, estimate, operating_promise
from genomesieve.report_numbers import (
    Estimate,
    count,
    count_with_interval,
    decimal,
    listed,
    one_in,
    percent,
    percent_with_interval,
)
from genomesieve.report_tables import Table
from genomesieve.transfer_warnings import NOTES


def trusted(screen: Screen) -> list[tuple[GenomeResults, Trust]]:
    """Return the genomes that were assessed without labels."""
    return [(genome, genome.transfer) for genome in screen.scanned if genome.transfer]


def sequence_table(screen: Screen) -> Table:
    """List how far each scanned genome is from the training sequence."""
    rows = []
    for genome, trust in trusted(screen):
        divergence, within = (
            trust.get("", name).value for name in ("kmer_divergence", "kmer_divergence_within")
        )
        gc = trust.get("", "gc_training")
        rows.append(
            [genome.name, decimal(divergence, 4), decimal(within, 4),
             percent(trust.get("", "shared_kmers").value, 1),
             decimal(trust.get("", "mash_distance").value),
             percent(trust.get("", "gc").value, 1), percent_with_interval(gc),
             percent(trust.get("", "unknown").value, 1)]
        )  # fmt: skip
    return Table(
        ["genome", "divergence of 6-letter words, bits", "the same within training sequence",
         "21-letter words shared", "Mash distance", "GC", "GC of training (its pieces)",
         "unknown bases"],
        rows,
    )  # fmt: skip


def prevalence_table(screen: Screen) -> Table:
    """List the estimated number of sites beside the annotated one."""
    rows = []
    for genome, trust in trusted(screen):
        for name in screen.classes:
            known = estimate(genome, screen.network.name, name, "prevalence")
            cells = [_one_in(trust.get(name, f"{how}_prevalence")) for how in ("em", "bbse")]
            rows.append(
                [genome.name, name, one_in(trust.get(name, "calibration_prevalence").value),
                 *cells, one_in(known.value) if known.known else "no annotation",
                 count_with_interval(trust.get(name, "em_sites")), reliance(trust, name)]
            )  # fmt: skip
    return Table(
        ["genome", "class", f"site in calibration ({screen.calibration_genome})",
         "from all scores (95 % interval)", "from the number of calls (95 % interval)",
         "annotated", "sites in what was scanned, from all scores", "rely on it?"],
        rows, 2,
    )  # fmt: skip


def _one_in(found: Estimate) -> str:
    """Write a prevalence and its interval as `1 in 1,604 (1 in 1,500 to 1 in 1,700)`."""
    if found.value == 0:
        return "none"
    if not found.bounded:
        return one_in(found.value)
    ends = [one_in(end) if end > 0 else "none" for end in (found.high, found.low)]
    return f"{one_in(found.value)} ({ends[0]} to {ends[1]})"


def precision_table(screen: Screen) -> Table:
    """List the promised precision, that at the estimated prevalence, and the one found."""
    rows = []
    for genome, trust in trusted(screen):
        for name in screen.classes:
            promise = operating_promise(genome, screen.network, name)
            found = "no annotation"
            if promise is not None:
                columns = ("observed", "observed_low", "observed_high")
                found = percent_with_interval(Estimate(*(promise[column] for column in columns)))
            cells = [
                percent_with_interval(trust.get(name, measure))
                for measure in ("promised_precision", "em_precision", "bbse_precision")
            ]
            rows.append(
                [genome.name, name, count(trust.get(name, "calls").value), *cells, found,
                 count_with_interval(trust.get(name, "em_true_calls")),
                 count_with_interval(trust.get(name, "em_false_calls")), reliance(trust, name)]
            )  # fmt: skip
    return Table(
        ["genome", "class", "calls", "promised precision", "at the prevalence from all scores",
         "at the prevalence from the number of calls", "found in the annotation",
         "right calls, from all scores", "wrong calls", "rely on it?"],
        rows, 2,
    )  # fmt: skip


def reliance(trust: Trust, class_name: str) -> str:
    """Say whether a reader may rely on the estimates of a class, and if not, by which warnings."""
    found = [
        row["what"].replace("_", " ")
        for row in trust.warnings
        if row["class"] in ("", class_name) and row["what"] not in NOTES
    ]
    return f"no: {listed(found)}" if found else "nothing speaks against it"


def checks_table(screen: Screen) -> Table:
    """List what the warnings rest on."""
    rows = []
    for genome, trust in trusted(screen):
        for name in screen.classes:
            rows.append(
                [genome.name, name, decimal(trust.get(name, "misfit").value, 2),
                 decimal(trust.get(name, "misfit_p").value),
                 decimal(trust.get(name, "score_distance").value, 4),
                 decimal(trust.get(name, "score_distance_within").value, 4),
                 percent(trust.get(name, "unseen_scores").value),
                 percent(trust.get(name, "unseen_called_scores").value),
                 count_with_interval(trust.get(name, "false_bins_expected")),
                 count(trust.get(name, "called_bins").value),
                 percent(trust.get(name, "strand_disagreement").value)]
            )  # fmt: skip
    return Table(
        ["genome", "class", "misfit, a site", "its p", "distance of all scores",
         "the same within calibration", "scores never seen", "the same of calls",
         "called without any site", "called", "strand disagreement"],
        rows, 2,
    )  # fmt: skip


def warning_points(screen: Screen) -> list[Markup]:
    """Write the warnings of every genome, or that there is none; equal ones are said once."""
    points = []
    for genome, trust in trusted(screen):
        classes: dict[str, list[str]] = {}
        for row in trust.warnings:
            classes.setdefault(row["sentence"], []).append(row["class"])
        for sentence, names in classes.items():
            about = listed([name for name in names if name])
            points.append(
                Markup("<b>{}</b>{}: {}").format(
                    genome.name, f", {about}" if about else "", sentence
                )
            )
        if not trust.warnings:
            points.append(
                Markup(
                    "<b>{}</b>: no check speaks against these estimates. That is no proof: sites "
                    "that the model cannot see leave no trace in its scores."
                ).format(genome.name)
            )
    return points
