"""What attribute_sites writes, read again."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_json, read_table

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


def read_attributions(folder: Path, genome: str) -> AttributionResults:
    """Read the folder that attribute_sites wrote.

    Raises
    ------
    InputError
        If a file is missing or is not what that script writes.
    """
    what = f"attributions of {genome}"
    path = existing_file(folder / "attributions.npz", what)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{what} {path} cannot be read: {error}; expected what attribute_sites writes"
        ) from error
    columns = ("contig", "position", "strand", "class", "score")
    sites = read_table(folder / "sites.tsv", what, columns, text=("contig", "class"))
    if len(sites) != len(arrays["scores"]):
        raise InputError(
            f"{what} {path} has {len(arrays['scores'])} sites and sites.tsv {len(sites)}; expected "
            "both of one run"
        )
    return AttributionResults(arrays, sites, read_json(folder / "summary.json", what))
