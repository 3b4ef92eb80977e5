"""A small genome with genes: FASTA and GTF whose introns begin GT and end AG."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np


def write_gene_genome(
    folder: Path, contigs: int = 1, length: int = 120_000, every: int = 600, seed: int = 0
) -> tuple[Path, Path, int]:
    """Write toy.fa.gz and toy.gtf.gz with a gene of one intron about every `every` bases.

    Returns
    -------
    fasta, annotation : Path
    introns : int
    """
    generator = np.random.default_rng(seed)
    fasta, rows, genes = [], [], 0
    for contig in range(1, contigs + 1):
        letters = generator.choice(list("ACGT"), length)
        for start in range(100, length - every, every):
            first, last = start + 150, start + 150 + int(generator.integers(60, 200))
            strand = "+-"[int(generator.integers(2))]
            words = ("CAGGTAAGT", "TTTTTCAG") if strand == "+" else ("CTGAAAAA", "ACTTACCTG")
            before = 3 if strand == "+" else 0
            letters[first - before : first - before + len(words[0])] = list(words[0])
            end = last + (0 if strand == "+" else 3)
            letters[end - len(words[1]) : end] = list(words[1])
            genes += 1
            for one, other in ((start, first), (last, last + 150)):
                text = f'gene_id "g{genes}"; transcript_id "t{genes}";'
                rows.append(f"c{contig}\ttoy\texon\t{one + 1}\t{other}\t.\t{strand}\t.\t{text}\n")
        fasta.append(f">c{contig} toy\n{''.join(letters)}\n")
    paths = folder / "toy.fa.gz", folder / "toy.gtf.gz"
    for path, lines in zip(paths, (fasta, rows)):
        with gzip.open(path, "wt") as handle:
            handle.write("".join(lines))
    return *paths, genes
