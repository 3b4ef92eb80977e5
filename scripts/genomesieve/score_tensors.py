"""Score codes on the device that computed the scores (see `scores` for what they are)."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGEST = torch.finfo(torch.float16).max


def encode_score_tensor(scores: Tensor) -> Tensor:
    """Round log-odds to float16 and map them monotonically to codes, as `scores.encode_scores`.

    NaN is not looked for, since that would stop a GPU's queue: the caller does it, and what such a
    score becomes means nothing.

    Parameters
    ----------
    scores : torch.Tensor, any shape, dtype=float32

    Returns
    -------
    torch.Tensor, same shape, dtype=int16
        The bits of the uint16 codes; PyTorch calculates little with uint16 itself.
    """
    rounded = scores.clamp(-_LARGEST, _LARGEST).to(torch.float16) + 0.0
    bits = rounded.view(torch.int16)
    return torch.where(bits < 0, ~bits, bits ^ -0x8000)


def code_numbers(bits: Tensor) -> Tensor:
    """Return the codes (int32, 0 to 65,535) whose bits an int16 tensor holds."""
    return bits.to(torch.int32) & 0xFFFF
