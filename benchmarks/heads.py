"""Exclusive classes (one softmax) against independent ones (a sigmoid each), on the same data.

1. UCI splice junctions (donor, acceptor or neither in the middle of 60 bases): every network is
   trained with both heads on the same windows of the same folds. Similar records are never on both
   sides of a fold. A head's call is its most probable class, where `neither` of independent classes
   is that both are below one half.
2. Splice sites of Arabidopsis thaliana at their natural rate: the workflow trains both heads on the
   same windows of chromosome 1, and both strands of 25-26 Mb are scored.
3. A planted set in which two classes share bins: `extract_sites.py` refuses exclusive labels there.
   What would be lost is shown by training both heads all the same.

Parts 1 and 2 need data that are not part of this repository (GENOMESIEVE_DATA); without them they
are left out.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.model_selection import StratifiedGroupKFold

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from examples import (  # noqa: E402
    REPEATS,
    Examples,
    Finding,
    Fitted,
    fit,
    precision_draws,
    print_findings,
    score,
)
from measuring import quick_parser, write_results  # noqa: E402
from real_data import ARABIDOPSIS_CONTIG as CONTIG  # noqa: E402
from real_data import ARABIDOPSIS_FASTA as FASTA  # noqa: E402
from real_data import ARABIDOPSIS_GTF as GTF  # noqa: E402
from real_data import DATA  # noqa: E402
from uci_junctions import CLASSES, LENGTH, Junctions, read_junctions  # noqa: E402

import extract_sites  # noqa: E402
from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.bootstrap import (  # noqa: E402
    block_weights,
    paired_difference,
    percentile_interval,
    resample_ratio,
)
from genomesieve.bundle import load_bundle  # noqa: E402
from genomesieve.genome import EncodedGenome  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402
from genomesieve.scores import encode_scores  # noqa: E402

UCI = DATA / "benchmarks" / "uci" / "splice.data"
HEADS = ("exclusive", "independent")
DIFFERENCE = "exclusive - independent"

JUNCTION_MODEL = {
    "preset": "dilated", "channels": 32, "stem_kernels": [9], "kernel": 3, "dilations": [1, 4, 8],
    "dropout": 0.2,
}  # fmt: skip
CENTRE = LENGTH // 2 - 1
"""Last exon base of a donor, and the base before the first one of an acceptor."""

PARTS = {
    "train": "0-3000000",
    "valid": "3000000-3400000",
    "calibrate": "3400000-3600000",
    "test": "25000000-26000000",
}
GENOME_MODEL = {
    "preset": "dilated", "channels": 16, "stem_kernels": [11], "kernel": 7,
    "dilations": [1, 2, 4, 8],
}  # fmt: skip
STRETCH, BLOCK = 20_000, 20_000
"""bp that are scored at once, and that are drawn together for intervals."""

WORDS = ("TGACTCAGCA", "CCGATATTGG")
OVERLAP_MODEL = {
    "preset": "motif_cnn", "channels": 16, "stem_kernels": [15], "hidden": 16, "dropout": 0.0
}  # fmt: skip
BIN, BINS, SHARED = 50, 10, 0.4
"""bp a bin, bins a window, share of a window's sites at which both classes are."""


def call_classes(log_odds: np.ndarray, labels: str) -> np.ndarray:
    """Return the most probable class of each row, 0 for the background.

    Parameters
    ----------
    log_odds : numpy.ndarray, shape=(n, classes)
    labels : str
        `exclusive`: the background has what the classes leave; `independent`: it is called where no
        class has a probability above one half.
    """
    probability = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
    background = 1 - probability.sum(1) if labels == "exclusive" else np.full(len(log_odds), 0.5)
    return np.column_stack([background, probability]).argmax(1)


def difference_finding(part: str, metric: str, first: tuple, second: tuple, seeds: int) -> Finding:
    """Return the difference of two (value, draws) of the same draws."""
    interval = paired_difference(first[1], second[1])
    return Finding(
        part, DIFFERENCE, metric, first[0] - second[0], interval.low, interval.high, seeds
    )


# --- UCI junctions ---


def junction_examples(junctions: Junctions) -> Examples:
    """Return the records as windows of one bin, their middle, with unknown bases where they end."""
    flank = resolve_architecture(JUNCTION_MODEL).context
    left, right = flank - CENTRE, flank + 1 - (LENGTH - CENTRE)
    padding = (0, 0), (max(left, 0), max(right, 0))
    codes = np.pad(junctions.codes, padding, constant_values=DNA.unknown)
    codes = codes[:, max(-left, 0) : codes.shape[1] - max(-right, 0)]
    sites = junctions.label[:, None, None] == np.arange(1, len(CLASSES) + 1)[None, :, None]
    return Examples(codes, sites)


def score_folds(
    junctions: Junctions, seed: int, options: Namespace
) -> tuple[dict[str, np.ndarray], dict[str, list[Fitted]]]:
    """Score every record with networks that were trained without it and its like.

    Returns
    -------
    scores : dict of str to numpy.ndarray, shape=(N, classes)
        Log-odds, for each head.
    fitted : dict of str to list of Fitted
        The networks of the folds, for each head.
    """
    examples, architecture = junction_examples(junctions), resolve_architecture(JUNCTION_MODEL)
    training = {
        "steps": options.junction_steps, "batch": 64, "learning_rate": 5e-3, "validations": 6,
        "patience": 6, "weight_decay": 0.05,
    }  # fmt: skip
    scores = {head: np.full((len(examples), len(CLASSES)), np.nan) for head in HEADS}
    fitted: dict[str, list[Fitted]] = {head: [] for head in HEADS}
    for rest, test in _folds(junctions, np.arange(len(examples)), options.folds, seed):
        train, valid = next(_folds(junctions, rest, options.folds, seed))
        for head in HEADS:
            one = fit(
                architecture, examples.take(train), examples.take(valid), head, training, seed
            )
            scores[head][test] = score(one, examples.take(test), head)[..., 0]
            fitted[head].append(one)
    return scores, fitted


def _folds(junctions: Junctions, rows: np.ndarray, folds: int, seed: int):
    """Yield (rest, fold) rows, stratified by class, whole groups only."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for rest, fold in splitter.split(rows, junctions.label[rows], junctions.group[rows]):
        yield rows[rest], rows[fold]


def share_right(
    right: np.ndarray, chosen: np.ndarray, group: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the share of chosen records that are right, and draws of it over groups.

    Parameters
    ----------
    right : numpy.ndarray, shape=(N,)
        Share of the repeats in which a record is right.
    chosen : numpy.ndarray, shape=(N,), dtype=bool
    group : numpy.ndarray, shape=(N,)
    """
    weights = block_weights(int(group.max()) + 1, REPEATS, 0)
    sums = [np.bincount(group, weights=part, minlength=weights.shape[1])
            for part in (right * chosen, chosen)]  # fmt: skip
    return float(right[chosen].mean()), resample_ratio(weights, *sums)


def junction_findings(options: Namespace) -> list[Finding]:
    """Cross-validate both heads on the UCI junctions."""
    junctions = read_junctions(UCI)
    if options.quick:
        rows = np.random.default_rng(0).permutation(len(junctions.label))[:300]
        group = np.unique(junctions.group[rows], return_inverse=True)[1]
        junctions = Junctions(junctions.codes[rows], junctions.label[rows], group)
    runs = [score_folds(junctions, seed, options) for seed in range(options.seeds)]
    found = {}
    for head in HEADS:
        calls = [call_classes(scores[head], head) for scores, _ in runs]
        right = np.mean([call == junctions.label for call in calls], axis=0)
        measured = {"accuracy": share_right(right, np.full(len(right), True), junctions.group)}
        for number, name in enumerate(("N", *CLASSES)):
            chosen = junctions.label == number
            measured[f"recall of {name}"] = share_right(right, chosen, junctions.group)
        for number, name in enumerate(CLASSES):
            mine = [scores[head][:, number] for scores, _ in runs]
            sites = junctions.label == number + 1
            measured[f"AP of {name}"] = precision_draws(mine, sites, junctions.group, REPEATS)
        found[head] = measured
    fitted = {head: [one for _, done in runs for one in done[head]] for head in HEADS}
    return head_findings("UCI junctions", found, fitted, options.seeds)


def head_findings(
    part: str, found: dict[str, dict], fitted: dict[str, list[Fitted]], seeds: int
) -> list[Finding]:
    """Return rows of both heads and of their difference for (value, draws) of each measure."""
    rows = []
    for head, measured in found.items():
        seconds = round(sum(one.seconds for one in fitted[head]), 1)
        size = fitted[head][0].parameters
        for metric, (value, draws) in measured.items():
            interval = percentile_interval(draws)
            rows.append(
                Finding(
                    part, head, metric, value, interval.low, interval.high, seeds, seconds, size
                )
            )
    first, second = (found[head] for head in HEADS)
    return rows + [
        difference_finding(part, metric, first[metric], second[metric], seeds) for metric in first
    ]


# --- Arabidopsis, at the natural rate ---


def write_configuration(folder: Path, options: Namespace) -> None:
    """Write a configuration with one screen for each head that are alike in everything else."""
    regions = {part: f"{CONTIG}:{region}" for part, region in PARTS.items()}
    (folder / "genomes.tsv").write_text(
        "genome\tfasta\tannotation\tregions\n"
        f"athaliana\t{FASTA.resolve()}\t{GTF.resolve()}\t{','.join(regions.values())}\n"
    )
    screen = {
        "classes": {
            "donor": {"stranded": True, "site": "splice_donor"},
            "acceptor": {"stranded": True, "site": "splice_acceptor"},
        },
        "train_genomes": ["athaliana"],
        "scan_genomes": ["athaliana"],
        "split": {"athaliana": {"contigs": {part: [region] for part, region in regions.items()}}},
        "sampling": {"length": 2000, "windows": 4000, "validation_bp": 400_000},
        "model": GENOME_MODEL,
        "training": {
            "steps": options.genome_steps, "batch": 16, "learning_rate": 4e-3, "validations": 4
        },
    }  # fmt: skip
    content = {
        "genomes": str(folder / "genomes.tsv"),
        "device": "cpu",
        "screens": {head: screen | {"labels": head} for head in HEADS},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def model_folder(folder: Path, head: str, seed: int) -> Path:
    """Return where the workflow puts a trained network."""
    return folder / f"results/{head}/training/base/round0/seed{seed}"


def train_on_genome(folder: Path, options: Namespace) -> None:
    """Let the workflow train both heads with all seeds."""
    write_configuration(folder, options)
    targets = [
        model_folder(Path(), head, seed) / "model.json"
        for head in HEADS
        for seed in range(options.seeds)
    ]
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--configfile", "config.yaml", "--cores", options.threads, *targets]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=os.environ | {"PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])


def held_out_stretches(folder: Path) -> tuple[Examples, np.ndarray]:
    """Return the test part of both strands in stretches, and the block that each is of."""
    genome = EncodedGenome.open(folder / "results/genomes/athaliana", "athaliana")
    sites = pd.read_parquet(folder / "results/exclusive/sites/athaliana.parquet")
    contigs = genome.contigs.set_index("contig")
    flank = resolve_architecture(GENOME_MODEL).context
    start, end = (int(word) for word in PARTS["test"].split("-"))
    codes, labels, blocks = [], [], []
    for first in range(start, end, STRETCH):
        place = int(contigs.loc[CONTIG, "offset"]) + first
        piece = np.asarray(genome.codes[place - flank : place + STRETCH + flank])
        inside = sites[
            (sites["contig"] == CONTIG) & sites["position"].between(first, first + STRETCH - 1)
        ]
        for strand in "+-":
            is_site = np.zeros((2, STRETCH), dtype=bool)
            for row, name in enumerate(("donor", "acceptor")):
                chosen = (inside["class"] == name) & (inside["strand"] == strand)
                is_site[row, inside.loc[chosen, "position"] - first] = True
            minus = strand == "-"
            codes.append(DNA.reverse_complement(piece) if minus else piece)
            labels.append(is_site[:, ::-1] if minus else is_site)
            blocks.append((first - start) // BLOCK)
    return Examples(np.stack(codes), np.stack(labels)), np.array(blocks)


def genome_findings(options: Namespace) -> list[Finding]:
    """Train both heads through the workflow and score a held-out stretch at its natural rate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_on_genome(folder, options)
        examples, block = held_out_stretches(folder)
        fitted = {
            head: [read_model(model_folder(folder, head, seed)) for seed in range(options.seeds)]
            for head in HEADS
        }
    blocks = np.repeat(block, STRETCH)
    found: dict[str, dict] = {}
    for head, networks in fitted.items():
        # Scan scores are rounded to codes, of which there are few enough to count.
        scores = [encode_scores(score(one, examples, head)).astype(float) for one in networks]
        found[head] = {
            f"AP of {name}": precision_draws(
                [one[:, row].ravel() for one in scores], examples.sites[:, row].ravel(), blocks,
                REPEATS,
            )
            for row, name in enumerate(("donor", "acceptor"))
        }  # fmt: skip
    rate = 1 / examples.sites.mean((0, 2))
    print(f"one donor in {rate[0]:,.0f} positions, one acceptor in {rate[1]:,.0f}")
    return head_findings("A. thaliana chr1:25-26 Mb", found, fitted, options.seeds)


def read_model(folder: Path) -> Fitted:
    """Read a trained network and the seconds of its training."""
    bundle = load_bundle(folder)
    history = pd.read_csv(folder / "history.tsv", sep="\t")
    best = float(history["validation_average_precision"].max())
    seconds = float(history["seconds"].iloc[-1])
    return Fitted(bundle.network.eval(), bundle.architecture, best, seconds)


# --- classes that overlap ---


def plant_overlaps(windows: int, seed: int) -> Examples:
    """Plant two words in windows of random sequence; they share many bins."""
    generator = np.random.default_rng(seed)
    flank = resolve_architecture(OVERLAP_MODEL).context
    codes = generator.integers(0, 4, (windows, BINS * BIN + 2 * flank), dtype=np.uint8)
    sites = np.zeros((windows, len(WORDS), BINS), dtype=bool)
    half = BIN // 2
    for row, window in enumerate(codes):
        own = generator.permutation(BINS)[: len(WORDS)]
        if generator.random() < SHARED:
            own[1] = own[0]
        for kind, (word, where) in enumerate(zip(WORDS, own)):
            # Each word has its half of a bin, so that two in one bin never overlap.
            at = flank + where * BIN + kind * half + int(generator.integers(half - len(word)))
            window[at : at + len(word)] = DNA.encode(word)
            sites[row, kind, where] = True
    return Examples(codes, sites)


def refusal(sites: Examples) -> str:
    """Run extract_sites.py with exclusive labels on the planted sites; return what it says.

    Raises
    ------
    RuntimeError
        If it accepts them, or refuses independent labels.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row, kind, where = np.nonzero(sites.sites)
        at = row * BINS * BIN + where * BIN + kind
        length = len(sites) * BINS * BIN
        np.save(folder / "codes.npy", np.zeros(length, dtype=np.uint8))
        (folder / "contigs.tsv").write_text(f"contig\tlength\toffset\nplanted\t{length}\t0\n")
        bed = folder / "sites.bed"
        lines = (f"planted\t{a}\t{a + 1}\tword{k}\n" for a, k in zip(at, kind))
        bed.write_text("".join(lines))
        track = {"track": "t", "file": str(bed), "format": "auto", "role": "site"}
        codes, message = {}, io.StringIO()
        for head in HEADS[::-1]:
            with contextlib.redirect_stderr(message):
                codes[head] = extract_sites.main(
                    [
                        *("--genome", "planted", "--genome-folder", str(folder)),
                        *("--classes", json.dumps({f"word{k}": {} for k in range(len(WORDS))})),
                        *("--tracks", json.dumps([track | {"class": "column:4"}])),
                        *("--labels", head, "--resolution", str(BIN)),
                        *("--sites", str(folder / head / "sites.parquet")),
                        *("--intervals", str(folder / head / "intervals.parquet")),
                        *("--summary", str(folder / head / "summary.json")),
                    ]
                )
    if codes != {"independent": 0, "exclusive": 1}:
        raise RuntimeError(f"extract_sites.py returned {codes}: {message.getvalue()}")
    return message.getvalue().strip().splitlines()[-1]


def overlap_findings(options: Namespace) -> tuple[list[Finding], str]:
    """Show that exclusive labels are refused, and what they would do to the second class."""
    sizes = (60, 30, 60) if options.quick else (2000, 300, 1000)
    train, valid, test = (plant_overlaps(size, number) for number, size in enumerate(sizes))
    said = refusal(train)
    architecture = resolve_architecture(OVERLAP_MODEL)
    training = {
        "steps": options.overlap_steps, "batch": 32, "learning_rate": 1e-2, "validations": 4
    }  # fmt: skip
    fitted = {
        head: [fit(architecture, train, valid, head, training, s) for s in range(options.seeds)]
        for head in HEADS
    }
    blocks = np.repeat(np.arange(len(test)), BINS)
    found: dict[str, dict] = {}
    for head, networks in fitted.items():
        scores = [score(one, test, head) for one in networks]
        found[head] = {
            f"AP of word {kind + 1}": precision_draws(
                [one[:, kind].ravel() for one in scores], test.sites[:, kind].ravel(), blocks,
                REPEATS,
            )
            for kind in range(len(WORDS))
        }  # fmt: skip
    return head_findings("planted, classes share bins", found, fitted, options.seeds), said


class Record:
    """What was found so far; written after every part, so that a broken run keeps what it has.

    Parameters
    ----------
    options : argparse.Namespace
        Small runs and single parts are not written.
    """

    def __init__(self, options: Namespace):
        self.options, self.refusal = options, ""
        self.rows: list[Finding] = []

    def add(self, found: list[Finding]) -> None:
        """Print and write the rows of one more part."""
        print_findings(found)
        self.rows += found
        if not (self.options.quick or self.options.only):
            details = {"refusal": self.refusal, "options": vars(self.options)}
            versions = {name: version(name) for name in ("torch", "scikit-learn")}
            write_results("heads", self.rows, versions, details, {})


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each head")
    parser.add_argument("--folds", type=int, default=10, help="of the UCI junctions")
    parser.add_argument("--junction-steps", type=int, default=250)
    parser.add_argument("--genome-steps", type=int, default=500)
    parser.add_argument("--overlap-steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2, help="of the workflow")
    parser.add_argument("--only", choices=["junctions", "genome", "overlaps"], help="not saved")
    options = parser.parse_args()
    if options.quick:
        options.folds, options.junction_steps, options.overlap_steps = 3, 4, 4
    use_threads(1)
    record = Record(options)
    if options.only in (None, "overlaps"):
        found, record.refusal = overlap_findings(options)
        record.add(found)
        print(record.refusal)
    if options.only in (None, "junctions") and UCI.is_file():
        record.add(junction_findings(options))
    wanted = options.only == "genome" or not (options.only or options.quick)
    if wanted and FASTA.is_file():
        record.add(genome_findings(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
