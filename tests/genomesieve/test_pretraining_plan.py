import copy
from pathlib import Path

import pytest
import yaml

from genomesieve.configuration import resolve_plan
from genomesieve.errors import InputError

MODEL = {"preset": "dilated", "channels": 8, "dilations": [1, 2]}
HELD_OUT = {"athaliana": {"held_out": ["chr1:0-1000"]}}


@pytest.fixture
def schemas(repository):
    folder = repository / "workflow" / "schemas"
    names = ("config", "genomes", "tracks")
    return [yaml.safe_load((folder / f"{name}.schema.yaml").read_text()) for name in names]


@pytest.fixture
def config(repository, monkeypatch):
    monkeypatch.chdir(repository)
    config = yaml.safe_load((repository / "config" / "config.yaml").read_text())
    genomes = ["athaliana", "alyrata"]
    config["pretraining"] = {
        "plants": {"genomes": genomes, "split": HELD_OUT, "model": dict(MODEL)}
    }
    config["screens"]["splice"] |= {"pretrained": "plants", "model": dict(MODEL)}
    return config


def changed(config, dotted, value):
    config = copy.deepcopy(config)
    *path, last = dotted.split(".")
    inner = config
    for key in path:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return config


def test_a_pretraining_is_completed(config, schemas):
    plan = resolve_plan(config, *schemas).pretraining["plants"]
    assert plan.folder == "results/pretraining/plants"
    assert plan.settings["reverse_complement"] == "augment" and plan.settings["seed"] == 0
    # Regions of the sheet are what is used of a genome at all.
    regions = {
        one.name: list(one.regions) for one in resolve_plan(config, *schemas).genomes.values()
    }
    assert plan.split["athaliana"]["held_out"] == ["chr1:0-1000"]
    assert plan.split["alyrata"].get("regions", []) == regions["alyrata"]
    assert plan.architecture.resolution == 1


def test_the_example_of_the_documentation_resolves(config, schemas, repository):
    text = (repository / "config" / "README.md").read_text().split("## Pretraining")[1]
    example = yaml.safe_load(text.split("```")[1].removeprefix("yaml"))
    screen = config["screens"]["splice"] | example["screens"]["splice"]
    config |= {"pretraining": example["pretraining"], "screens": {"splice": screen}}
    plan = resolve_plan(config, *schemas)
    assert plan.screens["splice"].settings["pretrained"] == "plants"
    assert plan.pretraining["plants"].genomes == ("athaliana", "alyrata")


def test_nothing_is_pretrained_without_the_section(config, schemas):
    del config["pretraining"], config["screens"]["splice"]["pretrained"]
    assert resolve_plan(config, *schemas).pretraining == {}


SCREEN, PLANTS = "screens.splice", "pretraining.plants"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            f"{SCREEN}.pretrained",
            "plant",
            r"screens.splice.pretrained is 'plant'; did you mean 'pl",
        ),
        (
            f"{SCREEN}.model.channels",
            16,
            r"screens.splice.model.channels is 16; expected 8 as in pretraining.plants, whose",
        ),
        (f"{SCREEN}.model.dilations", [1], r"model.dilations is \[1\]; expected \[1, 2\]"),
        (f"{SCREEN}.model.norm", "layer", "model.norm is layer; expected batch"),
        (f"{SCREEN}.stem_motifs", {"motifs": "x"}, "stem_motifs and pretrained both say"),
        (f"{SCREEN}.training.pretrained", {"trunk_rat": 1}, "did you mean 'trunk_rate'"),
        (f"{PLANTS}.genomes", ["athaliana", "lyrata"], "names genome 'lyrata'; did you mean 'al"),
        (f"{PLANTS}.split", {"aarenosa": {}}, "split names genome 'aarenosa'"),
        (f"{PLANTS}.split", {}, "holds nothing out"),
        (f"{PLANTS}.reverse_complement", "average", "average"),
        (f"{PLANTS}.reverse_complement", "equivariant", "expected equivariant for both or for nei"),
        (f"{PLANTS}.model.kernal", 3, "pretraining.plants.model.kernal: there is no such setting"),
        (f"{PLANTS}.training.length", 2000.5, "training.length"),
        (f"{PLANTS}.training", {"step": 3}, "did you mean 'steps'"),
        ("screens.pretraining", {}, "pretraining"),
    ],
)
def test_what_does_not_fit_is_named(config, schemas, key, value, message):
    config = changed(config, key, value)
    if key == "screens.pretraining":
        config["screens"]["pretraining"] = config["screens"]["splice"]
    with pytest.raises(InputError, match=message):
        resolve_plan(config, *schemas)


def test_settings_of_a_trunk_need_a_trunk(config, schemas):
    config = changed(config, f"{SCREEN}.training.pretrained", {"trunk_rate": 0.5})
    resolve_plan(config, *schemas)
    del config["screens"]["splice"]["pretrained"]
    with pytest.raises(InputError, match="training.pretrained is given and nothing is pretrained"):
        resolve_plan(config, *schemas)


def test_windows_of_a_network_that_mixes_over_length_are_checked(config, schemas):
    config["screens"]["splice"] |= {"pretrained": None, "model": MODEL}
    model = {"preset": "transformer", "window": 300}
    with pytest.raises(InputError, match="training.length is 2000 bp; expected a multiple of 300"):
        resolve_plan(changed(config, f"{PLANTS}.model", model), *schemas)


def test_genomes_of_one_fasta_are_refused(config, schemas, tmp_path):
    lines = Path(config["genomes"]).read_text().splitlines()
    row = next(line for line in lines[1:] if line.startswith("athaliana"))
    sheet = tmp_path / "genomes.tsv"
    sheet.write_text("\n".join([*lines, row.replace("athaliana", "twin", 1)]) + "\n")
    config["genomes"] = str(sheet)
    config = changed(config, f"{PLANTS}.genomes", ["athaliana", "twin"])
    with pytest.raises(InputError, match="names athaliana and twin, which have the same FASTA"):
        resolve_plan(config, *schemas)


def test_schema_and_library_have_the_same_settings(schemas):
    from dataclasses import fields

    from genomesieve.pretraining_settings import (
        MaskSettings,
        PretrainingSettings,
        TransferSettings,
    )

    pretraining = schemas[0]["$defs"]["pretraining"]["properties"]["training"]["properties"]
    training = schemas[0]["$defs"]["screen"]["properties"]["training"]["properties"]
    for kind, listed in (
        (PretrainingSettings, pretraining),
        (MaskSettings, pretraining["mask"]["properties"]),
        (TransferSettings, training["pretrained"]["properties"]),
    ):
        assert {one.name for one in fields(kind)} == set(listed)
        for one in fields(kind):
            said = listed[one.name]["description"]
            if "(default" in said and isinstance(one.default, int | float):
                assert f"(default {one.default:.15g}" in said
