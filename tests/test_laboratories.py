"""Signals and laboratories on the whole way: training, calibration, scan."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import calibrate_model
import scan_genome
import train_model
from genomesieve.bundle import load_bundle
from genomesieve.training import Trainer
from planted_genome import CLASSES, write_planted_genome

LABORATORIES = {"one": "Paris", "two": "Oslo"}
MODEL = {
    "preset": "dilated", "channels": 8, "stem_kernels": [9], "kernel": 3, "dilations": [1],
    "norm": "domain",
}  # fmt: skip


class Study:
    """One planted genome, seen by three laboratories, each with a scale of its own."""

    def __init__(self, root):
        self.root = root
        self.planted = write_planted_genome(root, length=60_000)
        codes = np.load(self.planted.folder / "codes.npy")
        generator = np.random.default_rng(0)
        for name, scale in {"one": 1.0, "two": 4.0, "three": 9.0}.items():
            shutil.copytree(self.planted.folder, root / name)
            values = scale * (1 + generator.normal(size=len(codes)))
            np.save(root / name / "atac.npy", values.astype(np.float16))
        windows = pd.read_parquet(self.planted.windows)
        # Oslo has a third of the windows of Paris.
        parts = [windows.assign(genome="one"), windows.iloc[::3].assign(genome="two")]
        pd.concat(parts).to_parquet(root / "both.parquet")

    def genomes(self):
        """Options that name the two training genomes."""
        found = []
        for name in LABORATORIES:
            paths = {
                "--genome": self.root / name, "--sites": self.planted.sites,
                "--intervals": self.planted.intervals, "--split": self.planted.split,
            }  # fmt: skip
            found += [item for key, path in paths.items() for item in (key, f"{name}={path}")]
            found += ["--signal", f"{name}:atac={self.root / name / 'atac.npy'}"]
            found += ["--laboratory", f"{name}={LABORATORIES[name]}"]
        return [*found, "--classes", json.dumps(CLASSES), "--labels", "exclusive"]

    def train(self, folder, *more):
        training = {"steps": 40, "batch": 6, "validations": 2, "learning_rate": 0.01}
        return train_model.main(
            [
                *self.genomes(),
                *("--windows", str(self.root / "both.parquet"), "--signals", "atac"),
                *("--model", json.dumps(MODEL), "--training", json.dumps(training)),
                *("--threads", "1", "--device", "cpu", "--output-dir", str(folder), *more),
            ]
        )

    def calibrate(self, model, folder, *more):
        settings = {"precision_targets": [0.5], "operating": 0.5, "bootstrap": 100}
        return calibrate_model.main(
            [
                *("--model", str(model), *self.genomes(), "--settings", json.dumps(settings)),
                *("--precision", "float32", "--threads", "1", "--device", "cpu"),
                *("--output-dir", str(folder), *more),
            ]
        )

    def scan(self, model, name, folder, *more):
        return scan_genome.main(
            [
                *("--model", str(model), "--genome-folder", str(self.root / name)),
                *("--split", str(self.planted.split), "--parts", "test", "--threads", "1"),
                *("--device", "cpu", "--keep-scores", "--output-dir", str(folder), *more),
            ]
        )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def trained_here(study):
    assert study.train(study.root / "trained") == 0
    return study.root / "trained"


@pytest.fixture(scope="module")
def model(study, trained_here):
    folder = study.root / "model"
    assert study.calibrate(trained_here, folder) == 0
    content = json.loads((folder / "model.json").read_text())
    content["scan_plan"]["chunk"] = 3000
    (folder / "model.json").write_text(json.dumps(content))
    return folder


def test_the_model_says_what_it_sees(model):
    content = json.loads((model / "model.json").read_text())
    assert content["signals"] == ["atac"] and content["laboratories"] == ["Oslo", "Paris"]
    network = load_bundle(model).network
    means = network.trunk[0].layers[0].running_mean
    assert means.shape == (2, 8) and not torch.allclose(means[0], means[1])
    assert network.scaling.mean.item() == pytest.approx((1 + 4) / 2, abs=0.1)


def test_a_killed_run_of_several_laboratories_ends_where_the_unbroken_one_does(
    study, trained_here, tmp_path, monkeypatch
):
    checkpoint, step = str(tmp_path / "checkpoint"), Trainer._step

    def dies(self):
        if self.state.step == 25:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_step", dies)
    assert study.train(tmp_path / "again", "--checkpoint", checkpoint) == 130
    monkeypatch.setattr(Trainer, "_step", step)
    assert study.train(tmp_path / "again", "--checkpoint", checkpoint) == 0
    expected = load_bundle(trained_here).network.state_dict()
    found = load_bundle(tmp_path / "again").network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize(("name", "laboratory"), [("one", "Paris"), ("three", "Rome")])
def test_shards_of_a_laboratory_never_change_a_bit(study, model, tmp_path, name, laboratory):
    """Statistics of a laboratory that training saw, and of one that it did not."""
    seen = ("--signal", f"atac={study.root / name / 'atac.npy'}", "--laboratory", laboratory)
    assert study.scan(model, name, tmp_path / "whole", *seen) == 0
    for shard in ("1", "2", "3"):
        part = ("--shard", shard, "--shards", "3")
        assert study.scan(model, name, tmp_path / shard, *seen, *part) == 0
    joined = [np.load(tmp_path / shard / "scores.npy") for shard in "123"]
    whole = np.load(tmp_path / "whole" / "scores.npy")
    assert np.array_equal(np.concatenate(joined, axis=-1), whole)
    summary = json.loads((tmp_path / "whole" / "summary.json").read_text())
    expected = "training" if name == "one" else "own data"
    assert summary["domain_statistics"] == expected
    # Who measured the signal matters.
    others = (*seen[:3], "Oslo")
    assert study.scan(model, name, tmp_path / "others", *others) == 0
    assert not np.array_equal(np.load(tmp_path / "others" / "scores.npy"), whole)


def test_what_is_missing_is_named(study, trained_here, model, tmp_path, capsys):
    def said(code):
        assert code == 1
        return capsys.readouterr().err

    extra = ("--signal", f"one:rna={study.root / 'one' / 'atac.npy'}")
    message = "signals of genome one are atac, rna; expected atac, which the network sees"
    assert message in said(study.train(tmp_path / "no", *extra))
    assert message in said(study.calibrate(trained_here, tmp_path / "no", *extra))
    message = "signals of genome one are none; expected atac"
    assert message in said(study.scan(model, "one", tmp_path / "no"))
    fifth = ("--laboratory", "five=Rome")
    assert "--laboratory names genome five" in said(study.train(tmp_path / "no", *fifth))
    short = tmp_path / "short.npy"
    np.save(short, np.zeros(5, np.float16))
    assert "holds (5,) float16" in said(
        study.scan(model, "one", tmp_path / "no", "--signal", f"atac={short}")
    )
    assert not (tmp_path / "no").exists()
