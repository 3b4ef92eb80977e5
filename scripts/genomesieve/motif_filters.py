"""First filters that start as known motifs instead of noise, for classes with few sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.utils import parametrize

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.batches import WindowSource
from genomesieve.convolutions import Convolution
from genomesieve.errors import InputError
from genomesieve.motifs import Motif
from genomesieve.networks import StrandAverage
from genomesieve.symmetry import free_parameter

_WINDOWS, _BATCH = 2048, 64
"""Training windows that the first outputs are fitted on, and how many at a time."""
_WEAK_PENALTY = 1e3


def set_motif_filters(network: nn.Module, motifs: list[Motif], alphabet: Alphabet = DNA) -> int:
    """Start the first filters of a network's stem as motifs, read on both strands.

    A filter is the motif's log-odds against even letter frequencies, in the middle of the filter
    and scaled to the length that the other filters start with; training goes on from there (as in
    DanQ-JASPAR, Quang and Xie 2016). A network whose weights are tied by symmetry reads both
    strands anyway and takes one filter a motif.

    Parameters
    ----------
    network : torch.nn.Module
        From `build_network`; changed in place.
    motifs : list of Motif
    alphabet : Alphabet

    Returns
    -------
    int
        Filters that hold a motif.

    Raises
    ------
    InputError
        If a motif is wider than the filters or there are more motifs than filters.
    """
    if isinstance(network, StrandAverage):
        network = network.network
    layer: Convolution = network.stem[0]
    tied = parametrize.is_parametrized(layer, "weight")
    weight = layer.weight.detach().clone()
    filters = [_filter(motif, weight.shape[-1], alphabet) for motif in motifs]
    if not tied:
        reverse = alphabet.complement_codes[: alphabet.size].astype(int)
        filters = [item for one in filters for item in (one, one[reverse][:, ::-1])]
    free = len(weight) // 2 if tied else len(weight)
    if len(filters) > free:
        raise InputError(
            f"stem_motifs names {len(motifs)} motifs, which take {len(filters)} filters; expected "
            f"at most {free}: raise model.channels or name fewer"
        )
    usual = weight.flatten(1).norm(dim=1).mean()
    for row, values in enumerate(filters):
        start = torch.from_numpy(np.ascontiguousarray(values)).to(weight.dtype)
        # Signal channels stand after the letters.
        weight[row] = 0
        weight[row, : alphabet.size, 0] = start * (usual / start.norm())
    with torch.no_grad():
        free_parameter(layer, "weight").copy_(weight[:free])
    return len(filters)


def fit_shortcut(
    network: nn.Module,
    motifs: list[Motif],
    classes: Sequence[str],
    source: WindowSource,
    seed: int,
) -> list[str]:
    """Start the outputs of classes that have a motif of their own as a baseline fitted on it.

    A class's output becomes the log-odds of a logistic regression (scikit-learn) on its motif's
    pooled score in training windows, weighted as they are in training, and nothing else: the trunk
    begins silent and learns what the motif does not tell.

    Parameters
    ----------
    network : torch.nn.Module
        With a shortcut, after `set_motif_filters`; changed in place.
    motifs : list of Motif
        Those of its filters. A motif is a class's own if it has its name, in any case.
    classes : sequence of str
        In the order of the network's last outputs.
    source : WindowSource
        Training windows.
    seed : int
        Chooses which of them are looked at.

    Returns
    -------
    list of str
        Classes that start as their motif.
    """
    network = getattr(network, "network", network)
    each = 1 if parametrize.is_parametrized(network.stem[0], "weight") else 2
    owned = _own_columns(motifs, classes, each)
    if not owned:
        return []
    features, sites, weights = _pooled_scores(network, source, seed)
    first = network.head.out_channels - len(classes)
    started = []
    with torch.no_grad():
        free_parameter(network.head, "weight").zero_()
        for row, columns in owned.items():
            used = weights[row] > 0
            if not sites[row, used].any():
                continue
            model = LogisticRegression(C=_WEAK_PENALTY, max_iter=1000)
            score = features[columns].sum(0)[used, None]
            model.fit(score, sites[row, used], sample_weight=weights[row, used])
            network.shortcut.head.weight[first + row, columns] = float(model.coef_[0, 0])
            network.head.bias[first + row] = float(model.intercept_[0])
            started.append(classes[row])
    return started


def _own_columns(motifs: list[Motif], classes: Sequence[str], each: int) -> dict[int, list[int]]:
    """Return the filters of each class's own motifs, by class; a motif has `each` filters."""
    names = [motif.name.lower() for motif in motifs]
    owned = {}
    for row, kind in enumerate(classes):
        mine = [number for number, name in enumerate(names) if name == kind.lower()]
        if mine:
            owned[row] = [number * each + side for number in mine for side in range(each)]
    return owned


def _pooled_scores(
    network: nn.Module, source: WindowSource, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the shortcut's head sees of some training windows, and their labels.

    Statistics of a batch norm are taken on the way and are settled before the last round.

    Returns
    -------
    features : numpy.ndarray, shape=(channels, bins)
    sites : numpy.ndarray, shape=(classes, bins), bool
    weights : numpy.ndarray, shape=(classes, bins)
    """
    order = np.random.default_rng(seed).permutation(len(source))[:_WINDOWS]
    parts: list[tuple[np.ndarray, ...]] = []
    network.eval()
    with torch.no_grad():
        for settled in (False, True):
            network.shortcut.train(not settled)
            for first in range(0, len(order), _BATCH):
                batch = source.batch(np.sort(order[first : first + _BATCH])).to(torch.device("cpu"))
                pooled = network.pooled_motifs(batch.x)
                if settled:
                    bins = (pooled, batch.sites, batch.weights)
                    parts.append(tuple(item.transpose(0, 1).flatten(1).numpy() for item in bins))
    network.train()
    features, sites, weights = (np.concatenate(items, axis=1) for items in zip(*parts))
    return features, sites, weights


def _filter(motif: Motif, width: int, alphabet: Alphabet) -> np.ndarray:
    """Return a motif's log-odds in the middle of `width` positions, shape=(letters, width)."""
    even = np.full(alphabet.size, 1 / alphabet.size)
    odds = motif.log_odds(even)
    spare = width - odds.shape[1]
    if spare < 0:
        raise InputError(
            f"motif {motif.identifier} ({motif.name}) is {odds.shape[1]} bp wide and the first "
            f"filters {width} bp; expected model.stem_kernels to begin with at least that"
        )
    left = spare // 2
    return np.pad(odds, ((0, 0), (left, spare - left)))
