"""Find the motifs that a model looks at, and the known ones that they are most like.

In: a model, and what attribute_sites wrote about its sites (--attributions). Out, in --output-dir:

  motifs.tsv    a row a motif: motif, source, class, sign, seqlets, consensus, information (bits),
                width, offset (where it always stands there), started_as; match, match_name,
                p_value, q_value of the best match; sites, carried, share, shuffled_share;
                offset_low, offset_median, offset_high, own_strand_share, mean_contribution
  matches.tsv   the five best matches of each
  hits.tsv      motif, class, site (row of sites.tsv, counted from 0), offset of its leftmost base
                from the first base of the bin, strand (against the site's own), log_odds, p_value,
                contribution (of the bases it covers); without filters, of which motifs.tsv has
                the counts
  motifs.meme   frequencies, for every tool that reads MEME format; filters are in filters.meme
  matrices.npz  `NAME/counts` and `NAME/contributions`, (letters, width), and `match/NAME/counts`
                of the best match, laid against it as `match/NAME/offset` and strand say
  summary.json  settings, database, what was found and why something was not

Sources of motifs: `modisco`, TF-MoDISco on the contributions of a class; `fixed`, what stands at
one place in sites that are aligned to the base (bins of 1 bp); `filter`, first-layer filters, as
the subsequences that excite them. A site carries a motif if that stands there with a p-value of at
most 1e-4 in random sequence with the sites' letters (one that is fixed: if the log-odds at its own
place exceed 0); shuffled_share is the share of shuffled sites that carry it, dinucleotides kept.
p-values are Tomtom's, q-values Benjamini and Hochberg's over all known motifs.

A filter that was started as a known motif matches that motif: no discovery. summary.json says so,
and started_as names the motif. All of it is about the model; only an experiment speaks of the cell.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numba
import numpy as np
import pandas as pd
from memelite.io import write_meme

from genomesieve.attributed_sites import HYPOTHETICAL, AttributedSites, read_attributed_sites
from genomesieve.bundle import Bundle, load_bundle
from genomesieve.command_line import add_code_argument, make_parser, run_script
from genomesieve.errors import InputError
from genomesieve.explanation_settings import JASPAR_GROUPS
from genomesieve.files import whole_file, write_json, write_table
from genomesieve.filter_matrices import describe_stem, filter_motifs
from genomesieve.found_motifs import FILTER, FoundMotif
from genomesieve.motif_discovery import DiscoverySettings, default_settings, discover
from genomesieve.motif_hits import P_VALUE, locate
from genomesieve.motif_matching import MotifDatabase, load_database, match_motifs
from genomesieve.processors import use_threads
from genomesieve.progress import watched

logger = logging.getLogger(__name__)

_MATCHED = ("match_name", "p_value", "q_value")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="model folder")
    add_code_argument(parser)
    add("--attributions", type=Path, required=True, help="folder of attribute_sites")
    add("--method", choices=HYPOTHETICAL, default="mutagenesis", help="whose contributions")
    add("--database", default="none",
        help=f"known motifs: a group of JASPAR CORE ({', '.join(JASPAR_GROUPS)}), all, none, or "
        "the path of a file in JASPAR or MEME format")  # fmt: skip
    usual = "; follows bins and flank if not given"
    add("--window", type=int, help="bp of a seqlet's core" + usual)
    add("--seqlet-flank", type=int, help="bp on each side of it" + usual)
    defaults = DiscoverySettings()
    add("--fewest", type=int, default=defaults.fewest, help="seqlets that a motif needs")
    add("--seqlet-fdr", type=float, default=defaults.seqlet_fdr,
        help="share of seqlets that may be noise")  # fmt: skip
    add("--no-filters", action="store_true", help="leave first-layer filters out")
    add("--shuffles", type=int, default=5, help="shuffles of a site that motifs are looked for in")
    add("--seed", type=int, default=0, help="of the shuffles")
    add("--threads", type=int, default=1, help="threads")
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Find motifs, match them, look where they stand, and write the files."""
    check(arguments)
    use_threads(arguments.threads)
    numba.set_num_threads(min(arguments.threads, numba.config.NUMBA_NUM_THREADS))
    # modisco-lite draws from its own seeds; what else may draw from the global one is settled too.
    np.random.seed(arguments.seed)
    bundle = load_bundle(arguments.model, arguments.network_code)
    database = load_database(arguments.database)
    sites = read_attributed_sites(arguments.attributions, arguments.method)
    unknown = set(sites.classes) - set(bundle.classes)
    if unknown:
        raise InputError(
            f"{arguments.attributions} has sites of {', '.join(sorted(unknown))}; expected "
            f"{', '.join(bundle.classes)}: it was made with another model"
        )
    settings = default_settings(
        bundle.architecture.resolution, len(sites.positions), window=arguments.window,
        seqlet_flank=arguments.seqlet_flank, fewest=arguments.fewest,
        seqlet_fdr=arguments.seqlet_fdr,
    )  # fmt: skip
    found, classes = discover_all(bundle, sites, settings)
    if not arguments.no_filters:
        found += filter_motifs(bundle, sites, arguments.fewest)
    matches = match_motifs(found, database)
    hits, carried = locate(found, sites, arguments.shuffles, arguments.seed)
    hits = hits[~hits["motif"].isin([one.name for one in found if one.source == FILTER])]
    table = motif_table(found, matches, carried)
    write_arrays(arguments.output_dir, found, matches, database)
    for name, content in (("motifs", table), ("matches", matches), ("hits", hits)):
        write_table(arguments.output_dir / f"{name}.tsv", rounded(content))
    write_json(arguments.output_dir / "summary.json", {
        "model": bundle.name,
        "method": arguments.method,
        "database": {"name": database.label, "motifs": len(database.motifs)},
        "settings": asdict(settings),
        "hit_p_value": P_VALUE,
        "shuffles": arguments.shuffles,
        "stem": describe_stem(bundle),
        "filters": sum(one.source == FILTER for one in found),
        "classes": classes,
    })  # fmt: skip
    logger.info("%d motifs in %d sites", len(found), len(sites.table))


def check(arguments: argparse.Namespace) -> None:
    """Raise InputError for a number that makes no sense."""
    for name, least in (("window", 3), ("seqlet_flank", 1), ("fewest", 2), ("shuffles", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            option = name.replace("_", "-")
            raise InputError(f"--{option}: found {value}; expected at least {least}")
    if not 0 < arguments.seqlet_fdr < 1:
        raise InputError(
            f"--seqlet-fdr: found {arguments.seqlet_fdr}; expected more than 0 and less than 1"
        )


def discover_all(
    bundle: Bundle, sites: AttributedSites, settings: DiscoverySettings
) -> tuple[list[FoundMotif], dict]:
    """Find the motifs of every class; also say how many and why there are none."""
    found, classes = [], {}
    for name in watched(bundle.classes, "class", "motifs"):
        mine = sites.of_class(name)
        motifs, why = discover(mine, settings)
        found += motifs
        classes[name] = {
            "sites": len(mine.table),
            "motifs": len(motifs),
            "patterns": sum(one.source == "modisco" for one in motifs),
            "no_patterns_because": why or None,
        }
        logger.info("%s: %d motifs in %d sites %s", name, len(motifs), len(mine.table), why)
    return found, classes


def motif_table(
    found: Sequence[FoundMotif], matches: pd.DataFrame, carried: pd.DataFrame
) -> pd.DataFrame:
    """Return motifs.tsv."""
    rows = [
        {
            "motif": one.name,
            "source": one.source,
            "class": one.site_class,
            "sign": one.sign,
            "seqlets": one.seqlets,
            "consensus": one.consensus(),
            "information": one.information(),
            "width": one.counts.shape[1],
            "offset": one.offset,
            "started_as": one.started_as,
        }
        for one in found
    ]
    columns = ["motif", "source", "class", "sign", "seqlets", "consensus", "information", "width",
               "offset", "started_as"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns).astype({"offset": "Int64"})
    best = matches[matches["rank"] == 1].set_index("motif")
    for column, name in (("match", "match_id"), *((same, same) for same in _MATCHED)):
        table[column] = table["motif"].map(best[name])
    measured = ["sites", "carried", "share", "shuffled_share", "offset_low", "offset_median",
                "offset_high", "own_strand_share", "mean_contribution"]  # fmt: skip
    return pd.concat([table, carried.reindex(columns=measured)], axis=1)


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its fractions rounded to six digits that count."""
    fractions = table.select_dtypes("float").columns
    return table.assign(
        **{name: [float(f"{value:.6g}") for value in table[name]] for name in fractions}
    )


def write_arrays(
    folder: Path, found: Sequence[FoundMotif], matches: pd.DataFrame, database: MotifDatabase
) -> None:
    """Write both files in MEME format, and matrices.npz."""
    for file, filters in (("motifs.meme", False), ("filters.meme", True)):
        mine = {one.name: one.frequencies() for one in found if (one.source == FILTER) == filters}
        with whole_file(folder / file) as temporary:
            write_meme(str(temporary), mine)
    known = {one.identifier: one for one in database.motifs}
    arrays = {}
    for one in found:
        arrays[f"{one.name}/counts"] = one.counts
        arrays[f"{one.name}/contributions"] = one.contributions
    for row in matches[matches["rank"] == 1].itertuples():
        counts = known[row.match_id].counts
        arrays[f"match/{row.motif}/counts"] = counts if row.strand == "+" else counts[::-1, ::-1]
        arrays[f"match/{row.motif}/offset"] = np.array(row.offset)
    with whole_file(folder / "matrices.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
