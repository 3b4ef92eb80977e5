"""Small runs of the workflow, for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from planted_genome import write_planted_genome


def snakemake_command(checkout: Path) -> list[str]:
    """Return the words that call Snakemake on the workflow of a checkout."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile")]


def snakemake(checkout: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake on the workflow of a checkout, in a folder of its own."""
    return run_snakemake(checkout / "Snakefile", folder, *arguments)


def run_snakemake(snakefile: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake on any workflow, in a folder of its own."""
    # The rules call `python`; it has to be the one that runs the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PATH": path},
    )


def planned_jobs(plan: subprocess.CompletedProcess) -> dict[str, int]:
    """Return how many jobs of each rule a dry run plans, without the target rule."""
    assert plan.returncode == 0, plan.stderr[-4000:]
    rows = re.findall(r"^(\w+)\s+(\d+)$", plan.stdout, flags=re.MULTILINE)
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


def write_toy(folder: Path, **screen) -> Path:
    """Write a planted genome as files and a small configuration; return its path."""
    length = 60_000
    planted = write_planted_genome(folder / "planted", length)
    codes = np.load(planted.folder / "codes.npy")
    texts = ["".join(np.array(list("ACGTN"))[part]) for part in np.split(codes, [length])]
    fasta = "".join(f">chr{row}\n{text}\n" for row, text in enumerate(texts, start=1))
    (folder / "toy.fa").write_text(fasta)
    sites = pd.read_parquet(planted.sites).assign(score=0)
    columns = ["contig", "start", "end", "class", "score", "strand"]
    sites[columns].to_csv(folder / "sites.bed", sep="\t", header=False, index=False)
    (folder / "genomes.tsv").write_text("genome\tfasta\ntoy\ttoy.fa\n")
    track = "known\ttoy\tsites.bed\tsite\tcolumn:4\n"
    (folder / "tracks.tsv").write_text("track\tgenome\tfile\trole\tclass\n" + track)
    split = {
        row.part: [f"{row.contig}:{row.start}-{row.end}"]
        for row in pd.read_csv(planted.split, sep="\t").itertuples()
    }
    settings = {
        "classes": {name: {"stranded": True} for name in ("donor", "acceptor")},
        "labels": "exclusive",
        "train_genomes": ["toy"],
        "scan_genomes": ["toy"],
        "split": {"toy": {"contigs": split}},
        "sampling": {"length": 1000, "windows": 100},
        "model": {"preset": "dilated", "channels": 8, "stem_kernels": [9], "dilations": [1]},
        "training": {"steps": 20, "batch": 8, "learning_rate": 0.01, "validations": 1},
        "calibration": {"precision_targets": [0.5], "operating": 0.5, "bootstrap": 100},
        "evaluation": {"bootstrap": 100},
    }
    config = {"genomes": "genomes.tsv", "tracks": "tracks.tsv", "device": "cpu"}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config | {"screens": {"toy": settings | screen}}))
    return path
