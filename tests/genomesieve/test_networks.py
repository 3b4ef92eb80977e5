import numpy as np
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import one_hot
from genomesieve.errors import InputError
from genomesieve.networks import build_network, log_odds, set_prior

MODELS = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 3]},
    "motif_cnn": {"preset": "motif_cnn", "resolution": 10, "filters": 8, "kernel": 7, "hidden": 4},
    "motif_cnn_margin": {
        "preset": "motif_cnn",
        "resolution": 10,
        "filters": 8,
        "kernel": 7,
        "pair_kernel": 3,
        "pool_margin": 4,
        "hidden": 4,
    },
    "pwm": {"preset": "pwm", "width": 9, "left": 6, "margins": [0, 0]},
    "pwm_bins": {
        "preset": "pwm",
        "resolution": 10,
        "width": 8,
        "left": 3,
        "margins": [0, 5],
        "both_strands": True,
    },
    "kmer": {"preset": "kmer", "k": 3, "edges": [-10, -3, 0, 1, 4]},
    "kmer_bins": {"preset": "kmer", "k": 3, "resolution": 10, "edges": [-10, 0, 10, 20]},
}


def network_of(name, labels="independent", reverse_complement="augment", dtype=torch.float32):
    torch.manual_seed(3)
    architecture = resolve_architecture(MODELS[name])
    network = build_network(architecture, 2, labels, reverse_complement).eval().to(dtype)
    for weight in network.state_dict().values():
        if weight.is_floating_point() and weight.ndim > 1:
            weight.normal_(std=0.5)
    return architecture, network


def sequence(count, length, seed=0, unknown=0.0):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (count, length), dtype=np.uint8)
    codes[generator.random(codes.shape) < unknown] = DNA.unknown
    return torch.from_numpy(codes)


@pytest.mark.parametrize("name", MODELS)
def test_dense_output_equals_one_bin_at_a_time(name):
    architecture, network = network_of(name)
    context, resolution, bins = architecture.context, architecture.resolution, 13
    x = one_hot(sequence(3, 2 * context + bins * resolution, unknown=0.05), DNA)
    dense = network(x)
    assert dense.shape == (3, 2, bins)
    span = 2 * context + resolution
    starts = range(0, bins * resolution, resolution)
    single = torch.cat([network(x[..., at : at + span]) for at in starts], -1)
    torch.testing.assert_close(dense, single, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_prediction_sees_its_context_and_nothing_else(name):
    """A base outside changes nothing; the edge bases change something in one of 64 inputs."""
    architecture, network = network_of(name)
    context, resolution = architecture.context, architecture.resolution
    flank = resolution
    codes = sequence(64, 2 * (context + flank) + resolution, seed=1)
    middle = network(one_hot(codes, DNA))[..., 1]
    for inside, at in [(False, flank - 1), (False, flank + 2 * context + resolution)]:
        changed = codes.clone()
        changed[:, at] = (changed[:, at] + 1) % 4
        assert torch.equal(network(one_hot(changed, DNA))[..., 1], middle) is not inside
    edges = [flank, flank + 2 * context + resolution - 1]
    moved = []
    for at in edges:
        changed = codes.clone()
        changed[:, at] = (changed[:, at] + 1) % 4
        moved.append(not torch.equal(network(one_hot(changed, DNA))[..., 1], middle))
    # Matrices and k-mers may reach further to one side; networks reach equally far to both.
    assert all(moved) if name.startswith(("dilated", "motif")) else any(moved)


@pytest.mark.parametrize("name", ["motif_cnn", "kmer_bins"])
def test_strand_average_is_symmetric(name):
    architecture, network = network_of(name, reverse_complement="average", dtype=torch.float64)
    codes = sequence(4, 2 * architecture.context + 5 * architecture.resolution)
    other = torch.from_numpy(DNA.reverse_complement(codes.numpy()).copy())
    first = network(one_hot(codes, DNA).double())
    second = network(one_hot(other, DNA).double()).flip(-1)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-10)


def test_matrix_of_both_strands_is_symmetric():
    architecture, network = network_of("pwm_bins")
    codes = sequence(4, 2 * architecture.context + 50)
    other = torch.from_numpy(DNA.reverse_complement(codes.numpy()).copy())
    first, second = network(one_hot(codes, DNA)), network(one_hot(other, DNA)).flip(-1)
    torch.testing.assert_close(first, second)


def test_dilated_is_translation_equivariant():
    architecture, network = network_of("dilated")
    x = one_hot(sequence(2, 2 * architecture.context + 40), DNA)
    torch.testing.assert_close(network(x)[..., 5:], network(x[..., 5:]))


def test_log_odds_are_those_of_the_softmax():
    logits = torch.randn(2, 3, 7, dtype=torch.float64)
    probability = logits.softmax(1)[:, 1:]
    expected = (probability / (1 - probability)).log()
    torch.testing.assert_close(log_odds(logits, "exclusive").double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
def test_prior_is_the_mean_prediction_of_a_fresh_network(labels):
    architecture = resolve_architecture(MODELS["dilated"])
    network = build_network(architecture, 2, labels).eval()
    set_prior(network, np.array([0.001, 0.01]), labels)
    with torch.no_grad():
        logits = network(torch.zeros(1, 4, 2 * architecture.context + 3))
    probability = log_odds(logits, labels).sigmoid()[0, :, 0]
    assert probability[0] == pytest.approx(0.001, rel=0.5)
    assert probability[1] == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"preset": "dilatd"}, "expected one of dilated"),
        ({"preset": "dilated", "chanels": 3}, "did you mean 'channels'"),
        ({"preset": "dilated", "channels": "many"}, "expected a whole number"),
        ({"preset": "dilated", "kernel": 4}, "odd"),
        ({"preset": "motif_cnn", "pool_margin": -1}, "0 or more"),
    ],
)
def test_bad_settings_are_named(model, message):
    with pytest.raises(InputError, match=message):
        resolve_architecture(model)
