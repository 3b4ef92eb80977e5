import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import one_hot
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.ensemble import Ensemble
from genomesieve.genome import EncodedGenome
from genomesieve.inference import TOLERANCE, prepare_for_scan
from genomesieve.layout import make_layout
from genomesieve.networks import build_network, log_odds
from genomesieve.planning import ScanPlan, measure_cost, plan_scan
from genomesieve.scanner import Scanner
from genomesieve.scores import decode_scores

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "dense": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 2]},
    "sliding": {
        "preset": "motif_cnn", "resolution": 10, "channels": 8, "stem_kernels": [7],
        "hidden": 4, "pool_margin": 4,
    },
    "windowed": {
        "preset": "lstm", "channels": 8, "units": 6, "stem_kernels": [5], "stem_pools": [5],
        "window": 40, "reach": 3, "resolution": 10,
    },
}  # fmt: skip
LABELS = ("exclusive", "independent")


def make_members(kind, labels, count=3, reverse_complement="augment"):
    architecture = resolve_architecture(MODELS[kind])
    members = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = build_network(architecture, 2, labels, reverse_complement)
        with torch.no_grad():
            # Members that differ by much, and outputs as rare as sites are.
            network.eval().get_parameter(_head(network)).normal_(0, 3)
            for name, buffer in network.named_buffers():
                if name.endswith("running_var"):
                    buffer.uniform_(0.5, 2)
        members.append(network)
    return architecture, members


def _head(network):
    return next(name for name, _ in network.named_parameters() if name.endswith("head.weight"))


def random_input(architecture, strides=9, rows=2):
    generator = np.random.default_rng(0)
    length = strides * architecture.stride + 2 * architecture.context
    codes = generator.integers(0, 5, (rows, length), dtype=np.uint8)
    return one_hot(torch.from_numpy(codes), DNA)


def mean_log_odds(members, x, labels):
    """The log-odds of the members' mean probability, by scipy in double precision."""
    with torch.inference_mode():
        logits = [member(x).double().numpy() for member in members]
    if labels == "exclusive":
        p = np.mean([softmax(one, axis=1) for one in logits], axis=0)
        rest = p.sum(1, keepdims=True) - p
        return np.log(p[:, 1:]) - np.log(rest[:, 1:])
    p = np.mean([expit(one) for one in logits], axis=0)
    q = np.mean([expit(-one) for one in logits], axis=0)
    return np.log(p) - np.log(q)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("kind", MODELS)
def test_the_ensemble_is_the_mean_probability_of_its_members(kind, labels):
    architecture, members = make_members(kind, labels)
    x = random_input(architecture)
    expected = mean_log_odds(members, x, labels)
    with torch.inference_mode():
        found = log_odds(Ensemble(members, labels).eval()(x), labels).numpy()
    assert found.dtype == np.float32 and found.std() > 0.1
    assert (np.abs(found - expected) <= 1e-4 * np.maximum(1, np.abs(expected))).all()


@pytest.mark.parametrize("labels", LABELS)
def test_equal_members_change_nothing(labels):
    architecture, members = make_members("dense", labels, 1)
    x = random_input(architecture)
    with torch.inference_mode():
        one = log_odds(members[0](x), labels)
        both = log_odds(Ensemble([members[0], members[0]], labels)(x), labels)
    torch.testing.assert_close(one, both, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("labels", LABELS)
def test_probabilities_near_none_and_all_are_kept(labels):
    """In float32, 1 - p is 1 for p of 1e-8 and 0 for p of 1 - 1e-8; log-odds must not be."""

    class Fixed(torch.nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            row = torch.tensor([0.0, self.value] if labels == "exclusive" else [self.value])
            return row[None, :, None]

    for values in ((-40.0, -42.0), (40.0, 42.0), (-40.0, 3.0)):
        network = Ensemble([Fixed(value) for value in values], labels)
        found = float(log_odds(network(torch.zeros(1)), labels))
        p, q = expit(np.array(values)).mean(), expit(-np.array(values)).mean()
        assert found == pytest.approx(np.log(p / q), rel=1e-6)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("kind", MODELS)
def test_the_prepared_ensemble_gives_the_same_numbers(kind, labels, caplog):
    architecture, members = make_members(kind, labels)
    network = Ensemble(members, labels).eval()
    x = random_input(architecture)
    prepared = prepare_for_scan(network, x, labels)
    assert "runs as it is" not in caplog.text
    assert isinstance(prepared, torch.fx.GraphModule)
    with torch.inference_mode():
        plain, found = log_odds(network(x), labels), log_odds(prepared(x), labels)
    assert ((plain - found).abs() <= TOLERANCE * plain.abs().clamp(min=1)).all()


def test_three_members_cost_three_times_the_work_and_no_more_memory():
    architecture, members = make_members("dense", "exclusive")
    one = measure_cost(members[0], architecture, DNA.size)
    three = measure_cost(Ensemble(members, "exclusive"), architecture, DNA.size)
    assert three.operations == pytest.approx(3 * one.operations)
    assert three.values == one.values
    plans = [
        plan_scan(make_bundle(architecture, network, "exclusive", True), torch.device("cpu"))
        for network in (members[0], Ensemble(members, "exclusive"))
    ]
    assert plans[0][0] == plans[1][0]


def make_bundle(architecture, network, labels, stranded, seeds=()):
    return Bundle(
        name="toy", network=network, architecture=architecture, classes=["a", "b"],
        stranded=stranded, labels=labels, member_seeds=list(seeds),
    )  # fmt: skip


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("kind", MODELS)
def test_scan_of_the_ensemble_is_the_mean_of_the_members_scans(kind, labels, tmp_path):
    architecture, members = make_members(kind, labels)
    codes = np.random.default_rng(1).integers(0, 4, 3003, dtype=np.uint8)
    codes[1500:1510] = DNA.unknown
    contigs = pd.DataFrame({"contig": ["a"], "length": [3003], "offset": [0]})
    genome = EncodedGenome("toy", codes, contigs)
    split = pd.DataFrame({"contig": ["a"], "start": [0], "end": [3003], "part": ["screen"]})
    layout = make_layout(
        split, contigs, ("screen",), architecture.resolution, architecture.context, "toy"
    )
    stranded = kind == "dense"

    def scan(bundle):
        scanner = Scanner(bundle, ScanPlan(1000, 1, "float32"), torch.device("cpu"))
        chunks = scanner.list_chunks(layout, genome)
        parts = [part for _, part in scanner.scan(genome, chunks, range(len(chunks)))]
        return decode_scores(np.concatenate(parts, axis=-1)).astype(np.float64)

    save_bundle(
        tmp_path, make_bundle(architecture, Ensemble(members, labels), labels, stranded, [0, 1, 7])
    )
    loaded = load_bundle(tmp_path)
    assert loaded.member_seeds == [0, 1, 7] and len(loaded.network.members) == 3
    found = scan(loaded)
    p = np.mean(
        [expit(scan(make_bundle(architecture, m, labels, stranded))) for m in members], axis=0
    )
    known = ~np.isnan(found)
    assert (np.isnan(p) == ~known).all() and 0 < (~known).sum() < known.sum()
    # Scores have the eleven bits of float16.
    assert found[known] == pytest.approx(np.log(p / (1 - p))[known], rel=3e-3, abs=3e-3)
