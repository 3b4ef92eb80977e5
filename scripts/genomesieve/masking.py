"""Which bases of a window are hidden: single ones, and spans of neighbours.

A hidden base is an unknown one: an all-zero column, as the model contract has it. So a network
cannot see it, and neither can anything that reads the same codes.
"""

from __future__ import annotations

import numpy as np

from genomesieve.pretraining_settings import MaskSettings

SEEN, SINGLE, SPAN = 0, 1, 2
"""What a mask says of a base."""
KINDS = {"single": SINGLE, "span": SPAN}


def draw_mask(generator: np.random.Generator, length: int, settings: MaskSettings) -> np.ndarray:
    """Choose the bases of one window that are hidden.

    Spans start anywhere, also before the window, so that bases at its edges are hidden as often as
    others; single bases are drawn one by one. Where both hide a base, it belongs to the span.

    Parameters
    ----------
    generator : numpy.random.Generator
    length : int
    settings : MaskSettings

    Returns
    -------
    numpy.ndarray, shape=(length,), dtype=uint8
        SEEN, SINGLE or SPAN.
    """
    in_span = settings.share * settings.span_share
    mask = np.zeros(length, dtype=np.uint8)
    mask[generator.random(length) < _single_rate(settings.share, in_span)] = SINGLE
    if in_span:
        # A base is in a span if any of the `span` starts up to it was drawn.
        rate = 1 - (1 - in_span) ** (1 / settings.span)
        starts = generator.random(length + settings.span - 1) < rate
        covered = np.cumsum(np.concatenate([[0], starts]))
        mask[covered[settings.span :] > covered[: -settings.span]] = SPAN
    return mask


def _single_rate(share: float, in_span: float) -> float:
    """Return how often a base outside of spans is hidden, so that `share` of all bases is."""
    return (share - in_span) / (1 - in_span)


def hide(codes: np.ndarray, mask: np.ndarray, flank: int, unknown: int) -> np.ndarray:
    """Return codes (..., flank + length + flank) with the masked bases of the core unknown."""
    hidden = codes.copy()
    core = hidden[..., flank : flank + mask.shape[-1]]
    core[mask != SEEN] = unknown
    return hidden
