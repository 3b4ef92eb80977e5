"""Variants scored with published splice weights, beside OpenSpliceAI's `variant` command.

The OpenSpliceAI weights for Arabidopsis (400 and 10,000 nt), the real chromosome, substitutions at
random places of its 25th to 30th megabase, 101 bp compared, one core, float32. The peer scores one
strand of each gene that holds a variant, so it is given two genes as long as the contig, one on
either strand: both sides do the same work. It is run as it comes (one window after the other) and
with its batches of 64 windows. Times are those that both programs print: from the first record read
to the last one written, the peer's with the loading of its network. Genome and weights are looked
for where the tests look for real genomes (GENOMESIEVE_DATA).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gzip
import json
import re
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from measuring import Row, median, print_rows, quick_parser, run_process, save
from real_data import ARABIDOPSIS_CONTIG, ARABIDOPSIS_FASTA, DATA
from scan import encode
from splice import CLASSES, CODE, START, declared, weights_of
from variants import DISTANCE, HEADER, SCRIPTS, calibrated

import import_model
from genomesieve.bundle import load_bundle, save_bundle
from genomesieve.processors import use_threads

TOLERANCE = 1e-4
COUNTS = {400: (500, 3), 10_000: (40, 3)}
"""Variants and repeats by the network's context."""
QUICK = {400: (20, 1)}


def import_weights(size: int, folder: Path) -> None:
    """Import published weights, as calibrated: probabilities are those of the network."""
    classes = {name: {"stranded": True} for name in CLASSES}
    options = {
        "--network-code": CODE, "--weights": weights_of(size), "--labels": "exclusive",
        "--model": json.dumps(declared(size)), "--classes": json.dumps(classes),
        "--output-dir": folder, "--threads": 1,
    }  # fmt: skip
    if import_model.main([str(item) for pair in options.items() for item in pair]):
        raise SystemExit(f"the weights of {size} nt could not be imported")
    bundle = load_bundle(folder, CODE)
    save_bundle(folder, calibrated(bundle, slope=1.0, intercept=0.0))


def write_inputs(folder: Path, count: int) -> Path:
    """Write genome (plain and encoded), annotation and variants; return the variants."""
    fasta = folder / "genome.fa"
    if not fasta.is_file():
        with gzip.open(ARABIDOPSIS_FASTA) as source, fasta.open("wb") as target:
            shutil.copyfileobj(source, target)
        encode(fasta, folder / "genome")
        last = len(np.load(folder / "genome" / "codes.npy", mmap_mode="r"))
        titles = "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"
        genes = "".join(
            f"gene{strand}\t{ARABIDOPSIS_CONTIG}\t{strand}\t0\t{last}\t0,\t{last},\n"
            for strand in "+-"
        )
        (folder / "genes.tsv").write_text(titles + genes)
    codes = np.load(folder / "genome" / "codes.npy", mmap_mode="r")
    generator = np.random.default_rng(2)
    lines = []
    for at in np.sort(generator.choice(5_000_000, count, replace=False)) + START:
        before = int(codes[at])
        after = (before + int(generator.integers(1, 4))) % 4
        if before < 4:
            lines.append(f"{ARABIDOPSIS_CONTIG}\t{at + 1}\t.\t{'ACGT'[before]}\t{'ACGT'[after]}")
    head, titles = HEADER.strip().split("\n")
    contig = f"##contig=<ID={ARABIDOPSIS_CONTIG},length={len(codes)}>"
    variants = folder / f"{count}.vcf"
    rows = "".join(f"{line}\t.\t.\t.\n" for line in lines)
    variants.write_text(f"{head}\n{contig}\n{titles}\n{rows}")
    return variants


def run_ours(folder: Path, model: Path, variants: Path) -> float:
    """Score with genomesieve; return the seconds that its summary tells."""
    command = [sys.executable, str(SCRIPTS / "score_variants.py"), "--device", "cpu"]
    command += ["--model", str(model), "--network-code", CODE, "--threads", "1"]
    command += ["--genome-folder", str(folder / "genome"), "--variants", str(variants)]
    command += ["--precision", "float32", "--distance", str(DISTANCE)]
    command += ["--output", str(folder / "ours.vcf"), "--summary", str(folder / "ours.json")]
    run_process(command)
    return json.loads((folder / "ours.json").read_text())["seconds"]


def run_peer(folder: Path, size: int, variants: Path, batch: int) -> float:
    """Score with OpenSpliceAI; return the seconds that it prints."""
    command = [str(Path(sys.executable).parent / "openspliceai"), "variant", "-t", "pytorch"]
    command += ["-R", str(folder / "genome.fa"), "-A", str(folder / "genes.tsv")]
    command += ["-m", str(weights_of(size)), "-f", str(size), "-D", str(DISTANCE), "-p", "6"]
    command += ["-b", str(batch), "-I", str(variants), "-O", str(folder / f"peer{batch}.vcf")]
    return float(re.search(r"--- ([0-9.]+) seconds ---", run_process(command).output)[1])


def read_ours(path: Path) -> dict[int, list[float]]:
    """Return gain and loss of acceptor and donor by place (1-based)."""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            fields = line.split("\t")
            effects = re.search(r"\bGS=([^;]+)", fields[7])[1].split(",")
            by_class = {effect.split("|")[1]: effect.split("|") for effect in effects}
            found[int(fields[1])] = [
                float(by_class[kind][column]) for kind in CLASSES for column in (2, 5)
            ]
    return found


def read_peer(path: Path) -> dict[int, list[float]]:
    """Return the same of the peer: the larger of both strands, and 0 where nothing is gained."""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            fields = line.split("\t")
            genes = re.search(r"\bOpenSpliceAI=([^;]+)", fields[7])[1].split(",")
            scores = np.array([gene.split("|")[2:6] for gene in genes], dtype=float)
            found[int(fields[1])] = np.maximum(scores.max(0), 0).tolist()
    return found


def measure(size: int, count: int, repeats: int, folder: Path) -> tuple[list[Row], dict]:
    """Measure one network; return its rows and the seconds of each run."""
    model = folder / f"model{size}"
    import_weights(size, model)
    variants = write_inputs(folder, count)
    seconds: dict[str, list[float]] = {"ours": [], "1": [], "64": []}
    for _ in range(repeats):
        seconds["ours"].append(run_ours(folder, model, variants))
        for batch in ("1", "64"):
            seconds[batch].append(run_peer(folder, size, variants, int(batch)))
    ours, peer = read_ours(folder / "ours.vcf"), read_peer(folder / "peer64.vcf")
    if ours.keys() != peer.keys():
        raise SystemExit("the two programs did not score the same variants")
    difference = max(np.abs(np.subtract(ours[at], peer[at])).max() for at in ours)
    rate = len(ours) / median(seconds["ours"])
    rows = []
    for batch, how in (("1", "as it comes"), ("64", "batches of 64")):
        other = len(peer) / median(seconds[batch])
        name = f"openspliceai {version('openspliceai')} variant, {how}"
        rows.append(
            Row(f"variants, published splice network, {size:,} nt, both strands, 101 bp compared, "
                "one core, float32", "substitutions scored, VCF file to VCF file", "1/s", rate,
                other, name, rate / other, "", bool(difference <= TOLERANCE),
                f"{TOLERANCE:g} in probability (found {difference:.1g})")
        )  # fmt: skip
    return rows, seconds


def main() -> None:
    """Measure, print and keep the rows."""
    arguments = quick_parser(__doc__).parse_args()
    if not ARABIDOPSIS_FASTA.is_file():
        raise SystemExit(f"nothing is measured: {DATA} does not hold {ARABIDOPSIS_FASTA.name}")
    use_threads(1)
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        for size, (count, repeats) in (QUICK if arguments.quick else COUNTS).items():
            found, seconds = measure(size, count, repeats, Path(temporary))
            rows += found
            details[f"{size} nt"] = {"seconds": seconds, "variants": count}
    if arguments.quick:
        print_rows(rows)
        return
    versions = {name: version(name) for name in ("torch", "numpy", "openspliceai")}
    save("variants_openspliceai", rows, versions, details)


if __name__ == "__main__":
    main()
