"""A model on disk: `model.safetensors`, `model.json` and `history.tsv` in one folder.

Nothing is pickled, and a bundle neither holds nor names code to be run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import nn

import genomesieve
from genomesieve.architecture import Architecture, resolve_architecture
from genomesieve.custom_network import build_custom_network, load_code, require_same_code
from genomesieve.custom_settings import CustomSettings
from genomesieve.ensemble import Ensemble
from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_table, whole_file, write_json, write_table
from genomesieve.model_description import FORMAT, read_description
from genomesieve.networks import build_network, with_strands


@dataclass
class Bundle:
    """A network with everything needed to use it.

    Parameters
    ----------
    name : str
        What reports call the model, such as `dilated` or `pwm`.
    network : torch.nn.Module
        Maps one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution).
    architecture : Architecture
    classes : list of str
    stranded : bool
        Whether the classes' sites have a strand (all do or none does).
    labels : str
        `exclusive` or `independent`.
    reverse_complement : str
        `augment`, `average` or `equivariant`; stranded classes use `augment`, the two strands being
        two data.
    training : dict
        Hyper-parameters, seed, digests of the data.
    calibration : dict or None
        Probabilities, thresholds and promises; None until `calibrate_model` has run.
    scan_plan : dict or None
        How the calibration scan was cut, and so every later one is.
    history : pandas.DataFrame
        One row a logged step.
    code : dict or None
        Of a user's own network: digest of its file and name of its class, to compare with.
    signals : list of str
        Channels that the network sees after the letters.
    laboratories : list of str
        Laboratories that it was trained on, in the order of their statistics with norm `domain`.
    member_seeds : list of int
        Seeds of the members where the network is an `Ensemble`; empty for a single one.
    """

    name: str
    network: nn.Module
    architecture: Architecture
    classes: list[str]
    stranded: bool
    labels: str
    reverse_complement: str = "augment"
    training: dict = field(default_factory=dict)
    calibration: dict | None = None
    scan_plan: dict | None = None
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["step", "loss"]))
    code: dict | None = None
    signals: list[str] = field(default_factory=list)
    laboratories: list[str] = field(default_factory=list)
    member_seeds: list[int] = field(default_factory=list)

    @property
    def strands(self) -> int:
        """Number of strand passes whose scores are kept apart."""
        return 2 if self.stranded else 1

    def describe(self) -> dict:
        """Return what stands in model.json."""
        return {
            "format": FORMAT if self.member_seeds else 1,
            "genomesieve": genomesieve.__version__,
            "name": self.name,
            "classes": self.classes,
            "stranded": [self.stranded] * len(self.classes),
            "labels": self.labels,
            "reverse_complement": self.reverse_complement,
            "signals": self.signals,
            "laboratories": self.laboratories,
            "resolution": self.architecture.resolution,
            "context": self.architecture.context,
            "stride": self.architecture.stride,
            "architecture": self.architecture.to_dict(),
            "code": self.code,
            "member_seeds": self.member_seeds,
            "parameters": sum(weight.numel() for weight in self.network.state_dict().values()),
            "training": self.training,
            "scan_plan": self.scan_plan,
            "calibration": self.calibration,
        }


def save_bundle(folder: str | os.PathLike, bundle: Bundle) -> None:
    """Write a bundle; model.json comes last, so that a folder with one is complete."""
    folder = Path(folder)
    with whole_file(folder / "model.safetensors") as temporary:
        # Copies, since safetensors refuses tensors that share memory (tied weights).
        state = bundle.network.state_dict()
        weights = {key: value.contiguous().clone() for key, value in state.items()}
        safetensors.torch.save_file(weights, temporary)
    write_table(folder / "history.tsv", bundle.history)
    write_json(folder / "model.json", bundle.describe())


def load_bundle(folder: str | os.PathLike, network_code: str | None = None) -> Bundle:
    """Read a bundle that `train_model`, `import_model`, `fit_baseline` or `calibrate_model` wrote.

    Parameters
    ----------
    folder : path-like
    network_code : str or None
        `file.py:Class` of a user's own network, from the configuration; None for all others.

    Returns
    -------
    Bundle
        With the network in evaluation mode.

    Raises
    ------
    InputError
        If a file is missing or damaged, the format is newer than this version knows, weights and
        description do not fit each other, or a user's own network comes without the code that it
        was imported with.
    """
    folder = Path(folder)
    content = read_description(folder / "model.json")
    architecture = resolve_architecture(content["architecture"])
    for key in ("resolution", "context", "stride"):
        expected = getattr(architecture, key)
        if content.get(key, expected) != expected:
            raise InputError(
                f"{folder / 'model.json'}: `{key}` is {content[key]}; expected {expected} by its "
                "architecture"
            )
    strandedness = set(content["stranded"])
    reverse_complement = content.get("reverse_complement", "augment")
    weights = existing_file(folder / "model.safetensors", "model weights")
    arguments = (content, architecture, reverse_complement, network_code, folder)
    if network_code is None and not isinstance(architecture.settings, CustomSettings):
        # Sizes are compared before memory is taken for what a description merely claims.
        with torch.device("meta"):
            _require_shapes(_make_network(*arguments), weights)
    network = _make_network(*arguments)
    _load_weights(network, weights)
    history = folder / "history.tsv"
    return Bundle(
        name=content["name"],
        network=network.eval(),
        architecture=architecture,
        classes=list(content["classes"]),
        stranded=strandedness == {True},
        labels=content["labels"],
        reverse_complement=reverse_complement,
        training=content.get("training") or {},
        calibration=content["calibration"],
        scan_plan=content.get("scan_plan"),
        history=read_table(history, "history") if history.is_file() else pd.DataFrame(),
        code=content.get("code"),
        signals=list(content.get("signals", [])),
        laboratories=list(content.get("laboratories", [])),
        member_seeds=list(content.get("member_seeds") or []),
    )


def _make_network(
    content: dict,
    architecture: Architecture,
    reverse_complement: str,
    network_code: str | None,
    folder: Path,
) -> nn.Module:
    """Make the network that model.json describes, with fresh weights."""
    classes, labels = content["classes"], content["labels"]
    if not isinstance(architecture.settings, CustomSettings):
        if network_code is not None:
            raise InputError(
                f"model {folder} is a {architecture.settings.preset} network; --network-code is "
                "for networks that were imported"
            )
        seeds = content.get("member_seeds") or []
        networks = [
            build_network(
                architecture,
                len(classes),
                labels,
                reverse_complement,
                signals=len(content.get("signals", [])),
                laboratories=max(1, len(content.get("laboratories", []))),
            )
            for _ in seeds or [None]
        ]
        return Ensemble(networks, labels) if seeds else networks[0]
    if network_code is None:
        raise InputError(
            f"model {folder} holds a network of the user's own, and no model folder names code to "
            "be run; expected --network-code file.py:Class"
        )
    code = load_code(network_code)
    require_same_code(code, content.get("code"), folder)
    network = build_custom_network(code, architecture, classes, labels)
    return with_strands(network, reverse_complement)


def _require_shapes(network: nn.Module, path: Path) -> None:
    """Raise InputError unless a weights file holds tensors of a network's names and shapes."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(_damage(path, error)) from error
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name in dict.fromkeys([*expected, *found]):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"model weights {path} are damaged or do not fit model.json beside them: "
                f"{name[:80]} has shape {found.get(name)}; expected {expected.get(name)}"
            )


def _load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a safetensors file, or raise InputError."""
    try:
        weights = safetensors.torch.load_file(path)
        network.load_state_dict(weights)
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        raise InputError(_damage(path, error)) from error
    for name, value in weights.items():
        if value.is_complex() or not torch.isfinite(value.float()).all():
            raise InputError(f"model weights {path}: {name} has values that are no finite numbers")


def _damage(path: Path, error: Exception) -> str:
    """Say what is wrong with a weights file."""
    first = " ".join(str(error).split())[:300]
    return f"model weights {path} are damaged or do not fit model.json beside them: {first}"


KIND = ("architecture", "classes", "stranded", "labels", "reverse_complement", "signals")
KIND += ("laboratories",)
"""What two bundles share if one's weights mean the same in the other."""


def first_difference(one: Bundle, other: Bundle, names: Sequence[str] = KIND) -> str | None:
    """Return the first of some fields in which two bundles differ; None where there is none."""
    return next((name for name in names if getattr(one, name) != getattr(other, name)), None)


def require_classes(bundle: Bundle, classes: list[str], folder: str | os.PathLike) -> None:
    """Raise InputError unless a bundle was made for exactly these classes, in this order."""
    if bundle.classes != classes:
        raise InputError(
            f"model {folder} has classes {', '.join(bundle.classes)}; expected {', '.join(classes)}"
        )


def require_sequence_alone(bundle: Bundle, folder: str | os.PathLike) -> None:
    """Raise InputError unless a bundle's network sees the sequence and nothing beside it."""
    if bundle.signals:
        raise InputError(
            f"model {folder} sees {', '.join(bundle.signals)} beside the sequence; expected one "
            "that sees the sequence alone"
        )
