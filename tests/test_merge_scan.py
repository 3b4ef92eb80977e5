"""Merging shards: read back with pysam and pyBigWig, and independent of how the scan was cut."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest

import merge_scan
from genomesieve.label_counts import total_histogram
from genomesieve.scan_files import read_histograms, read_layout
from genomesieve.scores import decode_scores, list_candidates
from synthetic_scan import write_synthetic_scan

LENGTH = 60_000


@pytest.fixture(scope="module")
def stranded(tmp_path_factory):
    """Two stranded classes at base resolution in three shards."""
    folder = tmp_path_factory.mktemp("stranded")
    return write_synthetic_scan(folder, length=LENGTH, shards=3, shifts={"dilated": 9.0})


@pytest.fixture(scope="module")
def binned(tmp_path_factory):
    """One class without strand in bins of 20 bp, merged at 100 bp, without kept scores."""
    return write_synthetic_scan(
        tmp_path_factory.mktemp("binned"), length=200_000, every=2000, classes=("REB1",),
        stranded=False, resolution=20, min_distance=100, keep_scores=False, part="screen",
        shifts={"motif_cnn": 8.0},
    )  # fmt: skip


@pytest.fixture
def copied(stranded, tmp_path):
    """Copies of the shards' folders that a test may damage, and the arguments to merge them."""
    shards = []
    for shard in stranded.shards["dilated"]:
        shards.append(Path(shutil.copytree(shard, tmp_path / "shards" / shard.name)))
    arguments = ["--model", str(stranded.models["dilated"]), "--parts", "test"]
    arguments += ["--genome-folder", str(stranded.genome_folder), "--split", str(stranded.split)]
    arguments += ["--output-dir", str(tmp_path / "out")]
    return shards, arguments, tmp_path / "out"


def merge(shards, arguments) -> int:
    return merge_scan.main(arguments + [text for one in shards for text in ("--shard", str(one))])


def calibration(scan, model: str) -> dict:
    return json.loads((scan.models[model] / "model.json").read_text())["calibration"]["classes"]


def expected_calls(scan, model: str) -> set[tuple]:
    """Return (contig, start, class, strand) of every bin at or above the operating threshold."""
    found = set()
    names = list(calibration(scan, model))
    contigs = pd.read_csv(scan.genome_folder / "contigs.tsv", sep="\t", dtype={"contig": str})
    for index, name in enumerate(names):
        one = calibration(scan, model)[name]
        code = one["thresholds"][one["operating"]]["code"]
        for strand, symbol in enumerate("+-"):
            bins = np.flatnonzero(scan.scores[model][strand, index] >= code)
            rows, starts = scan.layout.positions_of(bins)
            for row, start in zip(rows, starts):
                found.add((contigs["contig"][row], int(start), name, symbol))
    return found


def test_calls_are_the_bins_above_the_threshold(stranded):
    folder = stranded.scans["dilated"]
    with pysam.TabixFile(str(folder / "calls.bed.gz")) as handle:
        rows = [row.split("\t") for row in handle.fetch()]
        assert sorted(handle.contigs) == ["2", "chr1"]
        some = list(handle.fetch("2", 0, 500))
    assert (folder / "calls.bed.gz.csi").is_file()
    assert (folder / "calls.bed.gz.tbi").is_file()
    assert {(row[0], int(row[1]), row[3], row[5]) for row in rows} == expected_calls(
        stranded, "dilated"
    )
    assert len(some) == sum(row[0] == "2" and int(row[1]) < 500 for row in rows)
    for row in rows:
        assert int(row[2]) == int(row[1]) + 1
        assert int(row[4]) == round(1000 * float(row[6]))
        assert 0 <= float(row[7]) <= 1
    order = [(row[0] == "2", int(row[1])) for row in rows]
    assert order == sorted(order)


def test_calls_say_at_whose_prevalence_they_are(stranded, copied, tmp_path):
    shards, arguments, output = copied
    model = Path(shutil.copytree(stranded.models["dilated"], tmp_path / "elsewhere"))
    described = json.loads((model / "model.json").read_text())
    described["calibration"]["genomes"] = ["home", "den"]
    (model / "model.json").write_text(json.dumps(described))
    assert merge(shards, [*arguments, "--model", str(model)]) == 0
    with pysam.TabixFile(str(output / "calls.bed.gz")) as handle:
        assert list(handle.header)[0] == "# probability and fdr: at the prevalence of home, den"


def test_tracks_hold_the_probability_of_every_bin_above_the_floor(stranded):
    for index, (name, one) in enumerate(calibration(stranded, "dilated").items()):
        for strand, word in enumerate(("plus", "minus")):
            codes = stranded.scores["dilated"][strand, index]
            bins = np.flatnonzero(codes >= one["floor_code"])
            rows, starts = stranded.layout.positions_of(bins)
            score = decode_scores(codes[bins]).astype(float)
            probability = 1 / (1 + np.exp(-(one["slope"] * score + one["intercept"])))
            with pyBigWig.open(str(stranded.scans["dilated"] / f"{name}.{word}.bw")) as track:
                assert track.chroms() == {"chr1": LENGTH, "2": LENGTH // 5 + 37}
                found = [
                    (row, start, end, value)
                    for row, contig in enumerate(("chr1", "2"))
                    for start, end, value in track.intervals(contig)
                ]
            assert [one[:2] for one in found] == list(zip(rows, starts))
            assert all(end == start + 1 for _, start, end, _ in found)
            np.testing.assert_allclose([one[3] for one in found], probability, rtol=1e-6)


def test_histograms_scores_and_candidates_are_those_of_the_whole_scan(stranded):
    folder, scores = stranded.scans["dilated"], stranded.scores["dilated"]
    histograms = read_histograms(folder / "histograms.npz")
    assert (histograms.total == total_histogram(scores)).all()
    assert histograms.blocks["count"].sum() == histograms.total.sum()
    keys = ["block", "strand", "class_index", "code"]
    assert not histograms.blocks.duplicated(keys).any()
    assert (np.load(folder / "scores.npy") == scores).all()
    layout = read_layout(folder, 1)
    assert layout.intervals.equals(stranded.layout.intervals)
    assert layout.blocks.equals(stranded.layout.blocks)
    table = pd.read_parquet(folder / "candidates.parquet")
    expected = list_candidates(scores, histograms.floors, 0)
    names = ["class_index", "strand_index", "bin", "code"]
    assert set(table[names].itertuples(index=False)) == set(expected[names].itertuples(index=False))
    assert (table["end"] - table["start"] == 1).all()
    assert table.groupby(["contig", "class"])["fdr"].count().shape == (4,)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["bins"] == stranded.layout.bins
    assert summary["strand_bins_with_unknown_bases"] == (scores[:, 0] == 0).sum() > 0
    calls = sum(one["calls"] for one in summary["classes"].values())
    assert calls == len(expected_calls(stranded, "dilated"))


def test_tracks_are_written_for_the_classes_asked_for(copied):
    shards, arguments, out = copied
    assert merge(shards, [*arguments, "--bigwigs", "acceptor"]) == 0
    assert sorted(path.name for path in out.glob("*.bw")) == [
        "acceptor.minus.bw",
        "acceptor.plus.bw",
    ]
    assert set(pd.read_parquet(out / "candidates.parquet")["class"]) == {"donor", "acceptor"}


def test_only_the_first_classes_get_tracks_where_there_are_many(copied, monkeypatch):
    monkeypatch.setattr("genomesieve.settings.MOST_BIGWIGS", 1)
    shards, arguments, out = copied
    assert merge(shards, arguments) == 0
    assert {path.name for path in out.glob("*.bw")} == {"donor.minus.bw", "donor.plus.bw"}


def test_tracks_of_an_unknown_class_are_refused(copied, capsys):
    shards, arguments, out = copied
    assert merge(shards, [*arguments, "--bigwigs", "doner"]) == 1
    assert "did you mean 'donor'" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("shards", [1, 8])
def test_how_the_scan_was_cut_does_not_matter(stranded, tmp_path, shards):
    other = write_synthetic_scan(tmp_path, length=LENGTH, shards=shards, shifts={"dilated": 9.0})
    first, second = stranded.scans["dilated"], other.scans["dilated"]
    for name in ("calls.bed.gz", "candidates.parquet", "histograms.npz", "scores.npy",
                 "donor.plus.bw", "blocks.tsv", "intervals.tsv"):  # fmt: skip
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_wide_bins_are_merged_to_local_maxima_a_distance_apart(binned):
    folder = binned.scans["motif_cnn"]
    assert not (folder / "scores.npy").exists()
    table = pd.read_parquet(folder / "candidates.parquet")
    summary = json.loads((folder / "summary.json").read_text())["classes"]["REB1"]
    assert len(table) == summary["merged_candidates"] < summary["bins_above_floor"]
    gaps = table.groupby("contig")["start"].diff().dropna()
    assert gaps.min() >= 100
    assert (table["end"] - table["start"] == 20).all()
    assert set(table["strand"]) == {"."}
    with pyBigWig.open(str(folder / "REB1.both.bw")) as track:
        entries = [one for contig in track.chroms() for one in track.intervals(contig)]
    assert len(entries) == summary["bins_above_floor"]
    assert all(end - start == 20 for start, end, _ in entries)


def edit_summary(folder: Path, **changes) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drop_last(shards):
    shards.pop()


def swap(shards):
    shards[0], shards[1] = shards[1], shards[0]


def leave_a_gap(shards):
    edit_summary(shards[1], first_bin=5)


def end_early(shards):
    edit_summary(shards[2], end_bin=100)


def change_model(shards):
    edit_summary(shards[1], model="other")


def lose_key(shards):
    (shards[0] / "summary.json").write_text("{}")


def break_json(shards):
    (shards[0] / "summary.json").write_text('{"shard": 1,')


def lose_histogram(shards):
    (shards[1] / "histograms.npz").unlink()


def cut_histogram(shards):
    path = shards[1] / "histograms.npz"
    path.write_bytes(path.read_bytes()[:2000])


def change_floor(shards):
    path = shards[1] / "histograms.npz"
    content = dict(np.load(path))
    np.savez_compressed(path, **(content | {"floor": content["floor"] + 1}))


def lose_scores(shards):
    (shards[1] / "scores.npy").unlink()


def shorten_scores(shards):
    path = shards[1] / "scores.npy"
    np.save(path, np.load(path)[:, :, :-1])


def misplace_candidates(shards):
    path = shards[1] / "candidates.parquet"
    pd.read_parquet(path).assign(bin=0).to_parquet(path)


def garble_candidates(shards):
    (shards[1] / "candidates.parquet").write_bytes(b"PAR1 no more")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_last, "is 1 of 3; expected 1 of 2"),
        (swap, "is 2 of 3; expected 1 of 3"),
        (leave_a_gap, "starts at bin 5; expected"),
        (end_early, "ends at bin 100; expected"),
        (change_model, "model is other; expected dilated"),
        (lose_key, "lacks shard, shards, first_bin, end_bin"),
        (break_json, "is not valid JSON"),
        (lose_histogram, "histograms.npz does not exist"),
        (cut_histogram, "histograms.npz cannot be read"),
        (change_floor, "another model or another calibration"),
        (lose_scores, "scores.npy does not exist"),
        (shorten_scores, "scores.npy hold"),
        (misplace_candidates, "name bins or classes outside the shard"),
        (garble_candidates, "candidates.parquet cannot be read"),
    ],
)
def test_shards_that_do_not_fit_are_refused(copied, capsys, damage, message):
    shards, arguments, output = copied
    damage(shards)
    assert merge(shards, arguments) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_model_that_was_not_calibrated_is_refused(copied, tmp_path, capsys):
    shards, arguments, output = copied
    model = json.loads((Path(arguments[1]) / "model.json").read_text()) | {"calibration": None}
    (tmp_path / "model.json").write_text(json.dumps(model))
    assert merge(shards, ["--model", str(tmp_path), *arguments[2:]]) == 1
    assert "is not calibrated for donor, acceptor" in capsys.readouterr().err
    assert not output.exists()


def test_other_parts_of_the_split_are_noticed(copied, capsys):
    shards, arguments, output = copied
    assert merge(shards, [text.replace("test", "calibrate") if text == "test" else text
                          for text in arguments]) == 1  # fmt: skip
    assert "the bins of the given parts" in capsys.readouterr().err
    assert not output.exists()


def test_the_script_runs_on_its_own(copied, repository):
    shards, arguments, output = copied
    command = [sys.executable, str(repository / "scripts" / "merge_scan.py"), *arguments]
    command += [text for shard in shards for text in ("--shard", str(shard))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (output / "calls.bed.gz.csi").is_file()
