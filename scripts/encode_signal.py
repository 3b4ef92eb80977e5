"""Encode a track of numbers on a genome: one value a base, contigs one after another.

In:  an encoded genome; a bigWig, or intervals (BED, narrowPeak, broadPeak; plain or gzip), which
     are 1 where one covers the base and 0 elsewhere.
Out: values        .npy, float16, one value a base in the order of codes.npy; bases without a value
                   are 0
     summary.json  bases, those without a value, those cut to what float16 holds (+-65504), least
                   and largest value, mean and standard deviation of all bases

A bigWig is read in blocks; memory does not grow with the length of the genome.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.command_line import make_parser, run_script
from genomesieve.contig_names import read_aliases
from genomesieve.errors import InputError
from genomesieve.files import whole_files, write_json
from genomesieve.genome import read_contigs
from genomesieve.signal_tracks import SignalTotals, fill_from_bigwig, fill_from_intervals, is_bigwig

logger = logging.getLogger(__name__)

FORMATS = ("auto", "bigwig", "bed", "narrowPeak", "broadPeak")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome, for messages")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--track", required=True, help="name of the track, for messages")
    parser.add_argument("--file", type=Path, required=True, help="bigWig or BED")
    parser.add_argument(
        "--format", choices=FORMATS, default="auto", help="auto: by the file's name"
    )
    parser.add_argument("--alias", type=Path, help="two columns: name elsewhere, name in the FASTA")
    parser.add_argument("--values", type=Path, required=True, help="output: .npy, float16")
    parser.add_argument("--summary", type=Path, required=True, help="output: counts, .json")
    return parser.parse_args(argv)


def encode(arguments: argparse.Namespace, path: Path) -> SignalTotals:
    """Write the values of the track to `path`."""
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    aliases = read_aliases(arguments.alias, contigs["contig"])
    length = int(contigs["length"].sum())
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(length,))
    if is_bigwig(arguments.file, arguments.format):
        return read_bigwig_apart(path, arguments.file, contigs, aliases)
    totals = fill_from_intervals(values, arguments.file, contigs, aliases)
    values.flush()
    return totals


def read_bigwig_apart(
    path: Path, file: Path, contigs: pd.DataFrame, aliases: Mapping[str, str]
) -> SignalTotals:
    """Read a bigWig in a process of its own: libBigWig crashes on some damaged files.

    Raises
    ------
    InputError
        If the file is not what it should be, or reading it ends the process.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        try:
            return pool.submit(_fill, path, file, contigs, aliases).result()
        except BrokenProcessPool as error:
            raise InputError(
                f"signal {file} ends the program that reads it; expected an undamaged bigWig"
            ) from error


def _fill(path: Path, *arguments: object) -> SignalTotals:
    """Write the values of a bigWig to a file that has its size."""
    values = np.lib.format.open_memmap(path, mode="r+")
    totals = fill_from_bigwig(values, *arguments)
    values.flush()
    return totals


def work(arguments: argparse.Namespace) -> None:
    """Encode the track and write both outputs, or none."""
    with whole_files(arguments.summary, arguments.values) as (summary, values):
        try:
            totals = encode(arguments, values)
        except InputError as error:
            raise InputError(f"track {arguments.track}: {error}") from None
        names = {"genome": arguments.genome, "track": arguments.track, "file": arguments.file.name}
        write_json(summary, names | totals.describe())
    logger.info(
        "%s on %s: %d bases, %d without a value, %d clipped",
        arguments.track,
        arguments.genome,
        totals.bases,
        totals.missing,
        totals.clipped,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
