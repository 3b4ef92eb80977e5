"""Numbers as a reader wants them: rounded, with separators, units and intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

ABSENT = "–"
_PERCENT = "\u00a0%"  # a line must not break before the sign


class Estimate(NamedTuple):
    """A value with its interval; NaN where it was not measured."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def count(number: float) -> str:
    """Write a count with thousands separators; fractions below 10 keep one digit."""
    if not math.isfinite(number):
        return ABSENT
    if abs(number) < 10 and number != round(number):
        return f"{number:.1f}"
    return f"{round(number):,}"


def decimal(number: float, digits: int = 3) -> str:
    """Write a number with fixed decimals."""
    return f"{number:.{digits}f}".replace("-", "−") if math.isfinite(number) else ABSENT


def percent(share: float, digits: int = 0) -> str:
    """Write a share as a percentage; more digits where it would round to 0 or 100."""
    if not math.isfinite(share):
        return ABSENT
    while digits < 3 and 0 < share < 1 and round(share * 100, digits) in (0, 100):
        digits += 1
    return f"{share * 100:.{digits}f}{_PERCENT}"


def one_in(share: float) -> str:
    """Write a small share as `1 in 1,604`."""
    return f"1 in {count(1 / share)}" if math.isfinite(share) and share > 0 else ABSENT


def megabases(bases: float) -> str:
    """Write a length in bp, kb, Mb or Gb."""
    for size, unit in ((1e9, "Gb"), (1e6, "Mb"), (1e3, "kb")):
        if bases >= size:
            return f"{bases / size:.1f} {unit}"
    return f"{bases:.0f} bp"


def _between(low: str, high: str) -> str:
    """Write a range; a dash beside a minus sign would be misread."""
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """Write a value and its interval as `0.612 (0.581–0.640)`."""
    text = decimal(estimate.value, digits)
    if estimate.bounded:
        text += f" ({_between(decimal(estimate.low, digits), decimal(estimate.high, digits))})"
    return text


def percent_with_interval(estimate: Estimate) -> str:
    """Write a share and its interval as `92 % (88–95 %)`."""
    text = percent(estimate.value)
    if estimate.bounded:
        low, high = percent(estimate.low), percent(estimate.high)
        text += f" ({low.removesuffix(_PERCENT)}–{high})"
    return text


def count_with_interval(estimate: Estimate) -> str:
    """Write a count and its interval as `1,812 (1,740–1,870)`."""
    text = count(estimate.value)
    if estimate.bounded:
        text += f" ({count(estimate.low)}–{count(estimate.high)})"
    return text


def listed(words: list[str]) -> str:
    """Join words as `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]
