"""Each way of breaking the model contract is refused, and networks that keep it pass."""

import logging

import pytest
import torch
from torch import nn
from torch.nn import functional

from custom_networks import CONTEXT, OUTPUTS, Coarse, motif_weights, recipe_network
from genomesieve.architecture import resolve_architecture
from genomesieve.contract import ContractTrial, check_contract
from genomesieve.custom_network import CustomNetwork
from genomesieve.custom_settings import output_order
from genomesieve.errors import InputError

CLASSES = ["donor", "acceptor"]


def own_network():
    network = recipe_network()(channels=4)
    network.load_state_dict(motif_weights())
    return network


def trial_of(module, labels="exclusive", **declared):
    model = {"preset": "custom", "context": CONTEXT, "outputs": OUTPUTS} | declared
    architecture = resolve_architecture(model)
    order = output_order(architecture.settings, CLASSES, labels)
    network = CustomNetwork(module, architecture.settings, order).eval()
    return ContractTrial(network, architecture, labels)


class Changed(nn.Module):
    """The recipe's network with something done to its output."""

    def __init__(self, change):
        super().__init__()
        self.inner, self.change = own_network(), change

    def forward(self, x):
        return self.change(self.inner(x))


class Padded(nn.Module):
    """A network that pads: as many predictions as bases."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 6, 9, padding=4)
        self.second = nn.Conv1d(6, 3, 5, dilation=3, padding=6)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def test_a_network_that_keeps_the_contract_passes(caplog):
    torch.manual_seed(0)
    with caplog.at_level(logging.WARNING):
        found = check_contract(trial_of(recipe_network()()))
    assert found == {"lengths": [21, 22, 23, 28], "reach": [10, 10]}
    assert not caplog.records


@pytest.mark.parametrize(
    ("change", "labels", "declared"),
    [
        (lambda y: y.softmax(1), "exclusive", {"activation": "softmax"}),
        (torch.sigmoid, "independent", {"activation": "sigmoid"}),
        (lambda y: y.unflatten(2, (-1, 5)).amax(3), "exclusive", {"resolution": 5}),
    ],
    ids=["softmax", "sigmoid", "pooled"],
)
def test_other_activations_and_geometries_pass(change, labels, declared):
    torch.manual_seed(0)
    reach = check_contract(trial_of(Changed(change), labels, **declared))["reach"]
    assert 0 < max(reach) <= CONTEXT


def test_a_network_that_pads_passes_with_crop():
    torch.manual_seed(0)
    check_contract(trial_of(Padded(), crop=10))
    with pytest.raises(InputError, match="model.crop cuts .* 10 more would fit"):
        check_contract(trial_of(Padded()))
    # Fewer are cut off than the padding reaches: shapes agree, values do not.
    with pytest.raises(InputError, match="context of 6 bp change .* 10 bp to the left and 10 to"):
        check_contract(trial_of(Padded(), context=6, crop=6))


def test_larger_context_than_needed_is_said(caplog):
    torch.manual_seed(0)
    module = Changed(lambda y: y[..., 5:-5])
    module.inner = recipe_network()()
    with caplog.at_level(logging.WARNING):
        check_contract(trial_of(module, context=15))
    assert "declares a context of 15 bp" in caplog.text
    assert "10 bp to the left and 10 to the right" in caplog.text


def placed(y):
    """Add where in the input a prediction stands."""
    return y + torch.arange(y.shape[-1], device=y.device) / 10 * torch.ones_like(y).cumsum(1)


class Chance(nn.Module):
    """Drops out in evaluation too."""

    def forward(self, x):
        y = x[:, :3, CONTEXT:-CONTEXT] * 3 + 1
        return functional.dropout(y, 0.5, training=True)


class Neighbours(nn.Module):
    """Normalises over the batch."""

    def forward(self, x):
        y = x[:, :3, CONTEXT:-CONTEXT]
        return y - 2 * y.mean(0, keepdim=True)


class Stranger(nn.Module):
    """Makes a tensor on a device of its own."""

    def forward(self, x):
        return x[:, :3, CONTEXT:-CONTEXT] * 3 + torch.ones(3, 1, device="cpu")


class NoUnknown(nn.Module):
    """Divides by the number of known bases."""

    def forward(self, x):
        return (x / x.sum(1, keepdim=True))[:, :3, CONTEXT:-CONTEXT] * 3


class Fails(nn.Module):
    """Takes one length alone."""

    def forward(self, x):
        return x.reshape(len(x), 4, 21)[:, :3, 10:11]


@pytest.mark.parametrize(
    ("module", "declared", "message"),
    [
        (lambda: Changed(lambda y: y.transpose(1, 2)), {}, "last two axes look exchanged"),
        (lambda: Changed(lambda y: y.amax(-1)), {}, "one answer a window"),
        (lambda: Changed(lambda y: y[:, :2]), {}, "names 3 outputs, the network has 2"),
        (lambda: Changed(lambda y: y[..., 1:]), {}, "do not describe it"),
        (lambda: Changed(lambda y: (y, y)), {}, "returns tuple"),
        (lambda: Changed(lambda y: y.argmax(1, keepdim=True)), {}, "tensor of torch.int64"),
        (Fails, {}, "the network fails on input of shape"),
        (NoUnknown, {}, "no finite numbers for partly unknown bases"),
        (lambda: Changed(lambda y: y / 0), {}, "no finite numbers for random bases"),
        (Chance, {}, "expected no chance in evaluation mode"),
        (Neighbours, {}, "depends on the others in its batch"),
        (lambda: Changed(lambda y: y + y.mean(-1, keepdim=True)), {}, "change a prediction by"),
        (lambda: Changed(placed), {}, "knows where in its input it is"),
        (Stranger, {}, "meta device"),
        (lambda: Changed(lambda y: y.softmax(1)), {}, "add up to 1 over the outputs"),
        (own_network, {"activation": "softmax"}, "is softmax, but its outputs lie between"),
    ],
)
def test_broken_contracts_are_named(module, declared, message):
    torch.manual_seed(0)
    with pytest.raises(InputError, match=message) as error:
        check_contract(trial_of(module(), **declared))
    assert "\n" not in str(error.value)


def test_logits_declared_sigmoid_are_named():
    with pytest.raises(InputError, match="is sigmoid, but its outputs lie between"):
        check_contract(trial_of(own_network(), "independent", activation="sigmoid"))


def test_a_network_without_a_gradient_passes():
    """Its reach cannot be told, its outputs can still be tried."""

    def rounded(y):
        return y.detach().round()

    assert check_contract(trial_of(Changed(rounded)))["reach"] is None


def test_stride_beyond_the_resolution_is_declared():
    torch.manual_seed(0)
    found = check_contract(trial_of(Coarse(), context=20, stride=8))
    assert found["lengths"] == [48, 56, 64, 104]
    with pytest.raises(InputError, match=r"returns shape \(2, 3, 0\)|stride 1"):
        check_contract(trial_of(Coarse(), context=20))
    # Pools of 8 where starts at every second base are declared.
    with pytest.raises(InputError, match="shape"):
        check_contract(trial_of(Coarse(), context=20, stride=2))
