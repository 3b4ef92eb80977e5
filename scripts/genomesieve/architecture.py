"""What a network's settings mean for its geometry, known without loading torch.

The workflow needs a network's context, resolution and stride while it plans, and the genome half
needs them for guards and blocks; the networks themselves are built in `networks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from genomesieve.custom_settings import CustomSettings
from genomesieve.errors import InputError
from genomesieve.settings import complete_settings, nearest

TRUNKS = ("none", "dilated", "rnn", "lstm", "gru", "attention")
WINDOWED_TRUNKS = ("rnn", "lstm", "gru", "attention")
"""Trunks that mix over length, and so map windows of one fixed length."""
POOLINGS = ("none", "max", "average", "attention")
NORMS = ("batch", "domain", "group", "layer", "none")
POSITIONS = ("relative", "rotary")
LARGEST_K = 8
"""Longest word of the k-mer baseline: there are 4**k of them."""
REVERSE_COMPLEMENTS = ("augment", "average", "equivariant")
"""How a model of unstranded classes sees the other strand."""

_MOST_LAYERS = 1000
_MOST_BASES = 1 << 26
"""Largest number in a network's settings: bp, filters, units."""

_OF_WINDOWS = ("layers", "window", "reach")
_OF_TRUNK = {
    "none": (),
    "dilated": ("kernel", "dilations", "skips", "leak"),
    **dict.fromkeys(("rnn", "lstm", "gru"), ("units", *_OF_WINDOWS)),
    "attention": ("heads", "positions", *_OF_WINDOWS),
}
_OF_POOLING = {"none": (), **dict.fromkeys(("max", "average", "attention"), ("pool_margin",))}


@dataclass(frozen=True)
class NetworkSettings:
    """A network of stem, trunk, pooling and head; every preset is one, and any may be mixed.

    The stem is one convolution (motif detectors) and maximum pool after another. The trunk is
    residual dilated convolutions (He et al. 2016, as in SpliceAI, Jaganathan et al. 2019), a
    bidirectional recurrent network (as in DanQ, Quang and Xie 2016), self-attention (Vaswani et al.
    2017), or none (DeepBind, Basset). Pooling reduces positions to bins; the head maps each bin to
    outputs.

    Parameters
    ----------
    preset : str
        What the settings started from; names the model in reports.
    resolution : int
        bp a prediction covers.
    channels : int
        Filters of every stem layer; also the width of a dilated or attention trunk.
    stem_kernels, stem_pools : tuple of int
        One convolution and one maximum pool (1: none) a stem layer.
    trunk : str
        One of `TRUNKS`.
    kernel, dilations : int, tuple of int
        Trunk `dilated`: filter width, and one block of two convolutions a dilation.
    skips : int
        Trunk `dilated`: the output is the sum of skip connections from the stem and after every so
        many blocks, as in SpliceAI (Jaganathan et al. 2019); 0 for the last block's output alone.
    leak : float
        Trunk `dilated`: slope of its activations below zero; 0 is ReLU.
    units : int
        Trunks `rnn`, `lstm`, `gru`: hidden units a direction.
    layers : int
        Layers of a recurrent or attention trunk.
    heads, positions : int, str
        Trunk `attention`: heads, and how they know distance (`relative`: a learned bias,
        `rotary`: Su et al. 2021).
    window, reach : int
        Trunks that mix over length: bp of a window's core, and positions (after the stem's pools)
        that the trunk sees on each side of it.
    pooling, pool_margin : str, int
        One of `POOLINGS`, over the bin and `pool_margin` bp on each side.
    hidden : int
        Units of the head's hidden layer; 0 for a linear head.
    shortcut : bool
        Whether the stem's features, normalised and pooled alike, also reach every output by a
        linear layer that starts at zero, and where `stem_motifs` has a class's own motif as a
        baseline fitted on it: what is known to work need not be learned through the trunk.
    dropout : float
        Share of features that training leaves out at random.
    norm : str
        One of `NORMS`; domain is batch normalisation by laboratory; group and layer take statistics
        over channels at each position only.
    """

    preset: str = "network"
    resolution: int = 1
    channels: int = 32
    stem_kernels: tuple[int, ...] = (11,)
    stem_pools: tuple[int, ...] = (1,)
    trunk: str = "none"
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    skips: int = 0
    leak: float = 0.0
    units: int = 32
    layers: int = 1
    heads: int = 4
    positions: str = "relative"
    window: int = 1000
    reach: int = 100
    pooling: str = "none"
    pool_margin: int = 0
    hidden: int = 0
    shortcut: bool = False
    dropout: float = 0.0
    norm: str = "batch"

    def check(self) -> None:
        """Raise InputError for settings that no network can have."""
        numbers = ("resolution", "channels", "kernel", "units", "layers", "heads", "window")
        _require_positive(self, *numbers)
        for name in ("stem_kernels", "stem_pools", "dilations"):
            _require_each_positive(self, name)
        _require_odd(self, "kernel", "stem_kernels")
        options = {"trunk": TRUNKS, "pooling": POOLINGS, "norm": NORMS, "positions": POSITIONS}
        for name, known in options.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f"model.{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}"
                )
        for name in ("pool_margin", "reach", "hidden", "skips"):
            if getattr(self, name) < 0:
                raise InputError(f"model.{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("dropout", "leak"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"model.{name} is {getattr(self, name)}; expected at least 0 and below 1"
                )
        self._check_pools()
        self._check_attention()
        if self.skips and len(self.dilations) % self.skips:
            raise InputError(
                f"model.skips is {self.skips}; expected a divisor of the number of dilations, "
                f"{len(self.dilations)}"
            )

    def _check_pools(self) -> None:
        """Raise InputError unless bins, pools and windows divide each other exactly."""
        if len(self.pools) != len(self.stem_kernels):
            raise InputError(
                f"model.stem_pools is {list(self.stem_pools)}; expected one pool for each of "
                f"stem_kernels {list(self.stem_kernels)}"
            )
        for name in ("resolution", "pool_margin"):
            if getattr(self, name) % self.feature_stride:
                raise InputError(
                    f"model.{name} is {getattr(self, name)} bp; expected a multiple of the stem's "
                    f"pools together, {self.feature_stride} bp"
                )
        if self.pooling == "none" and self.resolution != self.feature_stride:
            raise InputError(
                f"model.pooling is none and one position covers {self.feature_stride} bp; expected "
                f"max, average or attention for bins of {self.resolution} bp"
            )
        if self.windowed and self.window % self.resolution:
            raise InputError(
                f"model.window is {self.window} bp; expected a multiple of the resolution, "
                f"{self.resolution} bp"
            )
        if self.windowed and self.reach * self.feature_stride < self.pool_margin:
            raise InputError(
                f"model.reach is {self.reach} positions; expected at least the pool_margin, "
                f"{self.pool_margin // self.feature_stride}"
            )

    def _check_attention(self) -> None:
        """Raise InputError unless the channels can be cut into heads."""
        # Rotary positions turn pairs of channels.
        whole = 2 * self.heads if self.positions == "rotary" else self.heads
        if self.trunk == "attention" and self.channels % whole:
            raise InputError(
                f"model.channels is {self.channels}; expected a multiple of {whole} for "
                f"{self.heads} heads with {self.positions} positions"
            )

    @property
    def windowed(self) -> bool:
        """Whether the trunk mixes over length."""
        return self.trunk in WINDOWED_TRUNKS

    @property
    def pools(self) -> tuple[int, ...]:
        """The maximum pool after each stem layer; a single 1 stands for none anywhere."""
        none = self.stem_pools == (1,)
        return (1,) * len(self.stem_kernels) if none else self.stem_pools

    @property
    def feature_stride(self) -> int:
        """Bases between two positions after the stem."""
        return math.prod(self.pools)

    @property
    def margin(self) -> int:
        """Positions that pooling takes on each side of a bin."""
        return 0 if self.pooling == "none" else self.pool_margin // self.feature_stride

    @property
    def span(self) -> int:
        """Positions of a bin."""
        return self.resolution // self.feature_stride

    @property
    def context(self) -> int:
        """Bases seen on each side of a bin (of a windowed network: of a window)."""
        flank = self.reach if self.windowed else self.margin
        if self.trunk == "dilated":
            flank += sum(2 * (self.kernel // 2) * step for step in self.dilations)
        for kernel, pool in zip(self.stem_kernels[::-1], self.pools[::-1]):
            flank = flank * pool + kernel // 2
        return flank

    @property
    def scan_stride(self) -> int:
        """Bases whose multiples scans start at."""
        return self.window if self.windowed else self.resolution

    def to_dict(self) -> dict:
        """Return the settings that this trunk and pooling use."""
        unused = _unused(self.trunk, self.pooling)
        return {key: value for key, value in asdict(self).items() if key not in unused}


def _unused(trunk: str, pooling: str) -> set[str]:
    """List the settings that mean nothing for a trunk and a pooling."""
    known = {name for names in (*_OF_TRUNK.values(), *_OF_POOLING.values()) for name in names}
    return known - {*_OF_TRUNK.get(trunk, known), *_OF_POOLING.get(pooling, known)}


@dataclass(frozen=True)
class PwmSettings:
    """Position weight matrices, one a class (a baseline; weights are fitted by counting).

    A matrix covers `left` bases before its anchor, the anchor, and the rest of `width` after it.
    The score of a bin is the best one whose anchor lies in the bin or at most `margins` (bp, one a
    class) outside it; with `both_strands` the better of the two strands.
    """

    preset: str = "pwm"
    resolution: int = 1
    width: int = 1
    left: int = 0
    both_strands: bool = False
    margins: tuple[int, ...] = (0,)

    def check(self) -> None:
        """Raise InputError for settings that no matrix can have."""
        _require_positive(self, "resolution", "width")

    @property
    def context(self) -> int:
        """Bases seen on each side of a bin."""
        return max(self.left, self.width - 1 - self.left) + max(self.margins)


@dataclass(frozen=True)
class KmerSettings:
    """A linear model of k-mer counts in segments around the bin (a baseline).

    `edges` are the borders of the segments, in bp from the first base of the bin; a k-mer belongs
    to the segment that holds its first base.
    """

    preset: str = "kmer"
    resolution: int = 1
    k: int = 4
    edges: tuple[int, ...] = (
        *(-160, -80, -40, -20, -10, -5, -3, -2, -1, 0),
        *(1, 2, 3, 5, 10, 20, 40, 80, 160),
    )

    def check(self) -> None:
        """Raise InputError for settings that no model can have."""
        _require_positive(self, "resolution")
        if not isinstance(self.k, int) or not 1 <= self.k <= LARGEST_K:
            raise InputError(f"kmer.k is {self.k!r}; expected 1 to {LARGEST_K}")
        if not all(isinstance(edge, int) for edge in self.edges):
            raise InputError(f"kmer.edges is {list(self.edges)}; expected whole numbers, in bp")
        if len(self.edges) < 2 or list(self.edges) != sorted(set(self.edges)):
            raise InputError(f"kmer.edges is {list(self.edges)}; expected two or more, ascending")

    @property
    def context(self) -> int:
        """Bases seen on each side of a bin."""
        return max(-self.edges[0], self.edges[-1] + self.k - 1 - self.resolution, 0)


Settings = NetworkSettings | PwmSettings | KmerSettings | CustomSettings
_DISTANT = {"stem_kernels": (15,), "stem_pools": (5,), "resolution": 50, "pooling": "max"}
PRESETS: dict[str, tuple[type, dict]] = {
    "dilated": (NetworkSettings, {"trunk": "dilated"}),
    "spliceai": (
        NetworkSettings,
        {
            "trunk": "dilated",
            "stem_kernels": (1,),
            "kernel": 11,
            "dilations": (*(1, 1, 1, 1), *(4, 4, 4, 4)),
            "skips": 4,
        },
    ),
    "motif_cnn": (
        NetworkSettings,
        {
            "resolution": 50,
            "channels": 128,
            "stem_kernels": (21,),
            "pooling": "max",
            "hidden": 64,
            "dropout": 0.2,
        },
    ),
    "rnn": (NetworkSettings, {"trunk": "rnn", **_DISTANT}),
    "lstm": (NetworkSettings, {"trunk": "lstm", **_DISTANT}),
    "gru": (NetworkSettings, {"trunk": "gru", **_DISTANT}),
    "transformer": (
        NetworkSettings,
        {"trunk": "attention", "layers": 2, "norm": "layer", **_DISTANT},
    ),
    "hybrid": (
        NetworkSettings,
        {
            **_DISTANT,
            "trunk": "lstm",
            "channels": 64,
            "stem_kernels": (15, 5, 5),
            "stem_pools": (1, 5, 5),
            "reach": 40,
            "hidden": 64,
        },
    ),
    "pwm": (PwmSettings, {}),
    "kmer": (KmerSettings, {}),
    "custom": (CustomSettings, {}),
}
"""Kind of settings and their defaults, by the name that a configuration gives."""
NETWORKS = tuple(name for name, (kind, _) in PRESETS.items() if kind is NetworkSettings)
"""Presets that are trained; baselines are fitted, and a network of one's own is imported."""


@dataclass(frozen=True)
class Architecture:
    """A network's geometry and settings.

    Attributes
    ----------
    context : int
        Bases that a prediction sees on each side of its bin.
    resolution : int
        Bases that a prediction covers.
    stride : int
        Scan starts are multiples of it: the resolution, which pools divide exactly, or the window
        of a network that mixes over length.
    """

    settings: Settings
    context: int = field(init=False)
    resolution: int = field(init=False)
    stride: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", self.settings.context)
        object.__setattr__(self, "resolution", self.settings.resolution)
        stride = getattr(self.settings, "scan_stride", self.settings.resolution)
        object.__setattr__(self, "stride", stride)

    def to_dict(self) -> dict:
        """Return the settings as plain values, as they stand in model.json."""
        used = getattr(self.settings, "to_dict", lambda: asdict(self.settings))()
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in used.items()
        }


def resolve_architecture(model: Mapping) -> Architecture:
    """Check the `model` section of a screen and complete it with defaults.

    Parameters
    ----------
    model : mapping
        `preset` and any of its settings.

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        If the preset or a setting is unknown, of the wrong type or out of range.
    """
    if not isinstance(model, Mapping):
        raise InputError(f"model is {model!r}; expected a table with a preset")
    preset = model.get("preset")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InputError(f"model.preset is {preset!r}; {nearest(str(preset), PRESETS)}")
    kind, own = PRESETS[preset]
    defaults = {item.name: item.default for item in fields(kind)} | own
    settings = kind(**complete_settings("model", model, defaults))
    _refuse_huge(settings)
    settings.check()
    if kind is NetworkSettings:
        _refuse_unused(model, settings)
    architecture = Architecture(settings)
    for name in ("context", "stride"):
        if getattr(architecture, name) > _MOST_BASES:
            raise InputError(
                f"model: its {name} is more than {_MOST_BASES} bp; expected a smaller network"
            )
    return architecture


def resolve_network(model: Mapping) -> Architecture:
    """As `resolve_architecture`, but only for a screen's own network: no baseline."""
    known = (*NETWORKS, "custom")
    if isinstance(model, Mapping) and model.get("preset") not in known:
        raise InputError(
            f"model.preset is {model.get('preset')!r}; {nearest(str(model.get('preset')), known)}"
        )
    return resolve_architecture(model)


def _refuse_unused(model: Mapping, settings: NetworkSettings) -> None:
    """Raise InputError for a setting that means nothing here; a user thinks that it does."""
    for name in sorted(_unused(settings.trunk, settings.pooling) & set(model)):
        raise InputError(
            f"model.{name} means nothing for trunk {settings.trunk} and pooling "
            f"{settings.pooling}; expected it left out"
        )


def _refuse_huge(settings: Settings) -> None:
    """Raise InputError for numbers that no network has and that only fill time or memory."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        values = value if isinstance(value, tuple) else (value,)
        most = _MOST_LAYERS if item.name == "layers" else _MOST_BASES
        numbers = [one for one in values if isinstance(one, int)]
        if len(values) > _MOST_LAYERS or any(abs(one) > most for one in numbers):
            raise InputError(
                f"model.{item.name} is too large; expected at most {_MOST_LAYERS} values of at "
                f"most {most}"
            )


def _require_positive(settings: Settings, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise InputError(f"model.{name} is {getattr(settings, name)}; expected 1 or more")


def _require_each_positive(settings: Settings, name: str) -> None:
    values = getattr(settings, name)
    if not values or min(values) < 1:
        raise InputError(f"model.{name} is {list(values)}; expected whole numbers >= 1")


def _require_odd(settings: Settings, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if any(item % 2 == 0 for item in (value if isinstance(value, tuple) else (value,))):
            shown = list(value) if isinstance(value, tuple) else value
            raise InputError(
                f"model.{name} is {shown}; expected odd numbers, so that a prediction sees as far "
                "to the left as to the right"
            )
