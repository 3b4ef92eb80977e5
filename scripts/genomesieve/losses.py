"""The loss of a batch: weighted cross-entropy, and what is done about rare classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from genomesieve.batches import Batch


@dataclass(frozen=True)
class Imbalance:
    """What is done about rare classes, beside weighting every bin by 1 / inclusion.

    All but the first of each change what an output means, and calibration sets it right again.

    Parameters
    ----------
    focal_gamma : float
        Bins that are already right count less, by (1 - p)**gamma (Lin et al. 2017); 0 for none.
    positive_weight : float
        Bins with a site count so many times; 1 for none.
    logit_adjustment : float
        So many times the log prevalence is added to the logits in training and left out afterwards
        (Menon et al. 2021); 0 for none.
    """

    focal_gamma: float = 0.0
    positive_weight: float = 1.0
    logit_adjustment: float = 0.0


def weighted_loss(
    logits: Tensor,
    batch: Batch,
    labels: str,
    imbalance: Imbalance | None = None,
    prior: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of a batch, every bin weighted by 1 / inclusion.

    Weights have mean 1 over all windows, so the sum is divided by the number of bins and not by
    the batch's own weights, which would bias it.

    Parameters
    ----------
    logits : torch.Tensor, shape=(N, outputs, bins)
    batch : Batch
    labels : str
        `exclusive`: one softmax over background and classes; `independent`: a sigmoid a class.
    imbalance : Imbalance or None
    prior : torch.Tensor or None, shape=(outputs, 1)
        From `networks.log_prior`; needed for logit adjustment.

    Returns
    -------
    torch.Tensor, shape=()
    """
    imbalance = imbalance or Imbalance()
    logits = logits.float()
    if imbalance.logit_adjustment:
        logits = logits + imbalance.logit_adjustment * prior
    if labels == "independent":
        positive, weights = batch.sites, batch.weights
        losses = functional.binary_cross_entropy_with_logits(
            logits, positive.float(), reduction="none"
        )
    else:
        positive = batch.sites.any(1)
        target = torch.where(positive, batch.sites.float().argmax(1) + 1, 0)
        # A bin that is ignored for one class can teach nothing about the background.
        weights = torch.where(positive, batch.weights.amax(1), batch.weights.amin(1))
        losses = functional.cross_entropy(logits, target, reduction="none")
    if imbalance.focal_gamma:
        # exp(-loss) is the probability of what is right.
        losses = losses * (-torch.expm1(-losses)).clamp(min=1e-12) ** imbalance.focal_gamma
    if imbalance.positive_weight != 1:
        weights = torch.where(positive, weights * imbalance.positive_weight, weights)
    return (losses * weights).mean()
