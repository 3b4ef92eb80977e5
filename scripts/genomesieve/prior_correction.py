"""Probabilities at natural prevalence after training that changed it on purpose.

Counting bins with a site w times multiplies the odds that a network learns by w, and adding a
multiple of the log prevalence to the outputs in training leaves it out of them. Both are constants
of an output, so that its bias can take them back (Elkan 2001; Saerens et al. 2002; Menon et al.
2021). That is exact only where negatives are drawn uniformly. Sources of windows choose them by
sequence, but the loss weights every bin by 1 / inclusion, which makes them uniform again - but for
weights that `weight_cap` cut, and for what a network cannot represent.

With independent labels each class's scores move by one number and their order stays. With exclusive
labels the classes move against the background, and the log-odds of a class against background and
other classes together do not move by one number: bins in which two classes compete change places
with bins in which a class competes with the background. So validation scores with the correction.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genomesieve.errors import InputError
from genomesieve.losses import Imbalance


def check_correction(imbalance: Imbalance) -> None:
    """Raise InputError unless there is something to correct, and a closed form for it."""
    if imbalance.focal_gamma:
        raise InputError(
            f"training.prior_correction is true and training.focal_gamma {imbalance.focal_gamma}; "
            "expected one of them: what focal loss does to probabilities has no closed form"
        )
    if imbalance.positive_weight == 1 and not imbalance.logit_adjustment:
        raise InputError(
            "training.prior_correction is true and there is nothing to correct; expected "
            "training.positive_weight or training.logit_adjustment with it"
        )


def output_correction(
    imbalance: Imbalance, labels: str, outputs: int, prior: Tensor | None = None
) -> Tensor:
    """Return what to add to the outputs.

    Parameters
    ----------
    imbalance : Imbalance
        Of the loss that they were trained with.
    labels : str
        `exclusive` (the first output is the background) or `independent`.
    outputs : int
    prior : torch.Tensor or None, shape=(outputs, 1)
        That the loss added; needed for logit adjustment.

    Returns
    -------
    torch.Tensor, shape=(outputs, 1), dtype=float32
    """
    check_correction(imbalance)
    correction = torch.zeros(outputs, 1, device=None if prior is None else prior.device)
    first = 1 if labels == "exclusive" else 0
    correction[first:] -= math.log(imbalance.positive_weight)
    if imbalance.logit_adjustment:
        correction += imbalance.logit_adjustment * prior
    return correction


def correct_outputs(network: nn.Module, correction: Tensor) -> None:
    """Add a correction, shape=(outputs, 1), to the biases of a network's head."""
    with torch.no_grad():
        network.head.bias += correction[:, 0].to(network.head.bias)
