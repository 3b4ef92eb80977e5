"""Whether scores hold in reduced precision, measured before anything is calibrated on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from genomesieve.bundle import Bundle
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner
from genomesieve.scores import UNSCORED, decode_scores

MEDIAN_LIMIT, LARGEST_LIMIT = 0.05, 0.5
"""Differences of log-odds from float32 within which bfloat16 is used."""


@dataclass(frozen=True)
class PrecisionCheck:
    """How far scores in bfloat16 are from those in float32.

    Parameters
    ----------
    scores : int
        Scores that were compared.
    median, largest : float
        Of the absolute differences of log-odds.
    """

    scores: int
    median: float
    largest: float

    @property
    def holds(self) -> bool:
        """Whether both are within their limits."""
        return self.median <= MEDIAN_LIMIT and self.largest <= LARGEST_LIMIT

    def to_dict(self) -> dict:
        """Return plain values, as they stand in model.json."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"bfloat16 against float32 on {self.scores} scores: median difference "
            f"{self.median:.3g} (limit {MEDIAN_LIMIT}), largest {self.largest:.3g} "
            f"(limit {LARGEST_LIMIT})"
        )


def compare_precisions(
    bundle: Bundle,
    plan: ScanPlan,
    device: torch.device,
    codes: np.ndarray,
    signals: np.ndarray | None = None,
) -> PrecisionCheck:
    """Score the same sequence in bfloat16 and in float32.

    Parameters
    ----------
    bundle : Bundle
    plan : ScanPlan
    device : torch.device
    codes : numpy.ndarray, shape=(N, L), dtype=uint8
        Real sequence; L is whole strides and the context on both sides.
    signals : numpy.ndarray or None, shape=(N, signals, L), dtype=float32

    Returns
    -------
    PrecisionCheck
    """
    found = {}
    for precision in ("bfloat16", "float32"):
        scanner = Scanner(bundle, replace(plan, precision=precision), device, graph=False)
        found[precision] = scanner.score(codes, signals)
    known = found["float32"] != UNSCORED
    one, other = (decode_scores(scores[known]).astype(np.float64) for scores in found.values())
    difference = np.abs(one - other)
    if len(difference) == 0:
        return PrecisionCheck(0, 0.0, 0.0)
    return PrecisionCheck(len(difference), float(np.median(difference)), float(difference.max()))
