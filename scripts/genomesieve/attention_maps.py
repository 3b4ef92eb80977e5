"""Where attention looks, and what becomes of a prediction when it looks elsewhere.

A large weight does not say that a prediction rests on what it points at (Jain and Wallace 2019), so
maps stand beside interventions: mutagenesis of the sequence, and weights that are made uniform or
shuffled while everything else stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.architecture import NetworkSettings
from genomesieve.gradients import Gradients
from genomesieve.mutagenesis import SiteWindows
from genomesieve.trunks import SelfAttention

_ROWS = 32


@dataclass(frozen=True)
class AttentionMaps:
    """What the bin of each site takes from every position of the trunk.

    Parameters
    ----------
    heads : numpy.ndarray, shape=(sites, layers, heads, positions), dtype=float32
        Weights of the bin's positions, their mean. Layers of all members of an ensemble, one
        member after the other.
    rollout : numpy.ndarray, shape=(sites, positions), dtype=float32
        Weights multiplied through the layers (Abnar and Zuidema 2020), the mean over members.
    residual : numpy.ndarray, shape=(sites, positions), dtype=float32
        The same of attention that is the same everywhere: what the connections around attention,
        by which the bin's own positions weigh more than others, give away.
    offsets : numpy.ndarray, shape=(sites, positions), dtype=int64
        First base in the middle of what a position of the trunk sees, `stride` bases wide: bp from
        the first base of the bin.
    stride : int
        bp from one position of the trunk to the next.
    """

    heads: np.ndarray
    rollout: np.ndarray
    residual: np.ndarray
    offsets: np.ndarray
    stride: int


def attention_layers(network: nn.Module) -> list[SelfAttention]:
    """Return a network's layers of self-attention, in order."""
    return [layer for layer in network.modules() if isinstance(layer, SelfAttention)]


def map_attention(
    engine: Gradients, windows: SiteWindows, settings: NetworkSettings, members: int = 1
) -> AttentionMaps:
    """Record where attention looks.

    Parameters
    ----------
    engine : Gradients
        Of a network with self-attention; one that is averaged over strands is recorded on the
        strand of the site.
    windows : SiteWindows
    settings : NetworkSettings
        Of the network.
    members : int
        Networks that the model is the mean of.

    Returns
    -------
    AttentionMaps
    """
    layers = attention_layers(engine.network)
    heads, rollouts, residuals = [], [], []
    for first in range(0, len(windows), _ROWS):
        part = windows.take(slice(first, first + _ROWS))
        with recorded(layers) as kept, torch.no_grad():
            engine.network(engine.letters(part.seen))
        weights = [kept[layer][0] for layer in layers]
        heads.append(_of_bins(torch.stack(weights, 1), part, settings))
        rollouts.append(_of_bins(_roll_out(weights, members)[:, None, None], part, settings))
        flat = _roll_out([make_uniform(one) for one in weights], members)
        residuals.append(_of_bins(flat[:, None, None], part, settings))
    return AttentionMaps(
        np.concatenate(heads),
        np.concatenate(rollouts)[:, 0, 0],
        np.concatenate(residuals)[:, 0, 0],
        _offsets(windows, weights[0].shape[-1], settings.feature_stride),
        settings.feature_stride,
    )


def _roll_out(weights: list[Tensor], members: int) -> Tensor:
    """Multiply the weights (N, heads, length, length) of layers; return (N, length, length)."""
    each = len(weights) // members
    total = 0
    for member in range(members):
        product = None
        for layer in weights[member * each : (member + 1) * each]:
            # Half of what leaves a block came in beside the attention.
            step = (layer.mean(1) + torch.eye(layer.shape[-1], device=layer.device)) / 2
            product = step if product is None else step @ product
        total = total + product / members
    return total


def _of_bins(weights: Tensor, windows: SiteWindows, settings: NetworkSettings) -> np.ndarray:
    """Take the mean row of each site's bin from (N, layers, heads, length, length)."""
    span, margin = settings.span, settings.margin
    rows = settings.reach + torch.from_numpy(windows.bins)[:, None] * span - margin
    rows = (rows + torch.arange(span + 2 * margin)).to(weights.device)
    index = rows[:, None, None, :, None].expand(-1, *weights.shape[1:3], -1, weights.shape[-1])
    return weights.gather(3, index).mean(3).float().cpu().numpy()


def _offsets(windows: SiteWindows, positions: int, stride: int) -> np.ndarray:
    """Return where the middle of what each position of the trunk sees begins, from the bins."""
    seen = windows.length - (positions - 1) * stride
    first = (seen - stride) // 2 - windows.anchors
    return first[:, None] + stride * np.arange(positions)


@contextmanager
def recorded(layers: list[SelfAttention]) -> Iterator[dict[SelfAttention, list[Tensor]]]:
    """Keep the weights of layers at every call, by layer."""
    kept: dict[SelfAttention, list[Tensor]] = {layer: [] for layer in layers}

    def keep(layer: SelfAttention, inputs: tuple[Tensor], output: Tensor) -> None:
        kept[layer].append(layer.weights(inputs[0]))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def altered(layers: list[SelfAttention], change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let layers mix with weights (N, heads, length, length) that are changed first."""

    def mix(layer: SelfAttention, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return layer.mix(inputs[0], change(layer.weights(inputs[0]))).to(output.dtype)

    handles = [layer.register_forward_hook(mix) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def make_uniform(weights: Tensor) -> Tensor:
    """Let every position take the same from every other one."""
    return torch.full_like(weights, 1 / weights.shape[-1])


def shuffle_weights(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Return a function that gives the weights of each row to other columns, drawn at random."""

    def change(weights: Tensor) -> Tensor:
        drawn = torch.rand(weights.shape, generator=generator).to(weights.device)
        return weights.gather(-1, drawn.argsort(-1))

    return change


def altered_scores(
    engine: Gradients, windows: SiteWindows, draws: int = 5, seed: int = 0
) -> dict[str, np.ndarray]:
    """Score sites with their attention as it is, made uniform, and shuffled.

    Parameters
    ----------
    engine : Gradients
    windows : SiteWindows
    draws : int
        Shuffles, of which the mean score is taken.
    seed : int

    Returns
    -------
    dict of str to numpy.ndarray, shape=(sites,)
        Log-odds by `as_it_is`, `uniform` and `shuffled`.
    """
    layers = attention_layers(engine.network)
    generator = torch.Generator().manual_seed(seed)
    found = {"as_it_is": _scores(engine, windows)}
    with altered(layers, make_uniform):
        found["uniform"] = _scores(engine, windows)
    with altered(layers, shuffle_weights(generator)):
        found["shuffled"] = np.mean([_scores(engine, windows) for _ in range(draws)], axis=0)
    return found


def _scores(engine: Gradients, windows: SiteWindows) -> np.ndarray:
    """Return the log-odds of each site, some at a time."""
    found = []
    with torch.no_grad():
        for first in range(0, len(windows), _ROWS):
            part = windows.take(slice(first, first + _ROWS))
            found.append(engine.scores(engine.letters(part.seen), part.bins).cpu().numpy())
    return np.concatenate(found)


def sizes_at(
    contributions: np.ndarray, positions: np.ndarray, offsets: np.ndarray, stride: int
) -> np.ndarray:
    """Return the mean size of contributions in the middle of what positions of the trunk see.

    Parameters
    ----------
    contributions : numpy.ndarray, shape=(sites, bases)
        NaN where a base is unknown.
    positions : numpy.ndarray, shape=(bases,)
        bp from the first base of the bin, one after the other.
    offsets : numpy.ndarray, shape=(sites, cells)
    stride : int

    Returns
    -------
    numpy.ndarray, shape=(sites, cells)
        NaN where a cell is not covered by known bases.
    """
    place = offsets[..., None] - positions[0] + np.arange(stride)
    inside = ((place >= 0) & (place < len(positions))).all(-1)
    rows = np.arange(len(contributions))[:, None, None]
    taken = np.abs(contributions[rows, np.clip(place, 0, len(positions) - 1)]).mean(-1)
    return np.where(inside, taken, np.nan)
