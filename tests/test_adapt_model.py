import json

import numpy as np
import pandas as pd
import pytest
import torch

import adapt_model
import estimate_fisher
import import_model
from custom_networks import CONTEXT, OUTPUTS, RECIPE, recipe_network
from genomesieve.adaptation_settings import METHODS, WITH_OLD_DATA
from genomesieve.bundle import load_bundle
from genomesieve.consolidation import ElasticPenalty, load_tasks
from genomesieve.training import Trainer
from planted_genome import CLASSES, write_planted_genome

SHORT = {"steps": 12, "batch": 8, "learning_rate": 0.01, "validations": 2}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another genome, in which the words of the two classes have changed places."""
    planted = write_planted_genome(tmp_path_factory.mktemp("other"), seed=5, length=60_000)
    windows = pd.read_parquet(planted.windows).assign(genome="other")
    windows.to_parquet(planted.windows)
    sites = pd.read_parquet(planted.sites)
    swapped = sites["class"].map({"donor": "acceptor", "acceptor": "donor"})
    sites.assign(**{"class": swapped}).to_parquet(planted.sites)
    return planted


@pytest.fixture(scope="module")
def known(trained, planted, tmp_path_factory):
    """The Fisher information of the trained network."""
    path = tmp_path_factory.mktemp("fisher") / "fisher.safetensors"
    code = estimate_fisher.main(
        [
            *("--model", str(trained), "--windows", str(planted.windows), *planted.arguments()),
            *("--settings", '{"positions": 60, "windows": 20}', "--threads", "1"),
            *("--device", "cpu", "--output", str(path)),
        ]
    )
    assert code == 0
    return path


def arguments(trained, other, folder, settings, **changed):
    options = {
        "--model": trained,
        "--windows": other.windows,
        "--settings": json.dumps(settings),
        "--training": json.dumps(SHORT),
        "--classes": json.dumps(CLASSES),
        "--labels": "exclusive",
        "--stage": "other",
        "--threads": "1",
        "--device": "cpu",
        "--output-dir": folder,
    } | changed
    return [*other.arguments("other"), *(str(item) for pair in options.items() for item in pair)]


def old_data(planted):
    return ["--old-windows", str(planted.windows), *planted.arguments()]


def distance(one, other):
    return sum(
        (a - b).square().sum().item()
        for (_, a), (_, b) in zip(one.network.named_parameters(), other.network.named_parameters())
    )


@pytest.fixture(scope="module")
def adapted(trained, planted, other, known, tmp_path_factory):
    """The network after each method."""
    root, found = tmp_path_factory.mktemp("adapted"), {}
    for method in METHODS:
        extra = old_data(planted) if method in WITH_OLD_DATA else []
        changed = {"--fisher": known} if method == "ewc" else {}
        settings = {"method": method} | ({"lambda": 3000.0} if method == "ewc" else {})
        given = arguments(trained, other, root / method, settings, **changed)
        assert adapt_model.main([*given, *extra]) == 0, method
        found[method] = load_bundle(root / method)
    return found


def test_every_method_writes_an_uncalibrated_model_with_its_lineage(adapted, trained):
    start = load_bundle(trained)
    for method, bundle in adapted.items():
        first, second = bundle.training["lineage"]
        assert first == {"stage": "base", "genomes": ["toy"]}
        assert (second["stage"], second["genomes"]) == ("other", ["other"])
        assert second["settings"]["method"] == method
        assert bundle.calibration is None and bundle.scan_plan is None
        assert bundle.classes == start.classes


def test_head_moves_alone_and_norms_stay(adapted, trained):
    start = load_bundle(trained).network.state_dict()
    found = adapted["head"].network.state_dict()
    moved = {name for name, value in found.items() if not torch.equal(value, start[name])}
    assert moved == {"head.weight", "head.bias"}
    tuned = adapted["finetune"].network.state_dict()
    statistics = [name for name in start if "running" in name]
    assert statistics and all(torch.equal(tuned[name], start[name]) for name in statistics)
    assert not torch.equal(tuned["head.weight"], start["head.weight"])


def test_the_penalty_holds_what_matters(adapted, trained, known):
    tasks = load_tasks(known, trained, load_bundle(trained).network)
    importance = ElasticPenalty(tasks, 1.0, 1.0, adapted["ewc"].network)
    moved = {name: importance(bundle.network).item() for name, bundle in adapted.items()}
    assert 0 < moved["ewc"] < 0.3 * moved["finetune"]
    assert distance(adapted["ewc"], load_bundle(trained)) > 0
    assert (adapted["ewc"].history["penalty"] > 0).all()


def test_scratch_starts_from_fresh_weights(adapted, trained):
    assert distance(adapted["scratch"], load_bundle(trained)) > 10
    assert adapted["scratch"].training["lineage"][1]["kept"]


def test_consolidation_needs_no_old_data(trained, planted, other, tmp_path, monkeypatch):
    """The old genome is deleted before the new one arrives."""
    import shutil

    model, gone = tmp_path / "model", tmp_path / "gone"
    shutil.copytree(trained, model)
    shutil.copytree(planted.folder.parent, gone)
    paths = {key: gone / value for key, value in (("--windows", "windows.parquet"),)}
    pairs = [item.replace(str(planted.folder.parent), str(gone)) for item in planted.arguments()]
    code = estimate_fisher.main(
        [
            *("--model", str(model), "--windows", str(paths["--windows"]), *pairs),
            *("--settings", '{"positions": 20, "windows": 5}', "--threads", "1"),
            *("--device", "cpu", "--output", str(model / "fisher.safetensors")),
        ]
    )
    assert code == 0
    shutil.rmtree(gone)
    out = tmp_path / "out"
    settings = {"method": "ewc", "lambda": 1.0}
    assert adapt_model.main(arguments(model, other, out, settings)) == 0
    assert load_bundle(out).training["genomes"] == ["other"]


def test_lambda_is_the_largest_that_keeps_up_with_finetuning(trained, other, known, tmp_path):
    settings = {"method": "ewc", "lambdas": [1e-6, 1e9], "tolerance": 0.5}
    given = arguments(trained, other, tmp_path / "out", settings, **{"--fisher": known})
    assert adapt_model.main(given) == 0
    record = load_bundle(tmp_path / "out").training["lineage"][1]
    tried = record["tried"]
    assert [one["lambda"] for one in tried][:2] == [None, 1e9]
    plain = tried[0]["validation_average_precision"]
    enough = [one["validation_average_precision"] >= 0.5 * plain for one in tried[1:]]
    # It stops at the first, from the largest on, that is good enough.
    assert enough.index(True) == len(enough) - 1 if True in enough else len(enough) == 2
    assert record["chosen"] == tried[-1]


def test_learning_rates_are_chosen_on_the_new_genome(trained, other, tmp_path):
    settings = {"method": "finetune", "learning_rates": [1e-7, 0.01]}
    assert adapt_model.main(arguments(trained, other, tmp_path / "out", settings)) == 0
    record = load_bundle(tmp_path / "out").training["lineage"][1]
    best = max(record["tried"], key=lambda one: one["validation_average_precision"])
    assert len(record["tried"]) == 2 and record["chosen"] == best


def test_a_start_that_nothing_betters_is_kept(trained, planted, tmp_path, capsys):
    settings = {"method": "finetune"}
    options = {
        "--windows": planted.windows,
        "--training": json.dumps(SHORT | {"learning_rate": 3.0}),
    }
    given = arguments(trained, planted, tmp_path / "out", settings, **options)
    given = [item.replace("other=", "toy=") for item in given]
    assert adapt_model.main(given) == 0
    assert "its weights are kept" in capsys.readouterr().err
    bundle = load_bundle(tmp_path / "out")
    assert distance(bundle, load_bundle(trained)) == 0
    assert bundle.training["lineage"][1]["kept"] is False


def test_new_classes_come_after_the_old(trained, other, known, tmp_path):
    sites = pd.read_parquet(other.sites)
    third = sites[sites["class"] == "donor"].assign(**{"class": "branch"})
    third = third.assign(position=third["position"] + 5, start=third["start"] + 5)
    path = tmp_path / "sites.parquet"
    pd.concat(
        [sites[sites["class"] == "acceptor"], third.assign(end=third["start"] + 1)]
    ).to_parquet(path)
    classes = CLASSES | {"branch": {"stranded": True}}
    changed = {"--classes": json.dumps(classes), "--fisher": known}
    given = arguments(trained, other, tmp_path / "out", {"method": "ewc", "lambda": 1.0}, **changed)
    given[given.index(f"other={other.sites}")] = f"other={path}"
    assert adapt_model.main(given) == 0
    bundle = load_bundle(tmp_path / "out")
    assert bundle.classes == ["donor", "acceptor", "branch"]
    assert bundle.network.head.weight.shape[0] == 4
    assert np.isfinite(bundle.history["validation_average_precision.branch"]).any()


def test_killed_run_goes_on_where_it_stopped(trained, other, tmp_path, monkeypatch, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert adapt_model.main(arguments(trained, other, whole, {"method": "lora"})) == 0
    extra = {"--checkpoint": tmp_path / "checkpoint"}
    again = arguments(trained, other, broken, {"method": "lora"}, **extra)
    step = Trainer._step

    def dies(self):
        if self.state.step == 9:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "_step", dies)
    assert adapt_model.main(again) == 130
    monkeypatch.setattr(Trainer, "_step", step)
    capsys.readouterr()
    assert adapt_model.main(again) == 0
    assert "resuming from step 6 of 12" in capsys.readouterr().err
    one, two = load_bundle(whole), load_bundle(broken)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name]), name


@pytest.mark.parametrize("method", ["finetune", "head", "lora", "ewc"])
def test_a_network_of_ones_own_is_adapted_too(planted, other, tmp_path, method):
    weights, model, out = (tmp_path / name for name in ("weights.pt", "model", "out"))
    torch.manual_seed(0)
    torch.save(recipe_network()(channels=4).state_dict(), weights)
    code = f"{RECIPE}:SmallNetwork"
    declared = {
        "preset": "custom", "context": CONTEXT, "outputs": OUTPUTS, "arguments": {"channels": 4},
    }  # fmt: skip
    imported = import_model.main(
        [
            *("--network-code", code, "--weights", str(weights), "--threads", "1"),
            *("--model", json.dumps(declared), "--labels", "exclusive"),
            *("--classes", json.dumps(CLASSES), "--output-dir", str(model)),
        ]
    )
    assert imported == 0
    if method == "ewc":
        estimated = estimate_fisher.main(
            [
                *("--model", str(model), "--network-code", code, "--device", "cpu"),
                *("--windows", str(planted.windows), *planted.arguments(), "--threads", "1"),
                *("--settings", '{"positions": 30, "windows": 10}'),
                *("--output", str(model / "fisher.safetensors")),
            ]
        )
        assert estimated == 0
    settings = {"method": method} | ({"lambda": 1.0} if method == "ewc" else {})
    given = arguments(model, other, out, settings, **{"--network-code": code})
    assert adapt_model.main(given) == 0
    before, after = load_bundle(model, code), load_bundle(out, code)
    assert after.code == before.code and after.training["lineage"][1]["kept"]
    assert distance(after, before) > 0


@pytest.mark.parametrize(
    "settings, changed, message",
    [
        ({"method": "ewcc"}, {}, "adaptation.method is 'ewcc'; expected one of finetune"),
        ({"method": "ewc", "lambda": -1}, {}, "adaptation.lambda is -1; expected 0 or more"),
        ({"method": "ewc", "lambda": 1}, {}, "Fisher information"),
        ({"method": "replay"}, {}, "--old-windows is not given with method replay"),
        ({"lambdaa": 1}, {}, "did you mean 'lambda'"),
        ({}, {"--labels": "independent"}, "labels is independent; expected exclusive"),
        (
            {},
            {"--training": '{"prior_correction": true, "positive_weight": 2}'},
            "prior_correction",
        ),
    ],
)
def test_bad_input_is_named(trained, other, tmp_path, settings, changed, message, capsys):
    out = tmp_path / "out"
    assert adapt_model.main(arguments(trained, other, out, settings, **changed)) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()
