"""What a network learns beside its classes, known without loading torch.

The workflow checks it while it plans; `auxiliary` computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.settings import complete_settings, require_above_zero

FEWEST_BASES = {"gc": 1, "cpg": 2, "stacking": 2, "purine_run": 2}
"""Properties of the sequence (see `sequence_properties`), and the least bases of a window."""

DEFAULT_FLANK = 50
_DEFAULTS = {"property": "", "track": "", "weight": 0.1, "flank": None}


@dataclass(frozen=True)
class AuxiliaryTask:
    """One quantity that is predicted in training beside the classes.

    Parameters
    ----------
    name : str
    property : str
        One of `FEWEST_BASES`; empty for a track.
    track : str
        A track of numbers or intervals; empty for a property.
    weight : float
        Of its loss, in units of the classes' loss where nothing but the prevalence is known.
    flank : int
        bp on each side of a bin that its value is taken over too.
    """

    name: str
    property: str
    track: str
    weight: float
    flank: int


def resolve_auxiliary(given: object, architecture: Architecture) -> list[AuxiliaryTask]:
    """Check the `auxiliary` section of a screen and complete it with defaults.

    Parameters
    ----------
    given : mapping of str to mapping
        By name: `property` or `track`, and `weight` and `flank` (default: 50 bp or the context,
        whichever is less, for a property; 0 for a track).
    architecture : Architecture
        A value is taken over no more than the network sees.

    Raises
    ------
    InputError
    """
    if not isinstance(given, Mapping):
        raise InputError(f"auxiliary is {given!r}; expected a table of tasks by name")
    return [_task(name, values, architecture) for name, values in given.items()]


def _task(name: str, values: object, architecture: Architecture) -> AuxiliaryTask:
    """Check one task."""
    where = f"auxiliary.{name}"
    settings = complete_settings(where, values, _DEFAULTS)
    if bool(settings["property"]) == bool(settings["track"]):
        raise InputError(f"{where} needs either a property or a track")
    if settings["property"] and settings["property"] not in FEWEST_BASES:
        raise InputError(
            f"{where}.property is {settings['property']!r}; expected one of "
            f"{', '.join(FEWEST_BASES)}"
        )
    require_above_zero(where, settings, "weight")
    if settings["flank"] is None:
        settings["flank"] = min(DEFAULT_FLANK, architecture.context) if settings["property"] else 0
    flank = settings["flank"]
    if not isinstance(flank, int) or isinstance(flank, bool) or flank < 0:
        raise InputError(f"{where}.flank is {flank!r}; expected a whole number, 0 or more")
    if flank > architecture.context:
        raise InputError(
            f"{where}.flank is {flank} bp; expected at most what the network sees beside a bin, "
            f"{architecture.context} bp"
        )
    window = architecture.resolution + 2 * flank
    if window < FEWEST_BASES.get(settings["property"], 1):
        raise InputError(
            f"{where}: bin and flanks are {window} bp; expected at least "
            f"{FEWEST_BASES[settings['property']]} for {settings['property']}"
        )
    return AuxiliaryTask(name, **settings)
