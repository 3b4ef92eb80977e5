"""Variants against scores of whole reference and alternative sequences, one window at a time."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pandas as pd
import pysam
import pytest
import torch

import index_variants
import score_variants
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.ensemble import Ensemble
from genomesieve.networks import build_network
from genomesieve.planning import ScanPlan
from model_calibration import CLASS_CALIBRATION

pytestmark = pytest.mark.usefixtures("one_thread")

HEADER = """##fileformat=VCFv4.2
##contig=<ID=a,length=1237>
##contig=<ID=b,length=333>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FILTER=<ID=low,Description="Low quality, as found">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone
"""
DISTANCE = {"dilated": 9, "ensemble": 9}
"""bp around a change, where it is not 50: predictions of every base take the oracle long."""
CLASSES = ["x", "y"]
DILATED = {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 3]}
MODELS = {
    "dilated": DILATED,
    "ensemble": DILATED,
    "motif_cnn": {"preset": "motif_cnn", "channels": 8, "stem_kernels": [7], "hidden": 4},
    "lstm": {
        "preset": "lstm", "resolution": 50, "channels": 8, "stem_kernels": [7], "window": 200,
        "reach": 4, "units": 6, "norm": "none",
    },
}  # fmt: skip
KINDS = [
    ("dilated", True), ("dilated", False), ("ensemble", True), ("motif_cnn", False),
    ("motif_cnn", True), ("lstm", True), ("lstm", False),
]  # fmt: skip


@pytest.fixture(scope="module")
def texts():
    """Two contigs: known bases and, in the first, some that are not."""
    letters = np.random.default_rng(0).choice(list("ACGT"), 1570)
    letters[[5, 700, 701, 702, 1240]] = "N"
    text = "".join(letters)
    return {"a": text[:1237], "b": text[1237:]}


@pytest.fixture(scope="module")
def genome(texts, tmp_path_factory):
    return write_genome(tmp_path_factory.mktemp("genome") / "toy", texts)


def write_genome(folder, texts):
    """Write an encoded genome without the help of what is tested."""
    folder.mkdir()
    codes = np.array(["ACGTN".index(letter) for text in texts.values() for letter in text])
    np.save(folder / "codes.npy", codes.astype(np.uint8))
    lengths = np.array([len(text) for text in texts.values()])
    table = {"contig": list(texts), "length": lengths, "offset": np.cumsum(lengths) - lengths}
    pd.DataFrame(table).to_csv(folder / "contigs.tsv", sep="\t", index=False)
    return folder


def network_of(preset, stranded, seed=1):
    """Return a network with random weights that tell sequences well apart."""
    torch.manual_seed(seed)
    labels = "exclusive" if stranded else "independent"
    network = build_network(resolve_architecture(MODELS[preset]), 2, labels, "augment").eval()
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.4)
    return network


def write_model(folder, preset, stranded, **more):
    """Write a calibrated bundle."""
    labels = "exclusive" if stranded else "independent"
    network, seeds = network_of(preset, stranded), []
    if preset == "ensemble":
        seeds = [1, 2]
        network = Ensemble([network_of(preset, stranded, seed) for seed in seeds], labels)
    architecture = resolve_architecture(MODELS[preset])
    bundle = Bundle(preset, network, architecture, CLASSES, stranded, labels)
    bundle.member_seeds = seeds
    other = CLASS_CALIBRATION | {"slope": 0.3, "intercept": 0.5}
    bundle.calibration = {"classes": {"x": CLASS_CALIBRATION, "y": other}}
    bundle.scan_plan = ScanPlan(2000, 2, "float32").to_dict()
    for name, value in more.items():
        setattr(bundle, name, value)
    save_bundle(folder, bundle)
    return folder


def other_letter(letter, step=1):
    return "ACGT"[("ACGT".index(letter) + step) % 4]


def listed_variants(texts):
    """Return (contig, POS, REF, ALT) of every kind, at contig ends and near unknown bases too."""
    found = []
    for name, starts in {
        "a": [0, 1, 3, 49, 50, 51, 99, 149, 340, 500, 699, 703, 998, 1100, 1190, 1236],
        "b": [0, 2, 100, 199, 200, 300, 330, 332],
    }.items():
        text = texts[name]
        for start in starts:
            base = text[start]
            if base == "N":
                continue
            one, two = other_letter(base), other_letter(base, 2)
            found.append((name, start, base, f"{one},{two},{base}GTAAGTCC,TT{base}"))
            for size in (2, 7, 60, 130):
                deleted = text[start : start + size]
                if len(deleted) == size:
                    found.append((name, start, deleted, f"{base},{one}{two}CA"))
            if start + 3 <= len(text) and "N" not in text[start : start + 3]:
                same = "".join(other_letter(letter) for letter in text[start : start + 3])
                found.append((name, start, text[start : start + 3], same))
        found.append((name, 20, text[20], text[20] + "ACGGT" * 31))
    return [(name, start + 1, *rest) for name, start, *rest in sorted(found)]


def write_vcf(path, variants, header=HEADER):
    lines = [
        f"{name}\t{position}\tid{row}\t{before}\t{after}\t9.5\tlow\tDP={row}\tGT\t0/1"
        for row, (name, position, before, after) in enumerate(variants)
    ]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


def run(model, genome, variants, folder, *extra, distance=50):
    return score_variants.main(
        [
            *("--model", str(model), "--genome-folder", str(genome), "--variants", str(variants)),
            *("--device", "cpu", "--threads", "1", "--distance", str(distance), *extra),
            *("--output", str(folder / "scored.vcf"), "--summary", str(folder / "summary.json")),
        ]
    )


def read_scored(path):
    """Return records (fields) and, by allele and class, the numbers of each."""
    records = []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        info = dict(item.partition("=")[::2] for item in fields[7].split(";"))
        effects = {}
        for entry in info.get("GS", "").split(",") if "GS" in info else []:
            allele, name, *numbers = entry.split("|")
            effects[int(allele), name] = [numbers[at : at + 3] for at in range(0, 12, 3)]
        records.append((fields, info, effects))
    return records


# --- the oracle: letters, one window at a time, the plain network -------------------------------


COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


class Naive:
    """Calibrated log-odds of bins of a text, each from its own window."""

    def __init__(self, folder, distance):
        self.bundle, self.distance = load_bundle(folder), distance
        self.resolution = self.bundle.architecture.resolution
        self.known = {}

    def window(self, letters):
        """Run the network on both strands of some letters; return (strands, classes, bins)."""
        if letters not in self.known:
            strands = [letters, letters.translate(COMPLEMENT)[::-1]]
            hot = [[[float(base == one) for one in text] for base in "ACGT"] for text in strands]
            with torch.no_grad():
                logits = self.bundle.network(torch.tensor(hot)).double().numpy()
            if self.bundle.labels == "exclusive":
                others = [np.exp(np.delete(logits, k, 1)).sum(1) for k in (1, 2)]
                logits = logits[:, 1:] - np.log(np.stack(others, axis=1))
            self.known[letters] = np.stack([logits[0], logits[1][:, ::-1]])
        return self.known[letters]

    def score(self, text, number, moved=0):
        """Return the scores of a bin (strands, classes), or None where it has an unknown base.

        The text's base x stands at x - moved of the grid.
        """
        architecture = self.bundle.architecture

        def letters(start, end):
            places = range(start + moved, end + moved)
            return "".join(text[at] if 0 <= at < len(text) else "N" for at in places)

        first = number * self.resolution
        if "N" in letters(first, first + self.resolution):
            return None
        start = first // architecture.stride * architecture.stride
        flank = architecture.context
        scores = self.window(letters(start - flank, start + architecture.stride + flank))
        strands = 2 if self.bundle.stranded else 1
        raw = scores[:strands, :, (first - start) // self.resolution]
        fitted = [self.bundle.calibration["classes"][name] for name in CLASSES]
        return raw * [one["slope"] for one in fitted] + [one["intercept"] for one in fitted]


def trim(start, before, after):
    """Take shared letters off both ends, last ones first."""
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    while before and after and before[0] == after[0]:
        start, before, after = start + 1, before[1:], after[1:]
    return start, before, after


def best_of(naive, options):
    """Return the best scores (strands, classes) and the place of each, of (text, bin, moved, at)."""
    known = [(naive.score(*option[:3]), option[3]) for option in options]
    known = [(scores, at) for scores, at in known if scores is not None]
    if not known:
        return None
    scores = np.array([scores for scores, _ in known])
    places = np.array([at for _, at in known])[scores.argmax(0)]
    return scores.max(0), places


def naive_changes(naive, text, start, before, after):
    """Return pairs of (ref scores, alt scores, places of losses, of gains), bin by bin."""
    size, middle = naive.resolution, (naive.resolution - 1) // 2
    changed = text[:start] + after + text[start + len(before) :]
    start, before, after = trim(start, before, after)
    shift, end = len(after) - len(before), start + len(before)
    whole = len(text) // size

    def at_home(base):
        """Where a base of the changed text stands in the genome."""
        if base < start:
            return base
        if base >= start + len(after):
            return base - shift
        return max(0, min(base, start + min(len(before), len(after)) - 1))

    first = max(0, start - 1) if shift else start
    end = max(end, first + 1)
    near = range(max(0, first - naive.distance) // size, (end - 1 + naive.distance) // size + 1)
    group = set(range(first // size, (end - 1) // size + 1)) if shift else set()
    while group and len(group) * size + shift < size:
        group.add(max(group) + 1)
    found = []
    for number in near:
        if number in group or number >= whole:
            continue
        moved = shift if group and number > max(group) else 0
        at = number * size + middle
        one = best_of(naive, [(text, number, 0, at)])
        other = best_of(naive, [(changed, number, moved, at)])
        if one and other:
            found.append((one[0], other[0], one[1], other[1]))
    if group:
        low, high = min(group), max(group) + 1
        reference = [(text, number, 0, number * size + middle) for number in sorted(group)]
        count = ((high - low) * size + shift) // size
        options = [
            (changed, number, 0, at_home(number * size + middle))
            for number in range(low, low + count)
        ]
        last = (high - 1) * size + shift + middle
        options.append((changed, high - 1, shift, at_home(last)))
        one, other = best_of(naive, reference), best_of(naive, options)
        if one and other:
            found.append((one[0], other[0], one[1], other[1]))
    return found


def chance(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def expected_effects(naive, texts, name, position, before, after):
    """Return, by class, gain and loss of probability and log-odds as {(place, strand): value}."""
    found = naive_changes(naive, texts[name], position - 1, before, after)
    result = {}
    for index, name in enumerate(CLASSES):
        ways = []
        for scale in (chance, lambda value: value):
            for sign, column in ((1, 3), (-1, 2)):
                changes = {}
                for row in found:
                    for strand in range(len(row[0])):
                        key = int(row[column][strand, index]) - position + 1, strand
                        change = sign * (
                            scale(row[1][strand, index]) - scale(row[0][strand, index])
                        )
                        changes[key] = max(change, changes.get(key, -np.inf))
                ways.append(changes)
        result[name] = ways
    return result


def assert_equal_effects(numbers, expected, stranded):
    """Compare what was written with what was expected, to 1e-5."""
    for (value, at, strand), changes in zip(numbers, expected):
        if not changes:
            assert (value, at, strand) == (".", ".", ".")
            continue
        highest = max(0.0, *changes.values())
        close = pytest.approx(highest, rel=1e-5, abs=1.1e-5)
        assert float(value) == close
        if float(value) == 0:
            assert (at, strand) == (".", ".")
            continue
        assert strand in ("+-" if stranded else ".")
        assert changes[int(at), "+-".index(strand) if stranded else 0] == close


# --- equality with it ----------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "stranded"), KINDS)
def test_effects_equal_those_of_whole_sequences(texts, genome, tmp_path, preset, stranded):
    model = write_model(tmp_path / "model", preset, stranded)
    variants, distance = listed_variants(texts), DISTANCE.get(preset, 50)
    file = write_vcf(tmp_path / "in.vcf", variants)
    assert run(model, genome, file, tmp_path, distance=distance) == 0
    records = read_scored(tmp_path / "scored.vcf")
    naive = Naive(model, distance)
    assert len(records) == len(variants)
    nothing = large = 0
    for (name, position, before, afters), (_, info, effects) in zip(variants, records):
        gains = []
        for number, after in enumerate(afters.split(","), start=1):
            if before == after:
                continue
            expected = expected_effects(naive, texts, name, position, before, after)
            for label, changes in expected.items():
                assert_equal_effects(effects[number, label], changes, stranded)
            nothing += not expected["x"][0]
            known = [float(effects[number, label][0][0]) for label in CLASSES if expected[label][0]]
            gains.append(max(known, default=math.nan))
            large += bool(known) and max(known) > 0.05
        written = [math.nan if text == "." else float(text) for text in info["GS_GAIN"].split(",")]
        assert written == pytest.approx(gains, nan_ok=True)
    assert large > 30
