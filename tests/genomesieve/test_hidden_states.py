"""Hidden states of every layer, laid over the bins that they belong to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attributed_models import MODELS, make_bundle
from custom_networks import CONTEXT, OUTPUTS, Coarse, motif_weights, recipe_network
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.custom_network import CustomNetwork
from genomesieve.ensemble import Ensemble
from genomesieve.errors import InputError
from genomesieve.gathering import one_hot
from genomesieve.hidden_states import StateReader, list_layers, member_of, seen_flank

NETWORKS = [model for model in MODELS if model[0]["preset"] not in ("kmer", "pwm")]


def random_input(architecture, bases=None, count=3, seed=1):
    """One-hot windows of one stride of the network's grid, or of more."""
    width = (bases or architecture.stride) + 2 * architecture.context
    codes = np.random.default_rng(seed).integers(0, 4, (count, width), dtype=np.uint8)
    return one_hot(torch.from_numpy(codes), DNA)


def read(bundle, x, bins, count, network=None):
    network = network or bundle.network
    layers = list_layers(network, bundle.architecture)
    reader = StateReader(network, layers, bundle.architecture.resolution)
    return layers, reader.read(x, bins, count)


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), NETWORKS)
def test_the_head_makes_the_scores_of_a_bin_from_its_last_state(model, labels, reverse_complement):
    """So the last layer is laid over the right bins; and every layer has its own state of each."""
    bundle = make_bundle(model, labels, reverse_complement)
    architecture = bundle.architecture
    bases = architecture.stride if architecture.settings.windowed else 7 * architecture.stride
    count = bases // architecture.resolution
    x = random_input(architecture, bases)
    bins = torch.tensor([[0, 1], [count - 1, 0], [count // 2, 1]][:3]).clamp(max=count - 1)
    layers, states = read(bundle, x, bins, count)
    inner = getattr(bundle.network, "network", bundle.network)
    with torch.no_grad():
        logits = inner(x)
        if getattr(inner, "shortcut", None) is not None:
            around = inner.shortcut.head(inner.pooled_motifs(x)[:, :, None])[:, :, 0]
            assert around.abs().max() > 0.01
            logits = logits - around
        logits = logits.gather(2, bins[:, None].expand(-1, logits.shape[1], -1))
        last = torch.from_numpy(states[layers[-1].name]).reshape(3, 2, -1)
        found = inner.head(last.transpose(1, 2)[:, :, None])[:, :, 0]
    torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-4)
    assert len({layer.name for layer in layers}) == len(layers) == len(states)
    assert all(value.shape[0] == 6 and np.isfinite(value).all() for value in states.values())
    assert all(architecture.resolution % layer.stride == 0 for layer in layers)


@pytest.mark.parametrize(
    "model",
    [
        {"preset": "dilated", "channels": 8, "dilations": [1, 3]},
        {"preset": "spliceai", "channels": 8, "dilations": [1, 1, 2, 2], "skips": 2},
        {"preset": "motif_cnn", "channels": 8, "stem_kernels": [9, 3], "stem_pools": [5, 2]},
        {"preset": "motif_cnn", "channels": 8, "pool_margin": 100, "norm": "none"},
    ],
)
def test_a_state_sees_so_many_bases_and_no_more(model):
    bundle = make_bundle(model)
    architecture, resolution = bundle.architecture, bundle.architecture.resolution
    bases = resolution
    bins = torch.zeros(64, 1, dtype=torch.int64)
    x = random_input(architecture, bases, count=64)
    layers, before = read(bundle, x, bins, 1)
    first = architecture.context
    for layer in layers:
        flank = seen_flank(layer, architecture)
        assert flank <= architecture.context
        for place in (first - flank, first + resolution + flank - 1):
            changed = x.clone()
            changed[:, :, place] = changed[:, :, place].roll(1, 1)
            assert (read(bundle, changed, bins, 1)[1][layer.name] != before[layer.name]).any()
        outside = x.clone()
        outside[:, :, : first - flank] = outside[:, :, : first - flank].roll(1, 1)
        outside[:, :, first + resolution + flank :] = 0
        np.testing.assert_array_equal(
            read(bundle, outside, bins, 1)[1][layer.name], before[layer.name]
        )


def test_layers_are_named_in_their_order():
    names = [
        layer.name
        for layer in list_layers(
            make_bundle({"preset": "dilated", "dilations": [1, 2], "hidden": 4}).network,
            resolve_architecture({"preset": "dilated", "dilations": [1, 2], "hidden": 4}),
        )
    ]
    assert names == ["stem", "block_1", "block_2", "trunk", "hidden"]


def test_both_strands_of_an_average_are_read_on_the_strand_given():
    bundle = make_bundle({"preset": "motif_cnn", "channels": 8}, reverse_complement="average")
    x, bins = random_input(bundle.architecture), torch.zeros(3, 1, dtype=torch.int64)
    alone = make_bundle({"preset": "motif_cnn", "channels": 8})
    alone.network.load_state_dict(bundle.network.network.state_dict())
    for name, found in read(bundle, x, bins, 1)[1].items():
        np.testing.assert_array_equal(found, read(alone, x, bins, 1)[1][name])


def custom(kind, context, resolution=1, activation="logits"):
    settings = {"preset": "custom", "context": context, "outputs": OUTPUTS}
    architecture = resolve_architecture(settings | {"resolution": resolution})
    return CustomNetwork(kind, architecture.settings, [0, 2, 1]).eval(), architecture


def test_layers_of_a_users_own_network_are_found():
    inner = recipe_network()(channels=4)
    inner.load_state_dict(motif_weights())
    network, architecture = custom(inner, CONTEXT)
    layers = list_layers(network, architecture)
    names = [layer.name for layer in layers]
    assert "motifs" in names and "head" in names
    x, bins = random_input(architecture, 9), torch.tensor([[0, 8], [4, 5], [7, 1]])
    states = StateReader(network, layers, 1).read(x, bins, 9)
    with torch.no_grad():
        logits = network.network(x).gather(2, bins[:, None].expand(-1, 3, -1))
    found = states["head"].reshape(3, 2, 3).transpose(0, 2, 1)
    np.testing.assert_allclose(found, logits.numpy(), atol=1e-6)


def test_layers_that_do_not_follow_the_bins_are_left_out():
    """Pools by 8 under bins of one base: its inner layers have no state of a single base."""
    architecture = resolve_architecture(
        {"preset": "custom", "context": 20, "outputs": OUTPUTS, "stride": 8}
    )
    network = CustomNetwork(Coarse(), architecture.settings, [0, 2, 1]).eval()
    names = [layer.name for layer in list_layers(network, architecture)]
    assert "second" not in names


@pytest.mark.parametrize("preset", ["pwm", "kmer"])
def test_a_baseline_has_no_layers(preset):
    model = next(item for item in MODELS if item[0]["preset"] == preset)
    bundle = make_bundle(*model)
    with pytest.raises(InputError, match="no hidden layer"):
        list_layers(bundle.network, bundle.architecture)


def test_members_are_counted_from_zero():
    networks = [torch.nn.Identity(), torch.nn.ReLU()]
    ensemble = Ensemble(networks, "independent")
    assert member_of(ensemble, 1) is networks[1]
    assert member_of(networks[0], 0) is networks[0]
    with pytest.raises(InputError, match="--member: found 2"):
        member_of(ensemble, 2)
