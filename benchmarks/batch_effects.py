"""What normalisation does to a laboratory that training never saw: a simulation on real sequence.

Donor sites of A. thaliana chr1 are learned from its sequence and one signal. The hidden signal z is
smoothed noise with a bump at every donor, and at twice as many other places that carry the same two
letters, so that neither sequence nor signal is enough. Four laboratories measure the same z:

    x = a * z + b + noise,

each with its own a and b; the noise is in proportion to a, so that laboratories differ in scale and
offset and not in how much they know. Each of them is left out in turn. A network is trained on the
other three, with norm none, batch, domain, group or layer, and scans the test part, which no
laboratory was trained on, as each of the four saw it. With norm domain, the statistics of the
laboratory left out are measured on its own data without labels, as a scan of the workflow does it.

Recorded are the average precision of the laboratory left out and of those of training, with
intervals by block bootstrap of the test part: the same draws for all, so that differences are
paired. They say nothing of other laboratories than these four, so single folds are recorded too. A
probe tells the four laboratories from the mean state of a window before the network's head: a
logistic regression, fitted on the first half of the test part and measured on the second; chance is
1/4. All networks are trained for the same number of steps, whichever of them learns fastest.

The genome is looked for where the tests look for real ones (GENOMESIEVE_DATA).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import torch
from scipy.ndimage import gaussian_filter1d
from torch import nn

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from measuring import machine  # noqa: E402
from real_data import ARABIDOPSIS_CONTIG as CONTIG  # noqa: E402
from real_data import ARABIDOPSIS_FASTA as FASTA  # noqa: E402
from real_data import ARABIDOPSIS_GTF as GTF  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.annotation import read_annotation  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.batches import WindowSource  # noqa: E402
from genomesieve.bootstrap import (  # noqa: E402
    block_weights,
    percentile_interval,
    resample_histograms,
)
from genomesieve.bundle import Bundle  # noqa: E402
from genomesieve.gathering import one_hot, with_channels  # noqa: E402
from genomesieve.genome import EncodedGenome, gather_windows  # noqa: E402
from genomesieve.labelled_genome import LabelledGenome, part_prevalence  # noqa: E402
from genomesieve.laboratory_statistics import bundle_for_genome  # noqa: E402
from genomesieve.layout import ScanLayout, make_layout  # noqa: E402
from genomesieve.metrics import average_precision  # noqa: E402
from genomesieve.networks import build_network, set_prior  # noqa: E402
from genomesieve.planning import ScanPlan  # noqa: E402
from genomesieve.probes import fit_probe  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402
from genomesieve.scanner import Scanner  # noqa: E402
from genomesieve.scores import CODES, UNSCORED, count_codes  # noqa: E402
from genomesieve.signal_scaling import set_signal_scale, training_moments  # noqa: E402
from genomesieve.signals import gather_signals  # noqa: E402
from genomesieve.training import Trainer, TrainingSettings  # noqa: E402
from genomesieve.transcripts import check_transcripts, list_introns, splice_sites  # noqa: E402

LABORATORIES = {"A": (0.5, 2.0), "B": (1.0, 0.0), "C": (2.0, -3.0), "D": (4.0, 5.0)}
"""Scale a and offset b of each laboratory."""
NOISE = 0.5
"""Deviation of the noise, times a."""
NORMS = ("none", "batch", "domain", "group", "layer")
ALONE = "sequence alone"
WINDOW, PROBE_WINDOW = 1000, 200
MODEL = {
    "preset": "dilated",
    "channels": 16,
    "stem_kernels": [15],
    "kernel": 5,
    "dilations": [1, 4],
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Study:
    """The genome as every laboratory sees it, and the parts that it is cut into.

    `genomes` and `labelled` are by laboratory; `split` has columns contig, start, end, part.
    """

    genomes: dict[str, EncodedGenome]
    labelled: dict[str, LabelledGenome]
    split: pd.DataFrame
    sites: pd.DataFrame

    def layout(self, context: int, block: int) -> ScanLayout:
        """Return the bins of the test part, in blocks of so many bp."""
        contigs = next(iter(self.genomes.values())).contigs
        layout = make_layout(self.split, contigs, ("test",), 1, context, "thaliana")
        edges = np.arange(0, layout.bins + 1, block)
        blocks = pd.DataFrame({"block": np.arange(len(edges) - 1), "part": "test"})
        blocks = blocks.assign(first_bin=edges[:-1], end_bin=edges[1:])
        return ScanLayout(layout.intervals, blocks, 1)


def read_donors(bases: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the first bases of the chromosome as codes, and its donors there."""
    with pysam.FastaFile(str(FASTA)) as fasta:
        codes = DNA.encode(fasta.fetch(CONTIG, 0, bases).upper())
    annotation = read_annotation(GTF, gff3=False)
    features, _ = check_transcripts(annotation.features, GTF)
    introns = list_introns(features[~features["transfer_rna"].to_numpy(bool)])
    introns = introns[introns["end"] - introns["start"] >= 20]
    found = splice_sites(introns, "splice_donor")
    inside = (found["contig"] == CONTIG) & (found["position"] < bases - WINDOW)
    found = found[inside].drop_duplicates().assign(**{"class": "donor"})
    return codes, found.assign(start=found["position"], end=found["position"] + 1)


def hidden_signal(codes: np.ndarray, sites: pd.DataFrame, seed: int) -> np.ndarray:
    """Simulate z: smoothed noise of deviation 1, and bumps at donors and at places like them."""
    generator = np.random.default_rng(seed)
    noise = gaussian_filter1d(generator.normal(size=len(codes)), 20)
    peaks = np.zeros(len(codes))
    true = sites["position"].to_numpy()
    g, t = DNA.encode("GT")
    alike = np.flatnonzero((codes[1:-1] == g) & (codes[2:] == t))
    decoys = generator.choice(np.setdiff1d(alike, true), 2 * len(true), replace=False)
    for places in (true, decoys):
        peaks[places] += generator.uniform(0.5, 3, len(places))
    bump = gaussian_filter1d(peaks, 10) * 10 * np.sqrt(2 * np.pi)
    return noise / noise.std() + bump


def make_study(bases: int, seed: int = 0) -> Study:
    """Make the genome of every laboratory; 70 % of it are for training, 20 % for the test."""
    codes, sites = read_donors(bases)
    z = hidden_signal(codes, sites, seed)
    contigs = pd.DataFrame({"contig": [CONTIG], "length": [bases], "offset": [0]})
    hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
    genomes, labelled = {}, {}
    for number, (name, (scale, offset)) in enumerate(LABORATORIES.items()):
        noise = np.random.default_rng([seed, number]).normal(size=bases)
        x = scale * z + offset + NOISE * scale * noise
        genomes[name] = EncodedGenome(name, codes, contigs, signals=(x.astype(np.float16),))
        labelled[name] = LabelledGenome(genomes[name], sites, hidden, ["donor"], True)
    edges = [int(share * bases) // WINDOW * WINDOW for share in (0, 0.7, 0.72, 0.8, 1.0)]
    parts = zip(edges, edges[1:], ("train", "valid", "guard", "test"))
    split = pd.DataFrame(
        [(CONTIG, start, end, part) for start, end, part in parts if part != "guard"],
        columns=["contig", "start", "end", "part"],
    )
    return Study(genomes, labelled, split, sites)


def window_source(
    study: Study, names: list[str], part: str, architecture, signals: bool
) -> WindowSource:
    """Cut a part of some laboratories into windows, each on both strands."""
    row = study.split[study.split["part"] == part].iloc[0]
    starts = np.arange(row["start"], row["end"], WINDOW)
    table = pd.DataFrame(
        [(name, CONTIG, start, strand) for name in names for start in starts for strand in "+-"],
        columns=["genome", "contig", "start", "strand"],
    )
    table = table.assign(length=WINDOW, inclusion=[np.ones(1)] * len(table))
    labelled = {name: study.labelled[name] for name in names}
    if not signals:
        labelled = {name: without_signal(study, name) for name in names}
    numbers = {name: number for number, name in enumerate(names)}
    return WindowSource(table, labelled, architecture, laboratories=numbers)


def without_signal(study: Study, name: str) -> LabelledGenome:
    """Return a laboratory's genome as the sequence alone."""
    genome = study.genomes[name]
    bare = EncodedGenome(name, genome.codes, genome.contigs)
    hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
    return LabelledGenome(bare, study.sites, hidden, ["donor"], True)


def train(study: Study, names: list[str], norm: str, seed: int, steps: int) -> Bundle:
    """Train a network on some laboratories."""
    signals = norm != ALONE
    architecture = resolve_architecture(MODEL | {"norm": norm if signals else "batch"})
    parts = ("train", "valid")
    sources = [window_source(study, names, part, architecture, signals) for part in parts]
    splits = dict.fromkeys(names, study.split)
    torch.manual_seed(seed)
    network = build_network(
        architecture, 1, "independent", signals=int(signals), laboratories=len(names)
    )
    labelled = {name: study.labelled[name] for name in names}
    prevalence = part_prevalence(labelled, splits, 1)
    set_prior(network, prevalence, "independent")
    if signals:
        moments = training_moments([study.genomes[name] for name in names], splits)
        set_signal_scale(network, *moments)
    settings = TrainingSettings(steps=steps, batch=24, learning_rate=5e-3, validations=1)
    rest = (["donor"], "independent", settings, seed, CPU)
    Trainer(network, *sources, *rest).fit()
    return Bundle(
        "dilated", network.eval(), architecture, ["donor"], True, "independent",
        signals=["x"] if signals else [], laboratories=names,
    )  # fmt: skip


def precision_of(
    study: Study, bundle: Bundle, layout: ScanLayout, name: str, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Scan the test part as a laboratory saw it; return average precision and its resamples."""
    genome = study.genomes[name]
    scanner = Scanner(bundle, ScanPlan(50_000, 1, "float32"), CPU)
    chunks = scanner.list_chunks(layout, genome)
    found = [codes for _, codes in scanner.scan(genome, chunks, range(len(chunks)))]
    scores = np.concatenate(found, axis=-1)[:, 0]
    start = int(layout.intervals["start"].iloc[0])
    labels = np.zeros(scores.shape, dtype=bool)
    for strand, sign in enumerate("+-"):
        position = study.sites.loc[study.sites["strand"] == sign, "position"].to_numpy() - start
        labels[strand, position[(position >= 0) & (position < layout.bins)]] = True
    counts = np.zeros((2, len(layout.blocks), CODES))
    for row, first, end in layout.blocks[["block", "first_bin", "end_bin"]].to_numpy()[:, :3]:
        here = slice(int(first), int(end))
        known = scores[:, here] != UNSCORED
        for kind in (0, 1):
            chosen = scores[:, here][known & (labels[:, here] == bool(kind))]
            counts[kind, row] = count_codes(chosen)
    negatives, positives = counts
    resampled = resample_histograms(weights, positives, negatives, {"ap": average_precision})
    return float(average_precision(positives.sum(0), negatives.sum(0))), resampled["ap"]


def states(study: Study, bundle: Bundle, layout: ScanLayout, name: str, windows: int) -> np.ndarray:
    """Return the mean state before the head of windows of the test part, (windows, channels)."""
    genome, context = study.genomes[name], bundle.architecture.context
    first = int(layout.intervals["start"].iloc[0])
    start = first + np.linspace(0, layout.bins - PROBE_WINDOW, windows).astype(np.int64) - context
    shape = len(start)
    place = np.zeros(shape, np.int64), np.full(shape, len(genome.codes)), start
    width = PROBE_WINDOW + 2 * context
    x = one_hot(torch.from_numpy(gather_windows(genome.codes, *place, width, DNA.unknown)), DNA)
    signals = torch.from_numpy(gather_signals(genome.signals, *place, width))
    seen: list[torch.Tensor] = []
    network: nn.Module = bundle.network
    hook = network.head.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    with torch.inference_mode():
        network(with_channels(x, signals))
    hook.remove()
    return seen[0].mean((2, 3)).numpy()


def probe(features: dict[str, np.ndarray]) -> dict:
    """Tell laboratories from states; fit on the first half of the windows, measure on the rest."""
    half = len(next(iter(features.values()))) // 2
    first, rest = (
        np.concatenate([values[part] for values in features.values()])
        for part in (slice(0, half), slice(half, 2 * half))
    )
    names = np.repeat(list(features), half)
    numbers = np.repeat(np.arange(len(features)), half)
    model = fit_probe(first, numbers, len(features), regularisation=1.0)
    predicted = np.array(list(features))[model.predict(rest).argmax(axis=1)]
    return {
        "accuracy": float((predicted == names).mean()),
        "by_laboratory": {
            name: float((predicted[names == name] == name).mean()) for name in features
        },
    }


@dataclass
class Outcome:
    """One network: average precision (and resamples, shape=(repeats,)) and the probe."""

    norm: str
    left_out: str
    seed: int
    held_out: tuple[float, np.ndarray]
    within: tuple[float, np.ndarray]
    probe: dict | None


def run_one(
    study: Study, norm: str, left_out: str, seed: int, arguments: argparse.Namespace
) -> Outcome:
    """Train without one laboratory; measure on it, on the others, and probe."""
    names = [name for name in LABORATORIES if name != left_out]
    bundle = train(study, names, norm, seed, arguments.steps)
    layout = study.layout(bundle.architecture.context, arguments.block)
    weights = block_weights(len(layout.blocks), arguments.repeats, 0)
    found, features = {}, {}
    for name in LABORATORIES:
        if norm == ALONE and name != left_out:
            continue
        own, _ = bundle_for_genome(bundle, study.genomes[name], layout, name)
        found[name] = precision_of(study, own, layout, name, weights)
        if norm != ALONE:
            features[name] = states(study, own, layout, name, arguments.probe_windows)
    inside = [found.get(name, found[left_out]) for name in names]
    within = (float(np.mean([v for v, _ in inside])), np.mean([r for _, r in inside], axis=0))
    measured = probe(features) if features else None
    return Outcome(norm, left_out, seed, found[left_out], within, measured)


def interval(values: list[np.ndarray]) -> list[float]:
    """Return the 95 % interval of the mean of some resamples."""
    found = percentile_interval(np.mean(values, axis=0))
    return [round(found.low, 4), round(found.high, 4)]


def summarise(outcomes: list[Outcome]) -> dict:
    """Average over folds and seeds; compare norms on the same draws."""
    table = {}
    for norm in dict.fromkeys(one.norm for one in outcomes):
        mine = [one for one in outcomes if one.norm == norm]
        held, within = [one.held_out for one in mine], [one.within for one in mine]
        loss = [one.within[1] - one.held_out[1] for one in mine]
        table[norm] = {
            "held_out_average_precision": round(float(np.mean([v for v, _ in held])), 4),
            "held_out_interval": interval([r for _, r in held]),
            "within_average_precision": round(float(np.mean([v for v, _ in within])), 4),
            "within_interval": interval([r for _, r in within]),
            "lost_when_held_out_interval": interval(loss),
            "held_out_by_laboratory": {
                name: [round(one.held_out[0], 4) for one in mine if one.left_out == name]
                for name in dict.fromkeys(one.left_out for one in mine)
            },
        }
        probes = [one.probe["accuracy"] for one in mine if one.probe]
        if probes:
            table[norm] |= {
                "probe_accuracy": round(float(np.mean(probes)), 4),
                "probe_range": [round(min(probes), 4), round(max(probes), 4)],
            }
    return table


def compare(outcomes: list[Outcome]) -> dict:
    """Return domain normalisation minus each other norm, for laboratories left out."""
    chosen = {
        norm: {(o.left_out, o.seed): o.held_out for o in outcomes if o.norm == norm}
        for norm in NORMS
    }
    compared = {}
    for norm in NORMS:
        pairs = [(chosen["domain"][key], chosen[norm][key]) for key in chosen[norm]]
        if norm != "domain":
            compared[f"domain - {norm}"] = {
                "difference": round(float(np.mean([a[0] - b[0] for a, b in pairs])), 4),
                "interval": interval([a[1] - b[1] for a, b in pairs]),
            }
    return compared


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=250, help="of each training")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each norm and fold")
    parser.add_argument("--folds", type=int, default=4, help="laboratories that are left out")
    parser.add_argument("--bases", type=int, default=3_000_000, help="of the chromosome")
    parser.add_argument("--block", type=int, default=30_000, help="bp a block of the bootstrap")
    parser.add_argument("--repeats", type=int, default=200, help="of the bootstrap")
    parser.add_argument("--probe-windows", type=int, default=1000, help="of each laboratory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results" / "batch_effects.json"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run all trainings and write the results."""
    arguments = parse_arguments(argv)
    if not FASTA.is_file():
        print(f"{FASTA} is not there (set GENOMESIEVE_DATA): nothing is measured", file=sys.stderr)
        return 0
    use_threads(arguments.threads)
    begin, processor = time.perf_counter(), time.process_time()
    study = make_study(arguments.bases)
    outcomes = []
    for seed in range(arguments.seeds):
        for left_out in list(LABORATORIES)[: arguments.folds]:
            # Without the signal laboratories are alike: one fold is all there is.
            alone = [ALONE] if left_out == next(iter(LABORATORIES)) else []
            for norm in (*NORMS, *alone):
                one = run_one(study, norm, left_out, seed, arguments)
                outcomes.append(one)
                told = one.probe["accuracy"] if one.probe else float("nan")
                print(
                    f"{norm:>14} without {left_out}, seed {seed}: held out {one.held_out[0]:.3f}, "
                    f"within {one.within[0]:.3f}, probe {told:.3f}",
                    flush=True,
                )
    content = {
        "benchmark": "batch_effects",
        "date": date.today().isoformat(),
        "machine": machine(),
        "settings": {
            **{k: v for k, v in vars(arguments).items() if k != "output"},
            "model": MODEL,
            "laboratories": {name: {"a": a, "b": b} for name, (a, b) in LABORATORIES.items()},
            "noise_times_a": NOISE,
        },
        "seconds": round(time.perf_counter() - begin, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "sites_in_test": int((study.sites["position"] >= study.split["start"].iloc[-1]).sum()),
        "probe_chance": 1 / len(LABORATORIES),
        "norms": summarise(outcomes),
        "compared_on_held_out_laboratories": compare(outcomes),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
