"""Elastic weight consolidation: weights that old tasks depend on are held where they were.

The likelihood of the old data, which may be gone, is replaced by its Laplace approximation around
the old optimum with a diagonal Fisher matrix (Kirkpatrick et al. 2017). In nats per observation of
the new task, what is added to its loss is

    lambda / 2 * sum over old tasks of N_old / N_new * sum_i F_i (theta_i - theta*_i)^2

with F the mean Fisher information of one observation and N the number of observations. At lambda 1
the weight is that of the approximated posterior; the diagonal ignores how weights act together, so
other values may serve better.

Several old tasks: `separate` keeps the Fisher information and the optimum of each; `online` keeps
one sum around the newest optimum, whatever the number of tasks (Schwarz et al. 2018).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from genomesieve.errors import InputError
from genomesieve.files import existing_file, file_digest, whole_file

FILE = "fisher.safetensors"
_FISHER, _OPTIMUM = "fisher", "optimum"


@dataclass(frozen=True)
class OldTask:
    """What is kept of a task whose data may be gone.

    Parameters
    ----------
    name : str
    kind : str
        `expected` or `empirical`.
    observations : float
        How many the Fisher information is a mean over.
    fisher : dict of str to torch.Tensor
        Mean Fisher information of one observation, by parameter.
    optimum : dict of str to torch.Tensor
        The weights that it was taken at.
    """

    name: str
    kind: str
    observations: float
    fisher: dict[str, Tensor]
    optimum: dict[str, Tensor]


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's parameters, by name, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.named_parameters()}


def save_tasks(path: str | os.PathLike, tasks: Sequence[OldTask], weights: Path) -> None:
    """Write what is kept of old tasks beside the model whose weights are the last one's optimum.

    Parameters
    ----------
    path : path-like
    tasks : sequence of OldTask
        The last one's optimum is not written: it is the model itself.
    weights : Path
        The model.safetensors that they belong to.
    """
    tensors, notes = {}, []
    for number, task in enumerate(tasks):
        kept = {_FISHER: task.fisher}
        if number < len(tasks) - 1:
            kept[_OPTIMUM] = task.optimum
        for what, values in kept.items():
            for name, value in values.items():
                tensors[f"{number}.{what}.{name}"] = value.contiguous().clone()
        notes.append({"name": task.name, "kind": task.kind, "observations": task.observations})
    metadata = {"tasks": json.dumps(notes), "model_sha256": file_digest(weights)}
    with whole_file(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata)


def load_tasks(path: str | os.PathLike, folder: Path, network: nn.Module) -> list[OldTask]:
    """Read what `save_tasks` wrote.

    Parameters
    ----------
    path : path-like
    folder : Path
        The model folder that the tasks belong to.
    network : torch.nn.Module
        Its network: the optimum of the last task.

    Raises
    ------
    InputError
        If the file is missing, damaged, or belongs to another model.
    """
    metadata, notes, tensors = _read(existing_file(path, "Fisher information"))
    found, expected = metadata.get("model_sha256"), file_digest(folder / "model.safetensors")
    if found != expected:
        raise InputError(
            f"Fisher information {path} belongs to weights with SHA-256 {found}; model {folder} "
            f"has {expected}"
        )
    current = parameters_of(network)
    tasks = []
    for number, note in enumerate(notes):
        fisher = _tensors_of(tensors, number, _FISHER)
        optimum = _tensors_of(tensors, number, _OPTIMUM) or current
        for what, values in ((_FISHER, fisher), (_OPTIMUM, optimum)):
            _check_tensors(values, current, f"Fisher information {path}: {what} of task {number}")
        if any((value < 0).any() for value in fisher.values()):
            raise InputError(f"Fisher information {path} has values below 0; expected squares")
        tasks.append(OldTask(note["name"], note["kind"], note["observations"], fisher, optimum))
    return tasks


def merge_tasks(tasks: Sequence[OldTask], decay: float = 1.0) -> OldTask:
    """Return the online form of several tasks: one sum of Fisher information at the last optimum.

    Parameters
    ----------
    tasks : sequence of OldTask
        Oldest first.
    decay : float
        What an older sum is multiplied by for each newer task; 1 forgets nothing.
    """
    total, merged = 0.0, tasks[-1]
    sums = {name: torch.zeros_like(value) for name, value in merged.fisher.items()}
    for task in tasks:
        total = decay * total + task.observations
        for name, value in sums.items():
            value.mul_(decay).add_(_grown(task.fisher[name], value), alpha=task.observations)
    name = "+".join(task.name for task in tasks)
    return replace(
        merged,
        name=name,
        observations=total,
        fisher={key: value / total for key, value in sums.items()},
    )


class ElasticPenalty:
    """What elastic weight consolidation adds to the loss of a new task.

    Parameters
    ----------
    tasks : sequence of OldTask
    strength : float
        Lambda.
    observations : float
        How many the loss of the new task is a mean over.
    network : torch.nn.Module
        What is trained. Rows that were appended to its outputs are free of any penalty.
    """

    def __init__(
        self, tasks: Sequence[OldTask], strength: float, observations: float, network: nn.Module
    ):
        self._terms: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for task in tasks:
            scale = strength / 2 * task.observations / observations
            for name, weight in network.named_parameters():
                importance = _grown(task.fisher[name], weight).to(weight.device) * scale
                optimum = _grown(task.optimum[name], weight).to(weight.device)
                self._terms.setdefault(name, []).append((importance, optimum))

    def __call__(self, network: nn.Module) -> Tensor:
        """Return the penalty of a network's present weights, shape=()."""
        terms = [
            (importance * (weight - optimum).square()).sum()
            for name, weight in network.named_parameters()
            if weight.requires_grad
            for importance, optimum in self._terms[name]
        ]
        return torch.stack(terms).sum()


def _grown(values: Tensor, like: Tensor) -> Tensor:
    """Return values with rows of zeros appended, as many as another tensor has more."""
    missing = like.shape[0] - values.shape[0] if values.dim() else 0
    if not missing:
        return values
    return torch.cat([values, values.new_zeros(missing, *values.shape[1:])])


def _tensors_of(tensors: Mapping[str, Tensor], number: int, what: str) -> dict[str, Tensor]:
    """Return one task's tensors of a kind, by parameter."""
    start = f"{number}.{what}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def _read(path: Path) -> tuple[dict, list[dict], dict[str, Tensor]]:
    """Return metadata, notes of the tasks and tensors of a file, or raise InputError."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            notes = json.loads(metadata["tasks"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        first = " ".join(str(error).split())[:200]
        raise InputError(f"Fisher information {path} cannot be read: {first}") from error
    if not (isinstance(notes, list) and notes and all(map(_is_note, notes))):
        raise InputError(
            f"Fisher information {path} describes its tasks as {str(notes)[:80]!r}; expected name, "
            "kind and observations of each"
        )
    return metadata, notes, tensors


def _is_note(note: object) -> bool:
    """Tell whether a file's note of a task is one."""
    if not isinstance(note, dict):
        return False
    count = note.get("observations")
    known = isinstance(count, int | float) and not isinstance(count, bool) and 0 < count < 1e18
    return known and all(isinstance(note.get(key), str) for key in ("name", "kind"))


def _check_tensors(values: Mapping, expected: Mapping, where: str) -> None:
    """Raise InputError unless there is a finite tensor for each of a network's parameters.

    Older tasks may have had fewer outputs, the first of the present ones.
    """
    for name, parameter in expected.items():
        if name not in values:
            raise InputError(f"{where} lacks {name}; expected all parameters")
        value = values[name]
        fits = value.shape[1:] == parameter.shape[1:] and len(value.shape) == len(parameter.shape)
        if not fits or (value.dim() and len(value) > len(parameter)):
            raise InputError(
                f"{where}: {name} has shape {tuple(value.shape)}; expected {tuple(parameter.shape)}"
            )
        if value.is_complex() or not torch.isfinite(value.double()).all():
            raise InputError(f"{where}: {name} has values that are no finite numbers")
