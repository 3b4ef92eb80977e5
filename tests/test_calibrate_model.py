import json
import subprocess
import sys

import numpy as np
import pytest

import calibrate_model
from genomesieve.bundle import load_bundle
from planted_genome import CLASSES


def run(planted, model, folder, classes=None, settings="{}"):
    return calibrate_model.main(
        [
            *("--model", str(model), *planted.arguments(), "--threads", "1", "--device", "cpu"),
            *("--classes", json.dumps(classes or CLASSES), "--labels", "exclusive"),
            *("--settings", settings, "--output-dir", str(folder)),
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
