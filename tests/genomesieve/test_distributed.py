import multiprocessing

import numpy as np
import pytest
import torch
from torch import nn

from genomesieve.architecture import resolve_architecture
from genomesieve.distributed import ALONE, Workers, device_of_process, torchrun_place
from genomesieve.errors import InputError
from genomesieve.freezing import freeze, training_mode
from genomesieve.networks import build_network
from toy_training import CPU, DILATED, fail_in_second, fit_cases, run_together, toy_trainer

CASES = {
    # Seven windows are four and three, in three parts; most gradients are clipped.
    "layer": (
        DILATED | {"norm": "layer"},
        {"batch": 7, "accumulate": 3, "average": 0.7, "clip": 0.05, "positive_weight": 4.0},
    ),
    "frozen": (DILATED | {"norm": "batch"}, {"freeze_norms": True, "freeze": ["stem"]}),
    "many_parts": (DILATED | {"norm": "group"}, {"accumulate": 6, "steps": 4}),
}
CURVE = ["step", "loss", "validation_average_precision"]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two gloo processes make of every case."""
    folder = tmp_path_factory.mktemp("together")
    run_together(fit_cases, 2, folder, CASES)
    names = [*CASES, "resumed"]
    return {name: torch.load(folder / name, weights_only=True) for name in names}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("one_thread")
def test_processes_train_as_one_with_the_whole_batch(together, name):
    model, settings = CASES[name]
    trainer = toy_trainer(model, **settings)
    history = trainer.fit()
    found = together[name]
    for column in CURVE:
        np.testing.assert_allclose(found["history"][column], history[column], rtol=1e-5)
    assert history["loss"].iloc[-1] < 0.9 * history["loss"].iloc[0]
    for key, value in trainer.network.state_dict().items():
        torch.testing.assert_close(found["weights"][key], value, rtol=1e-4, atol=1e-5)


def test_interrupted_processes_end_where_unbroken_ones_do(together):
    name = next(iter(CASES))
    whole, resumed = together[name], together["resumed"]
    for column in CURVE:
        assert whole["history"][column] == resumed["history"][column]
    for key, value in whole["weights"].items():
        assert torch.equal(value, resumed["weights"][key]), key


def test_process_that_fails_ends_the_others_with_its_reason(tmp_path):
    with pytest.raises(InputError, match=r"process on cpu \(1\) failed: AttributeError: 'NoneType"):
        run_together(fail_in_second, 2, tmp_path)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_the_batch_in_order(size):
    rows = np.arange(7) * 10
    shares = [Workers(rank, size).share(rows) for rank in range(size)]
    assert np.array_equal(np.concatenate(shares), rows)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_batch_statistics_of_one_share_are_refused():
    with pytest.raises(InputError, match="norm is batch and training runs in 2 processes on the"):
        toy_trainer(DILATED | {"norm": "batch"}, Workers(0, 2))


def test_batch_smaller_than_the_processes_is_refused():
    with pytest.raises(InputError, match="training.batch is 2 windows for 3 processes"):
        toy_trainer(DILATED | {"norm": "layer"}, Workers(0, 3), batch=2)


@pytest.mark.parametrize("reverse_complement", ["augment", "equivariant"])
def test_statistics_are_shared_on_gpus_under_ordinary_names(reverse_complement):
    """Only the exchange itself needs GPUs; the layers can be looked at without."""
    architecture = resolve_architecture(DILATED | {"norm": "batch"})
    network = build_network(architecture, 2, "exclusive", reverse_complement)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count = sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    x = torch.rand(2, 4, 2 * architecture.context + 20)
    expected = network.eval()(x)
    gpu = torch.device("cuda", 0)
    assert ALONE.share_statistics(network, gpu) is network
    assert not any(isinstance(layer, nn.SyncBatchNorm) for layer in network.modules())
    shared = Workers(0, 2).share_statistics(network, gpu)
    assert sum(isinstance(layer, nn.SyncBatchNorm) for layer in shared.modules()) == count > 0
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in shared.modules())
    assert list(shared.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in shared.state_dict().items())
    torch.testing.assert_close(shared.eval()(x), expected)
    training_mode(shared, freeze(shared, [], True))
    torch.testing.assert_close(shared(x), expected)


def test_laboratories_are_not_spread_over_processes():
    """Each would see another share of them, on GPUs too."""
    network = build_network(resolve_architecture(DILATED | {"norm": "domain"}), 2, "exclusive")
    for device in (torch.device("cpu"), torch.device("cuda", 0)):
        with pytest.raises(InputError, match="norm is domain and training runs in 2 processes"):
            Workers(0, 2).parallel(network.train(), device)
    assert ALONE.parallel(network, torch.device("cpu")) is network


def test_place_is_that_of_torchrun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert torchrun_place() is None
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert torchrun_place() is None
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert torchrun_place() == (5, 8, 1)


def test_each_process_of_a_machine_has_its_device():
    gpus = [torch.device("cuda", 2), torch.device("cuda", 0)]
    assert [device_of_process(gpus, local) for local in (0, 1)] == gpus
    assert device_of_process([CPU], 3) == CPU
    with pytest.raises(InputError, match="names GPUs, 2; expected --nproc-per-node 2"):
        device_of_process(gpus, 2)
