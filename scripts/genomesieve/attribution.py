"""Which bases a model's score of a site rests on, by several methods, and how far they agree.

Every contribution is per base that stands in the sequence, in log-odds: positive where the base
speaks for the site. All of it is about the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from genomesieve.bundle import Bundle
from genomesieve.deep_lift import lift_differences
from genomesieve.genome import EncodedGenome, contig_rows, gather_windows
from genomesieve.gradients import Gradients, gradient_maps, integrate_gradients
from genomesieve.mutagenesis import MutantScorer, SiteWindows, cut_windows, measure_effects

logger = logging.getLogger(__name__)

SPREADING = ("integrated_gradients", "deep_lift_shap")
"""Methods that spread the difference between a site and shuffled sequence over its bases."""
METHODS = ("mutagenesis", "gradient_x_input", "corrected_gradient", *SPREADING)
"""Mutagenesis: the mean loss when the base is substituted. Corrected: the gradient by the base less
the mean over letters (Majdandzic et al. 2023)."""


@dataclass(frozen=True)
class AttributionSettings:
    """How sites are attributed.

    Parameters
    ----------
    flank : int
        bp on each side of the bin.
    indels : bool
        Whether single bases are deleted and inserted too.
    references, steps, seed : int
        Shuffles a site that integrated gradients and DeepLIFT/SHAP start from, points from each to
        the site (of the former alone), and the seed of the shuffles.
    """

    flank: int = 100
    indels: bool = True
    references: int = 10
    steps: int = 16
    seed: int = 0


class Attributions:
    """Arrays for all sites, filled class by class; NaN where nothing can be said.

    Parameters
    ----------
    sites : int
    offsets : range
        Positions from the first base of the bin, in the reading direction of the site's strand.
    letters : int
    indels : bool
    """

    def __init__(self, sites: int, offsets: range, letters: int, indels: bool):
        shape = sites, len(offsets)
        self.offsets = offsets
        empty = np.float32(np.nan)
        self.sequence = np.full(shape, letters, dtype=np.uint8)
        self.scores = np.full(sites, empty)
        self.substitutions = np.full((*shape, letters), empty)
        self.gradient = np.full((*shape, letters), empty)
        self.contributions = np.full((sites, len(METHODS), len(offsets)), empty)
        self.deletions = np.full(shape, empty) if indels else None
        self.insertions = np.full((*shape, letters), empty) if indels else None
        self.missing = np.full((sites, len(SPREADING)), empty)
        self.expected = np.full(sites, empty)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything by name, without what was not measured."""
        named = {name: value for name, value in vars(self).items() if name != "offsets"}
        named["positions"] = np.arange(self.offsets.start, self.offsets.stop)
        named["methods"], named["spreading"] = np.array(METHODS), np.array(SPREADING)
        return {name: value for name, value in named.items() if value is not None}


def attribute(
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    settings: AttributionSettings,
    device: torch.device | None = None,
) -> Attributions:
    """Attribute the scores of sites to bases.

    Parameters
    ----------
    bundle : Bundle
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, start (a base of the bin, 0-based), strand and class.
    settings : AttributionSettings
    device : torch.device or None

    Returns
    -------
    Attributions
    """
    resolution = bundle.architecture.resolution
    offsets = range(-settings.flank, resolution + settings.flank)
    result = Attributions(len(sites), offsets, genome.alphabet.size, settings.indels)
    for name in sites["class"].unique():
        rows = np.flatnonzero(sites["class"] == name)
        _attribute_class(bundle, genome, sites.iloc[rows], rows, settings, result, device)
        logger.info("%s: %d sites attributed", name, len(rows))
    return result


def _attribute_class(
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    rows: np.ndarray,
    settings: AttributionSettings,
    result: Attributions,
    device: torch.device | None,
) -> None:
    """Attribute the sites of one class and write them into their rows."""
    index = bundle.classes.index(sites["class"].iloc[0])
    minus = sites["strand"].to_numpy() == "-"
    position = sites["start"].to_numpy(np.int64)
    places = (genome, sites["contig"].to_list(), position, minus)
    windows = cut_windows(*places, bundle.architecture)
    sequence = _sequence(*places, bundle.architecture.resolution, settings.flank)
    result.sequence[rows] = sequence
    known = sequence != genome.alphabet.unknown

    scorer = MutantScorer(bundle, index, device, genome.alphabet)
    effects = measure_effects(scorer, windows, result.offsets, settings.indels)
    result.scores[rows] = effects.scores
    for name in ("substitutions", "deletions", "insertions")[: 3 if settings.indels else 1]:
        getattr(result, name)[rows] = _where_known(getattr(effects, name), known)

    engine = Gradients(bundle, index, device, genome.alphabet)
    gradient = gradient_maps(engine, windows)
    integrated = integrate_gradients(
        engine, windows, settings.references, settings.steps, settings.seed
    )
    lifted = lift_differences(engine, windows, settings.references, settings.seed)
    result.expected[rows] = integrated.expected
    result.missing[rows] = np.stack([integrated.missing, lifted.missing], axis=1)
    result.gradient[rows] = _around(gradient, windows, result.offsets)
    result.contributions[rows] = _contributions(
        effects.substitutions,
        result.gradient[rows],
        [_around(one.contributions, windows, result.offsets) for one in (integrated, lifted)],
        np.where(known, sequence, 0),
        known,
    )


def _sequence(
    genome: EncodedGenome,
    contigs: list[str],
    position: np.ndarray,
    minus: np.ndarray,
    resolution: int,
    flank: int,
) -> np.ndarray:
    """Return the codes of bins and their flanks, in the direction of their strands."""
    rows = contig_rows(genome.contigs, contigs, genome.name)
    table = (genome.contigs[name].to_numpy(np.int64)[rows] for name in ("offset", "length"))
    start, width = position // resolution * resolution - flank, resolution + 2 * flank
    codes = gather_windows(genome.codes, *table, start, width, genome.alphabet.unknown)
    codes[minus] = genome.alphabet.reverse_complement(codes[minus])
    return codes


def _around(values: np.ndarray, windows: SiteWindows, offsets: range) -> np.ndarray:
    """Take what windows have (sites, length, ...) at offsets from their anchors; 0 outside."""
    place = windows.anchors[:, None] + np.arange(offsets.start, offsets.stop)
    inside = (place >= 0) & (place < windows.length)
    more = (slice(None), slice(None), *(None,) * (values.ndim - 2))
    taken = np.take_along_axis(values, np.clip(place, 0, windows.length - 1)[more], 1)
    return np.where(inside[more], taken, 0)


def _where_known(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Set what belongs to unknown bases to NaN."""
    return np.where(known if values.ndim == 2 else known[..., None], values, np.float32(np.nan))


def _contributions(
    substitutions: np.ndarray,
    gradient: np.ndarray,
    spread: Sequence[np.ndarray],
    codes: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Return what the base at every position contributes, (sites, methods, positions)."""
    own = codes[..., None].astype(np.int64)
    slope = np.take_along_axis(gradient, own, 2)[..., 0]
    maps = [
        -substitutions.sum(2) / (substitutions.shape[2] - 1),
        slope,
        slope - gradient.mean(2),
        *spread,
    ]
    return np.where(known[:, None], np.stack(maps, axis=1), np.float32(np.nan))


def method_agreement(contributions: np.ndarray) -> Mapping[str, np.ndarray]:
    """Compare methods by Spearman's correlation over the positions of each site.

    Parameters
    ----------
    contributions : numpy.ndarray, shape=(sites, methods, positions)
        Positions that are NaN in either are left out, and those to which no method gives anything:
        most of them the model does not see, and they would agree for nothing.

    Returns
    -------
    mapping of str to numpy.ndarray, shape=(sites,)
        By `one~other`; NaN where one of the two is the same everywhere.
    """
    given = np.nan_to_num(contributions).any(axis=1, keepdims=True)
    contributions = np.where(given, contributions, np.float32(np.nan))
    result = {}
    for one, other in combinations(range(len(METHODS)), 2):
        pairs = [rank_correlation(site[one], site[other]) for site in contributions]
        result[f"{METHODS[one]}~{METHODS[other]}"] = np.array(pairs, dtype=float)
    return result


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of ranks; ties share their mean rank."""
    known = np.isfinite(one) & np.isfinite(other)
    first, second = (pd.Series(values[known]).rank().to_numpy() for values in (one, other))
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
