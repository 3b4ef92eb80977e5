"""Variants against scores of whole reference and alternative sequences, one window at a time."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pandas as pd
import pysam
import pytest
import safetensors.torch
import torch

import import_model
import index_variants
import score_variants
from custom_networks import CONTEXT, OUTPUTS, RECIPE, motif_weights
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.domain_norm import domain_norms, fix_laboratory
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
            torch.nn.init.normal_(weight, std=0.4 if preset in DISTANCE else 1.0)
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
    """Return the best scores (strands, classes) of (text, bin, moved, at), and where they are."""
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
    large = 0
    for (name, position, before, afters), (_, info, effects) in zip(variants, records):
        gains = []
        for number, after in enumerate(afters.split(","), start=1):
            if before == after:
                continue
            expected = expected_effects(naive, texts, name, position, before, after)
            for label, changes in expected.items():
                assert_equal_effects(effects[number, label], changes, stranded)
            known = [effects[number, label] for label in CLASSES if expected[label][0]]
            gains.append(max((float(one[0][0]) for one in known), default=math.nan))
            large += any(float(one[2][0]) > 0.05 for one in known)
        written = [math.nan if text == "." else float(text) for text in info["GS_GAIN"].split(",")]
        assert written == pytest.approx(gains, nan_ok=True)
    assert large > 30


def write_custom_model(folder, root):
    """Import a network of the user's own and calibrate it by hand."""
    safetensors.torch.save_file(motif_weights(), root / "own.safetensors")
    declared = {
        "preset": "custom", "arguments": {"channels": 4}, "context": CONTEXT, "outputs": OUTPUTS,
    }  # fmt: skip
    classes = {name: {"stranded": True} for name in ("donor", "acceptor")}
    code = import_model.main(
        [
            *("--classes", json.dumps(classes), "--labels", "exclusive"),
            *("--network-code", f"{RECIPE}:SmallNetwork", "--weights", f"{root}/own.safetensors"),
            *("--model", json.dumps(declared), "--output-dir", str(folder)),
        ]
    )
    assert code == 0
    content = json.loads((folder / "model.json").read_text())
    content["calibration"] = {"classes": dict.fromkeys(classes, CLASS_CALIBRATION)}
    content["scan_plan"] = ScanPlan(2000, 1, "float32").to_dict()
    (folder / "model.json").write_text(json.dumps(content))
    return f"{RECIPE}:SmallNetwork"


def test_networks_of_ones_own_are_scored(tmp_path):
    code = write_custom_model(tmp_path / "model", tmp_path)
    text = "T" * 100 + "CAGGTAC" + "T" * 100
    genome = write_genome(tmp_path / "toy", {"a": text})
    file = write_vcf(tmp_path / "in.vcf", [("a", 106, "A", "T")])
    assert run(tmp_path / "model", genome, file, tmp_path) == 1
    assert run(tmp_path / "model", genome, file, tmp_path, "--network-code", code) == 0
    ((_, _, effects),) = read_scored(tmp_path / "scored.vcf")
    _, loss, _, fall = effects[1, "donor"]
    assert float(loss[0]) > 0 and loss[1:] == ["-3", "+"]
    # Every one of the seven letters is worth 3 in the recipe's weights, above -2.5 of them.
    scores = [log_sum(text), log_sum(text[:105] + "T" + text[106:])]
    assert float(fall[0]) == pytest.approx(1.1 * (scores[0] - scores[1]), rel=1e-5)


def log_sum(text):
    """Score the donor of the text by what the weights made by hand mean."""
    matched = sum(one == other for one, other in zip(text[100:107], "CAGGTAA"))
    donor = 3 * max(0.0, matched + 2.5 - 7) - 4
    other = max(sum(a == b for a, b in zip(text[98:103], "TCAGG")) + 2.5 - 5, 0)
    return donor - math.log(math.exp(3.0) + math.exp(3 * other - 4))


# --- a motif whose effect is known exactly -------------------------------------------------------


MOTIF = "CGGGCC"
"""It holds neither A nor T, so a background of T matches nothing; its site is its third base."""
SLOPE, INTERCEPT = 2.0, -9.0


def write_motif_model(folder, resolution=1):
    """Write a model whose score is the number of letters that match."""
    architecture = resolve_architecture(
        {"preset": "pwm", "width": 6, "left": 2, "resolution": resolution}
    )
    network = build_network(architecture, 1, "independent", "augment")
    for at, letter in enumerate(MOTIF):
        network.weight[0, "ACGT".index(letter), at] = 1
    bundle = Bundle("pwm", network, architecture, ["site"], True, "independent")
    fitted = CLASS_CALIBRATION | {"slope": SLOPE, "intercept": INTERCEPT}
    bundle.calibration = {"classes": {"site": fitted}}
    bundle.scan_plan = ScanPlan(1000, 1, "float32").to_dict()
    save_bundle(folder, bundle)
    return folder


def probability(matches):
    return 1 / (1 + math.exp(-SLOPE * matches - INTERCEPT))


def motif_effects(tmp_path, text, position, before, after, resolution=1):
    """Score one variant by the motif; return its four entries."""
    model = write_motif_model(tmp_path / "model", resolution)
    genome = write_genome(tmp_path / "toy", {"a": text})
    file = write_vcf(tmp_path / "in.vcf", [("a", position, before, after)])
    assert run(model, genome, file, tmp_path) == 0
    ((_, _, effects),) = read_scored(tmp_path / "scored.vcf")
    return effects[1, "site"]


NOTHING = ["0", ".", "."]


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize(
    ("planted", "at", "before", "after", "matches", "places"),
    [
        ("CGGGCG", 5, "G", "C", (5, 6), (-3, 3)),
        ("TGGGCC", 0, "T", "C", (5, 6), (2, -2)),
        ("CGGCC", 1, "G", "GG", (4, 6), (0, 0)),
        ("CGTTGGCC", 1, "GTT", "G", (4, 6), (3, 0)),
    ],
)
def test_gain_of_a_motif_is_exact(tmp_path, strand, planted, at, before, after, matches, places):
    text, start = "T" * 80 + planted + "T" * 80, 80 + at
    if strand == "-":
        text = text.translate(COMPLEMENT)[::-1]
        start = len(text) - start - len(before)
        before, after = (one.translate(COMPLEMENT)[::-1] for one in (before, after))
        if len(before) != len(after):  # VCF wants the base before an insertion or deletion
            start -= 1
            before, after = text[start] + before, text[start] + after
    gain, _, log_gain, _ = motif_effects(tmp_path, text, start + 1, before, after)
    expected = probability(matches[1]) - probability(matches[0])
    assert float(gain[0]) == pytest.approx(expected, rel=1e-5)
    assert gain[1:] == [str(places["+-".index(strand)]), strand]
    assert float(log_gain[0]) >= SLOPE * (matches[1] - matches[0])


def test_loss_by_deletion_lies_where_the_site_was(tmp_path):
    text = "T" * 80 + MOTIF + "T" * 80
    gain, loss, log_gain, log_loss = motif_effects(tmp_path, text, 80, "T" + MOTIF, "T")
    assert gain == log_gain == NOTHING
    assert float(loss[0]) == pytest.approx(probability(6) - probability(0), rel=1e-5)
    assert float(log_loss[0]) == pytest.approx(SLOPE * 6)
    assert loss[1:] == log_loss[1:] == ["3", "+"]


@pytest.mark.parametrize("resolution", [1, 10, 50])
@pytest.mark.parametrize(("before", "after"), [("T", "TTT"), ("TTTT", "T"), ("T", "T" + 49 * "T")])
@pytest.mark.parametrize("site", [141, 146, 149, 150, 151])
def test_a_site_that_is_only_moved_is_neither_gained_nor_lost(
    tmp_path, resolution, before, after, site
):
    text = "T" * (site - 2) + MOTIF + "T" * 200
    effects = motif_effects(tmp_path, text, 121, before, after, resolution)
    assert effects == [NOTHING] * 4


def test_exchanged_alleles_exchange_gain_and_loss(texts, genome, tmp_path):
    """At a resolution of 1, for insertions and deletions alike."""
    model = write_model(tmp_path / "model", "dilated", True)
    start, text = 400, texts["a"]
    for row, (before, after) in enumerate(
        [(text[start], text[start] + "GTAAG"), (text[start], "")]
    ):
        folder = tmp_path / str(row)
        folder.mkdir()
        after = after or other_letter(before)
        changed = text[:start] + after + text[start + 1 :]
        other = write_genome(folder / "toy", {"a": changed})
        pairs = []
        for place, (one, two) in ((genome, (before, after)), (other, (after, before))):
            file = write_vcf(folder / "in.vcf", [("a", start + 1, one, two)])
            assert run(model, place, file, folder, "--longest", "100") == 0
            ((_, _, effects),) = read_scored(folder / "scored.vcf")
            pairs.append(effects)
        for name in CLASSES:
            there, back = ([float(part[0]) for part in one[1, name]] for one in pairs)
            swapped = [back[1], back[0], back[3], back[2]]
            assert there == pytest.approx(swapped, abs=1.1e-5) and max(there) > 0.01


# --- the file ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "dilated", "dilated", True)


def mixed_variants(texts):
    """Alleles that are scored beside those that are not."""
    a = texts["a"]
    return [
        ("a", 11, a[10], f"{other_letter(a[10])},*"),
        ("a", 21, a[20], "<DEL>"),
        ("a", 31, a[30], f"{a[30]}[b:17["),
        ("a", 31, a[30], f".{a[30]}"),
        ("a", 41, a[40], "."),
        ("a", 51, a[50:53], f"<INS>,{a[50]},{a[50:53]}"),
        ("a", 61, a[60].lower(), other_letter(a[60]).lower()),
        ("a", 71, a[70], a[70] + "A" * 1000),
        ("a", 701, "N", "A"),
        ("b", 1, texts["b"][0], other_letter(texts["b"][0])),
    ]


def test_records_come_back_as_they_were(texts, genome, model, tmp_path):
    variants = mixed_variants(texts)
    file = write_vcf(tmp_path / "in.vcf", variants)
    assert run(model, genome, file, tmp_path) == 0
    options = ("--variants", str(tmp_path / "scored.vcf"), "--genome-folder", str(genome))
    assert index_variants.main([*options, "--output", str(tmp_path / "out.vcf.gz")]) == 0
    with (
        pysam.VariantFile(str(file)) as old,
        pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as new,
    ):
        assert {"GS", "GS_GAIN", "GS_LOSS", "GS_SKIPPED"} == {*new.header.info} - {*old.header.info}
        for before, after in zip(old, new, strict=True):
            for name in ("contig", "pos", "id", "ref", "alts", "qual"):
                assert getattr(before, name) == getattr(after, name)
            assert list(before.filter) == list(after.filter) == ["low"]
            assert before.info["DP"] == after.info["DP"]
            assert before.samples["one"]["GT"] == after.samples["one"]["GT"]
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as new:
        (found,) = new.fetch("b", 0, 1)
        assert len(found.info["GS_GAIN"]) == 1 and len(found.info["GS"]) == len(CLASSES)
    for kind in ("csi", "tbi"):
        index = str(tmp_path / f"out.vcf.gz.{kind}")
        with pysam.TabixFile(str(tmp_path / "out.vcf.gz"), index=index) as rows:
            assert len(list(rows.fetch("a", 0, 100))) == 8
    written = (tmp_path / "scored.vcf").read_text().splitlines()
    kept = HEADER.splitlines()
    assert [line for line in written if line in kept] == kept
    with gzip.open(tmp_path / "out.vcf.gz", "rt") as handle:
        assert handle.read().splitlines() == written


def test_alleles_that_cannot_be_scored_are_named_and_counted(texts, genome, model, tmp_path):
    file = write_vcf(tmp_path / "in.vcf", mixed_variants(texts))
    assert run(model, genome, file, tmp_path) == 0
    found = [info.get("GS_SKIPPED") for _, info, _ in read_scored(tmp_path / "scored.vcf")]
    assert found == [
        *(".,spanning_deletion", "symbolic", "breakend", "breakend", None),
        *("symbolic,.,same_as_reference", None, "too_long", None, None),
    ]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["skipped"] == {
        "breakend": 2, "same_as_reference": 1, "spanning_deletion": 1, "symbolic": 2, "too_long": 1,
    }  # fmt: skip
    assert (summary["records"], summary["alleles"], summary["scored"]) == (10, 12, 5)


def test_compressed_files_and_other_blocks_give_the_same(
    texts, genome, model, tmp_path, monkeypatch
):
    file = write_vcf(tmp_path / "in.vcf", listed_variants(texts))
    assert run(model, genome, file, tmp_path) == 0
    expected = read_scored(tmp_path / "scored.vcf")
    packed = tmp_path / "in.vcf.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    pysam.tabix_compress(str(file), str(tmp_path / "in.bgz"), force=True)
    monkeypatch.setattr("genomesieve.variant_effects._ALLELES_AT_ONCE", 1)
    for other in (packed, tmp_path / "in.bgz"):
        assert run(model, genome, other, tmp_path) == 0
        for one, two in zip(expected, read_scored(tmp_path / "scored.vcf"), strict=True):
            assert one[0][:7] == two[0][:7]
            for key, entries in one[2].items():
                for mine, its in zip(entries, two[2][key]):
                    assert float(mine[0]) == pytest.approx(float(its[0]), abs=1.1e-5, rel=1e-5)


def test_scoring_again_replaces_what_was_there(texts, genome, model, tmp_path):
    file = write_vcf(tmp_path / "in.vcf", mixed_variants(texts))
    assert run(model, genome, file, tmp_path) == 0
    first = (tmp_path / "scored.vcf").read_text()
    again = tmp_path / "again.vcf"
    again.write_text(first)
    assert run(model, genome, again, tmp_path) == 0
    assert (tmp_path / "scored.vcf").read_text() == first


def test_float32_can_be_asked_for(texts, genome, model, tmp_path):
    file = write_vcf(tmp_path / "in.vcf", mixed_variants(texts))
    assert run(model, genome, file, tmp_path) == 0
    expected = (tmp_path / "scored.vcf").read_text()
    coarse = write_model(
        tmp_path / "coarse", "dilated", True, scan_plan=ScanPlan(2000, 2, "bfloat16").to_dict()
    )
    assert run(coarse, genome, file, tmp_path, "--precision", "float32") == 0
    assert (tmp_path / "scored.vcf").read_text() == expected
    assert run(coarse, genome, file, tmp_path) == 0
    assert "precision=bfloat16" in (tmp_path / "scored.vcf").read_text()


def test_file_without_variants_stays_one(genome, model, tmp_path):
    file = tmp_path / "in.vcf"
    file.write_text(HEADER)
    assert run(model, genome, file, tmp_path) == 0
    assert read_scored(tmp_path / "scored.vcf") == []
    assert json.loads((tmp_path / "summary.json").read_text())["scored"] == 0


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a\t11\t.\t{wrong}\tG\t.\t.\t.",
            "line 8: REF at a:11 is '{wrong}'; expected {right} from",
        ),
        ("z\t11\t.\tA\tG\t.\t.\t.", "line 8: contig 'z' is not in genome toy; expected a, b"),
        ("a\t0\t.\tA\tG\t.\t.\t.", "POS of a is '0'; expected 1 to 1237"),
        ("a\tx\t.\tA\tG\t.\t.\t.", "POS of a is 'x'"),
        (f"a\t{'9' * 5000}\t.\tA\tG\t.\t.\t.", "POS of a is '999999999999999999999999999999'"),
        ("b\t400\t.\tA\tG\t.\t.\t.", "POS of b is '400'; expected 1 to 333"),
        ("b\t333\t.\t{last}A\tG\t.\t.\t.", "REF of 2 bp at b:333 ends beyond its contig"),
        ("a\t11\t.\t{right}\tG!\t.\t.\t.", "ALT is 'G!'; expected letters of DNA"),
        ("a\t11\t.\t{right}\tG,.\t.\t.\t.", "ALT is 'G,.'; expected alleles, or a dot alone"),
        ("a\t11\t.\t\tG\t.\t.\t.", "REF is ''; expected letters of DNA"),
        ("a\t11\t.\tA\tG\t.\t.", "has 7 columns; expected 8 as the header"),
        ("a\t9\t.\tN\tG\t.\t.\t.", "line 8: a:9 comes too late; expected records sorted"),
    ],
)
def test_bad_lines_are_named(texts, genome, model, tmp_path, capsys, line, message):
    names = {
        "right": texts["a"][10],
        "wrong": other_letter(texts["a"][10]),
        "last": texts["b"][-1],
    }
    if "comes too late" in message:
        names["right"] = texts["a"][8]
        line = line.replace("N", texts["a"][8])
    header = HEADER.replace("\tFORMAT\tone", "").splitlines()[1:]
    first = f"a\t11\t.\t{texts['a'][10]}\t.\t.\t.\t."
    lines = ["##fileformat=VCFv4.3", *header[-6:], first, line.format(**names)]
    lines = [one for one in lines if "FORMAT=" not in one]
    file = tmp_path / "in.vcf"
    file.write_text("\n".join(lines) + "\n")
    assert run(model, genome, file, tmp_path) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: variants {file}, line ")
    assert message.format(**names) in error
    assert not (tmp_path / "scored.vcf").exists() and not (tmp_path / "summary.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t11\t.\tA\tG\t.\t.\t.\n", "line 1: begins with 'a"),
        ("##fileformat=VCFv4.2\n", "has no line of columns"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\n", "line 2: is '#CHROM"),
    ],
)
def test_files_that_are_no_vcf_are_refused(genome, model, tmp_path, capsys, text, message):
    file = tmp_path / "in.vcf"
    file.write_text(text)
    assert run(model, genome, file, tmp_path) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "scored.vcf").exists()


def test_models_that_cannot_score_variants_are_refused(texts, genome, tmp_path, capsys):
    file = write_vcf(tmp_path / "in.vcf", mixed_variants(texts))
    raw = write_model(tmp_path / "raw", "dilated", True, calibration=None)
    assert run(raw, genome, file, tmp_path) == 1
    assert "is not calibrated; expected" in capsys.readouterr().err
    network = build_network(
        resolve_architecture(DILATED), 2, "exclusive", "augment", signals=1
    ).eval()
    seeing = write_model(tmp_path / "seeing", "dilated", True, signals=["atac"], network=network)
    assert run(seeing, genome, file, tmp_path) == 1
    assert "sees atac beside the sequence; expected a model of the sequence" in (
        capsys.readouterr().err
    )
    assert run(raw, genome, file, tmp_path, distance=-1) == 1
    assert "--distance: found -1; expected at least 0" in capsys.readouterr().err


def test_statistics_of_the_laboratory_are_used(texts, genome, tmp_path):
    architecture = resolve_architecture(DILATED | {"norm": "domain"})
    torch.manual_seed(1)
    network = build_network(architecture, 2, "exclusive", "augment", laboratories=2).eval()
    for norm in domain_norms(network):
        norm.running_mean[1] += 0.5
        norm.running_var[1] *= 3
    both = {"architecture": architecture, "network": network, "laboratories": ["Oslo", "Paris"]}
    model = write_model(tmp_path / "model", "dilated", True, **both)
    # The oracle has one laboratory's statistics for good, in plain batch normalisation.
    file = write_vcf(
        tmp_path / "in.vcf", [("a", 401, texts["a"][400], other_letter(texts["a"][400]))]
    )
    naive = Naive(model, 9)
    found = {}
    for laboratory in ("Oslo", "Paris", "Rome"):
        assert run(model, genome, file, tmp_path, "--laboratory", laboratory, distance=9) == 0
        ((fields, _, effects),) = read_scored(tmp_path / "scored.vcf")
        found[laboratory] = effects
        statistics = json.loads((tmp_path / "summary.json").read_text())["domain_statistics"]
        assert statistics == ("own data" if laboratory == "Rome" else "training")
    for number, laboratory in enumerate(("Oslo", "Paris")):
        naive.bundle.network, naive.known = fix_laboratory(network, number), {}
        expected = expected_effects(naive, texts, "a", 401, *fields[3:5])
        for name in CLASSES:
            assert_equal_effects(found[laboratory][1, name], expected[name], True)
    assert found["Oslo"] != found["Paris"] != found["Rome"]
