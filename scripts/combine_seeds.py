"""Combine networks that were trained from several seeds into one model: the mean of them all.

In: the uncalibrated model folder of each seed. Out, in --output-dir: a model folder like theirs
whose network averages the probabilities of its members (see genomesieve/ensemble.py). Its
model.json names their seeds and keeps what each says of its training; history.tsv holds all
histories, with a column seed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genomesieve.bundle import KIND, Bundle, first_difference, load_bundle, save_bundle
from genomesieve.command_line import make_parser, run_script
from genomesieve.ensemble import Ensemble
from genomesieve.errors import InputError

logger = logging.getLogger(__name__)

SHARED = ("name", *KIND)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--member",
        type=Path,
        action="append",
        required=True,
        help="uncalibrated model folder from train_model; repeat for every seed",
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model")
    return parser.parse_args(argv)


def combine(arguments: argparse.Namespace) -> None:
    """Read the members and write their mean."""
    members = [load_bundle(folder) for folder in arguments.member]
    check_members(members, arguments.member)
    bundle = mean_of(members)
    logger.info("%s: the mean of seeds %s", bundle.name, ", ".join(map(str, bundle.member_seeds)))
    save_bundle(arguments.output_dir, bundle)


def check_members(members: list[Bundle], folders: list[Path]) -> None:
    """Raise InputError unless the members are networks of one kind from different seeds."""
    if len(members) < 2:
        raise InputError(f"--member is given once ({folders[0]}); expected two or more to combine")
    first, seen = members[0], {}
    for member, folder in zip(members, folders):
        key = first_difference(member, first, SHARED)
        if key is not None:
            raise InputError(
                f"model {folder}: {key} is {getattr(member, key)}; expected {getattr(first, key)} "
                f"as in {folders[0]}"
            )
        seed = member.training.get("seed")
        if not isinstance(seed, int) or member.member_seeds or member.code:
            raise InputError(f"model {folder} is no network that train_model trained from one seed")
        if seed in seen:
            raise InputError(
                f"models {seen[seed]} and {folder} are both of seed {seed}; expected another each"
            )
        seen[seed] = folder


def mean_of(members: list[Bundle]) -> Bundle:
    """Return the uncalibrated bundle of an ensemble."""
    seeds = [member.training["seed"] for member in members]
    histories = [
        member.history.assign(seed=seed)[["seed", *member.history.columns]]
        for seed, member in zip(seeds, members)
    ]
    shared = {name: getattr(members[0], name) for name in SHARED}
    return Bundle(
        **shared,
        network=Ensemble([member.network for member in members], members[0].labels),
        training={
            **{key: members[0].training.get(key) for key in ("genomes", "prevalence")},
            "members": [member.training for member in members],
        },
        history=pd.concat(histories, ignore_index=True),
        member_seeds=seeds,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(combine, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
