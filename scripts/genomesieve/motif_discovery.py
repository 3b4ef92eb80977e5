"""Motifs in contributions: TF-MoDISco, and what stands at one place in sites that are aligned.

TF-MoDISco (Shrikumar et al. 2018) cuts seqlets, short pieces of high contribution, out of sequence
and clusters them. The clustering is modisco-lite's. The cutting is ours: TF-MoDISco's null takes it
that most windows are background, which holds in 2 kb around a peak and not in sites that are
little wider than their motifs. Seqlets may also reach past the end of what was attributed, where
they hold nothing, so that motifs at the edge count. And where sites are aligned to the base (bins
of 1 bp), what lies at a fixed place in every site is read off there: it stands out so far that
clustering finds little beside it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from modiscolite import core, tfmodisco

from genomesieve.attributed_sites import AttributedSites
from genomesieve.found_motifs import FoundMotif

_LEIDEN_RUNS = 10
_NULL_COPIES = 10
_FAINT = 1e-3
_STANDARD_ERRORS = 1.96


@dataclass(frozen=True)
class DiscoverySettings:
    """How motifs are looked for.

    Parameters
    ----------
    window, seqlet_flank : int
        bp of a seqlet's core, and on each side of it.
    trim : int
        bp that a pattern is cut to while seqlets are aligned.
    fewest : int
        Seqlets that a pattern needs.
    seqlet_fdr : float
        Share of windows that may be chance where seqlets are cut.
    edge : float
        Ends of a pattern that contribute less than this share of its best position are cut off.
    fixed_share : float
        A position of aligned sites is part of a fixed motif if its mean contribution is at least
        this share of the best position's.
    aligned : bool
        Whether sites are aligned to the base.
    """

    window: int = 21
    seqlet_flank: int = 10
    trim: int = 30
    fewest: int = 20
    seqlet_fdr: float = 0.2
    edge: float = 0.2
    fixed_share: float = 0.05
    aligned: bool = False


def default_settings(resolution: int, positions: int, **chosen: object) -> DiscoverySettings:
    """Return settings that suit the bins and the number of positions that were attributed.

    Windows of 21 + 2 * 10 bp are those of TF-MoDISco for binding sites. Sites that are aligned to
    the base carry short elements close to each other, so theirs are 9 + 2 * 4 bp. Neither is wider
    than what was attributed.

    Parameters
    ----------
    resolution : int
        bp of a bin.
    positions : int
    **chosen : object
        Fields that are not left to this choice; None counts as left.
    """
    aligned = resolution == 1
    usual = (9, 4, 12) if aligned else (21, 10, 30)
    chosen = {name: value for name, value in chosen.items() if value is not None}
    window = chosen.get("window", min(usual[0], max(3, positions // 2)))
    shape = {"window": window, "seqlet_flank": min(usual[1], max(1, window // 2))}
    shape["trim"] = max(min(usual[2], window + shape["seqlet_flank"]), 4)
    return DiscoverySettings(**({**shape, "aligned": aligned} | chosen))


def discover(sites: AttributedSites, settings: DiscoverySettings) -> tuple[list[FoundMotif], str]:
    """Find the motifs of one class.

    Parameters
    ----------
    sites : AttributedSites
        Of one class.
    settings : DiscoverySettings

    Returns
    -------
    list of FoundMotif
    str
        Why there are none of TF-MoDISco; empty if there are some.
    """
    if not len(sites.sequence):
        return [], "no sites"
    fixed = fixed_motifs(sites, settings) if settings.aligned else []
    rest = replace(sites, hypothetical=without_fixed(sites.hypothetical, sites.positions, fixed))
    patterns, why = find_patterns(rest, settings)
    return fixed + patterns, why


def fixed_motifs(sites: AttributedSites, settings: DiscoverySettings) -> list[FoundMotif]:
    """Return what stands at one place in aligned sites, from the first to the last position.

    Positions belong to a motif if their mean contribution is certainly positive (1.96 standard
    errors) and at least `fixed_share` of the best one's. Gaps of one position are closed.
    """
    if len(sites.sequence) < settings.fewest:
        return []
    values = sites.contributions
    mean = values.mean(0)
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    certain = mean > np.maximum(_STANDARD_ERRORS * error, settings.fixed_share * mean.max())
    certain[1:-1] |= certain[:-2] & certain[2:]
    return [
        _fixed_motif(sites, first, last, number)
        for number, (first, last) in enumerate(_runs(certain))
    ]


def _runs(inside: np.ndarray) -> list[tuple[int, int]]:
    """Return first and one past the last of every run of at least two true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    return [(first, last) for first, last in edges.reshape(-1, 2).tolist() if last - first > 1]


def _fixed_motif(sites: AttributedSites, first: int, last: int, number: int) -> FoundMotif:
    """Make a motif of the positions from `first` to before `last`."""
    letters = sites.one_hot[:, first:last]
    kind = str(sites.classes[0])
    return FoundMotif(
        f"{kind}.fixed_{number}", "fixed", kind, "+", letters.sum(0).T.astype(float),
        (letters * sites.hypothetical[:, first:last]).mean(0).T,
        len(letters), int(sites.positions[first]),
    )  # fmt: skip


def without_fixed(
    hypothetical: np.ndarray, positions: np.ndarray, fixed: list[FoundMotif]
) -> np.ndarray:
    """Set contributions to 0 where fixed motifs stand."""
    rest = hypothetical.copy()
    for motif in fixed:
        after = motif.offset + motif.counts.shape[1]
        rest[:, (positions >= motif.offset) & (positions < after)] = 0
    return rest


def find_patterns(
    sites: AttributedSites, settings: DiscoverySettings
) -> tuple[list[FoundMotif], str]:
    """Run TF-MoDISco on sites of one class; also say why nothing was found."""
    scores = sites.contributions.astype(np.float64)
    seen = np.flatnonzero(scores.any(0))
    if len(seen) < settings.window:
        return [], f"contributions at {len(seen)} positions only, less than a window"
    first, last = int(seen[0]), int(seen[-1]) + 1
    pad = 2 * (settings.window + 2 * settings.seqlet_flank)
    tracks = _padded_tracks(sites, first, last, pad)
    found, numbers = [], []
    for sign in (1, -1):
        cut = cut_seqlets(
            sign * scores[:, first:last], settings.window,
            settings.window // 2 + settings.seqlet_flank, settings.seqlet_fdr,
        )  # fmt: skip
        numbers.append(len(cut))
        if len(cut) >= settings.fewest:
            seqlets = tracks.create_seqlets([_seqlet(*one, pad, settings) for one in cut])
            found += [(sign, pattern) for pattern in _cluster(seqlets, tracks, sign, settings)]
    kind = str(sites.classes[0])
    motifs = [_as_motif(pattern, sign, kind, settings.edge) for sign, pattern in found]
    motifs = [replace(one, name=f"{kind}.pattern_{row}") for row, one in enumerate(motifs)]
    why = f"{numbers[0]} seqlets for and {numbers[1]} against, in no cluster of "
    return motifs, "" if motifs else f"{why}{settings.fewest} or more"


def _padded_tracks(sites: AttributedSites, first: int, last: int, pad: int) -> core.TrackSet:
    """Return the tracks of positions from `first` to before `last`, with nothing around them.

    Nothing is a quarter of each letter, for a column of zeros would count as informative, with
    contributions a thousandth of the usual ones, for likeness to zeros is not defined.
    """
    wide = ((0, 0), (pad, pad), (0, 0))
    letters = np.pad(sites.one_hot[:, first:last], wide)
    values = np.pad(sites.hypothetical[:, first:last], wide)
    even = np.where(letters.any(2, keepdims=True), letters, np.float32(1 / letters.shape[2]))
    faint = np.random.default_rng(0).normal(size=values.shape) * _FAINT * np.abs(values).mean()
    values = np.where(values.any(2, keepdims=True), values, faint.astype(np.float32))
    return core.TrackSet(even, even * values, values)


def cut_seqlets(
    scores: np.ndarray, window: int, gap: int, fdr: float, seed: int = 0
) -> list[tuple[int, int]]:
    """Find the windows that contribute more than such windows do by chance.

    Chance is the same contributions in another order: each site's, shuffled over its positions.
    The least sum is the lowest of which at most a share `fdr` is by chance.

    Parameters
    ----------
    scores : numpy.ndarray, shape=(sites, positions)
    window : int
        bp.
    gap : int
        Least distance between the starts of two windows of a site.
    fdr : float
    seed : int

    Returns
    -------
    list of (int, int)
        Site and first position, site by site, the highest sum first.
    """
    sums = _window_sums(scores, window)
    generator = np.random.default_rng(seed)
    null = [generator.permuted(scores, axis=1) for _ in range(_NULL_COPIES)]
    chance = np.sort(np.concatenate([_window_sums(one, window).ravel() for one in null]))
    least = _least_sum(np.sort(sums.ravel()), chance, fdr)
    found = []
    for row, values in enumerate(np.where(sums >= least, sums, -np.inf)):
        while values.max() > -np.inf:
            best = int(values.argmax())
            found.append((row, best))
            values[max(0, best - gap + 1) : best + gap] = -np.inf
    return found


def _window_sums(scores: np.ndarray, window: int) -> np.ndarray:
    """Return the sum of every window, shape=(sites, positions - window + 1)."""
    ends = np.pad(scores.cumsum(1), ((0, 0), (1, 0)))
    return ends[:, window:] - ends[:, :-window]


def _least_sum(sums: np.ndarray, chance: np.ndarray, fdr: float) -> float:
    """Return the lowest positive sum at which few windows are by chance; infinity if there is none.

    Both arrays are sorted.
    """
    above = len(sums) - np.arange(len(sums))
    by_chance = (len(chance) - np.searchsorted(chance, sums, side="left")) * len(sums)
    fine = (by_chance <= fdr * above * len(chance)) & (sums > 0)
    return float(sums[fine.argmax()]) if fine.any() else float("inf")


def _seqlet(row: int, start: int, pad: int, settings: DiscoverySettings) -> core.Seqlet:
    """Widen a window to a seqlet; at the edges it reaches into the padding."""
    first = start + pad - settings.seqlet_flank
    return core.Seqlet(row, first, first + settings.window + 2 * settings.seqlet_flank, False)


def _cluster(
    seqlets: list[core.Seqlet], tracks: core.TrackSet, sign: int, settings: DiscoverySettings
) -> list[core.SeqletSet]:
    """Cluster seqlets of one sign into patterns, the largest first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patterns = tfmodisco.seqlets_to_patterns(
            seqlets, tracks, track_signs=sign, trim_to_window_size=settings.trim,
            initial_flank_to_add=settings.seqlet_flank, n_leiden_runs=_LEIDEN_RUNS,
            min_num_to_trim_to=settings.fewest, final_min_cluster_size=settings.fewest,
            min_ic_windowsize=min(6, settings.window),
        )  # fmt: skip
    return sorted(patterns or [], key=lambda one: -len(one.seqlets))


def _as_motif(pattern: core.SeqletSet, sign: int, kind: str, edge: float) -> FoundMotif:
    """Cut off a pattern's weak ends and make it a motif."""
    heights = np.abs(pattern.contrib_scores).sum(1)
    strong = np.flatnonzero(heights >= edge * heights.max())
    inside = slice(int(strong[0]), int(strong[-1]) + 1)
    count = len(pattern.seqlets)
    return FoundMotif(
        "", "modisco", kind, "+" if sign > 0 else "-", pattern.sequence[inside].T * float(count),
        np.asarray(pattern.contrib_scores[inside].T), count,
    )  # fmt: skip
