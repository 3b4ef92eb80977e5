"""How fast the layers of a network learn that starts from a pretrained stem and trunk.

Layers that were pretrained learn more slowly than the rest, lower ones more slowly still where
asked for, and the top ones may begin before the others (as in Howard and Ruder 2018). A layer that
is still held is one fixed function: no gradient, no new statistics in its norms, no dropout.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from genomesieve.convolutions import Convolution
from genomesieve.pretraining_settings import TransferSettings
from genomesieve.trunks import AttentionBlock, Recurrence, ResidualBlock, SkipTrunk

_STARTS = (Convolution, ResidualBlock, Recurrence, AttentionBlock)
"""Modules that a layer begins with; norms and dropout after them belong to it."""


class LayerRates:
    """The learning rates of a network's layers.

    Parameters
    ----------
    network : torch.nn.Module
        From `networks.build_network`, frozen parts without gradients.
    settings : TransferSettings or None
        None: nothing is pretrained, and all layers learn alike.
    """

    def __init__(self, network: nn.Module, settings: TransferSettings | None):
        self._network, self._settings = network, settings
        self._layers = [] if settings is None else pretrained_layers(network)[::-1]

    def parameter_groups(self, rate: float) -> list[dict]:
        """Return groups for an optimiser: what is not pretrained, then layers from the top down.

        Parameters
        ----------
        rate : float
            Learning rate of what is not pretrained.
        """
        weights = [weight for weight in self._network.parameters() if weight.requires_grad]
        pretrained = {id(one) for layer in self._layers for one in _weights(layer)}
        groups = [{"params": [one for one in weights if id(one) not in pretrained], "lr": rate}]
        for depth, layer in enumerate(self._layers):
            mine = [weight for weight in _weights(layer) if weight.requires_grad]
            share = self._settings.trunk_rate * self._settings.layer_decay**depth
            groups.append({"params": mine, "lr": rate * share})
        return [group for group in groups if group["params"]]

    def held(self, step: int) -> list[nn.Module]:
        """Return the modules of all layers that are still held at a step, to be kept fixed."""
        modules = (one for layer in self._waiting(step) for part in layer for one in part.modules())
        # A recurrent layer does the same in both modes, but cuDNN needs training to go back.
        return [one for one in modules if not isinstance(one, nn.RNNBase)]

    def drop_gradients(self, step: int) -> None:
        """Forget the gradients of all layers that are still held at a step."""
        for layer in self._waiting(step):
            for weight in _weights(layer):
                weight.grad = None

    def _waiting(self, step: int) -> list[list[nn.Module]]:
        """Return the layers that are still held at a step."""
        every = 0 if self._settings is None else self._settings.unfreeze_steps
        begun = step // every if every else len(self._layers)
        return self._layers[begun:]


def pretrained_layers(network: nn.Module) -> list[list[nn.Module]]:
    """Return the modules of each layer of a network's stem and trunk, from the sequence up."""
    bare = getattr(network, "network", network)
    layers: list[list[nn.Module]] = []
    for module, begins in (*_marked(bare.stem), *_trunk_modules(bare.trunk)):
        if begins or not layers:
            layers.append([])
        layers[-1].append(module)
    return layers


def _marked(modules: nn.Sequential) -> Iterator[tuple[nn.Module, bool]]:
    """Yield modules and whether a layer begins with each."""
    yield from ((module, isinstance(module, _STARTS)) for module in modules)


def _trunk_modules(trunk: nn.Module) -> Iterator[tuple[nn.Module, bool]]:
    """Yield a trunk's modules in order, and whether a layer begins with each."""
    if isinstance(trunk, SkipTrunk):
        # A skip learns with the block below it; the first one leaves the stem.
        yield trunk.skips[0], False
        for stage, skip in zip(trunk.stages, trunk.skips[1:]):
            yield from _marked(stage)
            yield skip, False
    elif isinstance(trunk, nn.Sequential):
        yield from _marked(trunk)


def _weights(layer: list[nn.Module]) -> list[nn.Parameter]:
    """Return the parameters of a layer."""
    return [weight for module in layer for weight in module.parameters()]
