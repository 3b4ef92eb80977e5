r"""Turn tables of labelled sequences (columns sequence, label) into a genome and its sites.

Every record becomes a contig, named after its table and row; a record with label 1 has a site in
its middle, one with label 0 has none. Tables of the Genome Understanding
Evaluation (Zhou et al. 2023) look so:

    python config/recipes/labelled_records.py --table train=train.csv.gz \
        --table valid+calibrate=dev.csv.gz --table test=test.csv.gz \
        --fasta data/gue/tf0.fa --sites data/gue/tf0.bed

The rows of a table with several names are dealt out to them in turn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def convert(tables: dict[str, Path]) -> tuple[list[str], list[str]]:
    """Return the lines of a FASTA and of a BED file.

    Raises
    ------
    ValueError
        If a record has another length than the first, or a label is neither 0 nor 1.
    """
    fasta: list[str] = []
    sites: list[str] = []
    length = None
    for names, path in tables.items():
        parts = names.split("+")
        table = pd.read_csv(path)
        for row, (sequence, label) in enumerate(zip(table["sequence"], table["label"])):
            length = length or len(sequence)
            if len(sequence) != length or label not in (0, 1):
                raise ValueError(
                    f"{path}, record {row + 1}: {len(sequence)} bases with label {label}; expected "
                    f"{length} bases, as in the first record, and 0 or 1"
                )
            contig = f"{parts[row % len(parts)]}_{row}"
            fasta += [f">{contig}", sequence]
            if label:
                sites.append(f"{contig}\t{length // 2}\t{length // 2 + 1}")
    return fasta, sites


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", action="append", required=True, metavar="NAME[+NAME]=CSV")
    parser.add_argument("--fasta", type=Path, required=True)
    parser.add_argument("--sites", type=Path, required=True, help="BED")
    arguments = parser.parse_args()
    tables = dict(text.split("=", 1) for text in arguments.table)
    fasta, sites = convert({name: Path(path) for name, path in tables.items()})
    for path, lines in ((arguments.fasta, fasta), (arguments.sites, sites)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
