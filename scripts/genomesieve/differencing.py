"""What a changed piece of a sequence changes in a network, and nothing else computed again.

A traced network (see `inference`) runs once on the reference. For mutants only the part of every
layer's output that the changed bases reach is computed; and of that only positions that some
prediction looks at: above a convolution of dilation 8 that feeds one prediction these are every
eighth. Both follow from the graph: backwards it says which positions each layer needs, as an
arithmetic progression; forwards which of them changed, as one stretch. What is passed on is the
difference to the reference: it is zero beside the stretch, so that a convolution, which is linear,
takes that stretch alone, and no reference values around it. Convolutions, pools, crops and
everything that works position by position are known; any other layer (recurrence, attention) gets
all its positions, so that the answer is always that of the whole network, to rounding. The idea is
that of fastISM (Nair et al. 2022), taken to dilated networks by the thinning.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from genomesieve.change_rules import (
    ConvolutionRule,
    CropRule,
    LinearRule,
    OneMaximumRule,
    OpaqueRule,
    PositionRule,
    RectifierRule,
    ReverseRule,
    Rule,
    SlidingRule,
    SumRule,
)
from genomesieve.changed_parts import Grid, LayerInput, Part, View, join_grids, part_of
from genomesieve.inference import ImageConvolution, ScaleShift
from genomesieve.norms import ChannelNorm
from genomesieve.pooling import SlidingMaximum

_BY_POSITION = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Softplus),
    *(nn.Identity, nn.Dropout, nn.BatchNorm1d, nn.BatchNorm2d, ScaleShift, ChannelNorm),
)
_FUNCTIONS_BY_POSITION = (
    *(operator.add, operator.sub, operator.mul, operator.truediv, torch.add, torch.mul),
    *(torch.maximum, torch.relu, torch.tanh, torch.sigmoid, torch.exp, torch.logaddexp),
    *(functional.relu, functional.gelu, functional.silu, functional.leaky_relu),
)
_LINEAR_METHODS = ("contiguous", "float", "unsqueeze", "squeeze", "flip")
_METHODS_BY_POSITION = ("exp", "relu", "tanh", "sigmoid", *_LINEAR_METHODS)
_RECTIFIERS = (torch.relu, functional.relu, "relu")


class NotTraceable(Exception):
    """A network does something for which there is no rule; it is run as a whole."""


class Differencer:
    """A network prepared to score mutants of some sequences by what they change.

    Parameters
    ----------
    network : torch.fx.GraphModule
        From `inference.prepare_for_scan`; it is changed (nothing in it works in place any more).
    trial : torch.Tensor, shape=(1, letters, L)
        One-hot sequence of the length that all will have.

    Raises
    ------
    NotTraceable
        If the network does something that cannot be followed.
    """

    def __init__(self, network: fx.GraphModule, trial: Tensor):
        if not isinstance(network, fx.GraphModule):
            raise NotTraceable("the network could not be traced")
        self.network = _without_in_place(network)
        self._interpreter = fx.Interpreter(self.network)
        self._seen = _Recorder(self.network).record(trial)
        self._follow = [node for node in network.graph.nodes if self._is_followed(node)]
        for node in self._follow:
            if self._seen[node].ndim < 2:
                raise NotTraceable(f"{node.name} has no axis beside the rows")
            if self._seen[node].shape[0] != 1:
                raise NotTraceable(f"{node.name} changes the number of rows")
        self._plan()

    def reference(self, x: Tensor) -> Tensor:
        """Run the references, one-hot (sites, letters, L); return logits (sites, outputs, bins)."""
        self._sites = x.shape[0]
        self._references: dict[fx.Node, Tensor] = {}
        for node in self._follow:
            if node.op == "placeholder":
                self._references[node] = x
                continue
            inputs = [view.reference(self._references[one]) for one, view in self._inputs[node]]
            self._mutants = 1
            self._references[node] = self._rules[node].whole(inputs)
        return self._references[self._last]

    def bytes_of_references(self) -> int:
        """Return the memory that the last references take."""
        kept = [one for rule in self._rules.values() for one in rule.kept]
        return sum(one.numel() * one.element_size() for one in [*self._references.values(), *kept])

    def mutants(self, first: int, changed: Tensor) -> Tensor:
        """Score mutants of the last references.

        Parameters
        ----------
        first : int
            Place of the first base that may differ.
        changed : torch.Tensor, shape=(sites, mutants, letters, n)
            What stands there in its stead, one-hot.

        Returns
        -------
        torch.Tensor, shape=(sites, mutants, outputs, bins)
            Logits.
        """
        self._mutants = changed.shape[1]
        parts: dict[fx.Node, Part | None] = {}
        for node in self._follow:
            if node.op == "placeholder":
                parts[node] = part_of(
                    first, changed.flatten(0, 1), self._references[node], self._mutants
                )
                continue
            inputs = [
                LayerInput(view.reference(self._references[one]), view.part(parts[one]))
                for one, view in self._inputs[node]
            ]
            parts[node] = None
            if any(one.part is not None for one in inputs):
                rule, out = self._rules[node], self._references[node]
                parts[node] = rule.change(inputs, out, self._mutants)
        reference = self._references[self._last]
        rows = LayerInput(reference, parts[self._last]).rows(0, reference.shape[-1], self._mutants)
        return rows.unflatten(0, (self._sites, self._mutants))

    def _is_followed(self, node: fx.Node) -> bool:
        """Tell whether a node is a tensor that depends on the sequence."""
        if node.op == "output" or not isinstance(self._seen.get(node), Tensor):
            return False
        return node.op == "placeholder" or any(map(self._depends, node.all_input_nodes))

    def _depends(self, node: fx.Node) -> bool:
        """Tell whether a node depends on the sequence."""
        return node.op == "placeholder" or any(map(self._depends, node.all_input_nodes))

    def _plan(self) -> None:
        """Go backwards: a rule for every node, and the positions that it needs of its inputs."""
        (output,) = (node for node in self.network.graph.nodes if node.op == "output")
        self._last = output.args[0]
        if self._last not in self._follow:
            raise NotTraceable("the network returns no tensor")
        self._rules: dict[fx.Node, Rule] = {}
        needed: dict[fx.Node, Grid] = {self._last: self._everything(self._last)}
        asked: dict[fx.Node, list[tuple[fx.Node, Grid]]] = {}
        for node in reversed(self._follow):
            if node not in needed:
                continue
            if node.op == "placeholder":
                needed[node] = self._everything(node)
                continue
            sources = [one for one in node.all_input_nodes if one in self._follow]
            rule = self._rule(node, sources, needed[node])
            if isinstance(rule, OpaqueRule):
                needed[node] = self._everything(node)
            self._rules[node] = rule
            asked[node] = list(zip(sources, rule.needs(needed[node])))
            for source, grid in asked[node]:
                needed[source] = join_grids(needed.get(source), grid)
        self._follow = [node for node in self._follow if node in needed]
        self._inputs = {
            node: [(one, View.of(grid, needed[one])) for one, grid in pairs]
            for node, pairs in asked.items()
        }

    def _everything(self, node: fx.Node) -> Grid:
        """Return all positions of a node."""
        return Grid(0, 1, self._seen[node].shape[-1])

    def _rule(self, node: fx.Node, sources: list[fx.Node], out: Grid) -> Rule:
        """Choose the rule of a node."""
        lengths = [self._seen[one].shape[-1] for one in sources]
        length = self._seen[node].shape[-1]
        layer = self.network.get_submodule(node.target) if node.op == "call_module" else None
        slide = None if layer is None else _slide_of(layer, out)
        slide = slide or _average_of(node, out)
        if slide is not None:
            return slide
        crop = self._crop(node)
        if crop is not None:
            return CropRule(crop)
        if node.op == "call_method" and node.target == "flip" and node.args[1:] == (-1,):
            return ReverseRule(length, out)
        run = self._runner(node, sources)
        simple = _is_by_position(node, layer) and not self._sees_places(node, sources)
        if set(lengths) == {length} and (simple or self._picks(node)):
            return self._rule_by_position(node, layer, sources, run)
        return OpaqueRule(run, lengths)

    def _rule_by_position(
        self, node: fx.Node, layer: nn.Module | None, sources: list[fx.Node], run: Callable
    ) -> PositionRule:
        """Choose the rule of a node that works position by position."""
        if isinstance(layer, ScaleShift):
            return LinearRule(run, lambda difference: difference * layer.scale.to(difference.dtype))
        if isinstance(layer, (nn.Identity, nn.Dropout)) or self._picks(node):
            return LinearRule(run, run)
        if node.op == "call_method" and node.target in _LINEAR_METHODS:
            return LinearRule(run, run)
        if isinstance(layer, nn.ReLU) or node.target in _RECTIFIERS:
            return RectifierRule(run)
        shapes = {self._seen[one].shape for one in sources}
        added = node.target in (operator.add, torch.add) and not node.kwargs
        if added and len(sources) == len(node.args) == 2 and len(shapes) == 1:
            return SumRule(run)
        return PositionRule(run, len(sources))

    def _crop(self, node: fx.Node) -> int | None:
        """Return where a slice of the last axis starts; None for anything else."""
        if node.target is not operator.getitem or not isinstance(node.args[1], tuple):
            return None
        leading, last = node.args[1][:-1], node.args[1][-1]
        if leading != (Ellipsis,) or not isinstance(last, slice) or last.step is not None:
            return None
        bounds = [self._seen[x] if isinstance(x, fx.Node) else x for x in (last.start, last.stop)]
        return slice(*bounds).indices(self._seen[node.args[0]].shape[-1])[0]

    def _sees_places(self, node: fx.Node, sources: list[fx.Node]) -> bool:
        """Tell whether a node also takes constants that differ along the sequence."""
        others = [self._seen[one] for one in node.all_input_nodes if one not in sources]
        return any(isinstance(one, Tensor) and one.ndim and one.shape[-1] > 1 for one in others)

    def _picks(self, node: fx.Node) -> bool:
        """Tell whether a node picks channels: x[:, channels]."""
        if node.target is not operator.getitem or not isinstance(node.args[1], tuple):
            return False
        first, *others = node.args[1]
        return first == slice(None) and len(others) == 1

    def _runner(self, node: fx.Node, sources: list[fx.Node]) -> Callable:
        """Return a function that computes a node from those of its inputs that are followed."""

        def run(*values: Tensor) -> Tensor:
            known = dict(zip(sources, values))
            arguments = fx.node.map_arg(node.args, lambda one: self._value(one, known))
            options = fx.node.map_arg(node.kwargs, lambda one: self._value(one, known))
            return getattr(self._interpreter, node.op)(node.target, arguments, options)

        return run

    def _value(self, node: fx.Node, known: dict[fx.Node, Tensor]) -> object:
        """Return what an argument is: a followed value, a constant, or a number from shapes."""
        if node in known:
            return known[node]
        if not self._depends(node):
            return self._seen[node]
        if isinstance(self._seen[node], (torch.dtype, torch.device)):
            return self._seen[node]
        rows = self._sites * self._mutants
        if node.target is getattr and node.args[1] == "shape":
            return torch.Size((rows, *self._seen[node][1:]))
        if isinstance(self._seen[node], (int, tuple)) and node.op == "call_function":
            arguments = fx.node.map_arg(node.args, lambda one: self._value(one, known))
            return node.target(*arguments, **node.kwargs)
        raise NotTraceable(f"{node.name} is a number that depends on the sequence")


class _Recorder(fx.Interpreter):
    """Run a network and keep what every node gave."""

    def record(self, x: Tensor) -> dict[fx.Node, object]:
        """Run on one-hot sequence; return every node's value."""
        self.seen: dict[fx.Node, object] = {}
        self.run(x)
        return self.seen

    def run_node(self, node: fx.Node) -> object:
        """Run one node and keep its value."""
        self.seen[node] = super().run_node(node)
        return self.seen[node]


def _without_in_place(network: fx.GraphModule) -> fx.GraphModule:
    """Let every layer write what it computes beside its input, which is needed again."""
    for layer in network.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False
    for node in network.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
        if node.op == "call_method" and re.search("[^_]_$", node.target):
            _write_beside(node)
    network.recompile()
    return network


def _write_beside(node: fx.Node) -> None:
    """Turn a method that works in place, like `relu_`, into the one that does not."""
    plain = node.target.rstrip("_")
    if plain == "add":
        node.op, node.target = "call_function", operator.add
    elif hasattr(Tensor, plain):
        node.target = plain
    else:
        raise NotTraceable(f"{node.name} works in place")


def _slide_of(layer: nn.Module, out: Grid) -> SlidingRule | None:
    """Return the rule of a convolution or pool without padding; None for anything else."""
    if isinstance(layer, ImageConvolution):
        settings = layer.settings
        if settings["padding"] not in ((0, 0), "valid") or layer.weight.shape[2] != 1:
            return None
        return ConvolutionRule(layer, out)
    if isinstance(layer, SlidingMaximum):
        return _maximum(layer.bin_bp + 2 * layer.margin, layer.bin_bp, out)
    if isinstance(layer, nn.MaxPool2d) and _is_plain_pool(layer):
        return _maximum(layer.kernel_size[1], layer.stride[1], out)
    return None


def _is_plain_pool(layer: nn.MaxPool2d) -> bool:
    """Tell whether a pool runs along the sequence alone and pads nothing."""
    sizes = (layer.kernel_size, layer.stride)
    if not all(isinstance(size, tuple) and size[0] == 1 for size in sizes):
        return False
    plain = layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1))
    return plain and not layer.ceil_mode and not layer.return_indices


def _maximum(window: int, step: int, out: Grid) -> SlidingRule:
    """Return the rule of a maximum pool."""

    def run(x: Tensor, stride: int, dilation: int) -> Tensor:
        return functional.max_pool2d(x, (1, window), (1, stride))

    return (OneMaximumRule if out.count == 1 else SlidingRule)(run, window, 1, step, out)


def _average_of(node: fx.Node, out: Grid) -> SlidingRule | None:
    """Return the rule of an average pool along the sequence; None for anything else."""
    if node.target is not functional.avg_pool2d or len(node.args) != 3 or node.kwargs:
        return None
    (height, window), (_, step) = node.args[1:]
    if height != 1:
        return None

    def run(x: Tensor, stride: int, dilation: int) -> Tensor:
        return functional.avg_pool2d(x, (1, window), (1, stride))

    return SlidingRule(run, window, 1, step, out)


def _is_by_position(node: fx.Node, layer: nn.Module | None) -> bool:
    """Tell whether a node works position by position."""
    if layer is not None:
        return isinstance(layer, _BY_POSITION)
    if node.op == "call_method":
        if node.target == "flip":
            return node.args[1:] == (1,)
        axes = node.args[1:]
        return node.target in _METHODS_BY_POSITION and axes in ((), (1,), (2,))
    return node.target in _FUNCTIONS_BY_POSITION
