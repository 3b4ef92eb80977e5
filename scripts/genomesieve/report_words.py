"""The sentences of a report: what was learned, what was promised, what was found.

Texts are Markup: everything that comes from data is escaped.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup

from genomesieve.promises import promised_precision
from genomesieve.report_data import (
    GenomeResults,
    Screen,
    estimate,
    operating_promise,
)
from genomesieve.report_numbers import (
    Estimate,
    count,
    count_with_interval,
    decimal,
    listed,
    megabases,
    one_in,
    percent,
    percent_with_interval,
)
from genomesieve.transfer_warnings import NOTES

MOST_CLASSES = 3
"""Sentences name each class up to this many, and sum up beyond."""


def answer(screen: Screen) -> list[Markup]:
    """Return the sentences that a reader should take away if nothing else."""
    contrast = contrast_sentence(screen)
    sentences = [training_sentence(screen)] + ([contrast] if contrast else [])
    held_out = [genome for genome in screen.scanned if genome.held_out]
    screened = [genome for genome in screen.scanned if not genome.held_out]
    if held_out:
        sentences.append(
            Markup("<br>").join(held_out_sentence(screen, genome) for genome in held_out)
        )
    if screened:
        sentences.append(
            Markup("<br>").join(screened_sentence(screen, genome) for genome in screened)
        )
    return sentences


def training_sentence(screen: Screen) -> Markup:
    """Say what was trained on what, and how rare the sites are."""
    trained = [genome for genome in screen.genomes if genome.bases("train")]
    places = listed([f"{megabases(g.bases('train'))} of {g.name}" for g in trained])
    known = screen.network.facts.get("training", {}).get("prevalence", {})
    rates = [(name, known[name]) for name in screen.classes if name in known]
    unit = "positions" if screen.resolution == 1 else f"bins of {screen.resolution} bp"
    each = " (both strands counted)" if screen.strands == 2 else ""
    verb = "imported with its weights" if screen.imported else "trained"
    text = Markup("The network <b>{}</b> was {} to find <b>{}</b> sites").format(
        screen.network.name, verb, listed(screen.classes)
    )
    if screen.imported:
        text += Markup(
            "; <b>what it was trained on is not known here</b>, and it may have seen what it is "
            "tested on. Its probabilities were calibrated on {}"
        ).format(screen.calibration_genome)
    elif places:
        text += Markup(" on <b>{}</b>").format(places)
    if rates and len(rates) <= MOST_CLASSES:
        verb = "is" if screen.resolution == 1 else "holds"
        clauses = [f"{one_in(rate)} {unit} {verb} {article(name)} site" for name, rate in rates]
        text += Markup(", where {}{}").format(listed(clauses), each)
    elif rates:
        values = [rate for _, rate in rates]
        text += Markup(", where between {} and {} {} hold a site of a class{}").format(
            one_in(min(values)), one_in(max(values)), unit, each
        )
    return text + Markup(".")


def article(name: str) -> str:
    """Put `a` or `an` before a class's name."""
    return f"{'an' if name[:1].lower() in set('aeiou') else 'a'} {name}"


def held_out_sentence(screen: Screen, genome: GenomeResults) -> Markup:
    """Say how the promise held on the part of a genome that training (here) never saw."""
    held_out_from = "calibration" if screen.imported else "training"
    text = Markup("On <b>{} of {}</b> held out from {} it makes <b>{} calls</b>").format(
        megabases(genome.scanned_bases), genome.name, held_out_from, count(len(genome.calls))
    )
    return text + _clauses(screen, genome) + Markup(".")


def screened_sentence(screen: Screen, genome: GenomeResults) -> Markup:
    """Say what to expect of the calls on a genome that was only screened."""
    text = Markup("On <b>{} of {}</b>, screened with the same model, it makes <b>{} calls</b>")
    text = text.format(megabases(genome.scanned_bases), genome.name, count(len(genome.calls)))
    sums = [expected_calls(screen, genome, name) for name in screen.classes]
    true = sum(pair[0].value for pair in sums if pair[0].known)
    false = sum(pair[1].value for pair in sums if pair[1].known)
    if any(pair[0].known for pair in sums):
        text += Markup(", about {} right and {} wrong").format(count(true), count(false))
        text += Markup(" if prevalence and scores carry over from {}").format(
            screen.calibration_genome
        )
    if genome.evaluation is None:
        text += Markup("; it has no annotation, so these calls cannot be checked here.")
        return text + trust_clause(screen, genome)
    return text + _clauses(screen, genome) + Markup(".")


def trust_clause(screen: Screen, genome: GenomeResults) -> Markup:
    """Say for the answer what is estimated of a genome that nobody annotated."""
    if genome.transfer is None:
        return Markup("")
    shares = [(name, genome.transfer.get(name, "em_precision")) for name in screen.classes]
    known = [(name, one) for name, one in shares if one.known]
    text = Markup("")
    if known and len(known) <= MOST_CLASSES:
        parts = [f"{percent_with_interval(one)} of the {name} calls" for name, one in known]
        text += Markup(" From their scores alone, {} should be right").format(listed(parts))
    elif known:
        values = sorted(one.value for _, one in known)
        text += Markup(" From their scores alone, {} to {} of the calls of a class should be right")
        text = text.format(percent(values[0]), percent(values[-1]))
    against = [row for row in genome.transfer.warnings if row["what"] not in NOTES]
    warnings = len({row["sentence"] for row in against})
    if not warnings:
        return text + Markup(".") if text else text
    verb = "warning speaks" if warnings == 1 else "warnings speak"
    if not text:
        return Markup(' {} {} against trusting them, <a href="#trust">below</a>.').format(
            warnings, verb
        )
    return text + Markup(', but <b>{} {} against that</b>, <a href="#trust">below</a>.').format(
        warnings, verb
    )


def _clauses(screen: Screen, genome: GenomeResults) -> Markup:
    """Return one clause for each class, or one for all where there are many."""
    if genome.evaluation is None:
        return Markup("; there is no annotation to check them against")
    if len(screen.classes) > MOST_CLASSES:
        return _summary_clause(screen, genome)
    clauses = [class_clause(screen, genome, name) for name in screen.classes]
    return Markup(": ") + Markup("; ").join(clauses)


def class_clause(screen: Screen, genome: GenomeResults, class_name: str) -> Markup:
    """Say what was promised and found for one class."""
    promise = operating_promise(genome, screen.network, class_name)
    if promise is None:
        return Markup("{}: no promise was made").format(class_name)
    target = percent(promise["precision_target"])
    promised = Estimate(promise["promised"], promise["low"], promise["high"])
    found = percent(promise["observed"])
    text = Markup("<b>{}</b> – ").format(class_name)
    if not promise["reached"]:
        threshold = screen.network.operating(class_name) or {}
        bound = percent(threshold.get("lower_bound", float("nan")))
        text += Markup("a precision of {} was <b>not reached</b> (best bound {}), ").format(
            target, bound
        )
    if not promise["calls"]:
        return text + Markup("no calls, so no precision to check")
    text += Markup("promised precision {}, found <b>{}</b> ({})").format(
        percent_with_interval(promised), found, verdict(promise)
    )
    return text + Markup(", with {} of the annotated sites found").format(
        percent(promise["recall"])
    )


def verdict(promise: pd.Series) -> str:
    """Say whether the precision found lies in the promised interval."""
    observed, low, high = promise["observed"], promise["low"], promise["high"]
    if not np.isfinite(observed):
        return "nothing to check"
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval was promised"
    if observed < low:
        return "the promise was not kept"
    return "better than promised" if observed > high else "as promised"


def _summary_clause(screen: Screen, genome: GenomeResults) -> Markup:
    """Sum the promises of many classes up."""
    promises = [operating_promise(genome, screen.network, name) for name in screen.classes]
    checked = [row for row in promises if row is not None and np.isfinite(row["observed"])]
    kept = sum(verdict(row) in ("as promised", "better than promised") for row in checked)
    unreached = sum(row is not None and not row["reached"] for row in promises)
    text = Markup("; the promise was kept for {} of the {} classes with calls to check").format(
        kept, len(checked)
    )
    if unreached:
        text += Markup(", and the precision asked for was not reached for {} of the {}").format(
            unreached, len(promises)
        )
    return text


def contrast_sentence(screen: Screen) -> Markup | None:
    """Show that AUROC hides what average precision tells, where there is a baseline."""
    genomes = sorted(screen.evaluated, key=lambda genome: not genome.held_out)
    if not genomes:
        return None
    genome = genomes[0]
    auroc, precision = ([], [])
    for model in screen.models:
        values = [estimate(genome, model.name, name, "auroc").value for name in screen.classes]
        average = [
            estimate(genome, model.name, name, "average_precision").value for name in screen.classes
        ]
        if np.isfinite(values).any() and np.isfinite(average).any():
            auroc.append(f"{_range(values)} for {model.name}")
            precision.append(f"{_range(average)} for {model.name}")
    if not auroc:
        return None
    return Markup(
        "<b>Do not trust AUROC here:</b> on {} it is {}. The average precision at the genome's own "
        "rate, which is what a user of the calls feels, is <b>{}</b>."
    ).format(genome.name, listed(auroc), listed(precision))


def _range(values: list[float]) -> str:
    """Write the smallest and the largest of some values; small ones keep a digit that is not 0."""
    least, most = np.nanmin(values), np.nanmax(values)
    for digits in (2, 3, 4):
        low, high = decimal(least, digits), decimal(most, digits)
        if low != high and (float(low) or not least):
            break
        if low == high and digits == 3:
            break
    return low if low == high else f"{low}–{high}"


def expected_calls(
    screen: Screen, genome: GenomeResults, class_name: str
) -> tuple[Estimate, Estimate]:
    """Return how many calls of a class at the operating point should be right and wrong.

    The evaluation's figures are used where there are any; else the precision found in calibration
    is applied to the number of calls.
    """
    true = estimate(genome, screen.network.name, class_name, "expected_true_calls")
    false = estimate(genome, screen.network.name, class_name, "expected_false_calls")
    if true.known and false.known:
        return true, false
    threshold = screen.network.operating(class_name)
    calls = int((genome.calls["class"] == class_name).sum())
    if threshold is None or not threshold["calls"]:
        return Estimate(), Estimate()
    promise = promised_precision(threshold, calls)
    value, low, high = promise.precision, promise.low, promise.high
    return (
        Estimate(calls * value, calls * low, calls * high),
        Estimate(calls * (1 - value), calls * (1 - high), calls * (1 - low)),
    )


def expected_in_whole_genome(
    screen: Screen, genome: GenomeResults, class_name: str
) -> tuple[Estimate, Estimate]:
    """Return the expected right and wrong calls if the whole genome is like what was scanned.

    The evaluation's figures are used where there are any.
    """
    kinds = ("expected_true_calls_whole_genome", "expected_false_calls_whole_genome")
    true, false = (estimate(genome, screen.network.name, class_name, kind) for kind in kinds)
    if true.known and false.known:
        return true, false
    factor = genome.whole_bases / genome.scanned_bases
    true, false = expected_calls(screen, genome, class_name)
    return Estimate(*(factor * x for x in true)), Estimate(*(factor * x for x in false))


def expectation_words(pair: tuple[Estimate, Estimate]) -> tuple[str, str]:
    """Write expected right and wrong calls with their intervals."""
    return count_with_interval(pair[0]), count_with_interval(pair[1])
