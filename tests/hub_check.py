"""What UCSC's hubCheck asks of a track hub on a local disk, as far as it can be asked here.

The rules are those of https://genome.ucsc.edu/goldenPath/help/trackDb/trackDbHub.html and
https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html.
"""

from __future__ import annotations

import re
from pathlib import Path

import py2bit
import pyBigWig

HUB = ("hub", "shortLabel", "longLabel", "genomesFile", "email")
GENOME = ("genome", "trackDb", "twoBitPath", "organism", "defaultPos")
TRACK = ("track", "shortLabel", "longLabel", "type")
TYPES = r"bigWig( -?[\d.]+ -?[\d.]+)?|bigBed \d+( [+.])?"
VISIBILITIES = ("hide", "dense", "squish", "pack", "full")
KNOWN = {
    *TRACK, "bigDataUrl", "parent", "compositeTrack", "visibility", "spectrum", "autoScale",
    "viewLimits", "maxHeightPixels", "color",
}  # fmt: skip


def stanzas(path: Path) -> list[dict[str, str]]:
    """Read the stanzas of a file of settings; no setting may come twice in one."""
    found = []
    for text in re.split(r"\n\s*\n", path.read_text().strip()):
        pairs = [line.strip().split(" ", 1) for line in text.splitlines()]
        assert all(len(pair) == 2 and pair[1].strip() for pair in pairs), text
        assert len({key for key, _ in pairs}) == len(pairs), text
        found.append(dict(pairs))
    return found


def relative_file(folder: Path, url: str) -> Path:
    """Return the file that a relative URL names."""
    assert "://" not in url and not url.startswith("/"), url
    assert (folder / url).is_file(), url
    return folder / url


def check_labels(stanza: dict[str, str]) -> None:
    """Check the lengths of the labels."""
    assert 1 <= len(stanza["shortLabel"]) <= 17 and 1 <= len(stanza["longLabel"]) <= 80, stanza


def check_hub(path: Path) -> dict[str, dict[str, str]]:
    """Check a hub with all files that it names; return the tracks by name."""
    folder = path.parent
    (hub,) = stanzas(path)
    assert set(HUB) <= set(hub) and re.fullmatch(r"\w+", hub["hub"]) and "@" in hub["email"]
    check_labels(hub)
    (genome,) = stanzas(relative_file(folder, hub["genomesFile"]))
    assert set(GENOME) <= set(genome) and re.fullmatch(r"\w+", genome["genome"])
    sequence = py2bit.open(str(relative_file(folder, genome["twoBitPath"])))
    lengths = sequence.chroms()
    contig, start, end = re.fullmatch(r"(.+):(\d+)-(\d+)", genome["defaultPos"]).groups()
    assert 1 <= int(start) <= int(end) <= lengths[contig]
    tracks = {}
    for stanza in stanzas(relative_file(folder, genome["trackDb"])):
        assert set(TRACK) <= set(stanza) <= KNOWN, stanza
        assert re.fullmatch(r"[A-Za-z]\w*", stanza["track"], re.ASCII), stanza
        assert stanza["track"] not in tracks, stanza
        assert re.fullmatch(TYPES, stanza["type"]), stanza
        assert stanza.get("visibility", "hide") in VISIBILITIES
        check_labels(stanza)
        tracks[stanza["track"]] = stanza
    for stanza in tracks.values():
        if "parent" in stanza:
            assert "compositeTrack" in tracks[stanza["parent"].split()[0]]
        if "compositeTrack" in stanza:
            assert "bigDataUrl" not in stanza
            continue
        with pyBigWig.open(str(relative_file(folder, stanza["bigDataUrl"]))) as file:
            assert file.isBigWig() == stanza["type"].startswith("bigWig")
            assert file.chroms().items() <= lengths.items()
            colour = stanza.get("color", "0,0,0")
            assert all(0 <= int(part) <= 255 for part in colour.split(","))
    sequence.close()
    return tracks
