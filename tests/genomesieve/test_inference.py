import pytest
import torch
from torch import nn

from attributed_models import MODELS, with_statistics
from genomesieve.architecture import resolve_architecture
from genomesieve.inference import ImageConvolution, ScaleShift, prepare_for_scan
from genomesieve.networks import build_network


def one_hot_sequence(length):
    codes = torch.randint(0, 4, (2, length), generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.one_hot(codes, 4).float()
    x[0, length // 2] = 0
    return x.transpose(1, 2)


@pytest.mark.parametrize(("model", "labels", "reverse_complement"), MODELS)
def test_prepared_network_gives_the_same_numbers(model, labels, reverse_complement, caplog):
    architecture = resolve_architecture(model)
    network = with_statistics(build_network(architecture, 2, labels, reverse_complement))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x = one_hot_sequence(8 * architecture.stride + 2 * architecture.context)
    prepared = prepare_for_scan(network, x, labels)
    with torch.inference_mode():
        expected, found = network(x), prepared(x)
    assert not caplog.records
    limit = 1e-5 * expected.abs().clamp(min=1)
    assert ((found - expected).abs() <= limit).all()
    called = [node.target for node in prepared.graph.nodes if node.op == "call_module"]
    assert not any(isinstance(prepared.get_submodule(name), nn.BatchNorm2d) for name in called)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class ForeignNetwork(nn.Module):
    """What a user may bring: one-dimensional layers, a norm after and one before an activation."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 8, 5, padding=2)
        self.norm = nn.BatchNorm1d(8)
        self.second = nn.Conv1d(8, 8, 3, padding=2, dilation=2)
        self.after = nn.BatchNorm1d(8)
        self.third = nn.Conv1d(8, 3, 1, bias=False)

    def forward(self, x):
        x = self.first(x)
        y = nn.functional.leaky_relu(self.norm(x), 0.1)
        return self.third(torch.relu(self.after(self.second(y))) + x)[..., 4:-4]


def test_foreign_network_is_folded_too(caplog):
    network, x = with_statistics(ForeignNetwork()), one_hot_sequence(64)
    prepared = prepare_for_scan(network, x, "exclusive")
    kinds = [
        type(prepared.get_submodule(n.target))
        for n in prepared.graph.nodes
        if n.op == "call_module"
    ]
    assert kinds.count(ImageConvolution) == 3
    # The first norm follows a convolution whose output is used again: it cannot be folded.
    assert kinds.count(ScaleShift) == 1 and nn.BatchNorm1d not in kinds
    with torch.inference_mode():
        torch.testing.assert_close(prepared(x), network(x), atol=1e-5, rtol=1e-5)
    assert not caplog.records


class Undecided(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(4, 2, 3)

    def forward(self, x):
        return self.layer(x if x.sum() > 0 else -x)


def test_network_that_cannot_be_traced_runs_as_it_is(caplog):
    network, x = Undecided().eval(), one_hot_sequence(20)
    prepared = prepare_for_scan(network, x, "independent")
    assert "cannot be prepared" in caplog.text
    with torch.inference_mode():
        assert torch.equal(prepared(x), network(x))


class TwoUses(nn.Module):
    """A layer that is called twice, and a sum in which neither term may be overwritten."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(4, 4, 1)
        self.norm = nn.BatchNorm1d(4)
        self.relu = nn.ReLU()

    def forward(self, x):
        a = self.layer(x)
        b = self.norm(self.layer(self.relu(a)))
        return (a + b) * a + self.relu(a)


def test_shared_layers_keep_what_others_need():
    network, x = with_statistics(TwoUses()), one_hot_sequence(30)
    prepared = prepare_for_scan(network, x, "independent")
    with torch.inference_mode():
        torch.testing.assert_close(prepared(x), network(x), atol=1e-5, rtol=1e-5)


def test_head_stays_in_float32_where_the_rest_is_reduced():
    """Only the head's input is rounded: its output is the float32 product of that input."""
    architecture = resolve_architecture({"preset": "dilated", "channels": 8})
    network = with_statistics(build_network(architecture, 2, "exclusive"))
    x = one_hot_sequence(50 + 2 * architecture.context)
    for ready in (network, prepare_for_scan(network, x, "exclusive")):
        inputs = []
        name = (
            "head"
            if ready is network
            else next(node.target for node in ready.graph.nodes if node.name == "head")
        )
        hook = ready.get_submodule(name).register_forward_pre_hook(
            lambda layer, given, inputs=inputs: inputs.append(given[0])
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found = ready(x)
        hook.remove()
        assert inputs[0].dtype == torch.bfloat16 and found.dtype == torch.float32
        weight, bias = network.head.weight[:, :, 0, 0].double(), network.head.bias.double()
        expected = torch.einsum("oc,ncl->nol", weight, inputs[0].squeeze(2).double())
        torch.testing.assert_close(found.double(), expected + bias[:, None], rtol=1e-5, atol=1e-5)
