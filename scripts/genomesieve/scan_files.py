"""What a scan leaves on disk, read back and checked."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_table, whole_file
from genomesieve.layout import ScanLayout
from genomesieve.model_description import read_description, require_calibrated
from genomesieve.scores import CODES

BLOCK_COLUMNS = ("block", "strand", "class_index", "code", "count")
CANDIDATE_COLUMNS = ("bin", "class_index", "strand_index", "code")
MODEL_KEYS = ("name", "classes", "stranded", "resolution", "context", "calibration")


@dataclass(frozen=True)
class Histograms:
    """Label-free counts of score codes.

    Parameters
    ----------
    total : numpy.ndarray, shape=(strands, classes, 65536), dtype=int64
    floors : numpy.ndarray, shape=(classes,), dtype=uint16
        Codes below are coarse in `blocks`.
    blocks : pandas.DataFrame
        Sparse counts per block: columns `BLOCK_COLUMNS`.
    """

    total: np.ndarray
    floors: np.ndarray
    blocks: pd.DataFrame


def read_histograms(path: str | os.PathLike) -> Histograms:
    """Read histograms.npz.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not what `scan_genome` writes.
    """
    path = existing_file(path, "score histograms")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as content:
            arrays = {name: content[name] for name in ("total", "floor", *BLOCK_COLUMNS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"score histograms {path} cannot be read: {error}") from error
    total, floors = arrays["total"], arrays["floor"]
    if total.ndim != 3 or total.shape[1:] != (len(floors), CODES):
        raise InputError(
            f"score histograms {path} have shape {total.shape}; expected (strands, "
            f"{len(floors)}, {CODES})"
        )
    return Histograms(total, floors, pd.DataFrame({key: arrays[key] for key in BLOCK_COLUMNS}))


def write_histograms(path: str | os.PathLike, histograms: Histograms) -> None:
    """Write histograms.npz, whole or not at all."""
    columns = {name: histograms.blocks[name].to_numpy() for name in BLOCK_COLUMNS}
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, total=histograms.total, floor=histograms.floors, **columns)


def sum_block_counts(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Add up sparse histograms per block (columns `BLOCK_COLUMNS`) of one or more tables."""
    keys = list(BLOCK_COLUMNS[:-1])
    summed = pd.concat(tables, ignore_index=True).groupby(keys, as_index=False)["count"].sum()
    return summed.astype(tables[0].dtypes.to_dict())


def read_scores(path: str | os.PathLike, shape: tuple[int, int, int]) -> np.ndarray:
    """Map scores.npy: uint16 codes of the given shape (strands, classes, bins).

    Raises
    ------
    InputError
        If the file is missing, damaged or of another shape.
    """
    path = existing_file(path, "scores (kept with --keep-scores of scan_genome)")
    try:
        scores = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"scores {path} cannot be read: {error}") from error
    if scores.dtype != np.uint16 or scores.shape != shape:
        raise InputError(
            f"scores {path} hold {scores.shape} {scores.dtype}; expected {shape} uint16"
        )
    return scores


def read_calibrated_model(folder: str | os.PathLike) -> dict:
    """Read the settings of a calibrated bundle (model.json), which need no tensor library.

    Raises
    ------
    InputError
        If it is missing, damaged or not calibrated for all of its classes.
    """
    path = Path(folder) / "model.json"
    model = read_description(path)
    missing = [key for key in MODEL_KEYS if key not in model]
    if missing:
        raise InputError(f"model {path} lacks {', '.join(missing)}; expected a calibrated bundle")
    require_calibrated(model["calibration"], model["classes"], path)
    return model


def strands_of(model: dict) -> int:
    """Return the strands that a model scores apart: 2 where a class is stranded."""
    return 2 if any(model["stranded"]) else 1


def class_calibrations(model: dict) -> list[dict]:
    """Return the calibration of every class, in the order of the classes."""
    return [model["calibration"]["classes"][name] for name in model["classes"]]


def read_layout(folder: str | os.PathLike, resolution: int) -> ScanLayout:
    """Read the bins that a scan covered (intervals.tsv, blocks.tsv)."""
    folder = Path(folder)
    intervals = read_table(
        folder / "intervals.tsv",
        "scanned intervals",
        ("contig", "contig_index", "start", "end", "part", "first_bin"),
        text=("contig", "part"),
    )
    blocks = read_table(
        folder / "blocks.tsv", "blocks", ("block", "part", "first_bin", "end_bin"), text=("part",)
    )
    return ScanLayout(intervals, blocks, resolution)


def part_of_layout(layout: ScanLayout, part: str) -> tuple[ScanLayout, int, int]:
    """Return one part as a layout of its own, and the first bin and block it had.

    A part's bins and blocks are consecutive; in the result both count from 0.
    """
    intervals = layout.intervals[layout.intervals["part"] == part].reset_index(drop=True)
    blocks = layout.blocks[layout.blocks["part"] == part].reset_index(drop=True)
    first_bin, first_block = int(intervals["first_bin"].iloc[0]), int(blocks["block"].iloc[0])
    intervals = intervals.assign(first_bin=intervals["first_bin"] - first_bin)
    blocks = blocks.assign(
        block=blocks["block"] - first_block,
        first_bin=blocks["first_bin"] - first_bin,
        end_bin=blocks["end_bin"] - first_bin,
    )
    return ScanLayout(intervals, blocks, layout.resolution), first_bin, first_block
