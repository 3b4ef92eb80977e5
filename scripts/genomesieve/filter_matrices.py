"""First-layer filters of a network as weight matrices, from the sequence that excites them.

As in DeepBind (Alipanahi et al. 2015): subsequences at which a filter exceeds half its maximum over
the sites are laid on top of each other. A filter's response is counted from its mean over all words
of its length, so that what its bias or a constant in a column adds does not matter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from genomesieve.alphabet import DNA
from genomesieve.attributed_sites import AttributedSites
from genomesieve.bundle import Bundle
from genomesieve.convolutions import Convolution
from genomesieve.ensemble import Ensemble
from genomesieve.found_motifs import FILTER, FoundMotif
from genomesieve.networks import StrandAverage

_SITES_AT_A_TIME = 256
_STRONG = 0.5 + 1e-4
"""A little over half: words that reach exactly half must not depend on rounding."""
_SAME = 1e-4


def describe_stem(bundle: Bundle) -> dict:
    """Say whether a model's first filters were started as known motifs, and kept as they were.

    Returns
    -------
    dict
        motifs: identifiers in the order of the filters; frozen: whether they could not learn; note:
        what follows for a filter's match.
    """
    runs = bundle.training.get("members") or [bundle.training]
    motifs = list(runs[0].get("stem_motifs") or [])
    frozen = bool(motifs) and all("stem" in (one.get("freeze") or []) for one in runs)
    if not motifs:
        note = "first filters were started at random: what they match, they learned"
    elif frozen:
        note = (
            f"the first filters were started as {len(motifs)} known motifs and could not change: "
            "that they match these is no discovery; that contributions do shows use"
        )
    else:
        note = (
            f"the first filters were started as {len(motifs)} known motifs and learned from there: "
            "that they match these is hardly a discovery; that contributions do shows use"
        )
    return {"motifs": motifs, "frozen": frozen, "note": note}


def filter_motifs(bundle: Bundle, sites: AttributedSites, fewest: int) -> list[FoundMotif]:
    """Return the filters of the first layer as motifs.

    A filter and its tied mirror image count once, and so do filters that are alike but for their
    size, such as frozen ones of several members.

    Parameters
    ----------
    bundle : Bundle
    sites : AttributedSites
        Those on which filters are excited; of all classes.
    fewest : int
        Subsequences that a filter needs.

    Returns
    -------
    list of FoundMotif
        None if the network has no convolution that reads the sequence.
    """
    members = bundle.network.members if isinstance(bundle.network, Ensemble) else [bundle.network]
    known: list[np.ndarray] = []
    found = []
    for number, member in enumerate(members):
        layer = _first_layer(member)
        if layer is None or sites.sequence.shape[1] < layer.kernel_size[1] or not len(sites.table):
            continue
        prefix = "stem" if len(members) == 1 else f"member_{number}"
        weights = _weights(member, layer, len(sites.letters))
        tied = parametrize.is_parametrized(layer, "weight")
        starts = _started_as(bundle, number, tied)
        read = both_strands(sites) if tied else sites
        for row, weight in enumerate(weights):
            shape = weight / max(float(np.linalg.norm(weight)), 1e-12)
            if any(np.allclose(shape, other, atol=_SAME) for other in known):
                continue
            known.append(shape)
            start = starts[row] if row < len(starts) else ""
            motif = _excited(read, weight, f"{prefix}.filter_{row}", start)
            if motif is not None and motif.seqlets >= fewest:
                found.append(motif)
    return found


def both_strands(sites: AttributedSites) -> AttributedSites:
    """Return sites and, after them, their other strands: mirrored filters read both."""
    reverse = DNA.complement_codes[: len(sites.letters)]
    return replace(
        sites,
        sequence=np.concatenate([sites.sequence, DNA.reverse_complement(sites.sequence)]),
        hypothetical=np.concatenate(
            [sites.hypothetical, sites.hypothetical[:, ::-1, reverse.astype(int)]]
        ),
    )


def _first_layer(network: nn.Module) -> Convolution | None:
    """Return the convolution that reads the sequence, where there is one."""
    if isinstance(network, StrandAverage):
        network = network.network
    stem = getattr(network, "stem", None)
    first = stem[0] if isinstance(stem, nn.Sequential) and len(stem) else None
    return first if isinstance(first, Convolution) else None


def _weights(network: nn.Module, layer: Convolution, letters: int) -> np.ndarray:
    """Return free filters, centred in each column, shape=(filters, letters, width).

    A norm that follows may turn a filter's sign.
    """
    with torch.no_grad():
        weight = layer.weight[:, :letters, 0].detach().double()
        if isinstance(network, StrandAverage):
            network = network.network
        norm = network.stem[1] if len(network.stem) > 1 else None
        gain = getattr(norm, "weight", None)
        if isinstance(gain, Tensor) and gain.shape == weight.shape[:1]:
            weight = weight * torch.sign(gain.detach().double())[:, None, None]
    if parametrize.is_parametrized(layer, "weight"):
        weight = weight[: len(weight) // 2]
    weight = weight - weight.mean(1, keepdim=True)
    return weight.float().numpy()


def _started_as(bundle: Bundle, member: int, tied: bool) -> list[str]:
    """Return the known motif that every filter was started as, first filters first."""
    runs = bundle.training.get("members") or [bundle.training]
    motifs = runs[min(member, len(runs) - 1)].get("stem_motifs") or []
    return [name for name in motifs for _ in range(1 if tied else 2)]


def _excited(
    sites: AttributedSites, weight: np.ndarray, name: str, started_as: str
) -> FoundMotif | None:
    """Lay the subsequences that excite a filter on top of each other."""
    width = weight.shape[1]
    response = _responses(sites, weight)
    best = response.max(initial=-np.inf)
    if not np.isfinite(best) or best <= 0:
        return None
    rows, starts = np.nonzero(response > _STRONG * best)
    places = starts[:, None] + np.arange(width)
    letters = sites.one_hot[rows[:, None], places]
    values = sites.hypothetical[rows[:, None], places]
    return FoundMotif(
        name, FILTER, "all", ".", letters.sum(0).T.astype(float), (letters * values).mean(0).T,
        len(rows), started_as=started_as,
    )  # fmt: skip


def _responses(sites: AttributedSites, weight: np.ndarray) -> np.ndarray:
    """Return a filter's response at every start, -inf where a base is unknown."""
    kernel = torch.from_numpy(weight)[None]
    parts = []
    with torch.no_grad():
        for first in range(0, len(sites.sequence), _SITES_AT_A_TIME):
            x = torch.from_numpy(sites.one_hot[first : first + _SITES_AT_A_TIME]).transpose(1, 2)
            known = functional.conv1d(x, torch.ones_like(kernel))
            value = functional.conv1d(x, kernel)
            value[known < weight.shape[1]] = -torch.inf
            parts.append(value[:, 0].numpy())
    return np.concatenate(parts)
