"""Attention at the sites of a small transformer, through the scripts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import attribute_sites
import measure_attention
from attributed_models import make_bundle
from genomesieve.bundle import save_bundle
from model_calibration import CLASS_CALIBRATION

MODEL = {"preset": "transformer", "channels": 8, "heads": 2, "window": 100, "reach": 5}
SITES = "chr1\t900\t901\ta\nchr1\t1205\t1206\ta\nchr2\t10\t11\ta\nchr2\t640\t641\tb\n"


def write_model(folder, members=1, model=MODEL, **changes):
    """Write a calibrated model of classes a and b with weights that nobody trained."""
    bundle = make_bundle(model, members=members)
    bundle.member_seeds = list(range(members)) if members > 1 else []
    bundle.calibration = {"classes": dict.fromkeys(bundle.classes, CLASS_CALIBRATION)} | changes
    save_bundle(folder, bundle)
    return folder


def attribute(folder, model, planted):
    (folder / "sites.bed").write_text(SITES)
    arguments = ["--model", model, "--genome-folder", planted.folder, "--sites",
                 folder / "sites.bed", "--flank", "40", "--references", "1", "--steps", "1",
                 "--no-indels", "--device", "cpu", "--output-dir", folder / "explain"]  # fmt: skip
    assert attribute_sites.main([str(argument) for argument in arguments]) == 0
    return folder / "explain"


def measure(model, planted, attributions, output, *more):
    arguments = ["--model", model, "--genome-folder", planted.folder, "--attributions",
                 attributions, "--device", "cpu", "--output-dir", output, *more]  # fmt: skip
    return measure_attention.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def attributed(tmp_path_factory, planted):
    folder = tmp_path_factory.mktemp("attention")
    model = write_model(folder / "model")
    return model, attribute(folder, model, planted)


def test_tables_and_arrays_belong_together(attributed, planted, tmp_path):
    model, attributions = attributed
    assert measure(model, planted, attributions, tmp_path, "--draws", "2") == 0
    sites = pd.read_csv(tmp_path / "sites.tsv", sep="\t")
    known = pd.read_csv(attributions / "sites.tsv", sep="\t")
    assert sites["class"].to_list() == ["a", "a", "a", "b"]
    np.testing.assert_allclose(sites["score"], known["score"], atol=1e-4)
    with np.load(tmp_path / "attention.npz", allow_pickle=False) as content:
        arrays = dict(content)
    settings = make_bundle(MODEL).architecture.settings
    assert arrays["heads"].shape[:3] == (4, settings.layers, 2)
    for row, expected in enumerate(sites["rollout~mutagenesis"]):
        sizes = arrays["mutagenesis"][row]
        seen = np.isfinite(sizes)
        assert seen.sum() > 10
        found = stats.spearmanr(arrays["rollout"][row][seen], sizes[seen]).statistic
        assert found == pytest.approx(expected, abs=1e-6)
    # The bin's own first base is inside of what one of the positions looks at.
    with np.load(attributions / "attributions.npz", allow_pickle=False) as content:
        changes, first = np.abs(content["contributions"][1, 0]), int(content["positions"][0])
    stride = int(arrays["stride"])
    column = int(np.flatnonzero(arrays["offsets"][1] <= 0)[-1])
    start = int(arrays["offsets"][1][column])
    assert start > -stride
    mean = changes[start - first : start - first + stride].mean()
    assert arrays["mutagenesis"][1][column] == pytest.approx(mean, abs=1e-6)
    heads = pd.read_csv(tmp_path / "heads.tsv", sep="\t")
    assert len(heads) == 2 * settings.layers * 2 and set(heads["class"]) == {"a", "b"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    middle = np.median(sites["score_uniform"][:3] - sites["score"][:3])
    assert summary["classes"]["a"]["uniform"]["change"]["median"] == pytest.approx(middle, abs=1e-6)
    called = (sites["score"][:3] >= 1.5).sum()
    assert summary["classes"]["a"]["called"] == called
    assert summary["classes"]["a"]["shuffled"]["still_called"] <= called


def test_two_runs_write_the_same(attributed, planted, tmp_path):
    model, attributions = attributed
    for name in ("one", "two"):
        assert measure(model, planted, attributions, tmp_path / name) == 0
    for name in ("sites.tsv", "heads.tsv", "summary.json", "attention.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_members_are_told_apart(planted, tmp_path):
    model = write_model(tmp_path / "model", members=2)
    attributions = attribute(tmp_path, model, planted)
    assert measure(model, planted, attributions, tmp_path / "out") == 0
    heads = pd.read_csv(tmp_path / "out" / "heads.tsv", sep="\t")
    settings = make_bundle(MODEL).architecture.settings
    assert sorted(set(heads["member"])) == [0, 1]
    assert sorted(set(heads["layer"])) == list(range(settings.layers))


def test_other_models_are_refused(attributed, planted, tmp_path, capsys):
    _, attributions = attributed
    dense = write_model(tmp_path / "dense", model={"preset": "dilated", "channels": 4})
    assert measure(dense, planted, attributions, tmp_path / "out") == 1
    assert "has no self-attention; expected a trunk of attention" in capsys.readouterr().err
    other = write_model(tmp_path / "other", model=MODEL | {"channels": 16})
    assert measure(other, planted, attributions, tmp_path / "out") == 1
    assert "expected those of this model and genome" in capsys.readouterr().err
    assert measure(other, planted, attributions, tmp_path / "out", "--draws", "0") == 1
    assert "--draws: found 0; expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
