"""Parts of a network that keep their weights while the rest learns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from genomesieve.errors import InputError
from genomesieve.norms import batch_norms

PARTS = ("stem", "trunk", "pool", "hidden")
"""What can be frozen; the head always learns."""


def check_parts(parts: Sequence[str]) -> None:
    """Raise InputError unless all names are those of parts that can be frozen."""
    for name in parts:
        if name not in PARTS:
            raise InputError(
                f"training.freeze names {name!r}; expected some of {', '.join(PARTS)} "
                "(the head always learns)"
            )


def freeze(network: nn.Module, parts: Sequence[str], norms: bool) -> list[nn.Module]:
    """Stop parts of a network from learning.

    A frozen part is one fixed function: its parameters get no gradient, its norms use the
    statistics that they have, and nothing is dropped out in it.

    Parameters
    ----------
    network : torch.nn.Module
        From `networks.build_network`.
    parts : sequence of str
        Some of `PARTS`.
    norms : bool
        Whether batch normalisation keeps its statistics everywhere; its scales and shifts learn.

    Returns
    -------
    list of torch.nn.Module
        Layers that `training_mode` holds in evaluation mode.

    Raises
    ------
    InputError
        If there is nothing to freeze in a part, or there are no statistics.
    """
    held: list[nn.Module] = []
    # The mean over both strands holds the network itself.
    bare = getattr(network, "network", network)
    for name in parts:
        part = getattr(bare, name, nn.Identity())
        if not part.state_dict():
            raise InputError(
                f"training.freeze names {name}, in which this network has no weights; expected it "
                "left out"
            )
        part.requires_grad_(False)
        # A recurrent layer does the same in both modes, but cuDNN needs training to go back.
        held += [layer for layer in part.modules() if not isinstance(layer, nn.RNNBase)]
    if norms:
        held += batch_norms(network)
        if not batch_norms(network):
            raise InputError(
                "training.freeze_norms is true and this network has no statistics to freeze; "
                "expected it left out, or model.norm batch or domain"
            )
    return held


def freeze_all_but_head(network: nn.Module) -> None:
    """Stop all weights of a network from learning but those of its last layers.

    A layer around the trunk (`networks.Shortcut`) has a last layer of its own, which learns too.
    """
    network.requires_grad_(False)
    head_of(network).requires_grad_(True)
    shortcut = getattr(getattr(network, "network", network), "shortcut", None)
    if isinstance(shortcut, nn.Module):
        shortcut.head.requires_grad_(True)


def head_of(network: nn.Module) -> nn.Module:
    """Return the layer that maps features to outputs.

    Raises
    ------
    InputError
        If the network has no attribute `head`, directly or inside a wrapper's `network`.
    """
    inner = getattr(network, "network", network)
    head = getattr(network, "head", getattr(inner, "head", None))
    if not isinstance(head, nn.Module):
        raise InputError(
            "methods head and lora need a network with an attribute `head`, its last layer; "
            "expected one, or method finetune or ewc"
        )
    return head


def training_mode(network: nn.Module, held: Iterable[nn.Module]) -> None:
    """Put a network into training mode, all but the layers that are held."""
    network.train()
    for layer in held:
        layer.training = False
