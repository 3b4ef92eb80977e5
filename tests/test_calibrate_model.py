import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import calibrate_model
from genomesieve.bundle import load_bundle
from planted_genome import CLASSES


def run(planted, model, folder, *extra, classes=None, settings="{}"):
    return calibrate_model.main(
        [
            *("--model", str(model), *planted.arguments(), "--threads", "1", "--device", "cpu"),
            *("--classes", json.dumps(classes or CLASSES), "--labels", "exclusive"),
            *("--settings", settings, "--output-dir", str(folder), *extra),
        ]
    )


def test_bundle_gains_calibration_and_keeps_weights(trained, calibrated):
    before, after = load_bundle(trained), load_bundle(calibrated)
    weights = before.network.state_dict()
    assert all((value == weights[key]).all() for key, value in after.network.state_dict().items())
    assert after.scan_plan["precision"] == "float32"
    for name in CLASSES:
        entry = after.calibration["classes"][name]
        assert entry["slope"] > 0
        assert [item["precision_target"] for item in entry["thresholds"]] == [0.8, 0.5]
        assert entry["operating"] == 1


SURE = {"bootstrap": 100, "precision_targets": [0.5], "operating": 0.5}


@pytest.mark.parametrize("asked", ["auto", "bfloat16"])
def test_reduced_precision_is_measured_first(planted, trained, tmp_path, monkeypatch, asked):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    settings = json.dumps(SURE)
    assert run(planted, trained, tmp_path, "--precision", asked, settings=settings) == 0
    bundle = load_bundle(tmp_path)
    assert bundle.scan_plan["precision"] == "bfloat16"
    found = bundle.calibration["precision"]
    # About as many scores as 2 strands and 2 classes of the part have; small and not nothing.
    assert found["scores"] > 10_000
    assert 0 < found["median"] <= 0.05 and found["median"] < found["largest"] <= 0.5


def test_scores_that_do_not_hold_are_left_in_float32(
    planted, trained, tmp_path, monkeypatch, capsys
):
    """Weights a hundred times as large make differences a hundred times as large."""
    folder = shutil.copytree(trained, tmp_path / "large")
    weights = load_file(folder / "model.safetensors")
    weights |= {name: weights[name] * 100 for name in ("head.weight", "head.bias")}
    save_file(weights, folder / "model.safetensors")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert run(planted, folder, tmp_path / "out", settings=json.dumps(SURE)) == 0
    bundle = load_bundle(tmp_path / "out")
    assert bundle.scan_plan["precision"] == "float32"
    assert bundle.calibration["precision"]["largest"] > 0.5
    assert "do not hold in bfloat16: scanning in float32" in capsys.readouterr().err


def test_probabilities_average_to_the_prevalence(planted, calibrated, tmp_path):
    """Maximum likelihood with an intercept: expected and observed numbers of sites agree."""
    import scan_genome
    from genomesieve.promises import probability_of

    folder = tmp_path / "scan"
    assert (
        scan_genome.main(
            [
                *("--model", str(calibrated), "--threads", "1"),
                *("--genome-folder", str(planted.folder), "--split", str(planted.split)),
                *("--parts", "calibrate", "--keep-scores", "--output-dir", str(folder)),
            ]
        )
        == 0
    )
    scores = np.load(folder / "scores.npy")
    bundle = load_bundle(calibrated)
    for index, name in enumerate(bundle.classes):
        entry = bundle.calibration["classes"][name]
        codes = scores[:, index]
        mean = probability_of(codes[codes > 0], entry).mean()
        assert mean == pytest.approx(entry["prevalence"], rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"precision_targets": [1.5]}', "expected values in (0, 1)"),
        ('{"operating": 0.33}', "expected one of"),
        ('{"precisions": [0.5]}', "calibration.precisions: there is no such"),
    ],
)
def test_bad_settings_are_named(planted, trained, tmp_path, capsys, settings, message):
    assert run(planted, trained, tmp_path / "out", settings=settings) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_classes_are_refused(planted, trained, tmp_path, capsys):
    classes = {"ctcf": {"stranded": True}, "donor": {"stranded": True}}
    assert run(planted, trained, tmp_path / "out", classes=classes) == 1
    assert "expected ctcf, donor" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "calibrate_model.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--settings" in done.stdout
