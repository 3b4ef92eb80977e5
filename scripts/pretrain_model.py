"""Pretrain a network's stem and trunk on genomes without labels: it predicts hidden bases.

In: encoded genomes (codes.npy, contigs.tsv, softmask.parquet), the settings of a network, and which
contigs or stretches are held out. Out, in --output-dir: trunk.safetensors (stem and trunk, with the
statistics of their norms), model.json, history.tsv and perplexity.tsv. `train_model --pretrained`
starts a network of the same stem and trunk from it.

Single bases and spans are hidden as unknown ones, in windows of either strand. Bases in soft-masked
(lower-case) repeats count less in the loss. Nothing outside the intervals to train on is read, not
even as context: bases beyond their ends are unknown.

In the end the network predicts hidden bases of the held-out intervals, beside k-mer models that
were counted on the intervals to train on and see the same hidden bases: two-sided (k bases on each
side) and one-sided (Markov, k bases before). Where a neighbour is hidden or unknown, a k-mer model
uses what lies before it on that side. perplexity.tsv holds exp of the mean negative log-likelihood
in nats (4 is guessing) with block-bootstrap intervals, and by how many nats a base the network is
better. Nothing is chosen by the held-out intervals: the last weights are kept.

An unfinished run leaves its state in --checkpoint; the same command takes it up again. One device
is used, the first of those named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomesieve.architecture import NETWORKS, Architecture
from genomesieve.command_line import (
    NamedPaths,
    add_device_arguments,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_device
from genomesieve.errors import InputError
from genomesieve.files import file_digest, read_table
from genomesieve.genome import EncodedGenome
from genomesieve.hardware import describe_hardware, software_versions
from genomesieve.held_out import HELD_OUT, TRAIN, divide_genome
from genomesieve.kmer_models import KmerModel, fit_model
from genomesieve.perplexity import (
    HiddenBases,
    blocks_of_windows,
    kmer_losses,
    network_losses,
    perplexity_table,
)
from genomesieve.pretrained import write_trunk
from genomesieve.pretraining import BaseNetwork, Pretrainer, build_base_network
from genomesieve.pretraining_settings import (
    SYMMETRIES,
    PretrainingSettings,
    check_window,
    resolve_pretraining,
)
from genomesieve.processors import use_threads
from genomesieve.unlabelled import HeldOutWindows, MaskedWindows, Stretches

logger = logging.getLogger(__name__)

_VALIDATION, _EVALUATION = 1, 2
"""Numbers that keep the masks of different purposes apart, whatever the seed."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--genome",
        action=NamedPaths,
        required=True,
        metavar="NAME=PATH",
        help="folder from encode_genome; repeat for every genome",
    )
    parser.add_argument(
        "--split",
        type=json_value,
        required=True,
        help='JSON or its file: {"NAME": {"held_out": ["chr1", "chr2:0-1000"], "train": [...]}}, '
        "0-based half-open; without train the rest of the genome, without held_out none of it. "
        '"regions" may list what of the genome is used at all',
    )
    parser.add_argument(
        "--model",
        type=json_value,
        required=True,
        help=f"JSON or its file: a preset ({', '.join(NETWORKS)}) and any of its settings, as for "
        "train_model; pooling and head are left aside",
    )
    parser.add_argument(
        "--training",
        type=json_value,
        default={},
        help='JSON or its file, such as {"steps": 2000, "batch": 16, "length": 2000, "mask": '
        '{"share": 0.15, "span_share": 0.3, "span": 8}, "repeat_weight": 0.2}',
    )
    parser.add_argument(
        "--reverse-complement",
        choices=SYMMETRIES,
        default="augment",
        help="both strands are learned, or tied weights make them agree (for screens that tie "
        "theirs)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, windows and masks")
    add_device_arguments(parser)
    parser.add_argument(
        "--checkpoint", type=Path, help="folder for the state of an unfinished run (default: none)"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the trunk")
    return parser.parse_args(argv)


def pretrain(arguments: argparse.Namespace) -> None:
    """Read everything, train, measure perplexity and write."""
    use_threads(arguments.threads)
    device = choose_device(arguments.device)
    architecture = resolve_pretraining(arguments.model, arguments.reverse_complement)
    settings = PretrainingSettings.from_mapping(arguments.training)
    check_window(architecture, settings.length)
    genomes = {
        name: EncodedGenome.open_checked(path, name) for name, path in arguments.genome.items()
    }
    intervals = divide_genomes(arguments.split, genomes)
    parts = open_parts(arguments.genome, genomes, intervals)
    torch.manual_seed(arguments.seed)
    network = build_base_network(architecture, arguments.reverse_complement)
    log_start(arguments, architecture, parts, network, settings.length)
    train = MaskedWindows(
        *(parts[TRAIN], architecture, settings.length, settings.masks),
        *(settings.repeat_weight, arguments.seed),
    )
    watched = held_out_windows(
        parts, architecture, settings, settings.validation_bp, [arguments.seed, _VALIDATION]
    )
    measured = held_out_windows(
        parts, architecture, settings, settings.evaluation_bp, [arguments.seed, _EVALUATION]
    )
    trainer = Pretrainer(
        *(network, train, watched, settings, arguments.seed, device, arguments.checkpoint),
        fingerprint(arguments, genomes),
    )
    # The checkpoint ends with training: what takes long and may fail comes before.
    others = kmer_models(parts[TRAIN], measured, settings, arguments.seed)
    history = trainer.fit()
    table = compare(network_losses(network, measured, device), others, measured, arguments.seed)
    about = describe(arguments, architecture, settings, genomes, intervals, device, parts)
    write_trunk(arguments.output_dir, network, about, history, table)


def divide_genomes(
    split: object, genomes: Mapping[str, EncodedGenome]
) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the intervals of each genome to train on and those held out, by part and genome."""
    if not isinstance(split, dict) or set(split) != set(genomes):
        found = ", ".join(sorted(split)) if isinstance(split, dict) else repr(split)
        raise InputError(f"--split names {found}; expected {', '.join(sorted(genomes))}")
    divided = {
        name: divide_genome(split[name], genome.contigs, name) for name, genome in genomes.items()
    }
    parts = {
        part: {name: tables[part] for name, tables in divided.items()} for part in (TRAIN, HELD_OUT)
    }
    for part, tables in parts.items():
        if not sum(map(len, tables.values())):
            raise InputError(f"--split: no genome has an interval of part {part}; expected some")
    return parts


def open_parts(
    folders: Mapping[str, Path],
    genomes: Mapping[str, EncodedGenome],
    intervals: Mapping[str, Mapping[str, pd.DataFrame]],
) -> dict[str, Stretches]:
    """Open what is trained on and what is held out, with their repeats."""
    columns = ("contig", "start", "end")
    repeats = {
        name: read_table(folder / "softmask.parquet", f"lower-case runs of {name}", columns)
        for name, folder in folders.items()
    }
    return {part: Stretches(genomes, tables, repeats) for part, tables in intervals.items()}


def held_out_windows(
    parts: Mapping[str, Stretches],
    architecture: Architecture,
    settings: PretrainingSettings,
    most: int,
    seed: list[int],
) -> HeldOutWindows:
    """Return held-out windows in which networks and k-mer models see all that they can use."""
    flank = max(architecture.context, settings.two_sided, settings.one_sided)
    return HeldOutWindows(parts[HELD_OUT], settings.length, flank, settings.masks, seed, most)


def kmer_models(
    train: Stretches, windows: HeldOutWindows, settings: PretrainingSettings, seed: int
) -> dict[tuple[str, int], np.ndarray]:
    """Fit all k-mer models; return -log P of each hidden base by kind and k."""
    codes = [train.codes(number) for number in range(len(train))]
    losses = {}
    for kind, left, right, sizes in families(settings):
        model: KmerModel = fit_model(codes, left, right, seed)
        for k, values in zip(sizes, kmer_losses(model, windows, list(sizes.values()))):
            losses[kind, k] = values
    return losses


def compare(
    own: np.ndarray,
    others: Mapping[tuple[str, int], np.ndarray],
    windows: HeldOutWindows,
    seed: int,
) -> pd.DataFrame:
    """Return the perplexities of the network and of k-mer models on the same hidden bases."""
    named = {f"{kind} k={k}": values for (kind, k), values in others.items()}
    blocks = blocks_of_windows(len(windows), windows.length)
    losses = {"network": own} | named
    table = perplexity_table(losses, "network", HiddenBases.of(windows), blocks, seed=seed)
    kinds = {"network": ("network", None)} | dict(zip(named, others))
    table.insert(1, "kind", [kinds[name][0] for name in table["model"]])
    table.insert(2, "k", pd.array([kinds[name][1] for name in table["model"]], dtype="Int64"))
    log_verdict(table)
    return table


def families(
    settings: PretrainingSettings,
) -> list[tuple[str, int, int, dict[int, tuple[int, int]]]]:
    """List the k-mer models: kind, most bases on the left and right, and the sizes by k."""
    two, one = settings.two_sided, settings.one_sided
    return [
        ("letters", 0, 0, {0: (0, 0)}),
        ("one-sided", one, 0, {k: (k, 0) for k in range(1, one + 1)}),
        ("two-sided", two, two, {k: (k, k) for k in range(1, two + 1)}),
    ]


def log_verdict(table: pd.DataFrame) -> None:
    """Log the network's perplexity and the best k-mer model's, whichever is lower."""
    rows = table[(table["positions"] == "everywhere") & (table["mask"] == "all")]
    network, others = rows.iloc[0], rows.iloc[1:]
    best = others.loc[others["perplexity"].idxmin()]
    logger.info(
        "held-out perplexity %.4f (%.4f to %.4f) on %d hidden bases; best k-mer model %s: %.4f; "
        "difference %.4f nats a base (%.4f to %.4f; above 0: the network is better)",
        *(network["perplexity"], network["low"], network["high"], network["bases"]),
        *(best["model"], best["perplexity"], best["difference"]),
        *(best["difference_low"], best["difference_high"]),
    )


def log_start(
    arguments: argparse.Namespace,
    architecture: Architecture,
    parts: Mapping[str, Stretches],
    network: BaseNetwork,
    length: int,
) -> None:
    """Log what is about to be trained, on what."""
    sizes = parts[TRAIN].sizes
    logger.info(
        "%s: %d parameters, context %d bp, %d base(s) a position; %d bp to train on, %d of them in "
        "intervals shorter than a window, which only k-mer models use; %d bp held out; %d threads",
        architecture.settings.preset,
        sum(weight.numel() for weight in network.parameters()),
        architecture.context,
        architecture.resolution,
        sizes.sum(),
        sizes[sizes < length].sum(),
        parts[HELD_OUT].sizes.sum(),
        arguments.threads,
    )


def describe(
    arguments: argparse.Namespace,
    architecture: Architecture,
    settings: PretrainingSettings,
    genomes: Mapping[str, EncodedGenome],
    intervals: Mapping[str, Mapping[str, pd.DataFrame]],
    device: torch.device,
    parts: Mapping[str, Stretches],
) -> dict:
    """Return what model.json says beside its format."""
    listed = {
        part: {
            name: [f"{row.contig}:{row.start}-{row.end}" for row in table.itertuples()]
            for name, table in tables.items()
        }
        for part, tables in intervals.items()
    }
    return {
        "architecture": architecture.to_dict(),
        "reverse_complement": arguments.reverse_complement,
        "training": vars(settings),
        "seed": arguments.seed,
        "intervals": listed,
        "bases": {part: int(stretches.sizes.sum()) for part, stretches in parts.items()},
        "genomes_sha256": {name: one.sha256 for name, one in genomes.items()},
        "device": str(device),
        "threads": arguments.threads,
        "software": software_versions(),
        "hardware": describe_hardware([device]),
    }


def fingerprint(arguments: argparse.Namespace, genomes: Mapping[str, EncodedGenome]) -> str:
    """Digest everything that a checkpoint must agree on: data, settings, software."""
    files = ("contigs.tsv", "softmask.parquet")
    content = {
        "codes": [
            one.sha256 or file_digest(arguments.genome[name] / "codes.npy")
            for name, one in genomes.items()
        ],
        "inputs": [
            file_digest(folder / name) for folder in arguments.genome.values() for name in files
        ],
        "split": arguments.split,
        "model": [arguments.model, arguments.reverse_complement],
        "training": arguments.training,
        "run": [arguments.seed, arguments.threads, torch.__version__, arguments.device],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(pretrain, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
