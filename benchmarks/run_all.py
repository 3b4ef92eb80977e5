"""Run every benchmark and write results/summary.json and the table in README.md.

Each benchmark is a program of its own that writes results/NAME.json; this one runs them one after
the other (nothing else should run on the machine) and joins what they wrote. `--tables` joins only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("scan", "splice", "growth", "training_data", "extraction", "evaluation")
PROGRAMS += ("attribution", "variants", "variants_openspliceai")
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"


def summary_rows() -> list[dict]:
    """Read the rows of all recorded results."""
    rows = []
    for name in (*PROGRAMS, "gpu"):
        path = HERE / "results" / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text())
            place = content["machine"]
            where = f"{place['processor']}, {place['cores']} cores, {place['vectors']}"
            where = place.get("gpu", where)
            rows += [row | {"date": content["date"], "machine": where} for row in content["rows"]]
    return rows


def number(value: float | None) -> str:
    """Write a number with three digits."""
    return "" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def table(rows: list[dict]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| what | measure | genomesieve | peer | ratio | required | met | equal within |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = {True: "yes", False: "**no**", None: "not measured"}[row["met"]]
        peer = f"{number(row['peer'])} ({row['peer_name']})" if row["peer_name"] else ""
        ratio = f"{number(row['ratio'])}x" if row["ratio"] is not None else ""
        lines.append(
            f"| {row['row']} | {row['metric']}, {row['unit']} | {number(row['ours'])} | {peer} "
            f"| {ratio} | {row['required']} | {met} | {row['equal_within']} |"
        )
    machines = sorted({f"{row['machine']} ({row['date']})" for row in rows})
    return "\n".join([*lines, "", "Measured on: " + "; ".join(machines) + "."])


def write_tables() -> None:
    """Write results/summary.json and put the table into README.md."""
    rows = summary_rows()
    (HERE / "results" / "summary.json").write_text(json.dumps(rows, indent=2) + "\n")
    page = HERE / "README.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")


def main() -> int:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []], help="default: all")
    parser.add_argument("--tables", action="store_true", help="join recorded results only")
    arguments = parser.parse_args()
    failed = []
    for name in () if arguments.tables else arguments.names or PROGRAMS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py")]).returncode:
            failed.append(name)
    write_tables()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
