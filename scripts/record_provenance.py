"""Write down what a screen's results were made from: inputs, settings, code, versions, machines.

In: the finished model and scans of a screen, the summaries of its genomes and sites, and the files
that they were read from. Out: provenance.json. Every file is read again and compared with the
digest that was taken when it was used: a file that has changed since is an error, even where its
time was set back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from genomesieve.command_line import NamedPaths, json_value, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import existing_file, file_digest, read_json, write_json

FORMAT = 1
_OUTPUTS = ("calls.bed.gz", "histograms.npz")
"""Files of a scan whose digests are kept."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--screen", required=True, help="name of the screen")
    parser.add_argument(
        "--settings", type=json_value, required=True, help="JSON: the screen's whole configuration"
    )
    parser.add_argument(
        "--code", type=json_value, default={}, help="JSON: digest of every script and its modules"
    )
    parser.add_argument(
        "--workflow", type=json_value, default={}, help="JSON: versions of what runs the scripts"
    )
    for name, what in (
        ("fasta", "the FASTA file of a genome"),
        ("genome-summary", "what encode_genome wrote of it"),
        ("sites-summary", "what extract_sites wrote of it"),
        ("scan", "folder of its scan"),
    ):
        parser.add_argument(
            f"--{name}", action=NamedPaths, default={}, metavar="GENOME=PATH", help=what
        )
    parser.add_argument(
        "--file", type=Path, action="append", default=[], help="another file of the user"
    )
    parser.add_argument("--model", type=Path, required=True, help="bundle of the screen")
    parser.add_argument(
        "--time-logs", type=Path, action="append", default=[], help="folder of Snakemake benchmarks"
    )
    parser.add_argument("--output", type=Path, required=True, help="provenance (JSON) to write")
    return parser.parse_args(argv)


def record(arguments: argparse.Namespace) -> None:
    """Compare all inputs with what they were, and write the record."""
    model = read_json(arguments.model / "model.json", "model description")
    genomes = {
        name: read_json(path, "summary of the genome")
        for name, path in arguments.genome_summary.items()
    }
    content = {
        "format": FORMAT,
        "screen": arguments.screen,
        "inputs": input_digests(arguments, genomes),
        "genomes": {name: summary.get("sha256") for name, summary in genomes.items()},
        "settings": arguments.settings,
        "code": arguments.code,
        "workflow": arguments.workflow,
        "model": {
            "weights_sha256": file_digest(arguments.model / "model.safetensors"),
            "training": model["training"],
            "scan_plan": model["scan_plan"],
        },
        "scans": {name: scan_record(folder) for name, folder in arguments.scan.items()},
        "jobs": job_times(arguments.time_logs),
    }
    write_json(arguments.output, content)


def input_digests(
    arguments: argparse.Namespace, genomes: Mapping[str, Mapping]
) -> dict[str, dict[str, object]]:
    """Return SHA-256 and size of every file of the user, by path.

    Raises
    ------
    InputError
        If a file is no longer the one that was used.
    """
    used = {str(path): None for path in arguments.file}
    for name, path in arguments.fasta.items():
        used[str(path)] = genomes.get(name, {}).get("fasta_sha256")
    for path in arguments.sites_summary.values():
        used |= read_json(path, "summary of the sites").get("files_sha256", {})
    return {path: _checked_digest(Path(path), expected) for path, expected in used.items()}


def _checked_digest(path: Path, expected: str | None) -> dict[str, object]:
    """Return SHA-256 and size of a file; raise InputError if it was another when it was used."""
    found = file_digest(existing_file(path, "input"))
    if expected and found != expected:
        raise InputError(
            f"{path} has SHA-256 {found}; it was {expected} when results were made from it. Put "
            "the file back, or touch it so that the next run makes everything anew"
        )
    return {"sha256": found, "bytes": path.stat().st_size}


def scan_record(folder: Path) -> dict[str, object]:
    """Return what was scanned where, how long it took, and digests of what came of it."""
    summary = read_json(folder / "summary.json", "scan summary")
    kept = ("genome_sha256", "shards", "hardware", "seconds")
    return {key: summary.get(key) for key in kept} | {
        f"{name.partition('.')[0]}_sha256": file_digest(folder / name) for name in _OUTPUTS
    }


def job_times(folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return wall time (s) and largest memory (MB) of the jobs that Snakemake timed, by name."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.tsv")):
            table = pd.read_csv(path, sep="\t")
            if {"s", "max_rss"} <= set(table.columns) and len(table):
                last = table[["s", "max_rss"]].apply(pd.to_numeric, errors="coerce").iloc[-1]
                name = str(path.relative_to(folder).with_suffix(""))
                values = {"seconds": last["s"], "max_rss_mb": last["max_rss"]}
                found[name] = {key: float(v) for key, v in values.items() if pd.notna(v)}
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(record, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
