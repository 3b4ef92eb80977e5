"""How far a long step is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TextIO

from tqdm import tqdm

from genomesieve.durations import duration

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0
"""A log gets no more lines than these, whatever a step's rate."""


class Progress:
    """Counts what is done and says how much that is, how fast it goes and how long it still takes.

    On a terminal that is a bar. Elsewhere (under Snakemake, standard error is a log) it is a line
    every half a minute, and one at the end where the step took that long. Used as a context, or
    closed by hand.

    Parameters
    ----------
    total : int or None
        Items in all; None where that is not known.
    unit : str
        One item, such as `step`.
    what : str
        What is worked on, such as the genome.
    done : int
        Items that an earlier run did.
    silent : bool
        Says nothing, as all but the first of several processes.
    stream : file object or None
        Whether it is a terminal decides; standard error by default.
    clock : callable
        Seconds, ever growing.
    """

    def __init__(
        self,
        total: int | None,
        unit: str,
        what: str = "",
        done: int = 0,
        silent: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        stream = stream or sys.stderr
        self.total, self.unit, self.what, self.silent = total, unit, what, silent
        self._done = self._first = done
        self._clock, self._notes = clock, ""
        self._started = self._last_line = clock()
        self._spoken = False
        self._bar = None
        if not silent and stream.isatty():
            self._bar = tqdm(
                total=total, initial=done, unit=unit, desc=what or None, ncols=100, file=stream
            )

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def update(self, count: int = 1) -> None:
        """Count some items as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self.silent and self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._say()

    def note(self, **values: str) -> None:
        """Show values beside the count from now on, such as the loss."""
        self._notes = ", ".join(f"{key} {value}" for key, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix(values)

    def close(self) -> None:
        """Say the last word: of a bar, or of a step that took long enough for a line."""
        if self._bar is not None:
            self._bar.close()
        elif self._spoken:
            self._say()

    def line(self) -> str:
        """Return how far it is: `genome: 120 of 500 batches (24 %), 3.1 a second, 2 min left`."""
        seconds = self._clock() - self._started
        done = self._done - self._first
        rate = done / seconds if seconds > 0 else 0.0
        units = self.unit if self.total == 1 else plural(self.unit)
        text = f"{self.what}: " if self.what else ""
        if self.total is None:
            text += f"{self._done:,} {units}"
        else:
            text += f"{self._done:,} of {self.total:,} {units}"
            text += f" ({self._done / self.total:.0%})" if self.total else ""
        if rate > 0:
            text += f", {rate_in_words(rate)}"
            if self.total is not None and self._done < self.total:
                text += f", {duration((self.total - self._done) / rate)} left"
            else:
                text += f", {duration(seconds)}"
        return f"{text}; {self._notes}" if self._notes else text

    def _say(self) -> None:
        """Write a line."""
        self._last_line, self._spoken = self._clock(), True
        logger.info("%s", self.line())


def watched(
    items: Iterable, unit: str, what: str = "", total: int | None = None, **settings: object
) -> Iterator:
    """Yield items while their progress is shown.

    Parameters
    ----------
    items : iterable
    unit, what : str
        As of `Progress`.
    total : int or None
        Of the items; their length where they have one.
    **settings
        Further parameters of `Progress`.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(total, unit, what, **settings) as progress:
        for item in items:
            yield item
            progress.update()


def plural(unit: str) -> str:
    """Return the name of several items."""
    if unit.endswith(("s", "x", "ch")):
        return f"{unit}es"
    return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"


def rate_in_words(rate: float) -> str:
    """Write items a second, or a minute where they are slow."""
    return f"{rate:,.3g} a second" if rate >= 0.5 else f"{60 * rate:,.3g} a minute"
