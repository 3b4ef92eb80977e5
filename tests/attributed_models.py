"""Bundles of small networks of every kind, with weights that are drawn or set by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.ensemble import Ensemble
from genomesieve.mutagenesis import SiteWindows
from genomesieve.networks import build_network

MODELS = [
    ({"preset": "dilated", "channels": 8, "dilations": [1, 4]}, "exclusive", "augment"),
    ({"preset": "dilated", "channels": 8, "norm": "none"}, "independent", "augment"),
    ({"preset": "motif_cnn", "channels": 8, "stem_kernels": [21, 3]}, "independent", "average"),
    ({"preset": "motif_cnn", "channels": 8}, "independent", "equivariant"),
    ({"preset": "dilated", "channels": 8}, "independent", "equivariant"),
    ({"preset": "dilated", "channels": 8, "norm": "group"}, "independent", "equivariant"),
    ({"preset": "hybrid", "channels": 8, "window": 100, "reach": 5}, "independent", "augment"),
    ({"preset": "gru", "channels": 8, "window": 100, "reach": 5}, "independent", "equivariant"),
    ({"preset": "transformer", "window": 100, "reach": 5}, "independent", "average"),
    (
        {"preset": "motif_cnn", "channels": 8, "pooling": "attention"},
        "independent",
        "equivariant",
    ),
    ({"preset": "motif_cnn", "channels": 8, "pool_margin": 120}, "independent", "augment"),
    (
        {"preset": "motif_cnn", "channels": 8, "trunk": "dilated", "shortcut": True},
        "independent",
        "equivariant",
    ),
    ({"preset": "kmer", "k": 2}, "independent", "augment"),
    ({"preset": "pwm", "width": 9, "left": 4, "margins": [0, 2]}, "independent", "augment"),
]


def with_statistics(network):
    """Give batch normalisations statistics as after training."""
    torch.manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    return network.eval()


def make_bundle(model, labels="independent", reverse_complement="augment", members=1):
    architecture = resolve_architecture(model)
    networks = []
    for seed in range(members):
        torch.manual_seed(seed)
        network = build_network(architecture, 2, labels, reverse_complement)
        networks.append(with_statistics(network))
        torch.manual_seed(seed)
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if value.is_floating_point() and not value.any() and "running" not in name:
                    value.normal_(0, 0.3)
    network = networks[0] if members == 1 else Ensemble(networks, labels)
    return Bundle(
        "test", network.eval(), architecture, ["a", "b"], False, labels, reverse_complement
    )


def random_windows(architecture, count=3, seed=1):
    """Random windows, one with unknown bases; sites at the first and last bins."""
    generator = np.random.default_rng(seed)
    width = architecture.stride + 2 * architecture.context + 2
    codes = generator.integers(0, 4, (count, width), dtype=np.uint8)
    codes[0, 3:6] = 4
    bins = np.zeros(count, dtype=np.int64)
    bins[-1] = architecture.stride // architecture.resolution - 1
    return SiteWindows(codes, architecture.context + bins * architecture.resolution, bins)


def matrix_bundle(matrix, resolution=1, left=2):
    """A network that scores a motif's log-odds at every anchor, set by hand."""
    model = {"preset": "pwm", "width": matrix.shape[1], "left": left, "margins": [0, 0]}
    architecture = resolve_architecture(model | {"resolution": resolution})
    network = build_network(architecture, 2, "independent", "augment")
    network.weight[1] = torch.from_numpy(matrix).float()
    network.bias[1] = -1.5
    return Bundle("pwm", network.eval(), architecture, ["a", "b"], True, "independent")
