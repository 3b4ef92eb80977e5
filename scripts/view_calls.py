"""Show the best calls, the best misses and the worst false positives of a genome on its sequence.

In: the encoded genome, the merged scan (calls.bed.gz with its index and, where they were written,
the bigWig tracks of the classes), the bundle and, where sites are known, sites.parquet and the
evaluation's calls.parquet. Out: one HTML page that needs nothing else, made by igv-reports: a table
of places, and igv.js with sequence, probabilities, known sites and calls around the chosen one.

Where nothing is known of the genome's sites, the page shows its best calls.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from genomesieve.call_files import read_calls
from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.files import read_json, read_table, whole_file
from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.report_scripts import SORT_SCRIPT
from genomesieve.report_template import STYLE
from genomesieve.view_files import (
    STRAND_COLORS,
    write_calls,
    write_sequence,
    write_sites,
    write_table,
    write_track,
    write_tracks,
)
from genomesieve.view_template import VIEW_SCRIPT, VIEW_STYLE, view_page
from genomesieve.viewed_sites import called_places, judged_places, merged_windows

logger = logging.getLogger(__name__)

OUTCOME_COLUMNS = (
    "contig", "start", "end", "class", "strand", "score", "probability", "status", "called",
)  # fmt: skip
SITE_COLUMNS = ("contig", "position", "strand", "class")
MOST_CLASSES = 8
"""Classes whose tracks are shown; more would not fit on a screen."""

MOST_PLACES = 300
"""Places on one page, each of which costs some kilobytes."""

WINDOW = 81
"""Bases that are shown first: letters can be read on a wide screen."""

SEQUENCE_MARGIN = 500
"""Bases that igv-reports takes beyond the tracks on either side."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", required=True, help="name of the genome")
    parser.add_argument("--genome-folder", type=Path, required=True, help="from encode_genome")
    parser.add_argument("--model", type=Path, required=True, help="calibrated bundle folder")
    parser.add_argument("--scan", type=Path, required=True, help="merged scan folder")
    parser.add_argument("--sites", type=Path, help="sites.parquet, where sites are known")
    parser.add_argument("--evaluation", type=Path, help="evaluation folder, where there is one")
    parser.add_argument("--title", default="", help="what the screen is called")
    parser.add_argument("--most", type=int, default=8, help="places of each class and kind")
    parser.add_argument(
        "--flank", type=int, default=500, help="bp that can be seen on either side of a place"
    )
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    return parser.parse_args(argv)


def work(arguments: argparse.Namespace) -> None:
    """Choose the places, write what igv-reports reads, and have it make the page."""
    for option in ("most", "flank"):
        if getattr(arguments, option) < 1:
            raise InputError(f"--{option}: found {getattr(arguments, option)}; expected at least 1")
    model = read_json(arguments.model / "model.json", "model")
    if not model.get("classes"):
        raise InputError(f"model {arguments.model / 'model.json'} lacks classes")
    genome = EncodedGenome.open(arguments.genome_folder, arguments.genome)
    places = choose_places(arguments, list(model["classes"]))
    contig_rows(genome.contigs, places["contig"].unique(), genome.name)
    with whole_file(arguments.output) as path:
        if places.empty:
            path.write_text(empty_page(arguments), encoding="utf-8")
        else:
            make_view(arguments, model, genome, places, path)
    logger.info("wrote %s: %d places", arguments.output, len(places))


def choose_places(arguments: argparse.Namespace, classes: list[str]) -> pd.DataFrame:
    """Return the places to be shown."""
    if arguments.evaluation is None:
        most = max(1, min(arguments.most * 3, MOST_PLACES // len(classes)))
        calls = read_calls(arguments.scan / "calls.bed.gz", arguments.genome)
        return called_places(calls, classes, most).head(MOST_PLACES)
    most = max(1, min(arguments.most, MOST_PLACES // (3 * len(classes))))
    path = arguments.evaluation / "calls.parquet"
    calls = read_table(path, f"evaluation of {arguments.genome}", OUTCOME_COLUMNS)
    return judged_places(calls, classes, most).head(MOST_PLACES)


def make_view(
    arguments: argparse.Namespace,
    model: dict,
    genome: EncodedGenome,
    places: pd.DataFrame,
    output: Path,
) -> None:
    """Write the files of a view into a folder that is deleted, and the page to `output`."""
    lengths = dict(zip(genome.contigs["contig"], genome.contigs["length"].astype(int)))
    windows = merged_windows(places, arguments.flank, lengths)
    longer = merged_windows(places, arguments.flank + SEQUENCE_MARGIN + 1, lengths)
    with tempfile.TemporaryDirectory(prefix="genomesieve-view-") as name:
        folder = Path(name)
        write_sequence(folder / "sequence.fa", genome, longer)
        write_table(folder / "places.tsv", places)
        write_tracks(folder / "tracks.json", track_files(arguments, model, windows, folder))
        page = view_page(
            heading(arguments),
            explain(arguments, model),
            STYLE + VIEW_STYLE,
            igv_script(),
            [VIEW_SCRIPT, SORT_SCRIPT],
        )
        (folder / "template.html").write_text(page, encoding="utf-8")
        width = int((places["end"] - places["start"]).max())
        run_igv_reports(folder, output, 2 * arguments.flank, max(WINDOW, 3 * width))


def track_files(
    arguments: argparse.Namespace, model: dict, windows: dict, folder: Path
) -> list[dict]:
    """Write the tracks of a view; return how each is shown, from top to bottom."""
    tracks = []
    if arguments.sites is not None:
        sites = read_table(arguments.sites, "sites", SITE_COLUMNS)
        write_sites(folder / "sites.bed.gz", sites[sites["class"].isin(model["classes"])], windows)
        tracks.append(bed_track("known sites", folder / "sites.bed.gz", "#000000"))
    write_calls(folder / "calls.bed.gz", arguments.scan / "calls.bed.gz", windows)
    tracks.append(bed_track("calls", folder / "calls.bed.gz", "#0072B2"))
    for name in model["classes"][:MOST_CLASSES]:
        for strand, color in STRAND_COLORS.items():
            bigwig = arguments.scan / f"{name}.{strand}.bw"
            if not bigwig.is_file():
                continue
            path = folder / f"{name}.{strand}.bedgraph.gz"
            write_track(path, bigwig, windows)
            words = {"plus": " +", "minus": " −", "both": ""}
            tracks.append({"name": name + words[strand], "url": str(path), "color": color,
                           "type": "wig", "format": "bedgraph", "min": 0, "max": 1,
                           "height": 45})  # fmt: skip
    return tracks


def bed_track(name: str, path: Path, color: str) -> dict:
    """Return how a track of places is shown."""
    looks = {"color": color, "height": 50, "displayMode": "EXPANDED"}
    return {"name": name, "url": str(path), **looks}


def heading(arguments: argparse.Namespace) -> str:
    """Return the title of the page."""
    return f"{arguments.title + ': ' if arguments.title else ''}calls on {arguments.genome}"


def explain(arguments: argparse.Namespace, model: dict) -> list[str]:
    """Return what the reader of a page must know."""
    known = (
        "Of each class: the best-scoring right calls, the known sites with the highest scores that "
        "were not called, and the highest-scoring places that are no known site. Some of those may "
        "be real sites that nobody annotated."
    )
    unknown = (
        "No sites are known on this genome, so these are its best-scoring calls, right or wrong."
    )
    notes = [unknown if arguments.evaluation is None else known]
    notes.append(
        "Choose a row to see the place. Tracks are probabilities from 0 to 1, by class and strand."
    )
    if len(model["classes"]) > MOST_CLASSES:
        notes.append(
            f"Tracks of the first {MOST_CLASSES} of {len(model['classes'])} classes are shown."
        )
    return notes


def empty_page(arguments: argparse.Namespace) -> str:
    """Return the page of a genome on which there is nothing to show."""
    sentence = "Nothing was called on this genome, and no known site was missed: nothing to show."
    page = view_page(heading(arguments), [sentence], STYLE, "", [])
    return page[: page.index("<main>")] + "</body>\n</html>\n"


def igv_script() -> str:
    """Return igv.js, minified: a file of igv-notebook, which itself needs a notebook to run."""
    folder = Path(find_spec("igv_notebook").origin).parent
    return (folder / "js" / "igv.iife.js").read_text(encoding="utf-8")


def run_igv_reports(folder: Path, output: Path, flanking: int, window: int) -> None:
    """Have igv-reports fill the template in `folder`; it would load igv.js from a network itself.

    Raises
    ------
    InputError
        With the last line of what it said, if it fails.
    """
    command = [sys.executable, "-m", "igv_reports.report", str(folder / "places.tsv")]
    command += ["--sequence", "3", "--begin", "4", "--end", "5"]
    command += ["--fasta", str(folder / "sequence.fa"), "--flanking", str(flanking)]
    command += ["--window", str(window), "--track-config", str(folder / "tracks.json")]
    command += ["--template", str(folder / "template.html"), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"igv-reports made no page: {last}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
