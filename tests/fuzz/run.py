"""Feed every parser damaged and arbitrary input, and record what it did.

`python tests/fuzz/run.py` (or `make fuzz`) gives 111,000 inputs; `--scale 0.1` a tenth of them, and
`--parsers BED GTF` some of the parsers. Every input must be read correctly or refused with an
InputError; anything else is printed with the smallest input that was seen to do it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "scripts")]

import torch  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from fuzz.parsers import Parser, all_parsers  # noqa: E402
from genomesieve.errors import InputError  # noqa: E402

RECORD = HERE / "recorded.json"
_SHOWN = 600
_AT_ONCE = 10
"""Inputs an example: hypothesis takes longer for an example than most parsers do for an input."""


@dataclass
class Outcome:
    """What a parser did with its inputs; `faults` holds one example a place in the code."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    failures: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def add_fault(self, error: Exception, given: object) -> None:
        """Count a failure and keep its smallest input."""
        self.failures += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        key = f"{type(error).__name__} in {last.name} ({Path(last.filename).name}:{last.lineno})"
        shown = f"{' '.join(str(error).split())[:200]} | {given!r}"[:_SHOWN]
        if key not in self.faults or len(shown) < len(self.faults[key]):
            self.faults[key] = shown


def _feed_one(parser: Parser, value: object, folder: Path, outcome: Outcome) -> None:
    """Give a parser one input and count what it did."""
    # Making folders takes longer than most parsers: only files go.
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    outcome.inputs += 1
    try:
        parser.check(value, folder)
        outcome.accepted += 1
    except InputError as error:
        outcome.refused += 1
        assert str(error).isprintable(), f"more than one line: {error!r}"
    except Exception as error:
        outcome.add_fault(error, value)


def feed(parser: Parser, count: int, start: int) -> Outcome:
    """Give a parser so many inputs.

    Parameters
    ----------
    parser : Parser
    count : int
    start : int
        Seed of the inputs.
    """
    outcome = Outcome()
    memory = Path("/dev/shm")
    root = tempfile.mkdtemp(prefix="genomesieve-fuzz-", dir=memory if memory.is_dir() else None)
    folder = Path(root)

    @seed(start)
    @settings(
        max_examples=-(-count // _AT_ONCE),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(parser.inputs, min_size=_AT_ONCE, max_size=_AT_ONCE))
    def many(values: list) -> None:
        for value in values:
            _feed_one(parser, value, folder, outcome)

    try:
        many()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def table_of(record: dict) -> str:
    """Write a record as a table of Markdown."""
    columns = ("inputs", "accepted", "refused", "failures")
    rows = [["parser", "inputs", "read", "refused", "faults"], ["---", *["---:"] * len(columns)]]
    rows += [
        [name, *(f"{counts[key]:,}" for key in columns)]
        for name, counts in sorted(record["parsers"].items())
    ]
    total = [sum(one[key] for one in record["parsers"].values()) for key in columns]
    rows.append(["**all**", *(f"**{number:,}**" for number in total)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_table(page: Path, record: dict) -> None:
    """Put the table of a record into a page, between its marks."""
    begin, end = "<!-- recorded run -->\n", "<!-- end of the recorded run -->"
    head, rest = page.read_text().split(begin)
    page.write_text(f"{head}{begin}{table_of(record)}{end}{rest.split(end)[1]}")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--parsers", nargs="*", default=[], help="names; all where there are none")
    parser.add_argument(
        "--output", type=Path, help="record (JSON) to write, or with --parsers to complete"
    )
    parser.add_argument("--page", type=Path, help="page whose table of the record is written anew")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Feed the parsers; return 1 where one failed."""
    arguments = parse_arguments(argv)
    torch.set_num_threads(1)
    record = {"parsers": {}}
    if arguments.parsers and arguments.output and arguments.output.is_file():
        record = json.loads(arguments.output.read_text())
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, parser in all_parsers(Path(folder)).items():
            if arguments.parsers and name not in arguments.parsers:
                continue
            begin = time.monotonic()
            outcome = feed(parser, int(1000 * parser.share * arguments.scale), arguments.seed)
            counts = {
                key: getattr(outcome, key) for key in ("inputs", "accepted", "refused", "failures")
            }
            record["parsers"][name] = counts
            print(f"{name}: {counts} in {time.monotonic() - begin:.0f} s", flush=True)
            for place, example in outcome.faults.items():
                print(f"  {place}: {example}", flush=True)
            failed |= outcome.failures > 0
            record["inputs"] = sum(one["inputs"] for one in record["parsers"].values())
            if arguments.output:
                arguments.output.write_text(json.dumps(record, indent=2) + "\n")
    if arguments.page:
        write_table(arguments.page, record)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
