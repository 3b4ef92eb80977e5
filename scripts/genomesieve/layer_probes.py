"""Probes of all layers for all properties, with what they are compared with.

Everything that is fitted is fitted on the train part, its regularisation is chosen on the valid
part, and what is reported is scored on the test part, with intervals over blocks of the genome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.bootstrap import block_weights
from genomesieve.control_tasks import UNKNOWN, control_values, middle_types, unseen_types
from genomesieve.hidden_states import Layer, StateReader
from genomesieve.probe_places import Places
from genomesieve.probe_settings import ProbeSettings
from genomesieve.probed_properties import Property
from genomesieve.probes import (
    PRIMARY,
    Probe,
    Score,
    best_unit,
    chance,
    fit_probe,
    mean_score,
    score_probe,
)

FIT, CHOOSE, TEST = PARTS = ("train", "valid", "test")
TRAINED, UNTRAINED, KMER = "trained", "untrained", "kmer"
CONTROL, UNSEEN, SELECTIVITY, UNIT = "control", "control_unseen", "selectivity", "single_unit"
UNSEEN_SHARE = 0.25
"""Share of the types that no control task is fitted on."""
FEWEST = 40
"""Positions of a category in every part, at least; a property with fewer is left out."""

Features = Mapping[str, np.ndarray]
"""States (n, units) of the places of every part."""


@dataclass
class Section:
    """The places of one part, all genomes together.

    Parameters
    ----------
    places : list of Places
        One a genome.
    properties : dict of str to Property
    """

    places: list[Places]
    properties: dict[str, Property] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.places))

    @property
    def blocks(self) -> int:
        """Number of blocks of all genomes."""
        return sum(one.blocks for one in self.places)

    @property
    def block(self) -> np.ndarray:
        """Block of every place, counted over all genomes."""
        ends = np.cumsum([0, *(one.blocks for one in self.places)])
        return np.concatenate([one.block + end for one, end in zip(self.places, ends)])

    def codes(self, flank: int) -> np.ndarray:
        """Bases of every place and its flanks, as they are read."""
        return np.concatenate([one.codes(flank) for one in self.places])


@dataclass(frozen=True)
class Finding:
    """What one probe reads.

    Parameters
    ----------
    probe : Probe
    scores : dict of str to Score
        On the test part, by metric.
    chosen : float
        The primary score on the valid part.
    fitted, tested : int
        Number of positions.
    unit : int or None
        The feature that it reads, if it reads one alone.
    """

    probe: Probe | None
    scores: dict[str, Score]
    chosen: float
    fitted: int
    tested: int
    unit: int | None = None


def read_states(
    section: Section,
    networks: Sequence[nn.Module],
    layers: Sequence[Layer],
    context: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Return the states (n, units) of all places of a section, by layer.

    Parameters
    ----------
    section : Section
    networks : sequence of torch.nn.Module
        One a genome, in evaluation mode.
    layers : sequence of Layer
    context : int
        bp that the networks see on each side.
    device : torch.device
    """
    found: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    for places, network in zip(section.places, networks):
        reader = StateReader(network.to(device), layers, places.resolution)
        for x, bins in places.inputs(context):
            count = places.core // places.resolution
            for name, states in reader.read(x.to(device), bins.to(device), count).items():
                found[name].append(states)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def word_counts(codes: np.ndarray, length: int) -> np.ndarray:
    """Return the share of every k-mer among the known ones of each row, (N, 4**k), float32."""
    kinds = DNA.size**length
    words = np.zeros((len(codes), codes.shape[1] - length + 1), dtype=np.int64)
    known = np.ones(words.shape, dtype=bool)
    for at in range(length):
        letter = codes[:, at : at + words.shape[1]]
        words = words * DNA.size + letter
        known &= letter < DNA.size
    row = np.arange(len(codes))[:, None] * kinds
    counts = np.bincount((row + words)[known], minlength=len(codes) * kinds)
    counts = counts.reshape(len(codes), kinds)
    return (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(np.float32)


class Prober:
    """Fits and scores probes on the same places, types and resamples.

    Parameters
    ----------
    sections : mapping of str to Section
        By part.
    settings : ProbeSettings
    """

    def __init__(self, sections: Mapping[str, Section], settings: ProbeSettings):
        self.sections, self.settings = sections, settings
        length = settings.type_length
        self.types = {
            part: middle_types(one.codes(length), length) for part, one in sections.items()
        }
        self.unseen = unseen_types(length, UNSEEN_SHARE, settings.seed)
        self.block = sections[TEST].block
        self.weights = block_weights(sections[TEST].blocks, settings.repeats, settings.seed)

    def values(self, name: str) -> dict[str, np.ndarray]:
        """Return a property's values of every part, NaN where they are not known."""
        return {part: one.properties[name].values for part, one in self.sections.items()}

    def classes(self, name: str) -> int:
        """Return the number of a property's categories; 0 for a number."""
        return len(self.sections[TEST].properties[name].categories)

    def probe(self, features: Features, name: str) -> Finding:
        """Fit and score a probe of a property."""
        return self._find(features, self.values(name), self.classes(name))

    def single_unit(self, features: Features, name: str) -> Finding:
        """Do the same with the one feature that tells most where probes are fitted."""
        values, classes = self.values(name), self.classes(name)
        known = np.isfinite(values[FIT])
        unit = best_unit(features[FIT][known], values[FIT][known], classes)
        one = {part: states[:, [unit]] for part, states in features.items()}
        return self._find(one, values, classes, unit=unit)

    def control(self, features: Features, name: str, found: Finding) -> tuple[Finding, Finding]:
        """Fit and score control tasks of a property, as strongly regularised as its own probe.

        Returns
        -------
        seen, unseen : Finding
            On test positions whose types fitting saw, with resamples of blocks, and on the others,
            with resamples of types, which share their values. Means of all control tasks.
        """
        number = sorted(self.sections[TEST].properties).index(name)
        kept: tuple[list[Finding], list[Finding]] = [], []
        for draw in range(self.settings.controls):
            values = self._control_values(name, [self.settings.seed, 2, number, draw])
            for result, unseen in zip(kept, (False, True)):
                result.append(self._control(features, values, found, self.classes(name), unseen))
        return tuple(_mean_finding(result) for result in kept)

    def _control_values(self, name: str, seed: list[int]) -> dict[str, np.ndarray]:
        """Draw a value for every type, known where the property is."""
        real = self.values(name)
        drawn = {
            part: control_values(types, real[FIT], self.settings.type_length, seed)
            for part, types in self.types.items()
        }
        return {part: np.where(np.isfinite(real[part]), drawn[part], np.nan) for part in drawn}

    def _control(
        self, features: Features, values: dict, found: Finding, classes: int, unseen: bool
    ) -> Finding:
        """Fit one control task on the seen types and score it on these or the others."""
        fit = np.isfinite(values[FIT]) & ~self._is_unseen(FIT)
        test = np.isfinite(values[TEST]) & (self._is_unseen(TEST) == unseen)
        probe = fit_probe(
            features[FIT][fit],
            values[FIT][fit],
            classes,
            regularisation=found.probe.regularisation,
        )
        groups, weights = self.block[test], self.weights
        if unseen:
            kinds, groups = np.unique(self.types[TEST][test], return_inverse=True)
            weights = block_weights(len(kinds), self.settings.repeats, self.settings.seed)
        scores = score_probe(probe, features[TEST][test], values[TEST][test], groups, weights)
        return Finding(probe, scores, float("nan"), int(fit.sum()), int(test.sum()))

    def _is_unseen(self, part: str) -> np.ndarray:
        """Tell which places of a part have a type that no control task is fitted on."""
        types = self.types[part]
        return self.unseen[np.maximum(types, 0)] & (types != UNKNOWN)

    def _find(
        self, features: Features, values: Mapping, classes: int, unit: int | None = None
    ) -> Finding:
        """Fit on one part, choose on another, score on the third."""
        known = {part: np.isfinite(one) for part, one in values.items()}
        here = {part: (features[part][known[part]], values[part][known[part]]) for part in PARTS}
        probe = fit_probe(*here[FIT], classes, choice=here[CHOOSE])
        scores = score_probe(probe, *here[TEST], self.block[known[TEST]], self.weights)
        alone = np.zeros(known[CHOOSE].sum(), np.int64), np.ones((1, 1))
        chosen = score_probe(probe, *here[CHOOSE], *alone)[PRIMARY[classes > 0]].value
        return Finding(probe, scores, chosen, len(here[FIT][1]), len(here[TEST][1]), unit)


def _mean_finding(found: Sequence[Finding]) -> Finding:
    """Return the mean of several control tasks."""
    scores = {name: mean_score([one.scores[name] for one in found]) for name in found[0].scores}
    return Finding(None, scores, float("nan"), found[0].fitted, found[0].tested)


def usable_properties(sections: Mapping[str, Section]) -> dict[str, str]:
    """Tell why a property cannot be probed; properties that can are not in the result."""
    reasons = {}
    for name in sections[TEST].properties:
        for part in PARTS:
            one = sections[part].properties[name]
            values = one.values[one.known]
            if len(values) < FEWEST:
                reasons[name] = f"known at {len(values)} positions of part {part}"
            elif one.categories:
                counts = np.bincount(values.astype(np.int64), minlength=len(one.categories))
                if counts.min() < FEWEST:
                    rare = one.categories[int(counts.argmin())]
                    reasons[name] = f"{rare} at {counts.min()} positions of part {part}"
            elif np.ptp(values) == 0:
                reasons[name] = f"the same at all positions of part {part}"
            if name in reasons:
                break
    return reasons


def rows_of(
    prober: Prober, name: str, what: str, found: Finding, scores: Mapping[str, Score] | None = None
) -> list[dict]:
    """Return the rows of a probe, one a metric."""
    section, classes = prober.sections[TEST].properties[name], prober.classes(name)
    values = section.values[section.known]
    rows = []
    for metric, score in (scores or found.scores).items():
        interval = score.interval
        base = 0.0 if what == SELECTIVITY else chance(metric, values, classes)
        rows.append({
            "property": name,
            "kind": "category" if classes else "number",
            "what": what,
            "metric": metric,
            "score": score.value,
            "low": interval.low,
            "high": interval.high,
            "chance": base,
            "prevalence": float(values.mean()) if classes == 2 else np.nan,
            "regularisation": np.nan if found.probe is None else found.probe.regularisation,
            "unit": -1 if found.unit is None else found.unit,
            "fit_positions": found.fitted,
            "test_positions": found.tested,
            "chosen": found.chosen if metric == PRIMARY[classes > 0] else np.nan,
        })  # fmt: skip
    return rows


def selectivity(found: Finding, control: Finding) -> dict[str, Score]:
    """Return how much better a property is read than its control tasks."""
    return {name: found.scores[name] - control.scores[name] for name in found.scores}


def probe_property(
    prober: Prober,
    name: str,
    trained: Features,
    others: Mapping[str, Features],
    known: dict[tuple[str, int], Finding],
) -> tuple[Finding, Finding, list[dict]]:
    """Probe one layer for one property, with all that it is compared with.

    Parameters
    ----------
    prober : Prober
    name : str
        The property.
    trained : Features
        States of the layer of the trained network.
    others : mapping of str to Features
        What the layer is compared with: `UNTRAINED`, `KMER`.
    known : dict
        Findings by (property, identity of features), so that shared features are fitted once.

    Returns
    -------
    found, control : Finding
        Of the probe, and of its control tasks on types that fitting saw.
    rows : list of dict
    """
    found = prober.probe(trained, name)
    rows = rows_of(prober, name, TRAINED, found)
    seen, unseen = prober.control(trained, name, found)
    rows += rows_of(prober, name, CONTROL, seen)
    rows += rows_of(prober, name, UNSEEN, unseen)
    rows += rows_of(prober, name, SELECTIVITY, seen, selectivity(found, seen))
    rows += rows_of(prober, name, UNIT, prober.single_unit(trained, name))
    for what, features in others.items():
        key = name, id(features)
        if key not in known:
            known[key] = prober.probe(features, name)
        rows += rows_of(prober, name, what, known[key])
    return found, seen, rows
