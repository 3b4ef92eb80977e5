"""Which places of a layer's output are looked at, which changed, and what was added there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


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
    """What a change adds to a layer's output: (rows, ..., n) from `first` on, in grid steps."""

    first: int
    difference: Tensor

    @property
    def end(self) -> int:
        """One past the last changed place."""
        return self.first + self.difference.shape[-1]


def progression(start: int, last: int, *steps: int) -> Grid:
    """Return the coarsest progression from start to last that all steps fit; 0 is no step."""
    step = math.gcd(*steps, last - start) or 1
    return Grid(start, step, (last - start) // step + 1)


def join_grids(one: Grid | None, other: Grid) -> Grid:
    """Return a progression that holds two."""
    if one is None:
        return other
    steps = [grid.step for grid in (one, other) if grid.count > 1]
    first, last = min(one.start, other.start), max(one.last, other.last)
    return progression(first, last, abs(one.start - other.start), *steps)


@dataclass(frozen=True)
class View:
    """The positions that a layer needs among those that its input has."""

    offset: int
    stride: int
    count: int

    @classmethod
    def of(cls, need: Grid, have: Grid) -> View:
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
        taken = part.difference[..., begin :: self.stride][..., : max(self.count - first, 0)]
        return Part(first, taken) if taken.shape[-1] else None


class LayerInput(NamedTuple):
    """A layer's input: the reference (sites, ..., n) and what every mutant adds to it."""

    reference: Tensor
    part: Part | None

    def rows(self, low: int, high: int, mutants: int) -> Tensor:
        """Return the places [low, high) of all mutants, (sites * mutants, ..., high - low)."""
        reference = self.reference[..., low:high].unsqueeze(1)
        shape = (reference.shape[0] * mutants, *reference.shape[2:])
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        result = torch.empty(shape, dtype=reference.dtype, device=reference.device,
                             memory_format=layout)  # fmt: skip
        sites = by_site(result, mutants)
        part = self.part
        first, end = (high, high) if part is None else (max(low, part.first), min(high, part.end))
        if first >= end:
            sites.copy_(reference.expand_as(sites))
            return result
        beside = slice(0, first - low), slice(end - low, high - low)
        for places in beside:
            sites[..., places] = reference[..., places]
        places = slice(first - low, end - low)
        difference = by_site(part.difference, mutants)[..., first - part.first : end - part.first]
        torch.add(reference[..., places], difference, out=sites[..., places])
        return result


def by_site(rows: Tensor, mutants: int) -> Tensor:
    """View (sites * mutants, ...) as (sites, mutants, ...)."""
    return rows.unflatten(0, (-1, mutants))


def part_of(first: int, rows: Tensor, reference: Tensor, mutants: int) -> Part:
    """Return how rows (sites * mutants, ..., n) differ from a reference (sites, ..., length)."""
    own = reference[..., first : first + rows.shape[-1]].unsqueeze(1)
    return Part(first, (by_site(rows, mutants) - own).flatten(0, 1))
