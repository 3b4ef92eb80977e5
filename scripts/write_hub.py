"""Write a track hub for the scan of a genome, so that genome browsers show calls and tracks.

In: the folder of a scan (calls.bed.gz, bigWigs) and the encoded genome. Out, in the folder of the
scan: hub.txt, genomes.txt and trackDb.txt, which name the other files without folders; calls.bb
(bigBed) and genome.2bit (the sequence, so that any genome can be shown). UCSC takes the address of
hub.txt; IGV opens calls.bed.gz and bigWigs by themselves, on the FASTA.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.big_bed import write_big_bed
from genomesieve.call_files import read_calls
from genomesieve.command_line import comma_list, make_parser, run_script
from genomesieve.files import existing_file, read_json, read_table, whole_files
from genomesieve.genome import EncodedGenome
from genomesieve.track_hub import Hub, default_place, genomes_text, hub_text, track_text
from genomesieve.two_bit import write_two_bit

logger = logging.getLogger(__name__)

STRANDS = {1: ("both",), 2: ("plus", "minus")}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--screen", required=True, help="name of the screen")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--scan", type=Path, required=True, help="folder of the scan")
    parser.add_argument(
        "--bigwigs",
        type=comma_list,
        help="classes that have tracks, with commas between them (default: all)",
    )
    parser.add_argument("--softmask", type=Path, help="lower-case runs, from encode_genome")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def write(arguments: argparse.Namespace) -> None:
    """Read the scan and write the hub."""
    genome = EncodedGenome.open(arguments.genome_folder)
    summary = read_json(arguments.scan / "summary.json", "scan summary")
    classes = list(summary["classes"])
    wanted = classes if arguments.bigwigs is None else arguments.bigwigs
    calls = read_calls(arguments.scan / "calls.bed.gz", genome.name)
    hub = Hub(
        arguments.screen,
        genome.name,
        tuple(classes),
        tuple(list_tracks(arguments.scan, wanted, STRANDS[summary["strands"]])),
        place_to_open(calls, arguments.scan, genome),
        not calls.empty,
    )
    folder = arguments.output_dir
    texts = {"hub.txt": hub_text, "genomes.txt": genomes_text, "trackDb.txt": track_text}
    write_two_bit(folder / "genome.2bit", genome, masked_runs(arguments.softmask))
    write_big_bed(folder / "calls.bb", calls, genome.contigs)
    with whole_files(*(folder / name for name in texts)) as paths:
        for path, text in zip(paths, texts.values()):
            path.write_text(text(hub), encoding="utf-8")
    logger.info("%s: %d calls, %d tracks", genome.name, len(calls), len(hub.tracks))


def list_tracks(
    scan: Path, classes: Sequence[str], strands: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return class, strand and file of every bigWig; each has to be there."""
    tracks = [(name, strand, f"{name}.{strand}.bw") for name in classes for strand in strands]
    for _, _, file in tracks:
        existing_file(scan / file, "bigWig")
    return tracks


def place_to_open(calls: pd.DataFrame, scan: Path, genome: EncodedGenome) -> str:
    """Return the surroundings of the best call, or the first bases that were scanned."""
    if len(calls):
        best = calls.iloc[int(np.argmax(calls["probability"].to_numpy()))]
    else:
        table = read_table(scan / "intervals.tsv", "scanned intervals", text=("contig", "part"))
        best = table.iloc[0].copy()
        best["end"] = best["start"] + 1
    length = genome.contigs["length"].iloc[genome.index_of(best["contig"])]
    return default_place(best["contig"], int(best["start"]), int(best["end"]), int(length))


def masked_runs(path: Path | None) -> dict[str, np.ndarray]:
    """Read the soft-masked stretches of every contig."""
    if path is None:
        return {}
    table = read_table(path, "lower-case runs", ("contig", "start", "end"))
    groups = table.groupby("contig", sort=False)
    return {name: rows[["start", "end"]].to_numpy(np.int64) for name, rows in groups}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(write, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
