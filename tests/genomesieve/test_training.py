import numpy as np
import pandas as pd
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.networks import build_network
from genomesieve.training import Trainer, TrainingSettings

CONTIGS = pd.DataFrame({"contig": ["a"], "length": [3000], "offset": [0]})
HIDDEN = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])


def train(makes_ahead=False, norm="batch", **settings):
    codes = np.random.default_rng(0).integers(0, 4, 3000, dtype=np.uint8)
    position = np.arange(100, 3000, 150)
    sites = pd.DataFrame({"contig": "a", "position": position, "strand": "+", "class": "x"})
    sites = sites.assign(start=position, end=position + 1)
    labelled = LabelledGenome(EncodedGenome("toy", codes, CONTIGS), sites, HIDDEN, ["x"], True)
    windows = pd.DataFrame({"genome": "toy", "contig": "a", "start": range(100, 2500, 60)})
    windows = windows.assign(length=200, strand="+", inclusion=[np.ones(1)] * len(windows))
    architecture = resolve_architecture(
        {
            "preset": "dilated",
            "channels": 4,
            "norm": norm,
            "dropout": 0.2 if norm == "batch" else 0.0,
        }
    )
    source = WindowSource(windows, {"toy": labelled}, architecture)
    torch.manual_seed(0)
    network = build_network(architecture, 1, "independent")
    settings = TrainingSettings(steps=12, batch=6, validations=3, **settings)
    cpu = torch.device("cpu")
    trainer = Trainer(network, source, source, ["x"], "independent", settings, 0, cpu)
    trainer.makes_ahead = makes_ahead
    return trainer.fit(), network.state_dict()


def test_batches_made_ahead_are_the_same_batches():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    (history, weights), (other, others) = train(False), train(makes_ahead=True)
    torch.set_num_threads(threads)
    columns = ["step", "loss", "validation_average_precision"]
    pd.testing.assert_frame_equal(history[columns], other[columns], check_exact=True)
    assert all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.usefixtures("one_thread")
def test_a_batch_in_parts_is_the_same_batch():
    """Without statistics of the batch, parts add up to the whole but for rounding."""
    (_, whole), (_, parts) = train(norm="layer"), train(norm="layer", accumulate=4)
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_averaged_weights_are_the_recursion(monkeypatch):
    """The average that is kept follows a' = decay * a + (1 - decay) * w over all steps."""
    seen = []
    update = AveragedModel.update_parameters

    def remember(self, network):
        seen.append(network.head.bias.detach().clone())
        update(self, network)

    monkeypatch.setattr(AveragedModel, "update_parameters", remember)
    _, kept = train(average=0.8, patience=100)
    best = []
    value = seen[0]
    for weight in seen[1:]:
        value = 0.8 * value + 0.2 * weight
        best.append(value)
    # The best of three validations (after steps 4, 8 and 12) is kept.
    assert any(torch.allclose(kept["head.bias"], best[step - 2]) for step in (4, 8, 12))
    assert not any(torch.allclose(kept["head.bias"], weight) for weight in seen)
