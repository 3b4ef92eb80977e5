"""Figures with units about one class or a whole genome, and what speaks against them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from genomesieve.bootstrap import percentile_interval

GENOME = ""
"""Class of what holds for all classes."""


@dataclass(frozen=True)
class Measure:
    """A figure with its unit; `low` and `high` are None where it has no 95 % interval."""

    measure: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Caution:
    """What speaks against trust, by a short name, and a sentence for the reader."""

    what: str
    sentence: str


@dataclass
class Assessment:
    """Measures and cautions of one class, or of the sequence (class `GENOME`)."""

    name: str
    measures: list[Measure] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)

    def add(self, measure: str, value: float, unit: str, draws: np.ndarray | None = None) -> None:
        """Add a measure, with the interval of its bootstrap draws where there are any."""
        low = high = None
        if draws is not None:
            interval = percentile_interval(draws)
            low, high = _number(interval.low), _number(interval.high)
        self.measures.append(Measure(measure, _number(value), unit, low, high))

    def value(self, measure: str) -> float:
        """Return the value of a measure, NaN where it is not known."""
        found = [one.value for one in self.measures if one.measure == measure]
        return float("nan") if not found or found[0] is None else found[0]

    def interval(self, measure: str) -> tuple[float, float]:
        """Return the interval of a measure, NaN where it has none."""
        found = next((one for one in self.measures if one.measure == measure), None)
        pair = (found.low, found.high) if found else (None, None)
        return tuple(float("nan") if end is None else end for end in pair)

    def rows(self) -> list[dict]:
        """Return the measures as rows for JSON."""
        return [{"class": self.name, **asdict(one)} for one in self.measures]

    def warnings(self) -> list[dict]:
        """Return the cautions as rows for JSON."""
        return [{"class": self.name, **asdict(one)} for one in self.cautions]


def _number(value: float) -> float | None:
    """Return a number as JSON has it: None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
