"""Training on from a network: a round after the first training, and what it gained.

A round keeps the weights that it started from unless it betters their average precision on the
validation part, so that a round that teaches nothing harms nothing.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.batches import WindowSource
from genomesieve.bundle import KIND, Bundle, first_difference, load_bundle
from genomesieve.errors import InputError
from genomesieve.validation import validation_average_precision

logger = logging.getLogger(__name__)

_PRECISION = "validation_average_precision"


class TrainingRound:
    """A round of training that starts from the network of another.

    Parameters
    ----------
    folder : Path
        The model folder that it starts from.
    bundle : Bundle
        What is to be trained; its network takes the weights.
    valid : WindowSource
        Validation windows, at natural prevalence.
    device : torch.device

    Raises
    ------
    InputError
        If the two are not networks of one kind.
    """

    def __init__(self, folder: Path, bundle: Bundle, valid: WindowSource, device: torch.device):
        former = load_bundle(folder)
        _check_former(former, bundle, folder)
        self._former, self._bundle = former, bundle
        bundle.network.load_state_dict(former.network.state_dict())
        self._weights = copy.deepcopy(former.network.state_dict())
        network = bundle.network.to(device)
        precisions = validation_average_precision(
            network, valid, len(bundle.classes), bundle.labels, device
        )
        self._before = _by_class(bundle.classes, precisions)
        self._mean_before = float(np.nanmean(precisions))
        logger.info("starting from %s: validation average precision %s", folder, self._before)

    @property
    def corrected(self) -> bool:
        """Whether the network that it starts from had its prior corrected."""
        return bool(self._former.training.get("prior_correction"))

    def finish(self, history: pd.DataFrame) -> None:
        """Keep the better weights and put the histories and what each round gained together.

        Parameters
        ----------
        history : pandas.DataFrame
            From `Trainer.fit`; the bundle's network has its best weights.
        """
        bundle, former = self._bundle, self._former
        rounds = former.training.get("rounds") or [first_round(former)]
        best = _best_row(history)
        kept = bool(best[_PRECISION] > self._mean_before)
        if not kept:
            logger.warning(
                "no validation was better (%.4f) than the start (%.4f): its weights are kept",
                best[_PRECISION],
                self._mean_before,
            )
            bundle.network.load_state_dict(self._weights)
        record = {"started_at": self._before, "best": _best(bundle.classes, history), "kept": kept}
        bundle.training["rounds"] = [*rounds, record]
        past = former.history
        if "round" not in past:
            past = past.assign(round=0)
        shifted = history.assign(
            round=len(rounds),
            step=history["step"] + int(past["step"].max()),
            seconds=history["seconds"] + float(past["seconds"].max()),
        )
        bundle.history = pd.concat([past, shifted], ignore_index=True)


def first_round(bundle: Bundle) -> dict:
    """Return what is known of the gain of a first training: its best validation."""
    return {"best": _best(bundle.classes, bundle.history), "kept": True}


def _best_row(history: pd.DataFrame) -> pd.Series:
    """Return the validation whose mean average precision is the best."""
    return history.loc[history[_PRECISION].fillna(-np.inf).idxmax()]


def _best(classes: list[str], history: pd.DataFrame) -> dict[str, float | None]:
    """Return the average precision of each class at the best validation."""
    row = _best_row(history)
    return _by_class(classes, [row[f"{_PRECISION}.{name}"] for name in classes])


def _by_class(classes: list[str], values: Iterable[float]) -> dict[str, float | None]:
    """Return values by class as JSON holds them: None for what is no number."""
    return {name: float(v) if np.isfinite(v) else None for name, v in zip(classes, values)}


def _check_former(former: Bundle, bundle: Bundle, folder: Path) -> None:
    """Raise InputError unless training may go on from a model."""
    if _PRECISION not in former.history or former.code:
        raise InputError(f"model {folder} has no history of training; expected one of train_model")
    name = first_difference(former, bundle, (*KIND, "member_seeds"))
    if name is not None:
        found, expected = (_short(getattr(one, name)) for one in (former, bundle))
        raise InputError(
            f"model {folder} has {name} {found}; expected {expected}, as asked for here: training "
            "goes on from a network of the same kind alone"
        )


def _short(value: object) -> object:
    """Return a value as messages show it."""
    return value.to_dict() if hasattr(value, "to_dict") else value
