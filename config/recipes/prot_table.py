r"""Turn a `prot_table` of proteins (as TnSeq tools use) into GFF3, and its genome into plain FASTA.

    python config/recipes/prot_table.py H37Rv.fa.gz H37Rv.prot_table.gz H37Rv data/mycobacteria

writes H37Rv.fa and H37Rv.gff3 into the folder, with one contig of that name. Columns of the table:
product, start, end (1-based, both included), strand, length in residues, two identifiers, gene,
locus. Every row becomes a gene with a coding sequence; rows that are no whole number of codons (RNA
genes, frameshifts) are left out and named. Bacteria start at GTG and TTG as well as ATG, so screens
of start codons need `check_consensus: false`.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path


def read_text(path: Path) -> list[str]:
    """Return the lines of a file, packed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as handle:
        return handle.read().splitlines()


def read_sequence(path: Path) -> str:
    """Return the one sequence of a FASTA file."""
    lines = read_text(path)
    headers = [line for line in lines if line.startswith(">")]
    if len(headers) != 1:
        raise SystemExit(f"{path} has {len(headers)} sequences; expected one")
    return "".join(line.strip() for line in lines if not line.startswith(">"))


def convert(rows: list[str], contig: str, length: int, source: str) -> tuple[list[str], list[str]]:
    """Return the lines of a GFF3 file for the rows of a table, and the loci that are left out."""
    dropped = []
    lines = ["##gff-version 3", f"##sequence-region {contig} 1 {length}"]
    for number, row in enumerate(rows, start=1):
        cells = row.split("\t")
        where = f"{source}, line {number}"
        if len(cells) < 9 or cells[3] not in "+-" or not (cells[1] + cells[2]).isdigit():
            raise SystemExit(f"{where}: {row[:60]!r}; expected product, start, end, strand, ...")
        start, end, strand, locus = int(cells[1]), int(cells[2]), cells[3], cells[8]
        if not 1 <= start < end <= length:
            raise SystemExit(f"{where}: {locus} at {start}-{end}; expected a place in 1-{length}")
        if (end - start + 1) % 3:
            dropped.append(locus)
            continue
        place = f"{start}\t{end}\t.\t{strand}"
        lines.append(f"{contig}\tprot_table\tgene\t{place}\t.\tID=gene-{number};locus_tag={locus}")
        lines.append(
            f"{contig}\tprot_table\tCDS\t{place}\t0\tID=cds-{number};Parent=gene-{number};"
            f"locus_tag={locus}"
        )
    return lines, dropped


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fasta", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("contig", help="name of the contig and of the files")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    sequence = read_sequence(arguments.fasta)
    rows = [row for row in read_text(arguments.table) if row.strip()]
    lines, dropped = convert(rows, arguments.contig, len(sequence), str(arguments.table))
    print(f"{arguments.contig}: {len(rows) - len(dropped)} genes")
    if dropped:
        print(f"left out, no whole number of codons: {', '.join(dropped)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    fasta = arguments.folder / f"{arguments.contig}.fa"
    fasta.write_text(f">{arguments.contig}\n{sequence}\n")
    fasta.with_suffix(".gff3").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
