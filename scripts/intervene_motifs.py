"""Put motifs into sequence, take them out and move them, and see what a model makes of it.

In: a model, an encoded genome, motifs (a MEME file of discover_motifs, or your own, in MEME or
JASPAR format) and, for interventions at real sites, sites.tsv of attribute_sites. Out, in
--output-dir, all effects in log-odds, with 95 % bootstrap intervals:

  positions.tsv  motif, strand, offset, class, effect, low, high: the motif's consensus written over
                 shuffled background, the first base of its matrix `offset` bp from the first base
                 of the bin, against the same background without it
  marginal.tsv   a row a motif and class, at the place and strand where the motif acts most on that
                 class (chosen on one half of the backgrounds, measured on the other); control: the
                 same letters in other orders at the same bases
  copies.tsv     1, 2, ... copies, laid outwards from that place at one spacing; sum_of_singles:
                 what the copies do one by one; excess: what they do together beyond that
  pairs.tsv      the first motif at its place, the second `distance` bp from it (first base to first
                 base); interaction: both together, less each alone. Above 0: more than additive
  sites.tsv      hits at real sites (site: row of the given sites, from 0): action delete (shuffled
                 bases of the flanks in its stead; low and high are the least and largest of several
                 draws), turn (reverse complement in place), move (by `shift` bp; regained: what it
                 gives there over its absence)
  summary.json   what was used, units, and means over sites

Only positions of a motif with enough information are written (--information); the others stay as
the background is. Backgrounds are shuffles that keep every dinucleotide: of random places of the
genome, or of the sites' own windows (--backgrounds sites).

These are effects on the model. What a motif does in the cell only an experiment tells.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from genomesieve.bundle import Bundle, load_bundle, require_sequence_alone
from genomesieve.command_line import (
    add_device_arguments,
    add_model_on_genome_arguments,
    comma_list,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_devices
from genomesieve.errors import InputError
from genomesieve.files import read_table, write_json, write_table
from genomesieve.genome import EncodedGenome, check_intervals
from genomesieve.implants import Backgrounds, Implanter, random_backgrounds, site_backgrounds
from genomesieve.laboratory_statistics import bundle_of_scan
from genomesieve.motif_interventions import (
    InterventionSettings,
    MotifEffects,
    MotifMeter,
    check_settings,
)
from genomesieve.motif_matrices import MotifMatrix, choose_motifs, read_motifs
from genomesieve.mutagenesis import MutantScorer, cut_windows
from genomesieve.processors import use_threads
from genomesieve.site_interventions import (
    SITE_COLUMNS,
    SiteMeter,
    SiteSettings,
    first_sites,
    summarise_sites,
)

logger = logging.getLogger(__name__)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add_model_on_genome_arguments(parser)
    add("--motifs", type=Path, required=True, help="MEME file, or JASPAR format")
    add(
        "--names", type=comma_list, default="", help="motifs of it, by name or identifier; else all"
    )
    add("--sites", type=Path, help="sites.tsv of attribute_sites")
    add("--hits", type=Path, help="hits.tsv of discover_motifs; without it motifs are matched")
    add("--scan", type=Path, help="folder of merge_scan; only a network with norm domain needs it")
    add("--laboratory", default="", help="where the genome's data comes from (batch), if known")
    usual, at_sites = InterventionSettings(), SiteSettings()
    add("--information", type=float, default=0.5, help="least bits of a position that is written")
    add("--backgrounds", choices=["random", "sites"], default="random", help="what is shuffled")
    add("--background-count", type=int, default=usual.backgrounds, help="how many")
    add("--flank", type=int, default=usual.flank, help="bp to look at on each side of the bin")
    add("--step", type=int, default=usual.step, help="bp between places; 0: a fifth of the bin")
    add("--copies", type=int, default=usual.copies, help="most copies of one motif")
    add("--spacing", type=int, default=usual.spacing, help="bp from copy to copy")
    add("--most-pairs", type=int, default=usual.most_pairs, help="most pairs of motifs")
    add("--controls", type=int, default=usual.controls, help="shuffled words for every motif")
    add("--most-sites", type=int, default=at_sites.most, help="most sites of a class")
    add("--draws", type=int, default=at_sites.draws, help="replacements of every hit")
    shifts = ",".join(map(str, at_sites.shifts))
    add("--shifts", type=comma_list, default=shifts, help="bp by which hits are moved")
    add("--hit-share", type=float, default=at_sites.share, help="of a motif's best score: a hit")
    add("--seed", type=int, default=usual.seed, help="of all that is drawn")
    add_device_arguments(parser)
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def settings_of(arguments: argparse.Namespace) -> tuple[InterventionSettings, SiteSettings]:
    """Return checked settings of implants and of sites."""
    names = ("flank", "step", "copies", "spacing", "most_pairs", "controls", "seed")
    chosen = {name: getattr(arguments, name) for name in names}
    settings = InterventionSettings(backgrounds=arguments.background_count, **chosen)
    check_settings(settings)
    for name, least in (("most_sites", 0), ("draws", 1)):
        if getattr(arguments, name) < least:
            option, found = name.replace("_", "-"), getattr(arguments, name)
            raise InputError(f"--{option}: found {found}; expected at least {least}")
    if not 0 < arguments.hit_share <= 1:
        raise InputError(f"--hit-share: found {arguments.hit_share}; expected 0 to 1")
    try:
        shifts = tuple(int(text) for text in arguments.shifts)
    except ValueError:
        found = ",".join(arguments.shifts)
        raise InputError(f"--shifts: found {found!r}; expected whole numbers") from None
    at_sites = SiteSettings(
        arguments.most_sites, arguments.flank, arguments.draws, shifts, arguments.hit_share,
        arguments.seed,
    )  # fmt: skip
    return settings, at_sites


def run(arguments: argparse.Namespace) -> None:
    """Measure everything and write the files."""
    settings, at_sites = settings_of(arguments)
    device = choose_devices(arguments.device)[0]
    use_threads(arguments.threads)
    bundle = load_bundle(arguments.model, arguments.network_code)
    require_sequence_alone(bundle, arguments.model)
    genome = EncodedGenome.open(arguments.genome_folder)
    bundle = bundle_of_scan(bundle, genome, arguments.scan, arguments.laboratory)
    motifs = read_motifs(arguments.motifs, arguments.information, genome.alphabet)
    motifs = choose_motifs(motifs, arguments.names, arguments.motifs)
    sites = read_sites(arguments.sites, bundle, genome, at_sites.most)
    hits = read_hits(arguments.hits, motifs)
    if motifs:
        backgrounds = draw_backgrounds(arguments, bundle, genome, sites, settings)
    scorer = MutantScorer(bundle, None, device, genome.alphabet)
    effects = measure_motifs(scorer, backgrounds if motifs else None, motifs, bundle, settings)
    table, skipped = measure_sites(scorer, bundle, genome, sites, hits, motifs, at_sites)
    write(arguments.output_dir, effects, table, {
        "genome": genome.name,
        "model": bundle.name,
        "unit": "log-odds",
        "classes": bundle.classes,
        "stranded": bundle.stranded,
        "resolution": bundle.architecture.resolution,
        "motifs": [motif.name for motif in motifs],
        "consensus": {motif.name: genome.alphabet.decode(motif.consensus) for motif in motifs},
        "not_implanted": effects.silent,
        "pairs_left_out": effects.pairs_left_out,
        "background": arguments.backgrounds,
        "information": arguments.information,
        "settings": asdict(settings),
        "sites": {
            "looked_at": len(sites),
            "hits_from": "file" if arguments.hits else "matching",
            "hits_skipped": skipped,
            "settings": asdict(at_sites),
            "means": summarise_sites(table, arguments.seed),
        },
    })  # fmt: skip
    logger.info("%s: %d motifs, %d rows of sites", genome.name, len(motifs), len(table))


def read_sites(path: Path | None, bundle: Bundle, genome: EncodedGenome, most: int) -> pd.DataFrame:
    """Read the first sites of every class; none without a file."""
    columns = ("contig", "position", "strand", "class")
    if path is None:
        return pd.DataFrame(columns=list(columns)).astype({"position": "int64"})
    table = read_table(path, "table of sites", columns, text=("contig", "class"))
    unknown = set(table["class"]) - set(bundle.classes)
    if unknown:
        raise InputError(
            f"table of sites {path} has class {', '.join(sorted(unknown))}; expected "
            f"{', '.join(bundle.classes)}"
        )
    check_intervals(genome.contigs, table, genome.name, "site")
    return first_sites(table, most)


def read_hits(path: Path | None, motifs: Sequence[MotifMatrix]) -> pd.DataFrame | None:
    """Read hits of the motifs; None without a file."""
    if path is None:
        return None
    columns = ("motif", "site", "offset", "strand", "log_odds")
    table = read_table(path, "hits", columns, text=("motif",))
    unknown = set(table["motif"]) - {motif.name for motif in motifs}
    if unknown:
        raise InputError(
            f"hits {path} name motif {sorted(unknown)[0]!r}, which the motif file does not hold; "
            "expected both from one run of discover_motifs"
        )
    return table


def draw_backgrounds(
    arguments: argparse.Namespace,
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    settings: InterventionSettings,
) -> Backgrounds:
    """Shuffle random windows of the genome or those of the sites."""
    generator = np.random.default_rng(settings.seed)
    architecture = bundle.architecture
    if arguments.backgrounds == "random":
        return random_backgrounds(genome, architecture, settings.backgrounds, generator)
    if sites.empty:
        raise InputError("--backgrounds sites: there are no sites; expected --sites with some")
    minus = sites["strand"].to_numpy() == "-"
    position = sites["position"].to_numpy(np.int64)
    windows = cut_windows(genome, sites["contig"].to_list(), position, minus, architecture)
    unknown = genome.alphabet.unknown
    return site_backgrounds(windows.seen, unknown, architecture, settings.backgrounds, generator)


def measure_motifs(
    scorer: MutantScorer,
    backgrounds: Backgrounds | None,
    motifs: Sequence[MotifMatrix],
    bundle: Bundle,
    settings: InterventionSettings,
) -> MotifEffects:
    """Measure the motifs in backgrounds; empty tables where there is none."""
    half = settings.backgrounds // 2
    empty = Backgrounds(np.zeros((0, 1), np.uint8), 0, 0)
    halves = [empty, empty]
    if backgrounds is not None:
        halves = [backgrounds.take(slice(0, half)), backgrounds.take(slice(half, None))]
    choosing, measuring = (Implanter(scorer, part) for part in halves)
    resolution = bundle.architecture.resolution
    meter = MotifMeter(choosing, measuring, motifs, bundle.classes, resolution, settings)
    return meter.measure()


def measure_sites(
    scorer: MutantScorer,
    bundle: Bundle,
    genome: EncodedGenome,
    sites: pd.DataFrame,
    hits: pd.DataFrame | None,
    motifs: Sequence[MotifMatrix],
    settings: SiteSettings,
) -> tuple[pd.DataFrame, int]:
    """Change hits at sites; also count hits that the model does not see as a whole."""
    if sites.empty or not motifs:
        return pd.DataFrame(columns=list(SITE_COLUMNS)), 0
    meter = SiteMeter(bundle, scorer, genome, sites, settings)
    if hits is None:
        hits = meter.hits(motifs)
    table = meter.measure(hits, {motif.name: motif for motif in motifs})
    return table, meter.skipped


def write(folder: Path, effects: MotifEffects, sites: pd.DataFrame, summary: dict) -> None:
    """Write the tables and the summary, which says that they are all there."""
    tables = {
        "marginal": effects.marginal,
        "positions": effects.positions,
        "copies": effects.copies,
        "pairs": effects.pairs,
        "sites": sites,
    }
    for name, table in tables.items():
        numbers = table.select_dtypes("number").columns
        write_table(folder / f"{name}.tsv", table.round(dict.fromkeys(numbers, 5)))
    write_json(folder / "summary.json", summary)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
