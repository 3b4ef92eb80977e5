"""What sharing weights along the sequence is worth: convolution or locally connected layer.

Both are the project's motif network (filters, norm, ReLU, maximum over the window, linear head).
In one the filters are those of a convolution, the same at each position; in the other each position
has filters of its own, as many and as wide. They learn from the same windows for the same number of
steps, and each has the learning rate at which it validates best.

1. planted: one noisy word at a random place of half of the windows, random sequence elsewhere;
2. Abf1, where the data are at hand (GENOMESIEVE_DATA): yeast windows with a ChIP-exo site
   at a random place against windows without a site of the factor, matched in GC content. Windows of
   chromosomes IV and XII are for testing, of VII and XIV for validation.

Half of the windows are positive, so these average precisions are not those of a genome.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from examples import (  # noqa: E402
    Examples,
    Finding,
    Fitted,
    fit,
    fit_at_best_rate,
    precision_draws,
    precision_finding,
    print_findings,
    score,
)
from measuring import quick_parser, write_results  # noqa: E402
from real_data import DATA  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import Architecture, resolve_architecture  # noqa: E402
from genomesieve.bootstrap import percentile_interval  # noqa: E402
from genomesieve.convolutions import Convolution  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402

YEAST = DATA / "saccharomyces_cerevisiae_R64"
WORD = "TGACTCAGCA"
NOISE = 0.1
"""Chance of each base of the planted word to be replaced by a random one."""
WINDOW, FLANK = 200, 10
MODEL = {
    "preset": "motif_cnn", "resolution": WINDOW, "channels": 16, "stem_kernels": [15],
    "hidden": 0, "dropout": 0.0,
}  # fmt: skip
RATES = (1e-3, 3e-3, 1e-2)
FACTORS = ("Abf1",)
PARTS = {"test": ("IV", "XII"), "valid": ("VII", "XIV")}
APART = 1000
"""bp between a window without a site and the factor's nearest site, at least."""


class LocallyConnected(nn.Module):
    """As a convolution, but with weights of its own at each position.

    Parameters
    ----------
    like : Convolution
        Whose inputs, outputs and kernel it has; without dilation.
    positions : int
        Of the output: it maps sequences of one length only.
    """

    def __init__(self, like: Convolution, positions: int):
        super().__init__()
        self.kernel = like.kernel_size[1]
        shape = positions, like.in_channels * self.kernel, like.out_channels
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(positions, 1, like.out_channels))
        nn.init.normal_(self.weight, std=(2 / shape[1]) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 1, positions + kernel - 1) to (N, outputs, 1, positions)."""
        patches = x.squeeze(2).unfold(2, self.kernel, 1).permute(2, 0, 1, 3).flatten(2)
        return torch.baddbmm(self.bias, patches, self.weight).permute(1, 2, 0).unsqueeze(2)


def untie_positions(network: nn.Module) -> None:
    """Replace the convolution of a motif network by filters of each position's own."""
    network.stem[0] = LocallyConnected(network.stem[0], WINDOW)


NETWORKS = {"convolution": None, "locally connected": untie_positions}


@dataclass(frozen=True)
class DataSet:
    """Windows of three parts."""

    name: str
    train: Examples
    valid: Examples
    test: Examples


def planted_windows(windows: int, generator: np.random.Generator) -> Examples:
    """Plant a noisy word at a random place of half of some random windows."""
    codes = generator.integers(0, 4, (windows, WINDOW + 2 * FLANK), dtype=np.uint8)
    positive = np.arange(windows) % 2 == 0
    word = DNA.encode(WORD)
    for row in np.flatnonzero(positive):
        at = FLANK + int(generator.integers(0, WINDOW - len(word)))
        noisy = generator.random(len(word)) < NOISE
        codes[row, at : at + len(word)][~noisy] = word[~noisy]
    return Examples(codes, positive[:, None, None])


def planted_data(most: int, tested: int, seed: int = 0) -> DataSet:
    """Return the planted data with at most `most` training windows."""
    parts = [
        planted_windows(windows, np.random.default_rng([seed, number]))
        for number, windows in enumerate((most, tested, 2 * tested))
    ]
    return DataSet("planted word", *parts)


def read_yeast(factor: str) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Read the nuclear chromosomes' codes, and contig and position of a factor's sites."""
    with pysam.FastaFile(str(YEAST / "R64-1-1.fa.gz")) as fasta:
        names = [name for name in fasta.references if name != "Mito"]
        codes = {name: DNA.encode(fasta.fetch(name).upper()) for name in names}
    columns = ["contig", "position", "end", "factor"]
    table = pd.read_csv(YEAST / "rossi2021_chexmix_all.bed.gz", sep="\t", names=columns)
    sites = table[(table["factor"] == factor) & table["contig"].isin(names)]
    return codes, sites.drop_duplicates(["contig", "position"])


def gc_share(codes: np.ndarray) -> np.ndarray:
    """Return the share of G and C of each row."""
    return np.isin(codes, DNA.encode("CG")).mean(-1)


def site_windows(
    codes: np.ndarray, positions: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Cut a window around each site, which lies anywhere in its inner three quarters."""
    shift = generator.integers(WINDOW // 8, WINDOW - WINDOW // 8, len(positions))
    first = positions - shift - FLANK
    first = first[(first >= 0) & (first + WINDOW + 2 * FLANK <= len(codes))]
    return codes[first[:, None] + np.arange(WINDOW + 2 * FLANK)]


def other_windows(
    codes: np.ndarray, positions: np.ndarray, like: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw as many windows far from all sites, each with nearly the GC content of one of `like`."""
    width = WINDOW + 2 * FLANK
    first = generator.integers(0, len(codes) - width, 40 * len(like))
    apart = np.abs(first[:, None] + width // 2 - positions[None]).min(1)
    drawn = codes[first[apart >= APART][:, None] + np.arange(width)]
    free, wanted = gc_share(drawn), gc_share(like)
    chosen = []
    for share in wanted:
        best = int(np.argmin(np.abs(free - share)))
        chosen.append(best)
        free[best] = np.inf
    return drawn[chosen]


def yeast_data(factor: str, seed: int = 0) -> DataSet:
    """Return windows of a factor; each is there on both strands in training."""
    codes, sites = read_yeast(factor)
    generator = np.random.default_rng(seed)
    found: dict[str, list[Examples]] = {"train": [], "valid": [], "test": []}
    for contig, own in codes.items():
        positions = sites.loc[sites["contig"] == contig, "position"].to_numpy()
        if len(positions) == 0:
            continue
        part = next((name for name, contigs in PARTS.items() if contig in contigs), "train")
        positive = site_windows(own, positions, generator)
        negative = other_windows(own, positions, positive, generator)
        is_site = np.repeat([True, False], len(positive))[:, None, None]
        found[part].append(Examples(np.concatenate([positive, negative]), is_site))
    joined = {name: join(parts) for name, parts in found.items()}
    train = joined["train"]
    mirrored = Examples(DNA.reverse_complement(train.codes), train.sites)
    return DataSet(f"yeast {factor}", join([train, mirrored]), joined["valid"], joined["test"])


def join(parts: Sequence[Examples]) -> Examples:
    """Put windows of several parts into one."""
    return Examples(
        np.concatenate([one.codes for one in parts]), np.concatenate([one.sites for one in parts])
    )


def train_seeds(
    name: str, data: DataSet, architecture: Architecture, options: Namespace
) -> tuple[list[Fitted], dict]:
    """Train one kind of network with several seeds, at the rate that validates best for the first.

    Other seeds have other weights, other orders and, where fewer than all are used, other windows
    (of the planted data mostly none in common).
    """

    def at(rate: float, seed: int) -> Fitted:
        training = {
            "steps": options.steps, "batch": 32, "learning_rate": rate, "validations": 6,
            "patience": 10,
        }  # fmt: skip
        order = np.random.default_rng(seed).permutation(len(data.train))
        train = data.train.take(order[: options.size])
        return fit(architecture, train, data.valid, "independent", training, seed, NETWORKS[name])

    rate, first, tried = fit_at_best_rate(options.rates, lambda rate: at(rate, 0))
    fitted = [first] + [at(rate, seed) for seed in range(1, options.seeds)]
    return fitted, {"rate": rate, "validation": tried}


def compare(data: DataSet, sizes: Sequence[int], options: Namespace) -> tuple[list[Finding], dict]:
    """Compare both networks on one data set at several numbers of training windows."""
    architecture = resolve_architecture(MODEL)
    sites = data.test.sites.ravel()
    blocks = np.arange(len(sites))
    rows, tried = [], {}
    for size in sizes:
        draws = {}
        for name in NETWORKS:
            mine = Namespace(**vars(options) | {"size": size})
            fitted, tried[f"{data.name} {size} {name}"] = train_seeds(
                name, data, architecture, mine
            )
            scores = [score(one, data.test, "independent").ravel() for one in fitted]
            rows.append(
                precision_finding(
                    scores, sites, blocks, fitted, part=data.name, what=name, metric=str(size)
                )
            )
            draws[name] = precision_draws(scores, sites, blocks, 1000)
        rows.append(difference(draws, data.name, size, options.seeds))
        print_findings(rows[-3:])
    return rows, tried


def difference(draws: dict, part: str, size: int, seeds: int) -> Finding:
    """Return convolution minus locally connected, paired over windows and seeds."""
    (first, drawn), (second, other) = draws.values()
    interval = percentile_interval(drawn - other)
    return Finding(
        part, "difference", str(size), first - second, interval.low, interval.high, seeds
    )


def sizes_for(data: DataSet, wanted: Sequence[int]) -> list[int]:
    """Return the wanted sizes that there are enough windows for, and all windows if fewer."""
    most = len(data.train)
    return sorted({size for size in wanted if size < most} | {min(most, max(wanted))})


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="learning rates")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.seeds, options.sizes, options.rates = 4, 2, [60], [1e-2]
    use_threads(1)
    tested = 50 if options.quick else 500
    sets = [planted_data(max(options.sizes) * options.seeds, tested)]
    if YEAST.is_dir() and not options.quick:
        sets += [yeast_data(factor) for factor in FACTORS]
    rows: list[Finding] = []
    details: dict = {"steps": options.steps, "model": MODEL, "tried": {}, "windows": {}}
    for data in sets:
        sizes = sizes_for(data, options.sizes)
        found, tried = compare(data, sizes, options)
        rows += found
        details["tried"] |= tried
        details["windows"][data.name] = [len(data.train), len(data.valid), len(data.test)]
    if not options.quick:
        write_results("weight_sharing", rows, {"torch": version("torch")}, details, {})
    return 0


if __name__ == "__main__":
    sys.exit(main())
