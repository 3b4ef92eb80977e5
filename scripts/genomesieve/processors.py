"""How torch uses processors: how many threads, and memory that it keeps for the next layer."""

from __future__ import annotations

import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt (malloc.h of the GNU C library)."""
_KEPT = 1 << 30
_LARGEST = 32 << 20
"""The largest that the library takes (DEFAULT_MMAP_THRESHOLD_MAX)."""


def use_threads(threads: int) -> None:
    """Let torch work in so many threads of this process, in memory that it keeps.

    Parameters
    ----------
    threads : int
    """
    torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let this process keep freed memory, up to 1 GiB, rather than return it and ask again.

    Every layer of a network frees megabytes and the next one asks for as many. The GNU C library
    hands such blocks back to the system, which fills them with zeros, page by page, when they are
    next touched: that can take longer than the layer.

    Returns
    -------
    bool
        Whether the C library could be told; others than GNU's are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))
