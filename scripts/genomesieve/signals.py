"""Encoded signals: one number a base of a genome, mapped from disk, and windows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from genomesieve.errors import InputError
from genomesieve.files import existing_file
from genomesieve.genome import EncodedGenome, gather_windows


def open_signal(path: Path, channel: str, genome: EncodedGenome) -> np.ndarray:
    """Map what `encode_signal` wrote for a genome: shape=(total length,), dtype=float16.

    Raises
    ------
    InputError
        If the file is missing or does not belong to the genome.
    """
    path = existing_file(path, f"signal {channel} of genome {genome.name}")
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"signal {path} cannot be read: {error}") from error
    if values.dtype != np.float16 or values.shape != genome.codes.shape:
        raise InputError(
            f"signal {path} holds {values.shape} {values.dtype}; expected {genome.codes.shape} "
            f"float16, one value a base of genome {genome.name}"
        )
    return values


def with_signals(
    genome: EncodedGenome, paths: Mapping[str, Path], channels: Sequence[str]
) -> EncodedGenome:
    """Return a genome with the channels that a network sees, in its order.

    Parameters
    ----------
    genome : EncodedGenome
    paths : mapping of str to Path
        What `encode_signal` wrote, by channel.
    channels : sequence of str

    Raises
    ------
    InputError
        If a channel is missing, or one is given that the network does not see.
    """
    if set(paths) != set(channels):
        raise InputError(
            f"signals of genome {genome.name} are {', '.join(sorted(paths)) or 'none'}; expected "
            f"{', '.join(channels) or 'none'}, which the network sees (--signal)"
        )
    opened = tuple(open_signal(paths[channel], channel, genome) for channel in channels)
    return replace(genome, signals=opened)


def gather_signals(
    signals: Sequence[np.ndarray],
    offset: np.ndarray,
    length: np.ndarray,
    start: np.ndarray,
    width: int,
) -> np.ndarray:
    """Copy the values of many windows of one width, 0 beyond the ends of their contigs.

    Parameters
    ----------
    signals : sequence of numpy.ndarray, shape=(total length,)
        One value a base, all contigs one after another, usually mapped from disk.
    offset, length, start : numpy.ndarray, shape=(N,), dtype=int64
    width : int
        As for `genome.gather_windows`.

    Returns
    -------
    numpy.ndarray, shape=(N, signals, width), dtype=float32
    """
    result = np.empty((len(start), len(signals), width), dtype=np.float32)
    for channel, values in enumerate(signals):
        result[:, channel] = gather_windows(values, offset, length, start, width, 0)
    return result
