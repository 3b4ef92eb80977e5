"""Write what bases contribute to the calls of a model as bigWig tracks, for a genome browser.

In: an encoded genome, and the folder that attribute_sites wrote for it. Out, in --output-dir: for
each class CLASS.plus.bw and CLASS.minus.bw (CLASS.both.bw where classes have no strand). A value is
the contribution of the base that stands there, in log-odds, by the method that is asked for: above
0 it speaks for the site. Bases that no site is near to, and unknown ones, have no value; where
sites overlap, the contribution of the larger size is shown.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.attribution_files import JUDGE, AttributionResults, read_attributions
from genomesieve.command_line import make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome, contig_rows
from genomesieve.tracks import write_bigwig

logger = logging.getLogger(__name__)

STRANDS = {"+": "plus", "-": "minus", ".": "both"}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--genome-folder", type=Path, required=True, help="encoded folder of the genome")
    add("--attributions", type=Path, required=True, help="folder of attribute_sites")
    add("--method", default=JUDGE, help="method whose contributions are written (see its --help)")
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Write the tracks."""
    genome = EncodedGenome.open(arguments.genome_folder)
    found = read_attributions(arguments.attributions, genome.name)
    if arguments.method not in found.methods:
        raise InputError(
            f"--method: found {arguments.method!r}; expected one of {', '.join(found.methods)}"
        )
    values = place_contributions(found, genome, arguments.method)
    for name in found.summary["classes"]:
        for symbol in ("+", "-") if found.summary["stranded"] else (".",):
            mine = values[(values["class"] == name) & (values["strand"] == symbol)]
            path = arguments.output_dir / f"{name}.{STRANDS[symbol]}.bw"
            write_bigwig(path, genome.contigs, mine, 1)
    logger.info("%s: contributions of %d bases", genome.name, len(values))


def place_contributions(
    found: AttributionResults, genome: EncodedGenome, method: str
) -> pd.DataFrame:
    """Return contributions by their place in the genome.

    Parameters
    ----------
    found : AttributionResults
    genome : EncodedGenome
    method : str

    Returns
    -------
    pandas.DataFrame
        Columns class, strand, contig_index, start (bp, 0-based) and value (log-odds), sorted by
        these; one row a base, class and strand.

    Raises
    ------
    InputError
        If a contribution lies outside of its contig.
    """
    sites, values = found.sites, found.arrays["contributions"][:, found.methods.index(method)]
    contig = contig_rows(genome.contigs, sites["contig"], genome.name)
    direction = np.where(sites["strand"] == "-", -1, 1)
    first = sites["position"].to_numpy(np.int64)
    place = first[:, None] + direction[:, None] * found.arrays["positions"]
    site, column = np.nonzero(np.isfinite(values))
    table = pd.DataFrame(
        {
            "class": sites["class"].to_numpy(object)[site],
            "strand": sites["strand"].to_numpy(object)[site],
            "contig_index": contig[site],
            "start": place[site, column],
            "value": values[site, column],
        }
    )
    lengths = genome.contigs["length"].to_numpy(np.int64)[table["contig_index"]]
    outside = (table["start"] < 0) | (table["start"] >= lengths)
    if outside.any():
        row = table[outside].iloc[0]
        raise InputError(
            f"a contribution lies at {row['start']} of contig "
            f"{genome.contigs['contig'][row['contig_index']]}; expected a place on it: the "
            "attributions are of another genome"
        )
    keys = ["class", "strand", "contig_index", "start"]
    largest = table["value"].abs().groupby([table[key] for key in keys]).idxmax()
    return table.loc[largest].sort_values(keys, ignore_index=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
