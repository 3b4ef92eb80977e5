"""How far a calibrated model can be trusted on a genome without labels: figures and warnings.

Two questions: is the sequence like that of training (`assess_sequence`), and do the scores look as
if only the share of sites had changed (`assess_class`)? Each answer is a list of measures with
units, and of warnings in words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomesieve import kmer_distance, prior_shift
from genomesieve.assessment import GENOME, Assessment, Measure
from genomesieve.bootstrap import block_weights, is_reliable
from genomesieve.kmer_distance import Stretches
from genomesieve.mixture_fit import (
    MixtureFit,
    judge_mixture,
    mix,
    pool_cells,
    shares,
    site_cells,
    total_variation,
)
from genomesieve.prior_shift import ScoreGroups, expectation_maximisation
from genomesieve.promises import draw_precision, operating_threshold, promised_precision
from genomesieve.score_counts import ScoreCounts
from genomesieve.transfer_warnings import class_warnings, sequence_warnings

_SEEN = 64
"""Codes of which one that calibration saw stands for all: 6 % of a score at most."""


# --- the sequence ---------------------------------------------------------------------------------


def assess_sequence(target: Stretches, training: Stretches) -> Assessment:
    """Measure how far scanned sequence is from that of training.

    The yardstick is training sequence itself: pieces of it, as long as what was scanned, against
    the rest of it.

    Parameters
    ----------
    target : list of (EncodedGenome, pandas.DataFrame)
        What was scanned.
    training : list of (EncodedGenome, pandas.DataFrame)
        What the model was trained on.
    """
    length = kmer_distance.bases_of(target)
    scanned, trained = kmer_distance.compose(target), kmer_distance.compose(training)
    within, gc = [], []
    for stretches in kmer_distance.cut_pieces(training, length):
        piece = kmer_distance.compose(stretches)
        rest = (trained - piece).kmers
        within.append(kmer_distance.jensen_shannon_divergence(piece.kmers, rest))
        gc.append(piece.gc)
    divergence = kmer_distance.jensen_shannon_divergence(scanned.kmers, trained.kmers)
    scale = kmer_distance.choose_scale(target, training)
    sketches = [kmer_distance.make_sketch(one, scale) for one in (target, training)]
    shared = kmer_distance.containment(*sketches)
    result = Assessment(GENOME)
    result.add("scanned_bases", length, "bp")
    result.add("training_bases", kmer_distance.bases_of(training), "bp")
    result.add("kmer_divergence", divergence, "bits, Jensen-Shannon, canonical 6-mers")
    result.add("kmer_divergence_within", np.max(within), "the same, largest of training pieces")
    result.add("mash_distance", kmer_distance.mash_distance(*sketches), "mutations a base, 21-mers")
    result.add("shared_kmers", shared, "share of the scanned distinct 21-mers")
    identity = kmer_distance.identity_of(shared) if shared > 0 else np.nan
    result.add("nucleotide_identity", identity, "share of bases, from the shared 21-mers")
    result.add("gc", scanned.gc, "share of known bases")
    result.add("gc_training", trained.gc, "share of known bases", np.array(gc))
    result.add("unknown", scanned.unknown, "share of bases")
    result.add("unknown_training", trained.unknown, "share of bases")
    own = {genome.name for genome, _ in target} & {genome.name for genome, _ in training}
    result.cautions = sequence_warnings(result, own_genome=bool(own))
    return result


# --- the scores of one class ----------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What a scan found of one class, strands pooled.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(n,), dtype=int64
        Score codes, ascending, coarse below the floor.
    counts : numpy.ndarray, shape=(blocks, n)
        Bins.
    calls : int
        Merged calls at the operating threshold.
    strand_disagreement : float
        Share of the called bins that are called on one reading alone; NaN for stranded classes.
    """

    codes: np.ndarray
    counts: np.ndarray
    calls: int
    strand_disagreement: float = float("nan")


@dataclass(frozen=True)
class Draws:
    """Histograms of resampled blocks, the first row not resampled: shape=(1 + repeats, n)."""

    sites: np.ndarray
    others: np.ndarray
    target: np.ndarray

    @property
    def prevalence(self) -> np.ndarray:
        """Prevalence of the calibration genome in every row."""
        sites = self.sites.sum(1)
        total = sites + self.others.sum(1)
        return np.divide(sites, total, out=np.full(len(sites), np.nan), where=total > 0)


def draw_blocks(groups: ScoreGroups, repeats: int, seed: int) -> Draws:
    """Resample the blocks of the calibration and, independently, those of the target."""

    def drawn(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.concatenate([counts.sum(0, keepdims=True), weights @ counts])

    weights = block_weights(len(groups.sites), repeats, seed)
    other = block_weights(len(groups.target), repeats, seed + 1)
    return Draws(
        drawn(groups.sites, weights), drawn(groups.others, weights), drawn(groups.target, other)
    )


def assess_class(
    name: str,
    calibration: dict,
    known: ScoreCounts,
    target: Target,
    repeats: int = 500,
    seed: int = 0,
) -> Assessment:
    """Estimate prevalence and precision of one class without labels, and test what that rests on.

    Parameters
    ----------
    name : str
    calibration : dict
        The class's entry of the bundle's calibration.
    known : ScoreCounts
        Scores of known sites and of other places.
    target : Target
    repeats, seed : int
        Of the block bootstrap.

    Returns
    -------
    Assessment
        Intervals hold the sampling error of both genomes, and nothing of assumptions that fail.
    """
    result = Assessment(name)
    threshold = operating_threshold(calibration)
    edges = sorted({calibration["floor_code"], *(one["code"] for one in calibration["thresholds"])})
    groups = prior_shift.group_scores(known, target.codes, target.counts, edges)
    called = groups.lowest >= threshold["code"]
    bins = float(target.counts.sum())
    result.add("bins", bins, "bins, strands pooled")
    result.add("calls", target.calls, "merged calls")
    add_unseen(result, groups, called)
    if np.isfinite(target.strand_disagreement):
        unit = "share of called bins called on one strand's reading alone"
        result.add("strand_disagreement", target.strand_disagreement, unit)
    if bins and calibration["slope"] > 0 and known.sites.any():
        draws = draw_blocks(groups, repeats, seed)
        prevalence, converged = estimate_by_expectation(groups, draws, calibration)
        by_calls = add_rates(result, draws, called, bins)
        add_prevalence(result, "em", prevalence, draws, bins)
        add_prevalence(result, "bbse", by_calls, draws, bins)
        result.add("em_converged", float(converged), "1 yes, 0 no")
        add_precision(result, threshold, draws, {"em": prevalence, "bbse": by_calls}, target.calls)
        add_fit(result, groups, draws, prevalence, called, calibration["floor_code"])
    reliable = is_reliable(min(len(known.sites), len(target.counts)))
    result.add("blocks", min(len(known.sites), len(target.counts)), "bootstrap blocks, the fewer")
    result.cautions = class_warnings(result, reliable)
    return result


def estimate_by_expectation(
    groups: ScoreGroups, draws: Draws, calibration: dict
) -> tuple[np.ndarray, bool]:
    """Estimate the prevalence in every row of the draws; tell whether the first converged."""
    start = (calibration["slope"], calibration["intercept"])
    slope, intercept = prior_shift.fit_log_odds(groups.scores, draws.sites, draws.others, start)
    before = draws.prevalence
    usable = np.isfinite(slope) & np.isfinite(intercept) & (before > 0) & (before < 1)
    prevalence = np.full(len(slope), np.nan)
    ratio = prior_shift.likelihood_ratio(
        groups.scores, slope[usable], intercept[usable], before[usable]
    )
    prevalence[usable], converged = expectation_maximisation(
        draws.target[usable], ratio, before[usable]
    )
    return prevalence, bool(usable[0] and converged[0])


def add_rates(result: Assessment, draws: Draws, called: np.ndarray, bins: float) -> np.ndarray:
    """Add what is called at the operating threshold; return the prevalence by black-box shift."""
    sensitivity, fall_out, share = (
        shares(counts)[:, called].sum(1) for counts in (draws.sites, draws.others, draws.target)
    )
    result.add("sensitivity", sensitivity[0], "share of calibration sites called", sensitivity[1:])
    result.add("fall_out", fall_out[0], "share of other calibration bins called", fall_out[1:])
    result.add("called_bins", share[0] * bins, "bins at or above the threshold", share[1:] * bins)
    by_chance = fall_out * bins
    unit = "bins called if there were no site at all"
    result.add("false_bins_expected", by_chance[0], unit, by_chance[1:])
    return prior_shift.black_box_shift(share, sensitivity, fall_out)


def add_prevalence(
    result: Assessment, how: str, prevalence: np.ndarray, draws: Draws, bins: float
) -> None:
    """Add one estimator's prevalence, as such, against the calibration's, and as sites."""
    before = draws.prevalence
    if how == "em":
        result.add("calibration_prevalence", before[0], "sites a bin", before[1:])
    result.add(f"{how}_prevalence", prevalence[0], "sites a bin", prevalence[1:])
    ratio = prevalence / before
    result.add(f"{how}_prevalence_ratio", ratio[0], "times the calibration's", ratio[1:])
    sites = prevalence * bins
    result.add(f"{how}_sites", sites[0], "sites in what was scanned", sites[1:])


def add_precision(
    result: Assessment, threshold: dict, draws: Draws, prevalences: dict, calls: int
) -> None:
    """Add the promise, and the precision of the calls at the estimated prevalences."""
    promise = promised_precision(threshold, calls)
    unit = "share of calls, 95 % prediction interval"
    bounds = promise.low, promise.high
    result.measures.append(Measure("promised_precision", promise.precision, unit, *bounds))
    generator = np.random.default_rng(len(draws.sites))
    before = draws.prevalence
    for how, prevalence in prevalences.items():
        value = prior_shift.precision_at_prevalence(
            threshold["precision"], before[0], prevalence[0]
        )
        drawn = draw_precision(threshold, len(before) - 1, generator)
        shifted = prior_shift.precision_at_prevalence(drawn, before[1:], prevalence[1:])
        sample = max(1, round(calls / threshold["design_effect"]))
        seen = generator.binomial(sample, np.nan_to_num(shifted)) / sample
        seen = np.where(np.isfinite(shifted), seen, np.nan)
        if not threshold["calls"]:
            value = seen = np.array(np.nan)
        result.add(f"{how}_precision", float(value), unit, seen)
        result.add(f"{how}_true_calls", float(value * calls), "calls", seen * calls)
        result.add(f"{how}_false_calls", float((1 - value) * calls), "calls", (1 - seen) * calls)


def add_unseen(result: Assessment, groups: ScoreGroups, called: np.ndarray) -> None:
    """Add how many scores no bin of the calibrate part has, nor one close by."""
    cell = groups.lowest // _SEEN
    known = np.unique(cell[(groups.sites + groups.others).sum(0) > 0])
    seen = np.isin(cell, known)
    target = groups.target.sum(0)
    for measure, some in (("unseen_scores", seen >= 0), ("unseen_called_scores", called)):
        total = target[some].sum()
        share = target[some & ~seen].sum() / total if total else np.nan
        what = "bins" if measure == "unseen_scores" else "called bins"
        result.add(measure, share, f"share of {what}, scores never seen in calibration")


def add_fit(
    result: Assessment,
    groups: ScoreGroups,
    draws: Draws,
    prevalence: np.ndarray,
    called: np.ndarray,
    floor: int,
) -> None:
    """Add how far the target's scores are from a mixture of both kinds of the calibration."""
    fit = fit_cells(groups, draws, prevalence, called, floor)
    result.add("misfit", fit.misfit, "bins in the wrong cell of scores, per expected site")
    result.add("misfit_p", fit.p_value, "probability under prior shift alone")
    expected = mix(prevalence[:1], draws.sites[:1], draws.others[:1])[0]
    distance = total_variation(shares(draws.target[0]), expected)
    result.add("score_distance", distance, "total variation of all scores from the mixture")
    within = distance_within(groups)
    result.add("score_distance_within", within, "the same between halves of the calibrate part")


def fit_cells(
    groups: ScoreGroups, draws: Draws, prevalence: np.ndarray, called: np.ndarray, floor: int
) -> MixtureFit:
    """Test the mixture in cells of scores where sites are."""
    first = int(np.searchsorted(groups.lowest, floor))
    cells = site_cells(draws.sites[0], first)
    usable = np.isfinite(prevalence)
    sites, others, target = (
        pool_cells(counts[usable], cells) for counts in (draws.sites, draws.others, draws.target)
    )
    observed, expected = shares(target), mix(prevalence[usable], sites, others)
    called_share = shares(draws.target[0])[called].sum()
    least = 1 / max(1.0, draws.target[0].sum())
    share = max(float(prevalence[0]), float(called_share), least)
    return judge_mixture(observed[0], expected[0], observed[1:], expected[1:], share)


def distance_within(groups: ScoreGroups, repeats: int = 50) -> float:
    """Return how far halves of the calibrate part are from each other, the 95 % quantile."""
    counts = groups.sites + groups.others
    if len(counts) < 2:
        return float("nan")
    generator, found = np.random.default_rng(0), []
    for _ in range(repeats):
        order = generator.permutation(len(counts))
        halves = [counts[some].sum(0) for some in np.array_split(order, 2)]
        found.append(total_variation(*map(shares, halves)))
    return float(np.quantile(found, 0.95))
