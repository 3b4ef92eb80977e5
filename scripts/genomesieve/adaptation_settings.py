"""How a network is taken to a new genome: the methods and their settings, checked.

The workflow plans with them too, so neither half's heavy libraries are needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from genomesieve.errors import InputError
from genomesieve.settings import complete_settings, require_above_zero

METHODS = {
    "finetune": "all weights learn from the new genome alone",
    "head": "the last layer alone learns",
    "ewc": "all weights learn, held where the old genomes' predictions depend on them; needs no "
    "old data",
    "replay": "some windows of the old genomes are learned again with the new ones; needs old data",
    "joint": "all windows of old and new genomes are learned together; needs old data",
    "lora": "the last layer and low-rank matrices beside the other weights learn",
    "scratch": "fresh weights learn from the new genome alone, to compare with",
}
WITH_OLD_DATA = ("replay", "joint")
FORMS = ("separate", "online")
KINDS = ("expected", "empirical")


@dataclass(frozen=True)
class AdaptationSettings:
    """How a network is adapted.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    lambda_ : float or None
        Weight of the penalty of `ewc` (`lambda` in a configuration); None chooses the largest of
        `lambdas` whose average precision on the new genome's validation part is within `tolerance`
        of plain fine-tuning's.
    lambdas : tuple of float
        What is tried, from the largest on.
    tolerance : float
        Share of the average precision of fine-tuning that may be lost.
    learning_rates : tuple of float
        Peaks of the schedule to choose from on the new genome's validation part; empty takes the
        training's own.
    replay_share : float
        Windows of old genomes as a share of all windows, with `replay`.
    rank : int
        Of the matrices of `lora`.
    freeze_norms : bool
        Whether batch normalisation keeps its statistics, where there are any.
    """

    method: str = "finetune"
    lambda_: float | None = None
    lambdas: tuple[float, ...] = (1000.0, 100.0, 10.0, 1.0, 0.1)
    tolerance: float = 0.01
    learning_rates: tuple[float, ...] = ()
    replay_share: float = 0.2
    rank: int = 4
    freeze_norms: bool = True

    @classmethod
    def from_mapping(cls, values: Mapping) -> AdaptationSettings:
        """Check the settings of a stage and complete them with defaults."""
        # `lambda` is a word of Python and the name that everybody knows.
        defaults = {key.rstrip("_"): value for key, value in dataclasses.asdict(cls()).items()}
        settings = complete_settings("adaptation", values, defaults)
        method = settings["method"]
        if method not in METHODS:
            raise InputError(
                f"adaptation.method is {method!r}; expected one of {', '.join(METHODS)}"
            )
        require_above_zero("adaptation", settings, "rank")
        for name in ("lambdas", "learning_rates"):
            values = settings[name] = tuple(settings[name])
            if not all(_is_number(value) and value > 0 for value in values):
                raise InputError(f"adaptation.{name} is {list(values)}; expected numbers above 0")
        strength = settings.pop("lambda")
        if strength is not None and not (_is_number(strength) and strength >= 0):
            raise InputError(f"adaptation.lambda is {strength!r}; expected 0 or more, or null")
        if method == "ewc" and strength is None and not settings["lambdas"]:
            raise InputError("adaptation.lambdas is empty; expected some to choose from")
        for name in ("replay_share", "tolerance"):
            if not 0 < settings[name] < 1:
                raise InputError(
                    f"adaptation.{name} is {settings[name]}; expected above 0, below 1"
                )
        if method == "ewc" and not settings["freeze_norms"]:
            raise InputError(
                "adaptation.freeze_norms is false with method ewc; expected true: the penalty "
                "holds weights, and statistics that move would change what they do"
            )
        return cls(lambda_=strength, **settings)


@dataclass(frozen=True)
class FisherSettings:
    """How Fisher information is estimated and kept.

    Parameters
    ----------
    kind : str
        `expected` (over the labels that the model expects) or `empirical` (at the labels).
    form : str
        `separate`: of each old task; `online`: one sum.
    decay : float
        Of the online sum, for each newer task.
    positions : int
        Observations that gradients are taken of.
    windows : int
        Most training windows that they are drawn from.
    """

    kind: str = "expected"
    form: str = "separate"
    decay: float = 1.0
    positions: int = 2000
    windows: int = 400

    @classmethod
    def from_mapping(cls, values: Mapping) -> FisherSettings:
        """Check the `fisher` section of a screen and complete it with defaults."""
        settings = complete_settings("fisher", values, dataclasses.asdict(cls()))
        require_above_zero("fisher", settings, "positions", "windows")
        for name, known in (("kind", KINDS), ("form", FORMS)):
            if settings[name] not in known:
                raise InputError(
                    f"fisher.{name} is {settings[name]!r}; expected one of {', '.join(known)}"
                )
        if not 0 < settings["decay"] <= 1:
            raise InputError(f"fisher.decay is {settings['decay']}; expected above 0, at most 1")
        return cls(**settings)


def _is_number(value: object) -> bool:
    """Tell whether a value is a number; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
