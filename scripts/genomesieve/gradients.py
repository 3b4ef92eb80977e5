"""Attribution by gradients: gradient x input, and integrated gradients.

All gradients are of the log-odds of one bin by the one-hot sequence that the network sees.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.bundle import Bundle
from genomesieve.gathering import one_hot
from genomesieve.mutagenesis import SiteWindows
from genomesieve.networks import log_odds
from genomesieve.progress import watched
from genomesieve.shuffling import shuffle_dinucleotides

_ROWS = 64


class Gradients:
    """A network's log-odds of one class, and their gradients.

    Parameters
    ----------
    bundle : Bundle
    class_index : int
    device : torch.device or None
    alphabet : Alphabet
    """

    def __init__(
        self,
        bundle: Bundle,
        class_index: int,
        device: torch.device | None = None,
        alphabet: Alphabet = DNA,
    ):
        self.class_index, self.labels, self.alphabet = class_index, bundle.labels, alphabet
        self.device = device or torch.device("cpu")
        network = copy.deepcopy(bundle.network).eval().requires_grad_(False)
        for layer in network.modules():
            # A GPU's recurrent layers have a gradient only while they train; without dropout of
            # their own they compute the same.
            if isinstance(layer, nn.RNNBase) and not layer.dropout:
                layer.train()
        self.network = network.to(self.device)

    def letters(self, codes: np.ndarray) -> Tensor:
        """Return sequences (N, length) one-hot, (N, letters, length)."""
        return one_hot(torch.from_numpy(np.ascontiguousarray(codes)).to(self.device), self.alphabet)

    def scores(self, x: Tensor, bins: np.ndarray) -> Tensor:
        """Return the log-odds (N,) of one bin of each sequence (N, letters, length)."""
        scores = log_odds(self.network(x), self.labels)[:, self.class_index]
        return scores.gather(1, torch.from_numpy(bins).to(self.device)[:, None]).squeeze(1)

    def at(self, x: Tensor, bins: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return scores (N,) and gradients (N, letters, length) at sequences (N, letters, length).

        Each sequence may also lie between sequences.
        """
        scores, gradients = [], []
        for first in range(0, len(x), _ROWS):
            rows = slice(first, first + _ROWS)
            with torch.enable_grad():
                part = x[rows].clone().requires_grad_(True)
                found = self.scores(part, bins[rows])
                (gradient,) = torch.autograd.grad(found.sum(), part)
            scores.append(found.detach())
            gradients.append(gradient)
        return torch.cat(scores), torch.cat(gradients)


def gradient_maps(engine: Gradients, windows: SiteWindows) -> np.ndarray:
    """Return the gradient by every letter that the network sees.

    Parameters
    ----------
    engine : Gradients
    windows : SiteWindows

    Returns
    -------
    numpy.ndarray, shape=(sites, length, letters), dtype=float32
    """
    _, gradient = engine.at(engine.letters(windows.seen), windows.bins)
    return gradient.transpose(1, 2).cpu().numpy()


@dataclass(frozen=True)
class Spread:
    """The difference between sites and their references in log-odds, spread over the bases.

    Parameters
    ----------
    contributions : numpy.ndarray, shape=(sites, length), dtype=float32
        Summed over letters, mean over references.
    expected : numpy.ndarray, shape=(sites,), dtype=float32
        Log-odds of the site less the mean of the references': what contributions should add up to.
    """

    contributions: np.ndarray
    expected: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """What they do not add up to, shape=(sites,); that of integrals shrinks with more steps."""
        return self.expected - self.contributions.sum(1)


def shuffled_references(codes: np.ndarray, count: int, seed: tuple[int, int]) -> np.ndarray:
    """Return shuffles of a sequence (length,) that keep every dinucleotide, (count, length)."""
    generator = np.random.default_rng(seed)
    return np.stack([shuffle_dinucleotides(codes, generator) for _ in range(count)])


def integrate_gradients(
    engine: Gradients, windows: SiteWindows, references: int = 10, steps: int = 16, seed: int = 0
) -> Spread:
    """Integrate gradients from shuffled sequence to each site (Sundararajan et al. 2017).

    References are shuffles of the site's own window that keep every dinucleotide, so that what is
    explained is the order of the bases and not what they are made of.

    Parameters
    ----------
    engine : Gradients
    windows : SiteWindows
    references : int
        Shuffles a site.
    steps : int
        Points on the way from a reference to the site (midpoint rule).
    seed : int

    Returns
    -------
    Spread
    """
    contributions, expected = [], []
    for number, codes in enumerate(watched(windows.seen, "site", "integrated gradients")):
        shuffled = shuffled_references(codes, references, (seed, number))
        total, rise = _integrate(engine, codes, shuffled, int(windows.bins[number]), steps)
        contributions.append(total)
        expected.append(rise)
    return Spread(np.stack(contributions), np.array(expected, dtype=np.float32))


def _integrate(
    engine: Gradients, codes: np.ndarray, shuffled: np.ndarray, index: int, steps: int
) -> tuple[np.ndarray, float]:
    """Integrate gradients of one site; return contributions (length,) and the rise in log-odds."""
    end, start = engine.letters(codes[None]), engine.letters(shuffled)
    way = end - start
    middles = (torch.arange(steps, device=engine.device) + 0.5) / steps
    total = torch.zeros_like(end[0])
    for one, difference in zip(start, way):
        between = one + middles[:, None, None] * difference
        _, gradient = engine.at(between, np.full(steps, index))
        total += (gradient.mean(0) * difference) / len(start)
    with torch.no_grad():
        ends = engine.scores(torch.cat([end, start]), np.full(1 + len(start), index))
    return total.sum(0).cpu().numpy(), float(ends[0] - ends[1:].mean())
