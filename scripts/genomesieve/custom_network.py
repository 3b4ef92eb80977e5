"""A network that the user brings: its code, its weights, and its outputs in our order.

Code is loaded from one file, which the user's configuration names, and from nowhere else: a model
folder keeps the digest of that file and the settings of the network, never a path. What was hashed
is what runs. Weights are tensors; pickles that hold anything else are refused.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import pickle
import re
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from genomesieve.architecture import Architecture
from genomesieve.custom_settings import CustomSettings, code_and_class, output_order
from genomesieve.errors import InputError
from genomesieve.files import existing_file

_SMALLEST = torch.finfo(torch.float32).tiny
_LARGEST = 1 - torch.finfo(torch.float32).eps / 2
"""Probabilities are kept between these two, so that their logarithms are finite."""


@dataclass(frozen=True)
class NetworkCode:
    """A class out of the user's file.

    Parameters
    ----------
    kind : type
        The class, a torch.nn.Module.
    path : Path
    sha256 : str
        Digest of the file's bytes.
    """

    kind: type[nn.Module]
    path: Path
    sha256: str

    def describe(self) -> dict[str, str]:
        """Return what model.json keeps: values to compare with, which lead to no code."""
        return {"sha256": self.sha256, "class": self.kind.__name__}


class CustomNetwork(nn.Module):
    """A user's module behind the model contract: logits, cropped, outputs in our order.

    Probabilities are turned back into logarithms. Those of a softmax lose nothing but values below
    1e-38 (log-odds beyond +-87). Those of a sigmoid lose precision near 1, where float32 has steps
    of 6e-8: log-odds are good to 0.01 up to about 12 and end at 16.6. Logits lose nothing.

    Parameters
    ----------
    network : torch.nn.Module
        Maps one-hot (N, letters, L) to (N, outputs, bins + 2 * crop).
    settings : CustomSettings
    order : sequence of int
        Which of its outputs stands at each place of ours.
    """

    def __init__(self, network: nn.Module, settings: CustomSettings, order: Sequence[int]):
        super().__init__()
        self.network = network
        self.crop, self.activation = settings.crop, settings.activation
        self.in_order = list(order) == list(range(len(settings.outputs)))
        self.register_buffer("order", torch.tensor(list(order)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to logits (N, outputs, (L - 2 * context) / resolution)."""
        y = self.network(x)
        if self.crop:
            y = y[..., self.crop : -self.crop]
        if not self.in_order:
            y = y.index_select(1, self.order)
        if self.activation == "softmax":
            return y.float().clamp(min=_SMALLEST).log()
        if self.activation == "sigmoid":
            y = y.float().clamp(_SMALLEST, _LARGEST)
            return y.log() - torch.log1p(-y)
        return y


def load_code(network: str) -> NetworkCode:
    """Load a class from `file.py:Class`.

    The file stands alone: it may import what is installed, and no other file beside it.

    Raises
    ------
    InputError
        If the file is missing, cannot be run, or has no such torch.nn.Module.
    """
    path, name = code_and_class(network)
    content = existing_file(path, "network code").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    module = types.ModuleType(f"custom_network_{sha256[:16]}")
    module.__file__ = str(path)
    # Dataclasses and tracebacks look a module and its text up by name.
    sys.modules[module.__name__] = module
    try:
        text = content.decode()
        linecache.cache[str(path)] = (len(content), None, text.splitlines(True), str(path))
        exec(compile(text, str(path), "exec"), vars(module))
    except Exception as error:
        raise InputError(f"network code {path} cannot be run: {_one_line(error)}") from error
    kind = vars(module).get(name)
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__
            and issubclass(value, nn.Module)
        ]  # fmt: skip
        raise InputError(
            f"network code {path} has no torch.nn.Module {name!r}; found {', '.join(own) or 'none'}"
        )
    return NetworkCode(kind, path, sha256)


def build_custom_network(
    code: NetworkCode, architecture: Architecture, classes: Sequence[str], labels: str
) -> CustomNetwork:
    """Make a user's network with fresh weights, behind the contract.

    Raises
    ------
    InputError
        If the class does not take the arguments, or the outputs do not go with the classes.
    """
    settings = architecture.settings
    order = output_order(settings, classes, labels)
    arguments = settings.arguments or {}
    name = f"{code.path}:{code.kind.__name__}"
    try:
        inspect.signature(code.kind).bind(**arguments)
    except TypeError as error:
        raise InputError(
            f"model.arguments is {dict(arguments)}; {name} takes "
            f"{inspect.signature(code.kind)}: {error}"
        ) from error
    try:
        network = code.kind(**arguments)
    except Exception as error:
        raise InputError(
            f"{name} cannot be made with model.arguments {dict(arguments)}: {_one_line(error)}"
        ) from error
    return CustomNetwork(network, settings, order)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict or a safetensors file; nothing in it is run.

    Raises
    ------
    InputError
        If the file is missing or damaged, holds more than tensors by name, or a value is no finite
        number.
    """
    path = existing_file(path, "network weights")
    try:
        content = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        if path.suffix == ".safetensors":
            raise InputError(f"network weights {path} are damaged: {_one_line(error)}") from error
        content = _read_state_dict(path)
    if not isinstance(content, Mapping):
        raise InputError(f"network weights {path} are {_kind_of(content)}; {_EXPECTED}")
    wrong = {key: value for key, value in content.items() if not isinstance(value, Tensor)}
    if wrong or not content:
        found = ", ".join(f"{key} ({_kind_of(value)})" for key, value in list(wrong.items())[:5])
        raise InputError(
            f"network weights {path} hold {found or 'nothing'}; {_EXPECTED}. Of a checkpoint, save "
            "the state_dict in it to a file of its own"
        )
    for key, value in content.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"network weights {path}: {key} has values that are no finite numbers")
    return dict(content)


_EXPECTED = "expected tensors by name: a safetensors file, or torch.save(model.state_dict(), path)"


def _read_state_dict(path: Path) -> object:
    """Load a file of torch.save with tensors and plain containers alone."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise InputError(f"network weights {path} cannot be read; {_EXPECTED}") from error
        raise InputError(
            f"network weights {path} are refused: this pickle names {named[1]}, so that loading it "
            f"would run code; {_EXPECTED}"
        ) from error
    except Exception as error:
        raise InputError(
            f"network weights {path} cannot be read: {_one_line(error, 160)}; {_EXPECTED}"
        ) from error


def fill_weights(network: CustomNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a user's module its weights; every tensor must be there, none may be left.

    Raises
    ------
    InputError
        If names or shapes differ.
    """
    try:
        network.network.load_state_dict(weights)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"network weights {path} do not fit {type(network.network).__name__}: "
            f"{_one_line(error, 600)}"
        ) from error


def require_same_code(code: NetworkCode, kept: Mapping[str, str] | None, folder: Path) -> None:
    """Raise InputError unless code is what a model folder was made with.

    Parameters
    ----------
    code : NetworkCode
    kept : mapping or None
        `code` of model.json.
    folder : Path
        The model folder, for the message.
    """
    kept = kept or {}
    if kept.get("sha256") != code.sha256:
        raise InputError(
            f"network code {code.path} has SHA-256 {code.sha256}; model {folder} was made with "
            f"{kept.get('sha256')}: import the network again, or give the file it was made with"
        )
    if kept.get("class") != code.kind.__name__:
        raise InputError(
            f"--network-code names class {code.kind.__name__}; model {folder} was made with class "
            f"{kept.get('class')} of that file"
        )


def _kind_of(value: object) -> str:
    """Name the type of a value."""
    return type(value).__name__


def _one_line(error: Exception, most: int = 300) -> str:
    """Return an error as one line, with the line of the user's file where it is known."""
    where = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:most] + where
