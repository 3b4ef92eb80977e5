"""What pretraining is asked to do, and which settings two networks share to share a trunk.

Known without loading torch: the workflow checks both while it plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from genomesieve.architecture import NETWORKS, Architecture, NetworkSettings, resolve_architecture
from genomesieve.errors import InputError
from genomesieve.settings import complete_settings, require_above_zero

MOST_TWO_SIDED = 6
"""Most bases on each side of a two-sided k-mer model: it counts words of 13, 4**13 of them."""
MOST_ONE_SIDED = 8
"""Highest order of a Markov model."""
SYMMETRIES = ("augment", "equivariant")
"""How a pretrained network may see the other strand."""

_NOT_OF_TRUNK = (
    *("preset", "resolution", "pooling", "pool_margin", "hidden", "shortcut", "dropout"),
    "stem_pools",
)
"""Settings that change neither weights nor geometry of stem and trunk; pools are compared whole."""


@dataclass(frozen=True)
class MaskSettings:
    """Which bases are hidden.

    Parameters
    ----------
    share : float
        Expected share of bases that are hidden.
    span_share : float
        Part of them that is hidden in spans; the rest are single bases, drawn one by one.
    span : int
        Bases a span.
    """

    share: float = 0.15
    span_share: float = 0.3
    span: int = 8

    @classmethod
    def from_mapping(cls, values: Mapping) -> MaskSettings:
        """Check the settings and complete them with defaults."""
        settings = complete_settings("training.mask", values, asdict(cls()))
        if not 0 < settings["share"] < 1:
            raise InputError(
                f"training.mask.share is {settings['share']}; expected above 0 and below 1"
            )
        if not 0 <= settings["span_share"] <= 1:
            raise InputError(
                f"training.mask.span_share is {settings['span_share']}; expected 0 to 1"
            )
        require_above_zero("training.mask", settings, "span")
        return cls(**settings)


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and on what a network predicts hidden bases.

    Parameters
    ----------
    steps, batch, learning_rate, warmup, weight_decay, clip, accumulate, average, checkpoint_minutes
        As in `training_settings.TrainingSettings`.
    validations : int
        How often the held-out perplexity is measured; nothing is chosen by it.
    length : int
        bp of a window, a multiple of the network's stride or window.
    mask : mapping
        Of `MaskSettings`.
    repeat_weight : float
        Weight in the loss of hidden bases in soft-masked (lower-case) repeats; others have 1.
    validation_bp : int
        Held-out bp looked at while training goes on.
    evaluation_bp : int
        Held-out bp on which network and k-mer models are compared in the end.
    two_sided, one_sided : int
        Largest k of the k-mer models that it is compared with.
    """

    steps: int = 2000
    batch: int = 16
    learning_rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 1e-2
    clip: float = 1.0
    validations: int = 6
    accumulate: int = 1
    average: float = 0.0
    checkpoint_minutes: float = 10.0
    length: int = 2000
    mask: dict = field(default_factory=dict)
    repeat_weight: float = 0.2
    validation_bp: int = 200_000
    evaluation_bp: int = 2_000_000
    two_sided: int = MOST_TWO_SIDED
    one_sided: int = MOST_ONE_SIDED

    @classmethod
    def from_mapping(cls, values: Mapping) -> PretrainingSettings:
        """Check the `training` section of a pretraining and complete it with defaults."""
        settings = complete_settings("training", values, asdict(cls()))
        positive = ("steps", "batch", "learning_rate", "clip", "validations", "accumulate")
        positive += ("length", "validation_bp", "evaluation_bp", "two_sided", "one_sided")
        require_above_zero("training", settings, *positive)
        for name, most in (("two_sided", MOST_TWO_SIDED), ("one_sided", MOST_ONE_SIDED)):
            if settings[name] > most:
                raise InputError(f"training.{name} is {settings[name]}; expected at most {most}")
        for name in ("warmup", "repeat_weight"):
            if not 0 <= settings[name] <= 1:
                raise InputError(f"training.{name} is {settings[name]}; expected a share, 0 to 1")
        if not 0 <= settings["average"] < 1:
            raise InputError(
                f"training.average is {settings['average']}; expected at least 0 and below 1"
            )
        for name in ("weight_decay", "checkpoint_minutes"):
            if not settings[name] >= 0:
                raise InputError(f"training.{name} is {settings[name]}; expected 0 or more")
        settings["mask"] = asdict(MaskSettings.from_mapping(settings["mask"]))
        return cls(**settings)

    @property
    def masks(self) -> MaskSettings:
        """Which bases are hidden."""
        return MaskSettings(**self.mask)


@dataclass(frozen=True)
class TransferSettings:
    """How a network that starts from a pretrained trunk is trained.

    Parameters
    ----------
    trunk_rate : float
        Learning rate of the pretrained layers as a share of that of the rest. Layers that are not
        to learn at all are frozen (`training.freeze`).
    layer_decay : float
        The rate of each layer is so many times that of the layer above it.
    unfreeze_steps : int
        Pretrained layers are held at first, and every so many steps the highest one still held
        begins to learn; 0 lets all learn from the start.
    """

    trunk_rate: float = 0.1
    layer_decay: float = 1.0
    unfreeze_steps: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping) -> TransferSettings:
        """Check `training.pretrained` and complete it with defaults."""
        settings = complete_settings("training.pretrained", values, asdict(cls()))
        for name in ("trunk_rate", "layer_decay"):
            if not 0 < settings[name] <= 1:
                raise InputError(
                    f"training.pretrained.{name} is {settings[name]}; expected above 0 and at "
                    "most 1"
                )
        if settings["unfreeze_steps"] < 0:
            raise InputError(
                f"training.pretrained.unfreeze_steps is {settings['unfreeze_steps']}; expected 0 "
                "or more"
            )
        return cls(**settings)


def resolve_pretraining(model: Mapping, reverse_complement: str = "augment") -> Architecture:
    """Check the `model` of a pretraining and return what predicts bases with its stem and trunk.

    Pooling, head and resolution of the model given are left aside: bases are predicted one by one,
    and where pools make a position of the features cover several bases, its outputs do too.

    Parameters
    ----------
    model : mapping
        `preset` and any of its settings, as in a screen.
    reverse_complement : str
        `augment` or `equivariant`.

    Raises
    ------
    InputError
        If the model has no stem and trunk to pretrain, or the settings do not fit it.
    """
    if isinstance(model, Mapping) and model.get("preset") not in NETWORKS:
        raise InputError(
            f"model.preset is {model.get('preset')!r}; expected one of {', '.join(NETWORKS)}"
        )
    if reverse_complement not in SYMMETRIES:
        raise InputError(
            f"reverse_complement is {reverse_complement!r}; expected augment (also for networks "
            "that average both strands later) or equivariant"
        )
    settings = resolve_architecture(model).settings
    if settings.norm == "domain":
        raise InputError(
            "model.norm is domain and unlabelled genomes have no laboratories; expected batch, "
            "group, layer or none"
        )
    bases = replace(
        settings,
        resolution=settings.feature_stride,
        pooling="none",
        pool_margin=0,
        hidden=0,
        shortcut=False,
    )
    bases.check()
    return Architecture(bases)


def check_window(architecture: Architecture, length: int) -> None:
    """Raise InputError unless windows of `length` bp are whole strides of a network."""
    if length % architecture.stride:
        raise InputError(
            f"training.length is {length} bp; expected a multiple of {architecture.stride} bp, "
            "the pools or the window of the model"
        )


def trunk_difference(
    settings: NetworkSettings, pretrained: NetworkSettings
) -> tuple[str, object, object] | None:
    """Return the first setting in which stems and trunks differ: name, both values; or None."""
    if settings.trunk == pretrained.trunk:
        used = settings.to_dict()
        names = [one.name for one in fields(settings) if one.name in used]
        compared = [name for name in names if name not in _NOT_OF_TRUNK]
    else:
        compared = ["trunk"]
    pairs = [(name, getattr(settings, name), getattr(pretrained, name)) for name in compared]
    pairs.append(("stem_pools", settings.pools, pretrained.pools))
    return next((pair for pair in pairs if pair[1] != pair[2]), None)


def require_same_trunk(
    architecture: Architecture,
    pretrained: Architecture,
    modes: tuple[str, str],
    signals: int,
    source: str,
) -> None:
    """Raise InputError that names the setting in which a network cannot take a pretrained trunk.

    Parameters
    ----------
    architecture, pretrained : Architecture
        Of the network that is to be trained, and of the pretrained one.
    modes : tuple of str
        `reverse_complement` of both.
    signals : int
        Channels that the network sees beside the sequence.
    source : str
        What was pretrained, for messages.
    """
    settings, known = architecture.settings, pretrained.settings
    if not isinstance(settings, NetworkSettings):
        raise InputError(
            f"model.preset is {settings.preset}; it has no trunk to start from {source}"
        )
    different = trunk_difference(settings, known)
    if different is not None:
        name, found, expected = different
        raise InputError(
            f"model.{name} is {_plain(found)}; expected {_plain(expected)} as in {source}, whose "
            "stem and trunk it starts from"
        )
    mine, theirs = modes
    if (mine == "equivariant") != (theirs == "equivariant"):
        raise InputError(
            f"reverse_complement is {mine} and that of {source} is {theirs}; expected equivariant "
            "for both or for neither"
        )
    if signals:
        raise InputError(
            f"signals are {signals} channels beside the sequence; expected none with {source}, "
            "which saw the sequence alone"
        )


def _plain(value: object) -> object:
    """Return a value as configurations write it."""
    return list(value) if isinstance(value, tuple) else value
