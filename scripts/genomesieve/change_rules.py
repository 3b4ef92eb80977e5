"""How each kind of layer needs, computes and passes on what a change adds to its output.

A rule holds one layer of a traced network: which positions of its inputs some of its output needs,
the reference, and the difference that mutants make to it. What is linear works on the difference
alone, which is zero beside the changed stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from genomesieve.changed_parts import Grid, LayerInput, Part, by_site, part_of, progression
from genomesieve.inference import ImageConvolution

_NARROW = 128
"""Width times channels up to which a product with a banded matrix beats a convolution."""
_KEPT_BANDS = 32
"""Such matrices that a layer keeps: all places but those near the ends share a few."""


class Rule:
    """How one kind of layer needs, computes and passes on positions.

    Attributes
    ----------
    kept : tuple of torch.Tensor
        What `whole` leaves for `change`, beside references.
    """

    kept: tuple[Tensor, ...] = ()

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        raise NotImplementedError

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        raise NotImplementedError

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed; `out` is the reference of the output."""
        raise NotImplementedError


class SlidingRule(Rule):
    """A convolution or pool: every output from `taps` inputs that are `dilation` apart."""

    def __init__(self, run: Callable, taps: int, dilation: int, stride: int, out: Grid):
        self.run, self.taps = run, taps
        start, last = out.start * stride, out.last * stride + dilation * (taps - 1)
        between = out.step * stride if out.count > 1 else 0
        taken = dilation if taps > 1 else 0
        self.need = progression(start, last, between, taken)
        self.count = out.count
        # A single output has no stride, a single tap no dilation.
        self.stride = between // self.need.step or 1
        self.dilation = taken // self.need.step or 1
        self.reach = self.dilation * (taps - 1)

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        return [self.need]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        return self.run(inputs[0], self.stride, self.dilation)

    def reached(self, part: Part) -> tuple[int, int]:
        """Return the first output that a changed stretch reaches, and one past the last."""
        low = max(-((self.reach - part.first) // self.stride), 0)
        return low, min((part.end - 1) // self.stride + 1, self.count)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        low, high = self.reached(inputs[0].part)
        if low >= high:
            return None
        end = (high - 1) * self.stride + self.reach + 1
        rows = inputs[0].rows(low * self.stride, end, mutants)
        return part_of(low, self.run(rows, self.stride, self.dilation), out, mutants)


class ConvolutionRule(SlidingRule):
    """A convolution: linear, so it takes the difference, which is zero beside the stretch."""

    def __init__(self, layer: ImageConvolution, out: Grid):
        self.layer = layer
        taps, settings = layer.weight.shape[-1], layer.settings
        super().__init__(self._run, taps, settings["dilation"][1], settings["stride"][1], out)
        self._band = lru_cache(maxsize=_KEPT_BANDS)(self._make_band)

    def _run(self, x: Tensor, stride: int, dilation: int) -> Tensor:
        """Convolve references, with another stride and dilation."""
        layer = self.layer
        x = _as_image(x, layer.flat).contiguous(memory_format=torch.channels_last)
        steps = (1, stride), (0, 0), (1, dilation), layer.settings["groups"]
        y = functional.conv2d(x, layer.weight, layer.bias, *steps)
        return y.squeeze(2) if layer.flat else y

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        part = inputs[0].part
        low, high = self.reached(part)
        if low >= high:
            return None
        begin = low * self.stride - part.first
        end = (high - 1) * self.stride + self.reach + 1 - part.first
        x = _as_image(part.difference, self.layer.flat)[..., max(begin, 0) : end]
        x = x.contiguous(memory_format=torch.channels_last)
        begin = min(begin, 0)
        groups, (_, channels, _, width) = self.layer.settings["groups"], x.shape
        if groups == 1 and (width <= self.taps or width * channels <= _NARROW):
            y = self._multiply(x, begin, high - low)
        else:
            steps = self.stride, self.dilation, groups
            y = _convolve_stretch(x, self.layer.weight, begin, high - low, *steps)
        return Part(low, y.squeeze(2) if self.layer.flat else y)

    def _multiply(self, x: Tensor, begin: int, count: int) -> Tensor:
        """Convolve a narrow stretch: one product with a banded matrix."""
        rows, channels, _, width = x.shape
        x = x.permute(0, 2, 3, 1).reshape(rows, width * channels)
        y = x @ self._band(begin, width, count)
        return y.view(rows, 1, count, -1).permute(0, 3, 1, 2)

    def _make_band(self, begin: int, width: int, count: int) -> Tensor:
        """Return the matrix (width * inputs, count * outputs); output 0 starts at `begin`."""
        weight = self.layer.weight[:, :, 0].permute(2, 1, 0)
        taps = torch.arange(self.taps)
        places = begin + self.stride * torch.arange(count)[:, None] + self.dilation * taps
        number, tap = ((0 <= places) & (places < width)).nonzero(as_tuple=True)
        band = weight.new_zeros(width, count, *weight.shape[1:])
        band[places[number, tap], number] = weight[tap]
        return band.transpose(1, 2).flatten(2).flatten(0, 1)


def _as_image(x: Tensor, flat: bool) -> Tensor:
    """View (rows, channels, n) as an image of height 1."""
    return x.unsqueeze(2) if flat else x


def _convolve_stretch(
    x: Tensor, weight: Tensor, begin: int, count: int, stride: int, dilation: int, groups: int
) -> Tensor:
    """Convolve a stretch that has zeros on both sides.

    Returns `count` outputs, the first of which starts at `begin`, which is not beyond 0.
    """
    end = begin + (count - 1) * stride + dilation * (weight.shape[-1] - 1) + 1
    before, after = -begin, max(end - x.shape[-1], 0)
    # The library pads both sides alike: where more zeros are needed after the stretch than before
    # it, some outputs too many come first.
    more = max(-((before - after) // stride), 0)
    steps = (1, stride), (0, before + more * stride), (1, dilation), groups
    return functional.conv2d(x, weight, None, *steps)[..., more : more + count]


class OneMaximumRule(SlidingRule):
    """The maximum over all that there is: of what changed, and of the reference beside it."""

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        x = inputs[0]
        lowest = torch.full_like(x[..., :1], -torch.inf)
        before = torch.cat([lowest, x.cummax(-1).values], -1)
        after = torch.cat([x.flip(-1).cummax(-1).values.flip(-1), lowest], -1)
        self.kept = before, after
        return x.amax(-1, keepdim=True)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        first, end = inputs[0].part.first, inputs[0].part.end
        before, after = self.kept
        rest = torch.maximum(before[..., first], after[..., end]).unsqueeze(1)
        changed = by_site(inputs[0].rows(first, end, mutants).amax(-1), mutants)
        return part_of(0, torch.maximum(changed, rest).flatten(0, 1).unsqueeze(-1), out, mutants)


class PositionRule(Rule):
    """Anything of which a position of the output sees that position of each input alone."""

    def __init__(self, run: Callable, inputs: int):
        self.run, self.inputs = run, inputs

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        return [out] * self.inputs

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        return self.run(*inputs)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        _, low, high = _changed(inputs)
        rows = self.run(*(one.rows(low, high, mutants) for one in inputs))
        return part_of(low, rows, out, mutants)


def _changed(inputs: Sequence[LayerInput]) -> tuple[list[Part], int, int]:
    """Return what changed of some inputs, and the stretch [low, high) that holds all of it."""
    parts = [one.part for one in inputs if one.part is not None]
    return parts, min(part.first for part in parts), max(part.end for part in parts)


class LinearRule(PositionRule):
    """One input, position by position, and a linear function of it: the difference is enough."""

    def __init__(self, run: Callable, slope: Callable):
        super().__init__(run, 1)
        self.slope = slope

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        part = inputs[0].part
        return Part(part.first, self.slope(part.difference))


class RectifierRule(PositionRule):
    """ReLU: max(x + d, 0) - max(x, 0) is max(d, -x) + min(x, 0), and exactly 0 where d is."""

    def __init__(self, run: Callable):
        super().__init__(run, 1)

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        self.kept = -inputs[0], inputs[0].clamp(max=0)
        return super().whole(inputs)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        part = inputs[0].part
        lowest, below = (x[..., part.first : part.end].unsqueeze(1) for x in self.kept)
        difference = torch.maximum(by_site(part.difference, mutants), lowest)
        return Part(part.first, difference.add_(below).flatten(0, 1))


class SumRule(PositionRule):
    """The sum of two inputs of one shape: differences add up."""

    def __init__(self, run: Callable):
        super().__init__(run, 2)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        parts, low, high = _changed(inputs)
        wide, *others = sorted(parts, key=lambda part: part.first - part.end)
        if not others:
            return wide
        if (wide.first, wide.end) != (low, high):
            return super().change(inputs, out, mutants)
        return Part(low, _add_inside(wide.difference, others[0].difference, others[0].first - low))


def _add_inside(wide: Tensor, narrow: Tensor, first: int) -> Tensor:
    """Add a narrow stretch to a part of a wide one, from `first` on; return a new tensor."""
    end = first + narrow.shape[-1]
    result = torch.empty_like(wide)
    torch.add(wide[..., first:end], narrow, out=result[..., first:end])
    for places in (slice(0, first), slice(end, wide.shape[-1])):
        result[..., places] = wide[..., places]
    return result


class CropRule(Rule):
    """A slice along the sequence."""

    def __init__(self, first: int):
        self.first = first

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        return [out._replace(start=out.start + self.first)]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        return inputs[0]

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        return inputs[0].part


class ReverseRule(Rule):
    """The sequence read backwards."""

    def __init__(self, length: int, out: Grid):
        self.length, self.count = length, out.count

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        return [out._replace(start=self.length - 1 - out.last)]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        return inputs[0].flip(-1)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        part = inputs[0].part
        return Part(self.count - part.end, part.difference.flip(-1))


class OpaqueRule(Rule):
    """Anything else: from all positions of its inputs to all of its output."""

    def __init__(self, run: Callable, lengths: Sequence[int]):
        self.run, self.lengths = run, lengths

    def needs(self, out: Grid) -> list[Grid]:
        """Return the positions of each input for some of the output."""
        return [Grid(0, 1, length) for length in self.lengths]

    def whole(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the reference."""
        return self.run(*inputs)

    def change(self, inputs: Sequence[LayerInput], out: Tensor, mutants: int) -> Part | None:
        """Compute what changed."""
        rows = [one.rows(0, one.reference.shape[-1], mutants) for one in inputs]
        return part_of(0, self.run(*rows), out, mutants)
