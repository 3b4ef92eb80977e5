"""What training does when a device's memory ends in the middle of a step."""

from __future__ import annotations

import logging

from genomesieve.errors import InputError

logger = logging.getLogger(__name__)

ADVICE = "lower training.batch, sampling.length or model.channels, or use a larger device"
"""For memory that ends where no smaller part of a batch would help."""


def more_parts(
    parts: int, windows: int, reason: str, batch_statistics: bool = False, processes: int = 1
) -> int:
    """Return in how many parts to compute a batch after it did not fit: twice as many.

    Parameters
    ----------
    parts : int
        In how many it was computed.
    windows : int
        Of the batch.
    reason : str
        What the device said.
    batch_statistics : bool
        Whether a norm takes statistics of the parts, which would then be others.
    processes : int
        That train together: one that fails leaves the others waiting in the middle of an exchange,
        so that they cannot agree on smaller parts.

    Returns
    -------
    int
        At most one part a window.

    Raises
    ------
    InputError
        With advice, if smaller parts would not be the same training or are not to be had.
    """
    size = -(-windows // parts)
    problem = f"out of memory with {size} windows at a time ({reason.split('. ')[0]})"
    if parts >= windows:
        raise InputError(
            f"{problem}; lower sampling.length or model.channels, or use a larger device"
        )
    if batch_statistics:
        raise InputError(
            f"{problem}; smaller parts would change the statistics of model.norm batch: lower "
            "training.batch, raise training.accumulate, or use norm group or layer"
        )
    if processes > 1:
        raise InputError(
            f"{problem} in one of {processes} processes; lower training.batch or raise "
            f"training.accumulate (now {parts})"
        )
    more = min(2 * parts, windows)
    logger.warning("%s: going on with parts of %d", problem, -(-windows // more))
    return more
