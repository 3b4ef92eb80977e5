"""Training: weighted loss, schedule, validation at natural prevalence, early stopping.

Length and schedule count steps, never minutes, and batch i is a function of the seed and i alone,
so that a killed run that is started again ends where the unbroken one would have.
"""

from __future__ import annotations

import copy
import logging
import math
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genomesieve.auxiliary import Auxiliary
from genomesieve.batches import Batch, WindowSource
from genomesieve.distributed import ALONE, Workers, without_exchange
from genomesieve.domain_norm import use_laboratories
from genomesieve.errors import InputError
from genomesieve.files import whole_file
from genomesieve.freezing import freeze, training_mode
from genomesieve.layer_rates import LayerRates
from genomesieve.losses import weighted_loss
from genomesieve.memory_limits import more_parts
from genomesieve.mixing import mixed_rows
from genomesieve.networks import log_prior
from genomesieve.norms import has_batch_statistics
from genomesieve.pretraining_settings import TransferSettings
from genomesieve.prior_correction import correct_outputs, output_correction
from genomesieve.progress import Progress
from genomesieve.training_settings import TrainingSettings
from genomesieve.validation import validation_average_precision

logger = logging.getLogger(__name__)


@dataclass
class _Progress:
    """Everything that a checkpoint must keep beside weights and optimiser."""

    step: int
    best: float
    stale: int
    seconds: float
    rows: list[dict]
    best_weights: dict[str, Tensor]
    losses: list[list[float]]
    """Of the classes, of each auxiliary task and the penalty, in each step since a validation."""
    parts: int
    """In which a batch is computed."""


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
    prevalence : numpy.ndarray or None, shape=(classes,)
        Share of training bins that hold a site; logit adjustment needs it.
    checkpoint : Path or None
        Folder for the state of an unfinished run; removed on success.
    fingerprint : str
        Digest of configuration, data and code; a checkpoint with another one is ignored.
    auxiliary : Auxiliary or None
        What is learned beside the classes.
    workers : Workers
        The processes that train together, each with a Trainer of its own.
    penalty : callable or None
        Of the network: what is added to its loss in every step, shape=().
    transfer : TransferSettings or None
        How stem and trunk learn that are pretrained.

    Raises
    ------
    InputError
        If there is nothing to freeze where asked for, or the processes cannot share the batch.
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
        prevalence: np.ndarray | None = None,
        checkpoint: Path | None = None,
        fingerprint: str = "",
        auxiliary: Auxiliary | None = None,
        workers: Workers = ALONE,
        penalty: Callable[[nn.Module], Tensor] | None = None,
        transfer: TransferSettings | None = None,
    ):
        self.network = network.to(device)
        self.auxiliary, self.penalty = auxiliary, penalty
        if auxiliary is not None:
            auxiliary.attach(self.network)
        self.network = workers.share_statistics(self.network, device)
        self.train, self.valid = train, valid
        self._groups = train.laboratory_rows
        self.classes, self.labels = classes, labels
        self.settings, self.seed, self.device = settings, seed, device
        self.checkpoint, self.fingerprint = checkpoint, fingerprint
        self.workers, self._batch_size = workers, min(settings.batch, len(train))
        if self._batch_size < workers.size:
            raise InputError(
                f"training.batch is {self._batch_size} windows for {workers.size} processes; "
                "expected one each or more"
            )
        self._held = freeze(self.network, settings.freeze, settings.freeze_norms)
        training_mode(self.network, self._held)
        self._batch_statistics = has_batch_statistics(self.network)
        self._parallel = workers.parallel(self.network, device)
        self._rates = LayerRates(self.network, transfer)
        self.optimizer = torch.optim.AdamW(
            self._rates.parameter_groups(settings.learning_rate),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.averaged = None
        if settings.average:
            decay = get_ema_multi_avg_fn(settings.average)
            self.averaged = AveragedModel(self.network, multi_avg_fn=decay, use_buffers=True)
        self._prior = None
        if prevalence is not None:
            self._prior = log_prior(prevalence, labels).float().to(device)[:, None]
        self._correction = None
        if settings.prior_correction:
            outputs = len(classes) + (labels == "exclusive")
            correction = output_correction(settings.imbalance, labels, outputs, self._prior)
            self._correction = correction.to(device)
        self.state = _Progress(0, -math.inf, 0, 0.0, [], {}, [], settings.accumulate)
        # The host makes the next batch while a GPU computes.
        self.makes_ahead = device.type == "cuda"
        self._ahead: tuple[int, Batch] | None = None
        self._since = 0.0
        every = max(1, settings.steps // settings.validations)
        self._validate_at = set(range(every, settings.steps, every)) | {settings.steps}

    def fit(self) -> pd.DataFrame:
        """Train to the end or until validation stops improving; keep the best weights.

        Returns
        -------
        pandas.DataFrame
            One row a validation: step, loss (of the classes, mean since the last), learning_rate,
            validation_average_precision (mean and one a class), bases_per_second, seconds,
            auxiliary_loss of each task (unweighted, mean since the last), and penalty (likewise).

        Raises
        ------
        InputError
            If the loss is not a number, or memory ends where a smaller part of a batch does not
            help.
        """
        self._resume()
        state, self._since = self.state, time.monotonic()
        bar = Progress(
            self.settings.steps, "step", "training", done=state.step, silent=not self.workers.first
        )
        while state.step < self.settings.steps and state.stale < self.settings.patience:
            state.losses.append(self._step())
            bar.update()
            if state.step % 10 == 0:
                loss = np.mean([losses[0] for losses in state.losses[-50:]])
                bar.note(loss=f"{loss:.4f}", **self._shown())
            if state.step in self._validate_at:
                self._count_seconds()
                self._validate()
                self._since = time.monotonic()
                self._save()
            elif time.monotonic() - self._since > 60 * self.settings.checkpoint_minutes:
                self._count_seconds()
                self._save()
        bar.close()
        self.network.load_state_dict(state.best_weights)
        if self.auxiliary is not None:
            self.auxiliary.detach(self.network)
        if self._correction is not None:
            correct_outputs(self.network, self._correction)
        if self.checkpoint is not None and self.workers.first:
            shutil.rmtree(self.checkpoint, ignore_errors=True)
        return pd.DataFrame(state.rows)

    def undo_correction(self) -> None:
        """Begin a training that corrects its outputs with a network whose outputs are corrected."""
        if self._correction is not None:
            correct_outputs(self.network, -self._correction)

    def _shown(self) -> dict[str, str]:
        """Return what the progress bar shows beside the loss."""
        known = math.isfinite(self.state.best)
        return {"AP": f"{self.state.best:.3f}"} if known else {}

    def _count_seconds(self) -> None:
        """Add the time since the last call to the time spent in training."""
        now = time.monotonic()
        self.state.seconds += now - self._since
        self._since = now

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step as a share of its peak."""
        warm = max(1, round(self.settings.warmup * self.settings.steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.settings.steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _rows(self, step: int) -> np.ndarray:
        """Return the windows of a step: epoch after epoch, each in an order of its own.

        Of several laboratories, each gives equally many.
        """
        total, size = len(self.train), self._batch_size
        if len(self._groups) > 1:
            return mixed_rows(self._groups, self.seed, step, size)
        epoch, place = divmod(step, total // size)
        order = np.random.default_rng([self.seed, epoch]).permutation(total)
        return np.sort(order[place * size : (place + 1) * size])

    def _batch(self, step: int) -> Batch:
        """Return this process's share of a step's batch; it may have been made ahead."""
        if self._ahead is not None and self._ahead[0] == step:
            return self._ahead[1]
        return self.train.batch(self.workers.share(self._rows(step))).to(self.device)

    def _step(self) -> list[float]:
        """Run one optimiser step; return its losses: classes, auxiliary tasks, penalty."""
        step = self.state.step
        training_mode(self.network, [*self._held, *self._rates.held(step)])
        batch = self._batch(step)
        losses = self._gradient_that_fits(batch)
        self._rates.drop_gradients(step)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        # Reading the loss waits for the GPU; the next batch is ready then.
        if self.makes_ahead and step + 1 < self.settings.steps:
            self._ahead = step + 1, self._batch(step + 1)
        values = losses.tolist()
        if not all(map(math.isfinite, [*values, float(norm)])):
            raise InputError(
                f"training diverged: loss {values[0]}, gradient norm {float(norm)} at step {step}; "
                f"lower training.learning_rate (now {self.settings.learning_rate})"
            )
        self.optimizer.step()
        self.schedule.step()
        if self.averaged is not None:
            self._average()
        self.state.step += 1
        return values

    def _average(self) -> None:
        """Let the average of the weights follow them."""
        self.averaged.update_parameters(self.network)
        # An average of whole numbers is cut off, and counters would fall behind.
        for kept, buffer in zip(self.averaged.module.buffers(), self.network.buffers()):
            if not buffer.is_floating_point():
                kept.copy_(buffer)

    def _gradient_that_fits(self, batch: Batch) -> Tensor:
        """Compute the gradient, in smaller parts where memory ends; return the loss."""
        # Processes draw different dropout for their windows; a second attempt draws the first's.
        seed = (hash((self.seed, self.state.step)) + self.workers.rank) & 0x7FFFFFFF
        while True:
            torch.manual_seed(seed)
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return self._gradient(batch)
            except torch.OutOfMemoryError as error:
                reason = str(error)
            # Outside of the handler, whose traceback holds on to the failed attempt's tensors.
            self.state.parts = more_parts(
                self._parts, len(batch.x), reason, self._batch_statistics, self.workers.size
            )
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    @property
    def _parts(self) -> int:
        """In how many parts a batch is computed: as many in every process, none of them empty."""
        return min(self.state.parts, self._batch_size // self.workers.size)

    def _gradient(self, batch: Batch) -> Tensor:
        """Add up a batch's gradient, part after part, and return its losses as `_step` does."""
        total: Tensor | float = 0.0
        parts = torch.arange(len(batch.x)).tensor_split(self._parts)
        for number, rows in enumerate(parts, start=1):
            part = batch.rows(slice(int(rows[0]), int(rows[-1]) + 1))
            share = len(rows) / self._batch_size
            last = number == len(parts)
            with nullcontext() if last else without_exchange(self._parallel):
                use_laboratories(self.network, part.laboratories)
                with torch.autocast(
                    self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
                ):
                    outputs = self._parallel(part.x)
                loss, every = self._losses(outputs, part)
                # The processes' gradients are averaged, and their sum is what is wanted.
                loss = loss * share * self.workers.size
                held = None if self.penalty is None or not last else self.penalty(self.network)
                (loss if held is None else loss + held).backward()
            total = total + every.detach() * share
        if self.penalty is not None:
            total = torch.cat([total, held.detach()[None] / self.workers.size])
        return self.workers.sum(total)

    def _losses(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what is made small, and its parts: the classes' loss, then each auxiliary one."""
        logits, guesses = outputs, None
        if self.auxiliary is not None:
            logits, guesses = self.auxiliary.split(outputs)
        loss = weighted_loss(logits, batch, self.labels, self.settings.imbalance, self._prior)
        if guesses is None:
            return loss, loss[None]
        others = self.auxiliary.losses(guesses, batch)
        return loss + self.auxiliary.add_up(others), torch.cat([loss[None], others])

    @property
    def _further_columns(self) -> list[str]:
        """Columns of the history for what is made small beside the loss of the classes."""
        names = [] if self.auxiliary is None else self.auxiliary.names
        columns = [f"auxiliary_loss.{name}" for name in names]
        return columns if self.penalty is None else [*columns, "penalty"]

    @property
    def _kept(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.averaged is None else self.averaged.module

    def _validate(self) -> None:
        """Measure average precision on the validation part; keep the weights if it is the best."""
        state = self.state
        losses, state.losses = state.losses, []
        means = np.mean(losses, axis=0).tolist()
        precisions = validation_average_precision(
            self._kept,
            self.valid,
            len(self.classes),
            self.labels,
            self.device,
            self.workers,
            self._correction,
        )
        mean = float(np.nanmean(precisions))
        done = len(losses) * self._batch_size * self.train.length
        before = state.rows[-1]["seconds"] if state.rows else 0.0
        row = {
            "step": state.step,
            "loss": means[0],
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "validation_average_precision": mean,
            **{
                f"validation_average_precision.{name}": value
                for name, value in zip(self.classes, precisions.tolist())
            },
            "bases_per_second": done / max(state.seconds - before, 1e-9),
            "seconds": state.seconds,
            **dict(zip(self._further_columns, means[1:])),
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
            state.best_weights = copy.deepcopy(self._kept.state_dict())

    def _save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.checkpoint is None or not self.workers.first:
            return
        content = {
            "fingerprint": self.fingerprint,
            "network": self.network.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": vars(self.state),
        }
        with whole_file(self.checkpoint / "state.pt") as temporary:
            torch.save(content, temporary)

    def _resume(self) -> None:
        """Take up a checkpoint of the same run, if there is one, in all processes."""
        self._load()
        first = int(self.workers.from_first(torch.tensor(self.state.step, device=self.device)))
        if first != self.state.step:
            raise InputError(
                f"process {self.workers.rank} finds step {self.state.step} in checkpoint "
                f"{self.checkpoint} and the first process step {first}; expected one folder that "
                "all can read"
            )

    def _load(self) -> None:
        """Load the checkpoint if it belongs to this run."""
        path = None if self.checkpoint is None else self.checkpoint / "state.pt"
        if path is None or not path.is_file():
            return
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            found = content["fingerprint"]
        except Exception as error:
            first = str(error).split("\n")[0]
            logger.warning("checkpoint %s cannot be read (%s): starting anew", path, first)
            return
        if found != self.fingerprint:
            logger.warning("checkpoint %s belongs to another run: starting anew", path)
            return
        self.network.load_state_dict(content["network"])
        if self.averaged is not None:
            self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.state = _Progress(**content["progress"])
        logger.info("resuming from step %d of %d", self.state.step, self.settings.steps)
