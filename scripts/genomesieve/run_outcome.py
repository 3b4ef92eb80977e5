"""What a run of the workflow ends with: a table of what was found, or what went wrong and where.

Read by Snakemake itself, so it needs no more than the standard library.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genomesieve.durations import duration
from genomesieve.errors import INTERRUPTED

HEADER = ("screen", "genome", "class", "calls", "promised", "found", "recall")
_MOST_ROWS = 30
_FAILED = re.compile(r"^\s*Error in rule (\w+)")
_LOG = re.compile(r"^\s*log: (.+?) \(check log file", re.MULTILINE)
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Killed)\b.*)$")
_TAIL_BYTES = 200_000
_WORDLESS = "it ended without a word: something stopped it"

_GO_ON = "run the same command again: it goes on from what was finished"
_ADVICE = (
    (INTERRUPTED, _GO_ON),
    ("KeyboardInterrupt", _GO_ON),
    (_WORDLESS, f"{_GO_ON}; if that happens again it lacks memory: fewer --cores"),
    ("error:", "mend what the line names and run the same command again; what was finished stays"),
    (
        "No space left on device",
        "make room on the disk and run the same command again; what was finished stays",
    ),
    (
        "out of memory",
        "give the job more memory (training.batch or scan.memory_gb lower it), then run again",
    ),
    ("MemoryError", "give the job more memory, or lower scan.memory_gb, then run again"),
    ("Killed", "something stopped the job, often for its memory; run again, with fewer --cores"),
    ("ModuleNotFoundError", "the environment lacks a package: run make setup, or --sdm conda"),
)
_OTHERWISE = (
    "this is a mistake in genomesieve or its surroundings: report it with the log; running the "
    "same command again goes on from what was finished"
)


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Parameters
    ----------
    rule : str
    log : str
        Its log; empty where it has none.
    line : str
        The decisive line of it.
    advice : str
        What to do.
    """

    rule: str
    log: str
    line: str
    advice: str

    def __str__(self) -> str:
        """Return it as people read it."""
        where = f"\n  log    {self.log}" if self.log else ""
        return f"{self.rule} failed\n  why    {self.line}{where}\n  do     {self.advice}"


# --- what went wrong ------------------------------------------------------------------------------


def list_failures(paths: Sequence[str | Path]) -> list[Failure]:
    """Return the jobs that failed, from Snakemake's own logs, each once.

    Parameters
    ----------
    paths : sequence of path-like
        The logs of the run (`log` in Snakemake's `onerror`).
    """
    failures: dict[tuple[str, str], Failure] = {}
    for rule, log, block in _failed_blocks("\n".join(_read(Path(path)) for path in paths)):
        text = _read(Path(log)) if log else ""
        line = decisive_line(text) or decisive_line(block) or _WORDLESS
        failures.setdefault((rule, log), Failure(rule, log, line, advice_for(line)))
    return list(failures.values())


def _failed_blocks(text: str) -> Iterable[tuple[str, str, str]]:
    """Yield rule, log and the paragraph of every failed job in Snakemake's log."""
    lines = text.splitlines()
    starts = [row for row, line in enumerate(lines) if _FAILED.match(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        block = "\n".join(lines[start:end])
        log = _LOG.search(block)
        first = log[1].split(", ")[0] if log else ""
        yield _FAILED.match(lines[start])[1], first, block


def decisive_line(text: str) -> str:
    """Return the line of a log that says why a job ended; empty where none does.

    The last line that begins with `error:`, else the last exception, else the last word of the
    system (killed, no space), else the last line that is no bar or message of progress.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for pattern in (r"error: ", _EXCEPTION.pattern, r"(Killed|.*No space left on device)"):
        found = [line for line in lines if re.match(pattern, line)]
        if found:
            return found[-1]
    if not lines or _FAILED.match(lines[0]):
        return ""
    rest = [line for line in lines if not line.startswith("INFO")]
    return rest[-1] if rest else ""


def advice_for(line: str) -> str:
    """Say what to do about a decisive line."""
    return next((advice for sign, advice in _ADVICE if sign in line), _OTHERWISE)


def failure_text(paths: Sequence[str | Path]) -> str:
    """Return what is shown after a run that failed; empty where no job did."""
    failures = list_failures(paths)
    if not failures:
        return ""
    return "\n" + "\n".join(map(str, failures)) + "\n"


def _read(path: Path) -> str:
    """Return the end of a text file; nothing where there is none."""
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - _TAIL_BYTES))
            return handle.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


# --- what was found -------------------------------------------------------------------------------


def outcome_text(screens: Sequence[str], seconds: float, root: str | Path = "results") -> str:
    """Return the table that is shown after a run: calls, and precision promised and found.

    Parameters
    ----------
    screens : sequence of str
        Names of the screens of the configuration; those without scans yet are left out.
    seconds : float
        That the run took.
    root : path-like
        The folder of results.
    """
    rows, reports = [], []
    for screen in screens:
        folder = Path(root) / screen
        rows += screen_rows(folder)
        if (folder / "report.html").is_file():
            reports.append(str(folder / "report.html"))
    lines = ["", *_table(rows), f"time    {duration(seconds)}"]
    lines += [f"report  {path}" for path in reports]
    return "\n".join(lines) + "\n"


def screen_rows(folder: Path) -> list[tuple[str, ...]]:
    """Return a row for every scanned genome and class of a screen, as `HEADER` names them."""
    rows = []
    for path in sorted(folder.glob("scan/*/summary.json")):
        genome = path.parent.name
        try:
            classes = json.loads(path.read_text(encoding="utf-8"))["classes"]
        except (OSError, ValueError, KeyError):
            continue
        found = _promises(folder / "evaluation" / genome / "promises.tsv")
        for name, item in classes.items():
            target = item.get("precision_target")
            words = _promise_words(found.get(name, []), target, item.get("target_reached"))
            rows.append((folder.name, genome, name, f"{item['calls']:,}", *words))
    return rows


def _promises(path: Path) -> dict[str, list[dict]]:
    """Return the promises of the screen's own model (the file's first), by class."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            table = list(csv.DictReader(handle, delimiter="\t"))
    except OSError:
        return {}
    own = [row for row in table if row["model"] == table[0]["model"]]
    return {
        name: [row for row in own if row["class"] == name] for name in {r["class"] for r in own}
    }


def _promise_words(
    rows: Sequence[dict], target: float | None, reached: bool | None
) -> tuple[str, str, str]:
    """Return precision promised and found, and recall, at the operating threshold."""
    for row in rows:
        if target is not None and float(row["precision_target"]) == target:
            if not row["observed"]:
                return _number(row["promised"]), "no calls", "-"
            above = float(row["observed"]) > float(row["high"])
            mark = "" if row["within"] == "True" else " (above)" if above else " (below)"
            return (
                f"{_number(row['promised'])} ({_number(row['low'])}-{_number(row['high'])})",
                _number(row["observed"]) + mark,
                _number(row["recall"]),
            )
    asked = f"{target:.2f} asked" if target is not None else "-"
    return (asked if reached in (None, True) else f"{asked}, missed"), "no labels", "-"


def _number(text: str) -> str:
    """Write a share with two decimals."""
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return "-"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay out rows in columns, the first ones where there are many."""
    shown = [HEADER, *rows[:_MOST_ROWS]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(HEADER))]
    right = {HEADER.index(name) for name in ("calls", "recall")}
    lines = [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in shown
    ]
    more = len(rows) - _MOST_ROWS
    return lines + ([f"... and {more} more rows"] if more > 0 else [])
