"""Compress and index scored variants, so that tabix, bcftools and genome browsers find them.

In: the text that score_variants wrote, sorted by position, and the contig table of its genome. Out:
the same lines in blocks of gzip (bgzip), beside it an index `.csi` and, where no contig is longer
than 2^29 bp, `.tbi`, which knows no further positions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from genomesieve.command_line import make_parser, run_script
from genomesieve.files import existing_file
from genomesieve.genome import read_contigs
from genomesieve.variant_index import write_variants


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--variants", type=Path, required=True, help="VCF text from score_variants")
    add("--genome-folder", type=Path, required=True, help="from encode_genome")
    add("--output", type=Path, required=True, help="where to write it; ends in .vcf.gz")
    return parser.parse_args(argv)


def index(arguments: argparse.Namespace) -> None:
    """Compress the file and write its indexes."""
    contigs = read_contigs(arguments.genome_folder / "contigs.tsv")
    text = existing_file(arguments.variants, "scored variants")
    write_variants(arguments.output, text, int(contigs["length"].max()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(index, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
