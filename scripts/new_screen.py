"""Set up a new screen: look at a genome and its known sites, and write a configuration that runs.

Asks on a terminal for what is not given. In: a genome (FASTA) and its sites (GTF, GFF3, BED,
narrowPeak, broadPeak; plain or gzip), and what they are. Out, in --folder: genomes.tsv, tracks.tsv
(where sites are intervals), alias.tsv (where contigs are called otherwise) and config.yaml, checked
as the workflow checks them; and on the screen, what was found in the files.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pybedtools

from encode_genome import encode
from extract_sites import Extraction, check_exclusive
from genomesieve.annotation import is_gff3
from genomesieve.command_line import comma_list, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.fasta import read_fasta
from genomesieve.files import existing_file, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.screen_description import describe, row
from genomesieve.screen_files import check_free, track_row, write_screen
from genomesieve.screen_names import named_file, require_name, shown_path
from genomesieve.screen_proposal import (
    Draft,
    propose_base_model,
    propose_bin_model,
    propose_split,
)
from genomesieve.screen_sources import (
    KINDS,
    MOST_CLASSES,
    Found,
    Source,
    check_contigs,
    choose_classes,
    find_aliases,
    letters_at,
    read_sources,
)
from genomesieve.settings import nearest

REPOSITORY = Path(__file__).resolve().parent.parent
MIN_INTRON = 20


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
        raise InputError(f"kind of sites {answer!r}; {nearest(answer, keys)}")
    return answer


def ask_on_terminal(question: str) -> str:
    """Put a question on the terminal."""
    print(f"{question}: ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise InputError(f"no answer to: {question}; expected one, or the option")
    return answer.strip()


def default_name(arguments: argparse.Namespace) -> str:
    """Name a screen by what its sites are and its genome."""
    return f"{arguments.kind}_{named_file(arguments.genome)[0]}"


def encode_here(name: str, fasta: Path, folder: Path) -> EncodedGenome:
    """Encode a genome in a folder, as the workflow does."""
    existing_file(fasta, "FASTA file")
    here = folder / name
    here.mkdir()
    totals, _ = encode(fasta, here / "codes.npy", here / "softmask.parquet")
    write_table(here / "contigs.tsv", totals.contig_table())
    return EncodedGenome.open(here, name)


def find(arguments: argparse.Namespace, folder: Path) -> tuple[list[Source], Found]:
    """Read genome and sites with the readers of the workflow."""
    name, fasta = named_file(arguments.genome)
    require_name(name, "genome")
    sources, notes = read_sources(arguments.sites, arguments.kind), []
    genome = encode_here(name, fasta, folder)
    aliases = find_aliases(sources, genome)
    for source in sources:
        check_contigs(source, genome, aliases)
    classes = choose_classes(sources, arguments.kind, arguments.wanted, notes)
    settings = {name: {"stranded": False, "site": None} | item for name, item in classes.items()}
    extraction = Extraction(genome, settings, aliases, check_consensus=True)
    for source in sources:
        if source.file.is_annotation:
            extraction.add_annotation(
                source.file.path, {"track": "annotation"}, is_gff3(source.file.path), MIN_INTRON,
                list(classes),
            )  # fmt: skip
        else:
            extraction.add_track(track_row(source, name), MIN_INTRON)
    resolution = 1 if all(item.get("stranded") for item in classes.values()) else 50
    whole = genome.contigs.assign(start=0, end=genome.contigs["length"])
    sites, _ = extraction.finish(whole[["contig", "start", "end"]], resolution)
    if not sites["class"].isin(list(classes)).any():
        raise InputError(f"no site is left (dropped: {dict(extraction.dropped)}); expected some")
    facts = extraction.facts | letters_at(genome, sites, arguments.kind, sources)
    found = Found(genome, classes, sites, dict(extraction.dropped), facts, aliases, notes)
    return sources, found


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
    if found.stranded:
        proposal = propose_base_model(*sizes)
    else:
        lengths = [source.file.median_length for source in sources]
        proposal = propose_bin_model(*sizes, int(np.median(lengths)))
    labels, why = choose_labels(found, proposal.resolution)
    words = kind.words if kind.classes or len(found.classes) > 3 else ", ".join(found.classes)
    return Draft(
        name, f"{words[:1].upper()}{words[1:]} of {found.genome.name}", found.classes, labels,
        found.genome.name, list(others), split, proposal,
        head(name, sources, found), why,
    )  # fmt: skip


def choose_labels(found: Found, resolution: int) -> tuple[str, str]:
    """Tell whether classes exclude each other in the data, and say why."""
    if not found.stranded:
        return "independent", "A sigmoid a class: a bin may hold sites of several classes."
    try:
        check_exclusive(found.sites, resolution)
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
    if not arguments.force:
        check_free(folder, name)
    others = other_genomes(arguments)
    fastas = dict([named_file(arguments.genome)]) | others
    try:
        with tempfile.TemporaryDirectory() as scratch:
            sources, found = find(arguments, Path(scratch))
            draft = draft_screen(arguments, sources, found, others)
            print(describe(sources, found, draft))
            write_screen(folder, draft, sources, fastas, found.aliases)
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
