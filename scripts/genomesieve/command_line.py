"""What all scripts share at their edge: arguments, messages and exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from genomesieve.errors import InputError

logger = logging.getLogger("genomesieve")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the layout of descriptions and show defaults."""


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser whose help shows the script's own docstring and all defaults."""
    return argparse.ArgumentParser(description=description.strip(), formatter_class=_Formatter)


def json_value(text: str) -> object:
    """Read an argument that is JSON itself or the path of a JSON file (argparse `type`)."""
    try:
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text)
        return json.loads(Path(text).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither JSON nor a JSON file: {error}"
        ) from None


def named_path(text: str) -> tuple[str, Path]:
    """Read an argument of the form NAME=PATH (argparse `type`)."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=PATH")
    return name, Path(path)


def run_script(work: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Run a script's work and turn an InputError into one line on stderr and exit code 1.

    Parameters
    ----------
    work : callable
        Reads, computes and writes; raises InputError for what a user can fix.
    arguments : argparse.Namespace

    Returns
    -------
    int
        0, or 1 after an InputError. Retrying a job that ended with 1 is not worth it.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s", force=True
    )
    try:
        work(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def add_genome_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what scripts that read several labelled genomes share: NAME=PATH, once a genome."""
    texts = {
        "--genome": "encoded folder (codes.npy, contigs.tsv)",
        "--sites": "sites.parquet from extract_sites",
        "--intervals": "intervals.parquet from extract_sites",
        "--split": "split.tsv from split_genome",
    }
    for option, text in texts.items():
        parser.add_argument(
            option,
            type=named_path,
            action="append",
            required=True,
            metavar="NAME=PATH",
            help=f"{text} of a genome; repeat for every genome",
        )


def add_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the classes of a screen and how their labels exclude each other."""
    parser.add_argument(
        "--classes",
        type=json_value,
        required=True,
        help='JSON or its file: {"donor": {"stranded": true, ...}, ...}, in the order of outputs',
    )
    parser.add_argument(
        "--labels",
        choices=["exclusive", "independent"],
        required=True,
        help="exclusive: one softmax over background and classes; independent: a sigmoid a class",
    )


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the device and the number of CPU threads."""
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where the network runs; auto takes a GPU when there is one",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
