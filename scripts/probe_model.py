"""Ask what a model's hidden states hold, layer by layer, and whether the model makes use of it.

In: a model, and for every genome its encoded folder, sites, intervals and split. Linear probes
(ridge for numbers, logistic regression for categories) are fitted on bins of the train part, their
regularisation is chosen on the valid part, and all scores are of the test part.

What is probed, of a bin read in a direction drawn at random:
  gc, cpg, stacking, purine_run   share of G and C; observed over expected CpG; mean stacking energy
              (kcal/mol); bp of the longest run of purines or pyrimidines: of the bin and --flank bp
  distance    log(1 + bp) to the nearest site of any class on the strand that is read, at most
              --reach bp
  codon_phase, strand   with --genes: which base of a codon this is (first, second, third), in genes
              on the strand that is read (bins of one base); whether the gene is on that strand
  repeat      whether the bin's middle is soft-masked in the FASTA
  laboratory  where the data comes from, with several genomes of different --laboratory

Out, in --output-dir:
  probes.tsv  a row a layer, property, `what` and metric: score with 95 % interval (low, high;
              blocks of the test part are resampled), chance (the score of what knows nothing),
              prevalence (of the second of two categories), regularisation, unit, fit_positions,
              test_positions, depth (order of the layers), seen_bp (bp that a bin's state sees at
              most), units, chosen (the score on the valid part)
    what      trained; untrained (the same architecture, fresh weights of the same seed); kmer
              (counts of k-mers in the bp that the layer sees); control (random values by k-mer in
              the middle of the bin, on types that fitting saw), control_unseen (on types that it
              did not see: chance, by right; types are resampled); selectivity (trained less
              control); single_unit (the best unit of the layer alone)
    metric    numbers: r2 (below 0: worse than the mean), spearman; categories: auroc,
              average_precision (means of each category against the rest; of two categories, the
              second), balanced_accuracy
  interventions.tsv   average precision of every class on stretches of the test part, before and
              after something is taken out of the layer where a property is read best (on the valid
              part): loss = before - after, positive where the model needed it; with paired 95 %
              intervals (stretches are resampled); excess = loss less the mean loss of as many
              random directions. removed: probe (its directions are set to their mean), erasure (the
              least change after which no linear probe reads the property, Belrose et al. 2023), and
              random_probe, random_erasure. readable_before, readable_after: score of a probe
              before, and of one fitted anew after it. beyond_random: the loss is above 0.005 and
              larger than with any of the random removals (largest_random), and the excess is above
              0 with an interval wide enough for all classes together
  similarity.tsv   a row a layer and pair of networks (members of an ensemble; each and its
              untrained start): cka (linear; 1 is the same up to rotation), matched_units (mean
              absolute correlation of units matched one to one), best_units (mean over units of the
              largest one)
  summary.json     what was probed and what was left out and why, the layers, and a verdict on each
              property: not read (no better than chance, or than control tasks), present (read, but
              the model loses no more without it than without random directions), or used

Intervals of losses do not hold how far the directions depend on the bins that they were fitted on:
of a property that is read weakly try several seeds. A probe says what is there, not what it is good
for; the interventions are on the model, in states that no sequence need ever cause. Neither says
anything of the cell.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from genomesieve.bundle import Bundle, load_bundle
from genomesieve.command_line import (
    NamedPaths,
    add_code_argument,
    add_device_arguments,
    add_genome_arguments,
    add_laboratory_argument,
    add_signal_argument,
    check_genome_arguments,
    comma_list,
    make_parser,
    run_script,
    signals_of,
)
from genomesieve.devices import choose_devices
from genomesieve.errors import InputError
from genomesieve.files import read_table, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.hidden_states import Layer, list_layers, member_of, seen_flank
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS, read_splits
from genomesieve.laboratory_statistics import bundle_for_genome
from genomesieve.layer_probes import (
    FIT,
    KMER,
    PARTS,
    TEST,
    UNSEEN,
    UNTRAINED,
    Features,
    Prober,
    Section,
    probe_property,
    read_states,
    usable_properties,
    word_counts,
)
from genomesieve.layout import make_layout
from genomesieve.probe_interventions import (
    Interventions,
    Reading,
    Stretches,
    choose_stretches,
    label_stretches,
)
from genomesieve.probe_places import Places, sample_places
from genomesieve.probe_settings import PROPERTIES, ProbeSettings
from genomesieve.probe_verdicts import judge_property, left_out_sentences
from genomesieve.probed_properties import (
    Genes,
    Property,
    codon_phase,
    gene_strand,
    join_properties,
    read_genes,
    read_masked,
    repeat_status,
    sequence_properties,
    site_distance,
)
from genomesieve.processors import use_threads
from genomesieve.progress import watched
from genomesieve.representation_similarity import compare_states
from genomesieve.signals import with_signals
from genomesieve.untrained import build_untrained, training_seed

logger = logging.getLogger(__name__)

SIMILARITY_PLACES = 4000
"""Places of the test part on which networks are compared, at most."""


@dataclass(frozen=True)
class Subject:
    """One genome, with what is known of it and the network as it scans it.

    Parameters
    ----------
    genome : EncodedGenome
    sites, intervals, split : pandas.DataFrame
    network : torch.nn.Module
    laboratory : str
    masked : pandas.DataFrame or None
        Its soft-masked runs, if its FASTA has some.
    genes : Genes or None
    """

    genome: EncodedGenome
    sites: pd.DataFrame
    intervals: pd.DataFrame
    split: pd.DataFrame
    network: nn.Module
    laboratory: str
    masked: pd.DataFrame | None
    genes: Genes | None


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add, defaults = parser.add_argument, ProbeSettings()
    add("--model", type=Path, required=True, help="model folder")
    add_code_argument(parser)
    add("--member", type=int, default=0, help="which network of an ensemble is probed, from 0")
    add_genome_arguments(parser)
    add_signal_argument(parser, of_genomes=True)
    add_laboratory_argument(parser)
    add(
        "--genes",
        action=NamedPaths,
        default={},
        metavar="NAME=FILE",
        help="GTF or GFF3 with coding parts (CDS) of a genome: codon_phase and strand; repeat",
    )
    add(
        "--alias",
        action=NamedPaths,
        default={},
        metavar="NAME=FILE",
        help="two columns: contig in the file of genes, contig in the FASTA; repeat",
    )
    add("--ignore-margin", type=int, default=0, help="bp around a site that count neither way")
    words = f"what is probed, with commas between them: {','.join(PROPERTIES)}"
    add("--properties", type=comma_list, default=",".join(defaults.properties), help=words)
    for name, text in NUMBERS.items():
        add(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name), help=text)
    add_device_arguments(parser)
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


NUMBERS = {
    "positions": "bins to fit on, and as many to score on; a third of it to choose on (a genome)",
    "flank": "bp on each side of a bin over which properties of the sequence are taken",
    "reach": "bp at which the distance to the nearest site ends",
    "words": "length of the k-mers that are counted as a baseline",
    "type_length": "length of the k-mers that are the types of control tasks",
    "controls": "control tasks a property",
    "bases": "bp of the test part to run the model on without a property; 0: no interventions",
    "random_removals": "random directions (or sets of them) to compare an intervention with",
    "repeats": "bootstrap resamples",
    "seed": "of positions, control tasks, random directions and resamples",
}


def run(arguments: argparse.Namespace) -> None:
    """Probe, intervene, compare and write."""
    check_genome_arguments(arguments)
    given = {name: getattr(arguments, name) for name in (*NUMBERS, "properties")}
    settings = ProbeSettings(**given)
    settings.check()
    for option in ("genes", "alias", "laboratory"):
        unknown = sorted(set(getattr(arguments, option)) - set(arguments.genome))
        if unknown:
            raise InputError(
                f"--{option} names {unknown[0]}; expected some of {', '.join(arguments.genome)}"
            )
    device = choose_devices(arguments.device)[0]
    use_threads(arguments.threads)
    whole = load_bundle(arguments.model, arguments.network_code)
    bundle = member_bundle(whole, arguments.member)
    layers = list_layers(bundle.network, bundle.architecture, len(bundle.signals))
    subjects = open_subjects(arguments, bundle)
    started = time.monotonic()
    sections, left_out = make_sections(subjects, bundle, settings)
    names = list(sections[TEST].properties)
    logger.info("%d layers, properties %s", len(layers), ", ".join(names) or "none")
    for reason in left_out_sentences(left_out):
        logger.info("%s", reason)

    networks = [one.network for one in subjects]
    states = read_parts(sections, networks, layers, bundle, device)
    first = (x for x, _ in sections[FIT].places[0].inputs(bundle.architecture.context))
    seed = training_seed(whole, arguments.member)
    fresh = build_untrained(bundle, seed, first, arguments.network_code)
    untrained = read_parts(sections, [fresh] * len(subjects), layers, bundle, device)
    logger.info("states of %d bins read after %.0f s", *progress(sections, started))
    prober = Prober(sections, settings)
    readings, tables = probe_layers(prober, layers, states, untrained, bundle)
    logger.info("probes fitted after %.0f s", time.monotonic() - started)
    interventions = intervene(prober, readings, subjects, bundle, settings, arguments, device)
    logger.info("interventions done after %.0f s", time.monotonic() - started)
    similarity = compare_networks(
        whole, arguments, subjects, sections, layers, (states, untrained, seed), device
    )
    verdicts = [judge_property(name, tables, interventions) for name in names]
    summary = {
        "model": bundle.name,
        "member": arguments.member,
        "genomes": [one.genome.name for one in subjects],
        "settings": asdict(settings) | {"properties": list(settings.properties)},
        "positions": {part: len(one) for part, one in sections.items()},
        "blocks": sections[TEST].blocks,
        "stretches": len(interventions.attrs.get("stretches", [])),
        "layers": describe_layers(layers, states, bundle),
        "left_out": left_out,
        "properties": verdicts,
        "unseen_controls": judge_controls(tables),
    }
    write(arguments.output_dir, tables, interventions, similarity, summary)


def progress(sections: Mapping[str, Section], started: float) -> tuple[int, float]:
    """Return the number of bins and the seconds since the start."""
    return sum(map(len, sections.values())), time.monotonic() - started


def member_bundle(bundle: Bundle, member: int) -> Bundle:
    """Return the bundle of one network of an ensemble."""
    return replace(bundle, network=member_of(bundle.network, member), member_seeds=[])


def open_subjects(arguments: argparse.Namespace, bundle: Bundle) -> list[Subject]:
    """Open every genome with its sites, split and genes."""
    subjects = []
    splits = read_splits(arguments.split)
    for name, folder in arguments.genome.items():
        genome = EncodedGenome.open_checked(folder, name)
        genome = with_signals(genome, signals_of(name, arguments.signal), bundle.signals)
        missing = [part for part in PARTS if part not in set(splits[name]["part"])]
        if missing:
            raise InputError(
                f"split {arguments.split[name]} has no part {missing[0]}; expected "
                f"{', '.join(PARTS)}: probes are fitted, chosen and scored on one each"
            )
        laboratory = arguments.laboratory.get(name, "")
        resolution, context = bundle.architecture.resolution, bundle.architecture.context
        place = (TEST,), resolution, context, name
        layout = make_layout(splits[name], genome.contigs, *place)
        genes = arguments.genes.get(name)
        subjects.append(
            Subject(
                genome,
                read_sites(arguments.sites[name], name, bundle),
                read_table(arguments.intervals[name], f"intervals of {name}", INTERVAL_COLUMNS),
                splits[name],
                bundle_for_genome(bundle, genome, layout, laboratory)[0].network,
                laboratory,
                read_masked(genome, folder),
                None if genes is None else read_genes(genes, genome, arguments.alias.get(name)),
            )
        )
    return subjects


def read_sites(path: Path, genome: str, bundle: Bundle) -> pd.DataFrame:
    """Read the sites of the model's classes."""
    sites = read_table(path, f"sites of {genome}", SITE_COLUMNS)
    return sites[sites["class"].isin(bundle.classes)].reset_index(drop=True)


def make_sections(
    subjects: Sequence[Subject], bundle: Bundle, settings: ProbeSettings
) -> tuple[dict[str, Section], dict[str, str]]:
    """Sample the places of every part and what is known of them; also say what cannot be probed."""
    sections = {}
    for number, part in enumerate(PARTS):
        count = settings.positions // 3 if part == "valid" else settings.positions
        places = [
            sample_places(
                one.genome,
                one.split,
                part,
                bundle.architecture,
                count,
                [settings.seed, number, row],
            )
            for row, one in enumerate(subjects)
        ]
        sections[part] = Section(places)
        sections[part].properties.update(
            join_properties(
                [
                    known_properties(one, here, bundle, settings)
                    for one, here in zip(subjects, places)
                ]
            )
        )
        add_laboratories(sections[part], subjects, settings)
    reasons = missing_properties(subjects, bundle, settings)
    reasons |= usable_properties(sections)
    for section in sections.values():
        for name in set(section.properties) & set(reasons):
            del section.properties[name]
    return sections, reasons


def known_properties(
    subject: Subject, places: Places, bundle: Bundle, settings: ProbeSettings
) -> dict[str, Property]:
    """Return the wanted properties of some places that follow from one genome alone."""
    wanted, found = settings.properties, []
    plain = [name for name in ("gc", "cpg", "stacking", "purine_run") if name in wanted]
    if plain:
        found += sequence_properties(places, plain, settings.flank)
    if "distance" in wanted:
        found.append(site_distance(places, subject.sites, bundle.stranded, settings.reach))
    if "codon_phase" in wanted and subject.genes is not None and places.resolution == 1:
        found.append(codon_phase(places, subject.genes))
    if "strand" in wanted and subject.genes is not None:
        found.append(gene_strand(places, subject.genes))
    if "repeat" in wanted and subject.masked is not None:
        found.append(repeat_status(places, subject.masked))
    return {one.name: one for one in found}


def add_laboratories(
    section: Section, subjects: Sequence[Subject], settings: ProbeSettings
) -> None:
    """Add where the data of each place comes from, where genomes differ in that."""
    names = sorted({one.laboratory for one in subjects})
    if "laboratory" in settings.properties and len(names) > 1:
        values = [
            np.full(len(places), float(names.index(one.laboratory)))
            for one, places in zip(subjects, section.places)
        ]
        section.properties["laboratory"] = Property(
            "laboratory", np.concatenate(values), tuple(names)
        )


def missing_properties(
    subjects: Sequence[Subject], bundle: Bundle, settings: ProbeSettings
) -> dict[str, str]:
    """Say why properties that were asked for are not known."""
    reasons = {}
    without = [one.genome.name for one in subjects if one.genes is None]
    if without:
        reasons |= dict.fromkeys(("codon_phase", "strand"), f"no genes of {', '.join(without)}")
    resolution = bundle.architecture.resolution
    if resolution > 1:
        reasons["codon_phase"] = f"bins of {resolution} bp hold all phases"
    unmasked = [one.genome.name for one in subjects if one.masked is None]
    if unmasked:
        reasons["repeat"] = f"no soft-masked runs of {', '.join(unmasked)}"
    if len({one.laboratory for one in subjects}) < 2:
        reasons["laboratory"] = "all data is of one laboratory"
    return {name: reason for name, reason in reasons.items() if name in settings.properties}


def read_parts(
    sections: Mapping[str, Section],
    networks: Sequence[nn.Module],
    layers: Sequence[Layer],
    bundle: Bundle,
    device: torch.device,
    parts: Sequence[str] = PARTS,
) -> dict[str, dict[str, np.ndarray]]:
    """Return the states of every layer by part."""
    context = bundle.architecture.context
    read = {part: read_states(sections[part], networks, layers, context, device) for part in parts}
    return {layer.name: {part: read[part][layer.name] for part in parts} for layer in layers}


def probe_layers(
    prober: Prober,
    layers: Sequence[Layer],
    states: Mapping[str, Features],
    untrained: Mapping[str, Features],
    bundle: Bundle,
) -> tuple[list[Reading], pd.DataFrame]:
    """Probe all layers for all properties; also return each property where it is read best."""
    rows: list[dict] = []
    best: dict[str, Reading] = {}
    words: dict[int, Features] = {}
    known: dict = {}
    for depth, layer in enumerate(watched(layers, "layer", "probes")):
        flank = seen_flank(layer, bundle.architecture)
        if flank not in words:
            words[flank] = {
                part: word_counts(section.codes(flank), prober.settings.words)
                for part, section in prober.sections.items()
            }
        others = {UNTRAINED: untrained[layer.name], KMER: words[flank]}
        place = {"layer": layer.name, "depth": depth}
        place |= {"seen_bp": bundle.architecture.resolution + 2 * flank}
        place |= {"units": states[layer.name][TEST].shape[1]}
        for name in prober.sections[TEST].properties:
            found, control, mine = probe_property(prober, name, states[layer.name], others, known)
            rows += [place | row for row in mine]
            if name not in best or found.chosen > best[name].found.chosen:
                best[name] = Reading(name, layer, found, control, states[layer.name])
    return list(best.values()), pd.DataFrame(rows, columns=PROBE_COLUMNS)


PROBE_COLUMNS = [
    *("layer", "property", "kind", "what", "metric", "score", "low", "high", "chance"),
    *("prevalence", "regularisation", "unit", "fit_positions", "test_positions"),
    *("depth", "seen_bp", "units", "chosen"),
]


def intervene(
    prober: Prober,
    readings: Sequence[Reading],
    subjects: Sequence[Subject],
    bundle: Bundle,
    settings: ProbeSettings,
    arguments: argparse.Namespace,
    device: torch.device,
) -> pd.DataFrame:
    """Take every property that is read at all out of the layer where it is read best."""
    table = pd.DataFrame(columns=INTERVENTION_COLUMNS)
    readings = [one for one in readings if one.is_read(prober)]
    if not settings.bases or not readings:
        return table
    stretches = [label_subject(one, bundle, settings, arguments) for one in subjects]
    stretches = [one for one in stretches if len(one.layout.blocks)]
    running = Interventions(bundle, stretches, settings, device)
    rows = []
    for reading in watched(readings, "property", "interventions"):
        rows += running.rows(prober, reading)
    table = pd.DataFrame(rows, columns=INTERVENTION_COLUMNS)
    table.attrs["stretches"] = [len(one.layout.blocks) for one in stretches]
    return table


INTERVENTION_COLUMNS = [
    *("property", "layer", "removed", "directions", "removed_variance", "metric"),
    *("readable_before", "readable_after", "readable_after_low", "readable_after_high"),
    *("class", "before", "after", "loss", "low", "high"),
    *("excess", "excess_low", "excess_high", "largest_random", "beyond_random"),
]


def label_subject(
    subject: Subject, bundle: Bundle, settings: ProbeSettings, arguments: argparse.Namespace
) -> Stretches:
    """Choose stretches of the test part of a genome, with their labels."""
    stride, context = bundle.architecture.stride, bundle.architecture.context
    chosen = choose_stretches(subject.split, TEST, settings.bases, stride, context)
    known = subject.genome, chosen, subject.sites, subject.intervals
    return label_stretches(*known, bundle, arguments.ignore_margin, subject.network)


def compare_networks(
    whole: Bundle,
    arguments: argparse.Namespace,
    subjects: Sequence[Subject],
    sections: Mapping[str, Section],
    layers: Sequence[Layer],
    known: tuple[Mapping[str, Features], Mapping[str, Features], int],
    device: torch.device,
) -> pd.DataFrame:
    """Compare the members of an ensemble with each other, and networks with their starts."""
    states, untrained, seed = known
    section = sections[TEST]
    chosen = np.arange(0, len(section), max(1, len(section) // SIMILARITY_PLACES))
    trained = {str(seed): {name: part[TEST][chosen] for name, part in states.items()}}
    fresh = {str(seed): {name: part[TEST][chosen] for name, part in untrained.items()}}
    for number, other in enumerate(whole.member_seeds):
        if number == arguments.member:
            continue
        bundle = member_bundle(whole, number)
        networks = [one.network for one in open_subjects(arguments, bundle)]
        found = read_states(section, networks, layers, bundle.architecture.context, device)
        trained[str(other)] = {name: part[chosen] for name, part in found.items()}
        first = (x for x, _ in sections[FIT].places[0].inputs(bundle.architecture.context))
        start = build_untrained(bundle, int(other), first, arguments.network_code)
        context = bundle.architecture.context
        found = read_states(section, [start] * len(subjects), layers, context, device)
        fresh[str(other)] = {name: part[chosen] for name, part in found.items()}
    rows = []
    for layer in layers:
        for what, known_states in (("trained", trained), ("untrained", fresh)):
            for one, other in combinations(known_states, 2):
                pair = known_states[one][layer.name], known_states[other][layer.name]
                named = {"layer": layer.name, "what": what, "one": one, "other": other}
                rows.append(named | compare_states(*pair))
        for one in trained:
            named = {"layer": layer.name, "what": "trained_untrained", "one": one, "other": one}
            rows.append(named | compare_states(trained[one][layer.name], fresh[one][layer.name]))
    columns = ["layer", "what", "one", "other", "positions", "cka", "matched_units", "best_units"]
    return pd.DataFrame(rows, columns=columns)


def describe_layers(
    layers: Sequence[Layer], states: Mapping[str, Features], bundle: Bundle
) -> list[dict]:
    """Return what stands in the summary of every layer."""
    resolution = bundle.architecture.resolution
    return [
        {
            "layer": layer.name,
            "module": layer.path,
            "stride": layer.stride,
            "units": int(states[layer.name][TEST].shape[1]),
            "seen_bp": resolution + 2 * seen_flank(layer, bundle.architecture),
        }
        for layer in layers
    ]


def judge_controls(table: pd.DataFrame) -> dict:
    """Count how often control tasks are read better than chance on types that were not seen."""
    mine = table[(table["what"] == UNSEEN) & table["metric"].isin(["r2", "auroc"])]
    above = (mine["low"] > mine["chance"]).sum()
    return {"probes": len(mine), "above_chance": int(above)}


def write(
    folder: Path,
    probes: pd.DataFrame,
    interventions: pd.DataFrame,
    similarity: pd.DataFrame,
    summary: dict,
) -> None:
    """Write the four files."""
    write_table(folder / "probes.tsv", probes)
    write_table(folder / "interventions.tsv", interventions)
    write_table(folder / "similarity.tsv", similarity)
    write_json(folder / "summary.json", summary)
    for one in summary["properties"]:
        logger.info("%s: %s", one["property"], one["verdict"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
