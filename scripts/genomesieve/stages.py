"""The stages of a screen that learns several genomes in order.

The first stage is a training like any other; each later one adapts the network of the stage before.
`stage_methods` runs the same stages again with other methods, so that they can be compared: they
share the first stage, and the later ones are named `{stage}.{method}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genomesieve.adaptation_settings import WITH_OLD_DATA, AdaptationSettings
from genomesieve.errors import InputError

_OF_STAGE = ("genomes", "new_classes", "measure_on", "training")
"""Settings of a stage that say nothing of the method."""


@dataclass(frozen=True)
class Stage:
    """One turn in a screen that learns several genomes in order.

    Parameters
    ----------
    key : str
        `{name}`, or `{name}.{chain}` where other methods are compared.
    name : str
    chain : str
        Name of the other method; empty for the screen's own stages.
    genomes : tuple of str
        What is learned.
    classes : tuple of str
        Known after it.
    introduced : tuple of str
        Classes that are first seen in it.
    measured_on : str
        Genome on which what it taught is measured after every stage.
    before : str
        Key of the stage before; empty for the first.
    adaptation : dict
        Method and its settings; empty for the first stage.
    training : dict
        Settings of training in place of the screen's.
    """

    key: str
    name: str
    chain: str
    genomes: tuple[str, ...]
    classes: tuple[str, ...]
    introduced: tuple[str, ...]
    measured_on: str
    before: str
    adaptation: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)

    @property
    def settings(self) -> AdaptationSettings:
        """How the network of the stage before is adapted."""
        return AdaptationSettings.from_mapping(self.adaptation)

    @property
    def consolidates(self) -> bool:
        """Whether it needs the Fisher information of the stage before."""
        return bool(self.before) and self.settings.method == "ewc"

    @property
    def needs_old_data(self) -> bool:
        """Whether it learns from genomes of earlier stages again."""
        return bool(self.before) and self.settings.method in WITH_OLD_DATA

    @property
    def measured_classes(self) -> tuple[str, ...]:
        """Classes by which what it taught is measured."""
        return self.introduced or self.classes


def resolve_stages(settings: Mapping) -> dict[str, Stage]:
    """Return the stages of a screen by key: its own in order, then those of other methods.

    Parameters
    ----------
    settings : mapping
        The screen's part of the configuration.

    Raises
    ------
    InputError
        If a stage cannot be what is asked for; the message starts with the key that is wrong.
    """
    given, others = settings["stages"], settings["stage_methods"]
    if others and not given:
        raise InputError("stage_methods is given without stages; expected stages to compare")
    if not given:
        return {}
    if len(given) == 1:
        raise InputError("stages has one stage; expected two or more, or train_genomes instead")
    _check_first(given)
    stages = _chain(settings, "", {})
    for name, method in others.items():
        stages |= _chain(settings, name, method)
    return stages


def stage_genomes(settings: Mapping) -> list[str]:
    """Return all genomes that the stages of a screen learn from, in order."""
    return list(
        dict.fromkeys(name for one in settings["stages"].values() for name in one["genomes"])
    )


def _check_first(given: Mapping) -> None:
    """Raise InputError if the first stage asks for what adaptations alone have."""
    name, first = next(iter(given.items()))
    wrong = [key for key in first if key not in _OF_STAGE or (key == "training" and first[key])]
    if wrong:
        raise InputError(
            f"stages.{name}.{wrong[0]} is given and it is the first stage, a training like any "
            "other; expected it left out"
        )


def _chain(settings: Mapping, chain: str, method: Mapping) -> dict[str, Stage]:
    """Return the stages of one method, without the first where it is another method's too."""
    given, classes = settings["stages"], list(settings["classes"])
    later = [name for one in given.values() for name in one["new_classes"]]
    _check_new_classes(given, classes, later)
    known = [name for name in classes if name not in later]
    stages, before = {}, ""
    for number, (name, one) in enumerate(given.items()):
        introduced = one["new_classes"]
        known = known + introduced
        key = f"{name}.{chain}" if chain and number else name
        if chain:
            adaptation, training = dict(method), method.get("training") or one["training"]
        else:
            adaptation, training = dict(one), one["training"]
        stage = Stage(
            key=key,
            name=name,
            chain=chain if number else "",
            genomes=tuple(one["genomes"]),
            classes=tuple(known),
            introduced=tuple(introduced) or (tuple(known) if later and not number else ()),
            measured_on=one["measure_on"] or one["genomes"][0],
            before=before,
            adaptation={k: v for k, v in adaptation.items() if k not in _OF_STAGE}
            if number
            else {},
            training=dict(training),
        )
        _check_adaptation(stage)
        if not chain or number:
            stages[key] = stage
        before = key
    return stages


def _check_adaptation(stage: Stage) -> None:
    """Raise InputError unless a stage's method and its settings exist."""
    try:
        AdaptationSettings.from_mapping(stage.adaptation)
    except InputError as error:
        where = f"stage_methods.{stage.chain}" if stage.chain else f"stages.{stage.name}"
        raise InputError(f"{where}: {error}") from None


def _check_new_classes(given: Mapping, classes: list[str], later: list[str]) -> None:
    """Raise InputError unless new classes are the last ones of the screen, in order."""
    first = next(iter(given))
    if given[first]["new_classes"]:
        raise InputError(
            f"stages.{first}.new_classes is given and it is the first stage; expected it left out: "
            "it knows all classes that no later stage introduces"
        )
    if later and (classes[-len(later) :] != later or len(later) == len(classes)):
        raise InputError(
            f"stages introduce classes {', '.join(later)}; expected the last ones of the screen's "
            f"classes ({', '.join(classes)}), in this order, and others before them"
        )
