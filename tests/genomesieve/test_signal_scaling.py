import numpy as np
import pandas as pd
import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.networks import build_network
from genomesieve.signal_scaling import SignalScaling, set_signal_scale, training_moments

CONTIGS = pd.DataFrame({"contig": ["a", "b"], "length": [100, 60], "offset": [0, 100]})


def test_moments_are_those_of_the_training_parts():
    generator = np.random.default_rng(0)
    values = [generator.normal(size=(2, 160)).astype(np.float16) for _ in range(2)]
    genomes = [
        EncodedGenome(name, np.zeros(160, np.uint8), CONTIGS, signals=tuple(own))
        for name, own in zip("xy", values)
    ]
    rows = [("a", 10, 40, "train"), ("a", 40, 90, "test"), ("b", 0, 60, "train")]
    split = pd.DataFrame(rows, columns=["contig", "start", "end", "part"])
    mean, deviation = training_moments(genomes, {"x": split, "y": split})
    used = np.concatenate([own[:, [*range(10, 40), *range(100, 160)]] for own in values], axis=1)
    np.testing.assert_allclose(mean, used.astype(float).mean(1))
    np.testing.assert_allclose(deviation, used.astype(float).std(1))


def test_signals_are_scaled_and_letters_are_not():
    network = torch.nn.Sequential(SignalScaling(2))
    set_signal_scale(network, np.array([10.0, 3.0]), np.array([2.0, 0.0]))
    x = torch.ones(1, 6, 5)
    # A signal that never changes is not divided by its deviation of 0.
    expected = torch.tensor([1, 1, 1, 1, -4.5, -2])[None, :, None].expand(1, 6, 5)
    assert torch.equal(network(x), expected)


def test_baselines_see_no_signals():
    with pytest.raises(InputError, match="model kmer sees the sequence alone"):
        build_network(resolve_architecture({"preset": "kmer"}), 1, "independent", signals=1)
