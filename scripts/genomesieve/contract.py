"""Does a user's network keep the model contract? Tried on sequence: shapes alone do not tell.

One-hot (N, letters, L) goes in, logits (N, outputs, (L - 2 * context) / resolution) come out. A
prediction depends on its bin and its context alone, wherever it stands in the input and whatever
else is in the batch.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.architecture import Architecture
from genomesieve.batches import one_hot
from genomesieve.custom_network import CustomNetwork
from genomesieve.errors import InputError
from genomesieve.inference import TOLERANCE
from genomesieve.networks import log_odds

logger = logging.getLogger(__name__)

_STRIDES = (1, 2, 3, 8)
"""Lengths that are tried, in strides beside the context."""
_MOST_PHASES = 8
"""Bins of one stride that are looked at alone."""


@dataclass(frozen=True)
class ContractTrial:
    """A network under trial.

    Parameters
    ----------
    network : CustomNetwork
    architecture : Architecture
        What is declared of it.
    labels : str
        `exclusive` or `independent`.
    alphabet : Alphabet
    """

    network: CustomNetwork
    architecture: Architecture
    labels: str
    alphabet: Alphabet = DNA

    def sequence(self, count: int, strides: int, seed: int = 0) -> Tensor:
        """Return random codes (N, L) of so many strides between two contexts."""
        length = strides * self.architecture.stride + 2 * self.architecture.context
        generator = np.random.default_rng(seed)
        codes = generator.integers(0, self.alphabet.size, (count, length), dtype=np.uint8)
        return torch.from_numpy(codes)

    def run(self, codes: Tensor, network: nn.Module | None = None) -> Tensor:
        """Run a network on codes (N, L) and return what it returns."""
        with torch.inference_mode():
            return (network or self.network)(one_hot(codes, self.alphabet))

    def scores(self, codes: Tensor) -> Tensor:
        """Return log-odds (N, classes, bins)."""
        return log_odds(self.run(codes), self.labels)

    def close(self, one: Tensor, other: Tensor) -> Tensor:
        """Tell which log-odds agree: within TOLERANCE * max(1, |s|) and the steps of a sigmoid."""
        limit = TOLERANCE * one.abs().clamp(min=1)
        if self.network.activation == "sigmoid":
            limit = limit + 4 * torch.finfo(torch.float32).eps * one.clamp(max=20).exp()
        return (one - other).abs() <= limit


def check_contract(trial: ContractTrial) -> dict:
    """Try a network on random sequence.

    Parameters
    ----------
    trial : ContractTrial

    Returns
    -------
    dict
        `lengths` (bp that were tried) and `reach` (bp that a prediction was seen to depend on to
        the left and right of its bin, None where the network has no gradient).

    Raises
    ------
    InputError
        Naming what was found and what was expected.
    """
    lengths = [_check_shape(trial, strides) for strides in _STRIDES]
    _check_values(trial)
    _check_activation(trial)
    _check_repeats(trial)
    reach = measure_reach(trial)
    _check_context(trial, reach)
    _check_places(trial)
    _check_planning(trial)
    context = trial.architecture.context
    if reach is not None and max(reach) < context:
        logger.warning(
            "the network declares a context of %d bp, and its predictions were seen to depend on "
            "%d bp to the left and %d to the right: a smaller context scans faster",
            context,
            *reach,
        )
    return {"lengths": lengths, "reach": None if reach is None else list(reach)}


def _check_activation(trial: ContractTrial) -> None:
    """Check that the user's module returns what is declared: logits, or probabilities."""
    activation = trial.network.activation
    y = trial.run(trial.sequence(4, 8), trial.network.network).float()
    low, high = float(y.min()), float(y.max())
    share = low >= 0 and high <= 1
    sums = y.sum(1)
    adds_up = share and bool(((sums - 1).abs() <= 1e-3).all())
    found = f"its outputs lie between {low:.4g} and {high:.4g}"
    if activation == "softmax" and not adds_up:
        raise InputError(
            f"model.activation is softmax, but {found} and add up to {float(sums.min()):.4g} to "
            f"{float(sums.max()):.4g}; expected probabilities that add up to 1 over the outputs"
        )
    if activation == "sigmoid" and not share:
        raise InputError(
            f"model.activation is sigmoid, but {found}; expected probabilities between 0 and 1"
        )
    if activation == "logits" and adds_up and y.shape[1] > 1:
        raise InputError(
            f"model.activation is logits, but {found} and add up to 1 over the outputs, as those "
            "of a softmax do; expected logits, or activation: softmax"
        )
    if activation == "logits" and share:
        logger.warning("%s: if they are probabilities, declare activation: sigmoid", found)


def _check_shape(trial: ContractTrial, strides: int) -> int:
    """Run one length and compare the shape; return the length in bp."""
    architecture = trial.architecture
    codes = trial.sequence(2, strides)
    length = codes.shape[1]
    bins = (length - 2 * architecture.context) // architecture.resolution
    settings = architecture.settings
    expected = (2, len(settings.outputs), bins + 2 * settings.crop)
    what = f"on input of shape (2, {trial.alphabet.size}, {length})"
    try:
        y = trial.run(codes, trial.network.network)
    except Exception as error:
        raise InputError(
            f"the network fails {what}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}; expected an output of shape {expected} for "
            f"context {architecture.context}, resolution {architecture.resolution} and stride "
            f"{architecture.stride}"
        ) from error
    if not isinstance(y, Tensor) or not y.is_floating_point():
        raise InputError(f"the network returns {_kind(y)} {what}; expected one tensor of numbers")
    if tuple(y.shape) != expected:
        raise InputError(f"{_explain_shape(tuple(y.shape), expected, what)}")
    return length


def _kind(value: object) -> str:
    """Name what a network returned."""
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _explain_shape(found: tuple[int, ...], expected: tuple[int, ...], what: str) -> str:
    """Say what is wrong with a shape, and what may be behind it."""
    text = f"the network returns shape {found} {what}; expected {expected}: (N, outputs, bins)"
    if len(found) != 3:
        return text + "; a network that gives one answer a window needs a bin axis of length 1"
    if found == (expected[0], expected[2], expected[1]):
        return text + "; its last two axes look exchanged"
    if found[1] != expected[1]:
        return text + f"; model.outputs names {expected[1]} outputs, the network has {found[1]}"
    longer = found[2] - expected[2]
    if longer > 0 and longer % 2 == 0:
        return text + f"; model.crop cuts predictions off both ends, {longer // 2} more would fit"
    return text + "; model.context, resolution, stride or crop do not describe it"


def _check_values(trial: ContractTrial) -> None:
    """Check that predictions are finite, also where bases are unknown."""
    known = trial.sequence(2, 8)
    mixed = known.clone()
    mixed[:, ::3] = trial.alphabet.unknown
    empty = torch.full_like(known, trial.alphabet.unknown)
    for what, codes in (("random", known), ("partly unknown", mixed), ("unknown", empty)):
        y = trial.run(codes)
        wrong = int((~torch.isfinite(y)).sum())
        if wrong:
            raise InputError(
                f"the network returns {wrong} of {y.numel()} values that are no finite numbers for "
                f"{what} bases (an unknown base is a column of zeros); expected finite numbers"
            )


def _check_repeats(trial: ContractTrial) -> None:
    """Check that a sequence gets the same scores again, alone and beside others."""
    codes = trial.sequence(3, 8)
    first, again = trial.scores(codes), trial.scores(codes)
    if not trial.close(first, again).all():
        raise InputError(
            "the network answers the same sequence differently, by up to "
            f"{_worst(first, again)} in log-odds; expected no chance in evaluation mode"
        )
    alone = torch.cat([trial.scores(row[None]) for row in codes])
    if not trial.close(first, alone).all():
        raise InputError(
            "the network's answer to a sequence depends on the others in its batch, by up to "
            f"{_worst(first, alone)} in log-odds; expected each to be answered by itself"
        )


def _check_places(trial: ContractTrial) -> None:
    """Check that a piece out of a sequence gets the scores that it has within it."""
    architecture = trial.architecture
    stride, bins = architecture.stride, architecture.stride // architecture.resolution
    codes = trial.sequence(2, 8)
    whole = trial.scores(codes)
    for first, count in ((0, 3), (1, 2), (3, 1), (5, 3)):
        end = (first + count) * stride + 2 * architecture.context
        piece = trial.scores(codes[:, first * stride : end])
        expected = whole[..., first * bins : (first + count) * bins]
        if not trial.close(expected, piece).all():
            raise InputError(
                f"the network scores a sequence of {count * stride} bp and its context alone "
                f"otherwise than inside a longer one, by up to {_worst(expected, piece)} in "
                "log-odds; expected the same: the network knows where in its input it is, or its "
                "pools and strides are larger than model.stride"
            )


def _check_context(trial: ContractTrial, reach: tuple[int, int] | None) -> None:
    """Check that bases outside the context of a bin change nothing."""
    architecture = trial.architecture
    context, resolution = architecture.context, architecture.resolution
    period = architecture.stride // resolution
    # Room on both sides for as much again as is declared.
    margin = -(-max(context, 200) // architecture.stride)
    codes = trial.sequence(_count(architecture), 2 * margin + 1)
    half = len(codes) // 2
    before = trial.scores(codes)
    generator = torch.Generator().manual_seed(1)
    phases = np.unique(np.linspace(0, period - 1, min(period, _MOST_PHASES)).astype(int))
    for phase in phases:
        at = margin * period + int(phase)
        inside = slice(at * resolution, (at + 1) * resolution + 2 * context)
        changed = torch.randint(
            trial.alphabet.size, codes.shape, generator=generator, dtype=torch.uint8
        )
        changed[half:] = trial.alphabet.unknown
        changed[:, inside] = codes[:, inside]
        after = trial.scores(changed)
        if not trial.close(before[..., at], after[..., at]).all():
            seen = "" if reach is None else (
                f" (a prediction was seen to depend on {reach[0]} bp to the left and {reach[1]} to "
                "the right of its bin)"
            )  # fmt: skip
            raise InputError(
                f"bases outside the declared context of {context} bp change a prediction by up to "
                f"{_worst(before[..., at], after[..., at])} in log-odds{seen}; expected no change: "
                "declare a larger model.context (and model.crop, where the network pads); a "
                "network that mixes over the whole length (attention, recurrence, norms over "
                "length) has none"
            )


def measure_reach(trial: ContractTrial) -> tuple[int, int] | None:
    """Measure how far from its bin a prediction depends on bases, by its gradient.

    Returns
    -------
    tuple of int, or None
        bp to the left and to the right; None if the network has no gradient by its input.
    """
    architecture = trial.architecture
    margin = -(-max(architecture.context, 200) // architecture.stride)
    x = one_hot(trial.sequence(_count(architecture), 2 * margin + 1), trial.alphabet)
    x = x.clone().requires_grad_(True)
    at = margin * (architecture.stride // architecture.resolution)
    try:
        with torch.enable_grad():
            y = trial.network(x)[..., at]
            (gradient,) = torch.autograd.grad(y.float().pow(2).sum(), x)
    except RuntimeError:
        return None
    seen = gradient.ne(0).any(1).any(0).nonzero().flatten()
    if not len(seen):
        return None
    first = architecture.context + at * architecture.resolution
    last = first + architecture.resolution - 1
    return max(first - int(seen[0]), 0), max(int(seen[-1]) - last, 0)


def _count(architecture: Architecture) -> int:
    """Return how many sequences to try where each is several contexts long."""
    return 64 if architecture.context <= 1000 else 2


def _check_planning(trial: ContractTrial) -> None:
    """Check that the network runs without data, as the planner of scans counts its operations."""
    codes = trial.sequence(1, 2)
    try:
        shell = copy.deepcopy(trial.network).to("meta")
        with torch.inference_mode():
            shell(torch.empty(1, trial.alphabet.size, codes.shape[1], device="meta"))
    except Exception as error:
        raise InputError(
            "the network cannot be run on PyTorch's meta device, where scans are planned: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; expected that tensors "
            "are made on the input's device or registered as buffers, and that nothing is decided "
            "by their values"
        ) from error


def _worst(one: Tensor, other: Tensor) -> str:
    """Write the largest difference."""
    return f"{float((one - other).abs().max()):.2g}"
