"""Ask a model which bases its score of a site rests on: mutagenesis and gradients.

In: a calibrated model, an encoded genome, and sites - the best-scoring calls of a scan (--scan) or
those of a BED file (--sites; its name column is the class). Out, in --output-dir:

  attributions.npz  arrays, one row a site, read in the direction of the site's strand:
    positions       (positions,) bp from the first base of the bin, negative before it
    letters, methods, spreading, site_class: names along the axes
    sequence        (sites, positions) codes, A 0, C 1, G 2, T 3, unknown 4
    scores          (sites,) log-odds of the sequence as it is
    substitutions   (sites, positions, letters) change of the log-odds with that letter there
    deletions       (sites, positions) change without that base; its flank moves up
    insertions      (sites, positions, letters) change with that letter put before that base
    gradient        (sites, positions, letters) of the log-odds by the one-hot sequence
    contributions   (sites, methods, positions) of the base that is there: mutagenesis (mean loss
                    when it is substituted), gradient_x_input, corrected_gradient (less the mean
                    over letters), integrated_gradients and deep_lift_shap (both against shuffles
                    that keep dinucleotides)
    expected        (sites,) what the last two should add up to: the site less its shuffles
    missing         (sites, spreading) what each lacks of it
  sites.tsv         contig, position (of offset 0, 0-based), strand, class, score, and Spearman's
                    correlation of every two methods, over the positions that any of them reaches
  summary.json      medians of these and how well the last two methods add up

An unknown base has no effect to speak of: NaN. A base that the bin does not see has effect 0.
Mutants are computed by what a change reaches in the network, and give the numbers of whole windows.

These are effects on the model. Where methods disagree, trust mutagenesis first: it asks the
question itself. What a base does in the cell only an experiment tells.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.attribution import (
    METHODS,
    SPREADING,
    Attributions,
    AttributionSettings,
    attribute,
    method_agreement,
)
from genomesieve.bundle import Bundle, load_bundle, require_sequence_alone
from genomesieve.command_line import (
    add_device_arguments,
    add_model_on_genome_arguments,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_devices
from genomesieve.errors import InputError
from genomesieve.files import read_table, whole_file, write_json, write_table
from genomesieve.genome import EncodedGenome, check_intervals
from genomesieve.laboratory_statistics import bundle_of_scan
from genomesieve.model_description import require_calibrated
from genomesieve.places import read_places
from genomesieve.processors import use_threads
from genomesieve.promises import operating_threshold

logger = logging.getLogger(__name__)

SITE_COLUMNS = ("contig", "start", "strand", "class")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add_model_on_genome_arguments(parser)
    add("--scan", type=Path, help="folder of merge_scan: its best-scoring calls are the sites")
    add("--sites", type=Path, help="BED file of sites instead; name = class, strand in column 6")
    add("--most", type=int, default=100, help="most sites of a class (the best-scoring, or first)")
    add("--laboratory", default="", help="where the genome's data comes from (batch), if known")
    defaults = AttributionSettings()
    add("--flank", type=int, default=defaults.flank, help="bp to look at on each side of the bin")
    add("--no-indels", action="store_true", help="substitute only: no deletions and insertions")
    add("--references", type=int, default=defaults.references, help="shuffles a site")
    add("--steps", type=int, default=defaults.steps, help="points from each shuffle to the site")
    add("--seed", type=int, default=defaults.seed, help="of the shuffles")
    add_device_arguments(parser)
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Attribute the sites and write the files."""
    for name, least in (("most", 1), ("flank", 0), ("references", 1), ("steps", 1)):
        if getattr(arguments, name) < least:
            found = getattr(arguments, name)
            raise InputError(f"--{name}: found {found}; expected at least {least}")
    device = choose_devices(arguments.device)[0]
    use_threads(arguments.threads)
    bundle = load_bundle(arguments.model, arguments.network_code)
    require_sequence_alone(bundle, arguments.model)
    genome = EncodedGenome.open(arguments.genome_folder)
    bundle = bundle_of_scan(bundle, genome, arguments.scan, arguments.laboratory)
    sites, dropped = choose_sites(arguments, bundle, genome)
    settings = AttributionSettings(
        flank=arguments.flank,
        indels=not arguments.no_indels,
        references=arguments.references,
        steps=arguments.steps,
        seed=arguments.seed,
    )
    found = attribute(bundle, genome, sites, settings, device)
    write(arguments.output_dir, bundle, genome, sites, found, dropped)
    logger.info("%s: %d sites", genome.name, len(sites))


def choose_sites(
    arguments: argparse.Namespace, bundle: Bundle, genome: EncodedGenome
) -> tuple[pd.DataFrame, int]:
    """Read the sites to look at; also count those left out for unknown bases in their bins."""
    if arguments.sites is not None:
        sites = read_sites(arguments.sites, bundle)
    elif arguments.scan is not None:
        sites = read_calls(arguments.scan, arguments.model, bundle)
        # Calls hold no unknown base.
        sites = sites.groupby("class", sort=False).head(arguments.most)
    else:
        raise InputError("no sites are named; expected --scan or --sites")
    check_intervals(genome.contigs, sites, genome.name, "site")
    known = np.array([is_known(genome, bundle, site) for site in sites.itertuples()], dtype=bool)
    kept = sites[known] if len(sites) else sites
    kept = kept.groupby("class", sort=False).head(arguments.most).reset_index(drop=True)
    return kept, int((~known).sum())


def is_known(genome: EncodedGenome, bundle: Bundle, site: tuple) -> bool:
    """Tell whether a site's bin holds no unknown base; others have no score."""
    resolution = bundle.architecture.resolution
    start = site.start // resolution * resolution
    codes = genome.fetch(site.contig, start, start + resolution)
    return not (codes == genome.alphabet.unknown).any()


def read_calls(scan: Path, model: Path, bundle: Bundle) -> pd.DataFrame:
    """Read the calls of a scan, best-scoring first."""
    require_calibrated(bundle.calibration, bundle.classes, model / "model.json")
    columns = (*SITE_COLUMNS, "end", "score", "code")
    table = read_table(scan / "candidates.parquet", "merged candidates", columns)
    unknown = set(table["class"]) - set(bundle.classes)
    if unknown:
        raise InputError(
            f"scan {scan} has calls of {', '.join(sorted(unknown))}; expected "
            f"{', '.join(bundle.classes)}: it was made with another model"
        )
    least = {
        name: operating_threshold(bundle.calibration["classes"][name])["code"]
        for name in bundle.classes
    }
    called = table[table["code"].to_numpy() >= table["class"].map(least).to_numpy()]
    order = called.sort_values(["score", "contig", "start"], ascending=[False, True, True])
    return order[[*SITE_COLUMNS, "end"]].reset_index(drop=True)


def read_sites(path: Path, bundle: Bundle) -> pd.DataFrame:
    """Read sites of a BED file with their classes.

    Raises
    ------
    InputError
        Naming the line, what was found and what was expected.
    """
    places = read_places(path, bundle.stranded)
    if len(bundle.classes) == 1:
        places["name"] = bundle.classes[0]
    wrong = places[~places["name"].isin(bundle.classes)]
    if len(wrong):
        found = wrong["name"].iloc[0] or "no name"
        raise InputError(
            f"{path}, line {wrong['line'].iloc[0]}: found {found!r}; expected a class, "
            f"{', '.join(bundle.classes)}"
        )
    return places.rename(columns={"name": "class"})[[*SITE_COLUMNS, "end"]]


def write(
    folder: Path,
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    found: Attributions,
    dropped: int,
) -> None:
    """Write the three files."""
    agreement = method_agreement(found.contributions)
    with whole_file(folder / "attributions.npz") as temporary:
        names = np.array(list(genome.alphabet.letters))
        classes = sites["class"].to_numpy(str)
        np.savez_compressed(temporary, letters=names, site_class=classes, **found.arrays())
    resolution = bundle.architecture.resolution
    start = sites["start"].to_numpy(np.int64) // resolution * resolution
    last = np.where(sites["strand"] == "-", resolution - 1, 0)
    table = pd.DataFrame(
        {
            "contig": sites["contig"],
            "position": start + last,
            "strand": sites["strand"],
            "class": sites["class"],
            "score": found.scores,
            **agreement,
        }
    )
    write_table(folder / "sites.tsv", table)
    write_json(folder / "summary.json", {
        "genome": genome.name,
        "model": bundle.name,
        "stranded": bundle.stranded,
        "flank": -found.offsets.start,
        "methods": list(METHODS),
        "dropped_for_unknown_bases": dropped,
        "classes": {
            name: summarize(sites["class"].to_numpy() == name, agreement, found)
            for name in bundle.classes
        },
    })  # fmt: skip


def summarize(mine: np.ndarray, agreement: dict, found: Attributions) -> dict:
    """Return the figures of one class."""
    return {
        "sites": int(mine.sum()),
        "median_spearman": {name: median(values[mine]) for name, values in agreement.items()},
        **{
            method: summarize_sums(found.expected[mine], np.abs(found.missing[mine, column]))
            for column, method in enumerate(SPREADING)
        },
    }


def summarize_sums(expected: np.ndarray, missing: np.ndarray) -> dict:
    """Return how well the contributions of a method add up."""
    return {
        "median_expected": median(expected),
        "median_missing": median(missing),
        "largest_missing": float(missing.max()) if len(missing) else None,
    }


def median(values: np.ndarray) -> float | None:
    """Return the median of what is known; None where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
