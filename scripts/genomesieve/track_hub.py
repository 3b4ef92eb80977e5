"""Track hubs: what a genome browser has to know of calls and tracks to show them.

The settings and their limits are those of UCSC's definition of trackDb:
https://genome.ucsc.edu/goldenPath/help/trackDb/trackDbHub.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_SHORT, LONGEST_LONG = 17, 80
"""Characters of a label that browsers show."""
CALLS = "calls"
_BLUE, _VERMILION, _GREY = "0,114,178", "213,94,0", "90,90,90"
_COLOURS = {"plus": _BLUE, "minus": _VERMILION, "both": _GREY}
_STRANDS = {"plus": "+", "minus": "-", "both": "both strands"}


@dataclass(frozen=True)
class Hub:
    """One screen on one genome, for a browser.

    Parameters
    ----------
    screen, genome : str
    classes : tuple of str
        Classes of calls.
    tracks : tuple of (str, str, str)
        Class, strand (plus, minus, both) and file of each bigWig of probabilities.
    place : str
        Where a browser opens, `contig:start-end` (1-based, both ends included).
    has_calls : bool
        Whether there is a bigBed of calls.
    """

    screen: str
    genome: str
    classes: tuple[str, ...]
    tracks: tuple[tuple[str, str, str], ...]
    place: str
    has_calls: bool


def hub_text(hub: Hub) -> str:
    """Return hub.txt."""
    return _stanza(
        ("hub", plain_name(f"genomesieve_{hub.screen}_{hub.genome}")),
        ("shortLabel", _short(hub.screen)),
        ("longLabel", _long(f"Screen {hub.screen} of genome {hub.genome} (genomesieve)")),
        ("genomesFile", "genomes.txt"),
        # Browsers want an address; whoever publishes a hub puts their own.
        ("email", "nobody@example.org"),
    )


def genomes_text(hub: Hub) -> str:
    """Return genomes.txt: the hub brings its genome's sequence."""
    name = plain_name(hub.genome)
    return _stanza(
        ("genome", name),
        ("trackDb", "trackDb.txt"),
        ("twoBitPath", "genome.2bit"),
        ("organism", name),
        ("scientificName", name),
        ("description", _long(f"Genome {hub.genome} as it was screened")),
        ("defaultPos", hub.place),
    )


def track_text(hub: Hub) -> str:
    """Return trackDb.txt: the calls, and a group of probabilities by class and strand."""
    stanzas = []
    if hub.has_calls:
        classes = ", ".join(hub.classes)
        stanzas.append(
            _stanza(
                ("track", CALLS),
                ("bigDataUrl", "calls.bb"),
                ("shortLabel", _short("Calls")),
                ("longLabel", _long(f"Calls of {classes} at the operating precision")),
                ("type", "bigBed 6 +"),
                ("visibility", "pack"),
                ("spectrum", "on"),
            )
        )
    if hub.tracks:
        stanzas.append(
            _stanza(
                ("track", "probability"),
                ("compositeTrack", "on"),
                ("shortLabel", _short("Probability")),
                ("longLabel", _long(f"Probability of each class of screen {hub.screen}")),
                ("type", "bigWig 0 1"),
                ("visibility", "full"),
                ("autoScale", "off"),
                ("viewLimits", "0:1"),
                ("maxHeightPixels", "100:40:8"),
            )
        )
    names = unique_names(f"probability_{name}_{strand}" for name, strand, _ in hub.tracks)
    for track, (name, strand, file) in zip(names, hub.tracks):
        stanzas.append(
            _stanza(
                ("track", track),
                ("parent", "probability on"),
                ("bigDataUrl", file),
                ("shortLabel", _short(f"{name} {_STRANDS[strand]}")),
                ("longLabel", _long(f"Probability of {name}, {_STRANDS[strand]}")),
                ("type", "bigWig 0 1"),
                ("color", _COLOURS[strand]),
            )
        )
    return "\n".join(stanzas)


def plain_name(text: str) -> str:
    """Return a name of letters, digits and _ alone, beginning with a letter."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return name if name[:1].isalpha() else f"n{name}"


def unique_names(texts: Iterable[str]) -> list[str]:
    """Return a plain name for each text; those that would be the same get a number."""
    found: list[str] = []
    for text in texts:
        name, number = plain_name(text), 2
        while name in found:
            name, number = f"{plain_name(text)}_{number}", number + 1
        found.append(name)
    return found


def default_place(contig: str, start: int, end: int, length: int, around: int = 500) -> str:
    """Return the surroundings of [start, end) of a contig, as browsers write places."""
    return f"{contig}:{max(0, start - around) + 1}-{min(length, end + around)}"


def _short(text: str) -> str:
    """Cut a short label to its length."""
    return text[:LONGEST_SHORT].strip()


def _long(text: str) -> str:
    """Cut a long label to its length."""
    return text if len(text) <= LONGEST_LONG else f"{text[: LONGEST_LONG - 3]}..."


def _stanza(*settings: tuple[str, str]) -> str:
    """Write the settings of one thing, one a line."""
    return "".join(f"{key} {value}\n" for key, value in settings)
