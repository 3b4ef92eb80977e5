"""Say on a page what the files of a new screen hold and what is proposed for it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from genomesieve.consensus import gc_share
from genomesieve.genome import EncodedGenome
from genomesieve.progress import plural
from genomesieve.screen_proposal import Draft
from genomesieve.screen_sources import Found, Source

_LETTERS = {
    "gt_ag_share": "of introns begin GT and end AG",
    "gc_ag_or_at_ac_share": "of introns are GC-AG or AT-AC",
    "atg_share": "of start codons are ATG",
    "stop_share": "of stop codons are TAA, TAG or TGA",
    "donor_gt_share": "of donors are followed by GT",
    "acceptor_ag_share": "of acceptors follow AG",
}
_MOST_ALIASES = 3


def describe(sources: Sequence[Source], found: Found, draft: Draft) -> str:
    """Put what was found and what is proposed on a page.

    Parameters
    ----------
    sources : sequence of Source
    found : Found
    draft : Draft

    Returns
    -------
    str
        Lines of a name and what it is, and a table of the classes.
    """
    contigs, genome = found.genome.contigs, found.genome
    bases = int(contigs["length"].sum())
    unknown = int(contigs["unknown_bases"].sum())
    whole = contigs.assign(start=0, end=contigs["length"])
    lines = [
        row("genome", f"{genome.name}: {_count(len(contigs), 'contig')}, {bases / 1e6:.2f} Mb, "
            f"{gc_share(genome, whole):.1%} G and C, {unknown / bases:.2%} unknown bases"),
    ]  # fmt: skip
    for source in sources:
        lines += _file_lines(source, genome, found.aliases)
    lines += [row("left out", f"{count:,}: {why}") for why, count in found.dropped.items()]
    for key, share in found.facts.items():
        if key.endswith("_share"):
            words = _LETTERS.get(key, key.replace("_", " "))
            lines.append(row("letters", f"{share:.1%} {words}"))
    lines += [row("note", note) for note in found.notes]
    return "\n".join([*lines, "", *_class_lines(found, draft), "", *_plan_lines(draft)])


def row(name: str, text: str) -> str:
    """Write one line of the page."""
    return f"{name:<10}{text}"


def _count(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number:,} {what if number == 1 else plural(what)}"


def _file_lines(source: Source, genome: EncodedGenome, aliases: dict[str, str]) -> list[str]:
    """Say what one file of sites holds."""
    file, lengths = source.file, dict(zip(genome.contigs["contig"], genome.contigs["length"]))
    unknown, names = file.unknown_contigs(lengths, aliases), file.rows["contig"]
    lines = [
        row("sites", f"{file.path.name} ({file.form}): {len(file.rows):,} rows on "
            f"{names.nunique() - len(unknown)} of {_count(len(lengths), 'contig')}, "
            f"{sum(unknown.values()):,} on contigs that the FASTA lacks, "
            f"{file.beyond_ends(lengths, aliases):,} beyond an end")
    ]  # fmt: skip
    if aliases:
        pairs = list(aliases.items())[:_MOST_ALIASES]
        shown = ", ".join(f"{name} is {other}" for name, other in pairs)
        more = ", ..." if len(aliases) > _MOST_ALIASES else ""
        lines.append(row("", f"contigs are called otherwise: {shown}{more} (alias.tsv)"))
    if not file.is_annotation:
        strand = "on every row" if file.stranded else "not on every row"
        lines.append(
            row("", f"median length {file.median_length:,} bp, strand {strand}, "
                f"{file.overlapping():,} overlap another one")
        )  # fmt: skip
    return lines


def _class_lines(found: Found, draft: Draft) -> list[str]:
    """Count the sites of each class, by strand and by part of the split."""
    sites, split = found.sites, draft.split
    strands = 2 if found.stranded else 1
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


def _plan_lines(draft: Draft) -> list[str]:
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
