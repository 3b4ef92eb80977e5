"""Pretraining: a network that predicts hidden bases, and how it is trained.

Its stem and trunk are those of a screen's network, under the same names, so that weights carry
over. Its head gives logits for every base: where pools make a position of the features cover
`stride` bases, the head has `stride` times four outputs there, in the order of the bases.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genomesieve.alphabet import DNA, Alphabet
from genomesieve.architecture import Architecture
from genomesieve.convolutions import HeadConvolution
from genomesieve.networks import SequenceNetwork
from genomesieve.perplexity import network_losses
from genomesieve.pretraining_settings import PretrainingSettings
from genomesieve.symmetry import require_pairs, tie_convolution
from genomesieve.training import Trainer
from genomesieve.training_settings import TrainingSettings
from genomesieve.unlabelled import HeldOutWindows, MaskedBatch, MaskedWindows

logger = logging.getLogger(__name__)


class BaseNetwork(SequenceNetwork):
    """A stem and a trunk with a head over the letters of every base.

    Parameters
    ----------
    architecture : Architecture
        From `resolve_pretraining`.
    tied : bool
        Whether reverse-complement symmetry holds by construction: the logits of rc(x) are those of
        x, flipped and with complementary letters.
    alphabet : Alphabet
    """

    def __init__(self, architecture: Architecture, tied: bool, alphabet: Alphabet = DNA):
        settings = architecture.settings
        if tied:
            require_pairs("channels", settings.channels)
            if settings.trunk == "attention":
                require_pairs("heads", settings.heads)
        outputs = alphabet.size * settings.feature_stride
        super().__init__(settings, outputs, tied, alphabet)
        self.letters, self.context = alphabet.size, architecture.context
        if tied:
            # Bases of the other strand are complements in reversed order, as features are.
            self.head = tie_convolution(HeadConvolution(self.trunk.channels, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, letters, L - 2 * context)."""
        logits = super().forward(x).unflatten(1, (-1, self.letters))
        return logits.permute(0, 2, 3, 1).flatten(2)


def build_base_network(architecture: Architecture, reverse_complement: str) -> BaseNetwork:
    """Build a network that predicts bases, with fresh weights.

    Parameters
    ----------
    architecture : Architecture
        From `resolve_pretraining`.
    reverse_complement : str
        `augment` or `equivariant`.
    """
    network = BaseNetwork(architecture, reverse_complement == "equivariant")
    return network.to(memory_format=torch.channels_last)


class Pretrainer(Trainer):
    """Fit a network to hidden bases; a checkpoint and a diverged loss are those of any training.

    The last weights are kept: nothing is chosen by the held-out bases, whose perplexity is only
    followed.

    Parameters
    ----------
    network : BaseNetwork
        Trained in place.
    train : MaskedWindows
    held_out : HeldOutWindows
    settings : PretrainingSettings
    seed : int
    device : torch.device
    checkpoint : Path or None
    fingerprint : str
        As for `Trainer`.
    """

    def __init__(
        self,
        network: BaseNetwork,
        train: MaskedWindows,
        held_out: HeldOutWindows,
        settings: PretrainingSettings,
        seed: int,
        device: torch.device,
        checkpoint: Path | None = None,
        fingerprint: str = "",
    ):
        names = ("steps", "batch", "learning_rate", "warmup", "weight_decay", "clip")
        names += ("validations", "accumulate", "average", "checkpoint_minutes")
        same = TrainingSettings(**{name: getattr(settings, name) for name in names})
        super().__init__(
            *(network, train, held_out, [], "exclusive", same, seed, device),
            checkpoint=checkpoint,
            fingerprint=fingerprint,
        )

    def _shown(self) -> dict[str, str]:
        """Return what the progress bar shows beside the loss: nothing."""
        return {}

    def _rows(self, step: int) -> np.ndarray:
        """Return the numbers of the windows of a step; each is seen once."""
        return np.arange(step * self._batch_size, (step + 1) * self._batch_size)

    def _losses(self, outputs: Tensor, batch: MaskedBatch) -> tuple[Tensor, Tensor]:
        """Return the mean negative log-likelihood of hidden bases, twice."""
        each = functional.cross_entropy(outputs.float(), batch.bases, reduction="none")
        loss = (each * batch.weights).sum() / batch.weights.sum().clamp(min=1e-6)
        return loss, loss.detach()[None]

    def _validate(self) -> None:
        """Measure the held-out perplexity; keep the weights."""
        state = self.state
        losses, state.losses = state.losses, []
        held_out = float(network_losses(self._kept, self.valid, self.device).mean())
        done = len(losses) * self._batch_size * self.train.length
        before = state.rows[-1]["seconds"] if state.rows else 0.0
        row = {
            "step": state.step,
            "loss": float(np.mean(losses)),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "held_out_loss": held_out,
            "held_out_perplexity": float(np.exp(held_out)),
            "bases_per_second": done / max(state.seconds - before, 1e-9),
            "seconds": state.seconds,
        }
        state.rows.append(row)
        logger.info(
            "step %d of %d: loss %.5f nats a hidden base, held-out perplexity %.4f, %.0f bases/s",
            *(state.step, self.settings.steps, row["loss"], row["held_out_perplexity"]),
            row["bases_per_second"],
        )
        state.best_weights = copy.deepcopy(self._kept.state_dict())


def shared_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return weights and buffers of a network's stem and trunk, by name."""
    bare = getattr(network, "network", network)
    return {
        name: value
        for name, value in bare.state_dict().items()
        if name.split(".")[0] in ("stem", "trunk")
    }
