"""What a model loses when something is taken out of its states: present is not yet used.

The model runs on held-out stretches as it is and with a removal in one of its layers, and the
average precision of every class is compared on the same resamples of the stretches. Scores are made
and rounded as a scan makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from genomesieve.bootstrap import block_weights, percentile_interval, resample_histograms
from genomesieve.bundle import Bundle
from genomesieve.genome import EncodedGenome
from genomesieve.hidden_states import Layer
from genomesieve.labels_on_bins import ScanLabels, in_ranges, label_bins
from genomesieve.layer_probes import FIT, TEST, Features, Finding, Prober
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.metrics import average_precision
from genomesieve.planning import ScanPlan
from genomesieve.probe_settings import ProbeSettings
from genomesieve.probes import CHANCE, PRIMARY, Score, mean_score
from genomesieve.projection import (
    Removal,
    erase,
    project_out,
    random_erasure,
    random_projection,
    with_removal,
)
from genomesieve.scanner import Scanner
from genomesieve.scores import UNSCORED

STRETCHES = 60
"""Pieces of the test part that the model runs on; they are the blocks of the bootstrap."""
_SHORTEST = 20
"""Contexts of a stretch, at least: its flanks are run for nothing."""
_CHUNK = 100_000


@dataclass(frozen=True)
class Stretches:
    """Held-out stretches of one genome with their labels.

    Parameters
    ----------
    genome : EncodedGenome
    layout : ScanLayout
        One block a stretch.
    labels : ScanLabels
    network : torch.nn.Module
        The network as it scans this genome.
    """

    genome: EncodedGenome
    layout: ScanLayout
    labels: ScanLabels
    network: nn.Module


def choose_stretches(
    split: pd.DataFrame, part: str, bases: int, stride: int, context: int
) -> pd.DataFrame:
    """Choose stretches of equal length at even distances over a part.

    Parameters
    ----------
    split : pandas.DataFrame
        Columns contig, start, end, part.
    part : str
    bases : int
        All of them together, about; the part itself where it is not longer.
    stride, context : int
        Stretches hold whole strides, and some contexts.

    Returns
    -------
    pandas.DataFrame
        Columns contig, start, end, part.
    """
    mine = split[split["part"] == part]
    total = int((mine["end"] - mine["start"]).sum())
    length = max(bases // STRETCHES, _SHORTEST * context, stride)
    length = -(-min(length, max(total // STRETCHES, stride)) // stride) * stride
    share = min(1.0, bases / max(total, 1))
    rows = []
    for contig, start, end in mine[["contig", "start", "end"]].itertuples(index=False):
        first, room = -(-start // stride) * stride, end
        pieces = int((room - first) // length)
        count = min(pieces, max(1, round(share * pieces))) if pieces else 0
        places = np.linspace(0, pieces - 1, count).round().astype(np.int64) if count else []
        rows += [(contig, first + at * length, first + (at + 1) * length) for at in places]
    table = pd.DataFrame(rows, columns=["contig", "start", "end"])
    return table.astype({"start": "int64", "end": "int64"}).assign(part=part)


def label_stretches(
    genome: EncodedGenome,
    chosen: pd.DataFrame,
    sites: pd.DataFrame,
    intervals: pd.DataFrame,
    bundle: Bundle,
    ignore_margin: int,
    network: nn.Module,
) -> Stretches:
    """Give the bins of stretches numbers and labels."""
    resolution, context = bundle.architecture.resolution, bundle.architecture.context
    parts = tuple(chosen["part"].unique())
    layout = make_layout(chosen, genome.contigs, parts, resolution, context, genome.name)
    table = layout.intervals
    first = table["first_bin"].to_numpy()
    size = (table["end"] - table["start"]).to_numpy() // resolution
    blocks = pd.DataFrame({"block": np.arange(len(table)), "part": table["part"]})
    blocks = blocks.assign(first_bin=first, end_bin=first + size)
    layout = replace(layout, blocks=blocks)
    rest = bundle.classes, bundle.stranded, ignore_margin
    labels = label_bins(layout, genome.contigs, genome.name, sites, intervals, *rest)
    return Stretches(genome, layout, labels, network)


def score_stretches(
    bundle: Bundle, stretches: Stretches, network: nn.Module, device: torch.device
) -> np.ndarray:
    """Score all bins of some stretches.

    Returns
    -------
    numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
        Score codes; `UNSCORED` where a bin holds an unknown base.
    """
    stride, table = bundle.architecture.stride, stretches.layout.intervals
    # A row of the scan costs the same however little of it is asked for.
    longest = min(int((table["end"] - table["start"]).max()), _CHUNK)
    chunk = -(-longest // stride) * stride
    bundle = replace(bundle, network=network, member_seeds=[])
    scanner = Scanner(bundle, ScanPlan(chunk, 1, "float32"), device)
    chunks = scanner.list_chunks(stretches.layout, stretches.genome)
    shape = bundle.strands, len(bundle.classes), stretches.layout.bins
    scores = np.full(shape, UNSCORED, dtype=np.uint16)
    for first, codes in scanner.scan(stretches.genome, chunks, range(len(chunks))):
        scores[..., first : first + codes.shape[-1]] = codes
    return scores


def average_precisions(
    scored: Sequence[tuple[Stretches, np.ndarray]], classes: Sequence[str], weights: np.ndarray
) -> Mapping[str, Score]:
    """Return the average precision of every class, with resamples of the stretches.

    Parameters
    ----------
    scored : sequence of (Stretches, numpy.ndarray)
        With the scores of each; all genomes count together.
    classes : sequence of str
    weights : numpy.ndarray, shape=(repeats, stretches)
        From `genomesieve.bootstrap.block_weights`.

    Returns
    -------
    mapping of str to Score
        NaN for a class without a site.
    """
    result = {}
    for index, name in enumerate(classes):
        pieces, before = [], 0
        for stretches, scores in scored:
            for strand in range(len(scores)):
                kept, positive = _labelled(stretches, scores[strand, index], index, strand)
                block = before + stretches.layout.blocks_of(kept)
                pieces.append((scores[strand, index][kept], positive, block))
            before += len(stretches.layout.blocks)
        codes, positive, block = (np.concatenate(item) for item in zip(*pieces))
        result[name] = _average_precision(codes, positive, block, weights)
    return result


def _labelled(
    stretches: Stretches, codes: np.ndarray, index: int, strand: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins that count, and which of them hold a site."""
    labels = stretches.labels.of[index, strand]
    bins = np.arange(len(codes))
    counts = codes != UNSCORED
    counts &= ~in_ranges(bins, labels.ignored) & ~in_ranges(bins, labels.excluded)
    kept = bins[counts]
    return kept, np.isin(kept, labels.positive)


def _average_precision(
    codes: np.ndarray, positive: np.ndarray, block: np.ndarray, weights: np.ndarray
) -> Score:
    """Return the average precision of scored bins.

    Only how many bins score at least as high as each site counts, so the scores between two sites
    may be one.
    """
    levels = np.unique(codes[positive])
    if not len(levels):
        return Score(float("nan"), np.full(len(weights), np.nan))
    level = np.searchsorted(levels, codes, "right") - 1
    heard = level >= 0
    counts = np.zeros((2, weights.shape[1], len(levels)))
    np.add.at(counts, (positive[heard].astype(np.int64), block[heard], level[heard]), 1)
    negatives, positives = counts
    drawn = resample_histograms(weights, positives, negatives, {"ap": average_precision})
    return Score(float(average_precision(positives.sum(0), negatives.sum(0))), drawn["ap"])


SMALLEST_LOSS = 0.005
"""Average precision that a use must be worth, however surely the loss is not 0."""
PROBE, ERASURE = "probe", "erasure"
RANDOM = {PROBE: "random_probe", ERASURE: "random_erasure"}
"""What is removed to compare with."""


@dataclass(frozen=True)
class Reading:
    """A property as it is read from the layer that is intervened on.

    Parameters
    ----------
    name : str
        The property.
    layer : Layer
    found, control : Finding
        Of the probe, and of its control tasks on types that fitting saw.
    features : mapping of str to numpy.ndarray
        States of the layer by part.
    """

    name: str
    layer: Layer
    found: Finding
    control: Finding
    features: Features

    def is_read(self, prober: Prober) -> bool:
        """Tell whether the property is read better than chance and than its control tasks."""
        metric = PRIMARY[prober.classes(self.name) > 0]
        own, control = self.found.scores[metric], self.control.scores[metric]
        return own.interval.low > CHANCE[metric] and (own - control).interval.low > 0


def own_removals(prober: Prober, reading: Reading) -> dict[str, Removal]:
    """Return what takes a property out: the directions of its probe, and the least erasure."""
    states, values = reading.features[FIT], prober.values(reading.name)[FIT]
    classes, known = prober.classes(reading.name), np.isfinite(values)
    labels = values[known, None]
    if classes:
        labels = (labels == np.arange(classes)).astype(np.float64)
    return {
        PROBE: project_out(reading.found.probe.directions, states.mean(axis=0)),
        ERASURE: erase(states[known], labels),
    }


def random_removal(reading: Reading, kind: str, directions: int, draw: int, seed: int) -> Removal:
    """Return the removal of random directions that one of a kind is compared with."""
    states = reading.features[FIT]
    if kind == PROBE:
        rest = directions, states.mean(axis=0), [seed, 3, draw]
        return random_projection(states.shape[1], *rest)
    return random_erasure(states, directions, [seed, 4, draw])


def read_again(prober: Prober, reading: Reading, removal: Removal) -> Score:
    """Return how well a probe that is fitted anew reads a property after a removal."""
    features = {part: removal.apply(states) for part, states in reading.features.items()}
    metric = PRIMARY[prober.classes(reading.name) > 0]
    return prober.probe(features, reading.name).scores[metric]


class Interventions:
    """Runs a model with removals on held-out stretches and keeps what it has seen.

    Parameters
    ----------
    bundle : Bundle
        With one network, no ensemble.
    stretches : sequence of Stretches
        Of every genome.
    settings : ProbeSettings
    device : torch.device
    """

    def __init__(
        self,
        bundle: Bundle,
        stretches: Sequence[Stretches],
        settings: ProbeSettings,
        device: torch.device,
    ):
        self.bundle, self.stretches, self.settings = bundle, stretches, settings
        self.device = device
        count = sum(len(one.layout.blocks) for one in stretches)
        self.weights = block_weights(count, settings.repeats, settings.seed)
        self._known: dict[tuple, dict[str, list[Score]]] = {}
        self.before = self._run(None, None)

    def _run(self, path: str | None, removal: Removal | None) -> Mapping[str, Score]:
        """Return the average precision of every class with a removal, or as the model is."""
        scored = []
        for one in self.stretches:
            network = one.network
            if removal is not None:
                network = with_removal(network, path, removal)
            scored.append((one, score_stretches(self.bundle, one, network, self.device)))
        return average_precisions(scored, self.bundle.classes, self.weights)

    def losses(self, layer: Layer, removal: Removal) -> dict[str, Score]:
        """Return the loss of average precision of every class."""
        after = self._run(layer.path, removal)
        return {name: self.before[name] - after[name] for name in self.bundle.classes}

    def random_losses(self, reading: Reading, kind: str, directions: int) -> dict[str, list[Score]]:
        """Return the losses of every class over random removals of so many directions."""
        key = reading.layer.name, kind, directions
        if key not in self._known:
            drawn = [
                self.losses(
                    reading.layer,
                    random_removal(reading, kind, directions, draw, self.settings.seed),
                )
                for draw in range(self.settings.random_removals)
            ]
            self._known[key] = {name: [one[name] for one in drawn] for name in self.before}
        return self._known[key]

    def rows(self, prober: Prober, reading: Reading) -> list[dict]:
        """Return the rows of a property: each removal and the random ones beside it."""
        metric = PRIMARY[prober.classes(reading.name) > 0]
        rows = []
        for kind, removal in own_removals(prober, reading).items():
            again = read_again(prober, reading, removal)
            losses = self.losses(reading.layer, removal)
            chance_losses = self.random_losses(reading, kind, removal.directions)
            shared = {
                "property": reading.name,
                "layer": reading.layer.name,
                "directions": removal.directions,
                "metric": metric,
                "readable_before": reading.found.scores[metric].value,
            }
            own = {
                "removed": kind,
                "removed_variance": removal.removed_share(reading.features[TEST]),
                "readable_after": again.value,
                "readable_after_low": again.interval.low,
                "readable_after_high": again.interval.high,
            }
            for name in self.bundle.classes:
                drawn = chance_losses[name]
                rows.append(shared | own | self._row(name, losses[name], drawn))
                beside = self._row(name, mean_score(drawn))
                rows.append(shared | {"removed": RANDOM[kind]} | beside)
        return rows

    def _row(self, name: str, loss: Score, drawn: Sequence[Score] = ()) -> dict:
        """Return the figures of one class, beside those of random removals if they are given."""
        before = self.before[name].value
        row = {"class": name, "before": before, "after": before - loss.value, "loss": loss.value}
        row |= {"low": loss.interval.low, "high": loss.interval.high}
        if not drawn:
            return row
        excess = loss - mean_score(drawn)
        interval = excess.interval
        row |= {"excess": excess.value, "excess_low": interval.low, "excess_high": interval.high}
        # Wide enough that it misses for any of the classes no more often than one alone would.
        wide = percentile_interval(excess.draws, 1 - 0.05 / len(self.bundle.classes))
        largest = max(one.value for one in drawn)
        return row | {
            "largest_random": largest,
            "beyond_random": bool(wide.low > 0 and loss.value > max(largest, SMALLEST_LOSS)),
        }
