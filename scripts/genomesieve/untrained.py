"""The network that a model was before it learned: fresh weights, drawn as training draws them.

Batch normalisations get the statistics of some sequence, since without any they would leave deep
layers to fade or blow up, which says nothing of what an untrained network passes on.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genomesieve.bundle import Bundle
from genomesieve.custom_network import build_custom_network, load_code
from genomesieve.domain_norm import DomainBatchNorm, adapt_to_laboratory, domain_norms
from genomesieve.networks import build_network, with_strands
from genomesieve.norms import batch_norms


def build_untrained(
    bundle: Bundle, seed: int, sequence: Iterable[Tensor], network_code: str | None = None
) -> nn.Module:
    """Build a network of a model's architecture with the weights that training started with.

    Parameters
    ----------
    bundle : Bundle
    seed : int
        Of the training; where the first filters started as known motifs, these count as learned
        and are not given.
    sequence : iterable of torch.Tensor, shape=(N, channels, L)
        On which batch normalisations are measured.
    network_code : str or None
        `file.py:Class` of a user's own network.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    classes = bundle.classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if network_code is not None:
            code = load_code(network_code)
            network: nn.Module = build_custom_network(
                code, bundle.architecture, classes, bundle.labels
            )
            network = with_strands(network, bundle.reverse_complement)
        else:
            network = build_network(
                bundle.architecture,
                len(classes),
                bundle.labels,
                bundle.reverse_complement,
                signals=len(bundle.signals),
            )
    return measure_norms(network, sequence)


def measure_norms(network: nn.Module, sequence: Iterable[Tensor]) -> nn.Module:
    """Give batch normalisations the statistics of some sequence (a cumulative mean)."""
    windows = list(sequence)
    if domain_norms(network):
        return adapt_to_laboratory(network, torch.cat(windows)).eval()
    norms = [layer for layer in batch_norms(network) if not isinstance(layer, DomainBatchNorm)]
    network.eval()
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x in windows if norms else ():
            network(x)
    return network.eval()


def training_seed(bundle: Bundle, member: int) -> int:
    """Return the seed that a network (one of an ensemble) was trained from."""
    seeds = bundle.member_seeds or [bundle.training.get("seed") or 0]
    return int(seeds[member])
