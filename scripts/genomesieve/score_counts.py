"""How many bins with and without a site have each score, by block: what a calibration rests on.

`calibrate_model` leaves the table in the bundle. With it the scores of another genome can be
compared with those of known sites and non-sites long after the calibrate part was scanned.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_table
from genomesieve.label_counts import BlockCounts
from genomesieve.layout import MOST_BLOCKS
from genomesieve.model_description import is_whole
from genomesieve.scores import CODES

FILE = "score_counts.parquet"
COLUMNS = ("class", "block", "code", "sites", "others")


@dataclass(frozen=True)
class ScoreCounts:
    """Counts of one class, strands pooled; codes below the class's floor stand for 64 codes.

    Parameters
    ----------
    codes : numpy.ndarray, shape=(n,), dtype=int64
        Ascending.
    sites, others : numpy.ndarray, shape=(blocks, n), dtype=float64
    """

    codes: np.ndarray
    sites: np.ndarray
    others: np.ndarray

    @property
    def prevalence(self) -> float:
        """Share of bins that hold a site."""
        sites = self.sites.sum()
        return float(sites / (sites + self.others.sum()))


def count_table(name: str, parts: Sequence[BlockCounts]) -> pd.DataFrame:
    """Write the counts of one class as rows, blocks counted over all parts.

    Parameters
    ----------
    name : str
        The class.
    parts : sequence of BlockCounts
        One a genome, in order.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; codes that no bin of a block has are left out.
    """
    tables, blocks = [], 0
    for part in parts:
        block, column = np.nonzero(part.positives + part.negatives)
        tables.append(
            pd.DataFrame(
                {
                    "class": name,
                    "block": (block + blocks).astype(np.int32),
                    "code": part.codes[column].astype(np.uint16),
                    "sites": part.positives[block, column].astype(np.int64),
                    "others": part.negatives[block, column].astype(np.int64),
                }
            )
        )
        blocks += len(part.positives)
    return pd.concat(tables, ignore_index=True)


def read_score_counts(folder: str | os.PathLike, model: dict) -> dict[str, ScoreCounts] | None:
    """Read the counts of all classes of a bundle.

    Parameters
    ----------
    folder : path-like
        The bundle.
    model : dict
        Its model.json.

    Returns
    -------
    dict of str to ScoreCounts, or None
        Without classes whose calibration is that of an earlier stage, on another genome. None for a
        bundle that was calibrated before such counts were kept.

    Raises
    ------
    InputError
        If the file is damaged or belongs to another calibration.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    table = read_table(path, "score counts", COLUMNS)
    numbers = table[["block", "code", "sites", "others"]]
    whole = all(kind.kind in "iu" for kind in numbers.dtypes)
    if not whole or (numbers < 0).any(axis=None) or (table["code"] >= CODES).any():
        raise InputError(f"score counts {path} hold something else than counts from 0 up")
    calibration = model["calibration"]
    blocks, named = calibration.get("blocks"), int(table["block"].max()) + 1 if len(table) else 0
    if not is_whole(blocks, 1) or named > blocks:
        raise InputError(
            f"score counts {path} name {named} blocks; expected those of model.json: {blocks}"
        )
    return {
        name: _counts_of(table[table["class"] == name], blocks, entry, f"{path}, class {name}")
        for name, entry in calibration["classes"].items()
        if not entry.get("from_stage_before")
    }


def _counts_of(rows: pd.DataFrame, blocks: int, calibration: dict, where: str) -> ScoreCounts:
    """Spread the rows of one class over codes and blocks, neighbours joined where they are many."""
    kept = min(blocks, MOST_BLOCKS)
    block = rows["block"].to_numpy(np.int64) * kept // blocks
    codes, column = np.unique(rows["code"].to_numpy(np.int64), return_inverse=True)
    arrays = {name: np.zeros((kept, len(codes))) for name in ("sites", "others")}
    for name, counts in arrays.items():
        np.add.at(counts, (block, column), rows[name].to_numpy())
    total = sum(counts.sum() for counts in arrays.values())
    found = arrays["sites"].sum() / total if total else 0.0
    if not np.isclose(found, calibration["prevalence"], rtol=1e-6):
        raise InputError(
            f"score counts {where}: {found:.6g} of the bins hold a site; expected "
            f"{calibration['prevalence']:.6g} from model.json: they are of another calibration"
        )
    return ScoreCounts(codes, **arrays)
