"""What the files of a new screen hold: whether they fit the genome, and which classes they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from genomesieve.consensus import codon_shares, words_at
from genomesieve.errors import InputError, first_names
from genomesieve.files import existing_file
from genomesieve.genome import EncodedGenome
from genomesieve.model_description import NAME
from genomesieve.screen_names import is_named, named_file
from genomesieve.site_files import SiteFile, look_at, propose_aliases, track_format

COLUMN_4 = "column:4"
MOST_CLASSES = 6
"""Classes of column 4 that are taken unless others are asked for."""
LEAST_LETTERS = 0.5
"""Least share of sites with the letters that their kind has."""
_CODONS = {"start_codons": "start_codon", "stop_codons": "stop_codon"}
_BESIDE_SITES = (("donor", (1, 2), "GT"), ("acceptor", (-2, -1), "AG"))


@dataclass(frozen=True)
class Kind:
    """What sites are.

    Parameters
    ----------
    words : str
    classes : dict of str to str
        Class to what of an annotation it is; none where only intervals say where sites are.
    bins : bool
        Whether sites are told by bins of both strands, not by single bases on each.
    """

    words: str
    classes: dict[str, str] = field(default_factory=dict)
    bins: bool = False


KINDS = {
    "splice_sites": Kind("splice sites", {"donor": "splice_donor", "acceptor": "splice_acceptor"}),
    "start_codons": Kind("start codons", {"start": "start_codon"}),
    "stop_codons": Kind("stop codons", {"stop": "stop_codon"}),
    "transcription_starts": Kind("transcription starts", {"tss": "transcription_start"}),
    "binding_sites": Kind("binding sites", bins=True),
    "other": Kind("sites", bins=True),
}


@dataclass(frozen=True)
class Source:
    """A file of sites and the class that its rows are of (`column:4`, or empty: an annotation)."""

    file: SiteFile
    kind: str


@dataclass(frozen=True)
class Found:
    """What the files of a screen hold.

    Parameters
    ----------
    genome : EncodedGenome
    classes : dict
        Class to what the configuration says of it.
    sites : pandas.DataFrame
        As `extract_sites` writes them.
    dropped, facts : dict
        What was left out, by reason; shares of letters.
    aliases : dict of str to str
    notes : list of str
        What people should know.
    """

    genome: EncodedGenome
    classes: dict
    sites: pd.DataFrame
    dropped: dict
    facts: dict
    aliases: dict[str, str]
    notes: list[str]

    @property
    def stranded(self) -> bool:
        """Whether the sites of all classes have a strand."""
        return all(item.get("stranded") for item in self.classes.values())


def read_sources(texts: Sequence[str], kind: str) -> list[Source]:
    """Look at all files of sites, and tell what class the rows of each are of.

    Parameters
    ----------
    texts : sequence of str
        `FILE` or `CLASS=FILE`.
    kind : str
        One of `KINDS`.

    Raises
    ------
    InputError
        If a file cannot be read, an annotation has no sites of this kind, or does not stand alone.
    """
    sources = []
    for text in texts:
        name, path = named_file(text)
        existing_file(path, "file of sites")
        file = look_at(path, track_format({}, path))
        if file.is_annotation and not KINDS[kind].classes:
            known = ", ".join(key for key, one in KINDS.items() if one.classes)
            raise InputError(
                f"{path} is an annotation, and kind {kind} needs intervals; expected BED "
                f"or narrowPeak, or one of {known}"
            )
        if file.is_annotation:
            name = ""
        elif not is_named(text) and file.names():
            name = COLUMN_4
        sources.append(Source(file, name))
    if sum(source.file.is_annotation for source in sources) and len(sources) > 1:
        raise InputError("--sites: an annotation and other files; expected one annotation alone")
    return sources


def find_aliases(sources: Sequence[Source], genome: EncodedGenome) -> dict[str, str]:
    """Return what contigs are called in the files and in the FASTA, where they differ."""
    known = genome.contigs["contig"].tolist()
    found = pd.concat([source.file.rows["contig"] for source in sources]).unique().tolist()
    return propose_aliases(found, known)


def check_contigs(source: Source, genome: EncodedGenome, aliases: dict[str, str]) -> None:
    """Raise InputError where rows lie on other contigs than the FASTA's, or beyond their ends."""
    file, lengths = source.file, dict(zip(genome.contigs["contig"], genome.contigs["length"]))
    unknown = file.unknown_contigs(lengths, aliases)
    count, total = sum(unknown.values()), len(file.rows)
    if count == total or (count and not file.is_annotation):
        raise InputError(
            f"{file.path}: {count} of {total} rows lie on contigs that the FASTA lacks, such as "
            f"{', '.join(list(unknown)[:3])}; expected its names, such as "
            f"{', '.join(list(lengths)[:3])}: another assembly, or contigs called otherwise"
        )
    beyond = file.beyond_ends(lengths, aliases)
    if beyond and not file.is_annotation:
        raise InputError(
            f"{file.path}: {beyond} of {total} rows ({beyond / total:.2%}) end beyond their "
            "contig; expected none: sites of another assembly?"
        )


def choose_classes(
    sources: Sequence[Source], kind: str, wanted: Sequence[str], notes: list[str]
) -> dict[str, dict]:
    """Return the classes of a screen with their settings.

    Parameters
    ----------
    sources : sequence of Source
    kind : str
        One of `KINDS`.
    wanted : sequence of str
        Names in column 4 to take; empty for those with most sites.
    notes : list of str
        What people should know is added.

    Raises
    ------
    InputError
        If a class cannot be called what it is called, or its sites lack the strand they need.
    """
    if sources[0].file.is_annotation:
        return {
            name: {"stranded": True, "site": site} for name, site in KINDS[kind].classes.items()
        }
    names = []
    for source in sources:
        if source.kind == COLUMN_4:
            names += _column_classes(source.file, wanted, notes)
        else:
            names.append(source.kind)
    for name in names:
        if not NAME.fullmatch(name):
            raise InputError(
                f"class {name!r}; expected letters, digits, _, + and -: name it as CLASS=FILE"
            )
    unstranded = [source.file.path for source in sources if not source.file.stranded]
    if unstranded and not KINDS[kind].bins:
        raise InputError(
            f"{unstranded[0]}: rows without + or - in column 6; expected the strand of every site, "
            f"as {kind} have one"
        )
    stranded = not KINDS[kind].bins or (kind == "other" and not unstranded)
    return {name: {"stranded": True} if stranded else {} for name in dict.fromkeys(names)}


def _column_classes(file: SiteFile, wanted: Sequence[str], notes: list[str]) -> list[str]:
    """Return the classes to take of column 4."""
    counts = file.names()
    for name in wanted:
        if name not in counts:
            raise InputError(
                f"--classes: {name!r} is no name in column 4 of {file.path}; expected some of "
                f"{first_names((name for name, _ in counts.most_common()), 8)}"
            )
    if wanted:
        return list(wanted)
    usable = [name for name, _ in counts.most_common() if NAME.fullmatch(name)]
    if not usable:
        raise InputError(
            f"{file.path}: column 4 holds {first_names(counts, 3)}; expected classes (letters, "
            "digits, _, + and -), or one class a file: CLASS=FILE"
        )
    taken = usable[:MOST_CLASSES]
    if len(counts) > len(taken):
        notes.append(
            f"column 4 of {file.path.name} names {len(counts)} classes; the {len(taken)} with most "
            "sites are taken (--classes A,B,... takes others)"
        )
    return taken


def letters_at(
    genome: EncodedGenome, sites: pd.DataFrame, kind: str, sources: Sequence[Source]
) -> dict[str, float]:
    """Return the share of intervals' sites that have the letters of their kind.

    Parameters
    ----------
    genome : EncodedGenome
    sites : pandas.DataFrame
        Columns contig, position (0-based), strand, class.
    kind : str
        One of `KINDS`.
    sources : sequence of Source
        An annotation's letters are checked by its reader, and give nothing here.

    Raises
    ------
    InputError
        If a share is below `LEAST_LETTERS`.
    """
    if sources[0].file.is_annotation:
        return {}
    shares = codon_shares(genome, sites, _CODONS.get(kind, ""))
    if kind == "splice_sites":
        for word, offsets, letters in _BESIDE_SITES:
            mine = sites[sites["class"].str.lower().str.contains(word)]
            if len(mine):
                found = words_at(genome, mine, offsets)
                shares[f"{word}_{letters.lower()}_share"] = found.count(letters) / len(found)
    for name, share in shares.items():
        if share < LEAST_LETTERS:
            raise InputError(
                f"{sources[0].file.path}: {name.replace('_', ' ')} is {share:.1%}; expected most. "
                "A donor is the last base of an exon, an acceptor the first, a codon its first "
                "base: sites of another assembly, or set beside their base?"
            )
    return shares
