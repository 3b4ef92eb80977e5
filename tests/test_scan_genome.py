import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file

import scan_genome
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.networks import build_network
from genomesieve.planning import ScanPlan
from genomesieve.scores import count_codes, decode_scores
from genomesieve.strand_agreement import add_agreements
from model_calibration import CLASS_CALIBRATION


def run(planted, model, folder, *extra, genome_folder=None):
    return scan_genome.main(
        [
            *("--model", str(model)),
            *("--genome-folder", str(genome_folder or planted.folder)),
            *("--split", str(planted.split), "--parts", "test", "--threads", "1"),
            *("--device", "cpu", "--output-dir", str(folder), *extra),
        ]
    )


@pytest.fixture(scope="module")
def chunked(calibrated, tmp_path_factory):
    """The calibrated model with a plan of several chunks for the small test genome."""
    folder = tmp_path_factory.mktemp("chunked") / "model"
    shutil.copytree(calibrated, folder)
    content = json.loads((folder / "model.json").read_text())
    content["scan_plan"]["chunk"] = 4000
    (folder / "model.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def whole(planted, chunked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan") / "1-of-1"
    assert run(planted, chunked, folder, "--keep-scores") == 0
    return folder


def test_histograms_and_candidates_are_those_of_the_scores(whole):
    scores = np.load(whole / "scores.npy")
    with np.load(whole / "histograms.npz") as content:
        total, floor = content["total"], content["floor"]
        counts = content["count"]
    for strand in range(2):
        for index in range(2):
            expected = count_codes(scores[strand, index])
            expected[0] = 0
            assert np.array_equal(total[strand, index], expected)
    assert counts.sum() == total.sum()
    candidates = pd.read_parquet(whole / "candidates.parquet")
    assert len(candidates) == (scores >= floor[None, :, None]).sum()
    row = candidates.iloc[len(candidates) // 2]
    assert scores[row["strand_index"], row["class_index"], row["bin"]] == row["code"]


@pytest.mark.parametrize("shards", [2, 50])
def test_shards_add_up_to_the_whole(planted, chunked, whole, tmp_path, shards):
    folders = [tmp_path / str(shard) for shard in range(1, shards + 1)]
    for shard, folder in enumerate(folders, start=1):
        extra = ("--shard", str(shard), "--shards", str(shards), "--keep-scores")
        assert run(planted, chunked, folder, *extra) == 0
    joined = np.concatenate([np.load(folder / "scores.npy") for folder in folders], axis=-1)
    assert np.array_equal(joined, np.load(whole / "scores.npy"))
    tables = [pd.read_parquet(folder / "candidates.parquet") for folder in folders]
    order = ["strand_index", "class_index", "bin"]
    both = pd.concat(tables).sort_values(order, ignore_index=True)
    expected = pd.read_parquet(whole / "candidates.parquet").sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(both, expected)


def test_scores_are_dropped_unless_kept(planted, calibrated, tmp_path):
    assert run(planted, calibrated, tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"histograms.npz", "candidates.parquet", "summary.json"}


def test_uncalibrated_model_is_refused(planted, trained, tmp_path, capsys):
    assert run(planted, trained, tmp_path / "out") == 1
    assert "not calibrated" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99; this genomesieve"),
        ({"classes": ["donor"], "stranded": [True]}, "damaged or do not fit model.json"),
        (
            {"architecture": {"preset": "dilatde"}},
            "'dilatde'; did you mean 'dilated'",
        ),
        ({"stranded": [True]}, "expected one value a class"),
    ],
)
def test_bundle_that_does_not_fit_is_refused(
    planted, calibrated, tmp_path, capsys, change, message
):
    folder = shutil.copytree(calibrated, tmp_path / "model")
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(content | change))
    assert run(planted, folder, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert message in error and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_damaged_bundle_is_refused(planted, calibrated, tmp_path, capsys, name):
    folder = shutil.copytree(calibrated, tmp_path / "model")
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    assert run(planted, folder, tmp_path / "out") == 1
    assert name in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def overflowing(weights):
    """Return weights that are numbers and whose sums are not."""
    return {
        key: torch.full_like(value, 3e38) if value.is_floating_point() else value
        for key, value in weights.items()
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(planted, calibrated, tmp_path, capsys, value):
    folder = shutil.copytree(calibrated, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["head.bias"][0] = value
    save_file(weights, folder / "model.safetensors")
    assert run(planted, folder, tmp_path / "out") == 1
    assert "head.bias has values that are no finite numbers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scores_that_are_no_numbers_stop_the_scan(planted, calibrated, tmp_path, capsys):
    folder = shutil.copytree(calibrated, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file(overflowing(weights), folder / "model.safetensors")
    assert run(planted, folder, tmp_path / "out") == 1
    assert (
        "gives scores that are NaN on cpu in float32; expected numbers" in capsys.readouterr().err
    )
    assert not list((tmp_path / "out").glob("*"))


def test_full_disk_leaves_nothing(planted, calibrated, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genomesieve.reduction.list_candidates", full)
    assert run(planted, calibrated, tmp_path / "out") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def bin_model(folder, mode):
    """Write a calibrated motif_cnn of one unstranded class with random weights."""
    torch.manual_seed(1)
    architecture = resolve_architecture({"preset": "motif_cnn", "resolution": 20, "channels": 8})
    network = build_network(architecture, 1, "independent", mode).eval()
    threshold = CLASS_CALIBRATION["thresholds"][0] | {"code": 1}
    calibration = CLASS_CALIBRATION | {"floor_code": 1, "thresholds": [threshold]}
    bundle = Bundle("motif_cnn", network, architecture, ["x"], False, "independent", mode)
    bundle.calibration = {"classes": {"x": calibration}}
    bundle.scan_plan = ScanPlan(4000, 4, "float32").to_dict()
    save_bundle(folder, bundle)
    return folder


@pytest.mark.parametrize("mode", ["augment", "average"])
def test_disagreement_of_strands_is_counted_where_sites_have_none(planted, tmp_path, mode):
    model = bin_model(tmp_path / mode, mode)
    counts = []
    for shards in (1, 3):
        found = []
        for shard in range(1, shards + 1):
            folder = tmp_path / f"{shard}-of-{shards}"
            options = ("--shard", str(shard), "--shards", str(shards))
            assert run(planted, model, folder, *options) == 0
            found.append(json.loads((folder / "summary.json").read_text())["strand_agreement"])
        counts.append(add_agreements(found)["x"])
    one, many = counts
    assert one["bins"] == many["bins"] == one["called_on_both"] > 1000
    assert one["sum_of_differences"] == pytest.approx(many["sum_of_differences"])
    mean = one["sum_of_differences"] / one["bins"]
    assert mean == 0 if mode == "average" else mean > 1e-3


def test_part_that_is_absent_is_named(planted, calibrated, tmp_path, capsys):
    assert run(planted, calibrated, tmp_path / "out", "--parts", "screen") == 1
    assert "no bins in parts screen" in capsys.readouterr().err


def test_shard_beyond_the_last_is_refused(planted, calibrated, tmp_path, capsys):
    assert run(planted, calibrated, tmp_path / "out", "--shard", "3", "--shards", "2") == 1
    assert "shard 3 of 2" in capsys.readouterr().err


def test_genome_that_does_not_fit_its_table_is_refused(planted, calibrated, tmp_path, capsys):
    folder = tmp_path / "genome"
    folder.mkdir()
    (folder / "contigs.tsv").write_bytes((planted.folder / "contigs.tsv").read_bytes())
    np.save(folder / "codes.npy", np.zeros(10, dtype=np.uint8))
    assert run(planted, calibrated, tmp_path / "out", genome_folder=folder) == 1
    assert "expected (" in capsys.readouterr().err


def test_scan_never_reads_labels(planted, calibrated, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(planted, calibrated, tmp_path / "out", "--sites", str(planted.sites))
    assert "unrecognized arguments: --sites" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "scan_genome.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--keep-scores" in done.stdout


def test_summary_states_the_plan(whole, chunked):
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["plan"] == json.loads((chunked / "model.json").read_text())["scan_plan"]


def test_chunks_of_another_length_give_the_same_scores(planted, calibrated, whole, tmp_path):
    assert run(planted, calibrated, tmp_path / "out", "--keep-scores") == 0
    one, other = (
        decode_scores(np.load(folder / "scores.npy")) for folder in (tmp_path / "out", whole)
    )
    np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-3)


def test_two_devices_write_the_bytes_of_one(planted, chunked, whole, tmp_path):
    folder = tmp_path / "two"
    assert run(planted, chunked, folder, "--keep-scores", "--devices", "cpu:2") == 0
    names = {path.name for path in whole.iterdir()}
    assert {path.name for path in folder.iterdir()} == names
    for name in names - {"summary.json"}:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    one, two = (json.loads((item / "summary.json").read_text()) for item in (whole, folder))
    assert (one.pop("device"), two.pop("device")) == ("cpu", "cpu, cpu")
    one.pop("seconds"), two.pop("seconds")
    assert one == two


def test_failure_on_a_device_is_one_line_and_leaves_nothing(planted, chunked, tmp_path, capfd):
    broken = tmp_path / "broken"
    shutil.copytree(chunked, broken)
    weights = safetensors.torch.load_file(broken / "model.safetensors")
    safetensors.torch.save_file(overflowing(weights), broken / "model.safetensors")
    assert run(planted, broken, tmp_path / "out", "--devices", "cpu:2") == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("error: process on cpu (") and "scores that are NaN on cpu" in last
    assert list((tmp_path / "out").iterdir()) == []


def test_plans_of_older_bundles_are_read(planted, chunked, whole, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(chunked, old)
    content = json.loads((old / "model.json").read_text())
    plan = content["scan_plan"]
    content["scan_plan"] = {key: plan[key] for key in ("chunk", "batch", "precision")}
    (old / "model.json").write_text(json.dumps(content))
    assert run(planted, old, tmp_path / "out") == 0
    for name in ("histograms.npz", "candidates.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
