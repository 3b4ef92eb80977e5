import copy

import pytest

from genomesieve.errors import InputError
from genomesieve.stages import resolve_stages, stage_genomes
from toy_stages import SETTINGS, STAGE


def changed(**stages):
    settings = copy.deepcopy(SETTINGS)
    for name, values in stages.items():
        settings["stages"][name] |= values
    return settings


def test_other_methods_share_the_first_stage_alone():
    stages = resolve_stages(SETTINGS)
    before = {key: stage.before for key, stage in stages.items()}
    assert before == {
        "thale": "", "fly": "thale", "human": "fly", "fly.replay": "thale",
        "human.replay": "fly.replay",
    }  # fmt: skip
    assert [key for key, stage in stages.items() if stage.consolidates] == ["fly"]
    assert [key for key, stage in stages.items() if stage.needs_old_data] == [
        "fly.replay", "human.replay",
    ]  # fmt: skip
    assert stages["fly"].settings.lambda_ == 3
    assert stages["human"].settings.method == "finetune"
    assert stages["fly.replay"].training == {"steps": 9}
    assert stages["human"].measured_on == "human"
    assert stage_genomes(SETTINGS) == ["thale", "fly", "human"]
    assert all(stage.measured_classes == ("donor", "acceptor") for stage in stages.values())


def test_new_classes_are_known_from_their_stage_on():
    settings = changed(fly={"new_classes": ["acceptor"]})
    stages = resolve_stages(settings)
    assert stages["thale"].classes == ("donor",) == stages["thale"].measured_classes
    assert stages["fly"].classes == ("donor", "acceptor")
    assert stages["fly"].measured_classes == ("acceptor",)
    assert stages["human.replay"].classes == ("donor", "acceptor")


@pytest.mark.parametrize(
    "settings, message",
    [
        (changed(thale={"method": "ewc"}), "stages.thale.method is given and it is the first"),
        (changed(thale={"training": {"steps": 3}}), "stages.thale.training is given"),
        (changed(fly={"new_classes": ["donor"]}), "introduce classes donor; expected the last"),
        (changed(thale={"new_classes": ["acceptor"]}), "stages.thale.new_classes"),
        (changed(fly={"new_classes": ["donor", "acceptor"]}), "and others before them"),
        (changed(fly={"method": "magic"}), "stages.fly: adaptation.method is 'magic'"),
        (changed() | {"stages": {}}, "stage_methods is given without stages"),
        (
            {
                "stages": {"a": STAGE | {"genomes": ["a"]}},
                "stage_methods": {},
                "classes": {"x": {}},
            },
            "one stage; expected two or more",
        ),
        (
            changed() | {"stage_methods": {"x": {"method": "ewc", "lambda": "much"}}},
            "stage_methods.x: adaptation.lambda is 'much'",
        ),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        resolve_stages(settings)


def test_no_stages_are_none():
    assert resolve_stages({"classes": {}, "stages": {}, "stage_methods": {}}) == {}
