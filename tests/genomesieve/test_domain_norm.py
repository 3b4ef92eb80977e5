import copy

import pytest
import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.domain_norm import (
    DomainBatchNorm,
    adapt_to_laboratory,
    domain_norms,
    fix_laboratory,
    use_laboratories,
)
from genomesieve.inference import ScaleShift, prepare_for_scan
from genomesieve.networks import build_network
from genomesieve.norms import TiedBatchNorm
from genomesieve.symmetry import mirrored_inputs

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 2]},
    "lstm": {
        "preset": "lstm", "channels": 8, "stem_kernels": [7, 3], "stem_pools": [1, 1],
        "resolution": 10, "window": 50, "reach": 4, "units": 6,
    },
    "transformer": {
        "preset": "transformer", "channels": 8, "stem_kernels": [7], "stem_pools": [1],
        "resolution": 10, "window": 50, "reach": 4,
    },
}  # fmt: skip


def features(rows=6):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 4, 1, 50, generator=generator)
    # Laboratory 1 has another scale and offset.
    x[rows // 2 :] = 3 * x[rows // 2 :] - 5
    return x, torch.arange(rows) // (rows // 2)


def network_of(model="dilated", reverse_complement="augment", signals=0, laboratories=2):
    torch.manual_seed(0)
    architecture = resolve_architecture(MODELS[model] | {"norm": "domain"})
    network = build_network(
        architecture, 2, "independent", reverse_complement, signals=signals,
        laboratories=laboratories,
    )  # fmt: skip
    for name, weight in network.named_parameters():
        nn.init.normal_(weight, 1.0 if "norm" in name else 0.0, 0.3)
    return architecture, network


def sequences(architecture, rows, signals=0, strides=20):
    generator = torch.Generator().manual_seed(1)
    length = strides * architecture.stride + 2 * architecture.context
    codes = torch.randint(0, 4, (rows, length), generator=generator)
    x = nn.functional.one_hot(codes, 4).float().transpose(1, 2)
    return torch.cat([x, torch.randn(rows, signals, length, generator=generator)], dim=1)


def trained(network, x, laboratories):
    """Move the running statistics as training does."""
    network.train()
    use_laboratories(network, laboratories)
    for _ in range(3):
        network(x)
    return network.eval()


def test_each_laboratory_is_what_a_norm_of_its_own_makes_of_it():
    x, laboratories = features()
    layer = DomainBatchNorm(4, 2).train()
    own = [nn.BatchNorm2d(4).train() for _ in range(2)]
    for mixed in (torch.arange(6), torch.tensor([4, 0, 5, 1, 2, 3])):
        layer.laboratories = laboratories[mixed]
        found = layer(x[mixed])
        expected = torch.empty_like(x)
        for number, plain in enumerate(own):
            mine = mixed[laboratories[mixed] == number]
            expected[mine] = plain(x[mine])
        torch.testing.assert_close(found, expected[mixed])
    for number, plain in enumerate(own):
        torch.testing.assert_close(layer.running_mean[number], plain.running_mean)
        torch.testing.assert_close(layer.running_var[number], plain.running_var)
    layer.eval()
    layer.laboratories = torch.tensor([1, 0, 1])
    expected = torch.stack([own[n].eval()(x[i : i + 1])[0] for i, n in enumerate([1, 0, 1])])
    torch.testing.assert_close(layer(x[:3]), expected)


@pytest.mark.parametrize("tied", [False, True])
def test_frozen_layers_keep_their_buffers(tied):
    """A layer in evaluation mode inside a network that trains moves no buffer."""
    x, laboratories = features()
    layer = TiedBatchNorm(4, by_domain=True) if tied else DomainBatchNorm(4)
    network = nn.Sequential(nn.Conv2d(4, 4, 1), layer)
    for one in domain_norms(network):
        one.resize(2)
    before = {name: value.clone() for name, value in layer.named_buffers()}
    use_laboratories(network, laboratories)
    network.train()
    layer.eval()
    network(x).square().sum().backward()
    assert network[0].weight.grad.abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in layer.named_buffers())
    layer.train()
    network(x)
    # The test could fail: a layer that trains does move them.
    assert all(not torch.equal(value, before[name]) for name, value in layer.named_buffers())


def test_windows_of_a_trunk_belong_to_their_rows_laboratory():
    architecture, network = network_of("transformer")
    x = sequences(architecture, 4, strides=3)
    laboratories = torch.tensor([0, 1, 1, 0])
    trained(network, x, laboratories)
    found = network(x)
    for number in (0, 1):
        fixed = fix_laboratory(network, number)
        torch.testing.assert_close(fixed(x)[laboratories == number], found[laboratories == number])
    assert not torch.allclose(fix_laboratory(network, 0)(x), fix_laboratory(network, 1)(x))


def test_a_laboratory_must_be_named_where_there_are_several():
    architecture, network = network_of()
    with pytest.raises(RuntimeError, match="no laboratory was named"):
        network(sequences(architecture, 1))
    architecture, network = network_of(laboratories=1)
    assert network(sequences(architecture, 1)).isfinite().all()


@pytest.mark.parametrize("reverse_complement", ["augment", "average", "equivariant"])
def test_a_fixed_laboratory_is_folded_for_the_scan(reverse_complement):
    architecture, network = network_of(reverse_complement=reverse_complement, signals=1)
    x = sequences(architecture, 4, signals=1)
    trained(network, x, torch.tensor([0, 0, 1, 1]))
    for number in (0, 1):
        use_laboratories(network, torch.full((4,), number))
        prepared = prepare_for_scan(fix_laboratory(network, number), x, "independent")
        assert not domain_norms(prepared)
        assert any(isinstance(layer, ScaleShift) for layer in prepared.modules())
        torch.testing.assert_close(prepared(x), network(x), rtol=1e-4, atol=1e-4)
    assert domain_norms(network), "the network itself stays as it was"


@pytest.mark.parametrize("reverse_complement", ["average", "equivariant"])
@pytest.mark.parametrize("training", [False, True])
def test_both_strands_agree_with_signals_read_backwards(reverse_complement, training):
    architecture, network = network_of(reverse_complement=reverse_complement, signals=2)
    network = network.double()
    x = sequences(architecture, 3, signals=2).double()
    use_laboratories(network, torch.tensor([0, 1, 1]))
    network.train(training)
    other = torch.cat([x[:, :4].flip(1, 2), x[:, 4:].flip(2)], dim=1)
    assert torch.equal(other, x[:, mirrored_inputs(DNA, 6)].flip(-1))
    torch.testing.assert_close(network(other), network(x).flip(-1), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(network(torch.cat([other[:, :4], x[:, 4:]], 1)), network(x).flip(-1))


@pytest.mark.parametrize("model", ["dilated", "transformer"])
def test_a_new_laboratory_has_the_statistics_of_its_own_windows(model):
    """The oracle is PyTorch's batch normalisation, trained one step with momentum 1."""
    architecture, network = network_of(model)
    x = sequences(architecture, 8)
    trained(network, sequences(architecture, 4), torch.tensor([0, 0, 1, 1]))
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, DomainBatchNorm):
                norm = nn.BatchNorm2d(len(layer.weight), layer.eps, momentum=1.0)
                norm.weight, norm.bias = layer.weight, layer.bias
                setattr(parent, name, norm)
    plain.train()(x)
    adapted = adapt_to_laboratory(network, x)
    torch.testing.assert_close(adapted(x), plain.eval()(x), rtol=1e-5, atol=1e-5)
    assert not domain_norms(adapted)
    assert not torch.allclose(adapted(x), fix_laboratory(network, 0)(x), atol=1e-2)
