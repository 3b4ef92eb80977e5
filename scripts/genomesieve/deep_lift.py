"""DeepLIFT/SHAP: the difference to shuffled sequence, led back through the network by secants.

Every nonlinear layer is replaced by the slope between what it makes of the reference and of the
site, so that contributions add up to the difference in log-odds (Shrikumar et al. 2017; Lundberg
and Lee 2017). The rules and hooks are tangermeme's; layers of ours that mix many numbers, such as a
recurrence, get the mean Jacobian between the two.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from tangermeme.deep_lift_shap import deep_lift_shap, integrated_gradients_op
from torch import Tensor, nn

from genomesieve.baseline_networks import PwmNetwork
from genomesieve.ensemble import Ensemble
from genomesieve.gradients import Gradients, Spread, shuffled_references
from genomesieve.mutagenesis import SiteWindows
from genomesieve.networks import BetterStrand, log_odds
from genomesieve.norms import ChannelNorm
from genomesieve.pooling import AttentionPooling, SlidingMaximum
from genomesieve.trunks import Recurrence, SelfAttention

_PAIRS = 64
_POINTS = 16
_SITES = 8
"""How many sites' references are in memory at once: ten of 20 kb each are 6 MB."""


class _LogOdds(nn.Module):
    """Logits to log-odds, as a layer that a rule can be given to."""

    def __init__(self, labels: str):
        super().__init__()
        self.labels = labels

    def forward(self, logits: Tensor) -> Tensor:
        """Map (N, outputs, bins) to (N, classes, bins)."""
        return log_odds(logits, self.labels)


class _PairMaximum(nn.Module):
    """What `BetterStrand` computes, as a pool of two: of that DeepLIFT knows the exact rule."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels, self.pool = channels, nn.MaxPool2d((2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 2 * channels, 1, bins) to (N, channels, 1, bins)."""
        return self.pool(torch.cat([x, x.flip(1)], dim=2)[:, : self.channels])


class _MemberMean(nn.Module):
    """The mean of an ensemble's members, as a layer with one input."""

    def __init__(self, ensemble: Ensemble):
        super().__init__()
        self.combine = ensemble.combine

    def forward(self, logits: Tensor) -> Tensor:
        """Map (N, members, outputs, bins) to (N, outputs, bins)."""
        return self.combine(logits.unbind(1))


class _Members(nn.Module):
    """What an `Ensemble` computes, its mean a layer of its own."""

    def __init__(self, ensemble: Ensemble):
        super().__init__()
        self.members, self.mean = ensemble.members, _MemberMean(ensemble)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, bins)."""
        return self.mean(torch.stack([member(x).float() for member in self.members], dim=1))


class _SiteScore(nn.Module):
    """The log-odds of one class in one bin of each sequence."""

    def __init__(self, engine: Gradients):
        super().__init__()
        self.network, self.odds = _with_rules(engine.network), _LogOdds(engine.labels)
        self.class_index = engine.class_index

    def forward(self, x: Tensor, bins: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) and bins (N, 1) to (N, 1)."""
        scores = self.odds(self.network(x))[:, self.class_index]
        return scores.gather(1, bins.long())


def _with_rules(network: nn.Module) -> nn.Module:
    """Replace layers, in place, by ones that compute the same and have a rule."""
    for name, layer in network.named_children():
        if isinstance(layer, SlidingMaximum):
            window = (1, layer.bin_bp + 2 * layer.margin)
            setattr(network, name, nn.MaxPool2d(window, (1, layer.bin_bp)))
        elif isinstance(layer, BetterStrand):
            setattr(network, name, _PairMaximum(layer.channels))
        else:
            _with_rules(layer)
    return _Members(network) if isinstance(network, Ensemble) else network


_MIXING = (
    *(_LogOdds, _MemberMean, ChannelNorm, AttentionPooling),
    *(Recurrence, SelfAttention, PwmNetwork),
)


def _rules(model: nn.Module) -> dict[type, Callable]:
    """Return the rule of each kind of layer that mixes many numbers; tied ones are own kinds."""
    rule = integrated_gradients_op(_POINTS)
    return {type(layer): rule for layer in model.modules() if isinstance(layer, _MIXING)}


def lift_differences(
    engine: Gradients, windows: SiteWindows, references: int = 10, seed: int = 0
) -> Spread:
    """Spread the difference between each site and shuffles of its window over the bases.

    Parameters
    ----------
    engine : Gradients
        Its network is taken over and changed: use another one for what follows.
    windows : SiteWindows
    references : int
        Shuffles a site, the same as of `integrate_gradients` with this seed.
    seed : int

    Returns
    -------
    Spread
        Nonlinear code in a custom network that is no layer of torch counts as linear; what that
        costs is what contributions do not add up to.
    """
    model = _SiteScore(engine).eval()
    parts = [
        _lift_some(engine, model, windows, range(first, min(first + _SITES, len(windows.seen))),
                   references, seed)
        for first in range(0, len(windows.seen), _SITES)
    ]  # fmt: skip
    return Spread(*(np.concatenate(arrays) for arrays in zip(*parts)))


def _lift_some(
    engine: Gradients,
    model: _SiteScore,
    windows: SiteWindows,
    sites: range,
    references: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return contributions (sites, bases) and expected sums (sites) of some sites."""
    bins = windows.bins[sites.start : sites.stop]
    end = engine.letters(windows.seen[sites.start : sites.stop])
    start = torch.stack(
        [
            engine.letters(shuffled_references(windows.seen[number], references, (seed, number)))
            for number in sites
        ]
    )
    expected = _rises(engine, end, start, bins)
    with warnings.catch_warnings():
        # Unknown bases, and what does not add up: both are reported with the result.
        warnings.simplefilter("ignore")
        slopes = deep_lift_shap(
            model, end, args=(torch.from_numpy(bins).float().to(engine.device)[:, None],),
            references=start, raw_outputs=True, additional_nonlinear_ops=_rules(model),
            batch_size=_PAIRS, device=engine.device, only_warn=True,
        )  # fmt: skip
    ways = (end[:, None] - start).cpu()
    return (ways * slopes).sum(2).mean(1).numpy(), expected


def _rises(engine: Gradients, end: Tensor, start: Tensor, bins: np.ndarray) -> np.ndarray:
    """Return the log-odds of sites (N, letters, L) less the mean of their references'."""
    with torch.no_grad():
        sites = engine.scores(end, bins)
        before = [
            engine.scores(one, np.full(len(one), index)).mean() for one, index in zip(start, bins)
        ]
    return (sites - torch.stack(before)).cpu().numpy()
