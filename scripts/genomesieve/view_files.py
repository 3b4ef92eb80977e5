"""The small files that a view of chosen places is made from: sequence, tracks and a table.

Only the stretches around the places are written, so that a view of a large genome costs no more
than one of a small one. Tracks are compressed and indexed: igv-reports reads other files whole, and
gives their rows in no order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyBigWig
import pysam

from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome

Windows = Mapping[str, list[tuple[int, int]]]
"""Stretches by contig, 0-based half-open."""

# Blue and vermilion differ for every kind of colour vision; names and places tell tracks apart too.
STRAND_COLORS = {"plus": "#0072B2", "minus": "#D55E00", "both": "#0072B2"}


def write_sequence(path: Path, genome: EncodedGenome, windows: Windows) -> None:
    """Write the letters of some stretches as FASTA with its index, everything else left out.

    Each contig is one line of its full length, of which only the stretches are written: the rest
    is a hole in the file, costs no disk and is never read.

    Parameters
    ----------
    path : Path
        The index is written beside it, with the suffix .fai.
    genome : EncodedGenome
    windows : mapping
    """
    lengths = genome.contigs.set_index("contig")["length"]
    index = []
    with path.open("wb") as handle:
        for contig, stretches in windows.items():
            handle.write(f">{contig}\n".encode())
            first, length = handle.tell(), int(lengths[contig])
            for start, end in stretches:
                handle.seek(first + start)
                handle.write(_letters(genome, contig, start, end))
            handle.seek(first + length)
            handle.write(b"\n")
            index.append(f"{contig}\t{length}\t{first}\t{length}\t{length + 1}\n")
    path.with_name(path.name + ".fai").write_text("".join(index))


def _letters(genome: EncodedGenome, contig: str, start: int, end: int) -> bytes:
    """Return the letters of [start, end) of a contig, N for what is unknown."""
    alphabet = f"{genome.alphabet.letters}N".encode()
    return bytes(alphabet[code] for code in genome.fetch(contig, start, end).tolist())


def write_track(path: Path, bigwig: Path, windows: Windows) -> None:
    """Write the values of a bigWig on some stretches as bedGraph (`path` ends in .bedgraph.gz).

    Raises
    ------
    InputError
        If the file is no bigWig.
    """
    try:
        with pyBigWig.open(str(bigwig)) as track:
            known = track.chroms()
            lines = [
                f"{contig}\t{max(one[0], start)}\t{min(one[1], end)}\t{one[2]:.4g}\n"
                for contig, stretches in windows.items()
                if contig in known
                for start, end in stretches
                for one in track.intervals(contig, start, min(end, known[contig])) or ()
            ]
    except RuntimeError as error:
        raise InputError(f"track {bigwig} cannot be read: {error}; expected a bigWig") from error
    _write_indexed(path, lines)


def _write_indexed(path: Path, lines: list[str]) -> None:
    """Write sorted rows of BED or bedGraph, compressed, with an index beside them."""
    plain = path.with_suffix("")
    plain.write_text("".join(lines))
    pysam.tabix_index(str(plain), preset="bed", csi=True, force=True)
    # Only this kind of index reaches beyond 2^29, and only this name is looked for.
    path.with_name(f"{path.name}.csi").rename(path.with_name(f"{path.name}.tbi"))


def write_calls(path: Path, calls: Path, windows: Windows) -> None:
    """Write the calls on some stretches as BED6 (`path` ends in .bed.gz).

    Raises
    ------
    InputError
        If the file or its index cannot be read.
    """
    index = Path(f"{calls}.csi")
    try:
        with pysam.TabixFile(str(calls), index=str(index) if index.is_file() else None) as file:
            known = set(file.contigs)
            lines = [
                "\t".join(row.split("\t")[:6]) + "\n"
                for contig, stretches in windows.items()
                if contig in known
                for start, end in stretches
                for row in file.fetch(contig, start, end)
            ]
    except (OSError, ValueError) as error:
        raise InputError(
            f"calls {calls} cannot be read: {error}; expected an indexed calls.bed.gz"
        ) from error
    _write_indexed(path, lines)


def write_sites(path: Path, sites: pd.DataFrame, windows: Windows) -> None:
    """Write the known sites on some stretches as BED6, named by their class.

    Parameters
    ----------
    path : Path
        Ends in .bed.gz.
    sites : pandas.DataFrame
        contig, position (0-based), strand, class.
    windows : mapping
    """
    lines = []
    for contig, stretches in windows.items():
        mine = sites[sites["contig"] == contig].sort_values("position")
        for start, end in stretches:
            rows = mine[mine["position"].between(start, end - 1)]
            lines += [
                f"{contig}\t{row.position}\t{row.position + 1}\t{row.name}\t0\t{row.strand}\n"
                for row in rows.rename(columns={"class": "name"}).itertuples(index=False)
            ]
    _write_indexed(path, lines)


def write_table(path: Path, places: pd.DataFrame) -> None:
    """Write the places as the table that igv-reports reads; positions are 1-based, inclusive.

    Parameters
    ----------
    path : Path
    places : pandas.DataFrame
        Columns `genomesieve.viewed_sites.VIEWED_COLUMNS`.
    """
    table = pd.DataFrame(
        {
            "what": places["kind"],
            "class": places["class"],
            "contig": places["contig"],
            "position": places["start"] + 1,
            "end": places["end"],
            "strand": places["strand"],
            "score": places["score"].map(lambda value: "" if pd.isna(value) else f"{value:.2f}"),
            "probability": places["probability"].map(
                lambda value: "" if pd.isna(value) else f"{value:.3f}"
            ),
        }
    )
    if not table["score"].any():
        table = table.drop(columns="score")
    table.to_csv(path, sep="\t", index=False)


def write_tracks(path: Path, tracks: list[dict]) -> None:
    """Write how igv.js shows each track; `url` is a file with an index beside it."""
    indexed = [track | {"indexURL": f"{track['url']}.tbi"} for track in tracks]
    path.write_text(json.dumps(indexed))
