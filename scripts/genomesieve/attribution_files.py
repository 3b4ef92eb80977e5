"""What attribute_sites writes, read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_arrays, read_json, read_table

JUDGE = "mutagenesis"
"""The method that the others are compared with: it asks the question itself."""
_ARRAYS = ("positions", "letters", "methods", "site_class", "sequence", "scores", "contributions")


@dataclass(frozen=True)
class AttributionResults:
    """What attribute_sites wrote for one genome.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        attributions.npz (its axes: `python scripts/attribute_sites.py --help`).
    sites : pandas.DataFrame
        sites.tsv.
    summary : dict
        summary.json.
    """

    arrays: dict[str, np.ndarray]
    sites: pd.DataFrame
    summary: dict

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the arrays."""
        return [str(name) for name in self.arrays["methods"]]

    def rows(self, class_name: str) -> np.ndarray:
        """Return the rows of a class's sites, best-scoring first."""
        return np.flatnonzero(self.arrays["site_class"] == class_name)


def read_attributions(
    folder: Path, genome: str = "", more: Sequence[str] = ()
) -> AttributionResults:
    """Read the folder that attribute_sites wrote.

    Parameters
    ----------
    folder : pathlib.Path
    genome : str
        For messages.
    more : sequence of str
        Further arrays that are wanted.

    Raises
    ------
    InputError
        If a file is missing, is not what that script writes, or is of another run than the others.
    """
    what = f"attributions of {genome}" if genome else "attributions"
    path = folder / "attributions.npz"
    arrays = read_arrays(path, what, "attribute_sites", (*_ARRAYS, *more))
    columns = ("contig", "position", "strand", "class", "score")
    sites = read_table(folder / "sites.tsv", what, columns, text=("contig", "class"))
    classes = arrays["site_class"].astype(str)
    if sites["class"].astype(str).tolist() != classes.tolist():
        raise InputError(
            f"{what} {path} has {len(classes)} sites and sites.tsv {len(sites)}, or their classes "
            "differ; expected both of one run"
        )
    return AttributionResults(arrays, sites, read_json(folder / "summary.json", what))
