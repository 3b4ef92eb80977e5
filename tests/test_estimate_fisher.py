import json

import pytest
import torch

import estimate_fisher
from genomesieve.bundle import load_bundle, save_bundle
from genomesieve.consolidation import load_tasks


def arguments(model, planted, output, settings, **changed):
    options = {
        "--model": model,
        "--windows": planted.windows,
        "--settings": json.dumps({"positions": 30, "windows": 10} | settings),
        "--threads": "1",
        "--device": "cpu",
        "--output": output,
    } | changed
    return [*planted.arguments(), *(str(item) for pair in options.items() for item in pair)]


def moved_copy(model, folder):
    """Return a model folder with other weights."""
    bundle = load_bundle(model)
    with torch.no_grad():
        bundle.network.head.bias.add_(0.5)
    save_bundle(folder, bundle)
    return folder


@pytest.fixture(scope="module")
def first(trained, planted, tmp_path_factory):
    """A model with the Fisher information of its genome."""
    folder = tmp_path_factory.mktemp("first") / "model"
    save_bundle(folder, load_bundle(trained))
    output = folder / "fisher.safetensors"
    assert estimate_fisher.main(arguments(folder, planted, output, {}, **{"--stage": "one"})) == 0
    return folder


def tasks_of(folder):
    return load_tasks(folder / "fisher.safetensors", folder, load_bundle(folder).network)


def test_counts_and_names_what_it_is_of(first):
    (task,) = tasks_of(first)
    assert (task.name, task.kind) == ("one", "expected")
    assert task.observations == 2 * 72_000
    assert all((value >= 0).all() for value in task.fisher.values())
    assert sum(float(value.sum()) for value in task.fisher.values()) > 0


@pytest.mark.parametrize("form", ["separate", "online"])
def test_older_genomes_are_passed_on(first, planted, tmp_path, form):
    second = moved_copy(first, tmp_path / "second")
    output = second / "fisher.safetensors"
    options = {"--previous": first, "--stage": "two"}
    assert estimate_fisher.main(arguments(second, planted, output, {"form": form}, **options)) == 0
    found = tasks_of(second)
    if form == "online":
        assert [task.name for task in found] == ["one+two"]
        assert found[0].observations == 4 * 72_000
        return
    assert [task.name for task in found] == ["one", "two"]
    shift = found[1].optimum["head.bias"] - found[0].optimum["head.bias"]
    torch.testing.assert_close(shift, torch.full_like(shift, 0.5))


def test_another_models_information_is_refused(first, planted, tmp_path, capsys):
    second = moved_copy(first, tmp_path / "second")
    (second / "fisher.safetensors").write_bytes((first / "fisher.safetensors").read_bytes())
    output = tmp_path / "out.safetensors"
    options = {"--previous": second}
    assert estimate_fisher.main(arguments(first, planted, output, {}, **options)) == 1
    assert "belongs to weights with SHA-256" in capsys.readouterr().err
    assert not output.exists()


def test_bad_settings_are_named(first, planted, tmp_path, capsys):
    output = tmp_path / "out.safetensors"
    assert estimate_fisher.main(arguments(first, planted, output, {"kind": "true"})) == 1
    assert "fisher.kind is 'true'; expected one of expected, empirical" in capsys.readouterr().err
