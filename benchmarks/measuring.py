"""How benchmarks measure: side by side in one run, medians of repeats, sampled memory."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of the tables: what was measured, for us and for a peer.

    Parameters
    ----------
    row : str
        What was done, in a few words.
    metric, unit : str
    ours, peer : float or None
        Medians; peer is None where there is nothing to compare with.
    peer_name : str
        The peer with its version, or "".
    ratio : float or None
        How many times better ours is (faster, smaller).
    required : str
        What it must reach, such as ">= 150x" or "<= 90 s".
    met : bool or None
        None where it could not be measured.
    equal_within : str
        How far the two answers may differ and did, such as "1e-4 (found 3e-6)"; correctness is part
        of every row.
    """

    row: str
    metric: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str
    ratio: float | None
    required: str
    met: bool | None
    equal_within: str


def side_by_side(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time several runs in turn, so that a slow spell of the machine meets all of them.

    Parameters
    ----------
    runs : mapping of str to callable
        Each is called once to warm up and then `repeats` times.
    repeats : int

    Returns
    -------
    dict of str to list of float
        Seconds of each repeat.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def keeping(results: dict, name: str, run: Callable[[], object]) -> Callable[[], None]:
    """Return a run that leaves what it gives in `results`."""
    return lambda: results.__setitem__(name, run())


def median(values: Sequence[float]) -> float:
    """Return the median of some repeats."""
    return statistics.median(values)


@dataclass(frozen=True)
class ProcessRun:
    """A finished process: seconds, and the largest sampled RssAnon and RssFile in bytes."""

    seconds: float
    anonymous: int
    mapped: int
    output: str


def run_process(command: Sequence[str], every: float = 0.02) -> ProcessRun:
    """Run a program and sample its memory and that of its children while it runs.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails; its output is printed first.
    """
    begin = time.perf_counter()
    anonymous = mapped = 0
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                one, other = _memory_of_tree(process.pid)
                anonymous, mapped = max(anonymous, one), max(mapped, other)
                time.sleep(every)
        seconds = time.perf_counter() - begin
        log.seek(0)
        output = log.read()
    if process.returncode:
        print(output, file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)
    return ProcessRun(seconds, anonymous, mapped, output)


def _memory_of_tree(root: int) -> tuple[int, int]:
    """Return the summed RssAnon and RssFile (bytes) of a process and its descendants."""
    anonymous = mapped = 0
    waiting = [root]
    while waiting:
        number = waiting.pop()
        try:
            status = Path(f"/proc/{number}/status").read_text()
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        anonymous += int(fields.get("RssAnon", "0 kB").split()[0]) * 1024
        mapped += int(fields.get("RssFile", "0 kB").split()[0]) * 1024
        waiting += [int(child) for child in children]
    return anonymous, mapped


def machine() -> dict:
    """Describe the machine: processor, cores, memory, versions."""
    name = next(
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "vectors": _vectors(),
        "memory_gib": round(pages / 2**30, 1),
        "python": platform.python_version(),
    }


def _vectors() -> str:
    """Name the widest vector instructions that the processor has."""
    flags = Path("/proc/cpuinfo").read_text()
    known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
    return next((name for name in known if name in flags), "")


def save(name: str, rows: Sequence[Row], versions: Mapping[str, str], details: Mapping) -> None:
    """Write the results of one benchmark to results/NAME.json and print them."""
    write_results(name, rows, versions, details, {})
    print_rows(rows)


def write_results(
    name: str, rows: Sequence[Row], versions: Mapping[str, str], details: Mapping, place: Mapping
) -> None:
    """Write the results of one benchmark; `place` adds to what is said of the machine."""
    RESULTS.mkdir(exist_ok=True)
    content = {
        "benchmark": name,
        "date": date.today().isoformat(),
        "machine": machine() | dict(place),
        "versions": dict(versions),
        "rows": [asdict(row) for row in rows],
        "details": dict(details),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def print_rows(rows: Sequence[Row]) -> None:
    """Print one line a row."""
    for row in rows:
        print(
            f"{row.row} | {row.metric}: ours {_short(row.ours)}, peer {_short(row.peer)} "
            f"{row.unit} ({row.peer_name or 'no peer'}), ratio {_short(row.ratio)}, "
            f"required {row.required or '-'}, met {row.met}, equal within {row.equal_within}",
            flush=True,
        )


def _short(value: float | None) -> str:
    """Write a number with four digits."""
    return "-" if value is None else f"{value:.4g}"


def quick_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with --quick, which makes a benchmark small enough for a test."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that it works; not for tables"
    )
    return parser
