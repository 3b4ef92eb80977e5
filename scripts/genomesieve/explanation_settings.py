"""What a screen wants to have explained: `explain: true`, `false`, or a table of settings."""

from __future__ import annotations

from collections.abc import Iterator

PARTS = ("motifs", "interventions", "attention", "probes")
"""What follows the attribution of calls; each can be switched off, or given settings of its own."""

JASPAR_GROUPS = ("fungi", "plants", "vertebrates", "insects", "nematodes", "urochordates")
"""Taxonomic groups of JASPAR CORE, by which known motifs are chosen."""

MOTIF_SOURCES = (*JASPAR_GROUPS, "all", "none")
"""Known motifs that are no file."""


def expand_explanations(document: dict) -> dict:
    """Write `true` as a table without entries, so that a schema can fill in its defaults.

    Parameters
    ----------
    document : dict
        A configuration as it was read, not checked yet.

    Returns
    -------
    dict
        A copy in which every `explain` and every part of it is `false` or a table; what is neither
        stays for the schema to refuse.
    """
    screens = document.get("screens") if isinstance(document, dict) else None
    if not isinstance(screens, dict):
        return document
    return document | {"screens": {name: _expand(screen) for name, screen in screens.items()}}


def _expand(screen: object) -> object:
    """Expand the explanation of one screen."""
    if not isinstance(screen, dict) or "explain" not in screen:
        return screen
    wanted = {} if screen["explain"] is True else screen["explain"]
    if not isinstance(wanted, dict):
        return screen
    parts = {part: wanted.get(part, True) for part in PARTS}
    parts = {part: {} if value is True else value for part, value in parts.items()}
    return screen | {"explain": wanted | parts}


def wanted_parts(settings: dict) -> Iterator[str]:
    """Name the parts of an explanation that a screen's settings want."""
    explain = settings["explain"]
    if explain is not False:
        yield from (part for part in PARTS if explain[part] is not False)
