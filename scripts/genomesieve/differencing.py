"""What a changed piece of a sequence changes in a network, and nothing else computed again.

A traced network (see `inference`) runs once on the reference. For mutants only the part of every
layer's output that the changed bases reach is computed, between reference values on both sides; and
of that only positions that some prediction looks at: above a convolution of dilation 8 that feeds
one prediction these are every eighth. Both follow from the graph: backwards it says which positions
each layer needs, as an arithmetic progression; forwards which of them changed, as one stretch.
Convolutions, pools, crops and everything that works position by position are known; any other layer
(recurrence, attention) gets all its positions, so that the answer is always that of the whole
network, to rounding. The idea is that of fastISM (Nair et al. 2022), taken to dilated networks by
the thinning.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

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
_METHODS_BY_POSITION = ("exp", "relu", "tanh", "sigmoid", "contiguous", "float", "unsqueeze")
_METHODS_BY_POSITION += ("squeeze",)


class NotTraceable(Exception):
    """A network does something for which there is no rule; it is run as a whole."""


class Grid(NamedTuple):
    """Positions start, start + step, ... of one layer's output."""

    start: int
    step: int
    count: int

    @property
    def last(self) -> int:
        """The last position."""
        return self.start + self.step * (self.count - 1)


class Part(NamedTuple):
    """What changed of a layer's output: `values` (rows, ..., n) from `first` on, in grid steps."""

    first: int
    values: Tensor

    @property
    def end(self) -> int:
        """One past the last changed place."""
        return self.first + self.values.shape[-1]


def _progression(start: int, last: int, *steps: int) -> Grid:
    """Return the coarsest progression from start to last that all steps fit; 0 is no step."""
    step = math.gcd(*steps, last - start) or 1
    return Grid(start, step, (last - start) // step + 1)


def _join(one: Grid | None, other: Grid) -> Grid:
    """Return a progression that holds two."""
    if one is None:
        return other
    steps = [grid.step for grid in (one, other) if grid.count > 1]
    first, last = min(one.start, other.start), max(one.last, other.last)
    return _progression(first, last, abs(one.start - other.start), *steps)


@dataclass(frozen=True)
class _View:
    """The positions that a layer needs among those that its input has."""

    offset: int
    stride: int
    count: int

    @classmethod
    def of(cls, need: Grid, have: Grid) -> _View:
        """Find a grid in a finer one."""
        stride = need.step // have.step if need.count > 1 else 1
        return cls((need.start - have.start) // have.step, stride, need.count)

    def reference(self, x: Tensor) -> Tensor:
        """Take them of a reference (..., positions)."""
        return x[..., self.offset : self.offset + self.stride * (self.count - 1) + 1 : self.stride]

    def part(self, part: Part | None) -> Part | None:
        """Take them of what changed; None where nothing of it did."""
        if part is None:
            return None
        first = max(-((self.offset - part.first) // self.stride), 0)
        begin = self.offset + self.stride * first - part.first
        values = part.values[..., begin :: self.stride][..., : max(self.count - first, 0)]
        return Part(first, values) if values.shape[-1] else None


class _Input(NamedTuple):
    """A layer's input: the reference (sites, ..., n) and what changed of it in every mutant."""

    reference: Tensor
    part: Part | None

    def rows(self, low: int, high: int, mutants: int) -> Tensor:
        """Return the places [low, high) of all mutants, (sites * mutants, ..., high - low)."""
        reference = self.reference[..., low:high]
        sites = reference.shape[0]
        shape = (sites * mutants, *reference.shape[1:])
        layout = torch.channels_last if reference.ndim == 4 else torch.contiguous_format
        if self.part is not None:
            first, end = max(low, self.part.first), min(high, self.part.end)
            begin = self.part.first
            if (first, end) == (low, high):
                return self.part.values[..., first - begin : end - begin]
        result = torch.empty(shape, dtype=reference.dtype, device=reference.device,
                             memory_format=layout)  # fmt: skip
        by_site = result.unflatten(0, (sites, mutants))
        if self.part is None or first >= end:
            by_site.copy_(reference.unsqueeze(1))
            return result
        by_site[..., : first - low].copy_(reference[..., : first - low].unsqueeze(1))
        result[..., first - low : end - low] = self.part.values[..., first - begin : end - begin]
        by_site[..., end - low :].copy_(reference[..., end - low :].unsqueeze(1))
        return result


class _Rule:
    """How one kind of layer needs, computes and passes on positions."""

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        raise NotImplementedError

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        raise NotImplementedError

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        """Compute what changed."""
        raise NotImplementedError


class _Slide(_Rule):
    """A convolution or pool: every output from `taps` inputs that are `dilation` apart."""

    def __init__(self, run: Callable, taps: int, dilation: int, stride: int, out: Grid):
        self.run, self.taps = run, taps
        start, last = out.start * stride, out.last * stride + dilation * (taps - 1)
        between = out.step * stride if out.count > 1 else 0
        taken = dilation if taps > 1 else 0
        self.need = _progression(start, last, between, taken)
        self.count = out.count
        # A single output has no stride, a single tap no dilation.
        self.stride = between // self.need.step or 1
        self.dilation = taken // self.need.step or 1

    def needs(self, out: Grid) -> list[Grid]:
        return [self.need]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.run(inputs[0], self.stride, self.dilation)

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        part, reach = inputs[0].part, self.dilation * (self.taps - 1)
        low = max(-((reach - part.first) // self.stride), 0)
        high = min((part.end - 1) // self.stride + 1, self.count)
        if low >= high:
            return None
        rows = inputs[0].rows(low * self.stride, (high - 1) * self.stride + reach + 1, mutants)
        return Part(low, self.run(rows, self.stride, self.dilation))


class _OneMaximum(_Slide):
    """The maximum over all that there is: of what changed, and of the reference beside it."""

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        x = inputs[0]
        lowest = torch.full_like(x[..., :1], -torch.inf)
        self.before = torch.cat([lowest, x.cummax(-1).values], -1)
        self.after = torch.cat([x.flip(-1).cummax(-1).values.flip(-1), lowest], -1)
        return x.amax(-1, keepdim=True)

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        part = inputs[0].part
        first, end = part.first, part.end
        rest = torch.maximum(self.before[..., first], self.after[..., end])
        changed = part.values.amax(-1).unflatten(0, (-1, mutants))
        return Part(0, torch.maximum(changed, rest.unsqueeze(1)).flatten(0, 1).unsqueeze(-1))


class _ByPosition(_Rule):
    """Anything of which a position of the output sees that position of each input alone."""

    def __init__(self, run: Callable, inputs: int):
        self.run, self.inputs = run, inputs

    def needs(self, out: Grid) -> list[Grid]:
        return [out] * self.inputs

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.run(*inputs)

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        parts = [one.part for one in inputs if one.part is not None]
        low, high = min(part.first for part in parts), max(part.end for part in parts)
        return Part(low, self.run(*(one.rows(low, high, mutants) for one in inputs)))


class _Crop(_Rule):
    """A slice along the sequence."""

    def __init__(self, first: int):
        self.first = first

    def needs(self, out: Grid) -> list[Grid]:
        return [out._replace(start=out.start + self.first)]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0]

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        return inputs[0].part


class _Reverse(_Rule):
    """The sequence read backwards."""

    def __init__(self, length: int, out: Grid):
        self.length, self.count = length, out.count

    def needs(self, out: Grid) -> list[Grid]:
        return [out._replace(start=self.length - 1 - out.last)]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0].flip(-1)

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        part = inputs[0].part
        return Part(self.count - part.end, part.values.flip(-1))


class _Opaque(_Rule):
    """Anything else: from all positions of its inputs to all of its output."""

    def __init__(self, run: Callable, lengths: Sequence[int]):
        self.run, self.lengths = run, lengths

    def needs(self, out: Grid) -> list[Grid]:
        return [Grid(0, 1, length) for length in self.lengths]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.run(*inputs)

    def change(self, inputs: Sequence[_Input], mutants: int) -> Part | None:
        rows = [one.rows(0, one.reference.shape[-1], mutants) for one in inputs]
        return Part(0, self.run(*rows))


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
        return sum(value.numel() * value.element_size() for value in self._references.values())

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
                parts[node] = Part(first, changed.flatten(0, 1))
                continue
            inputs = [
                _Input(view.reference(self._references[one]), view.part(parts[one]))
                for one, view in self._inputs[node]
            ]
            same = all(one.part is None for one in inputs)
            parts[node] = None if same else self._rules[node].change(inputs, self._mutants)
        reference = self._references[self._last]
        rows = _Input(reference, parts[self._last]).rows(0, reference.shape[-1], self._mutants)
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
        self._rules: dict[fx.Node, _Rule] = {}
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
            if isinstance(rule, _Opaque):
                needed[node] = self._everything(node)
            self._rules[node] = rule
            asked[node] = list(zip(sources, rule.needs(needed[node])))
            for source, grid in asked[node]:
                needed[source] = _join(needed.get(source), grid)
        self._follow = [node for node in self._follow if node in needed]
        self._inputs = {
            node: [(one, _View.of(grid, needed[one])) for one, grid in pairs]
            for node, pairs in asked.items()
        }

    def _everything(self, node: fx.Node) -> Grid:
        """Return all positions of a node."""
        return Grid(0, 1, self._seen[node].shape[-1])

    def _rule(self, node: fx.Node, sources: list[fx.Node], out: Grid) -> _Rule:
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
            return _Crop(crop)
        if node.op == "call_method" and node.target == "flip" and node.args[1:] == (-1,):
            return _Reverse(length, out)
        run = self._runner(node, sources)
        simple = _is_by_position(node, layer) and not self._sees_places(node, sources)
        if set(lengths) == {length} and (simple or self._picks(node)):
            return _ByPosition(run, len(sources))
        return _Opaque(run, lengths)

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
        if node.op == "call_method" and node.target == "add_":
            node.op, node.target = "call_function", operator.add
    network.recompile()
    return network


def _slide_of(layer: nn.Module, out: Grid) -> _Slide | None:
    """Return the rule of a convolution or pool without padding; None for anything else."""
    if isinstance(layer, ImageConvolution):
        settings = layer.settings
        if settings["padding"] not in ((0, 0), "valid") or layer.weight.shape[2] != 1:
            return None

        def convolve(x: Tensor, stride: int, dilation: int) -> Tensor:
            return _convolve(layer, x, stride, dilation)

        taps = layer.weight.shape[-1]
        return _Slide(convolve, taps, settings["dilation"][1], settings["stride"][1], out)
    if isinstance(layer, SlidingMaximum):
        return _maximum(layer.bin_bp + 2 * layer.margin, layer.bin_bp, out)
    if isinstance(layer, nn.MaxPool2d) and _is_plain_pool(layer):
        return _maximum(layer.kernel_size[1], layer.stride[1], out)
    return None


def _convolve(layer: ImageConvolution, x: Tensor, stride: int, dilation: int) -> Tensor:
    """Run a convolution with another stride and dilation."""
    x = x.unsqueeze(2) if layer.flat else x
    x = x.contiguous(memory_format=torch.channels_last)
    steps = ((1, stride), (0, 0), (1, dilation), layer.settings["groups"])
    y = functional.conv2d(x, layer.weight, layer.bias, *steps)
    return y.squeeze(2) if layer.flat else y


def _is_plain_pool(layer: nn.MaxPool2d) -> bool:
    """Tell whether a pool runs along the sequence alone and pads nothing."""
    sizes = (layer.kernel_size, layer.stride)
    if not all(isinstance(size, tuple) and size[0] == 1 for size in sizes):
        return False
    plain = layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1))
    return plain and not layer.ceil_mode and not layer.return_indices


def _maximum(window: int, step: int, out: Grid) -> _Slide:
    """Return the rule of a maximum pool."""

    def run(x: Tensor, stride: int, dilation: int) -> Tensor:
        return functional.max_pool2d(x, (1, window), (1, stride))

    return (_OneMaximum if out.count == 1 else _Slide)(run, window, 1, step, out)


def _average_of(node: fx.Node, out: Grid) -> _Slide | None:
    """Return the rule of an average pool along the sequence; None for anything else."""
    if node.target is not functional.avg_pool2d or len(node.args) != 3 or node.kwargs:
        return None
    (height, window), (_, step) = node.args[1:]
    if height != 1:
        return None

    def run(x: Tensor, stride: int, dilation: int) -> Tensor:
        return functional.avg_pool2d(x, (1, window), (1, stride))

    return _Slide(run, window, 1, step, out)


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
