"""Quantities that a network learns beside its classes: a second head, in training alone.

The head reads the same features as that of the classes. It is put on before training and taken off
after it, so that a model folder, calibration and scans know nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture
from genomesieve.auxiliary_settings import AuxiliaryTask
from genomesieve.batches import Batch, WindowSource
from genomesieve.convolutions import HeadConvolution
from genomesieve.errors import InputError
from genomesieve.networks import StrandAverage, log_prior
from genomesieve.sequence_properties import sequence_property
from genomesieve.symmetry import tie_output

_MOST_WINDOWS = 256
_BATCH = 16


class JointHead(nn.Module):
    """The head of the classes and a second one; outside training only the first one speaks.

    Parameters
    ----------
    main, auxiliary : HeadConvolution
    """

    def __init__(self, main: HeadConvolution, auxiliary: HeadConvolution):
        super().__init__()
        self.main, self.auxiliary = main, auxiliary

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 1, bins) to (N, outputs, 1, bins); in training those of both heads."""
        logits = self.main(x)
        return torch.cat([logits, self.auxiliary(x)], dim=1) if self.training else logits


class Auxiliary:
    """What is learned beside the classes, in units of its own spread.

    Parameters
    ----------
    tasks : sequence of AuxiliaryTask
    architecture : Architecture
    centre, spread : numpy.ndarray, shape=(tasks,)
        Subtracted from a value, then divided by; from `measure_spread`.
    unit : float
        What weights are multiplied with; from `prior_loss`. A loss that is the mean of all bins is
        small where classes are rare: without it, every weight would have to be as small.
    """

    def __init__(
        self,
        tasks: Sequence[AuxiliaryTask],
        architecture: Architecture,
        centre: np.ndarray,
        spread: np.ndarray,
        unit: float,
    ):
        self.tasks, self.architecture, self.unit = list(tasks), architecture, unit
        self.centre, self.spread = np.asarray(centre).tolist(), np.asarray(spread).tolist()
        self.names = [task.name for task in self.tasks]

    def describe(self) -> dict:
        """Return what stands in model.json, by task."""
        return {
            task.name: {
                "property" if task.property else "track": task.property or task.track,
                "weight": task.weight,
                "factor_of_loss": task.weight * self.unit,
                "flank": task.flank,
                "mean": centre,
                "standard_deviation": spread,
            }
            for task, centre, spread in zip(self.tasks, self.centre, self.spread)
        }

    def attach(self, network: nn.Module) -> None:
        """Give a network its second head, with fresh weights, where its first one is."""
        owner = _owner_of_head(network)
        main = owner.head
        extra = HeadConvolution(main.in_channels, len(self.tasks))
        with torch.no_grad():
            extra.weight.mul_(0.1)
        if parametrize.is_parametrized(main, "weight"):
            tie_output(extra)
        extra.to(device=main.bias.device, memory_format=torch.channels_last)
        owner.head = JointHead(main, extra)

    def detach(self, network: nn.Module) -> None:
        """Leave a network with its first head alone."""
        owner = _owner_of_head(network)
        owner.head = owner.head.main

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Cut what both heads say, (N, outputs, bins), into logits and guesses."""
        return outputs[:, : -len(self.tasks)], outputs[:, -len(self.tasks) :]

    def losses(self, guesses: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each task: Huber's (1964), in units of the task's spread.

        Squares up to one standard deviation and straight beyond it: a window with one C and one G
        that are neighbours has an observed over expected CpG of a hundred. Bins without a value
        add nothing. Like the loss of the classes it is divided by all bins, so that parts of a
        batch add up.

        Parameters
        ----------
        guesses : torch.Tensor, shape=(N, tasks, bins)
        batch : Batch

        Returns
        -------
        torch.Tensor, shape=(tasks,)
        """
        targets = self.targets(batch)
        known = targets.isfinite()
        guesses = torch.where(known, guesses.float(), 0)
        losses = functional.huber_loss(guesses, torch.where(known, targets, 0), reduction="none")
        return losses.mean((0, 2))

    def add_up(self, losses: Tensor) -> Tensor:
        """Return the weighted sum of the tasks' losses, shape=(), to be added to the classes'."""
        weights = losses.new_tensor([task.weight for task in self.tasks])
        return self.unit * (losses * weights).sum()

    def targets(self, batch: Batch) -> Tensor:
        """Return standardised values, shape=(N, tasks, bins), NaN where there is none."""
        values = task_values(self.tasks, self.architecture, batch)
        centre, spread = (values.new_tensor(item)[:, None] for item in (self.centre, self.spread))
        return (values - centre) / spread


def task_values(tasks: Sequence[AuxiliaryTask], architecture: Architecture, batch: Batch) -> Tensor:
    """Return the value of every task in every bin of a batch, in the order of its own strand.

    Returns
    -------
    torch.Tensor, shape=(N, tasks, bins), dtype=float32
        NaN where there is none.
    """
    values, tracks = [], 0
    for task in tasks:
        if task.property:
            cut = architecture.context - task.flank
            x = batch.x[:, : DNA.size, cut : batch.x.shape[-1] - cut]
            values.append(sequence_property(task.property, x, architecture.resolution, task.flank))
        else:
            values.append(batch.tracks[:, tracks].to(batch.x.device))
            tracks += 1
    return torch.stack(values, dim=1)


def prior_loss(prevalence: np.ndarray, labels: str) -> float:
    """Return the loss of the classes where nothing but the prevalence is known.

    Parameters
    ----------
    prevalence : numpy.ndarray, shape=(classes,)
    labels : str
        `exclusive` or `independent`.
    """
    prior = log_prior(prevalence, labels)
    if labels == "exclusive":
        return float(-(prior.exp() * prior).sum())
    return float(functional.binary_cross_entropy_with_logits(prior, prior.sigmoid()))


def measure_spread(
    tasks: Sequence[AuxiliaryTask],
    architecture: Architecture,
    source: WindowSource,
    unit: float = 1.0,
) -> Auxiliary:
    """Take mean and standard deviation of every task from at most 256 windows, evenly spaced.

    Parameters
    ----------
    tasks : sequence of AuxiliaryTask
    architecture : Architecture
    source : WindowSource
        Training windows.
    unit : float
        As for `Auxiliary`.

    Raises
    ------
    InputError
        If a task has no value there, or only one.
    """
    rows = np.unique(np.linspace(0, len(source) - 1, _MOST_WINDOWS).astype(np.int64))
    count, total, squares = np.zeros((3, len(tasks)))
    for part in np.split(rows, range(_BATCH, len(rows), _BATCH)):
        values = task_values(tasks, architecture, source.batch(part)).double().cpu().numpy()
        count += np.isfinite(values).sum((0, 2))
        total += np.nansum(values, (0, 2))
        squares += np.nansum(values**2, (0, 2))
    centre = total / np.maximum(count, 1)
    variance = squares / np.maximum(count, 1) - centre**2
    # Differences of large sums of equal values are not exactly 0.
    for task, found, spread, mean in zip(tasks, count, variance, centre):
        if not found or spread <= 1e-9 * max(mean**2, 1e-12):
            what = f"only the value {mean:g}" if found else "no value"
            raise InputError(
                f"auxiliary.{task.name} has {what} in {len(rows)} training windows; expected "
                "values that differ"
            )
    return Auxiliary(tasks, architecture, centre, np.sqrt(variance), unit)


def _owner_of_head(network: nn.Module) -> nn.Module:
    """Return the module that holds the head."""
    return network.network if isinstance(network, StrandAverage) else network
