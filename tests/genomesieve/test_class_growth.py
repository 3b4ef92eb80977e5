import numpy as np
import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.class_growth import grown_network
from genomesieve.errors import InputError
from genomesieve.networks import build_network
from toy_training import DILATED

X = torch.eye(4)[torch.arange(60) * 7 % 4].T[None]


def bundle_of(labels, reverse_complement="augment"):
    torch.manual_seed(0)
    architecture = resolve_architecture(DILATED)
    network = build_network(architecture, 2, labels, reverse_complement).eval()
    return Bundle("toy", network, architecture, ["x", "y"], False, labels, reverse_complement)


@pytest.mark.parametrize("reverse_complement", ["augment", "average", "equivariant"])
@pytest.mark.parametrize("labels", ["exclusive", "independent"])
def test_old_outputs_stay_and_new_ones_are_rare(labels, reverse_complement):
    bundle = bundle_of(labels, reverse_complement)
    rate = np.array([0.0, 0.01, 0.002])
    network = grown_network(bundle, ["x", "y", "z"], rate).eval()
    old, new = bundle.network(X), network(X)
    torch.testing.assert_close(new[:, :-1], old)
    odds = new[:, -1] - (old[:, 0] if labels == "exclusive" else 0)
    chance = torch.sigmoid(odds).mean().item()
    assert 0.0005 < chance < 0.01


def test_the_same_classes_change_nothing():
    bundle = bundle_of("exclusive")
    assert grown_network(bundle, ["x", "y"], np.array([0.1, 0.1])) is bundle.network


@pytest.mark.parametrize("classes", [["y", "x"], ["x"], ["x", "z", "y"]])
def test_old_classes_come_first(classes):
    with pytest.raises(InputError, match="those of the model first"):
        grown_network(bundle_of("exclusive"), classes, np.full(len(classes), 0.1))
