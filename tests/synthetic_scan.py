"""Write a scan with known answers: scores drawn from two normal distributions, no network.

Sites score higher than the background by a number that differs between models and, a little,
between stretches of the genome, so that blocks are unlike each other as real ones are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import merge_scan
from genomesieve.calibration import calibrate_class, fit_logistic
from genomesieve.calls import judge_calls, merge_candidates
from genomesieve.files import write_json, write_table
from genomesieve.label_counts import count_by_label, sparse_block_histogram, total_histogram
from genomesieve.labels_on_bins import label_bins
from genomesieve.layout import ScanLayout, make_layout
from genomesieve.scan_files import Histograms, write_histograms
from genomesieve.scores import UNSCORED, encode_scores, list_candidates

SHIFTS = {"dilated": 9.0, "pwm": 5.0}
"""How far the sites of each model lie above its background, in standard deviations of 1.5."""

CONTEXT = 200
STRETCH = 10_000


@dataclass(frozen=True)
class SyntheticScan:
    """Where everything was written, and the truth in memory.

    Parameters
    ----------
    genome : str
    genome_folder, split, sites, intervals, leakage : Path
    models, scans : dict of str to Path
        Bundle and scan folder of each model, the network first.
    shards : dict of str to list of Path
        Folders of the shards that the scans were merged from.
    layout : ScanLayout
        Of the scanned part.
    scores : dict of str to numpy.ndarray
        Codes of the scanned part, shape=(strands, classes, bins).
    """

    genome: str
    genome_folder: Path
    split: Path
    sites: Path
    intervals: Path
    leakage: Path
    layout: ScanLayout
    models: dict[str, Path] = field(default_factory=dict)
    scans: dict[str, Path] = field(default_factory=dict)
    shards: dict[str, list[Path]] = field(default_factory=dict)
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    def evaluation_arguments(self, output: Path, **settings: object) -> list[str]:
        """Return the arguments of evaluate_scan."""
        arguments = ["--genome", self.genome, "--genome-folder", str(self.genome_folder)]
        arguments += ["--sites", str(self.sites), "--intervals", str(self.intervals)]
        arguments += ["--leakage", str(self.leakage), "--settings", json.dumps(settings)]
        for name in self.models:
            arguments += ["--scan", f"{name}={self.scans[name]}"]
            arguments += ["--model", f"{name}={self.models[name]}"]
        return [*arguments, "--output-dir", str(output)]

    def merge_arguments(self, name: str, output: Path) -> list[str]:
        """Return the arguments of merge_scan for a model."""
        arguments = ["--model", str(self.models[name]), "--split", str(self.split)]
        arguments += ["--genome-folder", str(self.genome_folder), "--output-dir", str(output)]
        arguments += ["--parts", ",".join(self.layout.intervals["part"].unique())]
        for shard in self.shards[name]:
            arguments += ["--shard", str(shard)]
        return arguments


def write_synthetic_scan(
    folder: Path,
    *,
    genome: str = "toy",
    length: int = 300_000,
    every: int = 400,
    classes: tuple[str, ...] = ("donor", "acceptor"),
    stranded: bool = True,
    resolution: int = 1,
    min_distance: int | None = None,
    part: str = "test",
    shifts: dict[str, float] | None = None,
    targets: tuple[float, ...] = (0.9, 0.75, 0.5),
    operating: int = 1,
    shards: int = 2,
    keep_scores: bool = True,
    merged: bool = True,
    seed: int = 0,
) -> SyntheticScan:
    """Write a genome, its labels, calibrated models and their scans.

    Parameters
    ----------
    folder : Path
    genome : str
    length : int
        Length of the first contig, bp; a second one has a fifth of it and an odd end.
    every : int
        Mean distance of the sites of a class, both strands together, bp.
    classes, stranded, resolution, min_distance
        What the models predict.
    part : str
        `test`, or `screen` for a genome that was not trained on.
    shifts : dict of str to float
        Strength of each model; the first is the network.
    targets : tuple of float
        Target precisions; calls are written at number `operating`.
    shards : int
    keep_scores, merged : bool
        Whether to write scores.npy, and the merged scan too.
    seed : int

    Returns
    -------
    SyntheticScan
    """
    generator = np.random.default_rng(seed)
    home = folder / genome
    contigs = _write_genome(home, length, generator)
    split = _write_split(folder / "split.tsv", contigs, part)
    sites = _draw_sites(contigs, classes, stranded, every, generator)
    intervals = _draw_intervals(contigs, sites)
    write_table(folder / "sites.parquet", sites)
    write_table(folder / "intervals.parquet", intervals)
    leaked = sites[["contig", "position", "strand", "class"]].assign(
        shared=lambda table: generator.random(len(table)) ** 4
    )
    write_table(folder / "leakage.parquet", leaked.assign(leaked=leaked["shared"] >= 0.5))
    layouts = {
        name: make_layout(split, contigs, (name,), resolution, CONTEXT, genome)
        for name in ("calibrate", part)
    }
    result = SyntheticScan(
        genome, home, folder / "split.tsv", folder / "sites.parquet",
        folder / "intervals.parquet", folder / "leakage.parquet", layouts[part],
    )  # fmt: skip
    labels = {
        name: label_bins(layout, contigs, genome, sites, intervals, list(classes), stranded)
        for name, layout in layouts.items()
    }
    codes = np.load(home / "codes.npy")
    distance = min_distance or resolution
    for name, shift in (shifts or SHIFTS).items():
        scores = {
            key: _draw_scores(layouts[key], labels[key], contigs, codes, len(classes), shift,
                              2 if stranded else 1, generator)
            for key in layouts
        }  # fmt: skip
        model = _describe_model(name, classes, stranded, resolution, genome)
        model["calibration"] = _calibrate(
            layouts["calibrate"], scores["calibrate"], labels["calibrate"], classes, targets,
            operating, distance,
        )  # fmt: skip
        result.models[name] = folder / "models" / name
        write_json(result.models[name] / "model.json", model)
        result.scores[name] = scores[part]
        floors = [model["calibration"]["classes"][key]["floor_code"] for key in classes]
        result.shards[name] = _write_shards(
            folder / "shards" / name, scores[part], layouts[part],
            np.array(floors, dtype=np.uint16), shards, keep_scores,
            {"genome": genome, "model": name} | ({} if stranded else agreement(classes)),
        )  # fmt: skip
        if merged:
            result.scans[name] = folder / "scan" / name
            assert merge_scan.main(result.merge_arguments(name, result.scans[name])) == 0
    return result


def agreement(classes: tuple[str, ...]) -> dict:
    """Return what a shard of a scan without strand says of its model on both strands."""
    counts = {"bins": 1000, "called_on_both": 30, "called_on_one": 10, "sum_of_differences": 50.0}
    return {"strand_agreement": dict.fromkeys(classes, counts)}


def _write_genome(folder: Path, length: int, generator: np.random.Generator) -> pd.DataFrame:
    """Write codes.npy and contigs.tsv of two contigs, the second with unknown bases."""
    lengths = [length, length // 5 + 37]
    codes = generator.integers(0, 4, sum(lengths), dtype=np.uint8)
    codes[length + 1000 : length + 1500] = 4
    codes[length // 2 : length // 2 + 300] = 4
    contigs = pd.DataFrame(
        {"contig": ["chr1", "2"], "length": lengths, "offset": [0, length],
         "unknown_bases": [300, 500], "gaps": [1, 1]}
    )  # fmt: skip
    folder.mkdir(parents=True)
    np.save(folder / "codes.npy", codes)
    write_table(folder / "contigs.tsv", contigs)
    return contigs


def _write_split(path: Path, contigs: pd.DataFrame, part: str) -> pd.DataFrame:
    """Write a split: some of the first contig for calibration, the rest is scanned."""
    length, other = contigs["length"]
    rows = [
        ("chr1", 0, length // 20, "train"),
        ("chr1", length // 20 + CONTEXT, length // 2 - CONTEXT, "calibrate"),
        ("chr1", length // 2, length, part),
        ("2", 11, other, part),
    ]
    split = pd.DataFrame(rows, columns=["contig", "start", "end", "part"])
    write_table(path, split)
    return split


def _draw_sites(
    contigs: pd.DataFrame,
    classes: tuple[str, ...],
    stranded: bool,
    every: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Draw sites of all classes at random places, one an unlabelled stretch's neighbour."""
    tables = []
    for name in classes:
        for contig, length in zip(contigs["contig"], contigs["length"]):
            count = length // every
            position = np.sort(generator.choice(length - 40, count, replace=False)) + 20
            strand = generator.choice(["+", "-"], count) if stranded else np.full(count, ".")
            tables.append(
                pd.DataFrame(
                    {"contig": contig, "position": position, "start": position,
                     "end": position + 1, "strand": strand, "class": name, "track": "truth",
                     "batch": ""}
                )
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _draw_intervals(contigs: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Return ignore and exclude intervals in the scanned part; one of them covers sites."""
    length = int(contigs["length"].iloc[0])
    first = str(sites["class"].iloc[0])
    rows = [
        ("chr1", int(length * 0.6), int(length * 0.6) + 2000, "ignore", "", "repeats"),
        ("chr1", int(length * 0.8), int(length * 0.8) + 1000, "ignore", first, "doubtful"),
        ("2", 3000, 4000, "exclude", "", "duplicated"),
    ]
    return pd.DataFrame(rows, columns=["contig", "start", "end", "role", "class", "track"])


def _draw_scores(layout, labels, contigs, codes, classes, shift, strands, generator) -> np.ndarray:
    """Draw score codes of all bins: higher at sites, unscored at unknown bases."""
    scores = generator.normal(-12, 1.5, (strands, classes, layout.bins)).astype(np.float32)
    drift = generator.normal(0, 0.4, (classes, layout.bins * layout.resolution // STRETCH + 1))
    stretch = np.arange(layout.bins) * layout.resolution // STRETCH
    for (index, strand), mine in labels.of.items():
        scores[strand, index] += drift[index, stretch]
        noise = generator.normal(0, 2, len(mine.positive))
        scores[strand, index, mine.positive] += shift + noise.astype(np.float32)
    found = encode_scores(scores)
    contig, start = layout.positions_of(np.arange(layout.bins))
    unknown = np.zeros(layout.bins, dtype=bool)
    offsets = contigs["offset"].to_numpy()[contig] + start
    for step in range(layout.resolution):
        unknown |= codes[offsets + step] == 4
    found[:, :, unknown] = UNSCORED
    return found


def _describe_model(name, classes, stranded, resolution, genome) -> dict:
    """Return model.json without its calibration."""
    return {
        "format": 1, "name": name, "classes": list(classes), "stranded": [stranded] * len(classes),
        "labels": "exclusive" if stranded else "independent", "resolution": resolution,
        "context": CONTEXT, "stride": 1, "architecture": {"preset": name}, "training": {},
        "scan_plan": {}, "calibration": None,
    }  # fmt: skip


def _calibrate(layout, scores, labels, classes, targets, operating, min_distance) -> dict:
    """Return the calibration entry of model.json."""
    total, entries = total_histogram(scores), {}
    for index, name in enumerate(classes):
        counts = count_by_label(total, scores, labels, index)
        slope, intercept = fit_logistic(counts.positives, counts.negatives, name)
        score = (np.log(0.002 / 0.998) - intercept) / slope
        floors = np.full(len(classes), 65535, dtype=np.uint16)
        floors[index] = encode_scores(np.array([score]))[0]
        distances = np.full(len(classes), min_distance)
        merged = merge_candidates(list_candidates(scores, floors, 0), layout, distances)
        matches = np.full(len(classes), layout.resolution // 2)
        entries[name] = calibrate_class(
            counts.positives,
            counts.negatives,
            judge_calls(merged, layout, labels, matches),
            name=name,
            sites=int((labels.sites["class_index"] == index).sum()),
            blocks=len(layout.blocks),
            precision_targets=targets,
            floor_code=int(floors[index]),
            min_distance=min_distance,
            match_distance=layout.resolution // 2,
            operating=operating,
            repeats=200,
        )
    bins = layout.bins * scores.shape[0]
    return {"genomes": ["toy"], "bins": bins, "blocks": len(layout.blocks), "classes": entries}


def _write_shards(folder, scores, layout, floors, shards, keep_scores, facts) -> list[Path]:
    """Write scores as the shards of scan_genome, cut at uneven places."""
    edges = np.linspace(0, layout.bins, shards + 1).astype(int) // 7 * 7
    edges[-1] = layout.bins
    paths = []
    for number, (first, end) in enumerate(zip(edges[:-1], edges[1:]), start=1):
        path = folder / f"{number}-of-{shards}"
        path.mkdir(parents=True)
        mine = scores[:, :, first:end]
        cut = {key: layout.blocks[key].clip(first, end) - first for key in ("first_bin", "end_bin")}
        part = ScanLayout(layout.intervals, layout.blocks.assign(**cut), layout.resolution)
        blocks = sparse_block_histogram(mine, part, floors)
        write_histograms(path / "histograms.npz", Histograms(total_histogram(mine), floors, blocks))
        write_table(path / "candidates.parquet", list_candidates(mine, floors, int(first)))
        if keep_scores:
            np.save(path / "scores.npy", mine)
        summary = {"shard": number, "shards": shards, "first_bin": int(first), "end_bin": int(end)}
        write_json(path / "summary.json", facts | summary | {"bins": int(end - first)})
        paths.append(path)
    return paths
