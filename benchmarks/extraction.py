"""Encode a human-sized genome and label its 50-bp bins by position, on two cores.

A FASTA file of 3.1 Gb is made by tiling a sequence (--fasta: the first contig of a file; default: a
synthetic one with lower-case runs and runs of N) under 24 names, each with its pieces in an order
of its own. `scripts/encode_genome.py` encodes it, plain and gzip-compressed; the codes are compared
with what pysam reads. Then 62 million bins of 50 bp are labelled against 500,000 peaks: a bin is
positive if it holds the middle base of a peak, ignored if it only overlaps one. That is
`scripts/extract_sites.py` followed by `label_bins`, from the BED file to one byte a bin on disk,
compared with `bedtools intersect` of the bins' BED file with the 1-bp positions.

Temporary files take less than 8 GB of disk and are deleted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import measuring
import numpy as np
import pandas as pd
import pysam
from measuring import ProcessRun, Row, quick_parser, run_process, save

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.genome import EncodedGenome, read_contigs  # noqa: E402
from genomesieve.labels_on_bins import expand_ranges, label_bins  # noqa: E402
from genomesieve.layout import make_layout  # noqa: E402

CORES = 2
CONTIGS = 24
PIECES = 16
WIDTH = 60
RESOLUTION = 50
REGIONS, REGION_LENGTH = 400, 20_000
POSITIVE, IGNORED = 1, 2


@dataclass(frozen=True)
class Sizes:
    """How much is made: bases of the tiled sequence, bases and peaks of the genome."""

    sequence: int
    genome: int
    peaks: int


FULL = Sizes(sequence=60_000_000, genome=3_100_000_000, peaks=500_000)
QUICK = Sizes(sequence=400_000, genome=10_000_000, peaks=5_000)


def synthetic_sequence(length: int) -> bytes:
    """Return random letters with lower-case runs (half of the bases) and a few runs of N."""
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[generator.integers(0, 4, length, dtype=np.uint8)]
    edges = np.cumsum(generator.geometric(1 / 300, length // 300 + 1000))
    is_lower = np.searchsorted(edges, np.arange(length), "right") % 2 == 1
    letters = np.where(is_lower, letters | 0x20, letters)
    for start in generator.integers(0, length, 20):
        letters[start : start + length // 400] = ord("N")
    return letters.tobytes()


def first_contig(fasta: Path) -> bytes:
    """Return the letters of the first contig of a FASTA file (plain or gzip)."""
    with fasta.open("rb") as handle:
        is_gzip = handle.read(2) == b"\x1f\x8b"
    lines = []
    with gzip.open(fasta) if is_gzip else fasta.open("rb") as handle:
        handle.readline()
        for line in handle:
            if line.startswith(b">"):
                break
            lines.append(line.rstrip())
    return b"".join(lines)


def cut_pieces(sequence: bytes) -> list[bytes]:
    """Cut a sequence into pieces of whole FASTA lines."""
    size = len(sequence) // (PIECES * WIDTH) * WIDTH
    pieces = []
    for first in range(0, PIECES * size, size):
        lines = [sequence[at : at + WIDTH] for at in range(first, first + size, WIDTH)]
        pieces.append(b"\n".join(lines) + b"\n")
    return pieces


def write_fasta_files(sequence: bytes, bases: int, plain: Path, packed: Path) -> None:
    """Write at least so many bases, plain and as gzip of many members.

    Every piece is compressed once, at gzip's usual level; a gzip file may hold many members, as
    bgzip's do.
    """
    pieces = cut_pieces(sequence)
    members = [gzip.compress(piece, 6) for piece in pieces]
    piece_bases = len(pieces[0]) // (WIDTH + 1) * WIDTH
    count = -(-bases // (piece_bases * CONTIGS))
    with plain.open("wb") as text, packed.open("wb") as compressed:
        for contig in range(CONTIGS):
            header = b">chr%d\n" % (contig + 1)
            text.write(header)
            compressed.write(gzip.compress(header))
            for number in range(count):
                # Contigs differ in step and start, so that no two are alike.
                place = (contig + number * (1 + 2 * (contig % 8))) % PIECES
                text.write(pieces[place])
                compressed.write(members[place])


def encode(fasta: Path, folder: Path) -> ProcessRun:
    """Run the encoder as a program."""
    folder.mkdir()
    command = [sys.executable, str(SCRIPTS / "encode_genome.py"), "--genome", "tiled"]
    command += ["--fasta", str(fasta), "--codes", str(folder / "codes.npy")]
    command += ["--contigs", str(folder / "contigs.tsv")]
    command += ["--softmask", str(folder / "softmask.parquet")]
    return run_process([*command, "--summary", str(folder / "summary.json")])


def count_differences(fasta: Path, folder: Path) -> int:
    """Compare codes with pysam's reading: whole contigs' ends and random regions."""
    genome = EncodedGenome.open(folder)
    generator = np.random.default_rng(1)
    different = 0
    with pysam.FastaFile(str(fasta)) as reader:
        assert list(reader.references) == list(genome.contigs["contig"])
        assert list(reader.lengths) == list(genome.contigs["length"])
        lengths = np.array(reader.lengths)
        rows = np.append(np.arange(len(lengths)), generator.integers(0, len(lengths), REGIONS))
        starts = (generator.random(len(rows)) * (lengths[rows] - REGION_LENGTH)).astype(int)
        starts[: len(lengths)] = lengths - REGION_LENGTH
        for name, start in zip(np.array(reader.references)[rows].tolist(), starts.tolist()):
            text = reader.fetch(name, start, start + REGION_LENGTH).upper()
            table = str.maketrans(dict.fromkeys(DNA.ambiguous, "N"))
            found = DNA.decode(genome.fetch(name, start, start + REGION_LENGTH))
            different += found != text.translate(table)
    return different


def measure_encoding(sequence: bytes, sizes: Sizes, folder: Path) -> tuple[list[Row], dict]:
    """Encode the plain and the compressed file; leave the codes of the first in `folder/plain`."""
    plain, packed = folder / "tiled.fa", folder / "tiled.fa.gz"
    write_fasta_files(sequence, sizes.genome, plain, packed)
    details = {"plain_bytes": plain.stat().st_size, "gzip_bytes": packed.stat().st_size}
    runs = {"plain": encode(plain, folder / "plain")}
    different = count_differences(plain, folder / "plain")
    plain.unlink()
    runs["gzip"] = encode(packed, folder / "gzip")
    summaries = {
        name: json.loads((folder / name / "summary.json").read_text()) for name in ("plain", "gzip")
    }
    same = summaries["plain"]["sha256"] == summaries["gzip"]["sha256"]
    (folder / "gzip" / "codes.npy").unlink()
    equal = f"0 regions that differ from pysam (found {different} of {REGIONS + CONTIGS})"
    equal += f"; both files give the same codes ({'yes' if same else 'no'})"
    right = different == 0 and same
    bases = summaries["plain"]["bases"]
    rows = []
    for name, seconds in (("plain", 90), ("gzip", 180)):
        what = f"encode {bases / 1e9:.2f} Gb of FASTA, {name}"
        rows += limit_rows(what, runs[name], seconds, 1.0, right, equal)
    details |= {"bases": bases, "soft_masked_bases": summaries["plain"]["soft_masked_bases"]}
    details |= {f"{name}_mapped_bytes": run.mapped for name, run in runs.items()}
    return rows, details


def limit_rows(
    what: str, run: ProcessRun, seconds: float, gigabytes: float, right: bool, equal: str
) -> list[Row]:
    """Return a row for the time and one for the memory of a run."""
    memory = run.anonymous / 1e9
    return [
        Row(what, "wall time", "s", run.seconds, None, "", None, f"<= {seconds:g} s",
            right and run.seconds <= seconds, equal),
        Row(what, "peak anonymous memory", "GB", memory, None, "", None, f"<= {gigabytes:g} GB",
            right and memory <= gigabytes, equal),
    ]  # fmt: skip


def draw_peaks(contigs: pd.DataFrame, count: int) -> pd.DataFrame:
    """Draw peaks of 100 to 1,500 bp all over the genome, sorted; some overlap."""
    generator = np.random.default_rng(2)
    length = contigs["length"].to_numpy(np.int64)
    row = np.sort(generator.choice(len(length), count, p=length / length.sum()))
    width = generator.integers(100, 1500, count)
    start = (generator.random(count) * (length[row] - width)).astype(np.int64)
    order = np.lexsort((start, row))
    row, start, width = row[order], start[order], width[order]
    name = contigs["contig"].to_numpy()[row]
    return pd.DataFrame({"contig": name, "start": start, "end": start + width})


def write_bed(table: pd.DataFrame, path: Path) -> None:
    """Write contig, start and end."""
    table[["contig", "start", "end"]].to_csv(path, sep="\t", header=False, index=False)


def whole_split(contigs: pd.DataFrame) -> pd.DataFrame:
    """Return a split in which every contig is one part."""
    return pd.DataFrame(
        {"contig": contigs["contig"], "start": 0, "end": contigs["length"], "part": "test"}
    )


def label_genome(folder: Path) -> None:
    """Label every bin and write one byte a bin; runs in a process of its own."""
    contigs = read_contigs(folder / "plain" / "contigs.tsv")
    layout = make_layout(whole_split(contigs), contigs, ("test",), RESOLUTION, 100, "tiled")
    sites = pd.read_parquet(folder / "sites.parquet")
    intervals = pd.read_parquet(folder / "intervals.parquet")
    labels = label_bins(layout, contigs, "tiled", sites, intervals, ["peak"], False).of[0, 0]
    dense = np.zeros(layout.bins, dtype=np.uint8)
    dense[expand_ranges(labels.ignored)] = IGNORED
    dense[labels.positive] = POSITIVE
    np.save(folder / "labels.npy", dense)


def run_labelling(folder: Path) -> tuple[ProcessRun, ProcessRun]:
    """Extract the sites of the peaks, then label the bins, both as programs."""
    track = {"track": "peaks", "file": str(folder / "peaks.bed"), "format": "bed"}
    track |= {"role": "site", "class": "peak", "anchor": "middle"}
    command = [sys.executable, str(SCRIPTS / "extract_sites.py"), "--genome", "tiled"]
    command += ["--genome-folder", str(folder / "plain"), "--resolution", str(RESOLUTION)]
    command += ["--classes", json.dumps({"peak": {"stranded": False, "site": None}})]
    command += ["--tracks", json.dumps([track]), "--sites", str(folder / "sites.parquet")]
    command += ["--intervals", str(folder / "intervals.parquet")]
    extracted = run_process([*command, "--summary", str(folder / "sites.json")])
    return extracted, run_process([sys.executable, __file__, "--label", str(folder)])


def bedtools_bins(folder: Path, against: str) -> tuple[pd.DataFrame, float]:
    """Return the whole bins that `bedtools intersect` finds, and its seconds."""
    begin = time.perf_counter()
    with (folder / "found.bed").open("w") as out:
        command = ["bedtools", "intersect", "-u", "-sorted", "-g", "sizes.tsv"]
        command += ["-a", "bins.bed", "-b", against]
        subprocess.run(command, cwd=folder, stdout=out, check=True)
    seconds = time.perf_counter() - begin
    found = pd.read_csv(folder / "found.bed", sep="\t", names=["contig", "start", "end"])
    return found[found["end"] - found["start"] == RESOLUTION], seconds


def write_bedtools_input(folder: Path, contigs: pd.DataFrame, peaks: pd.DataFrame) -> None:
    """Write bins, peaks and the 1-bp positions of peaks as sorted BED files."""
    contigs[["contig", "length"]].to_csv(folder / "sizes.tsv", sep="\t", header=False, index=False)
    with (folder / "bins.bed").open("w") as out:
        command = ["bedtools", "makewindows", "-g", "sizes.tsv", "-w", str(RESOLUTION)]
        subprocess.run(command, cwd=folder, stdout=out, check=True)
    middle = (peaks["start"] + peaks["end"] - 1) // 2
    order = peaks["contig"].map({name: row for row, name in enumerate(contigs["contig"])})
    points = pd.DataFrame({"contig": peaks["contig"], "start": middle, "end": middle + 1})
    points = points.assign(order=order).sort_values(["order", "start"])
    write_bed(points, folder / "positions.bed")


def bin_numbers(found: pd.DataFrame, contigs: pd.DataFrame) -> np.ndarray:
    """Return the numbers of bins given by contig and start; whole bins count from the first on."""
    sizes = contigs["length"].to_numpy(np.int64) // RESOLUTION
    first = dict(zip(contigs["contig"], np.cumsum(sizes) - sizes))
    return found["contig"].map(first).to_numpy(np.int64) + found["start"] // RESOLUTION


def measure_labelling(sizes: Sizes, folder: Path) -> tuple[list[Row], dict]:
    """Label the bins of the genome in `folder/plain` and compare with bedtools."""
    contigs = read_contigs(folder / "plain" / "contigs.tsv")
    peaks = draw_peaks(contigs, sizes.peaks)
    write_bed(peaks, folder / "peaks.bed")
    extracted, labelled = run_labelling(folder)
    labels = np.load(folder / "labels.npy")
    write_bedtools_input(folder, contigs, peaks)
    positive, seconds = bedtools_bins(folder, "positions.bed")
    touched, _ = bedtools_bins(folder, "peaks.bed")
    expected = np.zeros(len(labels), dtype=np.uint8)
    expected[bin_numbers(touched, contigs)] = IGNORED
    expected[bin_numbers(positive, contigs)] = POSITIVE
    different = int((labels != expected).sum())
    version = subprocess.run(["bedtools", "--version"], capture_output=True, text=True, check=True)
    peer = version.stdout.strip().replace(" v", " ") + " intersect"
    what = f"label {len(labels) / 1e6:.1f} million bins of {RESOLUTION} bp by {sizes.peaks:,} peaks"
    equal = f"0 bins that differ (found {different} of {len(labels)})"
    both = ProcessRun(
        extracted.seconds + labelled.seconds,
        max(extracted.anonymous, labelled.anonymous),
        max(extracted.mapped, labelled.mapped),
        "",
    )
    rows = limit_rows(f"{what}, BED file to labels", both, 60, 2.0, different == 0, equal)
    ratio = seconds / labelled.seconds
    # The peer starts from 1-bp positions in order, so what it compares with starts from sites.
    rows.append(
        Row(f"{what}, positions to labels", "wall time", "s", labelled.seconds, seconds, peer,
            ratio, "", different == 0, equal)
    )  # fmt: skip
    details = {
        "positive_bins": len(positive),
        "ignored_bins": int((labels == IGNORED).sum()),
        "extract_sites_s": extracted.seconds,
        "labelling_includes": "two programs: BED to sites, sites to one byte a bin on disk",
        "bedtools_includes": "intersect of the bins' BED file with the positions, both sorted",
    }
    return rows, details


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = quick_parser(__doc__)
    parser.add_argument("--fasta", type=Path, help="sequence to tile; default: a synthetic one")
    parser.add_argument("--folder", type=Path, help="where to put temporary files")
    parser.add_argument("--label", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure and save."""
    arguments = parse_arguments()
    if arguments.label:
        label_genome(arguments.label)
        return 0
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sizes = QUICK if arguments.quick else FULL
    source = "synthetic" if arguments.fasta is None else "given"
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.quick:
            measuring.RESULTS = folder  # small sizes must not replace recorded results
        sequence = (
            first_contig(arguments.fasta) if arguments.fasta else synthetic_sequence(sizes.sequence)
        )
        rows, details = measure_encoding(sequence, sizes, folder)
        more_rows, more_details = measure_labelling(sizes, folder)
        versions = {"numpy": np.__version__, "pandas": pd.__version__, "pysam": pysam.__version__}
        details = {"sequence": source, "cores": CORES} | details | more_details
        save("extraction", [*rows, *more_rows], versions, details)
    return 0 if all(row.met for row in [*rows, *more_rows]) else 1


if __name__ == "__main__":
    sys.exit(main())
