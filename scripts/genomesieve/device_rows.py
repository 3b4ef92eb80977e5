"""Rows put together from sequence on a device, and the scores of their bins taken out again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genomesieve.chunks import Chunks, kept_ranges
from genomesieve.device_queue import to_device

_FEW = 64
"""Up to so many pieces a batch are copied one by one; more go through an index."""


def device_ranges(first: Tensor, counts: Tensor, total: int) -> Tensor:
    """Join the integers of the ranges [first, first + count) on a device without waiting for it.

    Parameters
    ----------
    first, counts : torch.Tensor, shape=(N,), int64
    total : int
        Sum of the counts.

    Returns
    -------
    torch.Tensor, shape=(total,), int64
    """
    shift = first - (counts.cumsum(0) - counts)
    spread = torch.repeat_interleave(shift, counts, output_size=total)
    return torch.arange(total, device=first.device) + spread


def fill_rows(
    rows: Tensor,
    source: Tensor,
    place: np.ndarray,
    count: np.ndarray,
    target: np.ndarray,
    unknown: int,
) -> None:
    """Write pieces of sequence into rows of unknown bases, on their device.

    Parameters
    ----------
    rows : torch.Tensor, shape=(N, L), uint8
        Contiguous; written over.
    source : torch.Tensor, shape=(bases,), uint8
    place, count, target : numpy.ndarray, shape=(pieces,), dtype=int64
        First base of each piece in `source`, its bases, and where they go, counted through all
        rows.
    unknown : int
        Code of an unknown base.
    """
    flat = rows.view(-1)
    flat.fill_(unknown)
    if len(place) <= _FEW:
        for first, size, to in zip(place.tolist(), count.tolist(), target.tolist()):
            flat[to : to + size].copy_(source[first : first + size])
        return
    total = int(count.sum())
    first, size, to = to_device(np.stack([place, count, target]), rows.device)
    flat[device_ranges(to, size, total)] = source[device_ranges(first, size, total)]


def kept_scores(scores: Tensor, chunks: Chunks, rows: range, resolution: int) -> Tensor:
    """Take the scores of the bins that belong to the layout; they follow each other there.

    Parameters
    ----------
    scores : torch.Tensor, shape=(N, strands, classes, bins), any dtype
        Of a batch that holds the rows, in their order, and perhaps more.
    chunks : Chunks
    rows : range
        Numbers of the rows.
    resolution : int
        Bases a bin.

    Returns
    -------
    torch.Tensor, shape=(strands, classes, kept), same dtype
        Always a copy.
    """
    first, count = kept_ranges(chunks, rows, resolution)
    row = np.repeat(np.arange(len(rows)), np.diff(chunks.first_piece[rows.start : rows.stop + 1]))
    if len(first) <= _FEW:
        pieces = zip(row.tolist(), first.tolist(), count.tolist())
        return torch.cat([scores[at, ..., begin : begin + size] for at, begin, size in pieces], -1)
    flat = scores.permute(1, 2, 0, 3).reshape(*scores.shape[1:3], -1)
    table = to_device(np.stack([first + row * scores.shape[-1], count]), scores.device)
    return flat.index_select(-1, device_ranges(*table, int(count.sum())))
