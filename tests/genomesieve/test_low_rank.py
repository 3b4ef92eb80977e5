import copy

import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.errors import InputError
from genomesieve.low_rank import add_low_rank, merge_low_rank
from genomesieve.networks import build_network
from toy_training import DILATED

X = torch.eye(4)[torch.arange(60) * 7 % 4].T[None]


def network_of(reverse_complement):
    torch.manual_seed(0)
    architecture = resolve_architecture(DILATED | {"norm": "layer"})
    return build_network(architecture, 2, "independent", reverse_complement)


def step(network):
    optimizer = torch.optim.SGD([w for w in network.parameters() if w.requires_grad], lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        network(X).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("reverse_complement", ["augment", "average", "equivariant"])
def test_merged_network_is_the_adapted_one(reverse_complement):
    network = network_of(reverse_complement)
    before, output = copy.deepcopy(network.state_dict()), network(X)
    add_low_rank(network, 2)
    torch.testing.assert_close(network(X), output)
    step(network)
    adapted = network(X)
    assert not torch.allclose(adapted, output)
    merge_low_rank(network)
    torch.testing.assert_close(network(X), adapted)
    after = network.state_dict()
    assert after.keys() == before.keys()
    if reverse_complement != "augment":
        flipped = network(X.flip(1, 2)).flip(2)
        torch.testing.assert_close(flipped, adapted, rtol=1e-4, atol=1e-5)
    changes = {
        name: (after[name] - before[name]).flatten(1) for name in after if after[name].dim() > 1
    }
    # Every convolution beside the head moved by a matrix of rank 2 or less.
    inner = [value for name, value in changes.items() if "head" not in name]
    assert inner and all(0 < torch.linalg.matrix_rank(value, rtol=1e-4) <= 2 for value in inner)


def test_a_network_without_layers_beside_its_head_is_refused():
    network = torch.nn.Module()
    network.head = torch.nn.Linear(3, 1)
    with pytest.raises(InputError, match="none beside its head"):
        add_low_rank(network, 1)
    with pytest.raises(InputError, match="attribute `head`"):
        add_low_rank(torch.nn.Linear(3, 1), 1)
