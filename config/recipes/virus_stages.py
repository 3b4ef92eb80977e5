r"""Turn genomes of viruses into windows of exclusive classes, for a screen with stages.

    python config/recipes/virus_stages.py --folder data/virus_stages \
        --stage dengue123 --class DENV1=denv1.sequences.fasta.gz \
        --class DENV2=denv2.sequences.fasta.gz --class DENV3=denv3.sequences.fasta.gz \
        --stage dengue4 --class DENV4=denv4.sequences.fasta.gz \
        --stage zika --class ZIKV=zika.sequences.fasta.gz \
        --background sars2_wuhan.reference.fasta.gz

For each stage STAGE.fa holds its genomes, cut to whole windows, and STAGE.bed one site in the
middle of each window, with the class as name. held_out.fa and held_out.bed hold the test genomes of
all stages together. Genomes, not windows, are held out: contigs are named {part}_{class}_{number}
(parts train, valid, calibrate, test), and genomes that share so much that their Mash distance
(Ondov et al. 2016) is at most --distance, also through others, stay in one part. The background,
which has no site, is cut into one contig a part and stands in every stage: there has to be
something that is none of the classes.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from orthologous_parts import canonical_kmers, read_fasta

PARTS = {"train": 0.6, "valid": 0.1, "calibrate": 0.1, "test": 0.2}
_SKETCH_K = 16


def mash_distance(one: np.ndarray, other: np.ndarray, k: int) -> float:
    """Return the Mash distance of two sets of k-mers, 1 where they share none."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    if not shared:
        return 1.0
    jaccard = shared / (len(one) + len(other) - shared)
    return float(min(1.0, -np.log(2 * jaccard / (1 + jaccard)) / k))


def cluster(genomes: list[np.ndarray], distance: float) -> list[list[int]]:
    """Return groups of genomes that are near each other, directly or through others."""
    sets = []
    for codes in genomes:
        kmers, known = canonical_kmers(codes, _SKETCH_K)
        sets.append(np.unique(kmers[known]))
    group = list(range(len(genomes)))
    for one, other in itertools.combinations(range(len(genomes)), 2):
        if (
            group[one] != group[other]
            and mash_distance(sets[one], sets[other], _SKETCH_K) <= distance
        ):
            old, new = group[other], group[one]
            group = [new if value == old else value for value in group]
    return [[i for i, value in enumerate(group) if value == name] for name in sorted(set(group))]


def deal(groups: list[list[int]], seed: int) -> dict[int, str]:
    """Give groups to parts, the largest first, always to the part that lacks most."""
    order = np.random.default_rng(seed).permutation(len(groups))
    total, filled, found = sum(map(len, groups)), dict.fromkeys(PARTS, 0), {}
    for number in sorted(order, key=lambda row: -len(groups[row])):
        lacking = {part: share * total - filled[part] for part, share in PARTS.items()}
        part = max(lacking, key=lacking.get)
        filled[part] += len(groups[number])
        found |= dict.fromkeys(groups[number], part)
    return found


def as_text(codes: np.ndarray) -> str:
    """Return codes as letters."""
    return np.frombuffer(b"ACGTN", dtype=np.uint8)[codes].tobytes().decode()


def windows_of(contig: str, length: int, window: int, name: str) -> list[str]:
    """Return the lines of a BED file with a site in the middle of each window."""
    middles = range(window // 2, length, window)
    return [f"{contig}\t{middle}\t{middle + 1}\t{name}" for middle in middles]


def class_contigs(
    name: str, path: Path, settings: argparse.Namespace
) -> list[tuple[str, np.ndarray]]:
    """Return the named contigs of a class."""
    genomes = [codes for codes in read_fasta(path).values() if len(codes) >= settings.window]
    groups = cluster(genomes, settings.distance)
    parts = deal(groups, settings.seed)
    sizes = {part: list(parts.values()).count(part) for part in PARTS}
    print(f"{name}: {len(genomes)} genomes in {len(groups)} groups, {sizes}")
    lacking = [part for part, size in sizes.items() if not size]
    if lacking:
        raise SystemExit(
            f"{path}: no group of genomes is left for {', '.join(lacking)}; expected a smaller "
            "--distance or more genomes"
        )
    return [
        (f"{parts[row]}_{name}_{row + 1}", codes[: len(codes) // settings.window * settings.window])
        for row, codes in enumerate(genomes)
    ]


def background_contigs(path: Path, settings: argparse.Namespace) -> list[tuple[str, np.ndarray]]:
    """Return one contig a part of a genome that is none of the classes."""
    (codes,) = read_fasta(path).values()
    edges = np.cumsum([0, *PARTS.values()]) * (len(codes) // settings.window)
    edges = edges.round().astype(int) * settings.window
    return [
        (f"{part}_background", codes[start:end])
        for part, start, end in zip(PARTS, edges, edges[1:])
    ]


def write(folder: Path, name: str, contigs: list[tuple[str, np.ndarray]], window: int) -> None:
    """Write the genome and the sites of a stage."""
    fasta = "".join(f">{contig}\n{as_text(codes)}\n" for contig, codes in contigs)
    lines = [
        line
        for contig, codes in contigs
        if not contig.endswith("_background")
        for line in windows_of(contig, len(codes), window, contig.split("_")[1])
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.fa").write_text(fasta)
    (folder / f"{name}.bed").write_text("\n".join(lines) + "\n")


class _OfStage(argparse.Action):
    """Collect classes below the stage that was named before them."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        stages = getattr(namespace, "stages", {})
        if option_string == "--stage":
            stages[values] = {}
        elif not stages:
            parser.error("--class comes before any --stage")
        else:
            name, _, path = values.partition("=")
            stages[list(stages)[-1]][name] = Path(path)
        namespace.stages = stages


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--stage", action=_OfStage, required=True, metavar="NAME")
    parser.add_argument("--class", action=_OfStage, required=True, metavar="NAME=FASTA")
    parser.add_argument("--background", type=Path, required=True)
    parser.add_argument("--window", type=int, default=500, help="bp (default 500)")
    parser.add_argument("--distance", type=float, default=0.01, help="(default 0.01)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    arguments = parser.parse_args()
    background = background_contigs(arguments.background, arguments)
    held_out = [one for one in background if one[0].startswith("test_")]
    for stage, classes in arguments.stages.items():
        contigs = [
            one for name, path in classes.items() for one in class_contigs(name, path, arguments)
        ]
        held_out += [one for one in contigs if one[0].startswith("test_")]
        write(arguments.folder, stage, [*contigs, *background], arguments.window)
    write(arguments.folder, "held_out", held_out, arguments.window)


if __name__ == "__main__":
    main()
