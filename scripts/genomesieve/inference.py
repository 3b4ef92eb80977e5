"""Networks made ready for scanning: the same numbers, in the order that a processor likes.

Batch normalisation is folded into the convolution before it, or becomes one scale and shift where
an activation comes first; activations and residual sums work in place; one-dimensional convolutions
run as two-dimensional ones in channels-last layout (oneDNN is faster there). Results differ from
the plain network's by rounding only.
"""

from __future__ import annotations

import copy
import logging
import operator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from genomesieve.convolutions import HeadConvolution, at_least_float32, without_autocast
from genomesieve.networks import log_odds
from genomesieve.norms import TiedBatchNorm

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest difference between log-odds of the plain and the prepared network, * max(1, |s|)."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_IN_PLACE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU)


class ImageConvolution(nn.Module):
    """A convolution along the sequence in channels-last layout, with fixed weights.

    Parameters
    ----------
    layer : torch.nn.Conv1d or torch.nn.Conv2d
        A two-dimensional one must work on images of height 1.
    weight, bias : torch.Tensor
        Used in place of the layer's own.
    """

    def __init__(self, layer: nn.Module, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.flat = isinstance(layer, nn.Conv1d)
        self.full = isinstance(layer, HeadConvolution)
        weight = weight.detach()
        if self.flat:
            weight = weight.unsqueeze(2)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if bias is None else bias.detach())
        self.settings = {
            "stride": self._pair(layer.stride, 1),
            "padding": self._pair(layer.padding, 0),
            "dilation": self._pair(layer.dilation, 1),
            "groups": layer.groups,
        }

    def _pair(self, value: tuple[int, ...] | str, along: int) -> tuple[int, ...] | str:
        """Return a setting for both dimensions."""
        return (along, *value) if self.flat and not isinstance(value, str) else value

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, L) or (N, inputs, 1, L) to the same with outputs."""
        if self.full:
            with without_autocast(x):
                return self._convolve(at_least_float32(x))
        return self._convolve(x)

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve as an image in channels-last layout."""
        x = x.unsqueeze(2) if self.flat else x
        y = functional.conv2d(
            x.contiguous(memory_format=torch.channels_last), self.weight, self.bias, **self.settings
        )
        return y.squeeze(2) if self.flat else y


class ScaleShift(nn.Module):
    """Batch normalisation with fixed statistics: one multiplication and one addition."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight.detach()
        shift = -norm.running_mean * scale
        if norm.affine:
            shift = shift + norm.bias.detach()
        shape = (-1, 1, 1) if isinstance(norm, nn.BatchNorm2d) else (-1, 1)
        self.register_buffer("scale", scale.view(shape))
        self.register_buffer("shift", shift.view(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift (N, channels, ...)."""
        return torch.addcmul(self.shift.to(x.dtype), x, self.scale.to(x.dtype))


class _Tracer(fx.Tracer):
    """Trace down to layers, our own convolutions included."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Tell whether a module stays whole."""
        if isinstance(module, (*_CONVOLUTIONS, *_NORMS)):
            return True
        return getattr(module, "is_layer", False) or super().is_leaf_module(module, name)


def prepare_for_scan(network: nn.Module, trial: Tensor, labels: str) -> nn.Module:
    """Return a copy of a network for inference that gives the same numbers sooner.

    Parameters
    ----------
    network : torch.nn.Module
        Maps one-hot (N, letters, L) to logits; it is left as it is.
    trial : torch.Tensor, shape=(N, letters, L)
        Input on which both must agree.
    labels : str
        `exclusive` or `independent`.

    Returns
    -------
    torch.nn.Module
        In evaluation mode. A network that cannot be traced (one that decides by the values it
        computes) or that then answers otherwise is returned as a plain copy, and the log says so.
    """
    plain = copy.deepcopy(network).eval().requires_grad_(False)
    with torch.inference_mode():
        expected = log_odds(plain(trial), labels)
        try:
            prepared = _prepare(copy.deepcopy(plain))
            found = log_odds(prepared(trial), labels)
        except Exception as error:  # a user's network may fail in any way
            logger.warning("network runs as it is, it cannot be prepared: %s", error)
            return plain
        difference = ((found - expected).abs() / expected.abs().clamp(min=1)).max()
    if not difference <= TOLERANCE:
        logger.warning("network runs as it is: prepared, its scores differ by %.2g", difference)
        return plain
    return prepared


def _prepare(plain: nn.Module) -> fx.GraphModule:
    """Trace a network and improve layer after layer."""
    traced = fx.GraphModule(plain, _Tracer().trace(plain))
    for node in list(traced.graph.nodes):
        if node.op == "call_module":
            _improve_layer(traced, node)
        elif node.target in (operator.add, torch.add) and not node.kwargs:
            _add_in_place(traced, node)
    traced.graph.lint()
    traced.recompile()
    return traced.eval()


def _improve_layer(traced: fx.GraphModule, node: fx.Node) -> None:
    """Replace one layer by its faster form."""
    layer = traced.get_submodule(node.target)
    source = node.args[0] if node.args else None
    if isinstance(layer, nn.Dropout):
        _skip(traced, node)
    elif isinstance(layer, _CONVOLUTIONS) and layer.padding_mode == "zeros":
        _set(traced, node, ImageConvolution(layer, layer.weight, layer.bias))
    elif isinstance(layer, TiedBatchNorm) or _has_statistics(layer):
        layer = layer.expanded() if isinstance(layer, TiedBatchNorm) else layer
        before = _layer_of(traced, source)
        if isinstance(before, ImageConvolution) and len(source.users) == 1:
            _fold(before, layer)
            _skip(traced, node)
        else:
            _set(traced, node, ScaleShift(layer))
    elif isinstance(layer, _IN_PLACE) and _is_fresh(traced, source):
        changed = copy.copy(layer)
        changed.inplace = True
        _set(traced, node, changed)


def _has_statistics(layer: nn.Module | None) -> bool:
    """Tell whether a layer is a batch normalisation with statistics of its own."""
    return isinstance(layer, _NORMS) and layer.track_running_stats


def _fold(convolution: ImageConvolution, norm: nn.Module) -> None:
    """Multiply a batch normalisation into the convolution before it."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.weight = weight.detach().contiguous(memory_format=torch.channels_last)
    convolution.bias = bias.detach()


def _add_in_place(traced: fx.GraphModule, node: fx.Node) -> None:
    """Add into whichever term is needed for nothing else."""
    for own, other in (node.args, node.args[::-1]):
        if _is_fresh(traced, own) and isinstance(other, fx.Node):
            node.op, node.target, node.args = "call_method", "add_", (own, other)
            return


def _is_fresh(traced: fx.GraphModule, node: object) -> bool:
    """Tell whether a value is a new tensor that one node alone uses."""
    made = (ImageConvolution, ScaleShift)
    return (
        isinstance(node, fx.Node)
        and len(node.users) == 1
        and isinstance(_layer_of(traced, node), made)
    )


def _layer_of(traced: fx.GraphModule, node: object) -> nn.Module | None:
    """Return the layer that a node calls."""
    if isinstance(node, fx.Node) and node.op == "call_module":
        return traced.get_submodule(node.target)
    return None


def _set(traced: fx.GraphModule, node: fx.Node, layer: nn.Module) -> None:
    """Give a node a layer of its own, since several nodes may call one."""
    name = f"prepared_{node.name}"
    traced.add_submodule(name, layer)
    node.target = name


def _skip(traced: fx.GraphModule, node: fx.Node) -> None:
    """Take a node out and pass its input on."""
    node.replace_all_uses_with(node.args[0])
    traced.graph.erase_node(node)
