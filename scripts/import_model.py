"""Import a network of the user's own, with its weights, as an uncalibrated model folder.

In: the code (--network-code file.py:Class, a torch.nn.Module), a state_dict or safetensors file,
and what is declared of the network: context, resolution, stride, outputs and activation. All of it
is tried on random sequence first, and the script says what it found where that differs from what is
declared (on the CPU, since a GPU may round float32 more coarsely than the trial allows). Out, in
--output-dir: model.safetensors, model.json and history.tsv (without rows), as train_model writes
them. Pickled modules are refused.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, save_bundle
from genomesieve.command_line import (
    add_class_arguments,
    add_code_argument,
    json_value,
    make_parser,
    run_script,
)
from genomesieve.contract import ContractTrial, check_contract
from genomesieve.custom_network import build_custom_network, fill_weights, load_code, read_weights
from genomesieve.custom_settings import CustomSettings
from genomesieve.errors import InputError
from genomesieve.files import file_digest
from genomesieve.labelled_genome import shared_strandedness
from genomesieve.networks import with_strands
from genomesieve.processors import use_threads

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_code_argument(parser, required=True)
    parser.add_argument(
        "--weights", type=Path, required=True, help="state_dict or safetensors file of the network"
    )
    parser.add_argument(
        "--model",
        type=json_value,
        required=True,
        help='JSON or its file: {"preset": "custom", "arguments": {...}, "context": bp, '
        '"resolution": bp, "outputs": ["background", ...], "activation": "logits" | "softmax" | '
        '"sigmoid", and any of stride, crop}',
    )
    add_class_arguments(parser)
    parser.add_argument(
        "--reverse-complement",
        choices=["augment", "average"],
        default="augment",
        help="unstranded classes: take the network as it is, or average both strands everywhere",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model")
    return parser.parse_args(argv)


def import_network(arguments: argparse.Namespace) -> None:
    """Load code and weights, try them, and write the model folder."""
    use_threads(arguments.threads)
    architecture = resolve_architecture(arguments.model)
    if not isinstance(architecture.settings, CustomSettings):
        raise InputError(f"model.preset is {architecture.settings.preset!r}; expected custom")
    classes = list(arguments.classes)
    stranded = shared_strandedness(arguments.classes)
    code = load_code(arguments.network_code)
    network = build_custom_network(code, architecture, classes, arguments.labels)
    fill_weights(network, read_weights(arguments.weights), arguments.weights)
    network = network.eval().requires_grad_(False)
    findings = check_contract(ContractTrial(network, architecture, arguments.labels))
    logger.info("the network keeps the model contract: %s", findings)
    bundle = Bundle(
        name=architecture.settings.preset,
        network=with_strands(network, arguments.reverse_complement),
        architecture=architecture,
        classes=classes,
        stranded=stranded,
        labels=arguments.labels,
        reverse_complement=arguments.reverse_complement,
        training={
            "imported": True,
            "weights_sha256": file_digest(arguments.weights),
            "torch": torch.__version__,
            "trial": findings,
        },
        code=code.describe(),
    )
    save_bundle(arguments.output_dir, bundle)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(import_network, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
