"""Tracks that are learned beside the classes: their mean in every bin of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genomesieve.signals import gather_signals


class TrackTargets:
    """Mapped tracks of several genomes, to be read bin by bin.

    Parameters
    ----------
    values : mapping of str to sequence of numpy.ndarray, shape=(total length,)
        The tracks of each genome, in one order, one value a base (see `signals`). Intervals are 1
        where one covers the base, so that their mean is the share that is covered.
    flanks : sequence of int
        bp on each side of a bin that each track's mean is taken over too; beyond the ends of a
        contig a track is 0.
    bin_bp : int
    """

    def __init__(
        self, values: Mapping[str, Sequence[np.ndarray]], flanks: Sequence[int], bin_bp: int
    ):
        self.values, self.flanks, self.bin_bp = values, list(flanks), bin_bp

    def bin_means(
        self,
        genome: str,
        offset: np.ndarray,
        length: np.ndarray,
        start: np.ndarray,
        width: int,
    ) -> np.ndarray:
        """Return the mean of every track in every bin, in the order of the plus strand.

        Parameters
        ----------
        genome : str
        offset, length, start : numpy.ndarray, shape=(N,), dtype=int64
            As for `gather_signals`.
        width : int
            bp a window, whole bins.

        Returns
        -------
        numpy.ndarray, shape=(N, tracks, width / bin_bp), dtype=float32
        """
        means = []
        for values, flank in zip(self.values[genome], self.flanks):
            found = gather_signals([values], offset, length, start - flank, width + 2 * flank)[:, 0]
            sums = np.zeros((len(found), found.shape[1] + 1))
            np.cumsum(found, axis=1, dtype=np.float64, out=sums[:, 1:])
            window = self.bin_bp + 2 * flank
            first = np.arange(0, width, self.bin_bp)
            means.append((sums[:, first + window] - sums[:, first]) / window)
        return np.stack(means, axis=1).astype(np.float32)
