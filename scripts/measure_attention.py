"""Set the attention of a model beside interventions: whether it looks where bases matter.

In: a calibrated model whose trunk is self-attention, an encoded genome, and the folder that
attribute_sites wrote for the same model. Out, in --output-dir:

  attention.npz  arrays, one row a site, read in the direction of its strand:
    offsets         (sites, positions) first of the `stride` bp in the middle of what a position of
                    the trunk sees: bp from the first base of the bin
    heads           (sites, layers, heads, positions) weights that the bin's positions give, their
                    mean; of an ensemble, layers of one member after the other
    rollout         (sites, positions) weights multiplied through the layers (Abnar and Zuidema
                    2020), the mean over members
    mutagenesis     (sites, positions) mean size of what substitutions change there, log-odds; NaN
                    where they were not measured
    stride, site_class
  sites.tsv      contig, position, strand, class; Spearman's correlation of rollout and mutagenesis,
                 and of what rollout is with attention that is the same everywhere (residual: the
                 bin's own positions weigh more whatever attention does); log-odds as they are,
                 with uniform attention, and with shuffled attention
  heads.tsv      class, member, layer, head; median of that correlation over sites, and its 95 %
                 interval (bootstrap over sites)
  summary.json   medians and intervals of a class, and how many calls stay calls

Uniform: every position takes the same from every other. Shuffled: each position's weights go to
other positions, drawn at random; the mean of --draws. Everything else in the network stays.

Attention is not explanation: a weight says what is mixed, not what the prediction rests on.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import bootstrap

from genomesieve.architecture import NetworkSettings
from genomesieve.attention_maps import (
    AttentionMaps,
    altered_scores,
    attention_layers,
    map_attention,
    sizes_at,
)
from genomesieve.attribution import rank_correlation
from genomesieve.attribution_files import JUDGE, AttributionResults, read_attributions
from genomesieve.bundle import Bundle, load_bundle
from genomesieve.command_line import (
    add_device_arguments,
    add_model_on_genome_arguments,
    make_parser,
    run_script,
)
from genomesieve.devices import choose_devices
from genomesieve.ensemble import Ensemble
from genomesieve.errors import InputError
from genomesieve.files import whole_file, write_json, write_table
from genomesieve.genome import EncodedGenome
from genomesieve.gradients import Gradients
from genomesieve.model_description import require_calibrated
from genomesieve.mutagenesis import cut_windows
from genomesieve.processors import use_threads
from genomesieve.progress import watched
from genomesieve.promises import operating_threshold

logger = logging.getLogger(__name__)

SITE_COLUMNS = ["contig", "position", "strand", "class"]
CHANGES = ("uniform", "shuffled")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add_model_on_genome_arguments(parser)
    add("--attributions", type=Path, required=True, help="folder of attribute_sites")
    add("--draws", type=int, default=5, help="shuffles of the attention")
    add("--seed", type=int, default=0, help="of the shuffles and of the bootstrap")
    add_device_arguments(parser)
    add("--output-dir", type=Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Measure the attention at the sites and write the files."""
    if arguments.draws < 1:
        raise InputError(f"--draws: found {arguments.draws}; expected at least 1")
    use_threads(arguments.threads)
    device = choose_devices(arguments.device)[0]
    bundle = load_bundle(arguments.model, arguments.network_code)
    if not attention_layers(bundle.network):
        raise InputError(
            f"model {arguments.model} has no self-attention; expected a trunk of attention, as "
            "preset transformer has"
        )
    require_calibrated(bundle.calibration, bundle.classes, arguments.model / "model.json")
    genome = EncodedGenome.open(arguments.genome_folder)
    known = read_attributions(arguments.attributions, genome.name)
    unknown = set(known.sites["class"]) - set(bundle.classes)
    if unknown:
        raise InputError(
            f"attributions {arguments.attributions} are of {', '.join(sorted(unknown))}; expected "
            f"{', '.join(bundle.classes)}: they were made with another model"
        )
    classes = watched(bundle.classes, "class", "attention")
    found = [measure(bundle, genome, known, name, arguments, device) for name in classes]
    write(arguments, bundle, known, [one for one in found if one is not None])
    logger.info("%s: attention at %d sites", genome.name, len(known.sites))


class Measured:
    """The attention at the sites of one class.

    Parameters
    ----------
    name : str
        The class.
    rows : numpy.ndarray
        Of its sites in the attributions.
    maps : AttentionMaps
    sizes : numpy.ndarray, shape=(sites, positions)
        Of what mutagenesis changes.
    scores : dict of str to numpy.ndarray
        Log-odds by what was done to the attention.
    """

    def __init__(
        self,
        name: str,
        rows: np.ndarray,
        maps: AttentionMaps,
        sizes: np.ndarray,
        scores: dict[str, np.ndarray],
    ):
        self.name, self.rows, self.maps, self.sizes, self.scores = name, rows, maps, sizes, scores
        self.agreement = correlations(maps.rollout, sizes)
        self.given_away = correlations(maps.residual, sizes)


def measure(
    bundle: Bundle,
    genome: EncodedGenome,
    known: AttributionResults,
    name: str,
    arguments: argparse.Namespace,
    device: torch.device,
) -> Measured | None:
    """Measure the attention at the sites of one class; None where it has no site."""
    rows = known.rows(name)
    if not len(rows):
        return None
    sites = known.sites.iloc[rows]
    windows = cut_windows(
        genome,
        sites["contig"].to_list(),
        sites["position"].to_numpy(np.int64),
        sites["strand"].to_numpy() == "-",
        bundle.architecture,
    )
    engine = Gradients(bundle, bundle.classes.index(name), device, genome.alphabet)
    maps = map_attention(engine, windows, settings_of(bundle), member_count(bundle))
    scores = altered_scores(engine, windows, arguments.draws, arguments.seed)
    check_scores(scores["as_it_is"], known.arrays["scores"][rows], arguments)
    contributions = known.arrays["contributions"][rows, known.methods.index(JUDGE)]
    sizes = sizes_at(contributions, known.arrays["positions"], maps.offsets, maps.stride)
    return Measured(name, rows, maps, sizes, scores)


def settings_of(bundle: Bundle) -> NetworkSettings:
    """Return the settings of a network of ours."""
    settings = bundle.architecture.settings
    if not isinstance(settings, NetworkSettings):
        raise InputError(
            f"model {bundle.name} is a network of its own kind; expected a preset, whose positions "
            "are known"
        )
    return settings


def member_count(bundle: Bundle) -> int:
    """Return the number of networks that a model is the mean of."""
    return len(bundle.network.members) if isinstance(bundle.network, Ensemble) else 1


def check_scores(found: np.ndarray, stated: np.ndarray, arguments: argparse.Namespace) -> None:
    """Raise InputError where the attributions are of other scores: of another model or genome."""
    far = np.abs(found - stated) > 1e-3 * np.maximum(1, np.abs(stated))
    if far.any():
        row = int(np.flatnonzero(far)[0])
        raise InputError(
            f"attributions {arguments.attributions} have the score {stated[row]:.4f} where model "
            f"{arguments.model} gives {found[row]:.4f}; expected those of this model and genome"
        )


def correlations(weights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of two arrays (sites, positions), site by site."""
    pairs = [rank_correlation(one, other) for one, other in zip(weights, sizes)]
    return np.array(pairs, dtype=float)


def write(
    arguments: argparse.Namespace, bundle: Bundle, known: AttributionResults, found: list[Measured]
) -> None:
    """Write the four files."""
    folder, seed = arguments.output_dir, arguments.seed
    tables = [site_rows(known, one) for one in found]
    heads = [head_rows(one, member_count(bundle), seed) for one in found]
    columns = [
        *SITE_COLUMNS,
        "rollout~mutagenesis",
        "residual~mutagenesis",
        "score",
        *(f"score_{to}" for to in CHANGES),
    ]
    write_table(folder / "sites.tsv", pd.concat([pd.DataFrame(columns=columns), *tables]))
    columns = ["class", "member", "layer", "head", "spearman", "low", "high"]
    write_table(folder / "heads.tsv", pd.concat([pd.DataFrame(columns=columns), *heads]))
    with whole_file(folder / "attention.npz") as temporary:
        np.savez_compressed(temporary, **arrays(found))
    classes = {one.name: summarize(one, bundle, seed) for one in found}
    write_json(folder / "summary.json", {"model": bundle.name, "draws": arguments.draws,
                                         "classes": classes})  # fmt: skip


def arrays(found: list[Measured]) -> dict[str, np.ndarray]:
    """Return the arrays of all classes, one after the other."""
    if not found:
        return {"site_class": np.array([], dtype=str)}
    parts = {
        "offsets": [one.maps.offsets for one in found],
        "heads": [one.maps.heads for one in found],
        "rollout": [one.maps.rollout for one in found],
        "mutagenesis": [one.sizes.astype(np.float32) for one in found],
        "site_class": [np.full(len(one.rows), one.name) for one in found],
    }
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return joined | {"stride": np.array(found[0].maps.stride)}


def site_rows(known: AttributionResults, one: Measured) -> pd.DataFrame:
    """Return the sites of a class with what was measured at each."""
    table = known.sites.iloc[one.rows][SITE_COLUMNS].reset_index(drop=True)
    scores = {f"score_{change}": one.scores[change] for change in CHANGES}
    return table.assign(
        **{
            "rollout~mutagenesis": one.agreement,
            "residual~mutagenesis": one.given_away,
            "score": one.scores["as_it_is"],
            **scores,
        }
    )


def head_rows(one: Measured, members: int, seed: int) -> pd.DataFrame:
    """Return the agreement of every head with mutagenesis, the median over sites."""
    rows = []
    each = one.maps.heads.shape[1] // members
    for layer, head in np.ndindex(*one.maps.heads.shape[1:3]):
        agreement = correlations(one.maps.heads[:, layer, head], one.sizes)
        found = median_with_interval(agreement, seed)
        place = {"class": one.name, "member": layer // each, "layer": layer % each, "head": head}
        rows.append(place | dict(zip(("spearman", "low", "high"), found)))
    return pd.DataFrame(rows)


def summarize(one: Measured, bundle: Bundle, seed: int) -> dict:
    """Return the figures of one class."""
    least = operating_threshold(bundle.calibration["classes"][one.name])["score"]
    called = one.scores["as_it_is"] >= least
    return {
        "sites": len(one.rows),
        "rollout_spearman": _named(median_with_interval(one.agreement, seed)),
        "residual_spearman": _named(median_with_interval(one.given_away, seed)),
        "called": int(called.sum()),
        **{
            change: {
                "change": _named(
                    median_with_interval(one.scores[change] - one.scores["as_it_is"], seed)
                ),
                "still_called": int((called & (one.scores[change] >= least)).sum()),
            }
            for change in CHANGES
        },
    }


def _named(values: tuple[float, float, float]) -> dict[str, float | None]:
    """Name a median and its interval; None where it is not known."""
    known = [value if np.isfinite(value) else None for value in values]
    return dict(zip(("median", "low", "high"), known))


def median_with_interval(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Return the median of what is known, and its 95 % interval by resampling; NaN of too few."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (np.nan,) * 3
    middle = float(np.median(known))
    if len(known) < 2 or np.ptp(known) == 0:
        return middle, np.nan, np.nan
    found = bootstrap(
        (known,), np.median, n_resamples=1000, method="percentile", vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return middle, float(found.low), float(found.high)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return run_script(run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
