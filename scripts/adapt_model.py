"""Take a trained network to a new genome's labels, and keep what it knew.

In: a model folder (calibrated or not), windows of the new genome, and for every genome its encoded
folder, sites, intervals and split. Out, in --output-dir: an uncalibrated model folder, as
train_model writes it, whose model.json remembers the lineage: every stage with its method, genomes
and the digest of the weights it started from.

Methods (--settings '{"method": ...}'):
  finetune  all weights learn from the new genome alone
  head      the last layer alone learns
  ewc       elastic weight consolidation: all weights learn, held where the old genomes' predictions
            depend on them by the model's fisher.safetensors; no old data is read
  replay    some windows of old genomes (--old-windows) are learned again; needs their data
  joint     all windows of old and new genomes together; needs their data
  lora      low-rank matrices beside the weights, and the last layer, learn
  scratch   fresh weights learn from the new genome alone, to compare with

Whatever is chosen (the best step, the learning rate, lambda) is chosen on the new genome's
validation part. Where no validation beats the model that came in, its weights are kept. --classes
may name new classes after those of the model: outputs are appended for them.

An unfinished run leaves its state in --checkpoint; the same command takes it up again.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from genomesieve.adaptation_settings import METHODS, WITH_OLD_DATA, AdaptationSettings
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.class_growth import grown_network
from genomesieve.command_line import (
    add_class_arguments,
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
from genomesieve.consolidation import FILE, ElasticPenalty, OldTask, load_tasks
from genomesieve.custom_settings import CustomSettings
from genomesieve.devices import choose_device, reported_memory
from genomesieve.errors import InputError
from genomesieve.files import file_digest
from genomesieve.fisher import count_observations
from genomesieve.freezing import freeze_all_but_head
from genomesieve.labelled_genome import open_labelled_genomes, read_splits, shared_strandedness
from genomesieve.low_rank import add_low_rank, merge_low_rank
from genomesieve.memory_limits import ADVICE
from genomesieve.networks import build_network, set_prior
from genomesieve.norms import batch_norms
from genomesieve.processors import use_threads
from genomesieve.replay import with_old_windows
from genomesieve.training import Trainer
from genomesieve.training_data import (
    TrainingData,
    check_laboratories,
    describe_run,
    open_training_data,
    read_windows,
)
from genomesieve.training_settings import TrainingSettings
from genomesieve.validation import validation_average_precision

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model folder to start from")
    add_code_argument(parser)
    parser.add_argument(
        "--fisher", type=Path, help=f"Fisher information of method ewc (default: MODEL/{FILE})"
    )
    parser.add_argument("--stage", default="", help="name of the new stage in the lineage")
    parser.add_argument(
        "--windows", type=Path, required=True, help="windows of the new genome (parquet)"
    )
    parser.add_argument(
        "--old-windows",
        type=Path,
        action="append",
        default=[],
        help="windows of an old genome, for methods replay and joint; repeat",
    )
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    add_laboratory_argument(parser)
    add_class_arguments(parser)
    parser.add_argument(
        "--settings",
        type=json_value,
        default={},
        help=f'JSON or its file: {{"method": {" | ".join(METHODS)}, "lambda": number or null, '
        '"lambdas": [...], "learning_rates": [...], "replay_share": share, "rank": number}',
    )
    parser.add_argument(
        "--training",
        type=json_value,
        default={},
        help="JSON or its file, as of train_model; weight_decay is 0 unless given",
    )
    parser.add_argument("--ignore-margin", type=int, default=0, help="bp around a site's interval")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of windows")
    add_device_arguments(parser)
    parser.add_argument("--checkpoint", type=Path, help="folder for the state of an unfinished run")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model")
    return parser.parse_args(argv)


@dataclass
class Candidate:
    """One training with its settings, and what came of it.

    `precision` is the best mean average precision on the validation part of the new genome.
    """

    learning_rate: float
    lambda_: float | None
    precision: float
    weights: dict[str, Tensor]
    history: pd.DataFrame

    def describe(self) -> dict:
        """Return what the lineage says of it."""
        return {
            "learning_rate": self.learning_rate,
            "lambda": self.lambda_,
            "validation_average_precision": self.precision,
        }


class Adaptation:
    """Everything that the trainings of one adaptation share.

    Parameters
    ----------
    arguments : argparse.Namespace
    """

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.device = choose_device(arguments.device)
        self.settings = AdaptationSettings.from_mapping(arguments.settings)
        self.training = TrainingSettings.from_mapping({"weight_decay": 0.0} | arguments.training)
        self.former = load_bundle(arguments.model, arguments.network_code)
        check_former(self.former, arguments, self.settings, self.training)
        self.classes = list(arguments.classes)
        windows = read_windows(arguments.windows)
        self.new_genomes = sorted(set(windows["genome"]))
        self.data = open_data(
            arguments, windows, self.former, self.settings, self.training, self.device
        )
        self.network = self._start()
        # The statistics of norms belong to the weights: fresh ones must measure their own.
        keeps = self.settings.freeze_norms and self.settings.method != "scratch"
        freeze_norms = bool(keeps and batch_norms(self.network))
        self.training = dataclasses.replace(self.training, freeze_norms=freeze_norms)
        self.weights = copy.deepcopy(self.network.state_dict())
        self.tasks: list[OldTask] = []
        if self.settings.method == "ewc":
            path = arguments.fisher or arguments.model / FILE
            self.tasks = load_tasks(path, arguments.model, self.former.network)
        resolution = self.former.architecture.resolution
        self.observations = count_observations(
            self.data.genomes, self.data.splits, resolution, self.former.labels
        )

    def _start(self) -> nn.Module:
        """Return the network that training starts from."""
        torch.manual_seed(self.arguments.seed)
        if self.settings.method != "scratch":
            return grown_network(self.former, self.classes, self.data.prevalence)
        former = self.former
        if isinstance(former.architecture.settings, CustomSettings):
            raise InputError("method scratch and the network is custom; expected another method")
        network = build_network(
            former.architecture,
            len(self.classes),
            former.labels,
            former.reverse_complement,
            signals=len(former.signals),
            laboratories=max(1, len(former.laboratories)),
        )
        set_prior(network, self.data.prevalence, former.labels)
        return network

    def validate(self) -> float:
        """Return the mean average precision of the start on the new genome's validation part."""
        self.network.load_state_dict(self.weights)
        values = validation_average_precision(
            self.network.to(self.device),
            self.data.sources["valid"],
            len(self.classes),
            self.former.labels,
            self.device,
        )
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def fit(self, method: str, learning_rate: float, lambda_: float | None = None) -> Candidate:
        """Train once from the start; return what came of it."""
        logger.info("%s: learning rate %g, lambda %s", method, learning_rate, lambda_)
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.weights)
        network.requires_grad_(True)
        if method == "head":
            freeze_all_but_head(network)
        elif method == "lora":
            torch.manual_seed(self.arguments.seed)
            add_low_rank(network, self.settings.rank)
        network = network.to(self.device)
        penalty = None
        if method == "ewc":
            penalty = ElasticPenalty(self.tasks, lambda_, self.observations, network)
        settings = dataclasses.replace(self.training, learning_rate=learning_rate)
        name = f"{method}-{learning_rate:g}-{lambda_}"
        checkpoint = self.arguments.checkpoint
        trainer = Trainer(
            network,
            self.data.sources["train"],
            self.data.sources["valid"],
            self.classes,
            self.former.labels,
            settings,
            self.arguments.seed,
            self.device,
            self.data.prevalence,
            checkpoint and checkpoint / name,
            fingerprint(self.arguments, self.settings, self.training, name),
            penalty=penalty,
        )
        with reported_memory(self.device, ADVICE):
            history = trainer.fit()
        if method == "lora":
            merge_low_rank(network)
        best = float(history["validation_average_precision"].max())
        weights = {key: value.cpu() for key, value in network.state_dict().items()}
        return Candidate(learning_rate, lambda_, best, weights, history)


def adapt(arguments: argparse.Namespace) -> None:
    """Train with every setting that is to be tried, choose, and write the model folder."""
    use_threads(arguments.threads)
    check_genome_arguments(arguments)
    work = Adaptation(arguments)
    method = work.settings.method
    before = work.validate()
    logger.info("starting from %s: validation average precision %.4f", arguments.model, before)
    tried = try_settings(work)
    chosen = choose(tried, work.settings)
    kept = method == "scratch" or not before >= chosen.precision
    if not kept:
        logger.warning(
            "no validation was better (%.4f) than the start (%.4f): its weights are kept",
            chosen.precision,
            before,
        )
    work.network.load_state_dict(chosen.weights if kept else work.weights)
    former = work.former
    about = describe_run(
        work.data, arguments.windows, arguments.seed, work.device, arguments.threads
    )
    record = {
        "stage": arguments.stage,
        "settings": arguments.settings | {"method": method},
        "genomes": work.new_genomes,
        "from_sha256": file_digest(arguments.model / "model.safetensors"),
        "started_at": before if np.isfinite(before) else None,
        "tried": [one.describe() for one in tried],
        "chosen": chosen.describe(),
        "kept": kept,
    }
    bundle = dataclasses.replace(
        former,
        network=work.network.cpu(),
        classes=work.classes,
        training=vars(work.training) | about | {"lineage": [*lineage_of(former), record]},
        calibration=None,
        scan_plan=None,
        history=chosen.history,
    )
    save_bundle(arguments.output_dir, bundle)


def try_settings(work: Adaptation) -> list[Candidate]:
    """Train with each learning rate, then, where lambda is to be chosen, from the largest on."""
    settings, method = work.settings, work.settings.method
    rates = settings.learning_rates or (work.training.learning_rate,)
    if method != "ewc":
        return [work.fit(method, rate) for rate in rates]
    if settings.lambda_ is not None:
        return [work.fit(method, rate, settings.lambda_) for rate in rates]
    plain = [work.fit("finetune", rate) for rate in rates]
    best = max(plain, key=lambda one: one.precision)
    tried = list(plain)
    for lambda_ in sorted(settings.lambdas, reverse=True):
        tried.append(work.fit(method, best.learning_rate, lambda_))
        if tried[-1].precision >= (1 - settings.tolerance) * best.precision:
            break
    return tried


def choose(tried: list[Candidate], settings: AdaptationSettings) -> Candidate:
    """Return the training that is kept: by validation, and with ewc by lambda.

    Where lambda was to be chosen and none is within the tolerance of plain fine-tuning, it is the
    smallest that was tried, which comes last.
    """
    if settings.method == "ewc" and settings.lambda_ is None:
        return tried[-1]
    return max(tried, key=lambda one: one.precision)


def check_former(
    former: Bundle,
    arguments: argparse.Namespace,
    settings: AdaptationSettings,
    training: TrainingSettings,
) -> None:
    """Raise InputError unless a model can be adapted as asked."""
    folder, method = arguments.model, settings.method
    if former.member_seeds:
        raise InputError(
            f"model {folder} is the mean of seeds {former.member_seeds}; expected the network of "
            "one seed: adapt each"
        )
    for name, found, expected in (
        ("labels", arguments.labels, former.labels),
        ("stranded", shared_strandedness(arguments.classes), former.stranded),
    ):
        if found != expected:
            raise InputError(f"{name} is {found}; expected {expected}, as in model {folder}")
    if bool(arguments.old_windows) != (method in WITH_OLD_DATA):
        given = "given" if arguments.old_windows else "not given"
        raise InputError(
            f"--old-windows is {given} with method {method}; expected it with "
            f"{' and '.join(WITH_OLD_DATA)} alone"
        )
    for key in ("prior_correction", "pretrained"):
        if value := getattr(training, key):
            raise InputError(
                f"training.{key} is {value}; expected it left out in an adaptation, which starts "
                "from a trained model"
            )


def open_data(
    arguments: argparse.Namespace,
    windows: pd.DataFrame,
    former: Bundle,
    settings: AdaptationSettings,
    training: TrainingSettings,
    device: torch.device,
) -> TrainingData:
    """Open the genomes and the windows that are learned, old ones among them where asked for."""
    check_laboratories(arguments.laboratory, arguments.genome, former.architecture)
    if arguments.old_windows:
        old = [read_windows(path) for path in arguments.old_windows]
        share = settings.replay_share if settings.method == "replay" else None
        windows = with_old_windows(windows, old, share, arguments.seed)
    needed = set(windows["genome"])
    missing = needed - set(arguments.genome)
    if missing:
        raise InputError(
            f"windows are of genome {', '.join(sorted(missing))}; expected --genome for each"
        )
    folders = {name: path for name, path in arguments.genome.items() if name in needed}
    genomes = open_labelled_genomes(
        folders,
        arguments.sites,
        arguments.intervals,
        list(arguments.classes),
        former.stranded,
        arguments.ignore_margin,
        {name: signals_of(name, arguments.signal) for name in folders},
        former.signals,
    )
    splits = {name: split for name, split in read_splits(arguments.split).items() if name in needed}
    # Old classes need not occur on the new genome.
    return open_training_data(
        windows,
        genomes,
        splits,
        former.architecture,
        training.weight_cap,
        device,
        {name: lab for name, lab in arguments.laboratory.items() if name in needed},
        lacking=former.classes,
    )


def lineage_of(bundle: Bundle) -> list[dict]:
    """Return the stages that a model has behind it; a first training is one."""
    first = {"stage": "base", "genomes": bundle.training.get("genomes", [])}
    return bundle.training.get("lineage") or [first]


def fingerprint(
    arguments: argparse.Namespace,
    settings: AdaptationSettings,
    training: TrainingSettings,
    name: str,
) -> str:
    """Digest everything that a checkpoint must agree on: data, settings, software."""
    inputs = [arguments.windows, *arguments.old_windows, arguments.model / "model.safetensors"]
    inputs += [*arguments.sites.values(), *arguments.intervals.values()]
    if settings.method == "ewc":
        inputs.append(arguments.fisher or arguments.model / FILE)
    content = {
        "inputs": [file_digest(path) for path in inputs],
        "contigs": [file_digest(folder / "contigs.tsv") for folder in arguments.genome.values()],
        "settings": [dataclasses.asdict(settings), dataclasses.asdict(training), name],
        "classes": arguments.classes,
        "labels": [arguments.labels, arguments.ignore_margin],
        "signals": [(key, file_digest(path)) for key, path in arguments.signal.items()],
        "laboratories": arguments.laboratory,
        "run": [arguments.seed, arguments.threads, torch.__version__, arguments.device],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(adapt, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
