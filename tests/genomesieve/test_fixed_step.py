import contextlib

import numpy as np
import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.fixed_step import FixedStep, compile_network
from genomesieve.networks import build_network
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner

CPU = torch.device("cpu")


def test_step_reads_its_own_codes():
    step = FixedStep(lambda codes: codes.to(torch.int16) * 2, (2, 5), CPU, DNA.unknown)
    assert step.run().tolist() == [[8] * 5] * 2
    step.codes[0].copy_(torch.arange(5))
    assert step.run().tolist() == [[0, 2, 4, 6, 8], [8] * 5]
    assert not step.recorded


def scanner_of(plan):
    torch.manual_seed(0)
    architecture = resolve_architecture({"preset": "dilated", "channels": 4, "dilations": [1]})
    network = build_network(architecture, 2, "exclusive").eval()
    bundle = Bundle("dilated", network, architecture, ["x", "y"], True, "exclusive")
    return Scanner(bundle, plan, CPU)


def test_a_compiled_network_scans_alike(monkeypatch):
    """Compiled by a stand-in: the real compiler takes minutes."""
    shapes = []

    class Compiled(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            shapes.append(tuple(x.shape))
            return self.network(x)

    monkeypatch.setattr(torch, "compile", lambda network, dynamic: Compiled(network))
    compiled = scanner_of(ScanPlan(100, 2, "float32", compile=True))
    plain = scanner_of(ScanPlan(100, 2, "float32"))
    row = compiled.row_bases
    assert shapes == [(2, 4, row)]
    codes = np.random.default_rng(0).integers(0, 5, (2, row), dtype=np.uint8)
    assert np.array_equal(compiled.score(codes), plain.score(codes))
    assert len(shapes) == 3


def test_a_network_that_cannot_be_compiled_runs_as_it_is(monkeypatch, caplog):
    def fails(network, dynamic):
        raise RuntimeError("no compiler\nhere")

    monkeypatch.setattr(torch, "compile", fails)
    network = nn.Conv1d(4, 2, 3)
    assert compile_network(network, lambda one: None) is network
    assert "torch.compile failed: no compiler here" in caplog.text


class PretendCuda:
    """Stands in for torch.cuda: counts, and records a graph by remembering the step's result."""

    def __init__(self, monkeypatch, fails=False):
        self.replays = 0
        self.fails = fails
        names = ("Stream", "current_stream", "stream", "synchronize", "empty_cache", "CUDAGraph")
        for name in (*names, "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        full = torch.full
        monkeypatch.setattr(torch, "full", lambda *a, device, **k: full(*a, **k))

    def Stream(self, device):  # noqa: N802
        return self

    def current_stream(self, device):
        return self

    def wait_stream(self, other):
        pass

    def synchronize(self, device):
        pass

    def empty_cache(self):
        pass

    def CUDAGraph(self):  # noqa: N802
        return self

    def replay(self):
        self.replays += 1

    @contextlib.contextmanager
    def stream(self, stream):
        yield

    @contextlib.contextmanager
    def graph(self, graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        if self.fails:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        yield


def test_a_recorded_step_is_replayed(monkeypatch):
    cuda, calls = PretendCuda(monkeypatch), []

    def compute(codes):
        calls.append(1)
        return codes + 1

    step = FixedStep(compute, (1, 3), torch.device("cuda"), 4)
    before = len(calls)
    assert step.recorded and step.run() is step.run()
    assert cuda.replays == 2 and len(calls) == before


def test_a_step_that_cannot_be_recorded_runs_all_the_same(monkeypatch, caplog):
    cuda = PretendCuda(monkeypatch, fails=True)
    step = FixedStep(lambda codes: codes + 1, (1, 3), torch.device("cuda"), 4)
    assert "without a CUDA graph" in caplog.text and "not permitted when stream" in caplog.text
    assert not step.recorded and step.run().tolist() == [[5, 5, 5]] and cuda.replays == 0
