"""Estimate what a model's predictions depend on, so that later stages can keep it.

In: a model folder that training wrote (a calibrated bundle will do), and the windows and genomes it
was trained on last. Out: fisher.safetensors, the diagonal Fisher information of every weight, the
mean over single predictions (see genomesieve/fisher.py), with how many predictions it is a mean
over. It belongs to exactly these weights and holds no data: `adapt_model --method ewc` needs it and
nothing else of the old genomes, which may then be deleted.

A model that was itself adapted passes on what is known of older genomes (--previous): each for
itself (form separate) or in one sum (form online).
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from genomesieve.adaptation_settings import FisherSettings
from genomesieve.bundle import Bundle, load_bundle
from genomesieve.command_line import (
    add_code_argument,
    add_device_arguments,
    add_genome_arguments,
    add_laboratory_argument,
    add_signal_argument,
    check_genome_arguments,
    json_value,
    make_parser,
    run_script,
    signals_of,
)
from genomesieve.consolidation import (
    FILE,
    OldTask,
    load_tasks,
    merge_tasks,
    parameters_of,
    save_tasks,
)
from genomesieve.devices import choose_device
from genomesieve.errors import InputError
from genomesieve.fisher import count_observations, estimate_fisher
from genomesieve.labelled_genome import open_labelled_genomes, read_splits
from genomesieve.processors import use_threads
from genomesieve.training_data import open_training_data, read_windows
from genomesieve.training_settings import TrainingSettings

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    add_code_argument(parser)
    parser.add_argument("--stage", default="base", help="name of the stage that it stands for")
    parser.add_argument("--windows", type=Path, required=True, help="its training windows")
    parser.add_argument(
        "--previous",
        type=Path,
        help=f"model folder that this one was adapted from, with its {FILE}; older genomes are "
        "passed on",
    )
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    add_laboratory_argument(parser)
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help='JSON or its file: {"kind": "expected" | "empirical", "form": "separate" | "online", '
        '"decay": of the online sum, "positions": gradients taken, "windows": most windows}',
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    add_device_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, help=f"file to write, {FILE} beside the model"
    )
    return parser.parse_args(argv)


def estimate(arguments: argparse.Namespace) -> None:
    """Estimate the Fisher information of the last stage and write it with older ones."""
    use_threads(arguments.threads)
    check_genome_arguments(arguments)
    settings = FisherSettings.from_mapping(arguments.settings)
    bundle = load_bundle(arguments.model, arguments.network_code)
    if bundle.member_seeds:
        raise InputError(
            f"model {arguments.model} is the mean of seeds {bundle.member_seeds}; expected the "
            "network of one seed: each has Fisher information of its own"
        )
    tasks = [*older_tasks(arguments), newest_task(arguments, bundle, settings)]
    if settings.form == "online":
        tasks = [merge_tasks(tasks, settings.decay)]
    for task in tasks:
        total = sum(float(value.sum()) for value in task.fisher.values())
        logger.info("%s: trace %.4g over %.4g predictions", task.name, total, task.observations)
    save_tasks(arguments.output, tasks, arguments.model / "model.safetensors")


def older_tasks(arguments: argparse.Namespace) -> list[OldTask]:
    """Return what is known of the genomes before, from the model that this one was adapted from."""
    folder = arguments.previous
    if folder is None:
        return []
    previous = load_bundle(folder, arguments.network_code)
    return load_tasks(folder / FILE, folder, previous.network)


def newest_task(arguments: argparse.Namespace, bundle: Bundle, settings: FisherSettings) -> OldTask:
    """Estimate the Fisher information of the genomes that were learned last."""
    genomes = open_labelled_genomes(
        arguments.genome,
        arguments.sites,
        arguments.intervals,
        bundle.classes,
        bundle.stranded,
        arguments.ignore_margin,
        {name: signals_of(name, arguments.signal) for name in arguments.genome},
        bundle.signals,
    )
    device = choose_device(arguments.device)
    cap = bundle.training.get("weight_cap", TrainingSettings.weight_cap)
    data = open_training_data(
        read_windows(arguments.windows),
        genomes,
        read_splits(arguments.split),
        bundle.architecture,
        cap,
        device,
        arguments.laboratory,
        lacking=bundle.classes,
    )
    fisher = estimate_fisher(
        bundle.network,
        data.sources["train"],
        bundle.architecture,
        bundle.labels,
        settings.kind,
        device,
        settings.windows,
        settings.positions,
        arguments.seed,
    )
    count = count_observations(
        data.genomes, data.splits, bundle.architecture.resolution, bundle.labels
    )
    optimum = parameters_of(bundle.network)
    return OldTask(arguments.stage, settings.kind, float(count), fisher, optimum)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(estimate, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
