"""A genome with planted motifs, and networks whose weights are those motifs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

import encode_genome
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.networks import build_network

WORDS = {"Reb": "GATTACCCGGAT", "Rap": "ACACCCATACAT"}
"""A motif a class; what is planted is drawn from it. Both read differently on the other strand."""
RESOLUTION, SITES, LENGTH = 40, 60, 60_000


def frequencies(word):
    """A motif of a word: 0.91 of its letter, 0.03 of each other one."""
    return np.full((4, len(word)), 0.03) + 0.88 * (DNA.encode(word) == np.arange(4)[:, None])


def log_odds(word):
    return np.log2(frequencies(word) / 0.25)


def write_genome(folder, sites):
    """A random contig with motifs at (position, strand, word); encoded, as a folder."""
    generator = np.random.default_rng(5)
    codes = generator.integers(0, 4, LENGTH, dtype=np.uint8)
    for position, strand, word in sites:
        letters = [generator.choice(4, p=column) for column in frequencies(word).T]
        letters = np.array(letters, dtype=np.uint8)
        letters = letters if strand == "+" else DNA.reverse_complement(letters)
        codes[position : position + len(letters)] = letters
    fasta = folder / "genome.fa"
    fasta.write_text(">c\n" + "".join(DNA.letters[code] for code in codes) + "\n")
    encoded = folder / "genome"
    named = {"--genome": "g", "--fasta": fasta}
    outputs = ("codes.npy", "contigs.tsv", "softmask.parquet", "summary.json")
    named |= {f"--{name.partition('.')[0]}": encoded / name for name in outputs}
    assert encode_genome.main([str(item) for pair in named.items() for item in pair]) == 0
    return encoded


def bin_sites():
    """Bins with a motif at a place and on a strand that vary."""
    generator = np.random.default_rng(6)
    bins = generator.permutation(np.arange(20, LENGTH // RESOLUTION - 20, 8))[: 2 * SITES]
    rows = [
        (list(WORDS)[row % 2], int(one) * RESOLUTION, int(generator.integers(4, 24)), strand)
        for row, (one, strand) in enumerate(zip(bins, generator.choice(["+", "-"], len(bins))))
    ]
    return pd.DataFrame(rows, columns=["class", "start", "offset", "strand"])


def point_sites():
    """Bases with a motif that begins 4 bp before them, read on their strand."""
    sites = bin_sites()
    # On the other strand its last base is the leftmost.
    width = len(next(iter(WORDS.values())))
    sites["offset"] = np.where(sites["strand"] == "+", -4, 5 - width)
    return sites


def write_sites(path, sites, resolution):
    """Write sites as BED: whole bins, without a strand where these are wider than a base."""
    lines = [
        f"c\t{row.start}\t{row.start + resolution}\t{row[1]}\t0\t"
        + (row.strand if resolution == 1 else ".")
        for row in sites.itertuples()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def matrix_model(folder, resolution, both_strands, left=0):
    """A saved model whose classes score their word's log-odds."""
    width = len(next(iter(WORDS.values())))
    architecture = resolve_architecture(
        {
            "preset": "pwm", "width": width, "left": left, "margins": [0, 0],
            "resolution": resolution, "both_strands": both_strands,
        }
    )  # fmt: skip
    network = build_network(architecture, 2, "independent", "augment")
    for row, word in enumerate(WORDS.values()):
        network.weight[row] = torch.from_numpy(log_odds(word)).float()
    stranded = not both_strands
    bundle = Bundle("pwm", network.eval(), architecture, list(WORDS), stranded, "independent")
    save_bundle(folder, bundle)
    return bundle


def decoys(count):
    """Motifs that are like nothing: columns drawn at random."""
    generator = np.random.default_rng(9)
    return [generator.dirichlet(np.full(4, 0.3), 10).T for _ in range(count)]
