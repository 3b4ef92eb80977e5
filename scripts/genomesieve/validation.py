"""Average precision on windows at natural prevalence, which training stops and chooses by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from genomesieve.batches import Batch, WindowSource
from genomesieve.distributed import ALONE, Workers
from genomesieve.domain_norm import use_laboratories
from genomesieve.metrics import average_precision
from genomesieve.networks import log_odds
from genomesieve.scores import CODES, count_codes, encode_scores

_BATCH = 8


def count_by_label(scores: Tensor, batch: Batch) -> np.ndarray:
    """Count the score codes of a batch's bins, those without a site first, then those with one.

    Parameters
    ----------
    scores : torch.Tensor, shape=(N, classes, bins)
        Log-odds.
    batch : Batch
        Bins of weight 0 are left out.

    Returns
    -------
    numpy.ndarray, shape=(2, classes, codes), dtype=int64
    """
    codes = encode_scores(scores.cpu().numpy())
    used, sites = (batch.weights > 0).cpu().numpy(), batch.sites.cpu().numpy()
    counts = np.zeros((2, codes.shape[1], CODES), dtype=np.int64)
    for index in range(codes.shape[1]):
        for kind, chosen in enumerate((~sites[:, index], sites[:, index])):
            counts[kind, index] = count_codes(codes[:, index][used[:, index] & chosen])
    return counts


def validation_average_precision(
    network: nn.Module,
    source: WindowSource,
    classes: int,
    labels: str,
    device: torch.device,
    workers: Workers = ALONE,
    correction: Tensor | None = None,
) -> np.ndarray:
    """Measure average precision per class on windows at natural prevalence.

    Parameters
    ----------
    network : torch.nn.Module
    source : WindowSource
    classes : int
    labels : str
        `exclusive` or `independent`.
    device : torch.device
    workers : Workers
        Processes that score some of the windows each; counts of codes add up exactly.
    correction : torch.Tensor or None, shape=(outputs, 1)
        What is added to the outputs.

    Returns
    -------
    numpy.ndarray, shape=(classes,)
        NaN for a class without a site there.
    """
    network.eval()
    counts = np.zeros((2, classes, CODES), dtype=np.int64)
    with torch.inference_mode():
        for row in range(workers.rank * _BATCH, len(source), workers.size * _BATCH):
            batch = source.batch(np.arange(row, min(row + _BATCH, len(source))))
            use_laboratories(network, batch.laboratories)
            logits = network(batch.x.to(device))
            if correction is not None:
                logits = logits + correction
            counts += count_by_label(log_odds(logits, labels), batch)
    counts = workers.sum(torch.from_numpy(counts).to(device)).cpu().numpy()
    precisions = torch.from_numpy(average_precision(counts[1], counts[0])).to(device)
    # What all processes decide by when they stop and what they keep.
    return workers.from_first(precisions).cpu().numpy()
