"""When figures about a genome without labels should not be believed, in words.

Limits were set before anything was measured on real genomes, but for `RELATED`, which at 0.2 missed
the fourth chromosomes of two sister species of flies.
"""

from __future__ import annotations

from genomesieve.assessment import Assessment, Caution

DIVERGENCE = 3.0
"""K-mer divergence, in multiples of the largest within training sequence."""
GC_MARGIN = 0.03
"""Share of bases beyond the range of training pieces."""
UNKNOWN = 0.2
"""Share of unknown bases."""
RELATED = 0.05
"""Share of 21-mers in common from which on a genome is a relative."""
UNSEEN = 0.001
"""Share of bins with a score never seen in calibration."""
UNSEEN_CALLED = 0.05
"""The same among called bins."""
DISAGREEMENT = 0.2
"""Share of called bins called on one strand's reading alone."""
MISFIT = 0.2
"""Bins in the wrong cell of scores, per expected site."""
MISFIT_P = 0.01
"""Probability of such a misfit under prior shift alone."""
SCORE_DISTANCE = 3.0
"""Distance of all scores, in multiples of that within the calibrate part."""
SWAMPED = 0.5
"""Share of the called bins that would be called without any site."""
APART = 1.5
"""Factor between two estimators of the prevalence."""
NOTES = ("relative", "few_blocks", "promise")
"""Short names of what a reader should know although it does not speak against the estimates."""


def sequence_warnings(found: Assessment, own_genome: bool) -> list[Caution]:
    """Warn where sequence is unlike that of training, or where it is that of a relative.

    Another part of the training genome itself (`own_genome`) shares its repeats; it is no relative.
    """
    warnings = []
    divergence, within = found.value("kmer_divergence"), found.value("kmer_divergence_within")
    # Pieces of one repeat have no distance to measure by.
    if within > 0 and divergence > DIVERGENCE * within:
        warnings.append(
            Caution(
                "far_sequence",
                f"The sequence is {divergence / within:.0f} times as far from the training "
                "sequence (words of 6 bases) as pieces of the training genome are from each other: "
                "the model was taught on sequence of another kind.",
            )
        )
    low, high = found.interval("gc_training")
    if found.value("gc") < low - GC_MARGIN or found.value("gc") > high + GC_MARGIN:
        warnings.append(
            Caution(
                "gc",
                f"{_percent(found.value('gc'))} of its bases are G or C; pieces of the training "
                f"sequence have {_percent(low)} to {_percent(high)}.",
            )
        )
    if found.value("unknown") > UNKNOWN:
        warnings.append(
            Caution(
                "unknown_bases",
                f"{_percent(found.value('unknown'))} of the scanned bases are unknown; sites near "
                "them cannot be found.",
            )
        )
    if found.value("shared_kmers") > RELATED and not own_genome:
        warnings.append(
            Caution(
                "relative",
                f"{_percent(found.value('shared_kmers'))} of its words of 21 bases occur in "
                "training sequence: it is a relative of the training genome. That the model does "
                "well here says little about genomes that are not.",
            )
        )
    return warnings


def class_warnings(found: Assessment, reliable: bool) -> list[Caution]:
    """Warn where the scores of one class do not support the estimates."""
    checks = (_unknown, _unseen, _unfit, _swamped, _disagreeing, _promise)
    warnings = [warning for check in checks for warning in check(found)]
    if not reliable:
        warnings.append(
            Caution(
                "few_blocks",
                f"There are only {found.value('blocks'):.0f} blocks to resample, so the intervals "
                "are too narrow.",
            )
        )
    return warnings


def _unknown(found: Assessment) -> list[Caution]:
    """Warn where there is no estimate, or one at the edge of what is possible."""
    prevalence = found.value("em_prevalence")
    if not prevalence >= 0:
        return [
            Caution(
                "no_estimate",
                "No prevalence can be estimated: the model's scores do not tell sites from other "
                "places, or nothing was scanned.",
            )
        ]
    if found.value("em_sites") < 1:
        return [
            Caution(
                "at_bound",
                "The likeliest number of sites is none at all: the scores look like those of "
                "places without sites. A genome that has sites all the same is one that the model "
                "does not understand.",
            )
        ]
    if not found.value("em_converged"):
        return [
            Caution(
                "not_converged",
                "Expectation maximisation did not come to an end, so the prevalence is a guess.",
            )
        ]
    return []


def _unseen(found: Assessment) -> list[Caution]:
    """Warn of scores without precedent, and of strands that contradict each other."""
    warnings = []
    every, called = found.value("unseen_scores"), found.value("unseen_called_scores")
    if every > UNSEEN or called > UNSEEN_CALLED:
        warnings.append(
            Caution(
                "unseen_scores",
                f"{_percent(every)} of the positions and {_percent(called)} of the called ones "
                "have scores that calibration never saw, so nothing is known of how often such "
                "scores are right.",
            )
        )
    if found.value("strand_disagreement") > DISAGREEMENT:
        warnings.append(
            Caution(
                "strands_disagree",
                f"{_percent(found.value('strand_disagreement'))} of the called positions are "
                "called on one strand's reading alone, although these sites have no strand.",
            )
        )
    return warnings


def _unfit(found: Assessment) -> list[Caution]:
    """Warn where scores are no mixture of those of calibration."""
    misfit, p_value = found.value("misfit"), found.value("misfit_p")
    distance, within = found.value("score_distance"), found.value("score_distance_within")
    warnings = []
    if misfit > MISFIT and p_value < MISFIT_P:
        warnings.append(
            Caution(
                "no_mixture",
                "The high scores are not those of known sites and known other places in any "
                f"proportion: for every 100 expected sites, {100 * misfit:.0f} positions score as "
                "they should not. Sites or their surroundings look different here, so neither the "
                "estimated number of sites nor the estimated precision can be relied on.",
            )
        )
    if within > 0 and distance > SCORE_DISTANCE * within:
        warnings.append(
            Caution(
                "shifted_scores",
                f"Scores as a whole are {distance / within:.0f} times as far from those of "
                "calibration as halves of the calibrate part are from each other: the background "
                "differs.",
            )
        )
    return warnings


def _swamped(found: Assessment) -> list[Caution]:
    """Warn where false positives are so many that calls say nothing of how many sites there are."""
    false, called = found.value("false_bins_expected"), found.value("called_bins")
    low = found.interval("bbse_prevalence")[0]
    if not (false > SWAMPED * called or low <= 0):
        return []
    return [
        Caution(
            "swamped",
            f"Sites are so rare that false positives swamp them: without a single site "
            f"{false:,.0f} positions would be called, and {called:,.0f} are. A small change of the "
            "false positive rate changes the estimates by a large factor.",
        )
    ]


def _disagreeing(found: Assessment) -> list[Caution]:
    """Warn where the two estimators contradict each other."""
    one, other = found.value("em_prevalence"), found.value("bbse_prevalence")
    (low, high), (least, most) = (found.interval(f"{how}_prevalence") for how in ("em", "bbse"))
    factor = max(one, other) / max(min(one, other), 1e-300)
    if not (factor > APART and (low > most or high < least)):
        return []
    return [
        Caution(
            "estimates_differ",
            f"From all scores together there should be {found.value('em_sites'):,.0f} sites, from "
            f"the number of called positions {found.value('bbse_sites'):,.0f}. If only the share "
            "of sites had changed, the two would agree.",
        )
    ]


def _promise(found: Assessment) -> list[Caution]:
    """Say where the promise of the calibration does not hold at the estimated prevalence."""
    value, promised = found.value("em_precision"), found.value("promised_precision")
    if not found.interval("em_precision")[1] < found.interval("promised_precision")[0]:
        return []
    times = 1 / max(found.value("em_prevalence_ratio"), 1e-9)
    return [
        Caution(
            "promise",
            f"By the estimate sites are {times:.3g} times as rare as where the model was "
            f"calibrated, so that {_percent(value)} of the calls are right and not the promised "
            f"{_percent(promised)}.",
        )
    ]


def _percent(share: float) -> str:
    """Write a share as a percentage with as many digits as it needs."""
    return f"{100 * share:.3g} %"
