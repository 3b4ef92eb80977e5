"""Small unlabelled genomes to pretrain on, whose entropy is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.genome import EncodedGenome
from genomesieve.unlabelled import Stretches

NO_REPEATS = pd.DataFrame({"contig": [], "start": [], "end": []}).astype(
    {"contig": str, "start": "int64", "end": "int64"}
)


def markov_codes(length: int, seed: int = 0, strong: float = 0.85) -> np.ndarray:
    """Draw from a second-order source: a base is named by the two before it with P `strong`."""
    generator = np.random.default_rng(seed)
    choice = np.random.default_rng(1).integers(0, 4, 16)
    codes = np.zeros(length, dtype=np.uint8)
    lucky, other = generator.random(length) < strong, generator.integers(0, 4, length)
    for at in range(2, length):
        named = choice[4 * codes[at - 2] + codes[at - 1]]
        codes[at] = named if lucky[at] else other[at]
    return codes


def write_genome(folder: Path, contigs: dict[str, np.ndarray], repeats=NO_REPEATS) -> Path:
    """Write an encoded genome with its soft-masked runs."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = [len(codes) for codes in contigs.values()]
    np.save(folder / "codes.npy", np.concatenate(list(contigs.values())))
    table = pd.DataFrame({"contig": list(contigs), "length": lengths})
    table["offset"] = np.cumsum([0, *lengths[:-1]])
    table.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    repeats.to_parquet(folder / "softmask.parquet")
    return folder


def stretches_of(codes: np.ndarray, intervals: list[tuple[int, int]], repeats=()) -> Stretches:
    """Return stretches of a genome of one contig `a`."""
    contigs = pd.DataFrame({"contig": ["a"], "length": [len(codes)], "offset": [0]})
    tables = [
        pd.DataFrame({"contig": "a", "start": [a for a, _ in rows], "end": [b for _, b in rows]})
        for rows in (intervals, list(repeats))
    ]
    genome = EncodedGenome("toy", codes, contigs)
    return Stretches({"toy": genome}, {"toy": tables[0]}, {"toy": tables[1]})


def options(folder: Path, output: Path, **changed) -> list[str]:
    """Return a command line of pretrain_model on one genome, `toy`."""
    given = {
        "--genome": f"toy={folder}",
        "--split": json.dumps({"toy": {"held_out": ["b"]}}),
        "--model": '{"preset": "dilated", "channels": 8, "stem_kernels": [5], "kernel": 3, '
        '"dilations": [1]}',
        "--training": json.dumps(TRAINING),
        "--threads": "1",
        "--device": "cpu",
        "--output-dir": str(output),
    } | changed
    return [item for pair in given.items() for item in pair]


TRAINING = {"steps": 8, "batch": 4, "length": 100, "validations": 2, "two_sided": 2}
TRAINING |= {"one_sided": 2, "validation_bp": 1000, "evaluation_bp": 4000}
