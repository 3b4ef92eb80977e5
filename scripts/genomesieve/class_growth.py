"""Networks whose list of classes grows: new outputs after the old ones, which stay as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.bundle import Bundle
from genomesieve.custom_settings import CustomSettings
from genomesieve.errors import InputError
from genomesieve.networks import build_network, log_prior, set_prior


def grown_network(bundle: Bundle, classes: list[str], prevalence: np.ndarray) -> nn.Module:
    """Return a bundle's network with outputs for further classes.

    Old outputs are untouched; new ones start at the log prevalence with small random weights.

    Parameters
    ----------
    bundle : Bundle
    classes : list of str
        Those of the bundle, then the new ones.
    prevalence : numpy.ndarray, shape=(classes,)
        On the new genome.

    Raises
    ------
    InputError
        If the old classes do not come first, in their order, or the network is the user's own.
    """
    old = bundle.classes
    if classes[: len(old)] != old:
        raise InputError(
            f"--classes are {', '.join(classes)}; expected those of the model first "
            f"({', '.join(old)}), then new ones"
        )
    if len(classes) == len(old):
        return bundle.network
    if isinstance(bundle.architecture.settings, CustomSettings):
        raise InputError(
            f"classes {', '.join(classes[len(old) :])} are new and the network is custom; expected "
            "those of the model: outputs can be appended to the presets alone"
        )
    network = build_network(
        bundle.architecture,
        len(classes),
        bundle.labels,
        bundle.reverse_complement,
        signals=len(bundle.signals),
        laboratories=max(1, len(bundle.laboratories)),
    )
    set_prior(network, prevalence, bundle.labels)
    state = {
        name: _with_old_rows(value, bundle.network.state_dict()[name])
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    if bundle.labels == "exclusive":
        _level_new_outputs(network, prevalence, len(classes) - len(old))
    return network


def _with_old_rows(new: Tensor, old: Tensor) -> Tensor:
    """Return the old values, followed by what the new ones have beyond them."""
    return torch.cat([old, new[len(old) :]]) if new.shape != old.shape else old


def _level_new_outputs(network: nn.Module, prevalence: np.ndarray, count: int) -> None:
    """Let new outputs of a softmax begin at the log prevalence as seen from the background's."""
    prior = log_prior(prevalence, "exclusive").float()
    with torch.no_grad():
        network.head.bias[-count:] = network.head.bias[0] + prior[-count:] - prior[0]
