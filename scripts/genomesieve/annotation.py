"""Gene annotation (GTF, GFF3) read into transcripts, and the sites that transcripts imply.

Coordinates are 0-based half-open inside; GTF and GFF3 are 1-based with both ends included. For an
intron [s, e): on plus the donor is s - 1 and the acceptor e, on minus the donor is e and the
acceptor s - 1 (last and first base of an exon). A transcription start is the first transcribed
base, a start codon the A of ATG, a stop codon its first base.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.compression import read_lines
from genomesieve.errors import InputError

_TRANS_SPLICED = re.compile(r'exception[ =]"?trans-splicing')
COLUMNS = ["contig", "feature", "start", "end", "strand", "attributes", "line"]
FEATURES = ("exon", "CDS", "stop_codon")
SITE_KINDS = (
    "splice_donor",
    "splice_acceptor",
    "transcription_start",
    "start_codon",
    "stop_codon",
)


def is_gff3(path: Path) -> bool:
    """Tell GFF3 from GTF by the file's name (`.gff`, `.gff3`, compressed or not)."""
    names = [suffix.lower() for suffix in path.suffixes]
    return ".gff3" in names or ".gff" in names


def read_features(path: Path) -> tuple[pd.DataFrame, int]:
    """Read the exons, coding parts and stop codons of an annotation.

    Parameters
    ----------
    path : Path
        GTF or GFF3, plain or gzip.

    Returns
    -------
    features : pandas.DataFrame
        Columns contig, feature, start, end (0-based half-open), strand, transcript, line; a feature
        with several parents has a row for each.
    trans_spliced : int
        Rows left out because they say that their transcript is trans-spliced: such exons may lie on
        two strands, and the places between them are no introns.

    Raises
    ------
    InputError
        With the line, for a row with too few columns, bad coordinates, no strand or no transcript.
    """
    rows, trans_spliced = _read_rows(path)
    pattern = r"(?:^|;)\s*Parent=([^;]+)" if is_gff3(path) else r'transcript_id "([^"]*)"'
    transcript = rows["attributes"].str.extract(pattern, expand=False).fillna("")
    missing = np.flatnonzero((transcript == "").to_numpy())
    if len(missing):
        row = rows.iloc[missing[0]]
        key = "Parent" if is_gff3(path) else "transcript_id"
        raise InputError(
            f"{path} line {row['line']}: {row['feature']} without {key}; expected one, so that "
            "exons can be joined to transcripts"
        )
    rows = rows.assign(transcript=transcript.str.split(",")).explode("transcript")
    return rows.drop(columns="attributes").reset_index(drop=True), trans_spliced


def _read_rows(path: Path) -> tuple[pd.DataFrame, int]:
    """Read and check the rows of the features that matter; count the trans-spliced ones."""
    kept, trans_spliced = [], 0
    for number, text in read_lines(path, "annotation"):
        if text.startswith("##FASTA"):
            break
        if text.startswith("#") or not text.strip():
            continue
        cells = text.split("\t")
        if len(cells) < 9:
            raise InputError(
                f"{path} line {number}: {len(cells)} columns; expected 9, separated by tabs"
            )
        if cells[2] not in FEATURES:
            continue
        if _TRANS_SPLICED.search(cells[8]):
            trans_spliced += 1
            continue
        start, end = _coordinates(path, number, cells)
        if cells[6] not in "+-":
            raise InputError(
                f"{path} line {number}: strand {cells[6]!r} of {cells[2]}; expected + or -"
            )
        kept.append((cells[0], cells[2], start, end, cells[6], cells[8], number))
    if not kept:
        raise InputError(f"{path} holds no exon and no CDS; expected a GTF or GFF3 annotation")
    return pd.DataFrame(kept, columns=COLUMNS), trans_spliced


def _coordinates(path: Path, number: int, cells: list[str]) -> tuple[int, int]:
    """Return start and end of a row, 0-based half-open."""
    try:
        start, end = int(cells[3]) - 1, int(cells[4])
    except ValueError:
        raise InputError(
            f"{path} line {number}: start {cells[3]!r}, end {cells[4]!r}; expected whole numbers"
        ) from None
    if not 0 <= start < end:
        raise InputError(
            f"{path} line {number}: start {cells[3]}, end {cells[4]}; expected 1 <= start <= end"
        )
    return start, end


def check_transcripts(features: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, int]:
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
        Naming a transcript with exons on two strands.
    """
    features = features.assign(transcript=features["contig"] + "\t" + features["transcript"])
    strands = features.groupby("transcript", sort=False)["strand"].nunique()
    mixed = strands.index[strands > 1]
    if len(mixed):
        lines = features.loc[features["transcript"] == mixed[0], "line"]
        name = mixed[0].split("\t")[1]
        raise InputError(
            f"{path} line {lines.iloc[0]}: transcript {name!r} has exons on two strands (also line "
            f"{lines.iloc[-1]}); expected one strand"
        )
    return features, len(strands)


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
    position = np.where(first, before, after)
    return introns[["contig", "strand"]].assign(position=position)


def transcription_starts(features: pd.DataFrame) -> pd.DataFrame:
    """Return contig, position and strand of the first transcribed base of every transcript."""
    exons = features[features["feature"] == "exon"]
    return _first_bases(exons)


def start_codons(features: pd.DataFrame) -> pd.DataFrame:
    """Return contig, position and strand of the first coding base of every transcript."""
    return _first_bases(features[features["feature"] == "CDS"])


def stop_codons(features: pd.DataFrame, coding_includes_stop: bool) -> pd.DataFrame:
    """Return contig, position and strand of the first base of every stop codon.

    Parameters
    ----------
    features : pandas.DataFrame
    coding_includes_stop : bool
        True for GFF3, where the last three coding bases are the stop codon, also where an intron
        splits it; a GTF has features of its own for stop codons.
    """
    if not coding_includes_stop:
        return _first_bases(features[features["feature"] == "stop_codon"])
    coding = features[features["feature"] == "CDS"]
    rows = []
    for _, parts in coding.sort_values("start").groupby("transcript", sort=False):
        plus = parts["strand"].iloc[0] == "+"
        left = 3
        for start, end in list(zip(parts["start"], parts["end"]))[:: -1 if plus else 1]:
            if end - start >= left:
                position = end - left if plus else start + left - 1
                rows.append((parts["contig"].iloc[0], parts["strand"].iloc[0], position))
                break
            left -= end - start
    return pd.DataFrame(rows, columns=["contig", "strand", "position"]).drop_duplicates()


def _first_bases(features: pd.DataFrame) -> pd.DataFrame:
    """Return the first base, in the direction of transcription, of each transcript's features."""
    groups = features.groupby("transcript", sort=False)
    table = groups.agg(
        contig=("contig", "first"),
        strand=("strand", "first"),
        low=("start", "min"),
        high=("end", "max"),
    )
    position = np.where(table["strand"] == "+", table["low"], table["high"] - 1)
    return table[["contig", "strand"]].assign(position=position).drop_duplicates(ignore_index=True)


def sites_of_kind(
    features: pd.DataFrame, introns: pd.DataFrame, kind: str, coding_includes_stop: bool
) -> pd.DataFrame:
    """Return the distinct sites of a kind: contig, position, strand.

    Parameters
    ----------
    features : pandas.DataFrame
        From `check_transcripts`.
    introns : pandas.DataFrame
        From `list_introns`, those that are too short left out.
    kind : str
        One of `SITE_KINDS`.
    coding_includes_stop : bool
        Whether the file is GFF3.
    """
    if kind in ("splice_donor", "splice_acceptor"):
        found = splice_sites(introns, kind)
    elif kind == "transcription_start":
        found = transcription_starts(features)
    elif kind == "start_codon":
        found = start_codons(features)
    elif kind == "stop_codon":
        found = stop_codons(features, coding_includes_stop)
    else:
        raise InputError(f"site {kind!r} is unknown; expected one of {', '.join(SITE_KINDS)}")
    return found[["contig", "position", "strand"]].drop_duplicates(ignore_index=True)
