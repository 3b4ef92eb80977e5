"""How long and how a network is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from genomesieve.errors import InputError
from genomesieve.freezing import check_parts
from genomesieve.losses import Imbalance
from genomesieve.pretraining_settings import TransferSettings
from genomesieve.prior_correction import check_correction
from genomesieve.settings import complete_settings, require_above_zero


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how to train.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Windows a step, of all processes together.
    learning_rate : float
        Peak of the schedule: linear warm-up, then a cosine down to zero.
    warmup : float
        Share of the steps spent warming up.
    weight_decay : float
    clip : float
        Largest norm of the gradient.
    validations : int
        How often to validate, spread evenly over the steps; the last step always is.
    patience : int
        Validations without a better average precision before training stops.
    weight_cap : float
        Largest inverse-inclusion weight of a bin, as a multiple of the mean.
    accumulate : int
        Parts that a batch is computed in, one after the other, to save memory; doubled when a GPU's
        memory ends, where no norm takes statistics of the parts.
    average : float
        Decay of an exponential moving average of the weights, which is then what is validated and
        kept (Polyak and Juditsky 1992); 0 for none.
    checkpoint_minutes : float
        Minutes between two checkpoints; each validation makes one too. They change no number.
    focal_gamma, positive_weight, logit_adjustment : float
        What is done about rare classes (see `losses.Imbalance`).
    prior_correction : bool
        Whether the output biases take back in the end what the last two did to the prevalence (see
        `prior_correction`).
    freeze : tuple of str
        Parts of the network that keep their weights and statistics (`freezing.PARTS`).
    freeze_norms : bool
        Whether batch normalisation keeps its statistics everywhere.
    pretrained : mapping
        Of `pretraining_settings.TransferSettings`, for networks that start from a pretrained trunk.
    """

    steps: int = 1000
    batch: int = 16
    learning_rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 1e-2
    clip: float = 1.0
    validations: int = 6
    patience: int = 3
    weight_cap: float = 20.0
    accumulate: int = 1
    average: float = 0.0
    checkpoint_minutes: float = 10.0
    focal_gamma: float = 0.0
    positive_weight: float = 1.0
    logit_adjustment: float = 0.0
    prior_correction: bool = False
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False
    pretrained: dict = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, values: Mapping) -> TrainingSettings:
        """Check the `training` section of a screen and complete it with defaults."""
        settings = complete_settings("training", values, dataclasses.asdict(cls()))
        positive = ("steps", "batch", "learning_rate", "clip", "validations", "patience")
        positive += ("weight_cap", "accumulate", "positive_weight")
        require_above_zero("training", settings, *positive)
        if not 0 <= settings["warmup"] <= 1:
            raise InputError(f"training.warmup is {settings['warmup']}; expected a share, 0 to 1")
        if not 0 <= settings["average"] < 1:
            raise InputError(
                f"training.average is {settings['average']}; expected at least 0 and below 1"
            )
        for name in ("weight_decay", "focal_gamma", "logit_adjustment", "checkpoint_minutes"):
            if not settings[name] >= 0:
                raise InputError(f"training.{name} is {settings[name]}; expected 0 or more")
        check_parts(settings["freeze"])
        TransferSettings.from_mapping(settings["pretrained"])
        complete = cls(**settings)
        if complete.prior_correction:
            check_correction(complete.imbalance)
        return complete

    @property
    def imbalance(self) -> Imbalance:
        """What is done about rare classes."""
        return Imbalance(self.focal_gamma, self.positive_weight, self.logit_adjustment)
