"""Fit a baseline on the same training part, so that every report has something to beat.

--method pwm: one position weight matrix a class, counted from the training sites (classes with a
strand) or taken from --motifs; its span, background and profile are those with the best average
precision on training windows. --method kmer: logistic regression (scikit-learn) on counts of k-mers
in segments around the bin, its regularisation the one with the best average precision on the
validation part.

Out, in --output-dir: a model folder as train_model writes it, so that calibration, scan and
evaluation are the same for baselines and networks.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import Architecture, KmerSettings
from genomesieve.baselines import (
    SPANS,
    choose_kmers,
    choose_matrices,
    fit_kmer_class,
    letter_frequencies,
    matrix_network,
    motif_candidates,
    sample_negatives,
    site_anchors,
    site_candidates,
    stretches_around,
    tile_windows,
)
from genomesieve.batches import WindowSource
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.command_line import (
    add_class_arguments,
    add_genome_arguments,
    check_genome_arguments,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.errors import InputError
from genomesieve.labelled_genome import (
    LabelledGenome,
    open_labelled_genomes,
    part_prevalence,
    read_splits,
    shared_strandedness,
)
from genomesieve.motifs import find_motifs, read_jaspar
from genomesieve.networks import build_network
from genomesieve.processors import use_threads
from genomesieve.settings import complete_settings, require_above_zero

logger = logging.getLogger(__name__)

DEFAULTS = {
    "pwm": {"matrices": {}, "bases": 1_000_000, "window": 5000},
    "kmer": {
        "k": None,
        "edges": None,
        "negatives": 60_000,
        "regularisation": [0.003, 0.01, 0.03],
        "bases": 1_000_000,
        "window": 5000,
    },
}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--method", choices=list(DEFAULTS), required=True, help="what to fit")
    add_genome_arguments(parser)
    add_class_arguments(parser)
    parser.add_argument("--resolution", type=int, required=True, help="bp a prediction covers")
    parser.add_argument(
        "--motifs", type=Path, help="motif file in JASPAR format (pwm; default: count from sites)"
    )
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file. pwm: {"matrices": {class: [identifier or name, ...]}, "bases": '
        'training bp on which to choose, "window": bp}; kmer: {"k": ..., "edges": [bp, ...], '
        '"negatives": ..., "regularisation": [C, ...] to choose from on "bases" of the '
        "validation part}",
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sampled negatives")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model")
    return parser.parse_args(argv)


def fit(arguments: argparse.Namespace) -> None:
    """Fit the baseline and write its folder."""
    use_threads(arguments.threads)
    check_genome_arguments(arguments)
    names = list(arguments.classes)
    stranded = shared_strandedness(arguments.classes)
    genomes = open_labelled_genomes(
        arguments.genome,
        arguments.sites,
        arguments.intervals,
        names,
        stranded,
        arguments.ignore_margin,
    )
    splits = read_splits(arguments.split)
    settings = complete_settings(arguments.method, arguments.settings, DEFAULTS[arguments.method])
    above = ("bases", "window") + (("negatives",) if arguments.method == "kmer" else ())
    require_above_zero(arguments.method, settings, *above)
    part_prevalence(genomes, splits, arguments.resolution)
    work = fit_matrices if arguments.method == "pwm" else fit_kmers
    bundle = work(arguments, settings, genomes, splits, names, stranded)
    bundle.training |= {
        "seed": arguments.seed,
        "genomes": sorted(genomes),
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
    }
    save_bundle(arguments.output_dir, bundle)


def fit_matrices(
    arguments: argparse.Namespace,
    settings: dict,
    genomes: dict[str, LabelledGenome],
    splits: dict[str, pd.DataFrame],
    names: list[str],
    stranded: bool,
) -> Bundle:
    """Choose the matrix of every class on training windows."""
    frequencies = letter_frequencies(genomes, splits)
    backgrounds = {"genome": frequencies, "uniform": np.full(DNA.size, 1 / DNA.size)}
    resolution = arguments.resolution
    if arguments.motifs is not None:
        known = read_jaspar(arguments.motifs, DNA)
        candidates = []
        for name in names:
            wanted = settings["matrices"].get(name, [name])
            motifs = [
                motif for item in wanted for motif in find_motifs(known, item, arguments.motifs)
            ]
            candidates.append(motif_candidates(motifs, backgrounds, resolution))
    elif stranded:
        candidates = count_candidates(genomes, splits, names, backgrounds)
    else:
        raise InputError(
            "method pwm needs --motifs for classes without a strand: their sites do not say which "
            "way a motif points; give a JASPAR file or drop pwm from the screen's baselines"
        )
    windows = windows_of(arguments, settings, splits, "train", stranded)
    source_of = partial(WindowSource, windows, genomes)
    chosen, precisions = choose_matrices(candidates, source_of, resolution, not stranded, DNA)
    for name, item, value in zip(names, chosen, precisions):
        logger.info("%s: %s; average precision on training windows %.4f", name, item.label, value)
    architecture, network = matrix_network(chosen, resolution, not stranded, DNA)
    return Bundle(
        name="pwm",
        network=network,
        architecture=architecture,
        classes=names,
        stranded=stranded,
        labels="independent",
        training={
            "chosen": {name: item.label for name, item in zip(names, chosen)},
            "training_average_precision": dict(zip(names, precisions)),
        },
        history=pd.DataFrame({"class": names, "training_average_precision": precisions}),
    )


def count_candidates(
    genomes: dict[str, LabelledGenome], splits: dict, names: list[str], backgrounds: dict
) -> list:
    """Count matrices from the aligned training sites of every class."""
    reach = max(max(span) for span in SPANS)
    candidates = []
    for row in range(len(names)):
        aligned = [
            stretches_around(labelled, *site_anchors(labelled, splits[name], row, 1), reach, reach)
            for name, labelled in genomes.items()
        ]
        candidates.append(site_candidates(np.concatenate(aligned), reach, backgrounds, DNA))
    return candidates


def fit_kmers(
    arguments: argparse.Namespace,
    settings: dict,
    genomes: dict[str, LabelledGenome],
    splits: dict[str, pd.DataFrame],
    names: list[str],
    stranded: bool,
) -> Bundle:
    """Fit the k-mer model of every class; the validation part chooses its regularisation."""
    kmer = kmer_settings(settings, arguments.resolution)
    architecture = Architecture(kmer)
    reverse_complement = "augment" if stranded else "average"
    network = build_network(architecture, len(names), "independent", reverse_complement)
    generator = np.random.default_rng(arguments.seed)
    strengths = sorted(settings["regularisation"])
    if not strengths or strengths[0] <= 0:
        raise InputError(f"kmer.regularisation is {strengths}; expected one or more values above 0")
    fits = []
    for row, name in enumerate(names):
        positives, negatives, total = kmer_samples(
            genomes, splits, row, kmer, settings["negatives"], generator
        )
        logger.info("%s: %d sites, %d negatives", name, len(positives), len(negatives))
        fits.append(fit_kmer_class(positives, negatives, total, kmer, DNA.size, strengths))
    windows = windows_of(arguments, settings, splits, "valid", stranded)
    source = WindowSource(windows, genomes, architecture)
    chosen, precisions = choose_kmers(fits, network, source)
    for item in zip(names, chosen, precisions):
        logger.info("%s: C %g; average precision on validation windows %.4f", *item)
    return Bundle(
        name="kmer",
        network=network,
        architecture=architecture,
        classes=names,
        stranded=stranded,
        labels="independent",
        reverse_complement=reverse_complement,
        training={"negatives": settings["negatives"], "chosen": dict(zip(names, chosen))},
        history=pd.DataFrame({"class": names, "validation_average_precision": precisions}),
    )


def kmer_settings(settings: dict, resolution: int) -> KmerSettings:
    """Return k and segments: fine around a one-base site, whole bins around a wider one."""
    kmer = KmerSettings(resolution=resolution, k=4 if resolution == 1 else 5)
    if resolution > 1:
        kmer = replace(kmer, edges=(-resolution, 0, resolution, 2 * resolution))
    if settings["k"] is not None:
        kmer = replace(kmer, k=settings["k"])
    if settings["edges"] is not None:
        if not isinstance(settings["edges"], list):
            raise InputError(f"kmer.edges is {settings['edges']!r}; expected a list, in bp")
        kmer = replace(kmer, edges=tuple(settings["edges"]))
    kmer.check()
    return kmer


def kmer_samples(
    genomes: dict[str, LabelledGenome],
    splits: dict,
    row: int,
    kmer: KmerSettings,
    most_negatives: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Copy the sequence around all training sites of a class and around a sample of other bins.

    Returns the two, shape (n, width), and how many bins the sample was drawn from.
    """
    left, right = -kmer.edges[0], kmer.edges[-1] + kmer.k - 2
    positives, negatives, total = [], [], 0
    for name, labelled in genomes.items():
        where = site_anchors(labelled, splits[name], row, kmer.resolution)
        positives.append(stretches_around(labelled, *where, left, right))
        share = most_negatives // len(genomes)
        where, count = sample_negatives(
            labelled, splits[name], row, kmer.resolution, share, generator
        )
        negatives.append(stretches_around(labelled, *where, left, right))
        total += count
    return np.concatenate(positives), np.concatenate(negatives), total


def windows_of(
    arguments: argparse.Namespace,
    settings: dict,
    splits: dict[str, pd.DataFrame],
    part: str,
    stranded: bool,
) -> pd.DataFrame:
    """Tile a part at natural prevalence, at most `bases` of it."""
    resolution = arguments.resolution
    return tile_windows(
        splits,
        part,
        -(-settings["window"] // resolution) * resolution,
        resolution,
        ("+", "-") if stranded else ("+",),
        settings["bases"],
        arguments.seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(fit, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
