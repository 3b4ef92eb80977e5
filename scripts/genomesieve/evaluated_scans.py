"""Scans opened for evaluation, and what they are evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.files import read_json, read_table
from genomesieve.label_counts import sparse_block_histogram, total_histogram
from genomesieve.labels_on_bins import ScanLabels
from genomesieve.layout import ScanLayout
from genomesieve.scan_files import (
    CANDIDATE_COLUMNS,
    class_calibrations,
    part_of_layout,
    read_histograms,
    read_layout,
    read_scores,
    strands_of,
)

PARTS = ("test", "screen")
"""What is evaluated: the first of these that a scan has."""
SITE_KEYS = ["contig", "position", "strand", "class"]


@dataclass(frozen=True)
class ScannedModel:
    """A model and its scan of the evaluated part.

    Parameters
    ----------
    name : str
    model : dict
        Description of the bundle.
    scores : numpy.ndarray, shape=(strands, classes, bins), dtype=uint16
        Codes of scores.
    total : numpy.ndarray, shape=(strands, classes, 65536)
        Histogram of the codes.
    blocks : pandas.DataFrame
        Sparse histogram of each block of the bootstrap.
    candidates : pandas.DataFrame
        Merged candidates, bins counted in the part.
    agreement : dict
        What the scan counted of both strands of unstranded classes.
    """

    name: str
    model: dict
    scores: np.ndarray
    total: np.ndarray
    blocks: pd.DataFrame
    candidates: pd.DataFrame
    agreement: dict

    def calibration(self, index: int) -> dict:
        """Return the calibration of a class."""
        return class_calibrations(self.model)[index]


@dataclass(frozen=True)
class Subject:
    """What all models are evaluated on.

    Parameters
    ----------
    genome : str
    contigs : pandas.DataFrame
        Columns contig, length.
    part : str
        Part of the split, or screen.
    layout : ScanLayout
        Bins and blocks of the part.
    labels : ScanLabels
    leaked : numpy.ndarray, shape=(sites,), dtype=bool
        Sites whose surroundings resemble training sequence.
    classes : list of str
    strands : int
        2 where classes have a strand, else 1.
    weights : numpy.ndarray, shape=(repeats, blocks)
        How often each block is drawn.
    precisions : tuple of float
        At which the recall is given.
    batch : str
        Laboratory of the genome's data; empty if unknown.
    """

    genome: str
    contigs: pd.DataFrame
    part: str
    layout: ScanLayout
    labels: ScanLabels
    leaked: np.ndarray
    classes: list[str]
    strands: int
    weights: np.ndarray
    precisions: tuple[float, ...]
    batch: str

    @property
    def strand_bins(self) -> int:
        """Return the number of bins of the part, strands summed."""
        return self.layout.bins * self.strands

    @property
    def known_bases(self) -> int:
        """Return the bases of the whole genome that are known."""
        unknown = self.contigs["unknown_bases"].sum() if "unknown_bases" in self.contigs else 0
        return int(self.contigs["length"].sum() - unknown)


def evaluated_layout(folder: Path, model: dict) -> tuple[ScanLayout, str, int]:
    """Return the layout of the evaluated part, the part, and its first bin in the scan.

    Raises
    ------
    InputError
        If the scan has none of `PARTS`.
    """
    layout = read_layout(folder, model["resolution"])
    found = list(layout.intervals["part"].unique())
    part = next((name for name in PARTS if name in found), None)
    if part is None:
        raise InputError(
            f"scan {folder} has parts {', '.join(found)}; expected one of {', '.join(PARTS)}"
        )
    sub_layout, first_bin, _ = part_of_layout(layout, part)
    return sub_layout, part, first_bin


def leaked_sites(sites: pd.DataFrame, labels: ScanLabels, leakage: pd.DataFrame) -> np.ndarray:
    """Tell which sites of the universe the audit marked; shape=(len(labels.sites),), bool."""
    keys = sites[SITE_KEYS].iloc[labels.sites["row"].to_numpy()]
    marked = pd.MultiIndex.from_frame(leakage.loc[leakage["leaked"].astype(bool), SITE_KEYS])
    return pd.MultiIndex.from_frame(keys).isin(marked)


def open_scan(
    name: str, model: dict, folder: Path, layout: ScanLayout, part: str, first_bin: int
) -> ScannedModel:
    """Open the evaluated part of a model's scan.

    Raises
    ------
    InputError
        If the scan does not fit the bundle or covers other bins than the network's.
    """
    whole = read_layout(folder, model["resolution"])
    mine, first, first_block = part_of_layout(whole, part)
    if first != first_bin or not mine.intervals.equals(layout.intervals):
        raise InputError(
            f"scan {folder} of {name} covers other bins of part {part} than the network's; "
            "expected scans of one split"
        )
    histograms = read_histograms(folder / "histograms.npz")
    floors = [one["floor_code"] for one in class_calibrations(model)]
    strands = strands_of(model)
    if histograms.floors.tolist() != floors or histograms.total.shape[0] != strands:
        raise InputError(
            f"scan {folder} has {histograms.total.shape[0]} strands and floors "
            f"{histograms.floors.tolist()}; expected {strands} and {floors}: it was made with "
            f"another model or another calibration than bundle {name}"
        )
    shape = (strands, len(model["classes"]), whole.bins)
    scores = read_scores(folder / "scores.npy", shape)[:, :, first : first + mine.bins]
    if mine.blocks.equals(layout.blocks):
        table = histograms.blocks.astype({"block": np.int64})
        table = table.assign(block=table["block"] - first_block)
        blocks = table[table["block"].between(0, len(layout.blocks) - 1)]
    else:
        # A model with another context was cut into other blocks; pairs need the network's.
        blocks = sparse_block_histogram(scores, layout, histograms.floors)
    return ScannedModel(
        name,
        model,
        scores,
        histograms.total if mine.bins == whole.bins else total_histogram(scores),
        blocks,
        read_candidates(folder / "candidates.parquet", first, mine),
        read_json(folder / "summary.json", "scan summary").get("strand_agreement", {}),
    )


def read_candidates(path: Path, first_bin: int, layout: ScanLayout) -> pd.DataFrame:
    """Read the merged candidates of the evaluated part, with bins counted from its first."""
    table = read_table(path, "merged candidates", CANDIDATE_COLUMNS)[list(CANDIDATE_COLUMNS)]
    table = table.assign(bin=table["bin"] - first_bin)
    table = table[table["bin"].between(0, layout.bins - 1)].reset_index(drop=True)
    contig, start = layout.positions_of(table["bin"].to_numpy(np.int64))
    return table.assign(contig_index=contig, start=start, end=start + layout.resolution)
