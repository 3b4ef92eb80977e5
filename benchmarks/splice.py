"""A published splice network through our road: same answers, sooner, and the accuracy they give.

The OpenSpliceAI weights for Arabidopsis (400 and 10,000 nt) run in an architecture written here
(networks.py), imported by `import_model` as any network of a user's own. Three things are measured:

- the same probabilities as the `openspliceai` package gives on real sequence;
- genome file to scores in memory, one strand, against what `openspliceai predict` does (its own
  functions up to the predictions, without the BED files that it writes from them);
- average precision on 5 Mb of both strands by the whole workflow (FASTA and GTF to metrics.tsv),
  against what the same weights gave when they were run densely by a program of their own.

The weights are GPL-3 and probably saw this chromosome in training: they are for comparison. Genome
and weights are looked for where the tests look for real genomes (GENOMESIEVE_DATA).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import torch
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from measuring import Row, machine, median, quick_parser, save, side_by_side  # noqa: E402
from real_data import ARABIDOPSIS_CONTIG as CONTIG  # noqa: E402
from real_data import ARABIDOPSIS_FASTA as FASTA  # noqa: E402
from real_data import ARABIDOPSIS_GTF as GTF  # noqa: E402
from real_data import DATA  # noqa: E402
from scan import encode, scan_file  # noqa: E402

import import_model  # noqa: E402
from genomesieve.batches import one_hot  # noqa: E402
from genomesieve.bundle import load_bundle  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.networks import log_odds  # noqa: E402
from genomesieve.planning import ScanPlan, plan_scan  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402
from genomesieve.scanner import Scanner  # noqa: E402
from genomesieve.scores import decode_scores  # noqa: E402

START = 25_000_000
CODE = f"{REPOSITORY / 'benchmarks' / 'networks.py'}:SpliceNetwork"
CLASSES = ["acceptor", "donor"]
SIZES = (400, 10_000)
KNOWN = {400: {"acceptor": 0.8835, "donor": 0.8946}, 10_000: {"acceptor": 0.9357, "donor": 0.9339}}
"""Average precision of the weights on chr1:25,000,001-30,000,000, all positions, both strands."""
WITHIN = 0.002
FLOAT32, BFLOAT16 = 7, 12
CPU = torch.device("cpu")


def weights_of(size: int) -> Path:
    """Return the published weights of a context of `size` nt (both sides together)."""
    return DATA / "openspliceai" / f"arabidopsis_{size}nt_rs10.pt"


def declared(size: int) -> dict:
    """Return the `model` section of a screen with these weights."""
    return {
        "preset": "custom",
        "arguments": {"context": size // 2},
        "context": size // 2,
        "outputs": ["background", *CLASSES],
        "activation": "logits",
    }


def import_published(size: int, folder: Path) -> str:
    """Import the weights for a scan of one strand."""
    classes = {name: {"stranded": False} for name in CLASSES}
    options = {
        "--network-code": CODE, "--weights": weights_of(size), "--labels": "exclusive",
        "--model": json.dumps(declared(size)), "--classes": json.dumps(classes),
        "--output-dir": folder,
    }  # fmt: skip
    words = [str(item) for pair in options.items() for item in pair]
    assert import_model.main([*words, "--threads", str(torch.get_num_threads())]) == 0
    return str(folder)


def write_stretch(path: Path, bases: int) -> str:
    """Write a stretch of the real chromosome as a FASTA file; return its sequence."""
    with pysam.FastaFile(str(FASTA)) as fasta:
        sequence = fasta.fetch(CONTIG, START, START + bases).upper()
    lines = (sequence[at : at + 60] for at in range(0, bases, 60))
    path.write_text(">chr1\n" + "\n".join(lines) + "\n")
    return sequence


def run_peer(fasta: Path, size: int, folder: Path) -> np.ndarray:
    """Do what `openspliceai predict` does up to the predictions: (positions, 3), in memory.

    Predictions are taken where it would write them to a file (which fails with this torch).
    """
    from openspliceai.predict import predict as peer

    place, kept = f"{folder}/", []
    peer.flush_predictions = lambda predictions, path: kept.append(predictions)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        consts = peer.utils.initialize_constants(size)
        datafile, _, sequences = peer.get_sequences(str(fasta), place, size)
        dataset, _ = peer.convert_sequences(datafile, place, consts["SL"], size, SEQ=sequences)
        models, settings = peer.load_pytorch_models(str(weights_of(size)), CPU, consts["SL"], size)
        peer.get_prediction(models, dataset, CPU, settings["BATCH_SIZE"], place)
    found = torch.cat(kept).numpy()
    # Windows follow each other; the last one is filled up with padding.
    return found.transpose(0, 2, 1).reshape(-1, found.shape[1])[: len(sequences[0])]


def run_ours(fasta: Path, model: str, plan: ScanPlan, folder: Path) -> np.ndarray:
    """Load the model, encode the file and scan it: (classes, positions), score codes."""
    return scan_file(fasta, folder, Scanner(load_bundle(model, CODE), plan, CPU))


def exact_scores(scanner: Scanner, genome: EncodedGenome, bases: int) -> np.ndarray:
    """Score the first bases of a genome before scores are rounded: (classes, bases) log-odds."""
    context, step, parts = scanner.context, 50_000, []
    padded = np.full(bases + 2 * context, scanner.alphabet.unknown, dtype=np.uint8)
    have = min(len(genome.codes), bases + context)
    padded[context : context + have] = genome.codes[:have]
    reduced = scanner.plan.precision == "bfloat16"
    for at in range(0, bases, step):
        piece = torch.from_numpy(padded[None, at : min(at + step, bases) + 2 * context])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            logits = scanner.network(one_hot(piece, scanner.alphabet))
        parts.append(log_odds(logits, scanner.bundle.labels)[0].numpy())
    return np.concatenate(parts, axis=1)


def probability(scores: np.ndarray) -> np.ndarray:
    """Turn log-odds into probabilities."""
    return 1 / (1 + np.exp(-scores.astype(np.float64)))


def compare_with_peer(
    size: int, model: str, plan: ScanPlan, peer: np.ndarray, genome: EncodedGenome
) -> float:
    """Return the largest difference in probability where both see the same sequence."""
    scanner = Scanner(load_bundle(model, CODE), plan, CPU)
    # The peer's stretch ends where ours goes on.
    bases = len(peer) if len(genome.codes) == len(peer) else len(peer) - size // 2
    ours = probability(exact_scores(scanner, genome, bases))
    return float(np.abs(ours.T - peer[:bases, 1:]).max())


def equality_row(size: int, bases: int, folder: Path) -> Row:
    """Compare with the package on one stretch, to the last base."""
    fasta = folder / f"equal{size}.fa"
    write_stretch(fasta, bases)
    peer = run_peer(fasta, size, folder)
    model = import_published(size, folder / f"model{size}")
    plan, _ = plan_scan(load_bundle(model, CODE), CPU)
    genome = encode(fasta, folder / f"codes{size}")
    found = compare_with_peer(size, model, plan, peer, genome)
    codes = run_ours(fasta, model, plan, folder / f"codes{size}")
    rounded = float(np.abs(probability(decode_scores(codes)).T - peer[:, 1:]).max())
    return Row(
        f"published splice network, {size:,} nt, on {bases:,} bp", "largest difference",
        "probability", found, None, f"openspliceai {version('openspliceai')}", None, "<= 1e-4",
        bool(found <= 1e-4), f"1e-4 (found {found:.1g}; {rounded:.1g} after rounding to float16)",
    )  # fmt: skip


def speed_rows(ours: int, theirs: int, repeats: int, folder: Path) -> tuple[list[Row], dict]:
    """Time both sides on the 10,000 nt weights; bfloat16 where the processor has it."""
    size = 10_000
    long, short = folder / "long.fa", folder / "short.fa"
    write_stretch(long, ours)
    write_stretch(short, theirs)
    model = import_published(size, folder / "model")
    bundle = load_bundle(model, CODE)
    plans = {"float32": plan_scan(bundle, CPU, precision="float32")[0]}
    if "bf16" in machine()["vectors"]:
        plans["bfloat16"] = plan_scan(bundle, CPU, precision="bfloat16")[0]
    name = f"openspliceai {version('openspliceai')} predict"
    results: dict[str, np.ndarray] = {}
    runs: dict[str, Callable[[], object]] = {
        kind: lambda plan=plan: run_ours(long, model, plan, folder / "codes")
        for kind, plan in plans.items()
    }
    runs[name] = lambda: results.update(peer=run_peer(short, size, folder))
    seconds = side_by_side(runs, repeats)
    genome = encode(long, folder / "codes")
    peer_rate = theirs / median(seconds[name])
    rows = [
        speed_row(kind, ours / median(seconds[kind]), peer_rate, name,
                  compare_with_peer(size, model, plan, results["peer"], genome))
        for kind, plan in plans.items()
    ]  # fmt: skip
    if "bfloat16" not in plans:
        rows.append(
            Row(
                "published splice network, 10,000 nt, one strand, bfloat16", "scan rate", "bp/s",
                None, peer_rate, name, None, f">= {BFLOAT16}x", None,
                "not measured, this processor has no bfloat16 units",
            )
        )  # fmt: skip
    details = {"seconds": seconds, "bases": {"ours": ours, "peer": theirs}}
    return rows, details | {"plans": {kind: plan.to_dict() for kind, plan in plans.items()}}


def speed_row(kind: str, rate: float, peer_rate: float, name: str, difference: float) -> Row:
    """Return the row of one precision."""
    required = FLOAT32 if kind == "float32" else BFLOAT16
    # bfloat16 may move a log-odds by 0.5, that is a probability by 0.125.
    limit = 1e-5 if kind == "float32" else 0.125
    ratio = rate / peer_rate
    return Row(
        f"published splice network, 10,000 nt, one strand, {kind}", "scan rate", "bp/s", rate,
        peer_rate, name, ratio, f">= {required}x", bool(ratio >= required and difference <= limit),
        f"{limit:g} in probability (found {difference:.1g})",
    )  # fmt: skip


def configuration(folder: Path) -> dict:
    """Return a configuration that evaluates the weights of both sizes on 5 Mb."""
    regions = ["20000000-20200000", "20300000-20500000", "21000000-21500000", "25000000-30000000"]
    regions = [f"{CONTIG}:{region}" for region in regions]
    sheet = folder / "genomes.tsv"
    sheet.write_text(
        "genome\tfasta\tannotation\tregions\n"
        f"athaliana\t{FASTA.resolve()}\t{GTF.resolve()}\t{','.join(regions)}\n"
    )
    screen = {
        "classes": {
            "acceptor": {"stranded": True, "site": "splice_acceptor"},
            "donor": {"stranded": True, "site": "splice_donor"},
        },
        "labels": "exclusive",
        "train_genomes": ["athaliana"],
        "scan_genomes": ["athaliana"],
        "split": {
            "athaliana": {
                "contigs": {
                    part: [region]
                    for part, region in zip(("train", "valid", "calibrate", "test"), regions)
                }
            }
        },
        "evaluation": {"bootstrap": 200},
        "calibration": {"bootstrap": 200},
    }
    return {
        "genomes": str(sheet),
        "device": "cpu",
        "screens": {
            f"nt{size}": screen
            | {"model": declared(size) | {"network": CODE, "weights": str(weights_of(size))}}
            for size in SIZES
        },
    }


def accuracy_rows(folder: Path, sizes: tuple[int, ...] = SIZES) -> tuple[list[Row], dict]:
    """Run the workflow from FASTA and GTF to metrics.tsv and read the average precision."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(folder), sort_keys=False))
    targets = [f"results/nt{size}/evaluation/athaliana/metrics.tsv" for size in sizes]
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--configfile", "config.yaml", "--cores", str(machine()["cores"]), *targets]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    begin = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=os.environ | {"PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    seconds = time.perf_counter() - begin
    rows, found = [], {}
    for size, target in zip(sizes, targets):
        metrics = pd.read_csv(folder / target, sep="\t")
        mine = metrics[(metrics["universe"] == "test") & (metrics["unit"] == "position")]
        values = mine.set_index(["class", "metric"])["value"]
        found[size] = {f"{name} {metric}": float(value) for (name, metric), value in values.items()}
        rows += [accuracy_row(size, name, values[name, "average_precision"]) for name in CLASSES]
    return rows, {"seconds": seconds, "metrics": found}


def accuracy_row(size: int, name: str, value: float) -> Row:
    """Return the row of one class."""
    known = KNOWN[size][name]
    difference = abs(float(value) - known)
    return Row(
        f"published splice network, {size:,} nt, A. thaliana chr1:25-30 Mb, both strands (weights "
        "that have probably seen it)", f"average precision, {name}", "", float(value), known,
        "same weights, dense program of their own", None, f"within {WITHIN}",
        bool(difference <= WITHIN), f"{WITHIN} (found {difference:.2g})",
    )  # fmt: skip


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument(
        "--only", choices=["equality", "speed", "accuracy"], help="one of the three (not saved)"
    )
    arguments = parser.parse_args()
    if not FASTA.is_file() or not weights_of(400).is_file():
        print(f"not measured: no genome and weights at {DATA} (set GENOMESIEVE_DATA)")
        return 0
    quick, only = arguments.quick, arguments.only
    use_threads(machine()["cores"])
    rows: list[Row] = []
    details: dict = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if only in (None, "equality"):
            bases = 12_345 if quick else 100_000
            rows += [equality_row(size, bases, folder) for size in SIZES]
        if only in (None, "speed"):
            sizes = (60_000, 20_000, 1) if quick else (3_000_000, 300_000, 3)
            found, details["speed"] = speed_rows(*sizes, folder)
            rows += found
        if only == "accuracy" or not (quick or only):
            found, details["accuracy"] = accuracy_rows(
                folder / "workflow", SIZES[:1] if quick else SIZES
            )
            rows += found
    if quick or only:
        print("\n".join(str(row) for row in rows))
        print(details)
    else:
        versions = {name: version(name) for name in ("torch", "openspliceai")}
        save("splice", rows, versions, details)
    return 0


if __name__ == "__main__":
    sys.exit(main())
