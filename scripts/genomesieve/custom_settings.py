"""The settings of a network that the user brings, known without loading torch or the network.

The workflow needs them while it plans; the network itself is loaded by `custom_network`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from genomesieve.errors import InputError

ACTIVATIONS = ("logits", "softmax", "sigmoid")
BACKGROUND = "background"


@dataclass(frozen=True)
class CustomSettings:
    """What a user declares of a network that is none of the presets.

    Parameters
    ----------
    network : str
        `file.py:Class`, a torch.nn.Module. Only ever read from the user's configuration: a model
        folder does not name code.
    arguments : dict or None
        Keyword arguments of the class.
    weights : str
        A state_dict (`torch.save(model.state_dict(), path)`) or a safetensors file.
    context : int
        Bases that a prediction sees on each side of its bin.
    resolution : int
        Bases that a prediction covers.
    stride : int
        Product of the network's pools and strides in bp, where that is more than the resolution;
        0 stands for the resolution. Scans then start at its multiples.
    outputs : tuple of str
        What each of the network's outputs is, in its order: names of classes, and `background` with
        exclusive labels.
    activation : str
        What the outputs are: `logits`, or probabilities by `softmax` or `sigmoid`.
    crop : int
        Predictions to cut off each end of the network's output (a network that pads gives one for
        every bin of its input, those of the context included).
    """

    preset: str = "custom"
    network: str = ""
    arguments: dict | None = None
    weights: str = ""
    context: int = -1
    resolution: int = 1
    stride: int = 0
    outputs: tuple[str, ...] = ()
    activation: str = "logits"
    crop: int = 0

    def check(self) -> None:
        """Raise InputError for settings that no network can have."""
        if self.context < 0:
            raise InputError(
                f"model.context is {self.context if self.context != -1 else 'missing'}; expected "
                "the bases that a prediction of the custom network sees on each side, 0 or more"
            )
        if self.resolution < 1:
            raise InputError(f"model.resolution is {self.resolution}; expected 1 or more")
        if self.crop < 0:
            raise InputError(f"model.crop is {self.crop}; expected 0 or more predictions")
        stride = self.stride or self.resolution
        if stride < 1 or max(stride, self.resolution) % min(stride, self.resolution):
            raise InputError(
                f"model.stride is {self.stride}; expected a multiple or a divisor of "
                f"model.resolution {self.resolution}"
            )
        if self.activation not in ACTIVATIONS:
            raise InputError(
                f"model.activation is {self.activation!r}; expected one of {', '.join(ACTIVATIONS)}"
            )
        if self.arguments is not None and not isinstance(self.arguments, Mapping):
            raise InputError(
                f"model.arguments is {self.arguments!r}; expected a table of keyword arguments"
            )
        self._check_outputs()

    def _check_outputs(self) -> None:
        """Raise InputError unless outputs are different names."""
        names = list(self.outputs)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise InputError(
                f"model.outputs is {names}; expected the name of each output of the custom "
                f"network, in its order: classes, and {BACKGROUND} with exclusive labels"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"model.outputs names {', '.join(twice)} twice; expected once")

    def to_dict(self) -> dict:
        """Return what stands in model.json: all but the names of files."""
        files = ("network", "weights")
        return {key: value for key, value in asdict(self).items() if key not in files}

    @property
    def scan_stride(self) -> int:
        """Bases whose multiples scans start at."""
        return max(self.stride, self.resolution)


def code_and_class(network: str) -> tuple[Path, str]:
    """Split `file.py:Class`.

    Raises
    ------
    InputError
        If it has another form.
    """
    path, separator, name = network.rpartition(":")
    if not (separator and path.endswith(".py") and name.isidentifier()):
        raise InputError(f"model.network is {network!r}; expected the form file.py:Class")
    return Path(path), name


def check_sources(settings: CustomSettings) -> None:
    """Raise InputError unless a configuration says where code and weights are."""
    code_and_class(settings.network)
    if not settings.weights:
        raise InputError(
            "model.weights is missing; expected the file of the custom network's weights (a "
            "state_dict or safetensors): custom networks are imported, training one from scratch "
            "is not offered"
        )


def output_order(settings: CustomSettings, classes: Sequence[str], labels: str) -> list[int]:
    """Return which output of the network stands at each place of ours.

    Parameters
    ----------
    settings : CustomSettings
    classes : sequence of str
        In the order of the configuration.
    labels : str
        `exclusive` (background first, then the classes) or `independent` (the classes; outputs that
        are no class are left aside).

    Raises
    ------
    InputError
        If an output is missing, unknown or does not go with the labels, or the activation does not.
    """
    given = list(settings.outputs)
    exclusive = labels == "exclusive"
    wanted = [BACKGROUND, *classes] if exclusive else list(classes)
    if exclusive and BACKGROUND in classes:
        raise InputError(
            f"a class is called {BACKGROUND}; expected another name, exclusive labels have one"
        )
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if missing or (exclusive and extra):
        found = ", ".join(given)
        raise InputError(
            f"model.outputs is {found}; expected, in the network's own order, {', '.join(wanted)} "
            f"(labels are {labels})"
        )
    fitting = {"softmax": "exclusive", "sigmoid": "independent"}.get(settings.activation, labels)
    if fitting != labels:
        raise InputError(
            f"model.activation is {settings.activation}, which goes with labels: {fitting}; "
            f"labels are {labels}"
        )
    return [given.index(name) for name in wanted]
