"""Download a file over https and check its SHA-256.

A download that broke off is resumed by the next call; the file takes its name once its digest is
right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from genomesieve.command_line import make_parser, run_script
from genomesieve.downloads import download


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--url", required=True, help="https only")
    parser.add_argument("--sha256", required=True, help="expected digest, hexadecimal")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser.parse_args(argv)


def fetch(arguments: argparse.Namespace) -> None:
    """Download, check, and move into place."""
    download(arguments.url, arguments.sha256, arguments.output)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(fetch, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
