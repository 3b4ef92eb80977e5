"""The sites that transcripts imply.

For an intron [s, e), 0-based half-open: on plus the donor is s - 1 and the acceptor e, on minus the
donor is e and the acceptor s - 1 (last and first base of an exon). A transcription start is the
first transcribed base, a start codon the A of ATG, a stop codon its first base, also where an
intron splits it.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pandas as pd

from genomesieve.annotation import Annotation
from genomesieve.errors import InputError

SITE_KINDS = (
    "splice_donor",
    "splice_acceptor",
    "transcription_start",
    "start_codon",
    "stop_codon",
)
INCOMPLETE = {
    "start_codon": "coding transcript without a complete start",
    "stop_codon": "coding transcript without a complete end",
}
PSEUDOGENE = "coding part of a pseudogene"


def check_transcripts(features: pd.DataFrame, path: str | os.PathLike) -> tuple[pd.DataFrame, int]:
    """Make transcripts consistent: one contig and one strand each.

    Exons on two strands under one name cannot be joined and are an error; a name on two contigs
    stands for two transcripts.

    Returns
    -------
    features : pandas.DataFrame
        With `transcript` unique per contig.
    transcripts : int

    Raises
    ------
    InputError
        Naming a transcript with exons on two strands, and the lines.
    """
    features = features.assign(transcript=features["contig"] + "\t" + features["transcript"])
    numbers, names = pd.factorize(features["transcript"])
    plus = (features["strand"] == "+").to_numpy()
    sizes = np.bincount(numbers, minlength=len(names))
    on_plus = np.bincount(numbers, weights=plus, minlength=len(names))
    mixed = np.flatnonzero((on_plus > 0) & (on_plus < sizes))
    if len(mixed):
        rows = features[numbers == mixed[0]]
        name = names[mixed[0]].split("\t")[1]
        lines = [int(rows.loc[rows["strand"] == strand, "line"].iloc[0]) for strand in "+-"]
        raise InputError(
            f"{path} line {max(lines)}: transcript {name!r} has exons on two strands (the other "
            f"on line {min(lines)}); expected one strand"
        )
    return features, len(names)


def list_introns(features: pd.DataFrame) -> pd.DataFrame:
    """List the distinct introns: gaps between consecutive exons of a transcript.

    Coding parts stand in for the exons of a transcript that has none.

    Returns
    -------
    pandas.DataFrame
        Columns contig, start, end (0-based half-open), strand.
    """
    exons = features[features["feature"] == "exon"]
    rest = features[features["feature"] == "CDS"]
    rest = rest[~rest["transcript"].isin(exons["transcript"])]
    table = pd.concat([exons, rest]).sort_values(["transcript", "start", "end"], kind="stable")
    same = table["transcript"].to_numpy()[1:] == table["transcript"].to_numpy()[:-1]
    reach = table.groupby("transcript")["end"].cummax().to_numpy()[:-1]
    begin = table["start"].to_numpy()[1:]
    gap = same & (begin > reach)
    introns = pd.DataFrame(
        {
            "contig": table["contig"].to_numpy()[1:][gap],
            "start": reach[gap],
            "end": begin[gap],
            "strand": table["strand"].to_numpy()[1:][gap],
        }
    )
    return introns.drop_duplicates(ignore_index=True)


def splice_sites(introns: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return contig, position and strand of donors or acceptors of introns."""
    plus = (introns["strand"] == "+").to_numpy()
    before, after = introns["start"].to_numpy() - 1, introns["end"].to_numpy()
    first = plus if kind == "splice_donor" else ~plus
    return introns[["contig", "strand"]].assign(position=np.where(first, before, after))


def transcription_starts(features: pd.DataFrame) -> pd.DataFrame:
    """Return contig, position and strand of the first transcribed base of every transcript."""
    return _first_bases(features[features["feature"] == "exon"])


def start_codons(annotation: Annotation) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the first base of every start codon, and what was left out by reason.

    A file that has features for start codons is taken at its word: a transcript without one is
    incomplete. Else a start codon is the first coding base, unless the coding part says that it
    begins inside a codon or beyond its first base.
    """
    coding, dropped = _coding(annotation)
    explicit = annotation.features[annotation.features["feature"] == "start_codon"]
    if len(explicit):
        missing = set(coding["transcript"]) - set(explicit["transcript"])
        dropped[INCOMPLETE["start_codon"]] += len(missing)
        return _first_bases(explicit), dropped
    parts = _in_transcription_order(coding)
    first = parts[~parts.duplicated("transcript")]
    is_open = np.where(first["strand"] == "+", first["open_low"], first["open_high"])
    incomplete = is_open.astype(bool) | (first["phase"] > 0).to_numpy()
    dropped[INCOMPLETE["start_codon"]] += int(incomplete.sum())
    return _first_bases(first[~incomplete]), dropped


def stop_codons(annotation: Annotation) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the first base of every stop codon, and what was left out by reason.

    A file that has features for stop codons is taken at its word. Else the stop codon is the last
    three coding bases in GFF3, and the three bases of the exons after them in GTF, as the two
    formats define CDS.
    """
    coding, dropped = _coding(annotation)
    explicit = annotation.features[annotation.features["feature"] == "stop_codon"]
    transcripts = coding["transcript"].nunique()
    if len(explicit):
        missing = set(coding["transcript"]) - set(explicit["transcript"])
        dropped[INCOMPLETE["stop_codon"]] += len(missing)
        return _first_bases(explicit), dropped
    parts = _in_transcription_order(coding)
    last = parts[~parts.duplicated("transcript", keep="last")]
    is_open = np.where(last["strand"] == "+", last["open_high"], last["open_low"]).astype(bool)
    complete = last[~is_open].set_index("transcript")
    if annotation.gff3:
        lengths = (parts["end"] - parts["start"]).groupby(parts["transcript"]).sum()
        found = _bases_at(parts, lengths.loc[complete.index] - 3)
    else:
        exons = annotation.features[annotation.features["feature"] == "exon"]
        ends = pd.Series(
            np.where(complete["strand"] == "+", complete["end"] - 1, complete["start"]),
            index=complete.index,
        )
        found = _bases_after(_in_transcription_order(exons), ends)
    dropped[INCOMPLETE["stop_codon"]] += transcripts - len(found)
    return _distinct(found), dropped


def sites_of_kind(
    annotation: Annotation, introns: pd.DataFrame, kind: str
) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the distinct sites of a kind, and what was left out by reason.

    Parameters
    ----------
    annotation : Annotation
        With features from `check_transcripts`.
    introns : pandas.DataFrame
        From `list_introns`, those that are no splice sites left out.
    kind : str
        One of `SITE_KINDS`.

    Returns
    -------
    sites : pandas.DataFrame
        Columns contig, position (0-based), strand.
    dropped : collections.Counter

    Raises
    ------
    InputError
        If the kind is unknown.
    """
    if kind in ("splice_donor", "splice_acceptor"):
        found, dropped = splice_sites(introns, kind), Counter()
    elif kind == "transcription_start":
        found, dropped = transcription_starts(annotation.features), Counter()
    elif kind == "start_codon":
        found, dropped = start_codons(annotation)
    elif kind == "stop_codon":
        found, dropped = stop_codons(annotation)
    else:
        raise InputError(f"site {kind!r} is unknown; expected one of {', '.join(SITE_KINDS)}")
    return _distinct(found), dropped


def _coding(annotation: Annotation) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the coding parts of genes that work, and the count of the others."""
    coding = annotation.features[annotation.features["feature"] == "CDS"]
    pseudo = coding["pseudo"].to_numpy(bool)
    return coding[~pseudo], Counter({PSEUDOGENE: int(pseudo.sum())})


def _in_transcription_order(parts: pd.DataFrame) -> pd.DataFrame:
    """Sort parts by transcript, then along it; add `before`, its bases before each part."""
    key = np.where(parts["strand"] == "+", parts["start"], -parts["end"])
    parts = parts.assign(key=key).sort_values(["transcript", "key"], kind="stable")
    length = parts["end"] - parts["start"]
    return parts.assign(before=length.groupby(parts["transcript"]).cumsum() - length)


def _bases_at(parts: pd.DataFrame, places: pd.Series) -> pd.DataFrame:
    """Return the genomic base at a place (0-based, along the transcript) of each transcript.

    Parameters
    ----------
    parts : pandas.DataFrame
        From `_in_transcription_order`.
    places : pandas.Series
        Indexed by transcript; those outside the transcript give no base.
    """
    place = parts["transcript"].map(places)
    inside = (place >= parts["before"]) & (place < parts["before"] + parts["end"] - parts["start"])
    chosen = parts[inside]
    along = (place[inside] - chosen["before"]).to_numpy(np.int64)
    plus = (chosen["strand"] == "+").to_numpy()
    position = np.where(plus, chosen["start"] + along, chosen["end"] - 1 - along)
    return chosen[["contig", "strand"]].assign(position=position)


def _bases_after(exons: pd.DataFrame, ends: pd.Series) -> pd.DataFrame:
    """Return the transcribed base that follows a genomic base of each transcript, if any."""
    end = exons["transcript"].map(ends)
    chosen = exons[(end >= exons["start"]) & (end < exons["end"])]
    end = end[chosen.index]
    along = np.where(chosen["strand"] == "+", end - chosen["start"], chosen["end"] - 1 - end)
    places = pd.Series(chosen["before"].to_numpy() + along + 1, index=chosen["transcript"])
    return _bases_at(exons, places[~places.index.duplicated()])


def _first_bases(features: pd.DataFrame) -> pd.DataFrame:
    """Return the first base, in the direction of transcription, of each transcript's features."""
    table = features.groupby("transcript", sort=False).agg(
        contig=("contig", "first"),
        strand=("strand", "first"),
        low=("start", "min"),
        high=("end", "max"),
    )
    position = np.where(table["strand"] == "+", table["low"], table["high"] - 1)
    return _distinct(table[["contig", "strand"]].assign(position=position))


def _distinct(sites: pd.DataFrame) -> pd.DataFrame:
    """Return distinct contig, position, strand."""
    return sites[["contig", "position", "strand"]].drop_duplicates(ignore_index=True)
