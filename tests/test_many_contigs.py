"""A genome of 200,000 short contigs, from FASTA to calls."""

import json

import numpy as np
import pandas as pd
import pysam
import torch

import encode_genome
import merge_scan
import scan_genome
import split_genome
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.networks import build_network
from genomesieve.planning import plan_scan
from model_calibration import CLASS_CALIBRATION

CONTIGS, LENGTH, RESOLUTION = 200_000, 500, 50
MODEL = {
    "preset": "motif_cnn", "resolution": RESOLUTION, "channels": 4, "stem_kernels": [7],
    "hidden": 2, "norm": "none",
}  # fmt: skip


def write_fasta(path):
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[generator.integers(0, 4, CONTIGS * LENGTH)]
    with path.open("wb") as handle:
        for number, line in enumerate(letters.reshape(CONTIGS, LENGTH)):
            handle.write(b">c%d\n%s\n" % (number, line.tobytes()))
    return letters.reshape(CONTIGS, LENGTH)


def write_model(folder):
    """Write a network that looks for one word, calibrated so that its matches are calls."""
    architecture = resolve_architecture(MODEL)
    network = build_network(architecture, 1, "independent")
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        for place, letter in enumerate("GATTACA"):
            network.stem[0].weight[0, "ACGT".index(letter), 0, place] = 1
        network.stem[0].bias[0] = -6
        network.hidden[0].weight[0, 0] = 1
        network.head.weight[0, 0] = 8
        network.head.bias[0] = -6
    threshold = CLASS_CALIBRATION["thresholds"][0] | {"code": 0x8000, "score": 0.0}
    calibrated = CLASS_CALIBRATION | {
        "floor_code": 0x8000, "min_distance": RESOLUTION, "match_distance": 25,
        "slope": 1.0, "intercept": 0.0, "thresholds": [threshold],
        "fdr_codes": [0x8000], "fdr": [0.5],
    }  # fmt: skip
    bundle = Bundle("motif_cnn", network, architecture, ["word"], False, "independent")
    bundle.scan_plan = plan_scan(bundle, torch.device("cpu"))[0].to_dict()
    bundle.calibration = {"classes": {"word": calibrated}}
    save_bundle(folder, bundle)


def test_two_hundred_thousand_contigs_end_to_end(tmp_path):
    letters = write_fasta(tmp_path / "g.fa")
    genome, model, shard = (tmp_path / name for name in ("genome", "model", "shard"))
    genome.mkdir()
    files = ("--codes", genome / "codes.npy", "--contigs", genome / "contigs.tsv")
    files += ("--softmask", genome / "softmask.parquet", "--summary", genome / "summary.json")
    run(encode_genome, "--genome", "many", "--fasta", tmp_path / "g.fa", *files)
    split = ("--split", tmp_path / "split.tsv")
    run(split_genome, "--genome", "many", "--genome-folder", genome, "--screen-only",
        "--output", split[1], "--summary", tmp_path / "split.json")  # fmt: skip
    write_model(model)
    scanned = ("--model", model, "--genome-folder", genome, *split, "--parts", "screen")
    run(scan_genome, *scanned, "--output-dir", shard)
    run(merge_scan, *scanned, "--shard", shard, "--output-dir", tmp_path / "scan")
    words = (np.lib.stride_tricks.sliding_window_view(letters, 7, axis=1) == list(b"GATTACA")).all(
        2
    )
    contig, start = np.nonzero(words)
    # The filter is centred on the fourth base of the word, whose bin is called.
    expected = {(f"c{row}", (at + 3) // RESOLUTION * RESOLUTION) for row, at in zip(contig, start)}
    with pysam.TabixFile(str(tmp_path / "scan/calls.bed.gz")) as calls:
        found = {(row.split("\t")[0], int(row.split("\t")[1])) for row in calls.fetch()}
    assert found == expected and len(found) > 4_000
    summary = json.loads((tmp_path / "scan/summary.json").read_text())
    assert summary["bases"] == CONTIGS * LENGTH
    assert len(pd.read_csv(tmp_path / "split.tsv", sep="\t")) == CONTIGS


def run(script, *options):
    assert script.main([str(option) for option in options]) == 0
