import json
import shutil
import subprocess
import sys

import pytest
import torch

import combine_seeds
from genomesieve.bundle import load_bundle
from genomesieve.errors import InputError
from planted_genome import CLASSES


@pytest.fixture(scope="module")
def members(trained, tmp_path_factory):
    """Two networks of one kind: the trained one, and the same with other weights and seed."""
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(trained, tmp_path_factory.mktemp("members") / "seed4")
    weights = load_file(other / "model.safetensors")
    save_file({key: value * 1.01 for key, value in weights.items()}, other / "model.safetensors")
    change(other, lambda content: content["training"].update(seed=4))
    return [trained, other]


def change(folder, edit):
    content = json.loads((folder / "model.json").read_text())
    edit(content)
    (folder / "model.json").write_text(json.dumps(content))


def run(members, folder):
    named = [item for member in members for item in ("--member", str(member))]
    return combine_seeds.main([*named, "--output-dir", str(folder)])


def test_members_are_kept_whole(members, tmp_path):
    assert run(members, tmp_path / "both") == 0
    both, singles = load_bundle(tmp_path / "both"), [load_bundle(folder) for folder in members]
    assert both.name == "dilated" and both.member_seeds == [0, 4] and both.calibration is None
    for member, single in zip(both.network.members, singles, strict=True):
        for key, value in single.network.state_dict().items():
            assert torch.equal(member.state_dict()[key], value), key
    assert both.training["members"] == [single.training for single in singles]
    assert both.training["genomes"] == ["toy"]
    assert both.history.groupby("seed").size().tolist() == [len(singles[0].history)] * 2
    content = json.loads((tmp_path / "both" / "model.json").read_text())
    assert content["format"] == 2 and content["context"] == singles[0].architecture.context
    single = json.loads((members[0] / "model.json").read_text())
    assert single["format"] == 1 and single["member_seeds"] == []


def test_an_ensemble_whose_weights_lack_a_member_is_refused(members, tmp_path):
    assert run(members, tmp_path / "both") == 0
    change(tmp_path / "both", lambda content: content.update(member_seeds=[0, 4, 5]))
    with pytest.raises(InputError, match="do not fit"):
        load_bundle(tmp_path / "both")


def test_ensemble_is_calibrated_like_any_model(planted, members, tmp_path):
    import calibrate_model

    assert run(members, tmp_path / "both") == 0
    code = calibrate_model.main(
        [
            *("--model", str(tmp_path / "both"), *planted.arguments(), "--threads", "1"),
            *("--classes", json.dumps(CLASSES), "--labels", "exclusive", "--device", "cpu"),
            *("--settings", '{"precision_targets": [0.5], "operating": 0.5, "bootstrap": 100}'),
            *("--output-dir", str(tmp_path / "model")),
        ]
    )
    assert code == 0
    bundle = load_bundle(tmp_path / "model")
    assert bundle.member_seeds == [0, 4]
    assert all(bundle.calibration["classes"][name]["slope"] > 0 for name in CLASSES)


def test_members_that_cannot_be_combined_are_named(members, tmp_path, capsys):
    out = tmp_path / "out"
    twin = shutil.copytree(members[0], tmp_path / "twin")
    other = shutil.copytree(members[1], tmp_path / "other")
    change(other, lambda content: content.update(classes=["acceptor", "donor"]))
    fitted = shutil.copytree(members[1], tmp_path / "fitted")
    change(fitted, lambda content: content["training"].pop("seed"))
    cases = [
        ([members[0]], "expected two or more to combine"),
        ([members[0], twin], "are both of seed 0"),
        ([members[0], other], "classes is ['acceptor', 'donor']; expected ['donor', 'acceptor']"),
        ([members[0], fitted], "is no network that train_model trained from one seed"),
        ([members[0], tmp_path / "nowhere"], "does not exist"),
    ]
    for folders, message in cases:
        assert run(folders, out) == 1
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "combine_seeds.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--member" in done.stdout
