"""What attribute_sites wrote about sites, as arrays to look for motifs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_table

HYPOTHETICAL = ("mutagenesis", "corrected_gradient", "integrated_gradients")
"""Methods whose contributions can be given for every letter, the one that is there or not."""

_ARRAYS = ("positions", "letters", "methods", "site_class", "sequence", "substitutions",
           "gradient", "contributions")  # fmt: skip


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
    path = existing_file(folder / "attributions.npz", "attributions")
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in _ARRAYS}
    except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
        raise InputError(
            f"{path}: {error}; expected the arrays {', '.join(_ARRAYS)} of attribute_sites"
        ) from None
    columns = ("contig", "position", "strand", "class", "score")
    table = read_table(folder / "sites.tsv", "attributed sites", columns, ("contig", "class"))
    classes = arrays["site_class"].astype(str)
    if table["class"].astype(str).tolist() != classes.tolist():
        raise InputError(
            f"{folder / 'sites.tsv'} has {len(table)} sites and {path} {len(classes)}, or their "
            "classes differ; expected files of one run"
        )
    hypothetical = np.nan_to_num(_hypothetical(arrays, method)).astype(np.float32)
    letters = "".join(arrays["letters"].astype(str))
    return AttributedSites(
        arrays["positions"], letters, arrays["sequence"], hypothetical, classes, table
    )


def _hypothetical(arrays: dict[str, np.ndarray], method: str) -> np.ndarray:
    """Return what every letter contributes by a method."""
    if method == "integrated_gradients":
        row = arrays["methods"].astype(str).tolist().index(method)
        there = one_hot(arrays["sequence"], len(arrays["letters"]))
        return there * arrays["contributions"][:, row, :, None]
    values = arrays["substitutions" if method == "mutagenesis" else "gradient"]
    return values - values.mean(2, keepdims=True)
