"""Which bases a model's score of a site rests on, by several methods, and how far they agree.

Every contribution is per base that stands in the sequence, in log-odds: positive where the base
speaks for the site. All of it is about the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from genomesieve.bundle import Bundle
from genomesieve.genome import EncodedGenome
from genomesieve.gradients import Gradients, gradient_maps, integrate_gradients
from genomesieve.mutagenesis import MutantScorer, cut_windows, measure_effects

METHODS = ("mutagenesis", "gradient_x_input", "corrected_gradient", "integrated_gradients")
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
        Of integrated gradients.
    """

    flank: int = 100
    indels: bool = True
    references: int = 10
    steps: int = 32
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
        self.missing = np.full(sites, empty)
        self.expected = np.full(sites, empty)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything by name, without what was not measured."""
        named = {name: value for name, value in vars(self).items() if name != "offsets"}
        named["positions"] = np.arange(self.offsets.start, self.offsets.stop)
        named["methods"] = np.array(METHODS)
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
    windows = cut_windows(genome, sites["contig"].to_list(), position, minus, bundle.architecture)
    scorer = MutantScorer(bundle, index, device, genome.alphabet)
    effects = measure_effects(scorer, windows, result.offsets, settings.indels)
    result.scores[rows], result.substitutions[rows] = effects.scores, effects.substitutions
    if settings.indels:
        result.deletions[rows], result.insertions[rows] = effects.deletions, effects.insertions
    engine = Gradients(bundle, index, device, genome.alphabet)
    gradient = gradient_maps(engine, windows)
    integrated = integrate_gradients(
        engine, windows, settings.references, settings.steps, settings.seed
    )
    result.missing[rows], result.expected[rows] = integrated.missing, integrated.expected
    place = windows.anchors[:, None] + np.arange(result.offsets.start, result.offsets.stop)
    inside = (place >= 0) & (place < windows.length)
    place = np.clip(place, 0, windows.length - 1)
    unknown = genome.alphabet.unknown
    codes = np.take_along_axis(windows.seen, place, 1)
    result.sequence[rows] = np.where(inside, codes, unknown)
    # What lies outside of the window is not seen: its gradient is 0, as its effect is.
    mapped = np.take_along_axis(gradient, place[..., None], 1)
    result.gradient[rows] = np.where(inside[..., None], mapped, 0)
    whole = np.take_along_axis(integrated.contributions, place, 1)
    result.contributions[rows] = _contributions(
        effects.substitutions, result.gradient[rows], np.where(inside, whole, 0), codes, unknown
    )


def _contributions(
    substitutions: np.ndarray,
    gradient: np.ndarray,
    integrated: np.ndarray,
    codes: np.ndarray,
    unknown: int,
) -> np.ndarray:
    """Return what the base at every position contributes, (sites, methods, positions)."""
    own = np.where(codes == unknown, 0, codes)[..., None].astype(np.int64)
    slope = np.take_along_axis(gradient, own, 2)[..., 0]
    maps = [
        -substitutions.sum(2) / (substitutions.shape[2] - 1),
        slope,
        slope - gradient.mean(2),
        integrated,
    ]
    stacked = np.stack(maps, axis=1)
    return np.where((codes == unknown)[:, None], np.float32(np.nan), stacked)


def method_agreement(contributions: np.ndarray) -> Mapping[str, np.ndarray]:
    """Compare methods by Spearman's correlation over the positions of each site.

    Parameters
    ----------
    contributions : numpy.ndarray, shape=(sites, methods, positions)
        Positions that are NaN in either are left out.

    Returns
    -------
    mapping of str to numpy.ndarray, shape=(sites,)
        By `one~other`; NaN where one of the two is the same everywhere.
    """
    result = {}
    for one, other in combinations(range(len(METHODS)), 2):
        pairs = [_spearman(site[one], site[other]) for site in contributions]
        result[f"{METHODS[one]}~{METHODS[other]}"] = np.array(pairs, dtype=float)
    return result


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of ranks; ties share their mean rank."""
    known = np.isfinite(one) & np.isfinite(other)
    first, second = (pd.Series(values[known]).rank().to_numpy() for values in (one, other))
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
