"""In-silico mutagenesis of sites: every substitution that the site's prediction can see.

Ours computes what a change reaches in the network and no more; it runs beside every mutant's whole
window through our own engine (folded norms, large batches), and beside tangermeme's
saturation_mutagenesis, as it comes (its own fast path is for jobs of more than half a minute) and
with that fast path taken at once. The networks are the dense presets, with weights as after
training. What is right is said by whole windows in double precision.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from measuring import Row, keeping, median, quick_parser, save, side_by_side  # noqa: E402

from genomesieve.alphabet import DNA  # noqa: E402
from genomesieve.architecture import resolve_architecture  # noqa: E402
from genomesieve.batches import one_hot  # noqa: E402
from genomesieve.bundle import Bundle  # noqa: E402
from genomesieve.mutagenesis import MutantScorer, SiteWindows, measure_effects  # noqa: E402
from genomesieve.networks import build_network  # noqa: E402
from genomesieve.norms import batch_norms  # noqa: E402
from genomesieve.processors import use_threads  # noqa: E402

PRESETS = ("dilated", "spliceai", "motif_cnn")
WHOLE, PEER, FORCED = "whole windows, our engine", "tangermeme", "tangermeme, fast path at once"
LIMIT = 1e-5
EXACT_SITES = 4
"""Sites that are also run in double precision."""


class OneScore(nn.Module):
    """The log-odds of one class in the window's only bin, as a peer wants it: (N, 1)."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot (N, letters, L) to (N, 1)."""
        return self.network(x.float())[:, 0, :1].flatten(1)


def make_bundle(preset: str) -> Bundle:
    """Return a preset's network with weights and statistics that are not those of a start."""
    torch.manual_seed(0)
    architecture = resolve_architecture({"preset": preset})
    network = build_network(architecture, 1, "independent")
    for layer in batch_norms(network):
        layer.running_mean.normal_(0, 0.3)
        layer.running_var.uniform_(0.5, 2)
    return Bundle(preset, network.eval(), architecture, ["site"], True, "independent")


def make_sites(bundle: Bundle, count: int) -> SiteWindows:
    """Return random sequence around so many sites."""
    architecture = bundle.architecture
    width = architecture.stride + 2 * architecture.context + 2
    codes = np.random.default_rng(0).integers(0, DNA.size, (count, width), dtype=np.uint8)
    anchors = np.full(count, architecture.context)
    return SiteWindows(codes, anchors, np.zeros(count, dtype=np.int64))


def exact_effects(bundle: Bundle, windows: SiteWindows) -> tuple[np.ndarray, np.ndarray]:
    """Return effects (sites, positions, letters) and log-odds (sites,) in double precision."""
    network = copy.deepcopy(bundle.network).double().eval()
    letters = torch.arange(DNA.size, dtype=torch.uint8)
    effects, before = [], []
    with torch.inference_mode():
        for codes in torch.from_numpy(np.ascontiguousarray(windows.seen)):
            mutants = codes.repeat(len(codes), DNA.size, 1)
            mutants.diagonal(dim1=0, dim2=2).copy_(letters[:, None])
            rows = torch.cat([codes[None], mutants.flatten(0, 1)]).split(256)
            scores = torch.cat([network(one_hot(x, DNA).double())[:, 0, 0] for x in rows]).numpy()
            effects.append((scores[1:] - scores[0]).reshape(len(codes), DNA.size))
            before.append(scores[0])
    return np.stack(effects), np.array(before)


def peer_run(bundle: Bundle, windows: SiteWindows, forced: bool) -> Callable[[], np.ndarray]:
    """Return a run of tangermeme that gives effects (sites, positions, letters)."""
    from tangermeme import saturation_mutagenesis as module

    model = OneScore(bundle.network).eval()
    x = one_hot(torch.from_numpy(np.ascontiguousarray(windows.seen)), DNA)

    def run() -> np.ndarray:
        before = module._FAST_MIN_SECONDS
        module._FAST_MIN_SECONDS = 0 if forced else before
        try:
            raw = module.saturation_mutagenesis(
                model, x, batch_size=256, raw_outputs=True, device="cpu"
            )
        finally:
            module._FAST_MIN_SECONDS = before
        effects = raw.y_hat.squeeze(-1) - raw.y0.reshape(-1, 1, 1)
        return effects.transpose(1, 2).numpy()

    return run


def runs_of(bundle: Bundle, windows: SiteWindows) -> dict[str, Callable[[], np.ndarray]]:
    """Return what runs side by side, ours first."""
    architecture = bundle.architecture
    offsets = range(-architecture.context, architecture.resolution + architecture.context)

    def run_with(differencing: bool) -> Callable[[], np.ndarray]:
        scorer = MutantScorer(bundle, 0, differencing=differencing)
        assert scorer.follows == differencing
        return lambda: measure_effects(scorer, windows, offsets).substitutions

    runs = {"ours": run_with(True), WHOLE: run_with(False)}
    try:
        runs[PEER] = peer_run(bundle, windows, False)
        runs[FORCED] = peer_run(bundle, windows, True)
    except ImportError as error:
        print(f"tangermeme is not measured: {error}", file=sys.stderr)
    return runs


def measure(preset: str, sites: int, repeats: int) -> tuple[list[Row], dict]:
    """Measure one preset; return its rows and the seconds of all repeats."""
    bundle = make_bundle(preset)
    windows = make_sites(bundle, sites)
    runs = runs_of(bundle, windows)
    answers: dict[str, np.ndarray] = {}

    kept = {name: keeping(answers, name, run) for name, run in runs.items()}
    seconds = side_by_side(kept, repeats)
    # Effects are differences of log-odds, which float32 holds to a share of their size.
    exact, before = exact_effects(bundle, windows.take(slice(0, EXACT_SITES)))
    scale = np.maximum(1, np.abs(before))[:, None, None]
    errors = {
        name: float((np.abs(answers[name][: len(exact)] - exact) / scale).max()) for name in runs
    }
    mutants = windows.seen.size * (DNA.size - 1)
    ours = mutants / median(seconds["ours"])
    rows = []
    for name in list(runs)[1:]:
        # A ratio of each turn: both sides met the same spell of the machine.
        ratio = median([other / one for one, other in zip(seconds["ours"], seconds[name])])
        required = 4 if name == WHOLE else 10
        title = (
            name if name == WHOLE else name.replace("tangermeme", f"tangermeme {peer_version()}")
        )
        rows.append(
            Row(
                row=f"mutagenesis of {sites} sites, {preset}, {windows.length} bp windows",
                metric="substitutions per second",
                unit="1/s",
                ours=ours,
                peer=mutants / median(seconds[name]),
                peer_name=title,
                ratio=ratio,
                required=f">= {required}x",
                met=ratio >= required and errors["ours"] <= LIMIT,
                equal_within=f"{LIMIT:g} * max(1, abs(log-odds)) of whole windows in double "
                f"precision (found {errors['ours']:.1g}; the peer {errors[name]:.1g})",
            )
        )
    return rows, seconds


def peer_version() -> str:
    """Return tangermeme's version."""
    return version("tangermeme")


def main() -> int:
    """Measure and save."""
    parser = quick_parser(__doc__)
    parser.add_argument("--sites", type=int, default=32, help="sites a run")
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--preset", action="append", choices=PRESETS, help="default: all")
    arguments = parser.parse_args()
    use_threads(1)
    sites, repeats = (2, 1) if arguments.quick else (arguments.sites, arguments.repeats)
    rows, details = [], {"sites": sites, "repeats": repeats, "threads": 1}
    for preset in arguments.preset or PRESETS:
        # Four times the bases and twice the layers of the others.
        count = max(1, sites // 4) if preset == "spliceai" else sites
        found, seconds = measure(preset, count, repeats)
        rows += found
        details[preset] = seconds
    versions = {name: version(name) for name in ("torch",)}
    if any(row.peer_name.startswith("tangermeme") for row in rows):
        versions["tangermeme"] = peer_version()
    save("attribution", rows, versions, details)
    return 0


if __name__ == "__main__":
    sys.exit(main())
