import itertools

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad
from torch.nn import functional

from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.fisher import count_observations, estimate_fisher
from genomesieve.networks import build_network
from toy_training import CPU, DILATED, toy_genome, toy_windows

CODES = np.random.default_rng(0).integers(0, 4, 900, dtype=np.uint8)
SITES = np.flatnonzero((CODES[:-1] == 2) & (CODES[1:] == 1)) + 1
MODELS = {
    "dilated": DILATED,
    "layer norm": DILATED | {"norm": "layer"},
    "bins": {"preset": "motif_cnn", "channels": 4, "stem_kernels": [5], "resolution": 10},
    "lstm": {"preset": "lstm", "channels": 4, "stem_kernels": [5], "window": 50, "reach": 10},
}


def source_of(architecture, rates=(1.0, 0.25)):
    labelled = toy_genome(CODES, SITES, np.array(["x", "y"])[SITES % 2])
    return WindowSource(toy_windows([100, 300], 50, rates), {"toy": labelled}, architecture)


def network_of(architecture, labels, reverse_complement="augment"):
    torch.manual_seed(0)
    network = build_network(architecture, 2, labels, reverse_complement)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return network.eval()


def exact(network, source, architecture, labels, kind):
    """Weighted mean of squared gradients of every prediction, by torch.func, from whole windows."""
    parameters, buffers = dict(network.named_parameters()), dict(network.named_buffers())
    batch = source.batch(np.arange(len(source)))

    def likelihood(values, row, at, output, label):
        logits = functional_call(network, (values, buffers), (batch.x[row : row + 1],))[0, :, at]
        if labels == "exclusive":
            return functional.log_softmax(logits, 0)[label]
        return functional.logsigmoid(logits[output] if label else -logits[output])

    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    weights = 0.0
    outputs = [0] if labels == "exclusive" else [0, 1]
    for row, at, output in itertools.product(range(len(source)), range(source.bins), outputs):
        site, weight = batch.sites[row, :, at], batch.weights[row, :, at]
        weight = float(weight.amax() if labels == "exclusive" else weight[output])
        weights += weight
        exclusive = labels == "exclusive"
        true = (int(site.int().argmax()) + 1) * bool(site.any()) if exclusive else site[output]
        for label in range(3 if exclusive else 2):
            place = row, at, output, label
            share = likelihood(parameters, *place).exp().item()
            if kind == "empirical":
                share = float(label == int(true))
            if share:
                for name, item in grad(likelihood)(parameters, *place).items():
                    total[name] += weight * share * item**2
    return {name: value / weights for name, value in total.items()}


@pytest.mark.parametrize("kind", ["expected", "empirical"])
@pytest.mark.parametrize("labels", ["exclusive", "independent"])
@pytest.mark.parametrize("model", MODELS)
def test_equals_an_independent_computation_over_all_predictions(model, labels, kind, one_thread):
    architecture = resolve_architecture(MODELS[model])
    source, network = source_of(architecture), network_of(architecture, labels)
    expected = exact(network, source, architecture, labels, kind)
    found = estimate_fisher(network, source, architecture, labels, kind, CPU, positions=10**6)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-9)


def test_is_not_the_squared_gradient_of_a_chunk(one_thread):
    architecture = resolve_architecture(DILATED)
    source, network = source_of(architecture, 1.0), network_of(architecture, "independent")
    found = estimate_fisher(
        network, source, architecture, "independent", "empirical", CPU, positions=10**6
    )
    batch = source.batch(np.arange(1))
    loss = functional.binary_cross_entropy_with_logits(network(batch.x), batch.sites.float())
    (gradient,) = torch.autograd.grad(loss, [network.head.bias])
    assert not torch.allclose(found["head.bias"], gradient**2, rtol=0.5)


def test_draws_are_unbiased(one_thread):
    architecture = resolve_architecture(DILATED)
    source, network = source_of(architecture), network_of(architecture, "exclusive")
    how = network, source, architecture, "exclusive", "expected", CPU
    whole = estimate_fisher(*how, positions=10**6)
    drawn = [estimate_fisher(*how, positions=40, seed=seed) for seed in range(12)]
    for name, value in whole.items():
        sums = torch.stack([one[name].sum() for one in drawn])
        error = sums.std() / len(drawn) ** 0.5
        assert abs(sums.mean() - value.sum()) < 4 * error + 1e-12, name
    # Different draws differ, and one draw is repeatable.
    assert not torch.equal(drawn[0]["head.weight"], drawn[1]["head.weight"])
    again = estimate_fisher(*how, positions=40, seed=0)
    assert all(torch.equal(again[name], drawn[0][name]) for name in whole)


def test_counts_every_prediction_of_the_training_part():
    import pandas as pd

    labelled = toy_genome(CODES, SITES, np.array(["x", "y"])[SITES % 2])
    split = pd.DataFrame(
        {"contig": "a", "start": [0, 600], "end": [500, 900], "part": ["train", "test"]}
    )
    count = [
        count_observations({"toy": labelled}, {"toy": split}, resolution, labels)
        for resolution, labels in ((1, "exclusive"), (1, "independent"), (10, "exclusive"))
    ]
    assert count == [1000, 2000, 100]


def test_tied_weights_have_information_of_their_free_half(one_thread):
    architecture = resolve_architecture(MODELS["bins"])
    network = network_of(architecture, "independent", "equivariant")
    found = estimate_fisher(
        network, source_of(architecture), architecture, "independent", "expected", CPU
    )
    for name, value in network.named_parameters():
        assert found[name].shape == value.shape
    assert float(found["head.bias"].sum()) > 0
