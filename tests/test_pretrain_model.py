import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import pretrain_model
from genomesieve.training import Trainer
from toy_pretraining import TRAINING, markov_codes, options, write_genome


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    codes = markov_codes(60_000)
    codes[4000:4100] = 4
    repeats = pd.DataFrame({"contig": ["a", "b"], "start": [0, 500], "end": [9000, 900]})
    contigs = {"a": codes[:40_000], "b": codes[40_000:]}
    return write_genome(tmp_path_factory.mktemp("genome") / "toy", contigs, repeats)


def read(folder):
    table = pd.read_csv(folder / "perplexity.tsv", sep="\t")
    everywhere = table[(table["positions"] == "everywhere") & (table["mask"] == "all")]
    return safetensors.torch.load_file(folder / "trunk.safetensors"), everywhere


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_markov_source_is_learned(genome, tmp_path):
    """The network beats the letters' frequencies by far and comes near what neighbours tell."""
    training = TRAINING | {"steps": 250, "batch": 16, "learning_rate": 0.01}
    training |= {"evaluation_bp": 20_000, "two_sided": 3, "one_sided": 4}
    model = {
        "preset": "dilated",
        "channels": 16,
        "stem_kernels": [7],
        "dilations": [1],
        "kernel": 3,
    }
    given = {"--training": json.dumps(training), "--model": json.dumps(model)}
    assert pretrain_model.main(options(genome, tmp_path / "out", **given)) == 0
    table = read(tmp_path / "out")[1].set_index("model")
    assert table.loc["network", "perplexity"] < 0.75 * table.loc["letters k=0", "perplexity"]
    assert table.loc["letters k=0", "difference_low"] > 0
    best = table.drop("network")["perplexity"].min()
    assert table.loc["network", "perplexity"] < 1.05 * best
    assert table["kind"].tolist() == ["network", "letters"] + 4 * ["one-sided"] + 3 * ["two-sided"]
    assert table["bases"].nunique() == 1
    history = pd.read_csv(tmp_path / "out" / "history.tsv", sep="\t")
    assert history["held_out_perplexity"].iloc[-1] < history["held_out_perplexity"].iloc[0]


def test_bases_between_pools_are_told_apart(tmp_path):
    """A repeat of eleven bases: with a pool of five, each base has outputs of its own."""
    codes = np.tile(np.array([0, 2, 1, 3, 3, 0, 1, 2, 2, 3, 0], dtype=np.uint8), 2000)
    genome = write_genome(tmp_path / "toy", {"a": codes[:15_000], "b": codes[15_000:]})
    model = {"preset": "dilated", "channels": 24, "stem_kernels": [15], "stem_pools": [5]}
    model |= {"resolution": 5, "dilations": [1], "kernel": 3}
    training = TRAINING | {"steps": 150, "batch": 8, "learning_rate": 0.01}
    given = {"--training": json.dumps(training), "--model": json.dumps(model)}
    assert pretrain_model.main(options(genome, tmp_path / "out", **given)) == 0
    table = read(tmp_path / "out")[1].set_index("model")
    assert table.loc["network", "perplexity"] < 1.3


@pytest.mark.parametrize("extra", [{}, {"average": 0.9, "accumulate": 2}])
def test_killed_run_ends_where_the_unbroken_one_does(genome, tmp_path, monkeypatch, capsys, extra):
    training = {"--training": json.dumps(TRAINING | extra)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert pretrain_model.main(options(genome, whole, **training)) == 0
    again = options(genome, broken, **training, **{"--checkpoint": str(tmp_path / "checkpoint")})
    step = Trainer._step

    def dies(self):
        if self.state.step == 6:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_step", dies)
    assert pretrain_model.main(again) == 130
    assert not broken.exists()
    monkeypatch.setattr(Trainer, "_step", step)
    capsys.readouterr()
    assert pretrain_model.main(again) == 0
    assert "resuming from step 4 of 8" in capsys.readouterr().err
    (one, first), (other, second) = read(whole), read(broken)
    assert_same_weights(one, other)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert not (tmp_path / "checkpoint").exists()


def test_held_out_bases_do_not_reach_the_weights(genome, tmp_path):
    """Parts of one contig: other bases in the held-out part train the same network."""
    split = {"--split": json.dumps({"toy": {"held_out": ["a:10000-25000", "b"]}})}
    codes = np.load(genome / "codes.npy")
    codes[10_000:25_000] = 3 - codes[10_000:25_000]
    codes[40_000:] = 3 - codes[40_000:]
    other = write_genome(tmp_path / "other", {"a": codes[:40_000], "b": codes[40_000:]})
    repeats = pd.read_parquet(genome / "softmask.parquet")
    repeats.to_parquet(other / "softmask.parquet")
    for name, folder in (("one", genome), ("two", other)):
        assert pretrain_model.main(options(folder, tmp_path / name, **split)) == 0
    (one, first), (two, second) = read(tmp_path / "one"), read(tmp_path / "two")
    assert_same_weights(one, two)
    # The complement of a letter is as frequent as itself on both strands together.
    changed = first["perplexity"] != second["perplexity"]
    assert changed[first["kind"] != "letters"].all()
    said = json.loads((tmp_path / "one" / "model.json").read_text())
    assert said["intervals"]["train"]["toy"] == ["a:0-10000", "a:25000-40000"]
    assert said["bases"] == {"train": 25_000, "held_out": 35_000}


def test_repeats_and_the_seed_change_the_weights(genome, tmp_path):
    cases = {
        "plain": {},
        "repeats": {"--training": json.dumps(TRAINING | {"repeat_weight": 1.0})},
        "seed": {"--seed": "1"},
    }
    for name, given in cases.items():
        assert pretrain_model.main(options(genome, tmp_path / name, **given)) == 0
    weights = {name: read(tmp_path / name)[0]["stem.0.weight"] for name in cases}
    assert not torch.equal(weights["plain"], weights["repeats"])
    assert not torch.equal(weights["plain"], weights["seed"])


@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_networks_that_mix_over_length_and_several_genomes(genome, tmp_path, model):
    other = write_genome(tmp_path / "more", {"c": markov_codes(5000, seed=9)})
    given = {"--model": json.dumps({"preset": model, "channels": 8, "window": 100, "reach": 4})}
    given["--split"] = json.dumps({"toy": {"train": ["a"], "held_out": ["b"]}, "more": {}})
    command = [*options(genome, tmp_path / "out", **given), "--genome", f"more={other}"]
    assert pretrain_model.main(command) == 0
    said = json.loads((tmp_path / "out" / "model.json").read_text())
    assert said["bases"]["train"] == 45_000 and set(said["intervals"]["train"]) == {"toy", "more"}


def bad_input(genome, tmp_path, capsys, **changed):
    folder = tmp_path / "out"
    assert pretrain_model.main(options(genome, folder, **changed)) == 1
    assert not folder.exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--genome", "toy=nowhere", "nowhere/contigs.tsv does not exist"),
        ("--split", '{"tox": {}}', "--split names tox; expected toy"),
        ("--split", '{"toy": {}}', "no genome has an interval of part held_out"),
        ("--split", '{"toy": {"held_out": ["a", "b"]}}', "an interval of part train"),
        ("--split", '{"toy": {"held_out": ["c"]}}', "genome toy has no contig 'c'"),
        ("--split", '{"toy": {"heldout": ["b"]}}', "did you mean 'held_out'"),
        (
            "--split",
            '{"toy": {"train": ["a"], "held_out": ["a:100-200"]}}',
            "100 bp are both in train and in held_out",
        ),
        ("--split", '{"toy": {"held_out": ["b:0-50"]}}', "no held-out interval holds a window"),
        ("--model", '{"preset": "kmer"}', "model.preset is 'kmer'; expected one of dilated"),
        ("--model", '{"preset": "lstm"}', "training.length is 100 bp; expected a multiple of 1000"),
        ("--training", '{"step": 3}', "did you mean 'steps'"),
        ("--threads", "0", "--threads: found 0"),
    ],
)
def test_bad_input_is_named(genome, tmp_path, capsys, option, value, expected):
    assert expected in bad_input(genome, tmp_path, capsys, **{option: value})


def test_a_loss_that_is_no_number_stops_with_a_reason(genome, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "genomesieve.pretraining.functional.cross_entropy",
        lambda outputs, *_, **__: outputs[:, 0] * np.nan,
    )
    assert "training diverged" in bad_input(genome, tmp_path, capsys)


def test_help_runs_as_a_program(repository):
    script = repository / "scripts" / "pretrain_model.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "held_out" in done.stdout
