"""What a network's settings mean for its geometry, known without loading torch.

The workflow needs a network's context, resolution and stride while it plans, and the genome half
needs them for guards and blocks; the networks themselves are built in `networks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from genomesieve.custom_settings import CustomSettings
from genomesieve.errors import InputError
from genomesieve.settings import complete_settings


@dataclass(frozen=True)
class DilatedSettings:
    """A residual network of dilated convolutions with one prediction a base.

    Every block is norm, ReLU, dilated convolution, norm, ReLU, dilated convolution, added to its
    cropped input (He et al. 2016, as in SpliceAI, Jaganathan et al. 2019); a wide first convolution
    finds motifs.
    """

    preset: str = "dilated"
    channels: int = 32
    stem_kernel: int = 11
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.0
    norm: str = "batch"

    def check(self) -> None:
        """Raise InputError for settings that no network can have."""
        _require_positive(self, "channels", "stem_kernel", "kernel")
        _require_odd(self, "stem_kernel", "kernel")
        _require_norm(self.norm)
        if not self.dilations or min(self.dilations) < 1:
            raise InputError(
                f"model.dilations is {list(self.dilations)}; expected whole numbers >= 1"
            )

    @property
    def context(self) -> int:
        """Bases seen on each side of a prediction."""
        return self.stem_kernel // 2 + sum(2 * (self.kernel // 2) * step for step in self.dilations)

    @property
    def resolution(self) -> int:
        """Bases a prediction covers."""
        return 1


@dataclass(frozen=True)
class MotifCnnSettings:
    """Convolutions as motif detectors and a maximum over each bin, as in DeepBind and Basset.

    The maximum spans the bin and `pool_margin` bases on each side.
    """

    preset: str = "motif_cnn"
    resolution: int = 50
    filters: int = 128
    kernel: int = 21
    pair_kernel: int = 1
    pool_margin: int = 0
    hidden: int = 64
    dropout: float = 0.2
    norm: str = "batch"

    def check(self) -> None:
        """Raise InputError for settings that no network can have."""
        _require_positive(self, "resolution", "filters", "kernel", "pair_kernel", "hidden")
        _require_odd(self, "kernel", "pair_kernel")
        _require_norm(self.norm)
        if self.pool_margin < 0:
            raise InputError(f"model.pool_margin is {self.pool_margin}; expected 0 or more bases")

    @property
    def context(self) -> int:
        """Bases seen on each side of a bin."""
        return self.kernel // 2 + self.pair_kernel // 2 + self.pool_margin


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
        _require_positive(self, "resolution", "k")
        if len(self.edges) < 2 or list(self.edges) != sorted(set(self.edges)):
            raise InputError(f"kmer.edges is {list(self.edges)}; expected two or more, ascending")

    @property
    def context(self) -> int:
        """Bases seen on each side of a bin."""
        return max(-self.edges[0], self.edges[-1] + self.k - 1 - self.resolution, 0)


Settings = DilatedSettings | MotifCnnSettings | PwmSettings | KmerSettings | CustomSettings
PRESETS: dict[str, type] = {
    "dilated": DilatedSettings,
    "motif_cnn": MotifCnnSettings,
    "pwm": PwmSettings,
    "kmer": KmerSettings,
    "custom": CustomSettings,
}


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
        Product of pools and strides: scan starts are multiples of it.
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
        left_out = getattr(self.settings, "LEFT_OUT", ())
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self.settings).items()
            if key not in left_out
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
    preset = model.get("preset")
    if preset not in PRESETS:
        raise InputError(f"model.preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    kind = PRESETS[preset]
    defaults = {item.name: item.default for item in fields(kind)}
    settings = kind(**complete_settings("model", model, defaults))
    settings.check()
    return Architecture(settings)


def _require_positive(settings: Settings, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise InputError(f"model.{name} is {getattr(settings, name)}; expected 1 or more")


def _require_odd(settings: Settings, *names: str) -> None:
    for name in names:
        if getattr(settings, name) % 2 == 0:
            raise InputError(
                f"model.{name} is {getattr(settings, name)}; expected an odd number, so that a "
                "prediction sees as far to the left as to the right"
            )


def _require_norm(norm: str) -> None:
    if norm not in ("batch", "none"):
        raise InputError(f"model.norm is {norm!r}; expected batch or none")
