"""Diagonal Fisher information of a trained network, per predicted position.

What a network knows of a task lies in the weights that its predictions depend on. The Fisher
information of a weight is the expected square of the gradient of the log-likelihood of one
observation: one bin (of one class, where labels are independent). A squared gradient of a chunk is
something else, since gradients of its bins cancel or add up before they are squared; so gradients
are taken bin by bin. Observations count as often as they occur in the genome, not as often as they
were sampled.

Two kinds (Kunstner et al. 2019): `expected` takes the mean over the labels that the model itself
expects (the Fisher information proper), `empirical` the square at the labels that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.architecture import Architecture
from genomesieve.batches import Batch, WindowSource
from genomesieve.domain_norm import use_laboratories
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.progress import Progress

_EVENLY = 0.1
"""Share of the draws that go by frequency alone, so that no observation is left out of reach."""
_BATCH = 8


@dataclass(frozen=True)
class _Observations:
    """Everything that may be drawn: in which window and bin, of which class (exclusive: 0).

    `weight` is how often each counts and `size` how large its gradient is at the outputs.
    """

    window: np.ndarray
    output: np.ndarray
    bin: np.ndarray
    weight: np.ndarray
    size: np.ndarray


def estimate_fisher(
    network: nn.Module,
    source: WindowSource,
    architecture: Architecture,
    labels: str,
    kind: str,
    device: torch.device,
    windows: int = 400,
    positions: int = 2000,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Estimate, for each weight, the mean squared gradient of an observation's log-likelihood.

    Observations are drawn with probabilities that follow how often they occur and how large their
    gradient is at the network's outputs, and are weighted by the inverse of those; the mean is
    unbiased whatever is drawn. Where there are no more observations than are asked for, each is
    taken once and the result is exact. Norms use the statistics that they have.

    Parameters
    ----------
    network : torch.nn.Module
        Maps one-hot (N, letters, L) to logits (N, outputs, bins); in evaluation mode afterwards.
    source : WindowSource
        Training windows, with how often each bin counts.
    architecture : Architecture
    labels : str
        `exclusive` or `independent`.
    kind : str
        `expected` or `empirical`.
    device : torch.device
    windows : int
        Most windows that observations are drawn from.
    positions : int
        Observations that are drawn.
    seed : int

    Returns
    -------
    dict of str to torch.Tensor
        By the name of each parameter, of its shape; float32 on the CPU.
    """
    generator = np.random.default_rng(seed)
    network = network.to(device).eval()
    rows = np.arange(len(source))
    if len(rows) > windows:
        rows = np.sort(generator.choice(len(source), windows, replace=False))
    everything = _list_observations(network, source, rows, labels, kind, device)
    chosen, shares = _draw(everything, positions, generator)
    parameters = dict(network.named_parameters())
    totals = {name: torch.zeros_like(value) for name, value in parameters.items()}
    bar = Progress(len(chosen), "position", "Fisher information")
    for row in np.unique(everything.window[chosen]):
        batch = source.batch(rows[row : row + 1]).to(device)
        use_laboratories(network, batch.laboratories)
        for place in np.flatnonzero(everything.window[chosen] == row):
            output, number = everything.output[chosen[place]], everything.bin[chosen[place]]
            logits = _logits_of_bin(network, batch.x, int(number), architecture)
            site = batch.sites[0, :, int(number)]
            terms = squared_terms(logits, site, int(output), labels, kind)
            _add_squares(terms, float(shares[place]), parameters, totals)
            bar.update()
    bar.close()
    return {name: value.float().cpu() for name, value in totals.items()}


def count_observations(
    genomes: Mapping[str, LabelledGenome],
    splits: Mapping[str, pd.DataFrame],
    resolution: int,
    labels: str,
) -> int:
    """Count the observations of the training parts: bins, of both strands and each class.

    Bins of unstranded classes count once, and with exclusive labels once for all classes.
    """
    first = next(iter(genomes.values()))
    bins = 0
    for name, labelled in genomes.items():
        rows = splits[name][splits[name]["part"] == "train"]
        bins += labelled.count_site_bins(rows, resolution)[1]
    strands = bins if first.stranded else bins // 2
    return int(strands) * (1 if labels == "exclusive" else len(first.classes))


def squared_terms(
    logits: Tensor, site: Tensor, output: int, labels: str, kind: str
) -> Iterator[tuple[Tensor, float]]:
    """Yield what is differentiated for one observation, and the factor of each squared gradient.

    Parameters
    ----------
    logits : torch.Tensor, shape=(outputs,)
        Of one bin.
    site : torch.Tensor, shape=(classes,), bool
        Whether the bin holds a site of each class.
    output : int
        Which class, with independent labels.
    labels, kind : str
    """
    if labels == "independent":
        logit = logits[output]
        if kind == "empirical":
            yield functional.logsigmoid(logit if bool(site[output]) else -logit), 1.0
        else:
            # The gradient is (y - p) times that of the logit, and the variance of y is p (1 - p).
            probability = torch.sigmoid(logit.detach().double())
            yield logit, float(probability * (1 - probability))
        return
    chances = functional.log_softmax(logits, dim=0)
    if kind == "empirical":
        yield chances[int(site.any()) * (int(site.int().argmax()) + 1)], 1.0
        return
    for chance in chances:
        yield chance, float(chance.detach().exp())


def _add_squares(
    terms: Iterator[tuple[Tensor, float]],
    share: float,
    parameters: Mapping[str, Tensor],
    totals: Mapping[str, Tensor],
) -> None:
    """Add the squared gradients of one observation's terms to the totals."""
    for value, factor in terms:
        gradients = torch.autograd.grad(
            value, list(parameters.values()), retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(parameters, gradients):
            if gradient is not None:
                totals[name].addcmul_(gradient, gradient, value=share * factor)


def _logits_of_bin(
    network: nn.Module, x: Tensor, number: int, architecture: Architecture
) -> Tensor:
    """Return the logits (outputs,) of one bin of a window, from what that bin sees alone."""
    stride, context = architecture.stride, architecture.context
    start = number * architecture.resolution // stride * stride
    seen = x[:, :, start : start + max(stride, architecture.resolution) + 2 * context]
    inside = number - start // architecture.resolution
    return network(seen)[0, :, inside].float()


def _list_observations(
    network: nn.Module,
    source: WindowSource,
    rows: np.ndarray,
    labels: str,
    kind: str,
    device: torch.device,
) -> _Observations:
    """List all observations of some windows with their weights, but for ignored ones."""
    found = []
    for first in range(0, len(rows), _BATCH):
        batch = source.batch(rows[first : first + _BATCH])
        use_laboratories(network, batch.laboratories)
        with torch.no_grad():
            logits = network(batch.x.to(device)).double().cpu()
        weight, size = _weights_and_sizes(logits, batch, labels, kind)
        window, output, number = np.nonzero(weight)
        values = weight[window, output, number], size[window, output, number]
        found.append((window + first, output, number, *values))
    return _Observations(*map(np.concatenate, zip(*found)))


def _weights_and_sizes(
    logits: Tensor, batch: Batch, labels: str, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return how often observations (N, 1 or classes, bins) count, and their squared gradients.

    The gradients are those at the outputs: of the cross-entropy by the logits.
    """
    sites, weights = batch.sites.cpu(), batch.weights.double().cpu()
    if labels == "independent":
        p = torch.sigmoid(logits)
        size = (p - sites.double()) ** 2 if kind == "empirical" else p * (1 - p)
        return weights.numpy(), size.numpy()
    p = torch.softmax(logits, dim=1)
    positive = sites.any(1, keepdim=True)
    # As in the loss: a bin that is ignored for one class teaches nothing about the background.
    weight = torch.where(positive, weights.amax(1, keepdim=True), weights.amin(1, keepdim=True))
    if kind == "empirical":
        label = torch.cat([~positive, sites], dim=1).double()
        return weight.numpy(), ((p - label) ** 2).sum(1, keepdim=True).numpy()
    return weight.numpy(), (p * (1 - p)).sum(1, keepdim=True).numpy()


def _draw(
    everything: _Observations, positions: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw observations; return their numbers and the share of the mean that each stands for."""
    frequency = everything.weight / everything.weight.sum()
    if len(frequency) <= positions:
        return np.arange(len(frequency)), frequency
    by_size = everything.weight * everything.size
    chance = (1 - _EVENLY) * by_size / by_size.sum() + _EVENLY * frequency
    drawn = generator.choice(len(chance), positions, p=chance / chance.sum())
    chosen, times = np.unique(drawn, return_counts=True)
    return chosen, times * frequency[chosen] / (positions * chance[chosen])
