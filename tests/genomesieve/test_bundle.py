"""What a model folder may hold: everything is checked before it is used."""

from __future__ import annotations

import json
import re

import pytest

from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.errors import InputError
from genomesieve.networks import build_network
from genomesieve.planning import ScanPlan
from genomesieve.scan_files import read_calibrated_model
from model_calibration import CLASS_CALIBRATION


@pytest.fixture
def folder(tmp_path):
    """Write a small calibrated model."""
    architecture = resolve_architecture({"preset": "gru", "channels": 2, "units": 2})
    bundle = Bundle(
        "gru", build_network(architecture, 2, "exclusive"), architecture, ["x", "y"], True,
        "exclusive", scan_plan=ScanPlan(4000, 2, "float32").to_dict(),
    )  # fmt: skip
    bundle.calibration = {"bins": 10, "classes": dict.fromkeys(["x", "y"], CLASS_CALIBRATION)}
    save_bundle(tmp_path / "model", bundle)
    return tmp_path / "model"


def put(folder, place, value):
    """Set a value of model.json; the place has dots."""
    path = folder / "model.json"
    content = holder = json.loads(path.read_text())
    *keys, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    for key in keys:
        holder = holder[key]
    holder[last] = value
    path.write_text(json.dumps(content))


def test_what_was_saved_is_loaded(folder):
    assert load_bundle(folder).describe() == json.loads((folder / "model.json").read_text())
    assert read_calibrated_model(folder)["classes"] == ["x", "y"]


THRESHOLD = "calibration.classes.x.thresholds.0"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("format", True),
        ("format", 0),
        ("name", ["x"]),
        ("classes", 1),
        ("classes", ["x", "x"]),
        ("classes", "xy"),
        ("stranded", "no"),
        ("stranded", [{}, {}]),
        ("labels", {}),
        ("reverse_complement", ["augment"]),
        ("signals", [1]),
        ("laboratories", 3),
        ("member_seeds", ["0"]),
        ("architecture", []),
        ("resolution", 51),
        ("context", 1.0),
        ("stride", "50"),
        ("training", []),
        ("scan_plan", [1]),
        ("scan_plan.chunk", 4001),
        ("scan_plan.chunk", 10**12),
        ("scan_plan.batch", 0),
        ("scan_plan.precision", "float8"),
        ("scan_plan.compile", 1),
        ("scan_plan.more", 1),
        ("calibration", [1]),
        ("calibration.bins", -1),
        ("calibration.classes", ["x", "y"]),
        ("calibration.classes.x", None),
        ("calibration.classes.x.slope", "1"),
        ("calibration.classes.x.floor_code", 65536),
        ("calibration.classes.x.floor_code", 1.5),
        ("calibration.classes.x.operating", 1),
        ("calibration.classes.x.thresholds", []),
        ("calibration.classes.x.thresholds", [1]),
        ("calibration.classes.x.fdr", [0.5]),
        ("calibration.classes.x.fdr_codes", [2, 1]),
        ("calibration.classes.x.min_distance", 0),
        (f"{THRESHOLD}.code", -1),
        (f"{THRESHOLD}.design_effect", 0),
        (f"{THRESHOLD}.bootstrap_quantiles", [0.5, 0.4]),
        (f"{THRESHOLD}.precision", 1.2),
    ],
)
def test_wrong_values_are_named(folder, place, value):
    put(folder, place, value)
    key = place.split(".")[-2 if place.split(".")[-1].isdigit() else -1]
    named = {"bins": "bins", "more": "more", "fdr": "fdr", "chunk": "scan_plan", "x": "classes.x"}
    with pytest.raises(InputError, match=re.escape(named.get(key, key))):
        load_bundle(folder)


@pytest.mark.parametrize("key", ["slope", "thresholds", "fdr", "operating", "prevalence"])
def test_calibration_without_a_part_is_refused_in_both_halves(folder, key):
    path = folder / "model.json"
    content = json.loads(path.read_text())
    del content["calibration"]["classes"]["y"][key]
    path.write_text(json.dumps(content))
    for read in (load_bundle, read_calibrated_model):
        with pytest.raises(InputError, match=f"classes.y lacks `{key}`"):
            read(folder)


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"9" * 5000, b'{"format": NaN}', b'{"format": 1e999}', b"[]", b"\xff", b""],
    ids=lambda content: repr(content[:12]),
)
def test_files_that_are_no_json_are_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    with pytest.raises(InputError, match="model.json (is not valid JSON|holds no table)"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"step\tloss\n1\n1\t2\t3\n", b"\x9b\t1\n"])
def test_damaged_history_is_refused(folder, content):
    (folder / "history.tsv").write_bytes(content)
    with pytest.raises(InputError, match="history.tsv cannot be read"):
        load_bundle(folder)
