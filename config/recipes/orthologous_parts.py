r"""Split a genome like a close relative that is split already: what is orthologous shares a part.

    python config/recipes/orthologous_parts.py --reference H37Rv.fa \
        --reference-parts H37Rv.parts.tsv --genome BCG.fa --output BCG.parts.tsv

Genomes that share nearly all of their sequence must not be split by coordinates: a test part would
be the relative's training part. Blocks of the genome are given to the part of the reference with
which they share most k-mers that occur once in the reference, on either strand; a block that shares
fewer than --least of its positions has no ortholog there and goes to --rest; one of which more than
--mixed of the shared k-mers lie in other parts, or in none, is left out. Tables have the columns
region (contig:start-end, 0-based half-open) and part, as `split: {GENOME: {table: ...}}` reads
them.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np

LETTERS = np.full(256, 4, dtype=np.uint8)
LETTERS[list(b"ACGT")] = LETTERS[list(b"acgt")] = range(4)


def read_fasta(path: Path) -> dict[str, np.ndarray]:
    """Return the codes (0 to 3, 4 for others) of each sequence, by the header's first word."""
    opener = gzip.open if path.suffix == ".gz" else open
    found: dict[str, list[bytes]] = {}
    with opener(path, "rb") as handle:
        for line in handle:
            if line.startswith(b">"):
                name = line[1:].split()[0].decode()
                found[name] = []
            else:
                found[name].append(line.strip())
    return {
        name: LETTERS[np.frombuffer(b"".join(lines), dtype=np.uint8)]
        for name, lines in found.items()
    }


def canonical_kmers(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-mer at each position as a number, the same on both strands, and which are known.

    k is at most 31, so that two bits a base fit into 64.
    """
    forward = np.zeros(len(codes) - k + 1, dtype=np.uint64)
    backward = np.zeros_like(forward)
    known = np.ones(len(forward), dtype=bool)
    for at in range(k):
        part = codes[at : at + len(forward)]
        known &= part < 4
        value = (part & 3).astype(np.uint64)
        forward |= value << np.uint64(2 * (k - 1 - at))
        backward |= (np.uint64(3) - value) << np.uint64(2 * at)
    return np.minimum(forward, backward), known


def read_parts(path: Path) -> list[tuple[str, int, int, str]]:
    """Return contig, start, end and part of each row of a table of parts."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    parts = []
    for row in rows:
        contig, _, place = row["region"].rpartition(":")
        start, end = map(int, place.split("-"))
        parts.append((contig, start, end, row["part"]))
    return parts


def reference_index(
    genome: dict[str, np.ndarray], parts: list[tuple[str, int, int, str]], names: list[str], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-mers that occur once in the reference, sorted, and their parts (-1: none)."""
    values, labels = [], []
    for contig, codes in genome.items():
        kmers, known = canonical_kmers(codes, k)
        label = np.full(len(kmers), -1)
        for name, start, end, part in parts:
            if name == contig:
                label[start:end] = names.index(part)
        values.append(kmers[known])
        labels.append(label[known])
    kmers, label = np.concatenate(values), np.concatenate(labels)
    unique, first, count = np.unique(kmers, return_index=True, return_counts=True)
    return unique[count == 1], label[first[count == 1]]


def assign_blocks(
    genome: dict[str, np.ndarray],
    index: tuple[np.ndarray, np.ndarray],
    names: list[str],
    settings: argparse.Namespace,
) -> list[tuple[str, int, int, str]]:
    """Return contig, start, end and part of each block; neighbours of one part are joined."""
    kmers, label = index
    blocks: list[tuple[str, int, int, str]] = []
    for contig, codes in genome.items():
        mine, known = canonical_kmers(codes, settings.k)
        place = np.searchsorted(kmers, mine).clip(max=len(kmers) - 1)
        shared = known & (kmers[place] == mine)
        part = np.where(shared, label[place], -2)
        for start in range(0, len(codes), settings.block):
            end = min(start + settings.block, len(codes))
            name = choose_part(part[start:end], names, settings)
            if name is None:
                continue
            if blocks and blocks[-1][0] == contig and blocks[-1][2:] == (start, name):
                start = blocks.pop()[1]
            blocks.append((contig, start, end, name))
    return blocks


def choose_part(part: np.ndarray, names: list[str], settings: argparse.Namespace) -> str | None:
    """Return the part of a block by the labels of its positions; None leaves it out."""
    shared = part[part > -2]
    if len(shared) < settings.least * max(1, len(part)):
        return settings.rest
    counts = np.bincount(shared + 1, minlength=len(names) + 1)
    best = int(counts.argmax())
    if best == 0 or counts[best] < (1 - settings.mixed) * len(shared):
        return None
    return names[best - 1]


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--reference", type=Path, required=True, help="FASTA")
    add("--reference-parts", type=Path, required=True, help="table of its parts")
    add("--genome", type=Path, required=True, help="FASTA")
    add("--output", type=Path, required=True, help="table of the genome's parts")
    add("--block", type=int, default=10_000, help="bp (default 10000)")
    add("--k", type=int, default=31, help="length of the k-mers, at most 31 (default 31)")
    add("--least", type=float, default=0.05, help="share of a block (default 0.05)")
    add("--mixed", type=float, default=0.05, help="share of the shared k-mers (default 0.05)")
    add("--rest", default="train", help="part of blocks without ortholog (default train)")
    arguments = parser.parse_args()
    parts = read_parts(arguments.reference_parts)
    names = list(dict.fromkeys(part for *_, part in parts))
    index = reference_index(read_fasta(arguments.reference), parts, names, arguments.k)
    blocks = assign_blocks(read_fasta(arguments.genome), index, names, arguments)
    lines = [f"{contig}:{start}-{end}\t{part}" for contig, start, end, part in blocks]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(["region\tpart", *lines]) + "\n")
    for name in names:
        size = sum(end - start for _, start, end, part in blocks if part == name)
        print(f"{name}: {size} bp")


if __name__ == "__main__":
    main()
