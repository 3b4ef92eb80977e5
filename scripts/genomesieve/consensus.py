"""What the sequence says about annotated sites: checks that an annotation fits its genome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.labels_on_bins import expand_ranges

STOPS = ("TAA", "TAG", "TGA")
LEAST_SITES = 20
"""Fewer sites than these say nothing of whether an annotation fits."""
_BLOCK = 1 << 22
_SHORT = 1 << 12


def gc_share(genome: EncodedGenome, intervals: pd.DataFrame) -> float | None:
    """Return the share of G and C among the known bases of intervals; None without any.

    Parameters
    ----------
    genome : EncodedGenome
    intervals : pandas.DataFrame
        Columns contig, start, end (0-based half-open, inside the contig).
    """
    offsets = dict(zip(genome.contigs["contig"], genome.contigs["offset"]))
    base = intervals["contig"].map(offsets).to_numpy(np.int64)
    starts, ends = (base + intervals[name].to_numpy(np.int64) for name in ("start", "end"))
    letters = genome.alphabet.encode("GC")
    strong = known = 0
    for codes in _stretches(genome.codes, starts, ends):
        # Counts of comparisons are many times as fast as a histogram of single bytes.
        strong += sum(int(np.count_nonzero(codes == code)) for code in letters)
        known += int(np.count_nonzero(codes < genome.alphabet.size))
    return strong / known if known else None


def _stretches(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the codes of intervals in arrays of at most `_BLOCK` bases, short ones joined."""
    is_long = ends - starts > _SHORT
    for start, end in zip(starts[is_long].tolist(), ends[is_long].tolist()):
        for first in range(start, end, _BLOCK):
            yield codes[first : min(first + _BLOCK, end)]
    ranges = np.stack([starts[~is_long], ends[~is_long]], axis=1)
    for first in range(0, len(ranges), _BLOCK // _SHORT):
        yield codes[expand_ranges(ranges[first : first + _BLOCK // _SHORT])]


def words_at(genome: EncodedGenome, sites: pd.DataFrame, offsets: tuple[int, ...]) -> list[str]:
    """Read letters around sites, in the direction of the strand.

    Parameters
    ----------
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, position (0-based), strand ('-' is read as the reverse complement).
    offsets : tuple of int
        Places relative to the site, along its strand.

    Returns
    -------
    list of str, length=len(sites)
        Unknown bases, and places beyond the contig, are N.
    """
    table = genome.contigs.set_index("contig").loc[sites["contig"]]
    minus = (sites["strand"] == "-").to_numpy()
    along = np.where(minus, -1, 1)[:, None] * np.array(offsets, dtype=np.int64)
    place = sites["position"].to_numpy(np.int64)[:, None] + along
    inside = (place >= 0) & (place < table["length"].to_numpy(np.int64)[:, None])
    index = np.where(inside, place + table["offset"].to_numpy(np.int64)[:, None], 0)
    codes = np.where(inside, genome.codes[index], genome.alphabet.unknown)
    codes = np.where(minus[:, None], genome.alphabet.complement_codes[codes], codes)
    letters = np.array([*genome.alphabet.letters, "N"])[codes]
    return ["".join(row) for row in letters.tolist()]


def intron_ends(genome: EncodedGenome, introns: pd.DataFrame) -> dict[str, float]:
    """Measure the share of introns that begin GT and end AG (or GC-AG, AT-AC) on their strand.

    Parameters
    ----------
    genome : EncodedGenome
    introns : pandas.DataFrame
        Columns contig, start, end (0-based half-open), strand.
    """
    if introns.empty:
        return {}
    plus = introns["strand"] == "+"
    low, high = introns["start"], introns["end"] - 1
    first = introns.assign(position=np.where(plus, low, high))
    last = introns.assign(position=np.where(plus, high, low))
    words = [
        begin + end
        for begin, end in zip(words_at(genome, first, (0, 1)), words_at(genome, last, (-1, 0)))
    ]
    counts = Counter(words)
    return {
        "gt_ag_share": counts["GTAG"] / len(words),
        "gc_ag_or_at_ac_share": (counts["GCAG"] + counts["ATAC"]) / len(words),
    }


def codon_shares(genome: EncodedGenome, sites: pd.DataFrame, kind: str) -> dict[str, float]:
    """Measure the share of start codons that are ATG, or of stop codons that are stops.

    A codon that an intron splits counts as not being one.
    """
    if kind not in ("start_codon", "stop_codon") or sites.empty:
        return {}
    words = words_at(genome, sites, (0, 1, 2))
    wanted = ("ATG",) if kind == "start_codon" else STOPS
    name = "atg_share" if kind == "start_codon" else "stop_share"
    return {name: sum(word in wanted for word in words) / len(words)}


@dataclass(frozen=True)
class _Expectation:
    """Shares that add up to what is usual, and the sum below which an annotation does not fit."""

    shares: tuple[str, ...]
    least: float
    usual: str


# Chance gives 1 in 256 introns GT-AG, 1 in 64 codons ATG, 3 in 64 a stop. Bacteria begin a third of
# their genes with GTG or TTG; codons that an intron splits count as not being one.
_EXPECTED = {
    "introns": _Expectation(
        ("gt_ag_share", "gc_ag_or_at_ac_share"), 0.8, "begin GT and end AG (or GC-AG, AT-AC)"
    ),
    "start codons": _Expectation(("atg_share",), 0.3, "are ATG"),
    "stop codons": _Expectation(("stop_share",), 0.5, "are TAA, TAG or TGA"),
}


def require_consensus(shares: dict[str, float], counts: dict[str, int], source: str) -> None:
    """Raise InputError if annotated sites lack what nearly all such sites carry.

    Coordinates of another assembly, or of another species, fall on letters at random.

    Parameters
    ----------
    shares : dict of str to float
        As `intron_ends` and `codon_shares` measure them.
    counts : dict of str to int
        Number of introns, start codons and stop codons.
    source : str
        The annotation and the genome, for the message.
    """
    for kind, expected in _EXPECTED.items():
        found = [shares[name] for name in expected.shares if name in shares]
        if found and counts.get(kind, 0) >= LEAST_SITES and sum(found) < expected.least:
            raise InputError(
                f"{source}: {sum(found):.1%} of {counts[kind]:,} {kind} {expected.usual}; expected "
                f"at least {expected.least:.0%}. Is the annotation that of another assembly? "
                "(check_consensus: false takes it as it is)"
            )
