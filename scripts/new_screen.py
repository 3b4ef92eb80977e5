"""Set up a new screen: look at a genome and its known sites, and write a configuration that runs.

Asks on a terminal for what is not given. In: a genome (FASTA) and its sites (GTF, GFF3, BED,
narrowPeak, broadPeak; plain or gzip), and what they are. Out, in --folder: genomes.tsv, tracks.tsv
(where sites are intervals), alias.tsv (where contigs are called otherwise) and config.yaml, checked
as the workflow checks them; and on the screen, what was found in the files.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pybedtools
import yaml

from encode_genome import encode
from extract_sites import Extraction, check_exclusive, track_format
from genomesieve.annotation import is_gff3
from genomesieve.command_line import comma_list, make_parser, run_script
from genomesieve.configuration import resolve_plan
from genomesieve.consensus import codon_shares, words_at
from genomesieve.errors import InputError
from genomesieve.fasta import read_fasta
from genomesieve.files import existing_file, whole_files, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.screen_proposal import (
    Draft,
    Proposal,
    config_text,
    propose_base_model,
    propose_bin_model,
    propose_split,
)
from genomesieve.site_files import SiteFile, look_at, propose_aliases

REPOSITORY = Path(__file__).resolve().parent.parent
MIN_INTRON = 20
MOST_CLASSES = 6
"""Classes of column 4 that are taken unless others are asked for."""
LEAST_LETTERS = 0.5
"""Least share of sites with the letters that their kind has."""
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+-]{0,99}")


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


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--genome", metavar="[NAME=]FASTA", help="genome to learn from")
    parser.add_argument(
        "--sites",
        action="append",
        default=[],
        metavar="[CLASS=]FILE",
        help="known sites: GTF or GFF3 (one), or BED, narrowPeak, broadPeak (repeat for several); "
        "without CLASS= the class is the file's name, or column 4 where that names classes",
    )
    parser.add_argument("--kind", choices=list(KINDS), help="what the sites are")
    parser.add_argument(
        "--classes",
        dest="wanted",
        type=comma_list,
        default=(),
        help="classes of column 4 to take, with commas between them (default: the "
        f"{MOST_CLASSES} with most sites)",
    )
    parser.add_argument(
        "--scan",
        action="append",
        default=[],
        metavar="[NAME=]FASTA",
        help="further genome to scan, without labels; repeat for several",
    )
    parser.add_argument("--name", help="name of the screen (default: what the sites are, genome)")
    parser.add_argument(
        "--folder", type=Path, help="where to write (default: config/NAME in the current folder)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument("--yes", action="store_true", help="ask nothing, also on a terminal")
    return parser.parse_args(argv)


# --- what is asked --------------------------------------------------------------------------------


def complete_arguments(arguments: argparse.Namespace, ask: Callable[[str], str] | None) -> None:
    """Ask for what is missing, or raise InputError that names the option.

    Parameters
    ----------
    arguments : argparse.Namespace
        Is changed.
    ask : callable or None
        Puts a question and returns the answer; None where nobody can be asked.
    """
    if ask is None:
        for option in ("genome", "sites", "kind"):
            if not getattr(arguments, option):
                raise InputError(f"--{option} is missing; expected it, or a terminal to ask on")
        return
    if not arguments.genome:
        arguments.genome = ask("Genome to learn from (FASTA, plain or gzip)")
    if not arguments.sites:
        answer = ask("Known sites (GTF, GFF3, BED or narrowPeak; several with blanks between)")
        arguments.sites = shlex.split(answer)
    if not arguments.kind:
        arguments.kind = ask_kind(ask)
    if not arguments.scan:
        answer = ask("Further genomes to scan, without labels (FASTA; empty for none)")
        arguments.scan = shlex.split(answer)
    if not arguments.name:
        arguments.name = ask(f"Name of the screen (empty for {default_name(arguments)})") or None


def ask_kind(ask: Callable[[str], str]) -> str:
    """Ask what the sites are, by number or word."""
    keys = list(KINDS)
    listed = ", ".join(f"{number} {key}" for number, key in enumerate(keys, start=1))
    answer = ask(f"What are they: {listed}")
    if answer.isdigit() and 1 <= int(answer) <= len(keys):
        return keys[int(answer) - 1]
    if answer not in KINDS:
        raise InputError(f"kind of sites {answer!r}; expected one of {', '.join(keys)}")
    return answer


def ask_on_terminal(question: str) -> str:
    """Put a question on the terminal."""
    try:
        return input(f"{question}: ").strip()
    except EOFError:
        raise InputError(f"no answer to: {question}; expected one, or the option") from None


def named_file(text: str) -> tuple[str, Path]:
    """Split `NAME=FILE` or `FILE`; a name is made of the file's where none is given."""
    name, separator, path = text.partition("=")
    if separator and not Path(text).is_file():
        return name, Path(path)
    return name_of(Path(text)), Path(text)


def name_of(path: Path) -> str:
    """Make a name for configuration and folders of a file's name."""
    stem = path.name
    for suffix in reversed(path.suffixes):
        if re.fullmatch(r"\.[A-Za-z]\w{0,9}", suffix):
            stem = stem.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9_+-]+", "_", stem).strip("-_")[:60] or "genome"


def default_name(arguments: argparse.Namespace) -> str:
    """Name a screen by what its sites are and its genome."""
    return f"{arguments.kind.removesuffix('_sites')}_{named_file(arguments.genome)[0]}"


# --- what is found in the files -------------------------------------------------------------------


def encode_here(name: str, fasta: Path, folder: Path) -> EncodedGenome:
    """Encode a genome in a folder, as the workflow does."""
    existing_file(fasta, "FASTA file")
    here = folder / name
    here.mkdir()
    totals, _ = encode(fasta, here / "codes.npy", here / "softmask.parquet")
    write_table(here / "contigs.tsv", totals.contig_table())
    return EncodedGenome.open(here, name)


def read_sources(arguments: argparse.Namespace) -> list[Source]:
    """Look at all files of sites, and tell what class the rows of each are of."""
    kind, sources = KINDS[arguments.kind], []
    for text in arguments.sites:
        named = "=" in text and not Path(text).is_file()
        name, path = named_file(text)
        existing_file(path, "file of sites")
        file = look_at(path, track_format({}, path))
        if file.is_annotation and not kind.classes:
            known = ", ".join(key for key, one in KINDS.items() if one.classes)
            raise InputError(
                f"{path} is an annotation, and kind {arguments.kind} needs intervals; expected BED "
                f"or narrowPeak, or one of {known}"
            )
        by_column = not named and file.names() and not file.is_annotation
        sources.append(
            Source(file, "" if file.is_annotation else "column:4" if by_column else name)
        )
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
    refused = count == total or (count and not file.is_annotation)
    if refused:
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
    arguments: argparse.Namespace, sources: Sequence[Source], notes: list[str]
) -> dict[str, dict]:
    """Return the classes of a screen with their settings."""
    kind = KINDS[arguments.kind]
    if sources[0].file.is_annotation:
        return {name: {"stranded": True, "site": site} for name, site in kind.classes.items()}
    stranded = not kind.bins or (
        arguments.kind == "other" and all(source.file.stranded for source in sources)
    )
    names = []
    for source in sources:
        if source.kind == "column:4":
            names += column_classes(arguments, source.file, notes)
        else:
            names.append(source.kind)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"class {name!r}; expected letters, digits, _, + and -: name it as CLASS=FILE"
            )
    if stranded and not all(source.file.stranded for source in sources):
        raise InputError(
            f"{arguments.kind}: rows without + or - in column 6; expected the strand of every site"
        )
    return {name: {"stranded": True} if stranded else {} for name in dict.fromkeys(names)}


def column_classes(arguments: argparse.Namespace, file: SiteFile, notes: list[str]) -> list[str]:
    """Return the classes to take of column 4."""
    counts = file.names()
    for name in arguments.wanted:
        if name not in counts:
            raise InputError(
                f"--classes: {name!r} is no name in column 4 of {file.path}; expected some of "
                f"{', '.join(name for name, _ in counts.most_common(8))}, ..."
            )
    if arguments.wanted:
        return list(arguments.wanted)
    usable = [name for name, _ in counts.most_common() if _NAME.fullmatch(name)]
    taken = usable[:MOST_CLASSES]
    if len(counts) > len(taken):
        notes.append(
            f"column 4 of {file.path.name} names {len(counts)} classes; the {len(taken)} with most "
            "sites are taken (--classes A,B,... takes others)"
        )
    return taken


def find(arguments: argparse.Namespace, folder: Path) -> tuple[list[Source], Found]:
    """Read genome and sites with the readers of the workflow."""
    name, fasta = named_file(arguments.genome)
    require_name(name, "genome")
    sources, notes = read_sources(arguments), []
    genome = encode_here(name, fasta, folder)
    aliases = find_aliases(sources, genome)
    for source in sources:
        check_contigs(source, genome, aliases)
    classes = choose_classes(arguments, sources, notes)
    settings = {name: {"stranded": False, "site": None} | item for name, item in classes.items()}
    extraction = Extraction(genome, settings, aliases, check_consensus=True)
    for source in sources:
        if source.file.is_annotation:
            extraction.add_annotation(
                source.file.path, {"track": "annotation"}, is_gff3(source.file.path), MIN_INTRON,
                list(classes),
            )  # fmt: skip
        else:
            extraction.add_track(track_row(source, name, arguments), MIN_INTRON)
    bins = KINDS[arguments.kind].bins and not all(item.get("stranded") for item in classes.values())
    resolution = 50 if bins else 1
    whole = genome.contigs.assign(start=0, end=genome.contigs["length"])
    sites, _ = extraction.finish(whole[["contig", "start", "end"]], resolution)
    if not sites["class"].isin(list(classes)).any():
        raise InputError(f"no site is left (dropped: {dict(extraction.dropped)}); expected some")
    facts = extraction.facts | letters_at(genome, sites, arguments.kind, sources)
    found = Found(genome, classes, sites, dict(extraction.dropped), facts, aliases, notes)
    return sources, found


def letters_at(
    genome: EncodedGenome, sites: pd.DataFrame, kind: str, sources: Sequence[Source]
) -> dict[str, float]:
    """Return the share of intervals' sites that have the letters of their kind."""
    if sources[0].file.is_annotation:
        return {}
    site = {"start_codons": "start_codon", "stop_codons": "stop_codon"}.get(kind, "")
    shares = codon_shares(genome, sites, site)
    if kind == "splice_sites":
        for word, offsets, letters in (("donor", (1, 2), "GT"), ("acceptor", (-2, -1), "AG")):
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


def track_row(source: Source, genome: str, arguments: argparse.Namespace) -> dict[str, str]:
    """Return the row of the sheet of tracks for a file of intervals."""
    return {
        "track": "sites" if source.kind == "column:4" else source.kind,
        "genome": genome,
        "file": shown_path(source.file.path),
        "role": "site",
        "class": source.kind,
    }


def shown_path(path: Path) -> str:
    """Return a path as the sheets name it: from the current folder where it lies below it."""
    here = Path.cwd()
    absolute = here / path
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def require_name(name: str, what: str) -> None:
    """Raise InputError unless a name can become a folder and a column."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{what} {name!r}; expected letters, digits, _, + and -: NAME=FILE")


# --- what is proposed -----------------------------------------------------------------------------


def draft_screen(
    arguments: argparse.Namespace, sources: Sequence[Source], found: Found, others: dict[str, Path]
) -> Draft:
    """Propose the configuration."""
    kind = KINDS[arguments.kind]
    name = arguments.name or default_name(arguments)
    require_name(name, "screen")
    contigs = found.genome.contigs
    split = propose_split(contigs, found.sites)
    longest = int(contigs["length"].max())
    sizes = (split.bases("train"), split.bases("valid"), longest)
    stranded = all(item.get("stranded") for item in found.classes.values())
    if stranded:
        proposal = propose_base_model(*sizes)
    else:
        lengths = [source.file.median_length for source in sources]
        proposal = propose_bin_model(*sizes, int(np.median(lengths)))
    labels, why = choose_labels(found, proposal, stranded)
    words = kind.words if kind.classes or len(found.classes) > 3 else ", ".join(found.classes)
    return Draft(
        name, f"{words[:1].upper()}{words[1:]} of {found.genome.name}", found.classes, labels,
        found.genome.name, list(others), split, proposal,
        head(name, sources, found), why,
    )  # fmt: skip


def choose_labels(found: Found, proposal: Proposal, stranded: bool) -> tuple[str, str]:
    """Tell whether classes exclude each other in the data, and say why."""
    if not stranded:
        return "independent", "A sigmoid a class: a bin may hold sites of several classes."
    try:
        check_exclusive(found.sites, proposal.resolution)
    except InputError:
        return "independent", "A sigmoid a class: some bases are sites of several classes."
    return "exclusive", "One softmax: in these data no base is a site of two classes."


def head(name: str, sources: Sequence[Source], found: Found) -> str:
    """Write the first comment of a configuration."""
    counts = found.sites["class"].value_counts()
    listed = ", ".join(f"{counts.get(key, 0):,} {key}" for key in found.classes)
    files = ", ".join(source.file.path.name for source in sources)
    return (
        f"Screen {name}, written by scripts/new_screen.py.\n"
        f"Sites: {listed} ({files}).\n"
        "Every key is explained in config/README.md; sizes are a start, not an optimum."
    )


# --- what is said ---------------------------------------------------------------------------------


def describe(sources: Sequence[Source], found: Found, draft: Draft) -> str:
    """Put what was found and what is proposed on a page."""
    contigs, genome = found.genome.contigs, found.genome
    bases = int(contigs["length"].sum())
    unknown = int(contigs["unknown_bases"].sum())
    lines = [
        row("genome", f"{genome.name}: {len(contigs)} contigs, {bases / 1e6:.2f} Mb, "
            f"{unknown / bases:.2%} unknown bases"),
    ]  # fmt: skip
    for source in sources:
        lines += file_lines(source, genome, found.aliases)
    lines += [row("left out", f"{count:,}: {why}") for why, count in found.dropped.items()]
    for key, share in found.facts.items():
        if key.endswith("_share"):
            lines.append(row("letters", f"{share:.1%} {letters_words(key)}"))
    lines += [row("note", note) for note in found.notes]
    return "\n".join([*lines, "", *class_lines(found, draft), "", *plan_lines(draft)])


def row(name: str, text: str) -> str:
    """Write one line of the page."""
    return f"{name:<10}{text}"


def letters_words(key: str) -> str:
    """Say what a share of letters is of."""
    words = {
        "gt_ag_share": "of introns begin GT and end AG",
        "gc_ag_or_at_ac_share": "of introns are GC-AG or AT-AC",
        "atg_share": "of start codons are ATG",
        "stop_share": "of stop codons are TAA, TAG or TGA",
        "donor_gt_share": "of donors are followed by GT",
        "acceptor_ag_share": "of acceptors follow AG",
    }
    return words.get(key, key.replace("_", " "))


def file_lines(source: Source, genome: EncodedGenome, aliases: dict[str, str]) -> list[str]:
    """Say what one file of sites holds."""
    file, lengths = source.file, dict(zip(genome.contigs["contig"], genome.contigs["length"]))
    unknown, names = file.unknown_contigs(lengths, aliases), file.rows["contig"]
    lines = [
        row("sites", f"{file.path.name} ({file.form}): {len(file.rows):,} rows on "
            f"{names.nunique() - len(unknown)} of {len(lengths)} contigs, "
            f"{sum(unknown.values()):,} on contigs that the FASTA lacks, "
            f"{file.beyond_ends(lengths, aliases):,} beyond an end")
    ]  # fmt: skip
    if aliases:
        shown = ", ".join(f"{name} is {other}" for name, other in list(aliases.items())[:3])
        more = ", ..." if len(aliases) > 3 else ""
        lines.append(row("", f"contigs are called otherwise: {shown}{more} (alias.tsv)"))
    if not file.is_annotation:
        strand = "on every row" if file.stranded else "not on every row"
        lines.append(
            row("", f"median length {file.median_length:,} bp, strand {strand}, "
                f"{file.overlapping():,} overlap another one")
        )  # fmt: skip
    return lines


def class_lines(found: Found, draft: Draft) -> list[str]:
    """Count the sites of each class, by strand and by part of the split."""
    sites, split = found.sites, draft.split
    strands = 2 if all(item.get("stranded") for item in found.classes.values()) else 1
    positions = strands * len(found.genome.codes) // draft.proposal.resolution
    unit = "bases" if draft.proposal.resolution == 1 else f"bins of {draft.proposal.resolution} bp"
    table = pd.DataFrame({"class": list(found.classes)}).set_index("class")
    table["sites"] = sites["class"].value_counts()
    if strands == 2:
        table["+"] = sites[sites["strand"] == "+"]["class"].value_counts()
        table["-"] = sites[sites["strand"] == "-"]["class"].value_counts()
    table = table.fillna(0).astype("int64")
    table["one in"] = positions // table["sites"].clip(lower=1)
    table = table.join(split.count(sites)).fillna(0).astype("int64")
    bases = {part: f"{split.bases(part) / 1e6:.2f} Mb" for part in split.count(sites).columns}
    numbers = dict.fromkeys(table.columns, "{:,}".format)
    text = table.reset_index().to_string(index=False, formatters=numbers)
    parts = ", ".join(f"{part} {size}" for part, size in bases.items())
    return [*text.splitlines(), f"('one in' so many {unit}; {parts})"]


def plan_lines(draft: Draft) -> list[str]:
    """Say what is proposed."""
    proposal, training = draft.proposal, draft.proposal.training
    return [
        row("split", draft.split.how),
        row("network", f"{proposal.model['preset']}, {proposal.resolution} bp a prediction, labels "
            f"{draft.labels}"),
        row("training", f"{proposal.sampling['windows']:,} windows of "
            f"{proposal.sampling['length']:,} bp, {training['steps']:,} steps of "
            f"{training['batch']}"),
        row("scan", ", ".join([f"{draft.genome} (test part)", *draft.others])),
    ]  # fmt: skip


# --- what is written ------------------------------------------------------------------------------


def write_screen(
    folder: Path, draft: Draft, sources: Sequence[Source], found: Found,
    arguments: argparse.Namespace, others: dict[str, Path],
) -> None:  # fmt: skip
    """Write sheets and configuration, all of them or none, checked as the workflow does."""
    genomes, tracks = sheet_of_genomes(sources, found, arguments, folder, others), sheet_of_tracks(
        sources, found.genome.name, arguments
    )  # fmt: skip
    names = ["genomes.tsv", "config.yaml"]
    names += ["tracks.tsv"] if len(tracks) else []
    names += ["alias.tsv"] if found.aliases else []
    with whole_files(*(folder / name for name in names)) as paths:
        part = dict(zip(names, paths))
        write_table(part["genomes.tsv"], genomes)
        if len(tracks):
            write_table(part["tracks.tsv"], tracks)
        if found.aliases:
            lines = (f"{name}\t{other}\n" for name, other in found.aliases.items())
            part["alias.tsv"].write_text("".join(lines))
        final = {name: shown_path(folder / name) for name in names}
        text = config_text(draft, final["genomes.tsv"], final.get("tracks.tsv", ""))
        check_config(text, part)
        part["config.yaml"].write_text(text)


def sheet_of_genomes(
    sources: Sequence[Source], found: Found, arguments: argparse.Namespace, folder: Path,
    others: dict[str, Path],
) -> pd.DataFrame:  # fmt: skip
    """Return the sheet of genomes."""
    annotations = [shown_path(s.file.path) for s in sources if s.file.is_annotation]
    first = {
        "genome": found.genome.name,
        "fasta": shown_path(named_file(arguments.genome)[1]),
        "annotation": annotations[0] if annotations else "",
        "regions": "",
        "alias": shown_path(folder / "alias.tsv") if found.aliases else "",
    }
    rest = [{"genome": name, "fasta": shown_path(path)} for name, path in others.items()]
    return pd.DataFrame([first, *rest]).fillna("")


def sheet_of_tracks(
    sources: Sequence[Source], genome: str, arguments: argparse.Namespace
) -> pd.DataFrame:
    """Return the sheet of tracks, without rows where all sites are in an annotation."""
    rows = [track_row(s, genome, arguments) for s in sources if not s.file.is_annotation]
    table = pd.DataFrame(rows)
    if len(table) and table["track"].duplicated().any():
        name = table["track"][table["track"].duplicated()].iloc[0]
        raise InputError(f"--sites: two files of class {name}; expected CLASS=FILE, a class once")
    return table


def check_config(text: str, part: dict[str, Path]) -> None:
    """Check a configuration as the workflow does, with the sheets that are not in place yet."""
    config = yaml.safe_load(text)
    config["genomes"] = str(part["genomes.tsv"])
    if "tracks.tsv" in part:
        config["tracks"] = str(part["tracks.tsv"])
    schemas = REPOSITORY / "workflow" / "schemas"
    names = ("config", "genomes", "tracks")
    resolve_plan(
        config,
        *(yaml.safe_load((schemas / f"{name}.schema.yaml").read_text()) for name in names),
    )


def other_genomes(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the further genomes by name, after a look at the first lines of each."""
    found = {}
    for text in arguments.scan:
        name, path = named_file(text)
        require_name(name, "genome")
        if name in found or name == named_file(arguments.genome)[0]:
            raise InputError(f"--scan: {name} is given twice; expected NAME=FASTA, a name once")
        next(iter(read_fasta(path)), None)
        found[name] = path
    return found


def check_free(folder: Path, name: str, force: bool) -> None:
    """Raise InputError where something would be replaced, unless that is wanted."""
    taken = [folder / file for file in ("config.yaml", "genomes.tsv", "tracks.tsv", "alias.tsv")]
    taken.append(Path("results") / name)
    for path in taken:
        if path.exists() and not force:
            raise InputError(
                f"{shown_path(path)} exists; expected another --name, or --force to replace it"
            )


def next_command(config: Path) -> str:
    """Return the command that runs a configuration."""
    words = ["snakemake", "--configfile", shown_path(config), "--cores", str(os.cpu_count() or 1)]
    if Path.cwd() != REPOSITORY:
        words[1:1] = ["--snakefile", shown_path(REPOSITORY / "Snakefile")]
    return shlex.join(words)


def work(arguments: argparse.Namespace) -> None:
    """Ask, look, say and write."""
    on_terminal = sys.stdin.isatty() and not arguments.yes
    complete_arguments(arguments, ask_on_terminal if on_terminal else None)
    name = arguments.name or default_name(arguments)
    folder = arguments.folder or Path("config") / name
    require_name(name, "screen")
    check_free(folder, name, arguments.force)
    others = other_genomes(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            sources, found = find(arguments, Path(scratch))
            draft = draft_screen(arguments, sources, found, others)
            print(describe(sources, found, draft))
            write_screen(folder, draft, sources, found, arguments, others)
    finally:
        pybedtools.cleanup()
    print(f"\n{row('written', shown_path(folder / 'config.yaml'))} and its sheets, checked")
    print(row("run it", next_command(folder / "config.yaml")))
    print(row("", f"(add --dry-run to see what it will do, results come to results/{name}/)"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(work, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
