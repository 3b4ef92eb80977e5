"""What all scripts share at their edge: arguments, messages and exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from genomesieve.errors import INTERRUPTED, InputError

_LEAST = {"resolution": 1, "threads": 1, "seed": 0, "ignore_margin": 0, "min_intron": 1, "guard": 0,
          "round": 0}  # fmt: skip
"""Least value of options that several scripts share."""


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the layout of descriptions and show defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        """Add the default, unless it is nothing or the help says already what happens then."""
        text = action.help or ""
        nothing = action.default is False or action.default in (None, "", (), {})
        told = action.required or nothing or "(default:" in text
        return text if told else super()._get_help_string(action)


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser whose help shows the script's own docstring and all defaults."""
    return argparse.ArgumentParser(description=description.strip(), formatter_class=_Formatter)


def json_value(text: str) -> object:
    """Read an argument that is JSON itself or the path of a JSON file (argparse `type`)."""
    try:
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text)
        return json.loads(Path(text).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither JSON nor a JSON file: {error}"
        ) from None


def named_path(text: str) -> tuple[str, Path]:
    """Read an argument of the form NAME=PATH (argparse `type`)."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=PATH")
    return name, Path(path)


class NamedPaths(argparse.Action):
    """Collect a repeated NAME=PATH option into {name: path}; no name may come twice."""

    def __init__(self, option_strings: list[str], dest: str, **settings: object):
        super().__init__(option_strings, dest, type=named_path, **settings)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add one pair to the option's dictionary."""
        name, path = values
        known = getattr(namespace, self.dest) or {}
        if name in known:
            parser.error(f"argument {option_string}: {name} is given twice")
        setattr(namespace, self.dest, known | {name: path})


def comma_list(text: str) -> tuple[str, ...]:
    """Read names with commas between them, none for empty text (argparse `type`)."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()


def require_same_names(first: str, second: str, arguments: argparse.Namespace) -> None:
    """Raise InputError unless two NAME=PATH options name the same things.

    Parameters
    ----------
    first, second : str
        The options without dashes, such as `genome` and `sites`.
    arguments : argparse.Namespace
    """
    found, expected = (
        sorted(getattr(arguments, name.replace("-", "_"))) for name in (second, first)
    )
    if found != expected:
        raise InputError(
            f"--{second} names {', '.join(found)} and --{first} {', '.join(expected)}; "
            "expected the same names"
        )


def _check_numbers(arguments: argparse.Namespace) -> None:
    """Raise InputError for a number that is too small for what its option means everywhere."""
    for name, least in _LEAST.items():
        value = getattr(arguments, name, least)
        if value < least:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: found {value}; expected at least {least}")


def _check_classes(classes: object) -> None:
    """Raise InputError unless classes are tables of settings by name."""
    if not isinstance(classes, dict) or not classes:
        raise InputError(f"--classes: found {classes!r}; expected a table of one class or more")
    for name, item in classes.items():
        if not isinstance(item, dict):
            raise InputError(f"--classes: {name} is {item!r}; expected a table of settings")
        if not isinstance(item.get("stranded", False), bool):
            raise InputError(
                f"--classes: {name}.stranded is {item['stranded']!r}; expected true or false"
            )


def run_script(work: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Run a script's work and turn an InputError into one line on stderr and exit code 1.

    Parameters
    ----------
    work : callable
        Reads, computes and writes; raises InputError for what a user can fix.
    arguments : argparse.Namespace

    Returns
    -------
    int
        0; 1 after an InputError, when another try is not worth it; 130 after Ctrl-C.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s", force=True
    )
    try:
        _check_numbers(arguments)
        if "classes" in arguments:
            _check_classes(arguments.classes)
        work(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def add_genome_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what scripts that read several labelled genomes share: NAME=PATH, once a genome."""
    texts = {
        "--genome": "encoded folder (codes.npy, contigs.tsv)",
        "--sites": "sites.parquet from extract_sites",
        "--intervals": "intervals.parquet from extract_sites",
        "--split": "split.tsv from split_genome",
    }
    for option, text in texts.items():
        parser.add_argument(
            option,
            action=NamedPaths,
            required=True,
            metavar="NAME=PATH",
            help=f"{text} of a genome; repeat for every genome",
        )


def check_genome_arguments(arguments: argparse.Namespace) -> None:
    """Raise InputError unless all options of `add_genome_arguments` name the same genomes."""
    for option in ("sites", "intervals", "split"):
        require_same_names("genome", option, arguments)


def add_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the classes of a screen and how their labels exclude each other."""
    parser.add_argument(
        "--classes",
        type=json_value,
        required=True,
        help='JSON or its file: {"donor": {"stranded": true, ...}, ...}, in the order of outputs',
    )
    parser.add_argument(
        "--labels",
        choices=["exclusive", "independent"],
        required=True,
        help="exclusive: one softmax over background and classes; independent: a sigmoid a class",
    )


def add_device_arguments(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Add the device (or devices) and the number of CPU threads.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    several : str
        What each of several devices works on, such as `its part of the shard`; "" for a script that
        uses one.
    """
    words = "auto takes GPUs where there are some; cpu; cuda; cuda:0,1 (GPUs by number)"
    if several:
        parser.add_argument(
            "--devices",
            "--device",
            dest="devices",
            default="auto",
            help=f"{words}; cpu:2 (two processes); each device runs a process of its own over "
            f"{several}",
        )
    else:
        parser.add_argument(
            "--device",
            default="auto",
            help=f"where the network runs: {words}; of several the first is used",
        )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of a process")


def add_code_argument(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the code of a user's own network; a model folder never names it."""
    parser.add_argument(
        "--network-code",
        required=required,
        metavar="FILE.py:CLASS",
        help="code of a network of your own, a torch.nn.Module; for models that were imported",
    )


def add_model_on_genome_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a model, the code of a user's own network, and the one genome that it is asked about."""
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    add_code_argument(parser)
    parser.add_argument(
        "--genome-folder", type=Path, required=True, help="encoded folder of the genome"
    )


def add_signal_argument(parser: argparse.ArgumentParser, of_genomes: bool) -> None:
    """Add what a network sees beside the sequence: of one genome, or of each of several."""
    name = "GENOME:CHANNEL" if of_genomes else "CHANNEL"
    parser.add_argument(
        "--signal",
        action=NamedPaths,
        default={},
        metavar=f"{name}=PATH",
        help="values from encode_signal that the network sees beside the sequence; repeat",
    )


def add_laboratory_argument(parser: argparse.ArgumentParser) -> None:
    """Add where the data of each of several genomes comes from."""
    parser.add_argument(
        "--laboratory",
        action=NamedTexts,
        default={},
        metavar="GENOME=NAME",
        help="laboratory (batch) that a genome's data comes from; repeat",
    )


def signals_of(genome: str, signals: Mapping[str, Path]) -> dict[str, Path]:
    """Return the signals of one genome, by channel, of those named GENOME:CHANNEL."""
    pairs = {tuple(name.split(":", 1)): path for name, path in signals.items() if ":" in name}
    if len(pairs) < len(signals):
        raise InputError(f"--signal names {', '.join(signals)}; expected GENOME:CHANNEL=PATH")
    return {channel: path for (name, channel), path in pairs.items() if name == genome}


class NamedTexts(argparse.Action):
    """Collect a repeated NAME=TEXT option into {name: text}; no name may come twice."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add one pair to the option's dictionary."""
        name, separator, text = values.partition("=")
        known = getattr(namespace, self.dest) or {}
        if not (name and separator and text) or name in known:
            parser.error(f"argument {option_string}: {values!r}; expected NAME=TEXT, a name once")
        setattr(namespace, self.dest, known | {name: text})


def add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a scan: the calibrated model, the genome's split and its scanned parts."""
    parser.add_argument("--model", type=Path, required=True, help="calibrated model folder")
    parser.add_argument(
        "--genome-folder", type=Path, required=True, help="from encode_genome; its name is used"
    )
    parser.add_argument("--split", type=Path, required=True, help="split.tsv from split_genome")
    parser.add_argument(
        "--parts",
        type=comma_list,
        required=True,
        help="parts of the split to scan, with commas between them, such as test,screen",
    )
