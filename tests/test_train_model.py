import dataclasses
import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import pretrain_model
import train_model
from genomesieve.bundle import load_bundle
from genomesieve.errors import InputError
from genomesieve.training import Trainer
from planted_genome import CLASSES, write_planted_genome
from toy_pretraining import NO_REPEATS, TRAINING

AUXILIARY = {"share": {"property": "gc", "weight": 0.5}, "stacking": {"property": "stacking"}}
SMALL = {"preset": "dilated", "channels": 4, "stem_kernels": [5], "kernel": 3, "dilations": [1]}

SHARED = {
    "--model": json.dumps(SMALL | {"norm": "layer"}),
    "--training": '{"steps": 12, "batch": 5, "validations": 3, "accumulate": 2, "average": 0.5}',
}
"""A training that several processes can share."""


def arguments(planted, folder, **changed):
    options = {
        "--windows": str(planted.windows),
        "--classes": json.dumps(CLASSES),
        "--labels": "exclusive",
        "--model": json.dumps(SMALL),
        "--training": '{"steps": 12, "batch": 4, "validations": 3}',
        "--threads": "1",
        "--device": "cpu",
        "--output-dir": str(folder),
    } | changed
    return [*planted.arguments(), *(item for pair in options.items() for item in pair)]


def test_learns_planted_sites(trained):
    history = pd.read_csv(trained / "history.tsv", sep="\t")
    prevalence = json.loads((trained / "model.json").read_text())["training"]["prevalence"]
    best = history["validation_average_precision"].max()
    assert best > 50 * max(prevalence.values())
    assert load_bundle(trained).calibration is None


def test_killed_run_ends_where_the_unbroken_one_does(planted, tmp_path, monkeypatch, capsys):
    whole = tmp_path / "whole"
    assert train_model.main(arguments(planted, whole)) == 0
    broken, checkpoint = tmp_path / "broken", str(tmp_path / "checkpoint")
    again = arguments(planted, broken, **{"--checkpoint": checkpoint})
    step = Trainer._step

    def dies(self):
        if self.state.step == 9:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_step", dies)
    assert train_model.main(again) == 130
    assert not broken.exists()
    monkeypatch.setattr(Trainer, "_step", step)
    capsys.readouterr()
    assert train_model.main(again) == 0
    assert "resuming from step 8 of 12" in capsys.readouterr().err
    first, second = load_bundle(whole).network, load_bundle(broken).network
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    assert not (tmp_path / "checkpoint").exists()


@pytest.fixture(scope="module")
def by_one_process(planted, tmp_path_factory):
    """What one process makes of batches that two share in the tests after this."""
    folder = tmp_path_factory.mktemp("one") / "model"
    assert train_model.main(arguments(planted, folder, **SHARED)) == 0
    return load_bundle(folder)


def check_same_training(one, folder):
    other = load_bundle(folder)
    assert (one.training["processes"], other.training["processes"]) == (1, 2)
    for column in ("step", "loss", "validation_average_precision"):
        np.testing.assert_allclose(other.history[column], one.history[column], rtol=1e-5)
    for key, value in one.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[key], value, rtol=1e-4, atol=1e-6)


def test_two_processes_train_as_one(planted, tmp_path, by_one_process, capfd):
    folder = tmp_path / "two"
    options = SHARED | {"--device": "cpu:2"}
    assert train_model.main(arguments(planted, folder, **options)) == 0
    check_same_training(by_one_process, folder)
    # The first process alone speaks.
    assert capfd.readouterr().err.count("step 12 of 12") == 1


def test_torchrun_trains_as_one_process(planted, tmp_path, repository, by_one_process):
    folder = tmp_path / "two"
    launcher = "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
    script = repository / "scripts" / "train_model.py"
    command = [sys.executable, "-m", *launcher, script, *arguments(planted, folder, **SHARED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_same_training(by_one_process, folder)


def test_going_on_from_corrected_outputs_begins_with_uncorrected_ones(
    planted, tmp_path, monkeypatch
):
    training = {"steps": 2, "validations": 1, "positive_weight": 5.0, "prior_correction": True}
    options = {"--training": json.dumps(training)}
    first, second = tmp_path / "first", tmp_path / "second"
    assert train_model.main(arguments(planted, first, **options)) == 0
    corrected = load_bundle(first).network.head.bias
    begun = []
    fit = Trainer.fit

    def remember(self):
        begun.append(self.network.head.bias.detach().clone())
        return fit(self)

    monkeypatch.setattr(Trainer, "fit", remember)
    options["--start-from"] = str(first)
    assert train_model.main(arguments(planted, second, **options)) == 0
    # Background first: its output was not touched.
    expected = corrected + torch.tensor([0.0, np.log(5), np.log(5)])
    torch.testing.assert_close(begun[0], expected.float())


def test_processes_that_cannot_share_statistics_end_with_the_reason(planted, tmp_path, capsys):
    """The default norm takes statistics of batches, which CPUs do not exchange."""
    message = bad_input(planted, tmp_path, capsys, **{"--device": "cpu:2"})
    assert "process on cpu (" in message and "model.norm is batch and training runs in 2" in message


@pytest.mark.parametrize(("norm", "auxiliary"), [("batch", AUXILIARY), ("layer", {})])
def test_killed_processes_end_where_the_unbroken_one_does(
    planted, tmp_path, repository, norm, auxiliary, capsys
):
    """kill -9 at moments that nobody chose; every start takes up what the last one left."""
    training = {"steps": 24, "batch": 4, "validations": 2, "average": 0.5, "patience": 9}
    model = json.dumps(SMALL | {"norm": norm, "dropout": 0.1})
    options = {"--model": model, "--training": json.dumps(training | {"checkpoint_minutes": 0})}
    options["--auxiliary"] = json.dumps(auxiliary)
    whole = tmp_path / "whole"
    assert train_model.main(arguments(planted, whole, **options)) == 0
    state = tmp_path / "checkpoint" / "state.pt"
    options["--checkpoint"] = str(state.parent)
    again = arguments(planted, tmp_path / "broken", **options)
    for _ in range(2):
        before = state.stat().st_mtime_ns if state.exists() else 0
        command = [sys.executable, repository / "scripts" / "train_model.py", *again]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                time.sleep(0.005)
                if state.exists() and state.stat().st_mtime_ns > before:
                    time.sleep(random.uniform(0, 0.3))
                    process.kill()
            assert process.returncode in (0, -signal.SIGKILL)
    left = state.exists()
    capsys.readouterr()
    assert train_model.main(again) == 0
    said = capsys.readouterr().err
    assert "cannot be read" not in said and ("resuming from step" in said) == left
    one, other = load_bundle(whole), load_bundle(tmp_path / "broken")
    for key, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key]), key
    same = ["step", "loss", "validation_average_precision"]
    same += [f"auxiliary_loss.{name}" for name in auxiliary]
    pd.testing.assert_frame_equal(one.history[same], other.history[same], check_exact=True)
    assert not state.parent.exists()


def test_what_is_learned_beside_the_classes_is_only_told_of(planted, tmp_path):
    """The model folder is that of a network which learned its classes alone, but for weights."""
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    options = {"--auxiliary": json.dumps(AUXILIARY)}
    assert train_model.main(arguments(planted, alone)) == 0
    assert train_model.main(arguments(planted, beside, **options)) == 0
    one, other = load_bundle(alone), load_bundle(beside)
    kept = one.network.state_dict(), other.network.state_dict()
    assert {k: v.shape for k, v in kept[0].items()} == {k: v.shape for k, v in kept[1].items()}
    assert not torch.equal(kept[0]["stem.0.weight"], kept[1]["stem.0.weight"])
    assert one.describe()["parameters"] == other.describe()["parameters"]
    assert one.training["auxiliary"] == {}
    said = other.training["auxiliary"]["share"]
    # The planted genome is random: half of its bases are G or C.
    window = 1 + 2 * said["flank"]
    assert said["mean"] == pytest.approx(0.5, abs=0.02)
    assert said["standard_deviation"] == pytest.approx(0.5 / window**0.5, rel=0.1)
    assert (said["property"], said["weight"]) == ("gc", 0.5)
    # Half the loss of a network that knows the rates alone.
    rates = np.array(list(other.training["prevalence"].values()))
    rates = np.append(rates, 1 - rates.sum())
    assert said["factor_of_loss"] == pytest.approx(-0.5 * (rates * np.log(rates)).sum())
    assert other.history["auxiliary_loss.share"].notna().all()


def test_a_track_is_learned(planted, tmp_path):
    """A track that follows from the sequence is found, on windows of both strands."""
    codes = np.load(planted.folder / "codes.npy")
    np.save(tmp_path / "track.npy", (3 * np.isin(codes, [1, 2])).astype(np.float16))
    options = {
        "--auxiliary": '{"strong": {"track": "s", "weight": 50}}',
        "--auxiliary-track": f"toy:s={tmp_path / 'track.npy'}",
        "--training": '{"steps": 40, "batch": 4, "validations": 2, "learning_rate": 0.02}',
    }
    assert train_model.main(arguments(planted, tmp_path / "out", **options)) == 0
    bundle = load_bundle(tmp_path / "out")
    said = bundle.training["auxiliary"]["strong"]
    assert (said["track"], said["flank"]) == ("s", 0)
    # The training part is random: half of its bases are G or C.
    assert said["mean"] == pytest.approx(1.5, abs=0.02)
    assert said["standard_deviation"] == pytest.approx(1.5, rel=0.02)
    losses = bundle.history["auxiliary_loss.strong"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]


def test_tracks_that_do_not_fit_are_named(planted, tmp_path, capsys):
    auxiliary = {"--auxiliary": '{"open": {"track": "atac"}}'}
    message = bad_input(planted, tmp_path, capsys, **auxiliary)
    assert "--auxiliary-track names none; expected toy:atac, as in --auxiliary" in message
    np.save(tmp_path / "short.npy", np.zeros(7, dtype=np.float16))
    track = {"--auxiliary-track": f"toy:atac={tmp_path / 'short.npy'}"}
    assert "holds (7,) float16" in bad_input(planted, tmp_path, capsys, **auxiliary, **track)
    message = bad_input(planted, tmp_path, capsys, **track)
    assert "--auxiliary-track names toy:atac; expected none" in message


def test_checkpoint_of_another_run_is_ignored(planted, tmp_path, capsys):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    torch.save({"fingerprint": "other"}, checkpoint / "state.pt")
    options = arguments(planted, tmp_path / "out", **{"--checkpoint": str(checkpoint)})
    assert train_model.main(options) == 0
    assert "belongs to another run" in capsys.readouterr().err


def test_training_goes_on_from_another_network(planted, trained, tmp_path):
    """A round of too high a rate betters nothing and hands on what it started from."""
    model = json.dumps(json.loads((trained / "model.json").read_text())["architecture"])
    options = {"--model": model, "--start-from": str(trained), "--seed": "5"}
    for name, rate in (("gentle", 1e-7), ("harsh", 10.0)):
        training = {"steps": 4, "batch": 4, "validations": 1, "learning_rate": rate}
        options["--training"] = json.dumps(training)
        assert train_model.main(arguments(planted, tmp_path / name, **options)) == 0
    start, gentle, harsh = map(load_bundle, (trained, tmp_path / "gentle", tmp_path / "harsh"))
    weights = start.network.state_dict()
    for key, value in harsh.network.state_dict().items():
        assert torch.equal(value, weights[key]), key
    for key, value in gentle.network.state_dict().items():
        # Statistics of normalisation follow the batches, whatever the rate.
        if "running" not in key and "num_batches" not in key:
            torch.testing.assert_close(value, weights[key], atol=1e-5, rtol=1e-4)
    first, second = harsh.training["rounds"]
    best = start.history["validation_average_precision"].idxmax()
    for name in CLASSES:
        expected = start.history.loc[best, f"validation_average_precision.{name}"]
        assert first["best"][name] == pytest.approx(expected)
        assert second["started_at"][name] == pytest.approx(expected, rel=1e-5)
    assert (first["kept"], second["kept"]) == (True, False)
    assert np.mean(list(second["best"].values())) < np.mean(list(first["best"].values()))
    history = harsh.history
    assert history["round"].tolist() == [0] * len(start.history) + [1]
    assert history["step"].is_monotonic_increasing and history["step"].iloc[-1] == 124


def test_a_third_round_adds_to_the_history(planted, trained, tmp_path):
    model = json.dumps(json.loads((trained / "model.json").read_text())["architecture"])
    former = trained
    for number in (1, 2):
        options = {"--model": model, "--start-from": str(former)}
        options["--training"] = '{"steps": 2, "batch": 4, "validations": 1}'
        former = tmp_path / str(number)
        assert train_model.main(arguments(planted, former, **options)) == 0
    bundle = load_bundle(former)
    assert len(bundle.training["rounds"]) == 3
    assert bundle.history["round"].tolist()[-2:] == [1, 2]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--start-from", "nowhere", "does not exist"),
        ("--model", json.dumps(SMALL), "training goes on from a network of the same kind alone"),
        ("--labels", "independent", "has labels exclusive; expected independent"),
    ],
)
def test_start_from_another_kind_of_network_is_an_error(
    planted, trained, tmp_path, capsys, option, value, expected
):
    model = json.dumps(json.loads((trained / "model.json").read_text())["architecture"])
    changed = {"--start-from": str(trained), "--model": model} | {option: value}
    assert expected in bad_input(planted, tmp_path, capsys, **changed)


def bad_input(planted, tmp_path, capsys, **changed):
    folder = tmp_path / "out"
    assert train_model.main(arguments(planted, folder, **changed)) == 1
    assert not folder.exists()
    return capsys.readouterr().err


def test_cuda_that_is_absent_is_an_error(planted, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    message = bad_input(planted, tmp_path, capsys, **{"--device": "cuda"})
    assert "no CUDA GPU" in message


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--windows", "nowhere.parquet", "does not exist"),
        ("--model", '{"preset": "dilated", "kernal": 3}', "did you mean 'kernel'"),
        ("--training", '{"step": 3}', "did you mean 'steps'"),
        ("--training", '{"steps": 0}', "expected above 0"),
        ("--training", '{"warmup": 2}', "training.warmup is 2.0; expected a share"),
        (
            "--training",
            '{"freeze": ["head"]}',
            "training.freeze names 'head'; expected some of stem",
        ),
        ("--training", '{"prior_correction": true}', "there is nothing to correct"),
        ("--training", '{"learning_rate": "x"}', "training.learning_rate is 'x'; expected a numb"),
        ("--auxiliary", '{"a": {"property": "at"}}', "auxiliary.a.property is 'at'; expected one"),
        ("--model", "[]", "model is []; expected a table with a preset"),
        ("--model", '{"preset": "pwm"}', "model.preset is 'pwm'; expected one of dilated, "),
        ("--model", '{"preset": "dilated", "dropout": 2}', "model.dropout is 2.0"),
        ("--classes", '{"ctcf": {"stranded": true}}', "toy holds no site of class ctcf"),
        ("--classes", "{}", "expected a table of one class or more"),
        ("--threads", "0", "--threads: found 0; expected at least 1"),
    ],
)
def test_bad_input_is_named(planted, tmp_path, capsys, option, value, expected):
    assert expected in bad_input(planted, tmp_path, capsys, **{option: value})


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("contig", "chr9", "genome toy has no contig 'chr9'"),
        ("position", 10**8, "with position 100000000 does not lie on its contig"),
        ("start", -5, "expected 0 <= start < end <= 120000"),
        ("strand", ".", "has strand '.'; expected + or -"),
    ],
)
def test_sites_that_cannot_be_are_named(planted, tmp_path, capsys, column, value, expected):
    sites = pd.read_parquet(planted.sites)
    sites.loc[0, column] = value
    sites.to_parquet(tmp_path / "sites.parquet")
    changed = dataclasses.replace(planted, sites=tmp_path / "sites.parquet")
    assert expected in bad_input(changed, tmp_path, capsys)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda split: split[split["part"] != "train"], "have no part train"),
        (lambda split: split.assign(end=10**8), "does not lie on its contig"),
        (lambda split: split.assign(start="x"), "start and end must be whole numbers"),
        (lambda split: split.assign(part="tset"), "unknown part 'tset'"),
    ],
)
def test_split_that_cannot_be_is_named(planted, tmp_path, capsys, change, expected):
    path = tmp_path / "split.tsv"
    change(pd.read_csv(planted.split, sep="\t")).to_csv(path, sep="\t", index=False)
    changed = dataclasses.replace(planted, split=path)
    assert expected in bad_input(changed, tmp_path, capsys)


def test_mixed_strandedness_is_an_error(planted, tmp_path, capsys):
    classes = json.dumps({"donor": {"stranded": True}, "acceptor": {"stranded": False}})
    assert "mix stranded" in bad_input(planted, tmp_path, capsys, **{"--classes": classes})


def test_nan_loss_stops_with_a_reason(planted, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "genomesieve.training.weighted_loss", lambda logits, *_: logits.sum() * np.nan
    )
    assert "training diverged" in bad_input(planted, tmp_path, capsys)


def test_full_disk_leaves_nothing(planted, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert train_model.main(arguments(planted, tmp_path / "out")) == 1
    assert "No space left" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_damaged_and_newer_bundles_are_refused(trained, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    content = json.loads((trained / "model.json").read_text())
    weights = (trained / "model.safetensors").read_bytes()
    cases = [
        (content | {"format": 99}, weights, "update genomesieve"),
        (content | {"classes": ["donor"], "stranded": [True]}, weights, "do not fit"),
        (content, weights[: len(weights) // 2], "damaged"),
        ({key: content[key] for key in content if key != "labels"}, weights, "lacks labels"),
    ]
    for changed, data, message in cases:
        (copy / "model.json").write_text(json.dumps(changed))
        (copy / "model.safetensors").write_bytes(data)
        with pytest.raises(InputError, match=message):
            load_bundle(copy)


def test_help_runs_as_a_program(repository):
    script = repository / "scripts" / "train_model.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--windows" in done.stdout


def test_same_seed_gives_the_same_genome(tmp_path):
    first = write_planted_genome(tmp_path / "a", length=20_000)
    second = write_planted_genome(tmp_path / "b", length=20_000)
    codes = [np.load(item.folder / "codes.npy") for item in (first, second)]
    assert np.array_equal(*codes)


def test_describe_prints_every_preset_without_data(capsys):
    model = '{"preset": "lstm", "window": 200}'
    assert train_model.main(["--describe", "--model", model, "--threads", "1"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["model", "parameters"]
    name, parameters, context, window, resolution, *rates = row.replace(",", "").split()
    assert (name, context, window, resolution) == ("lstm", "507", "200", "50")
    # Stem, norm, two directions of four gates with two biases each, head.
    cell = 4 * 32 * (32 + 32 + 2)
    assert int(parameters) == (4 * 15 + 1 + 2) * 32 + 2 * cell + (64 + 1) * 2
    assert all(float(rate) > 0 for rate in rates)


def test_describe_names_a_bad_model(capsys):
    assert train_model.main(["--describe", "--model", '{"preset": "lstn"}']) == 1
    assert "model.preset is 'lstn'" in capsys.readouterr().err


# --- a pretrained stem and trunk -----------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(planted, tmp_path_factory):
    """A stem and trunk of the small network that have predicted hidden bases for a moment."""
    folder = tmp_path_factory.mktemp("pretrained") / "trunk"
    if not (planted.folder / "softmask.parquet").exists():
        NO_REPEATS.to_parquet(planted.folder / "softmask.parquet")
    options = {
        "--genome": f"toy={planted.folder}",
        "--split": '{"toy": {"train": ["chr1:0-72000"], "held_out": ["chr2"]}}',
        "--model": json.dumps(SMALL),
        "--training": json.dumps(TRAINING),
        "--output-dir": str(folder),
    }
    given = [item for pair in options.items() for item in pair]
    assert pretrain_model.main([*given, "--threads", "1", "--device", "cpu"]) == 0
    return folder


def start(monkeypatch, planted, folder, **options):
    """Return the weights that training starts from."""
    begun = []

    def remember(self):
        begun.append({k: v.clone() for k, v in self.network.state_dict().items()})
        return fit(self)

    fit = Trainer.fit
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", remember)
        assert train_model.main(arguments(planted, folder, **options)) == 0
    return begun[0]


def test_training_starts_from_a_pretrained_trunk(planted, pretrained, tmp_path, monkeypatch):
    """Stem and trunk, the statistics of norms included; the head starts as it would without."""
    fresh = start(monkeypatch, planted, tmp_path / "fresh")
    options = {"--pretrained": str(pretrained)}
    begun = start(monkeypatch, planted, tmp_path / "out", **options)
    weights = safetensors.torch.load_file(pretrained / "trunk.safetensors")
    assert any("running_mean" in name for name in weights)
    for name, value in begun.items():
        assert torch.equal(value, weights.get(name, fresh[name])), name
    assert {name for name in begun if name not in weights} == {"head.weight", "head.bias"}
    said = load_bundle(tmp_path / "out").training["pretrained"]
    assert (said["trunk_rate"], said["layer_decay"], said["unfreeze_steps"]) == (0.1, 1.0, 0)
    assert load_bundle(tmp_path / "fresh").training["pretrained"] == {}


def test_held_layers_and_frozen_norms_stay_pretrained(planted, pretrained, tmp_path):
    how = {"steps": 4, "batch": 4, "validations": 1, "freeze_norms": True}
    how["pretrained"] = {"trunk_rate": 0.5, "layer_decay": 0.5, "unfreeze_steps": 3}
    options = {"--pretrained": str(pretrained), "--training": json.dumps(how)}
    assert train_model.main(arguments(planted, tmp_path / "out", **options)) == 0
    weights = safetensors.torch.load_file(pretrained / "trunk.safetensors")
    kept = load_bundle(tmp_path / "out").network.state_dict()
    same = {name for name, value in weights.items() if torch.equal(value, kept[name])}
    # After three of four steps the block began to learn; the stem is still held.
    assert {"stem.0.weight", "stem.0.bias"} <= same
    assert all("running" in name or "tracked" in name or "stem" in name for name in same)


@pytest.mark.parametrize("unfreeze", [0, 5])
def test_killed_training_from_a_trunk_ends_where_the_unbroken_one_does(
    planted, pretrained, tmp_path, monkeypatch, capsys, unfreeze
):
    how = {"steps": 12, "batch": 4, "validations": 3, "average": 0.5}
    how["pretrained"] = {"trunk_rate": 0.3, "layer_decay": 0.7, "unfreeze_steps": unfreeze}
    options = {"--pretrained": str(pretrained), "--training": json.dumps(how)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train_model.main(arguments(planted, whole, **options)) == 0
    options["--checkpoint"] = str(tmp_path / "checkpoint")
    again = arguments(planted, broken, **options)
    step = Trainer._step

    def dies(self):
        if self.state.step == 9:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_step", dies)
    assert train_model.main(again) == 130
    monkeypatch.setattr(Trainer, "_step", step)
    capsys.readouterr()
    assert train_model.main(again) == 0
    assert "resuming from step 8 of 12" in capsys.readouterr().err
    first, second = load_bundle(whole).network, load_bundle(broken).network
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"--pretrained": "nowhere"}, "nowhere/model.json does not exist"),
        ({"--model": json.dumps(SMALL | {"kernel": 5})}, "model.kernel is 5; expected 3 as in"),
        ({"--model": json.dumps(SMALL | {"norm": "layer"})}, "model.norm is layer; expected batch"),
        (
            {"--training": '{"pretrained": {"trunk_rat": 1}}'},
            "training.pretrained.trunk_rat: there is no such setting; did you mean 'trunk_rate'?",
        ),
        ({"--stem-motifs": "x.jaspar"}, "both say what the first filters start as"),
    ],
)
def test_a_trunk_that_does_not_fit_is_named(
    planted, pretrained, tmp_path, capsys, changed, expected
):
    options = {"--pretrained": str(pretrained)} | changed
    assert expected in bad_input(planted, tmp_path, capsys, **options)


def test_settings_of_a_trunk_need_a_trunk(planted, tmp_path, capsys):
    message = bad_input(
        planted, tmp_path, capsys, **{"--training": '{"pretrained": {"trunk_rate": 0.5}}'}
    )
    assert "training.pretrained is {'trunk_rate': 0.5} and nothing is pretrained" in message


def test_damaged_trunks_are_refused(planted, pretrained, tmp_path, capsys):
    copy = tmp_path / "copy"
    content = json.loads((pretrained / "model.json").read_text())
    weights = safetensors.torch.load_file(pretrained / "trunk.safetensors")
    less = {name: value for name, value in weights.items() if name != "stem.0.bias"}
    broken = weights | {"stem.0.bias": weights["stem.0.bias"] * torch.nan}
    cases = [
        (content, less, "stem.0.bias has shape None; expected (4,)"),
        (content, broken, "no finite numbers"),
        (content | {"format": 9}, weights, "has format 9; expected 1: update genomesieve"),
        ({"format": 1}, weights, "expected a folder from pretrain_model"),
    ]
    for said, tensors, expected in cases:
        copy.mkdir(exist_ok=True)
        (copy / "model.json").write_text(json.dumps(said))
        safetensors.torch.save_file(tensors, copy / "trunk.safetensors")
        assert expected in bad_input(planted, tmp_path, capsys, **{"--pretrained": str(copy)})
