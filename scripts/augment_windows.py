"""Add reverse-complement rows to a windows table.

In: sampled windows, all on the plus strand. Out: the same rows, and after each its minus-strand
twin where there is one: for stranded classes in every part (the minus strand's own data), for
unstranded ones in the training part only (marked `augmented`) and only with
`--reverse-complement augment`. A summary counts rows by part and strand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from genomesieve.architecture import REVERSE_COMPLEMENTS
from genomesieve.augmentation import add_reverse_complements
from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_files, write_json, write_table

COLUMNS = ("genome", "contig", "start", "length", "part", "source", "strand", "augmented")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--windows", type=Path, required=True, help="sampled.parquet, plus-strand windows")
    add(
        "--stranded",
        choices=("true", "false"),
        required=True,
        help="whether the classes have a strand",
    )
    add(
        "--reverse-complement",
        choices=REVERSE_COMPLEMENTS,
        default="augment",
        help="how a model of unstranded classes sees the other strand; stranded ones ignore it",
    )
    add("--output", type=Path, required=True, help="augmented.parquet to write")
    add("--summary", type=Path, required=True, help="summary JSON to write")
    return parser.parse_args(argv)


def work(arguments: argparse.Namespace) -> None:
    """Read, add twins and write."""
    windows = read_table(arguments.windows, "windows", (*COLUMNS, "inclusion"))
    if (windows["strand"] != "+").any():
        raise InputError(
            f"windows {arguments.windows}, column strand: found rows other than '+'; "
            "expected windows that were not augmented before"
        )
    both = add_reverse_complements(
        windows, arguments.stranded == "true", arguments.reverse_complement
    )
    counts = both.groupby(["part", "strand"]).size()
    summary = {
        "stranded": arguments.stranded == "true",
        "reverse_complement": arguments.reverse_complement,
        "windows_in": len(windows),
        "windows_out": len(both),
        "augmented": int(both["augmented"].sum()),
        "by_part_and_strand": {f"{part} {strand}": int(n) for (part, strand), n in counts.items()},
    }
    with whole_files(arguments.output, arguments.summary) as (table_file, summary_file):
        write_table(table_file, both)
        write_json(summary_file, summary)


def main(argv: list[str] | None = None) -> int:
    """Run the script."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
