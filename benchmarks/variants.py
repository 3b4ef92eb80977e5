"""Variants scored through the engine, beside scoring one variant after the other.

A random genome, random variants (a fifth are insertions and deletions) and networks with random
weights, on one core. Ours is `scripts/score_variants.py` as a program, from the first record read
to the last one written, as its summary says (loading torch, network and genome is not counted). The
peer is what one would write first: for each allele the one-hot of REF and ALT on
both strands through the plain PyTorch network, four passes of one window each, from codes in memory
and with nothing written; it scores a part of the substitutions, whose gains and losses have to be
the same.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measuring import Row, median, quick_parser, run_process, save
from scipy.special import expit

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.batches import one_hot  # noqa: E402
from genomesieve.bundle import Bundle, load_bundle, save_bundle  # noqa: E402
from genomesieve.networks import build_network, log_odds  # noqa: E402
from genomesieve.planning import plan_scan  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402

DISTANCE = 50
TOLERANCE = 1e-5
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
NETWORKS = {
    "dilated, 32 channels, 96 bp of context": {"preset": "dilated"},
    "spliceai, 32 channels, 200 bp of context": {"preset": "spliceai"},
}


@dataclass(frozen=True)
class Sizes:
    """How much is made: bases, variants, variants that the peer scores, and repeats."""

    genome: int
    variants: int
    naive: int
    repeats: int


FULL = Sizes(genome=20_000_000, variants=2_000, naive=500, repeats=3)
QUICK = Sizes(genome=200_000, variants=300, naive=40, repeats=1)


def write_genome(folder: Path, size: int) -> np.ndarray:
    """Write a random encoded genome of one contig; return its codes."""
    codes = np.random.default_rng(0).integers(0, DNA.size, size, dtype=np.uint8)
    folder.mkdir()
    np.save(folder / "codes.npy", codes)
    table = pd.DataFrame({"contig": ["chr1"], "length": [size], "offset": [0]})
    table.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    return codes


def write_variants(path: Path, codes: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Write variants at random places; return place and new base of the substitutions."""
    generator = np.random.default_rng(1)
    places = np.sort(generator.choice(len(codes) - 20_000, count, replace=False)) + 10_000
    substitutions, lines = [], []
    for at in places.tolist():
        before, kind = DNA.decode(codes[at : at + 1]), generator.random()
        after = (codes[at] + int(generator.integers(1, 4))) % 4
        if kind < 0.8:
            substitutions.append((at, int(after)))
            letters = before, "ACGT"[after]
        elif kind < 0.9:
            inserted = generator.choice(list("ACGT"), int(generator.integers(1, 9)))
            letters = before, before + "".join(inserted)
        else:
            letters = DNA.decode(codes[at : at + int(generator.integers(2, 9))]), before
        lines.append("\t".join(["chr1", str(at + 1), ".", *letters, ".", ".", "."]))
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return substitutions


def write_model(folder: Path, settings: dict) -> None:
    """Write a network with random weights as if it had been calibrated."""
    torch.manual_seed(0)
    architecture = resolve_architecture(settings)
    network = build_network(architecture, 2, "exclusive", "augment").eval()
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.1)
    classes = ["donor", "acceptor"]
    bundle = Bundle(settings["preset"], network, architecture, classes, True, "exclusive")
    save_bundle(folder, calibrated(bundle, slope=1.0, intercept=-2.0))


def calibrated(bundle: Bundle, slope: float, intercept: float) -> Bundle:
    """Give a bundle a calibration of its log-odds, and a plan of scans on a CPU."""
    fitted = {
        "slope": slope, "intercept": intercept, "floor_code": 30000, "sites": 1,
        "prevalence": 0.001, "min_distance": 1, "match_distance": 0, "operating": 0,
        "fdr_codes": [], "fdr": [],
        "thresholds": [
            {
                "precision_target": 0.5, "code": 1, "score": 0.0, "reached": False,
                "precision": 0.0, "lower_bound": 0.0, "recall": 0.0, "calls": 0,
                "design_effect": 1.0, "bootstrap_quantiles": [],
            }
        ],
    }  # fmt: skip
    bundle.calibration = {"classes": dict.fromkeys(bundle.classes, fitted)}
    plan, _ = plan_scan(bundle, torch.device("cpu"), precision="float32")
    bundle.scan_plan = plan.to_dict()
    return bundle


def run_ours(folder: Path, variants: Path, threads: int) -> float:
    """Run the program on a file; return the seconds that scoring took."""
    command = [sys.executable, str(SCRIPTS / "score_variants.py"), "--device", "cpu"]
    command += ["--model", str(folder / "model"), "--genome-folder", str(folder / "genome")]
    command += ["--variants", str(variants), "--threads", str(threads)]
    command += ["--distance", str(DISTANCE), "--output", str(folder / "scored.vcf")]
    run_process([*command, "--summary", str(folder / "summary.json")])
    return json.loads((folder / "summary.json").read_text())["seconds"]


def score_one(bundle: Bundle, codes: np.ndarray, at: int, base: int) -> tuple[float, float]:
    """Score a substitution by itself; return largest gain and loss of probability."""
    flank = bundle.architecture.context + DISTANCE
    window = codes[at - flank : at + flank + 1]
    changed = window.copy()
    changed[flank] = base
    chances = []
    for one in (window, changed):
        strands = []
        for letters in (one, np.ascontiguousarray(DNA.reverse_complement(one))):
            with torch.inference_mode():
                x = one_hot(torch.from_numpy(letters)[None], DNA)
                strands.append(log_odds(bundle.network(x), bundle.labels)[0].double().numpy())
        both = np.stack([strands[0], strands[1][:, ::-1]])
        chances.append(expit(both - 2.0))
    change = chances[1] - chances[0]
    return float(change.max()), float(-change.min())


def run_naive(folder: Path, codes: np.ndarray, chosen: list) -> tuple[float, list]:
    """Score substitutions one after the other; return seconds and what was found."""
    bundle = load_bundle(folder / "model")
    score_one(bundle, codes, *chosen[0])
    begin = time.perf_counter()
    found = [score_one(bundle, codes, *one) for one in chosen]
    return time.perf_counter() - begin, found


def read_effects(path: Path) -> dict[int, tuple[float, float]]:
    """Read gain and loss by place from what the program wrote."""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            fields = line.split("\t")
            info = dict(item.split("=", 1) for item in fields[7].split(";"))
            found[int(fields[1]) - 1] = float(info["GS_GAIN"]), float(info["GS_LOSS"])
    return found


def measure(name: str, settings: dict, sizes: Sizes, folder: Path) -> tuple[Row, dict]:
    """Measure one network."""
    folder.mkdir()
    codes = write_genome(folder / "genome", sizes.genome)
    chosen = write_variants(folder / "in.vcf", codes, sizes.variants)[: sizes.naive]
    write_model(folder / "model", settings)
    times: dict[str, list[float]] = {"ours": [], "naive": []}
    use_threads(1)
    for _ in range(sizes.repeats):
        times["ours"].append(run_ours(folder, folder / "in.vcf", 1))
        seconds, found = run_naive(folder, codes, chosen)
        times["naive"].append(seconds)
    written = read_effects(folder / "scored.vcf")
    pairs = [(written[at], one) for (at, _), one in zip(chosen, found)]
    difference = max(abs(a - max(0.0, b)) for mine, its in pairs for a, b in zip(mine, its))
    ours = sizes.variants / median(times["ours"])
    naive = len(chosen) / median(times["naive"])
    row = Row(
        row=f"variants, {name}, two classes, both strands, 101 bp compared, one core, float32",
        metric="alleles scored, VCF file to VCF file",
        unit="alleles/s",
        ours=ours,
        peer=naive,
        peer_name="one variant at a time, same network in PyTorch",
        ratio=ours / naive,
        required="",
        met=difference <= TOLERANCE,
        equal_within=f"{TOLERANCE:g} in probability (found {difference:.1g})",
    )
    return row, {"seconds": times, "variants": sizes.variants, "naive": len(chosen)}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = quick_parser(__doc__)
    parser.add_argument("--variants", type=int, help="how many variants (default 2,000)")
    return parser.parse_args()


def main() -> None:
    """Measure, print and keep the rows."""
    arguments = parse_arguments()
    sizes = QUICK if arguments.quick else FULL
    if arguments.variants:
        sizes = Sizes(sizes.genome, arguments.variants, sizes.naive, sizes.repeats)
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for number, (name, settings) in enumerate(NETWORKS.items()):
            row, more = measure(name, settings, sizes, root / str(number))
            rows.append(row)
            details[name] = more
    if arguments.quick:
        print(json.dumps(details))
        for row in rows:
            print(row)
        return
    save("variants", rows, {"torch": torch.__version__, "numpy": np.__version__}, details)


if __name__ == "__main__":
    main()
