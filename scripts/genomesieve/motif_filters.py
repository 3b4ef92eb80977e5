"""First filters that start as known motifs instead of noise, for classes with few sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.convolutions import Convolution
from genomesieve.errors import InputError
from genomesieve.motifs import Motif
from genomesieve.networks import StrandAverage
from genomesieve.symmetry import free_parameter


def set_motif_filters(
    network: nn.Module, motifs: list[Motif], outputs: Sequence[str] = (), alphabet: Alphabet = DNA
) -> int:
    """Start the first filters of a network's stem as motifs, read on both strands.

    A filter is the motif's log-odds against even letter frequencies, in the middle of the filter
    and scaled to the length that the other filters start with; training goes on from there (as in
    DanQ-JASPAR, Quang and Xie 2016). A network whose weights are tied by symmetry reads both
    strands anyway and takes one filter a motif. Where the network has a shortcut from the stem, the
    output of the class that a motif is named after starts as that motif's score.

    Parameters
    ----------
    network : torch.nn.Module
        From `build_network`; changed in place.
    motifs : list of Motif
    outputs : sequence of str
        What each output stands for.
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
        if network.shortcut is not None:
            each = len(filters) // max(len(motifs), 1)
            _start_shortcut(network.shortcut.head, motifs, outputs, each)
    return len(filters)


def _start_shortcut(
    head: Convolution, motifs: list[Motif], outputs: Sequence[str], each: int
) -> None:
    """Start outputs as the sum of the filters of their own motif; a motif has `each` filters."""
    rows = {name.lower(): row for row, name in enumerate(outputs)}
    for number, motif in enumerate(motifs):
        row = rows.get(motif.name.lower())
        if row is not None:
            head.weight[row, number * each : (number + 1) * each] = 1


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
