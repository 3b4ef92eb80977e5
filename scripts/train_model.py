"""Train a network on sampled windows and write it, uncalibrated, as a model folder.

In: windows (augmented), and for every training genome its encoded folder, sites, intervals and
split, and the values of tracks that are learned beside the classes. Out: model.safetensors,
model.json (probabilities stay uncalibrated until calibrate_model has run) and history.tsv in
--output-dir. The weights kept are those with the best average precision on the validation part,
measured at the genome's own rate of sites.

Mini-batches take equally many windows from every laboratory (--laboratory), where some are named.

Stem and trunk may start from a network that learned without labels (--pretrained, a folder from
pretrain_model), and learn more slowly than the head, the lower layers more slowly still, or begin
one after the other from the top.

An unfinished run leaves its state in --checkpoint; the same command takes it up again.

Several devices train in one process each, every one with --threads threads and its share of each
batch; so does `torchrun --nproc-per-node 2 scripts/train_model.py`, also on several machines that
share their files. The loss is that of one process with the whole batch, but for rounding.

`train_model.py --describe` prints what every preset (or the --model given) sees, holds and costs on
this machine, and trains nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import (
    NETWORKS,
    REVERSE_COMPLEMENTS,
    Architecture,
    resolve_network,
)
from genomesieve.auxiliary import Auxiliary, measure_spread, prior_loss
from genomesieve.auxiliary_settings import resolve_auxiliary
from genomesieve.batches import WindowSource
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.command_line import (
    NamedPaths,
    add_class_arguments,
    add_device_arguments,
    add_genome_arguments,
    add_laboratory_argument,
    add_signal_argument,
    check_genome_arguments,
    comma_list,
    json_value,
    make_parser,
    run_script,
    signals_of,
)
from genomesieve.description import describe_network, table_of
from genomesieve.devices import choose_device, choose_devices, reported_memory, run_processes
from genomesieve.distributed import ALONE, Workers, device_of_process, joined, torchrun_place
from genomesieve.errors import InputError
from genomesieve.files import file_digest
from genomesieve.labelled_genome import open_labelled_genomes, read_splits, shared_strandedness
from genomesieve.memory_limits import ADVICE
from genomesieve.motif_filters import fit_shortcut, set_motif_filters
from genomesieve.motifs import Motif, find_motifs, read_jaspar
from genomesieve.networks import build_network, set_prior
from genomesieve.pretrained import TRUNK, read_trunk
from genomesieve.pretraining_settings import TransferSettings
from genomesieve.processors import use_threads
from genomesieve.signal_scaling import set_signal_scale, training_moments
from genomesieve.training import Trainer
from genomesieve.training_data import (
    TrainingData,
    check_laboratories,
    describe_run,
    open_tracks,
    open_training_data,
    read_windows,
)
from genomesieve.training_rounds import TrainingRound
from genomesieve.training_settings import TrainingSettings

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--windows", type=Path, required=True, help="windows table from augment_windows (parquet)"
    )
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    parser.add_argument(
        "--signals",
        type=comma_list,
        default=(),
        help="channels that the network sees beside the sequence, in this order, commas between",
    )
    add_laboratory_argument(parser)
    add_class_arguments(parser)
    parser.add_argument(
        "--model",
        type=json_value,
        required=True,
        help=f"JSON or its file: a preset ({', '.join(NETWORKS)}) and any of its settings",
    )
    parser.add_argument(
        "--training",
        type=json_value,
        default={},
        help='JSON or its file, such as {"steps": 1000, "batch": 16, "learning_rate": 0.002}',
    )
    add_auxiliary_arguments(parser)
    parser.add_argument(
        "--reverse-complement",
        choices=REVERSE_COMPLEMENTS,
        default="augment",
        help="unstranded classes: train on both strands, average both strands everywhere, or tie "
        "weights so that both strands agree",
    )
    parser.add_argument(
        "--ignore-margin",
        type=int,
        default=0,
        help="bp around a site's interval that are left out of the loss",
    )
    add_start_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order of windows")
    add_device_arguments(parser, several="its share of each batch")
    parser.add_argument(
        "--checkpoint", type=Path, help="folder for the state of an unfinished run (default: none)"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model")
    return parser.parse_args(argv)


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what weights start as."""
    parser.add_argument(
        "--start-from",
        type=Path,
        help="model folder of the same architecture whose weights training goes on from; they are "
        "kept unless a validation is better (default: fresh weights)",
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        help="folder from pretrain_model of the same stem and trunk, which training starts from; "
        'how they learn is "pretrained" in --training, such as {"trunk_rate": 0.1, "layer_decay": '
        '0.8, "unfreeze_steps": 100}',
    )
    parser.add_argument(
        "--stem-motifs",
        type=Path,
        help="motif file (JASPAR) whose motifs the first filters start as",
    )
    parser.add_argument(
        "--stem-matrices",
        type=json_value,
        default=[],
        help="JSON list of identifiers or names in it (default: the classes' own names)",
    )


def add_auxiliary_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is learned beside the classes."""
    parser.add_argument(
        "--auxiliary",
        type=json_value,
        default={},
        help="JSON or its file: what is learned beside the classes, such as "
        '{"gc": {"property": "gc", "weight": 0.1}}',
    )
    parser.add_argument(
        "--auxiliary-track",
        action=NamedPaths,
        default={},
        metavar="GENOME:TRACK=PATH",
        help="values from encode_signal of a track that is learned; repeat",
    )


def parse_description(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line of --describe, which needs no data."""
    parser = make_parser(describe.__doc__)
    parser.add_argument("--describe", action="store_true", required=True, help="print and stop")
    parser.add_argument("--model", type=json_value, help="one model (default: every preset)")
    parser.add_argument("--outputs", type=int, default=2, help="number of classes")
    parser.add_argument("--labels", choices=["exclusive", "independent"], default="independent")
    parser.add_argument("--reverse-complement", choices=REVERSE_COMPLEMENTS, default="augment")
    add_device_arguments(parser)
    return parser.parse_args(argv)


def describe(arguments: argparse.Namespace) -> None:
    """Print parameters, receptive field, operations and speed of networks."""
    use_threads(arguments.threads)
    device = choose_device(arguments.device)
    models = [arguments.model] if arguments.model else [{"preset": name} for name in NETWORKS]
    rest = arguments.outputs, arguments.labels, arguments.reverse_complement, device
    print(table_of([describe_network(model, *rest) for model in models]))


def train(arguments: argparse.Namespace) -> None:
    """Train on all devices: here, in a process each, or as one of torchrun's processes."""
    check_genome_arguments(arguments)
    devices = choose_devices(arguments.devices)
    place = torchrun_place()
    if place is not None:
        rank, size, local = place
        device = device_of_process(devices, local)
        train_together(arguments, str(device), rank, size, "env://")
    elif len(devices) > 1:
        train_by_processes(arguments, devices)
    else:
        train_on(arguments, devices[0], ALONE)


def train_by_processes(arguments: argparse.Namespace, devices: list[torch.device]) -> None:
    """Train in a process for each device; the first that fails ends all."""
    size = len(devices)
    with tempfile.TemporaryDirectory(prefix="genomesieve-") as folder:
        rendezvous = f"file://{folder}/rendezvous"
        jobs = [
            (
                f"{device} ({rank + 1} of {size})",
                (arguments, str(device), rank, size, rendezvous),
            )
            for rank, device in enumerate(devices)
        ]
        run_processes(train_together, jobs)


def train_together(
    arguments: argparse.Namespace, device: str, rank: int, size: int, rendezvous: str
) -> None:
    """Train as one of several processes."""
    with joined(rank, size, torch.device(device), rendezvous) as workers:
        train_on(arguments, torch.device(device), workers)


def train_on(arguments: argparse.Namespace, device: torch.device, workers: Workers) -> None:
    """Read everything, train, and let the first process write the model folder."""
    use_threads(arguments.threads)
    architecture = resolve_network(arguments.model)
    settings = TrainingSettings.from_mapping(arguments.training)
    transfer = transfer_settings(arguments, settings)
    stranded, classes = shared_strandedness(arguments.classes), list(arguments.classes)
    data, auxiliary = open_data(arguments, architecture, settings, device)
    motifs = start_motifs(arguments, classes)
    network = start_network(arguments, architecture, settings, data, motifs)
    about = describe_run(data, arguments.windows, arguments.seed, device, arguments.threads)
    about |= {
        "processes": workers.size,
        "stem_motifs": [motif.identifier for motif in motifs],
        "auxiliary": {} if auxiliary is None else auxiliary.describe(),
        "pretrained": describe_transfer(arguments, transfer),
    }
    bundle = Bundle(
        name=architecture.settings.preset,
        network=network,
        architecture=architecture,
        classes=classes,
        stranded=stranded,
        labels=arguments.labels,
        reverse_complement=arguments.reverse_complement,
        signals=list(arguments.signals),
        laboratories=data.laboratories,
        training=vars(settings) | about,
    )
    log_start(bundle, data.sources["train"])
    further = None
    if arguments.start_from is not None:
        further = TrainingRound(arguments.start_from, bundle, data.sources["valid"], device)
    trainer = Trainer(
        network,
        data.sources["train"],
        data.sources["valid"],
        classes,
        arguments.labels,
        settings,
        arguments.seed,
        device,
        data.prevalence,
        arguments.checkpoint,
        fingerprint(arguments, workers),
        auxiliary,
        workers,
        transfer=transfer,
    )
    if further is not None and further.corrected:
        trainer.undo_correction()
    with reported_memory(device, ADVICE):
        bundle.history = trainer.fit()
    if further is not None:
        further.finish(bundle.history)
    if workers.first:
        save_bundle(arguments.output_dir, bundle)


def open_data(
    arguments: argparse.Namespace,
    architecture: Architecture,
    settings: TrainingSettings,
    device: torch.device,
) -> tuple[TrainingData, Auxiliary | None]:
    """Open genomes, tracks and windows, and measure what training starts from."""
    check_laboratories(arguments.laboratory, arguments.genome, architecture)
    genomes = open_labelled_genomes(
        arguments.genome,
        arguments.sites,
        arguments.intervals,
        list(arguments.classes),
        shared_strandedness(arguments.classes),
        arguments.ignore_margin,
        {name: signals_of(name, arguments.signal) for name in arguments.genome},
        arguments.signals,
    )
    tasks = resolve_auxiliary(arguments.auxiliary, architecture)
    data = open_training_data(
        read_windows(arguments.windows),
        genomes,
        read_splits(arguments.split),
        architecture,
        settings.weight_cap,
        device,
        arguments.laboratory,
        open_tracks(arguments.auxiliary_track, tasks, genomes, architecture),
    )
    unit = prior_loss(data.prevalence, arguments.labels)
    auxiliary = None
    if tasks:
        auxiliary = measure_spread(tasks, architecture, data.sources["train"], unit)
    return data, auxiliary


def start_network(
    arguments: argparse.Namespace,
    architecture: Architecture,
    settings: TrainingSettings,
    data: TrainingData,
    motifs: list[Motif],
) -> nn.Module:
    """Build the network as training starts from it, but for the weights of another."""
    torch.manual_seed(arguments.seed)
    network = build_network(
        architecture,
        len(arguments.classes),
        arguments.labels,
        arguments.reverse_complement,
        signals=len(arguments.signals),
        laboratories=max(1, len(data.laboratories)),
    )
    if arguments.signals:
        opened = (one.genome for one in data.genomes.values())
        set_signal_scale(network, *training_moments(opened, data.splits))
    set_prior(network, data.prevalence, arguments.labels, 1 - settings.logit_adjustment)
    filters = set_motif_filters(network, motifs)
    if motifs:
        logger.info("%d first filters start as %d motifs", filters, len(motifs))
    if motifs and architecture.settings.shortcut:
        source = data.sources["train"]
        started = fit_shortcut(network, motifs, list(arguments.classes), source, arguments.seed)
        logger.info("classes that start as their motif: %s", ", ".join(started) or "none")
    if arguments.pretrained is not None:
        mode, signals = arguments.reverse_complement, len(arguments.signals)
        read_trunk(arguments.pretrained).copy_to(network, architecture, mode, signals)
    return network


def transfer_settings(
    arguments: argparse.Namespace, settings: TrainingSettings
) -> TransferSettings | None:
    """Return how pretrained layers learn; None where nothing is pretrained."""
    if arguments.pretrained is None:
        if settings.pretrained:
            raise InputError(
                f"training.pretrained is {settings.pretrained} and nothing is pretrained; expected "
                "it left out, or --pretrained"
            )
        return None
    if arguments.stem_motifs is not None:
        raise InputError(
            "--stem-motifs and --pretrained both say what the first filters start as; expected one"
        )
    return TransferSettings.from_mapping(settings.pretrained)


def describe_transfer(arguments: argparse.Namespace, transfer: TransferSettings | None) -> dict:
    """Return what model.json says of the pretrained stem and trunk; empty where there is none."""
    if transfer is None:
        return {}
    return {"sha256": file_digest(arguments.pretrained / TRUNK), **vars(transfer)}


def start_motifs(arguments: argparse.Namespace, classes: list[str]) -> list[Motif]:
    """Return the motifs that the first filters start as; none without a motif file."""
    if arguments.stem_motifs is None:
        return []
    known = read_jaspar(arguments.stem_motifs, DNA)
    wanted = arguments.stem_matrices or classes
    return [one for item in wanted for one in find_motifs(known, item, str(arguments.stem_motifs))]


def log_start(bundle: Bundle, source: WindowSource) -> None:
    """Log what is about to be trained, on what."""
    architecture = bundle.architecture
    logger.info(
        "%s: %d parameters, context %d bp, resolution %d bp; %d training windows of %d bp, "
        "effective share %.2f; device %s, %d process(es), %d threads",
        bundle.name,
        sum(weight.numel() for weight in bundle.network.parameters()),
        architecture.context,
        architecture.resolution,
        len(source),
        source.length,
        source.effective_share,
        bundle.training["device"],
        bundle.training["processes"],
        bundle.training["threads"],
    )


def fingerprint(arguments: argparse.Namespace, workers: Workers) -> str:
    """Digest everything that a checkpoint must agree on: data, settings, software."""
    inputs = [arguments.windows, *arguments.sites.values(), *arguments.intervals.values()]
    if arguments.start_from is not None:
        inputs.append(arguments.start_from / "model.safetensors")
    inputs += [arguments.stem_motifs] if arguments.stem_motifs else []
    inputs += [arguments.pretrained / TRUNK] if arguments.pretrained else []
    inputs += arguments.auxiliary_track.values()
    content = {
        "inputs": [file_digest(path) for path in inputs],
        "contigs": [file_digest(folder / "contigs.tsv") for folder in arguments.genome.values()],
        "model": arguments.model,
        "training": arguments.training,
        "auxiliary": arguments.auxiliary,
        "classes": arguments.classes,
        "stem_matrices": arguments.stem_matrices,
        "labels": [arguments.labels, arguments.reverse_complement, arguments.ignore_margin],
        "signals": [(name, file_digest(path)) for name, path in arguments.signal.items()],
        "channels": arguments.signals,
        "laboratories": arguments.laboratory,
        "run": [arguments.seed, arguments.threads, torch.__version__],
        "devices": [arguments.devices, workers.size],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    given = sys.argv[1:] if argv is None else argv
    if "--describe" in given:
        return run_script(describe, parse_description(given))
    return run_script(train, parse_arguments(given))


if __name__ == "__main__":
    sys.exit(main())
