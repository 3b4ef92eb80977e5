"""Encode a genome: one byte a base, and tables of its contigs and lower-case stretches.

In:  a FASTA file (plain, gzip or bgzip; any line width; LF or CRLF; either case).
Out: codes.npy     uint8, contigs one after another: A 0, C 1, G 2, T 3, anything else 4
     contigs.tsv   contig, length, offset, unknown_bases, gaps (runs of unknown bases)
     softmask      Parquet: contig, start, end (0-based half-open) of every lower-case run
     summary.json  counts of bases, letters, ambiguity codes and lower-case bases; SHA-256 of
                   FASTA file and codes

The file is read once, in blocks; memory does not grow with the length of the genome.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genomesieve.alphabet import DNA
from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.fasta import FastaTotals, encode_fasta
from genomesieve.files import existing_file, file_digest, whole_files, write_json, write_table
from genomesieve.progress import Progress

logger = logging.getLogger(__name__)

SOFTMASK_SCHEMA = pa.schema([("contig", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
RUNS_PER_GROUP = 1 << 18


class CodesFile:
    """A .npy file of uint8 written from front to back, its length filled in at the end.

    Parameters
    ----------
    path : Path
        The new file.
    """

    def __init__(self, path: Path) -> None:
        self._handle = path.open("wb")
        self._digest = hashlib.sha256()
        self._length = 0
        self._write_header()

    def append(self, codes: bytes) -> None:
        """Write the next codes."""
        self._handle.write(codes)
        self._digest.update(codes)
        self._length += len(codes)

    def close(self) -> str:
        """Complete the file and return the SHA-256 of its codes (without the header)."""
        self._handle.seek(0)
        self._write_header()
        self._handle.close()
        return self._digest.hexdigest()

    def _write_header(self) -> None:
        """Write the header for the current length; numpy pads it to a fixed size."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._handle, header)


class SoftmaskFile:
    """A Parquet table of lower-case runs, written as they come in groups of bounded size.

    Parameters
    ----------
    path : Path
        The new file.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SOFTMASK_SCHEMA)
        self._waiting: list[pa.Table] = []

    def append(self, contigs: list[str], starts: np.ndarray, ends: np.ndarray) -> None:
        """Add runs given by contig, start and end (0-based half-open)."""
        self._waiting.append(pa.table([contigs, starts, ends], schema=SOFTMASK_SCHEMA))
        if sum(len(runs) for runs in self._waiting) >= RUNS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is waiting and complete the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        """Write the waiting runs as one row group."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []


def encode(fasta: Path, codes_path: Path, softmask_path: Path) -> tuple[FastaTotals, str]:
    """Write codes and lower-case runs of a FASTA file; return its totals and the codes' SHA-256."""
    codes, progress = CodesFile(codes_path), Progress(None, "base", fasta.name)

    def append(some: bytes) -> None:
        codes.append(some)
        progress.update(len(some))

    softmask = SoftmaskFile(softmask_path)
    try:
        totals = encode_fasta(fasta, append, softmask.append)
    finally:
        softmask.close()
        digest = codes.close()
        progress.close()
    return totals, digest


def summarise(
    genome: str, fasta: Path, fasta_digest: str, totals: FastaTotals, digest: str
) -> dict[str, object]:
    """Return the content of summary.json."""
    letters = dict(zip([*DNA.letters, "unknown"], totals.letter_counts.tolist()))
    known = int(totals.letter_counts[: DNA.size].sum())
    strong = letters["C"] + letters["G"]
    return {
        "genome": genome,
        "fasta": fasta.name,
        "fasta_sha256": fasta_digest,
        "sha256": digest,
        "contigs": len(totals.names),
        "bases": totals.bases,
        "letters": letters,
        "iupac": totals.ambiguous_letters(),
        "gc": strong / known if known else None,
        "unknown_bases": letters["unknown"],
        "gaps": sum(totals.gaps),
        "soft_masked_bases": totals.soft_masked_bases,
    }


def checked_digest(fasta: Path, expected: str) -> str:
    """Return a FASTA file's SHA-256; raise InputError unless it is as expected, if anything is."""
    found = file_digest(existing_file(fasta, "FASTA file"))
    if expected and found != expected.lower():
        raise InputError(f"FASTA file {fasta} has SHA-256 {found}; expected {expected.lower()}")
    return found


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome")
    parser.add_argument("--fasta", required=True, type=Path, help="FASTA file, plain or gzip")
    parser.add_argument("--sha256", default="", help="of the FASTA file; empty takes any")
    parser.add_argument("--codes", required=True, type=Path, help="output: codes, .npy, uint8")
    parser.add_argument("--contigs", required=True, type=Path, help="output: contigs, .tsv, bp")
    parser.add_argument(
        "--softmask", required=True, type=Path, help="output: lower-case runs, .parquet"
    )
    parser.add_argument("--summary", required=True, type=Path, help="output: counts, .json")
    return parser.parse_args(argv)


def work(arguments: argparse.Namespace) -> None:
    """Encode the genome and write all outputs, or none."""
    fasta_digest = checked_digest(arguments.fasta, arguments.sha256)
    outputs = (arguments.summary, arguments.contigs, arguments.softmask, arguments.codes)
    with whole_files(*outputs) as (summary, contigs, softmask, codes):
        totals, digest = encode(arguments.fasta, codes, softmask)
        write_table(contigs, totals.contig_table())
        write_json(
            summary, summarise(arguments.genome, arguments.fasta, fasta_digest, totals, digest)
        )
    logger.info(
        "%s: %d contigs, %d bases, %d unknown",
        arguments.genome,
        len(totals.names),
        totals.bases,
        totals.letter_counts[DNA.unknown],
    )


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
