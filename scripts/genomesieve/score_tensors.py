"""Score codes on the device that computed the scores (see `scores` for what they are)."""

from __future__ import annotations

import torch
from torch import Tensor

from genomesieve.errors import InputError

_LARGEST = torch.finfo(torch.float16).max


def encode_score_tensor(scores: Tensor) -> Tensor:
    """Round log-odds to float16 and map them monotonically to codes, as `scores.encode_scores`.

    Parameters
    ----------
    scores : torch.Tensor, any shape, dtype=float32

    Returns
    -------
    torch.Tensor, same shape, dtype=int16
        The bits of the uint16 codes; PyTorch calculates little with uint16 itself.

    Raises
    ------
    InputError
        If a score is NaN.
    """
    if torch.isnan(scores).any():
        raise InputError(
            f"{int(torch.isnan(scores).sum())} of {scores.numel()} scores are NaN; expected "
            "numbers (are the weights damaged, or too large for this precision?)"
        )
    return score_bits(scores)


def score_bits(scores: Tensor) -> Tensor:
    """Do what `encode_score_tensor` does without looking for NaN, which would stop a GPU's queue.

    The caller looks for NaN itself; what such a score becomes means nothing.
    """
    rounded = scores.clamp(-_LARGEST, _LARGEST).to(torch.float16) + 0.0
    bits = rounded.view(torch.int16)
    return torch.where(bits < 0, ~bits, bits ^ -0x8000)


def code_numbers(bits: Tensor) -> Tensor:
    """Return the codes (int32, 0 to 65,535) whose bits an int16 tensor holds."""
    return bits.to(torch.int32) & 0xFFFF
