"""Sequences of many windows at once: gathered by index, turned to their strand, one-hot.

On the host a genome stays mapped from disk: a batch is one gather of whole windows and one table
lookup, and needs no worker processes. On a device the codes are resident and the same three steps
run there, so that only window positions travel.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from genomesieve.alphabet import Alphabet

_COPY_BLOCK = 1 << 26


def strand_one_hot(codes: np.ndarray, minus: np.ndarray, alphabet: Alphabet) -> Tensor:
    """Turn plus-strand codes into one-hot sequence of each row's own strand.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(N, L), dtype=uint8
        C-contiguous.
    minus : numpy.ndarray, shape=(N,), dtype=bool
        Rows to be read as reverse complements.
    alphabet : Alphabet

    Returns
    -------
    torch.Tensor, shape=(N, letters, L), float32
        A view of an (N, L, letters) tensor, channels-last; unknown bases are zero columns.
    """
    # Two bases a lookup halve the work; complements are a second half of the same table.
    step = 1 if codes.shape[1] % 2 else 2
    table, of_minus = _strand_table(alphabet, step)
    keys = codes.view(np.uint16 if step == 2 else np.uint8)
    if minus.any():
        keys = keys.copy()
        keys[minus] = keys[minus][:, ::-1] + of_minus
    # Keys are in range by construction; any mode but "raise" spares numpy a buffered copy.
    result = np.take(table, keys, axis=0, mode="clip")
    return torch.from_numpy(result.reshape(*codes.shape, alphabet.size)).transpose(1, 2)


@cache
def _strand_table(alphabet: Alphabet, step: int) -> tuple[np.ndarray, np.unsignedinteger]:
    """Tabulate the one-hot letters of `step` neighbouring codes, on either strand.

    Parameters
    ----------
    alphabet : Alphabet
    step : int
        Codes a key, 1 or 2; a key is their bytes read as one integer.

    Returns
    -------
    table : numpy.ndarray, shape=(keys, step * letters), dtype=float32
    of_minus : numpy.unsignedinteger
        What is added to a key for the reverse complement of its codes.
    """
    letters = np.eye(alphabet.size + 1, alphabet.size, dtype=np.float32)
    codes = np.array(list(product(range(alphabet.size + 1), repeat=step)), dtype=np.uint8)
    keys = codes.view(np.uint16 if step == 2 else np.uint8)[:, 0]
    of_minus = keys.max() + keys.dtype.type(1)
    table = np.zeros((2 * int(of_minus), step * alphabet.size), dtype=np.float32)
    table[keys] = letters[codes].reshape(len(codes), -1)
    table[keys + of_minus] = letters[alphabet.reverse_complement(codes)].reshape(len(codes), -1)
    return table, of_minus


def resident_codes(codes: np.ndarray, device: torch.device) -> Tensor:
    """Copy a mapped genome (total length,) to a device, block by block."""
    result = torch.empty(len(codes), dtype=torch.uint8, device=device)
    for begin in range(0, len(codes), _COPY_BLOCK):
        block = np.array(codes[begin : begin + _COPY_BLOCK])
        result[begin : begin + len(block)] = torch.from_numpy(block)
    return result


def gather_resident(
    codes: Tensor, offset: Tensor, length: Tensor, start: Tensor, width: int, unknown: int
) -> Tensor:
    """Gather windows where the codes are resident; what `gather_windows` does on the host.

    Parameters
    ----------
    codes : torch.Tensor, shape=(total length,), uint8
    offset, length, start : torch.Tensor, shape=(N,), int64
        As for `gather_windows`, on the device of `codes`.
    width, unknown : int

    Returns
    -------
    torch.Tensor, shape=(N, width), uint8
    """
    place = start[:, None] + torch.arange(width, device=codes.device)
    inside = (place >= 0) & (place < length[:, None])
    found = codes[torch.where(inside, offset[:, None] + place, 0)]
    return found.masked_fill_(~inside, unknown)


def reverse_complement_rows(codes: Tensor, minus: Tensor, alphabet: Alphabet) -> Tensor:
    """Return codes (N, L) with the rows of a mask (N,) as reverse complements, on any device."""
    complements = _complements(alphabet, codes.device)
    return torch.where(minus[:, None], complements[codes.long()].flip(1), codes)


@cache
def _complements(alphabet: Alphabet, device: torch.device) -> Tensor:
    """Return the complement of every code on a device; copied there once."""
    return torch.from_numpy(alphabet.complement_codes).to(device)


def one_hot(codes: Tensor, alphabet: Alphabet, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn codes (N, L) into one-hot (N, letters, L), unknown bases all zero.

    The result is a view of an (N, L, letters) tensor: channels-last, as the networks like it.
    """
    if codes.device.type == "cpu":
        # One thread with a two-base table beats indexing by several threads.
        host = np.ascontiguousarray(codes.to(torch.uint8).numpy())
        return strand_one_hot(host, np.zeros(len(host), dtype=bool), alphabet).to(dtype)
    # Comparing reads one byte a base; a table would need its number as eight.
    letters = torch.arange(alphabet.size, dtype=torch.uint8, device=codes.device)
    return (codes.to(torch.uint8)[..., None] == letters).to(dtype).transpose(1, 2)


def with_channels(x: Tensor, signals: Tensor | None) -> Tensor:
    """Put signals (N, channels, L) after the letters of one-hot (N, letters, L), channels-last."""
    if signals is None:
        return x
    both = torch.cat([x.transpose(1, 2), signals.to(x.dtype).transpose(1, 2)], dim=2)
    return both.transpose(1, 2)
