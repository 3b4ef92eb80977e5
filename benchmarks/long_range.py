"""How far trunks see: planted pairs of motifs, and gradients that reach back along the sequence.

1. Pairs (`planted_pairs.py`): a site is a motif A with a motif B up to 1,500 bp downstream of it.
   Every network reads the same windows for the same number of steps. The first filters of every
   stem start as detectors of A and of B, so that what is compared is how a trunk joins two motifs
   and not how fast a stem finds them. Rows say how precise each is, over all pairs and for pairs of
   each distance, beside what is reached by knowing one motif exactly.
2. Gradients: the size of the derivative of a trunk's output by its input 10, 100 and 1,000
   positions before, relative to that one position before, when training starts and has ended.

`lstm` and `gru` are there once more with gates that start open for 1 to 100 positions (Tallec and
Ollivier 2018), which is no setting of the product.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from examples import (  # noqa: E402
    Finding,
    Fitted,
    fit,
    fit_at_best_rate,
    precision_finding,
    print_findings,
    score,
)
from measuring import quick_parser, write_results  # noqa: E402
from planted_pairs import (  # noqa: E402
    DISTANCES,
    MOTIF_A,
    MOTIF_B,
    Pairs,
    oracle_scores,
    plant_pairs,
)

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import NetworkSettings, resolve_architecture  # noqa: E402
from genomesieve.networks import SequenceNetwork, build_network  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402
from genomesieve.trunks import build_trunk  # noqa: E402

_STEM = {
    "channels": 16, "stem_kernels": [11], "stem_pools": [25], "resolution": 50, "pooling": "max",
}  # fmt: skip
_WINDOW = {"window": 1200, "reach": 60}
"""A trunk that mixes over length sees 60 positions of 25 bp, 1,500 bp, beside its window."""
_CNN = {"preset": "motif_cnn", "hidden": 32, "dropout": 0.0}
MODELS: dict[str, dict] = {
    "motif_cnn": {**_STEM, **_CNN},
    "motif_cnn, maximum over 1,500 bp": {**_STEM, **_CNN, "pool_margin": 1500},
    "dilated, sees 450 bp": {**_STEM, "preset": "dilated", "dilations": [1, 2]},
    "dilated, sees 1,650 bp": {**_STEM, "preset": "dilated", "dilations": [1, 2, 4, 4]},
    "rnn": {**_STEM, **_WINDOW, "preset": "rnn"},
    "lstm": {**_STEM, **_WINDOW, "preset": "lstm"},
    "gru": {**_STEM, **_WINDOW, "preset": "gru"},
    "lstm, open gates": {**_STEM, **_WINDOW, "preset": "lstm"},
    "gru, open gates": {**_STEM, **_WINDOW, "preset": "gru"},
    "transformer": {**_STEM, **_WINDOW, "preset": "transformer"},
    "transformer, rotary": {
        **_STEM,
        **_WINDOW,
        "preset": "transformer",
        "positions": "rotary",
    },
    "hybrid": {
        **_STEM, **_WINDOW, "preset": "hybrid", "stem_kernels": [11, 5], "stem_pools": [5, 5],
        "hidden": 32,
    },
}  # fmt: skip
OPEN_GATES = ("lstm, open gates", "gru, open gates")
LONGER = {name: f"{name}, 4 times the steps" for name in ("lstm", "lstm, open gates")}
"""Networks that are trained once more for four times as many steps."""
MODELS |= {longer: MODELS[name] for name, longer in LONGER.items()}
WITH_GRADIENTS = ("rnn", "lstm", "gru", *OPEN_GATES, "transformer", "transformer, rotary")
WITH_GRADIENTS += tuple(LONGER.values())
RATES = (5e-3, 1e-2)
LONGEST_MEMORY = 100
STEPS_BACK = (1, 10, 100, 1000)
_BESIDE = 50
"""Positions on the far side of the output whose gradient is measured, and before the first."""


def start_at_motifs(network: SequenceNetwork) -> None:
    """Let the first two filters of a stem start as detectors of A and of B.

    A filter gives 3 where its whole word is and at most 2 elsewhere.
    """
    first = network.stem[0]
    with torch.no_grad():
        for row, word in enumerate((MOTIF_A, MOTIF_B)):
            letters = torch.from_numpy(DNA.encode(word).astype(np.int64))
            first.weight[row] = 0
            first.weight[row, letters, 0, torch.arange(len(word))] = 1
            first.bias[row] = 3 - len(word)


def open_gates(network: SequenceNetwork) -> None:
    """Let the gates of a recurrent trunk start with memories of 1 to `LONGEST_MEMORY` positions."""
    for cell in network.trunk.modules():
        if not isinstance(cell, nn.LSTM | nn.GRU):
            continue
        units = cell.hidden_size
        for end in ("l0", "l0_reverse"):
            memory = torch.linspace(1, LONGEST_MEMORY, units).log()
            bias, other = (getattr(cell, f"bias_{name}_{end}") for name in ("ih", "hh"))
            with torch.no_grad():
                # Gates of an LSTM: input, forget, cell, output; of a GRU: reset, update, new.
                bias[units : 2 * units], other[units : 2 * units] = memory, 0
                if isinstance(cell, nn.LSTM):
                    bias[:units], other[:units] = -memory, 0


def prepare(name: str) -> Callable[[SequenceNetwork], None]:
    """Return what is changed in a fresh network of the given name."""

    def change(network: SequenceNetwork) -> None:
        start_at_motifs(network)
        if name.startswith(OPEN_GATES):
            open_gates(network)

    return change


# --- pairs ---


def train_network(
    name: str, data: Mapping[str, Pairs], options: Namespace
) -> tuple[list[Fitted], dict]:
    """Train one network with every seed, at the rate that validates best for the first one."""
    architecture = resolve_architecture(MODELS[name])
    steps = options.steps * (4 if name in LONGER.values() else 1)

    def at(rate: float, seed: int) -> Fitted:
        training = {
            "steps": steps, "batch": 16, "learning_rate": rate, "validations": 6,
            "patience": 6,
        }  # fmt: skip
        parts = data["train"].examples, data["valid"].examples
        return fit(architecture, *parts, "independent", training, seed, prepare(name))

    rate, first, tried = fit_at_best_rate(options.rates, lambda rate: at(rate, 0))
    fitted = [first] + [at(rate, seed) for seed in range(1, options.seeds)]
    return fitted, {"rate": rate, "validation": tried, "seeds": [one.validation for one in fitted]}


def distance_masks(test: Pairs) -> dict[str, np.ndarray]:
    """Return which bins count: all, or pairs of one distance class with every negative bin."""
    sites = test.examples.sites[:, 0]
    masks = {"all": np.ones(sites.shape, dtype=bool)}
    for low, high in DISTANCES:
        last = high + (high == DISTANCES[-1][1])
        of_class = sites & (test.distance >= low) & (test.distance < last)
        masks[f"{low:,}-{high:,} bp"] = of_class | ~sites
    return masks


def precision_rows(
    what: str, scores: list[np.ndarray], test: Pairs, fitted: list[Fitted]
) -> list[Finding]:
    """Return the average precision of a network or an oracle, over all pairs and by distance.

    Parameters
    ----------
    what : str
    scores : list of numpy.ndarray, shape=(N, bins)
    test : Pairs
    fitted : list of Fitted
        One for each of the scores; empty for an oracle.
    """
    sites = test.examples.sites[:, 0]
    blocks = np.repeat(np.arange(len(sites))[:, None], sites.shape[1], axis=1)
    return [
        precision_finding(
            [one[mask] for one in scores], sites[mask], blocks[mask], fitted,
            part="pairs", what=what, metric=metric,
        )
        for metric, mask in distance_masks(test).items()
    ]  # fmt: skip


def oracle_rows(test: Pairs) -> list[Finding]:
    """Return what knowing motifs exactly is worth, beside the share of bins that are sites."""
    rate = float(test.examples.sites.mean())
    rows = [Finding("pairs", "share of bins that are sites", "all", rate)]
    for name, scores in oracle_scores(test.examples.codes).items():
        rows += precision_rows(f"known exactly: {name}", [scores], test, [])
    return rows


# --- gradients ---


def gradient_profile(
    network: SequenceNetwork, settings: NetworkSettings, inputs: int, seed: int
) -> dict[int, float]:
    """Measure how a trunk's output depends on its input some positions before.

    The trunk reads stem features of random sequence, more than 1,000 positions of it, in float64.
    Attention is set up for that length with the same weights; its buckets of far distances then
    stretch with the length.

    Parameters
    ----------
    network : SequenceNetwork
    settings : NetworkSettings
        Of the network.
    inputs : int
        Random sequences that are averaged over.
    seed : int

    Returns
    -------
    dict of int to float
        Root mean square of the Jacobian's Frobenius norm, by the number of positions back.
    """
    place = _BESIDE + max(STEPS_BACK)
    length = place + 1 + _BESIDE
    trunk = stretched_trunk(network, settings, length)
    features = stem_features(network, settings, length, inputs, seed).requires_grad_()
    output = trunk(features)[..., 0, place]
    # For v of independent normal numbers, the mean of |v J|^2 is |J|^2.
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(output.shape, generator=generator, dtype=output.dtype)
    (gradient,) = torch.autograd.grad((output * v).sum(), features)
    norms = gradient.square().sum(1).mean(0)[0].sqrt()
    return {back: float(norms[place - back]) for back in STEPS_BACK}


def stretched_trunk(network: SequenceNetwork, settings: NetworkSettings, length: int) -> nn.Module:
    """Return the trunk with its weights, in float64, for a number of positions."""
    window = (length - 2 * settings.reach) * settings.feature_stride
    trunk = build_trunk(replace(settings, window=window), False)
    trunk.load_state_dict(network.trunk.state_dict())
    return trunk.double().eval()


def stem_features(
    network: SequenceNetwork, settings: NetworkSettings, length: int, inputs: int, seed: int
) -> Tensor:
    """Return stem features of random sequence, shape (inputs, channels, 1, length), float64."""
    flank = replace(settings, reach=0, pool_margin=0).context
    bases = length * settings.feature_stride + 2 * flank
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, DNA.size, (inputs, bases), generator=generator)
    x = nn.functional.one_hot(codes, DNA.size).transpose(1, 2).unsqueeze(2).float()
    with torch.no_grad():
        features = network.eval().stem(x)
    return features[..., :length].double()


def gradient_rows(name: str, fitted: list[Fitted], inputs: int) -> list[Finding]:
    """Return gradients relative to one position back, before and after training.

    The value is the geometric mean over seeds, the interval the smallest and largest of them; 0 is
    what float64 cannot hold.
    """
    settings = resolve_architecture(MODELS[name]).settings
    profiles: dict[str, list[dict]] = {"at the start": [], "after training": []}
    for seed, one in enumerate(fitted):
        torch.manual_seed(seed)
        fresh = build_network(one.architecture, 1, "independent")
        prepare(name)(fresh)
        for when, network in (("at the start", fresh), ("after training", one.network)):
            profiles[when].append(gradient_profile(network, settings, inputs, seed))
    rows = []
    for when, found in profiles.items():
        for back in STEPS_BACK[1:]:
            ratios = np.array([profile[back] / profile[1] for profile in found])
            value = float(np.exp(np.log(ratios).mean())) if ratios.all() else 0.0
            low, high = float(ratios.min()), float(ratios.max())
            rows.append(
                Finding(
                    f"gradient {when}", name, f"{back:,} positions", value, low, high, len(found)
                )
            )
    return rows


def measure_network(
    name: str, data: Mapping[str, Pairs], options: Namespace
) -> tuple[list[Finding], dict]:
    """Train one network and measure its precision and, of some, its gradients."""
    use_threads(1)
    fitted, tried = train_network(name, data, options)
    scores = [score(one, data["test"].examples, "independent")[:, 0] for one in fitted]
    rows = precision_rows(name, scores, data["test"], fitted)
    if name in WITH_GRADIENTS:
        rows += gradient_rows(name, fitted, 4 if options.quick else 32)
    print_findings(rows)
    return rows, tried


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--steps", type=int, default=800, help="optimiser steps of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each network")
    parser.add_argument("--windows", type=int, default=4000, help="training windows")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="learning rates")
    parser.add_argument("--networks", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--processes", type=int, default=2, help="networks trained at once")
    options = parser.parse_args()
    sizes = {"train": options.windows, "valid": 300, "test": 1000}
    if options.quick:
        options.steps, options.rates = 2, [1e-2]
        sizes = {"train": 32, "valid": 16, "test": 60}
    data = {part: plant_pairs(size, seed) for seed, (part, size) in enumerate(sizes.items(), 1)}
    rows = oracle_rows(data["test"])
    print_findings(rows)
    measure = partial(measure_network, data=data, options=options)
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        found = dict(zip(options.networks, pool.map(measure, options.networks)))
    rows += [row for mine, _ in found.values() for row in mine]
    if not options.quick and options.networks == list(MODELS):
        tried = {name: one for name, (_, one) in found.items()}
        details = {"options": vars(options), "windows": sizes, "models": MODELS, "tried": tried}
        write_results("long_range", rows, {"torch": version("torch")}, details, {})
    return 0


if __name__ == "__main__":
    sys.exit(main())
