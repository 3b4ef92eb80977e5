"""Networks of the project on sequences in memory: training, scores and intervals of demonstrations.

Networks, losses and the training engine are genomesieve's own; only the windows come from arrays
instead of a genome on disk. A demonstration's rows hold a value, its interval, the number of seeds
and the seconds of training, and `measuring.write_results` writes them.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import Architecture  # noqa: E402
from genomesieve.batches import Batch  # noqa: E402
from genomesieve.bootstrap import block_weights, percentile_interval  # noqa: E402
from genomesieve.gathering import strand_one_hot  # noqa: E402
from genomesieve.metrics import average_precision  # noqa: E402
from genomesieve.networks import build_network, log_odds, set_prior  # noqa: E402
from genomesieve.training import Trainer, TrainingSettings  # noqa: E402

REPEATS = 1000
_SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class Finding:
    """One number of a demonstration.

    Parameters
    ----------
    part : str
        Which experiment of the demonstration.
    what : str
        The network or baseline.
    metric : str
    value, low, high : float or None
        The mean over seeds, and a 95 % interval.
    seeds : int
        Networks that were trained; 0 where nothing is trained.
    seconds : float
        Of training, all seeds together; not a fair time, other programs may have run.
    parameters : int
        Trained numbers of one network.
    note : str
    """

    part: str
    what: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    seconds: float = 0.0
    parameters: int = 0
    note: str = ""


@dataclass(frozen=True)
class Examples:
    """Windows of one part of a data set.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, L), dtype=uint8
        Sequence; the middle `bins * resolution` bases are the core, the rest is context.
    sites : numpy.ndarray, shape=(N, classes, bins), dtype=bool
    """

    codes: np.ndarray
    sites: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray | slice) -> Examples:
        """Return some of the windows."""
        return Examples(self.codes[rows], self.sites[rows])

    @property
    def prevalence(self) -> np.ndarray:
        """Share of bins that hold a site of each class, shape=(classes,)."""
        return self.sites.mean((0, 2))


class ExampleSource:
    """Batches of examples, cut to what an architecture sees; takes the place of a `WindowSource`.

    Parameters
    ----------
    examples : Examples
        With at least the architecture's context beside the core.
    architecture : Architecture
    """

    def __init__(self, examples: Examples, architecture: Architecture):
        self.length = examples.sites.shape[2] * architecture.resolution
        spare = (examples.codes.shape[1] - self.length) // 2 - architecture.context
        if spare < 0:
            raise ValueError(f"{-spare} bp of context are missing")
        width = self.length + 2 * architecture.context
        self._codes = np.ascontiguousarray(examples.codes[:, spare : spare + width])
        self._sites = torch.from_numpy(examples.sites)

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def laboratory_rows(self) -> list[np.ndarray]:
        """All windows together: no laboratory is named."""
        return [np.arange(len(self))]

    def batch(self, rows: np.ndarray) -> Batch:
        """Make the batch of the given windows; every bin has weight 1."""
        x = strand_one_hot(self._codes[rows], np.zeros(len(rows), dtype=bool), DNA)
        sites = self._sites[torch.from_numpy(rows)]
        return Batch(x, sites, torch.ones(sites.shape))


@dataclass(frozen=True)
class Fitted:
    """A trained network, its best validation average precision and the seconds that it took."""

    network: nn.Module
    architecture: Architecture
    validation: float
    seconds: float

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return count_parameters(self.network)


def count_parameters(network: nn.Module) -> int:
    """Count trained numbers."""
    return sum(weight.numel() for weight in network.parameters())


def fit(
    architecture: Architecture,
    train: Examples,
    valid: Examples,
    labels: str,
    training: Mapping,
    seed: int,
    change: Callable[[nn.Module], None] | None = None,
) -> Fitted:
    """Train a network of the project; the weights that validate best are kept.

    Parameters
    ----------
    architecture : Architecture
    train, valid : Examples
    labels : str
        `exclusive` or `independent`.
    training : mapping
        As the `training` section of a screen.
    seed : int
    change : callable or None
        Changes the fresh network in place, for what is no part of the product.
    """
    torch.manual_seed(seed)
    classes = train.sites.shape[1]
    network = build_network(architecture, classes, labels)
    if change is not None:
        change(network)
    set_prior(network, train.prevalence, labels)
    settings = TrainingSettings.from_mapping(training)
    sources = ExampleSource(train, architecture), ExampleSource(valid, architecture)
    names = [f"class{number}" for number in range(classes)]
    trainer = Trainer(network, *sources, names, labels, settings, seed, torch.device("cpu"))
    begin = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        history = trainer.fit()
    best = float(history["validation_average_precision"].max())
    return Fitted(network.eval(), architecture, best, time.process_time() - begin)


def fit_at_best_rate(
    rates: Sequence[float], train_at: Callable[[float], Fitted]
) -> tuple[float, Fitted, dict[str, float]]:
    """Train at every learning rate and keep what validates best.

    Returns
    -------
    rate : float
    fitted : Fitted
    tried : dict of str to float
        Validation average precision of every rate.
    """
    found = {rate: train_at(rate) for rate in rates}
    best = max(found, key=lambda rate: found[rate].validation)
    return best, found[best], {f"{rate:g}": one.validation for rate, one in found.items()}


def score(fitted: Fitted, examples: Examples, labels: str) -> np.ndarray:
    """Return log-odds of all bins, shape=(N, classes, bins)."""
    source = ExampleSource(examples, fitted.architecture)
    rows = np.arange(len(source))
    parts = []
    with torch.inference_mode():
        for at in range(0, len(rows), _SCORED_AT_ONCE):
            batch = source.batch(rows[at : at + _SCORED_AT_ONCE])
            parts.append(log_odds(fitted.network(batch.x), labels).numpy())
    return np.concatenate(parts)


def counts_by_block(
    scores: np.ndarray, sites: np.ndarray, blocks: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count positives and negatives of each block at each distinct score.

    Parameters
    ----------
    scores, sites, blocks : numpy.ndarray, shape=(n,)
        Block of every score, 0 to number - 1.
    number : int

    Returns
    -------
    positives, negatives : numpy.ndarray, shape=(number, distinct scores), scores ascending
        Negatives below the lowest positive change no average precision and share one place.
    """
    lowest = scores[sites].min() if sites.any() else np.inf
    raised = np.where(scores < lowest, np.nextafter(lowest, -np.inf), scores)
    distinct, place = np.unique(raised, return_inverse=True)
    size = number * len(distinct)
    key = blocks * len(distinct) + place
    every = np.bincount(key, minlength=size)
    positives = np.bincount(key[sites], minlength=size)
    shape = number, len(distinct)
    return positives.reshape(shape).astype(float), (every - positives).reshape(shape).astype(float)


def precision_draws(
    scores: Sequence[np.ndarray], sites: np.ndarray, blocks: np.ndarray, repeats: int, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Measure average precision, and again with blocks and seeds drawn with replacement.

    Networks that are measured with the same blocks, number of seeds and `seed` meet the same draws,
    so that differences between them are paired.

    Parameters
    ----------
    scores : sequence of numpy.ndarray, shape=(n,)
        One for each seed.
    sites, blocks : numpy.ndarray, shape=(n,)
    repeats : int
    seed : int

    Returns
    -------
    value : float
        Mean over seeds.
    draws : numpy.ndarray, shape=(repeats,)
    """
    number = int(blocks.max()) + 1
    weights = block_weights(number, repeats, seed)
    values, drawn = [], []
    for one in scores:
        positives, negatives = counts_by_block(one, sites, blocks, number)
        values.append(float(average_precision(positives.sum(0), negatives.sum(0))))
        parts = np.array_split(weights, max(1, weights.shape[0] * positives.shape[1] // 2_000_000))
        drawn.append(
            np.concatenate(
                [average_precision(part @ positives, part @ negatives) for part in parts]
            )
        )
    chosen = np.random.default_rng([seed, 1]).integers(0, len(scores), (len(scores), repeats))
    draws = np.stack(drawn)[chosen, np.arange(repeats)].mean(0)
    return float(np.mean(values)), draws


def precision_finding(
    scores: Sequence[np.ndarray],
    sites: np.ndarray,
    blocks: np.ndarray,
    fitted: Sequence[Fitted] = (),
    repeats: int = REPEATS,
    **names: str,
) -> Finding:
    """Return the average precision of a network's seeds as one row.

    Parameters
    ----------
    scores, sites, blocks, repeats
        As in `precision_draws`.
    fitted : sequence of Fitted
        The networks; none for a baseline.
    **names : str
        `part`, `what`, `metric`, `note` of the row.
    """
    value, draws = precision_draws(scores, sites, blocks, repeats)
    interval = percentile_interval(draws)
    return Finding(
        **names, value=value, low=interval.low, high=interval.high, seeds=len(fitted),
        seconds=round(sum(one.seconds for one in fitted), 1),
        parameters=fitted[0].parameters if fitted else 0,
    )  # fmt: skip


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line a finding."""
    for row in findings:
        interval = "" if row.low is None else f" ({row.low:.3f} to {row.high:.3f})"
        value = "-" if row.value is None else f"{row.value:.4g}"
        print(
            f"{row.part} | {row.what} | {row.metric}: {value}{interval}, {row.seeds} seeds, "
            f"{row.parameters} parameters {row.note}".rstrip(),
            flush=True,
        )
