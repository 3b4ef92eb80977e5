"""Trust in a scan, estimated without labels: from files to files, on a planted genome."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import estimate_transfer
import merge_scan
import scan_genome
from genomesieve.scan_files import read_calibrated_model, read_histograms
from genomesieve.score_counts import FILE, read_score_counts
from planted_genome import CLASSES


@pytest.fixture(scope="module")
def scan(planted, calibrated, tmp_path_factory) -> Path:
    """The test part, scanned and merged."""
    folder = tmp_path_factory.mktemp("transfer")
    named = [*("--model", str(calibrated), "--genome-folder", str(planted.folder))]
    named += ["--split", str(planted.split), "--parts", "test"]
    shard, merged = str(folder / "shard"), folder / "scan"
    assert scan_genome.main([*named, "--threads", "1", "--output-dir", shard]) == 0
    assert merge_scan.main([*named, "--shard", shard, "--output-dir", str(merged)]) == 0
    return merged


def run(planted, model, scan, output, *extra) -> int:
    """Run the script on the planted genome, which is its own training genome."""
    given = [*("--model", str(model), "--genome-folder", str(planted.folder))]
    given += ["--scan", str(scan), "--train", f"toy={planted.folder}"]
    given += ["--train-split", f"toy={planted.split}", "--bootstrap", "100"]
    return estimate_transfer.main([*given, "--output", str(output), *extra])


def values(path: Path, name: str) -> dict[str, float]:
    """Return the measures of a class."""
    content = json.loads(path.read_text())
    return {row["measure"]: row["value"] for row in content["measures"] if row["class"] == name}


def test_held_out_part_of_the_same_genome(planted, calibrated, scan, tmp_path):
    """Labels of the test part were hidden: the number of sites is found all the same."""
    output = tmp_path / "transfer.json"
    assert run(planted, calibrated, scan, output) == 0
    split = pd.read_csv(planted.split, sep="\t")
    (test,) = split[split["part"] == "test"].itertuples()
    sites = pd.read_parquet(planted.sites)
    inside = sites[
        (sites["contig"] == test.contig) & sites["position"].between(test.start, test.end)
    ]
    total = read_histograms(scan / "histograms.npz").total
    for index, name in enumerate(CLASSES):
        found = values(output, name)
        assert found["bins"] == total[:, index].sum()
        assert found["em_sites"] == pytest.approx((inside["class"] == name).sum(), rel=0.35)
        assert 0 <= found["em_precision"] <= 1
        assert found["em_converged"] == 1
    assert values(output, "")["scanned_bases"] == test.end - test.start
    content = json.loads(output.read_text())
    assert {row["class"] for row in content["measures"]} == {"", *CLASSES}
    for row in content["measures"]:
        assert row["unit"] and (row["low"] is None) == (row["high"] is None)
        assert row["low"] is None or row["low"] <= row["high"]
    assert all(len(row["sentence"].split()) > 5 for row in content["warnings"])


def test_calibration_keeps_the_scores_it_saw(planted, calibrated):
    """As many sites as the calibrate part has, and the prevalence of model.json."""
    model = read_calibrated_model(calibrated)
    counts = read_score_counts(calibrated, model)
    assert list(counts) == list(CLASSES)
    for name, found in counts.items():
        entry = model["calibration"]["classes"][name]
        assert found.sites.sum() == pytest.approx(entry["sites"], abs=3)
        assert found.prevalence == pytest.approx(entry["prevalence"])
        threshold = entry["thresholds"][entry["operating"]]
        called = found.codes >= threshold["code"]
        right, wrong = found.sites[:, called].sum(), found.others[:, called].sum()
        # Calls merge neighbouring bins only beyond one base, so bins and calls are the same here.
        assert right / (right + wrong) == pytest.approx(threshold["precision"], abs=0.02)


def test_same_seed_same_bytes(planted, calibrated, scan, tmp_path):
    files = [tmp_path / name for name in ("one.json", "other.json")]
    assert [run(planted, calibrated, scan, file) for file in files] == [0, 0]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_older_bundle_gives_the_distance_alone(planted, calibrated, scan, tmp_path):
    model = shutil.copytree(calibrated, tmp_path / "model")
    (model / FILE).unlink()
    assert run(planted, model, scan, tmp_path / "t.json") == 0
    content = json.loads((tmp_path / "t.json").read_text())
    assert {row["class"] for row in content["measures"]} == {""}
    missing = [row for row in content["warnings"] if row["what"] == "not_available"]
    assert [row["class"] for row in missing] == list(CLASSES)
    assert "Calibrate it again" in missing[0]["sentence"]


def test_class_that_an_earlier_stage_calibrated(planted, calibrated, scan, tmp_path):
    """Nothing is known of how its sites score with the present weights."""
    model = shutil.copytree(calibrated, tmp_path / "model")
    facts = json.loads((model / "model.json").read_text())
    facts["calibration"]["classes"]["donor"]["from_stage_before"] = True
    (model / "model.json").write_text(json.dumps(facts))
    assert run(planted, model, scan, tmp_path / "t.json") == 0
    assert values(tmp_path / "t.json", "donor") == {}
    assert values(tmp_path / "t.json", "acceptor")["em_sites"] > 0
    warnings = json.loads((tmp_path / "t.json").read_text())["warnings"]
    (mine,) = [row for row in warnings if row["what"] == "not_available"]
    assert mine["class"] == "donor" and "no site of this class" in mine["sentence"]


def break_floors(scan: Path) -> None:
    with np.load(scan / "histograms.npz") as content:
        arrays = dict(content)
    arrays["floor"] = arrays["floor"] + 1
    np.savez_compressed(scan / "histograms.npz", **arrays)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_floors, "another model or another calibration"),
        (lambda scan: (scan / "summary.json").write_text("{}"), "does not count the calls of"),
        (lambda scan: (scan / "blocks.tsv").unlink(), "does not exist"),
    ],
)
def test_scan_of_something_else_is_refused(
    planted, calibrated, scan, tmp_path, capsys, damage, message
):
    other = shutil.copytree(scan, tmp_path / "scan")
    damage(other)
    assert run(planted, calibrated, other, tmp_path / "t.json") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--bootstrap", "0"), "--bootstrap: found 0; expected at least 1"),
        (("--train", "other=x"), "expected the same names"),
    ],
)
def test_bad_options_are_named(planted, calibrated, scan, tmp_path, capsys, extra, message):
    assert run(planted, calibrated, scan, tmp_path / "t.json", *extra) == 1
    assert message in capsys.readouterr().err


def test_split_without_training_sequence(planted, calibrated, scan, tmp_path, capsys):
    split = tmp_path / "split.tsv"
    table = pd.read_csv(planted.split, sep="\t")
    table[table["part"] == "calibrate"].to_csv(split, sep="\t", index=False)
    given = ["--model", str(calibrated), "--genome-folder", str(planted.folder)]
    given += ["--scan", str(scan), "--train", f"toy={planted.folder}", "--bootstrap", "20"]
    output = ["--output", str(tmp_path / "t.json")]
    assert estimate_transfer.main([*given, "--train-split", f"toy={split}", *output]) == 0
    table[table["part"] == "test"].to_csv(split, sep="\t", index=False)
    assert estimate_transfer.main([*given, "--train-split", f"toy={split}", *output]) == 1
    assert "has a part train or calibrate" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "estimate_transfer.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "prior shift" in done.stdout


def test_a_training_genome_that_stands_twice_counts_once(planted, calibrated, scan, tmp_path):
    """As laboratories name one genome: its copy is no measure of how sequence varies."""
    folders = [tmp_path / name for name in ("paris", "oslo")]
    digest = hashlib.sha256(np.load(planted.folder / "codes.npy")).hexdigest()
    for folder in folders:
        shutil.copytree(planted.folder, folder)
        (folder / "summary.json").write_text(json.dumps({"sha256": digest}))
    found = []
    for names in (folders[:1], folders):
        given = [*("--model", str(calibrated), "--genome-folder", str(planted.folder))]
        given += ["--scan", str(scan), "--bootstrap", "20"]
        for folder in names:
            given += ["--train", f"{folder.name}={folder}"]
            given += ["--train-split", f"{folder.name}={planted.split}"]
        output = tmp_path / f"{len(names)}.json"
        assert estimate_transfer.main([*given, "--output", str(output)]) == 0
        found.append(values(output, ""))
    assert found[0]["kmer_divergence_within"] == found[1]["kmer_divergence_within"] > 0
