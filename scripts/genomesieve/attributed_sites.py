"""What attribute_sites wrote about sites, as arrays to look for motifs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.attribution_files import read_attributions

HYPOTHETICAL = ("mutagenesis", "corrected_gradient", "integrated_gradients")
"""Methods whose contributions can be given for every letter, the one that is there or not."""


@dataclass(frozen=True)
class AttributedSites:
    """Sites, read in the direction of their strands, and what their bases contribute.

    Parameters
    ----------
    positions : numpy.ndarray, shape=(positions,)
        bp from the first base of the bin.
    letters : str
    sequence : numpy.ndarray, shape=(sites, positions), dtype=uint8
        Codes; unknown is the number of letters.
    hypothetical : numpy.ndarray, shape=(sites, positions, letters), dtype=float32
        What each letter would contribute there; 0 where nothing is known.
    classes : numpy.ndarray, shape=(sites,)
    table : pandas.DataFrame
        sites.tsv.
    """

    positions: np.ndarray
    letters: str
    sequence: np.ndarray
    hypothetical: np.ndarray
    classes: np.ndarray
    table: pd.DataFrame

    @property
    def one_hot(self) -> np.ndarray:
        """Return the sequence, shape=(sites, positions, letters), float32; unknown is all zero."""
        return one_hot(self.sequence, len(self.letters))

    @property
    def contributions(self) -> np.ndarray:
        """Return what the bases that are there contribute, shape=(sites, positions)."""
        return (self.one_hot * self.hypothetical).sum(2)

    def of_class(self, name: str) -> AttributedSites:
        """Return the sites of one class."""
        rows = np.flatnonzero(self.classes == name)
        return AttributedSites(
            self.positions, self.letters, self.sequence[rows], self.hypothetical[rows],
            self.classes[rows], self.table.iloc[rows],
        )  # fmt: skip


def one_hot(codes: np.ndarray, letters: int) -> np.ndarray:
    """Turn codes into float32 columns along a new last axis; unknown ones are all zero."""
    return (codes[..., None] == np.arange(letters)).astype(np.float32)


def read_attributed_sites(folder: Path, method: str) -> AttributedSites:
    """Read attributions.npz and sites.tsv.

    Parameters
    ----------
    folder : pathlib.Path
        Output of attribute_sites.
    method : str
        One of `HYPOTHETICAL`. With mutagenesis a letter's contribution is its effect less the mean
        effect over letters, with the gradient its slope less the mean slope (Majdandzic et al.
        2023); integrated gradients speak only of the letter that is there, others get 0.

    Raises
    ------
    InputError
        If files are missing, do not belong together or lack an array.
    """
    found = read_attributions(folder, more=("substitutions", "gradient"))
    arrays = found.arrays
    classes = arrays["site_class"].astype(str)
    hypothetical = np.nan_to_num(_hypothetical(arrays, method)).astype(np.float32)
    letters = "".join(arrays["letters"].astype(str))
    return AttributedSites(
        arrays["positions"], letters, arrays["sequence"], hypothetical, classes, found.sites
    )


def _hypothetical(arrays: dict[str, np.ndarray], method: str) -> np.ndarray:
    """Return what every letter contributes by a method."""
    if method == "integrated_gradients":
        row = arrays["methods"].astype(str).tolist().index(method)
        there = one_hot(arrays["sequence"], len(arrays["letters"]))
        return there * arrays["contributions"][:, row, :, None]
    values = arrays["substitutions" if method == "mutagenesis" else "gradient"]
    return values - values.mean(2, keepdims=True)
