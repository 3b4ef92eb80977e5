"""Compare screens on one page: dots with intervals, and all results in a table that can be sorted.

In: metrics.tsv of the evaluations of any number of screens and genomes, given one by one
(--metrics SCREEN/GENOME=FILE) or as whole results folders (--results FOLDER, as results/splice;
the folder's name is the screen's). Out: one HTML page that needs nothing else, and, where wanted,
the same as a table.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from genomesieve.command_line import NamedPaths, make_parser, run_script
from genomesieve.comparison import evaluations_of, read_comparison
from genomesieve.comparison_page import comparison_page
from genomesieve.errors import InputError
from genomesieve.files import whole_files, write_table

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--metrics",
        action=NamedPaths,
        default={},
        metavar="SCREEN/GENOME=PATH",
        help="metrics.tsv of a genome in a screen (repeat)",
    )
    parser.add_argument(
        "--results", type=Path, action="append", default=[], help="results of a screen (repeat)"
    )
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    parser.add_argument("--table", type=Path, required=True, help="the same as a table (.tsv)")
    return parser.parse_args(argv)


def work(arguments: argparse.Namespace) -> None:
    """Read all evaluations and write page and table."""
    comparison = read_comparison(find_evaluations(arguments))
    page = comparison_page(comparison)
    with whole_files(arguments.output, arguments.table) as (output, table):
        output.write_text(page, encoding="utf-8")
        write_table(table, comparison)
    logger.info("wrote %s: %d results", arguments.output, len(comparison))


def find_evaluations(arguments: argparse.Namespace) -> dict[tuple[str, str], Path]:
    """Return metrics.tsv by screen and genome.

    Raises
    ------
    InputError
        If a name has no genome, one comes twice, or there is nothing to compare.
    """
    found: dict[tuple[str, str], Path] = {}
    for name, path in arguments.metrics.items():
        screen, separator, genome = name.partition("/")
        if not (screen and separator and genome):
            raise InputError(f"--metrics names {name}; expected SCREEN/GENOME=PATH")
        found[screen, genome] = path
    for folder in arguments.results:
        screen = folder.resolve().name
        for genome, path in evaluations_of(folder).items():
            if (screen, genome) in found:
                raise InputError(
                    f"--results {folder}: screen {screen} has genome {genome} already; expected "
                    "folders of different names"
                )
            found[screen, genome] = path
    if not found:
        raise InputError("nothing to compare; expected --metrics or --results")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
