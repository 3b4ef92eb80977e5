"""Progress: a bar on a terminal, lines in a log, and what they say."""

import io
import logging
import re
import sys

import pytest

from genomesieve.durations import duration
from genomesieve.progress import SECONDS_BETWEEN_LINES, Progress, plural, watched


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self):
        return True


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "genomesieve.progress")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_log_gets_plain_lines_with_rate_and_time_left(lines):
    clock = Clock()
    with Progress(500, "batch", "athaliana", stream=io.StringIO(), clock=clock) as progress:
        for _ in range(150):
            clock.now += 0.5
            progress.update()
    assert lines() == [
        "athaliana: 60 of 500 batches (12%), 2 a second, 4 min left",
        "athaliana: 120 of 500 batches (24%), 2 a second, 3 min left",
        "athaliana: 150 of 500 batches (30%), 2 a second, 3 min left",
    ]


def test_the_rate_is_that_of_this_run(lines):
    clock = Clock()
    with Progress(1000, "step", done=900, stream=io.StringIO(), clock=clock) as progress:
        progress.note(loss="0.5")
        clock.now += SECONDS_BETWEEN_LINES
        progress.update(50)
    assert lines()[0] == "950 of 1,000 steps (95%), 1.67 a second, 30 s left; loss 0.5"


def test_a_short_step_writes_nothing_in_a_log(lines):
    clock = Clock()
    for _ in watched(range(10), "site", stream=io.StringIO(), clock=clock):
        clock.now += SECONDS_BETWEEN_LINES / 20
    assert lines() == []


def test_what_has_no_known_end_is_counted(lines):
    clock = Clock()
    with Progress(None, "record", stream=io.StringIO(), clock=clock) as progress:
        clock.now += 100
        progress.update(10)
    assert lines() == ["10 records, 6 a minute, 2 min", "10 records, 6 a minute, 2 min"]


def test_a_terminal_gets_a_bar_and_no_lines(lines):
    stream, clock = Terminal(), Clock()
    with Progress(4, "batch", "toy", stream=stream, clock=clock) as progress:
        for _ in range(4):
            clock.now += SECONDS_BETWEEN_LINES
            progress.update()
    shown = stream.getvalue()
    assert "toy: 100%" in shown and "4/4" in shown and re.search("batch/s|s/batch", shown)
    assert lines() == []


def test_other_processes_are_silent(lines):
    stream, clock = Terminal(), Clock()
    with Progress(4, "batch", silent=True, stream=stream, clock=clock) as progress:
        clock.now += SECONDS_BETWEEN_LINES
        progress.update()
    assert stream.getvalue() == "" and lines() == []


def test_items_pass_through_in_order(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(watched(iter("abc"), "letter")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_times_are_told_in_units_that_fit(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("one", "several"),
    [("batch", "batches"), ("class", "classes"), ("property", "properties"), ("site", "sites")],
)
def test_units_have_a_plural(one, several):
    assert plural(one) == several
