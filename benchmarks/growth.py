"""Scan a genome 1, 4 and 16 times as large: peak memory must stay, time must grow in proportion.

A sequence (--fasta: the first contig of a file; default: chromosome 1 of Arabidopsis thaliana where
the data lie beside the repository, else random letters) is tiled under 1, 4 and 16 names, and
`scripts/scan_genome.py` scans each with one small network. A scan twice as large must count every
score twice, which is checked exactly. Time is that of the scan itself, without the start of the
program, whose seconds are the same for every size; they stand in the details. The largest genome is
then scanned once more in 16 shards: their seconds are summed, and their scores must be those of the
whole scan.

Temporary files take less than 1 GB of disk and are deleted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from extraction import first_contig, synthetic_sequence
from measuring import ProcessRun, Row, median, quick_parser, run_process, save
from real_data import ARABIDOPSIS_FASTA

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.bundle import Bundle, save_bundle  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402
from genomesieve.planning import plan_scan  # noqa: E402
from genomesieve.scan_files import read_histograms  # noqa: E402
from genomesieve.scores import encode_scores  # noqa: E402

TIMES = (1, 4, 16)
SHARDS = 16
THREADS = 2
ALLOWED = 1.1
FLOOR = 0.5
"""Log-odds from which on bins are candidates; the weights make about one bin in a hundred one."""

MODEL = {
    "preset": "motif_cnn", "resolution": 50, "channels": 32, "stem_kernels": [11], "hidden": 4,
    "norm": "none", "dropout": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """One finished scan: its process, its own seconds, and its folder."""

    process: ProcessRun
    seconds: float
    folder: Path


def read_sequence(fasta: Path | None, random_bases: int) -> tuple[np.ndarray, str]:
    """Return the codes of a sequence and what it is."""
    path = fasta or (ARABIDOPSIS_FASTA if ARABIDOPSIS_FASTA.is_file() else None)
    if path is None:
        return DNA.encode(synthetic_sequence(random_bases).decode()), "random sequence"
    return DNA.encode(first_contig(path).decode()), f"first contig of {path.name}"


def write_genome(folder: Path, codes: np.ndarray, times: int) -> None:
    """Write an encoded genome of equal contigs, and a split that screens all of them."""
    folder.mkdir()
    names, length = [f"tile{number}" for number in range(1, times + 1)], len(codes)
    tiled = np.lib.format.open_memmap(
        folder / "codes.npy", mode="w+", dtype=np.uint8, shape=(times * length,)
    )
    for number in range(times):
        tiled[number * length : (number + 1) * length] = codes
    tiled.flush()
    offsets = np.arange(times) * length
    contigs = pd.DataFrame({"contig": names, "length": length, "offset": offsets})
    contigs.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    split = pd.DataFrame({"contig": names, "start": 0, "end": length, "part": "screen"})
    split.to_csv(folder / "split.tsv", sep="\t", index=False)


def write_model(folder: Path, codes: np.ndarray) -> None:
    """Write a network of random weights, its floor where one bin in a hundred is a candidate."""
    architecture = resolve_architecture(MODEL)
    torch.manual_seed(0)
    network = build_network(architecture, 1, "independent").eval()
    known = torch.from_numpy(codes[codes < DNA.size][:500_000].astype(np.int64))
    with torch.inference_mode():
        x = torch.nn.functional.one_hot(known, DNA.size).T[None].float()
        usable = len(known) - (len(known) - 2 * architecture.context) % architecture.resolution
        scores = network(x[..., :usable]).flatten()
        network.head.bias += FLOOR - scores.quantile(0.99)
    bundle = Bundle("growth", network, architecture, ["word"], False, "independent")
    bundle.scan_plan = plan_scan(bundle, torch.device("cpu"))[0].to_dict()
    floor = int(encode_scores(np.array([FLOOR]))[0])
    called = {"floor_code": floor, "thresholds": [{"code": floor}], "operating": 0}
    bundle.calibration = {"classes": {"word": called}}
    save_bundle(folder, bundle)


def run_scan(folder: Path, times: int, output: str, *options: str) -> Scan:
    """Run scan_genome.py on one of the genomes."""
    genome, target = folder / f"x{times}", folder / output
    process = run_process(
        [
            sys.executable, str(ROOT / "scripts" / "scan_genome.py"),
            *("--model", str(folder / "model"), "--genome-folder", str(genome)),
            *("--split", str(genome / "split.tsv"), "--parts", "screen", "--device", "cpu"),
            *("--threads", str(THREADS), "--output-dir", str(target), *options),
        ]
    )  # fmt: skip
    seconds = json.loads((target / "summary.json").read_text())["seconds"]
    return Scan(process, seconds, target)


def growth_rows(scans: dict[int, list[Scan]], what: str) -> list[Row]:
    """Compare memory and time a base of the larger genomes with the smallest."""
    counts = {
        k: read_histograms(runs[0].folder / "histograms.npz").total for k, runs in scans.items()
    }
    wrong = sum(int((counts[times] != times * counts[1]).sum()) for times in scans)
    equal = f"0 score counts that differ from the small genome's times its copies (found {wrong})"
    memory = {k: median([run.process.anonymous for run in runs]) for k, runs in scans.items()}
    seconds = {k: median([run.seconds for run in runs]) / k for k, runs in scans.items()}
    rows = []
    for metric, values in (("peak anonymous memory", memory), ("time a base", seconds)):
        for times in TIMES[1:]:
            grown = values[times] / values[1]
            lowest = 1 / ALLOWED if metric.startswith("time") else 0
            met = bool(lowest <= grown <= ALLOWED and not wrong)
            rows.append(
                Row(
                    f"scan of {what}, {times} times as much", metric, "times that of one copy",
                    grown, None, "", None, f"<= {ALLOWED}", met, equal,
                )
            )  # fmt: skip
    return rows


def shard_row(folder: Path, what: str) -> tuple[Row, dict]:
    """Scan the largest genome whole and in shards, and compare seconds and scores."""
    times = TIMES[-1]
    whole = run_scan(folder, times, "whole", "--keep-scores")
    shards = [
        run_scan(
            folder, times, f"shard{number}", "--keep-scores",
            "--shard", str(number), "--shards", str(SHARDS),
        )
        for number in range(1, SHARDS + 1)
    ]  # fmt: skip
    joined = np.concatenate([np.load(one.folder / "scores.npy") for one in shards], axis=-1)
    wrong = int((joined != np.load(whole.folder / "scores.npy")).sum())
    seconds = [one.seconds for one in shards]
    cost = sum(seconds) / whole.seconds
    row = Row(
        f"scan of {what}, {times} times as much, in {SHARDS} shards", "summed time of the scans",
        "times that of one shard", cost, None, "", None, f"<= {ALLOWED}",
        bool(cost <= ALLOWED and not wrong), f"0 scores that differ (found {wrong})",
    )  # fmt: skip
    return row, {"whole_seconds": whole.seconds, "shard_seconds": seconds}


def describe(scan: Scan) -> dict:
    """Return the figures of one scan."""
    process = scan.process
    return {
        "scan_seconds": scan.seconds, "process_seconds": process.seconds,
        "rss_anon_bytes": process.anonymous, "rss_file_bytes": process.mapped,
    }  # fmt: skip


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--fasta", type=Path, help="file whose first contig is tiled")
    arguments = parser.parse_args()
    codes, source = read_sequence(arguments.fasta, 30_000_000)
    codes = codes[:400_000] if arguments.quick else codes
    what = f"{len(codes) / 1e6:.3g} Mb ({source})"
    scans: dict[int, list[Scan]] = {times: [] for times in TIMES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model", codes)
        for times in TIMES:
            write_genome(folder / f"x{times}", codes, times)
        for repeat in range(1 if arguments.quick else 3):
            for times in TIMES:
                scans[times].append(run_scan(folder, times, f"scan{times}-{repeat}"))
        rows = growth_rows(scans, what)
        row, seconds = shard_row(folder, what)
        plan = json.loads((folder / "model" / "model.json").read_text())["scan_plan"]
    details = {
        "sequence": source, "bases": len(codes), "plan": plan, "shards": seconds,
        "scans": {str(times): [describe(one) for one in runs] for times, runs in scans.items()},
    }  # fmt: skip
    if not arguments.quick:
        save("growth", [*rows, row], {"torch": version("torch")}, details)
    print(json.dumps(details["scans"], indent=1))
    return int(any("(found 0)" not in one.equal_within for one in [*rows, row]))


if __name__ == "__main__":
    sys.exit(main())
