"""Random intervals on a random genome, and the bedtools command to compare with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LENGTHS = {"c2": 900, "c1": 400}


def write_random_genome(folder: Path) -> Path:
    """Write a random genome, encoded and as FASTA, and the sizes of its contigs."""
    codes = np.random.default_rng(0).integers(0, 5, sum(LENGTHS.values()), dtype=np.uint8)
    letters = "".join(np.array(list("ACGTN"))[codes])
    np.save(folder / "codes.npy", codes)
    (folder / "contigs.tsv").write_text("contig\tlength\toffset\nc2\t900\t0\nc1\t400\t900\n")
    (folder / "g.fa").write_text(f">c2\n{letters[:900]}\n>c1\n{letters[900:]}\n")
    (folder / "sizes").write_text("c2\t900\nc1\t400\n")
    return folder


def random_intervals(seed, count, width):
    generator = np.random.default_rng(seed)
    contigs = generator.choice(list(LENGTHS), count)
    starts = (generator.random(count) * (pd.Series(contigs).map(LENGTHS) - width)).astype(int)
    return pd.DataFrame({"contig": contigs, "start": starts, "end": starts + width})


def bedtools(command, folder):
    """Run bedtools in a folder and return its rows."""
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=True, cwd=folder
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def write_bed(table, path):
    table.to_csv(path, sep="\t", header=False, index=False)


def table_of_intervals(draw, most=40):
    """Draw intervals of any width on the genome's contigs (for hypothesis)."""
    places = st.sampled_from(list(LENGTHS)).flatmap(
        lambda contig: st.tuples(
            st.just(contig), *[st.integers(0, LENGTHS[contig]) for _ in range(2)]
        )
    )
    rows = draw(st.lists(places.filter(lambda row: row[1] != row[2]), min_size=1, max_size=most))
    rows = [(contig, min(one, other), max(one, other)) for contig, one, other in rows]
    return pd.DataFrame(rows, columns=["contig", "start", "end"])


any_intervals = st.composite(table_of_intervals)
"""Strategy of tables of intervals."""
bedtools_profile = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""Few examples: each starts bedtools twice."""
