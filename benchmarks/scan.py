"""Scan a genome with a small window model: genome file to scores in memory, against two peers.

The model has two convolutions of 64 channels (15 and 5 bp) and a global maximum over windows of
1,002 bp, one every 20 bp, one strand. The peers run every window alone, as their users do;
genomesieve runs the same weights densely with a sliding maximum. The peers get a stretch of the
sequence that takes them some seconds, genomesieve all of it: rates are what is compared.
Network-only rates stand in the details.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from measuring import Row, keeping, median, quick_parser, save, side_by_side  # noqa: E402
from networks import DenseWindowModel, WindowModel, bundle_of  # noqa: E402

import encode_genome  # noqa: E402
from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.batches import one_hot  # noqa: E402
from genomesieve.bundle import Bundle  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.layout import make_layout  # noqa: E402
from genomesieve.planning import has_bfloat16, plan_scan  # noqa: E402
from genomesieve.precision import LARGEST_LIMIT, MEDIAN_LIMIT  # noqa: E402
from genomesieve.processors import keep_freed_memory  # noqa: E402
from genomesieve.regions import parse_regions  # noqa: E402
from genomesieve.scanner import Scanner  # noqa: E402
from genomesieve.scores import decode_scores  # noqa: E402
from genomesieve.splitting import screen_only  # noqa: E402

WINDOW, STEP = 1002, 20
TANGERMEME, SELENE = "tangermeme predict", "Selene get_predictions_for_bed_file"
REQUIRED = 150


def write_fasta(path: Path, bases: int) -> None:
    """Write a random sequence in lines of 60."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    sequence = letters[np.random.default_rng(0).integers(0, 4, bases)].tobytes()
    with path.open("wb") as handle:
        handle.write(b">chr1\n")
        for at in range(0, bases, 60):
            handle.write(sequence[at : at + 60] + b"\n")


def encode(fasta: Path, folder: Path) -> EncodedGenome:
    """Encode a FASTA file as the workflow does."""
    folder.mkdir(exist_ok=True)
    files = {"--codes": "codes.npy", "--contigs": "contigs.tsv"}
    files |= {"--softmask": "softmask.parquet", "--summary": "summary.json"}
    options = [str(item) for key, name in files.items() for item in (key, folder / name)]
    assert encode_genome.main(["--genome", "g", "--fasta", str(fasta), *options]) == 0
    return EncodedGenome.open(folder, "g")


def scan_file(fasta: Path, folder: Path, scanner: Scanner) -> np.ndarray:
    """Encode a FASTA file and score all of it: (classes, bins), uint16 codes."""
    genome = encode(fasta, folder)
    architecture = scanner.bundle.architecture
    split = screen_only(parse_regions([], genome.contigs, "g", "regions"))
    layout = make_layout(
        split, genome.contigs, ("screen",), architecture.resolution, architecture.context, "g"
    )
    chunks = scanner.list_chunks(layout, genome)
    scores = np.empty((len(scanner.bundle.classes), layout.bins), dtype=np.uint16)
    for first, codes in scanner.scan(genome, chunks, range(len(chunks))):
        scores[:, first : first + codes.shape[-1]] = codes[0]
    return scores


def run_tangermeme(fasta: Path, model: WindowModel, bases: int) -> np.ndarray:
    """Cut the windows and predict each, as tangermeme's users do."""
    import pyfaidx
    from tangermeme.predict import predict
    from tangermeme.utils import one_hot_encode

    sequence = str(pyfaidx.Fasta(str(fasta))["chr1"][:bases])
    windows = one_hot_encode(sequence).unfold(1, WINDOW, STEP).permute(1, 0, 2)
    return predict(model, windows, batch_size=256, dtype=torch.float32, device="cpu").numpy()


def run_selene(fasta: Path, model: WindowModel, bases: int, folder: Path) -> np.ndarray:
    """Predict the windows of a BED file, as Selene's users do."""
    import h5py
    from selene_sdk.predict import AnalyzeSequences
    from selene_sdk.sequences import Genome

    bed = folder / "windows.bed"
    starts = range(0, bases - WINDOW + 1, STEP)
    bed.write_text("".join(f"chr1\t{start}\t{start + WINDOW}\n" for start in starts))
    torch.save(model.state_dict(), folder / "model.pth")
    analysis = AnalyzeSequences(
        model,
        str(folder / "model.pth"),
        sequence_length=WINDOW,
        features=["a", "b"],
        batch_size=256,
        reference_sequence=Genome(str(fasta)),
    )
    output = folder / "selene"
    output.mkdir(exist_ok=True)
    analysis.get_predictions_for_bed_file(str(bed), str(output), output_format="hdf5")
    with h5py.File(next(output.glob("*.h5"))) as content:
        return content["data"][:]


def network_rates(model: WindowModel, scanner: Scanner, repeats: int) -> dict[str, float]:
    """Return the bp/s of both networks alone, with sequence in memory as one-hot."""
    chunk = scanner.plan.chunk
    size = chunk + 2 * scanner.context
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (1, size), dtype=np.uint8))
    dense = one_hot(codes, DNA)
    windows = dense[0].unfold(1, WINDOW, STEP)[:, :256].permute(1, 0, 2).contiguous()
    with torch.inference_mode():
        seconds = side_by_side(
            {"dense": lambda: scanner.network(dense), "windows": lambda: model(windows)}, repeats
        )
    return {
        "dense_bp_per_s": chunk / median(seconds["dense"]),
        "window_by_window_bp_per_s": len(windows) * STEP / median(seconds["windows"]),
    }


def main() -> int:
    """Measure and save."""
    arguments = quick_parser(__doc__).parse_args()
    ours_bases = 400_000 if arguments.quick else 20_000_000
    peer_bases = 10_000 if arguments.quick else 200_000
    repeats = 1 if arguments.quick else 5
    keep_freed_memory()
    torch.manual_seed(0)
    model = WindowModel().eval()
    dense = DenseWindowModel(model, WINDOW, STEP)
    bundle = bundle_of(dense, dense.geometry, ["a", "b"], "independent", False)
    scanners = make_scanners(bundle)
    results: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fasta = folder / "genome.fa"
        write_fasta(fasta, ours_bases)
        runs: dict[str, Callable[[], np.ndarray]] = {
            precision: lambda scanner=scanner: scan_file(fasta, folder / "codes", scanner)
            for precision, scanner in scanners.items()
        }
        runs[TANGERMEME] = lambda: run_tangermeme(fasta, model, peer_bases)
        runs[SELENE] = lambda: run_selene(fasta, model, peer_bases, folder)
        seconds = side_by_side({name: keeping(results, name, run) for name, run in runs.items()},
                               repeats)  # fmt: skip
    # The bin at `start` is the middle of the window that starts `context` before it.
    first = dense.geometry.context // STEP + 1
    window = first * STEP - dense.geometry.context
    rows = []
    for peer in (TANGERMEME, SELENE):
        peer_rate = peer_bases / median(seconds[peer])
        expected = reference(model, fasta_codes(ours_bases), window, len(results[peer]))
        own = shifted_scores(model, results[peer])
        for precision in scanners:
            rate = ours_bases / median(seconds[precision])
            found = decode_scores(results[precision])[:, first : first + len(expected)].T
            rows.append(make_row(precision, rate, peer, peer_rate, np.abs(found - expected), own))
    details = {
        "seconds": seconds, "bases": {"ours": ours_bases, "peers": peer_bases},
        "network_only": network_rates(model, scanners["float32"], 5),
        "plans": {name: scanner.plan.to_dict() for name, scanner in scanners.items()},
    }  # fmt: skip
    versions = {name: version(name) for name in ("torch", "tangermeme", "selene-sdk")}
    if not arguments.quick:
        save("scan", rows, versions, details)
    print(details["network_only"])
    return 0


def make_scanners(bundle: Bundle) -> dict[str, Scanner]:
    """Return a scanner for each precision that the processor has units for."""
    device = torch.device("cpu")
    kinds = ["float32", "bfloat16"] if has_bfloat16(device) else ["float32"]
    plans = {kind: plan_scan(bundle, device, precision=kind) for kind in kinds}
    print("\n".join(line for _, reasons in plans.values() for line in reasons))
    return {kind: Scanner(bundle, plan, device) for kind, (plan, _) in plans.items()}


def make_row(
    precision: str, rate: float, peer: str, peer_rate: float, differences: np.ndarray, own: float
) -> Row:
    """Return the row of a precision beside a peer; `own` is how far the peer is from the model."""
    if precision == "float32":
        holds = differences.max() <= 2e-3
        said = f"2e-3 after rounding to float16 (found {differences.max():.1g})"
    else:
        holds = differences.max() <= LARGEST_LIMIT and np.median(differences) <= MEDIAN_LIMIT
        said = (
            f"of log-odds: median {MEDIAN_LIMIT} (found {np.median(differences):.1g}), "
            f"largest {LARGEST_LIMIT} (found {differences.max():.1g})"
        )
    ratio = rate / peer_rate
    return Row(
        f"window model, 1,002 bp every 20 bp, {precision}", "scan rate", "bp/s", rate, peer_rate,
        f"{peer} {version('tangermeme' if 'tanger' in peer else 'selene-sdk')}", ratio,
        f">= {REQUIRED}x", bool(ratio >= REQUIRED and holds and own <= 1e-4),
        f"{said}; peer and window model 1e-4 (found {own:.1g})",
    )  # fmt: skip


def fasta_codes(bases: int) -> np.ndarray:
    """Return the codes of the sequence that `write_fasta` writes."""
    return np.random.default_rng(0).integers(0, 4, bases).astype(np.uint8)


def reference(model: WindowModel, codes: np.ndarray, first: int, count: int) -> np.ndarray:
    """Run the window model itself on windows from `first` on: (windows, outputs) logits."""
    sequence = one_hot(torch.from_numpy(codes[None, first : first + STEP * count + WINDOW]), DNA)
    windows = sequence[0].unfold(1, WINDOW, STEP)[:, : count - 60].permute(1, 0, 2)
    with torch.inference_mode():
        return torch.cat([model(part) for part in windows.split(256)]).numpy()


def shifted_scores(model: WindowModel, peer: np.ndarray) -> float:
    """Return how far a peer is from the window model on its own windows (those from base 0)."""
    codes = fasta_codes(len(peer) * STEP + WINDOW)
    own = reference(model, codes, 0, len(peer))
    own = 1 / (1 + np.exp(-own)) if peer.min() >= 0 and peer.max() <= 1 and own.min() < 0 else own
    return float(np.abs(peer[: len(own)] - own).max())


if __name__ == "__main__":
    sys.exit(main())
