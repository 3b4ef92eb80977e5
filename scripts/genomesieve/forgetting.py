"""What a network keeps and loses while it learns one genome after the other.

After every stage, what each stage taught is measured: R[i, j] is the average precision after stage
i on the genome (and the classes) of stage j. From a whole sequence of K stages, counted from 0:

- average: mean of R[K-1, j] over all j;
- gain: mean of R[K-1, j] - R[0, j] over all j, what all further stages together brought over the
  network of the first one, which could have been left alone; not defined where it lacks a class;
- backward transfer: mean of R[K-1, j] - R[j, j] over j < K-1; negative is forgetting (Lopez-Paz and
  Ranzato 2017);
- forward transfer: mean of R[j-1, j] - b_j over j > 0, b_j being the prevalence, which is the
  average precision of a network that knows nothing (same source);
- forgetting: mean over j < K-1 of the best R[i, j], i < K-1, less R[K-1, j] (Chaudhry et al. 2018).

Intervals come from the same bootstrapped blocks for all stages and methods of a genome; draws of
different genomes are independent.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genomesieve.bootstrap import percentile_interval


@dataclass(frozen=True)
class Task:
    """What a stage taught, and how it is measured.

    Parameters
    ----------
    stage : str
    genome : str
    classes : tuple of str
    """

    stage: str
    genome: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """The average precision of one model for one class on one genome.

    Parameters
    ----------
    value : float
        NaN where it is not defined: the model does not know the class, or there is no site.
    draws : numpy.ndarray, shape=(repeats,)
    prevalence : float
    """

    value: float
    draws: np.ndarray
    prevalence: float


@dataclass(frozen=True)
class StageMatrix:
    """The matrix of one method: after each stage, on what each stage taught.

    Parameters
    ----------
    method : str
    tasks : tuple of Task
    values : numpy.ndarray, shape=(stages, tasks)
        Mean over the classes of a task.
    draws : numpy.ndarray, shape=(stages, tasks, repeats)
    chance : numpy.ndarray, shape=(tasks,)
        Mean prevalence of the classes of a task.
    """

    method: str
    tasks: tuple[Task, ...]
    values: np.ndarray
    draws: np.ndarray
    chance: np.ndarray


def make_matrix(
    method: str, tasks: Sequence[Task], measured: Sequence[Mapping[tuple[str, str], Measured]]
) -> StageMatrix:
    """Put what was measured after every stage into the matrix of a method.

    Parameters
    ----------
    method : str
    tasks : sequence of Task
    measured : sequence of mapping of (str, str) to Measured
        After each stage, by genome and class; what is missing is not defined.
    """
    repeats = max(len(one.draws) for table in measured for one in table.values())
    shape = len(measured), len(tasks)
    values, draws = np.full(shape, np.nan), np.full((*shape, repeats), np.nan)
    chance = np.full(len(tasks), np.nan)
    for row, table in enumerate(measured):
        for column, task in enumerate(tasks):
            found = [table.get((task.genome, name)) for name in task.classes]
            if any(one is None or np.isnan(one.value) for one in found):
                continue
            values[row, column] = np.mean([one.value for one in found])
            order = _order_of_draws(task.genome, repeats)
            draws[row, column] = np.mean([one.draws for one in found], axis=0)[order]
            chance[column] = np.mean([one.prevalence for one in found])
    return StageMatrix(method, tuple(tasks), values, draws, chance)


def summarise(matrix: StageMatrix) -> dict[str, tuple[float, float, float]]:
    """Return average, gain, backward and forward transfer and forgetting after the last stage.

    Returns
    -------
    dict of str to (float, float, float)
        Value and both ends of the 95 % interval over blocks; NaN where not defined.
    """
    points = _statistics(matrix.values[..., None], matrix)
    drawn = _statistics(matrix.draws, matrix)
    return {name: _with_interval(points[name], drawn[name]) for name in points}


def compare(matrix: StageMatrix, other: StageMatrix) -> dict[str, tuple[float, float, float]]:
    """Return what `summarise` does, as differences to another method on the same blocks."""
    points = [_statistics(one.values[..., None], one) for one in (matrix, other)]
    draws = [_statistics(one.draws, one) for one in (matrix, other)]
    return {
        name: _with_interval(points[0][name] - points[1][name], draws[0][name] - draws[1][name])
        for name in points[0]
    }


def cell_interval(matrix: StageMatrix, row: int, column: int) -> tuple[float, float]:
    """Return the 95 % interval over blocks of one cell of the matrix."""
    interval = percentile_interval(matrix.draws[row, column])
    return interval.low, interval.high


def older_mean(matrix: StageMatrix, row: int) -> tuple[float, float, float]:
    """Return the mean over what earlier stages taught, after a later one, with its interval."""
    interval = percentile_interval(matrix.draws[row, :row].mean(0))
    return float(matrix.values[row, :row].mean()), interval.low, interval.high


def _with_interval(point: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float]:
    """Return a value, shape=(1,), with both ends of the interval of its draws."""
    interval = percentile_interval(drawn)
    return float(point[0]), interval.low, interval.high


def _statistics(cells: np.ndarray, matrix: StageMatrix) -> dict[str, np.ndarray]:
    """Compute the measures of cells of shape (stages, tasks, repeats), each of shape (repeats,)."""
    last = len(cells) - 1
    own = np.stack([cells[j, j] for j in range(last)])
    before = np.stack([cells[j - 1, j] - matrix.chance[j] for j in range(1, last + 1)])
    # The best stage is that of the values themselves: the best of each draw would be a biased one.
    known = np.nan_to_num(matrix.values[:last, :last], nan=-1.0)
    best = np.stack([cells[known[:, j].argmax(), j] for j in range(last)])
    return {
        "average": cells[last].mean(0),
        "gain": (cells[last] - cells[0]).mean(0),
        "backward_transfer": (cells[last, :last] - own).mean(0),
        "forward_transfer": _mean_of_defined(before),
        "forgetting": (best - cells[last, :last]).mean(0),
    }


def _mean_of_defined(rows: np.ndarray) -> np.ndarray:
    """Return the mean over rows that are defined; a class not yet known has no transfer to it."""
    defined = rows[~np.isnan(rows).any(axis=1)]
    return defined.mean(0) if len(defined) else np.full(rows.shape[1], np.nan)


def _order_of_draws(genome: str, repeats: int) -> np.ndarray:
    """Return an order of a genome's draws, so that equal numbers of blocks do not tie genomes."""
    return np.random.default_rng(zlib.crc32(genome.encode())).permutation(repeats)
