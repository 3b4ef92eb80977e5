"""Training: weighted loss, schedule, validation at natural prevalence, early stopping.

Length and schedule count steps, never minutes, and batch i is a function of the seed and i alone,
so that a killed run that is started again ends where the unbroken one would have.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from genomesieve.batches import Batch, WindowSource
from genomesieve.errors import InputError
from genomesieve.files import whole_file
from genomesieve.metrics import average_precision
from genomesieve.networks import log_odds
from genomesieve.scores import CODES, count_codes, encode_scores
from genomesieve.settings import complete_settings, require_above_zero

logger = logging.getLogger(__name__)

_VALIDATION_BATCH = 8


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how to train.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Windows a step.
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

    @classmethod
    def from_mapping(cls, values: Mapping) -> TrainingSettings:
        """Check the `training` section of a screen and complete it with defaults."""
        settings = complete_settings("training", values, dataclasses.asdict(cls()))
        positive = ("steps", "batch", "learning_rate", "clip", "validations", "patience")
        require_above_zero("training", settings, *positive, "weight_cap")
        if not 0 <= settings["warmup"] <= 1:
            raise InputError(f"training.warmup is {settings['warmup']}; expected a share, 0 to 1")
        if not settings["weight_decay"] >= 0:
            raise InputError(
                f"training.weight_decay is {settings['weight_decay']}; expected 0 or more"
            )
        return cls(**settings)


@dataclass
class _Progress:
    """Everything that a checkpoint must keep beside weights and optimiser."""

    step: int
    best: float
    stale: int
    seconds: float
    rows: list[dict]
    best_weights: dict[str, Tensor]


class Trainer:
    """Fit a network to windows.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place.
    train, valid : WindowSource
        Validation windows are at natural prevalence.
    classes : list of str
    labels : str
        `exclusive` or `independent`.
    settings : TrainingSettings
    seed : int
    device : torch.device
    checkpoint : Path or None
        Folder for the state of an unfinished run; removed on success.
    fingerprint : str
        Digest of configuration, data and code; a checkpoint with another one is ignored.
    """

    def __init__(
        self,
        network: nn.Module,
        train: WindowSource,
        valid: WindowSource,
        classes: list[str],
        labels: str,
        settings: TrainingSettings,
        seed: int,
        device: torch.device,
        checkpoint: Path | None = None,
        fingerprint: str = "",
    ):
        self.network = network.to(device)
        self.train, self.valid = train, valid
        self.classes, self.labels = classes, labels
        self.settings, self.seed, self.device = settings, seed, device
        self.checkpoint, self.fingerprint = checkpoint, fingerprint
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.state = _Progress(0, -math.inf, 0, 0.0, [], {})
        # The host makes the next batch while a GPU computes.
        self.makes_ahead = device.type == "cuda"
        self._ahead: tuple[int, Batch] | None = None
        every = max(1, settings.steps // settings.validations)
        self._validate_at = set(range(every, settings.steps, every)) | {settings.steps}

    def fit(self) -> pd.DataFrame:
        """Train to the end or until validation stops improving; keep the best weights.

        Returns
        -------
        pandas.DataFrame
            One row a validation: step, loss (mean since the last), learning_rate,
            validation_average_precision (mean and one a class), bases_per_second, seconds.

        Raises
        ------
        InputError
            If the loss is not a number.
        """
        self._resume()
        losses, begin = [], time.monotonic()
        bar = tqdm(
            total=self.settings.steps, initial=self.state.step, unit="step", disable=None, ncols=100
        )
        while self.state.step < self.settings.steps and self.state.stale < self.settings.patience:
            losses.append(self._step())
            bar.update()
            if self.state.step % 10 == 0:
                bar.set_postfix(loss=f"{np.mean(losses[-50:]):.4f}", AP=f"{self.state.best:.3f}")
            if self.state.step in self._validate_at:
                self.state.seconds += time.monotonic() - begin
                self._validate(losses)
                losses, begin = [], time.monotonic()
        bar.close()
        self.network.load_state_dict(self.state.best_weights)
        if self.checkpoint is not None:
            shutil.rmtree(self.checkpoint, ignore_errors=True)
        return pd.DataFrame(self.state.rows)

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step as a share of its peak."""
        warm = max(1, round(self.settings.warmup * self.settings.steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.settings.steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _rows(self, step: int) -> np.ndarray:
        """Return the windows of a step: epoch after epoch, each in an order of its own."""
        total, size = len(self.train), min(self.settings.batch, len(self.train))
        epoch, place = divmod(step, total // size)
        order = np.random.default_rng([self.seed, epoch]).permutation(total)
        return np.sort(order[place * size : (place + 1) * size])

    def _batch(self, step: int) -> Batch:
        """Return the batch of a step on the device; it may have been made ahead."""
        if self._ahead is not None and self._ahead[0] == step:
            return self._ahead[1]
        return self.train.batch(self._rows(step)).to(self.device)

    def _step(self) -> float:
        """Run one optimiser step and return its loss."""
        step = self.state.step
        torch.manual_seed(hash((self.seed, step)) & 0x7FFFFFFF)
        self.network.train()
        batch = self._batch(step)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
        ):
            logits = self.network(batch.x)
        loss = weighted_loss(logits, batch, self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        # Reading the loss waits for the GPU; the next batch is ready then.
        if self.makes_ahead and step + 1 < self.settings.steps:
            self._ahead = step + 1, self._batch(step + 1)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            raise InputError(
                f"training diverged: loss {value}, gradient norm {float(norm)} at step {step}; "
                f"lower training.learning_rate (now {self.settings.learning_rate})"
            )
        self.optimizer.step()
        self.schedule.step()
        self.state.step += 1
        return value

    def _validate(self, losses: list[float]) -> None:
        """Measure average precision on the validation part; keep the weights if it is the best."""
        state = self.state
        precisions = validation_average_precision(
            self.network, self.valid, len(self.classes), self.labels, self.device
        )
        mean = float(np.nanmean(precisions))
        done = len(losses) * min(self.settings.batch, len(self.train)) * self.train.length
        before = state.rows[-1]["seconds"] if state.rows else 0.0
        row = {
            "step": state.step,
            "loss": float(np.mean(losses)),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "validation_average_precision": mean,
            **{
                f"validation_average_precision.{name}": value
                for name, value in zip(self.classes, precisions)
            },
            "bases_per_second": done / max(state.seconds - before, 1e-9),
            "seconds": state.seconds,
        }
        state.rows.append(row)
        logger.info(
            "step %d of %d: loss %.5f, validation average precision %.4f (%s), %.0f bases/s",
            state.step,
            self.settings.steps,
            row["loss"],
            mean,
            ", ".join(f"{n} {v:.4f}" for n, v in zip(self.classes, precisions)),
            row["bases_per_second"],
        )
        state.stale += 1
        if mean > state.best or not state.best_weights:
            state.best, state.stale = mean, 0
            state.best_weights = copy.deepcopy(self.network.state_dict())
        self._save()

    def _save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.checkpoint is None:
            return
        content = {
            "fingerprint": self.fingerprint,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": vars(self.state),
        }
        with whole_file(self.checkpoint / "state.pt") as temporary:
            torch.save(content, temporary)

    def _resume(self) -> None:
        """Take up a checkpoint of the same run, if there is one."""
        path = None if self.checkpoint is None else self.checkpoint / "state.pt"
        if path is None or not path.is_file():
            return
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            found = content["fingerprint"]
        except Exception as error:
            logger.warning("checkpoint %s cannot be read (%s): starting anew", path, error)
            return
        if found != self.fingerprint:
            logger.warning("checkpoint %s belongs to another run: starting anew", path)
            return
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.state = _Progress(**content["progress"])
        logger.info("resuming from step %d of %d", self.state.step, self.settings.steps)


def weighted_loss(logits: Tensor, batch: Batch, labels: str) -> Tensor:
    """Return the cross-entropy of a batch, every bin weighted by 1 / inclusion.

    Weights have mean 1 over all windows, so the sum is divided by the number of bins and not by
    the batch's own weights, which would bias it.

    Parameters
    ----------
    logits : torch.Tensor, shape=(N, outputs, bins)
    batch : Batch
    labels : str
        `exclusive`: one softmax over background and classes; `independent`: a sigmoid a class.

    Returns
    -------
    torch.Tensor, shape=()
    """
    logits = logits.float()
    if labels == "independent":
        losses = functional.binary_cross_entropy_with_logits(
            logits, batch.sites.float(), reduction="none"
        )
        return (losses * batch.weights).mean()
    any_site = batch.sites.any(1)
    target = torch.where(any_site, batch.sites.float().argmax(1) + 1, 0)
    # A bin that is ignored for one class can teach nothing about the background.
    weights = torch.where(any_site, batch.weights.amax(1), batch.weights.amin(1))
    losses = functional.cross_entropy(logits, target, reduction="none")
    return (losses * weights).mean()


def validation_average_precision(
    network: nn.Module, source: WindowSource, classes: int, labels: str, device: torch.device
) -> np.ndarray:
    """Measure average precision per class on windows at natural prevalence.

    Returns
    -------
    numpy.ndarray, shape=(classes,)
        NaN for a class without a site there.
    """
    network.eval()
    counts = np.zeros((2, classes, CODES), dtype=np.int64)
    with torch.inference_mode():
        for row in range(0, len(source), _VALIDATION_BATCH):
            batch = source.batch(np.arange(row, min(row + _VALIDATION_BATCH, len(source))))
            scores = log_odds(network(batch.x.to(device)), labels).cpu().numpy()
            codes, used, sites = encode_scores(scores), batch.weights > 0, batch.sites
            for index in range(classes):
                chosen = used[:, index].numpy()
                is_site = sites[:, index].numpy()
                counts[0, index] += count_codes(codes[:, index][chosen & ~is_site])
                counts[1, index] += count_codes(codes[:, index][chosen & is_site])
    return average_precision(counts[1], counts[0])
