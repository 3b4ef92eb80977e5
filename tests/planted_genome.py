"""A small genome with planted sites, written as the scripts expect it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.alphabet import DNA

DONOR, ACCEPTOR = "CAGGTAAGT", "TTTTTCAGG"
"""Words around a donor (third base) and an acceptor (last base)."""
CLASSES = {"donor": {"stranded": True}, "acceptor": {"stranded": True}}


@dataclass(frozen=True)
class PlantedGenome:
    """Paths of the files of a planted genome."""

    folder: Path
    sites: Path
    intervals: Path
    split: Path
    windows: Path

    def arguments(self, name: str = "toy") -> list[str]:
        """Return the options of scripts that read labelled genomes."""
        pairs = {
            "--genome": self.folder,
            "--sites": self.sites,
            "--intervals": self.intervals,
            "--split": self.split,
        }
        return [item for key, path in pairs.items() for item in (key, f"{name}={path}")]


def write_planted_genome(
    root: Path, length: int = 120_000, every: int = 400, seed: int = 0, window: int = 1000
) -> PlantedGenome:
    """Write a genome of two contigs (the second one odd in length, with unknown bases).

    A word of a class is planted about every `every` bases on either strand.
    """
    generator = np.random.default_rng(seed)
    lengths = [length, length // 3 + 37]
    codes = generator.integers(0, 4, sum(lengths), dtype=np.uint8)
    rows = []
    for contig, (offset, size) in enumerate(zip([0, lengths[0]], lengths)):
        for at in range(50, size - 60, every):
            at += int(generator.integers(0, every - 20))
            if at > size - 60:
                continue
            name, strand = ("donor", "acceptor")[at % 2], "+-"[int(generator.integers(2))]
            word = DNA.encode(DONOR if name == "donor" else ACCEPTOR)
            inside = 2 if name == "donor" else len(ACCEPTOR) - 1
            if strand == "-":
                word, inside = DNA.reverse_complement(word), len(word) - 1 - inside
            codes[offset + at : offset + at + len(word)] = word
            rows.append((f"chr{contig + 1}", at + inside, strand, name))
    codes[lengths[0] + 1000 : lengths[0] + 1100] = DNA.unknown
    sites = pd.DataFrame(rows, columns=["contig", "position", "strand", "class"])
    unknown = (sites["contig"] == "chr2") & sites["position"].between(990, 1110)
    return _write(root, codes, lengths, sites[~unknown], window)


def _write(root, codes, lengths, sites, window) -> PlantedGenome:
    folder = root / "genome"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "codes.npy", codes)
    contigs = pd.DataFrame(
        {"contig": ["chr1", "chr2"], "length": lengths, "offset": [0, lengths[0]]}
    )
    contigs.assign(unknown_bases=0, gaps=0).to_csv(folder / "contigs.tsv", sep="\t", index=False)
    sites = sites.assign(start=sites["position"], end=sites["position"] + 1, track="toy", batch="")
    sites.to_parquet(root / "sites.parquet")
    empty = pd.DataFrame(
        {"contig": [], "start": [], "end": [], "role": [], "class": [], "track": []}
    )
    empty = empty.astype({"start": "int64", "end": "int64"})
    for column in ("contig", "role", "class", "track"):
        empty[column] = empty[column].astype(str)
    empty.to_parquet(root / "intervals.parquet")
    edges = [0, 0.6, 0.75, 1.0]
    parts = [
        ("chr1", int(a * lengths[0]) + 50 * (a > 0), int(b * lengths[0]), part)
        for a, b, part in zip(edges, edges[1:], ["train", "valid", "calibrate"])
    ]
    split = pd.DataFrame(
        [*parts, ("chr2", 0, lengths[1], "test")], columns=["contig", "start", "end", "part"]
    )
    split.to_csv(root / "split.tsv", sep="\t", index=False)
    _windows(parts, window).to_parquet(root / "windows.parquet")
    return PlantedGenome(
        folder,
        root / "sites.parquet",
        root / "intervals.parquet",
        root / "split.tsv",
        root / "windows.parquet",
    )


def _windows(parts, window) -> pd.DataFrame:
    rows = [
        ("toy", contig, at, window, part, strand, [1.0])
        for contig, start, end, part in parts[:2]
        for at in range(-(-start // 100) * 100, end - window + 1, window)
        for strand in "+-"
    ]
    columns = ["genome", "contig", "start", "length", "part", "strand", "inclusion"]
    return pd.DataFrame(rows, columns=columns)
