import hashlib
import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from custom_networks import CONTEXT, OUTPUTS, RECIPE, motif_weights, recipe_network
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle, load_bundle, save_bundle
from genomesieve.custom_network import (
    CustomNetwork,
    build_custom_network,
    fill_weights,
    load_code,
    read_weights,
)
from genomesieve.errors import InputError
from genomesieve.networks import log_odds

MODEL = {
    "preset": "custom",
    "context": CONTEXT,
    "outputs": OUTPUTS,
    "arguments": {"channels": 4},
}
CLASSES = ["donor", "acceptor"]


def write(tmp_path, text):
    path = tmp_path / "network.py"
    path.write_text(text)
    return f"{path}:Net"


def test_code_is_loaded_from_its_file_and_digested():
    code = load_code(f"{RECIPE}:SmallNetwork")
    assert issubclass(code.kind, nn.Module)
    assert code.sha256 == hashlib.sha256(RECIPE.read_bytes()).hexdigest()
    assert code.describe() == {"sha256": code.sha256, "class": "SmallNetwork"}


def test_dataclasses_in_the_file_work(tmp_path):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "import torch\n@dataclass\nclass A:\n    x: int = 1\n"
        "class Net(torch.nn.Module):\n    pass\n"
    )
    assert load_code(write(tmp_path, text)).kind.__name__ == "Net"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Net(:\n", "SyntaxError.*line 1"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("class Net:\n    pass\n", "no torch.nn.Module 'Net'; found none"),
        ("import torch\nclass Other(torch.nn.Module):\n    pass\n", "found Other"),
        ("from torch.nn import Linear as Net, Module\nNet = Net(2, 2)\n", "no torch.nn.Module"),
    ],
)
def test_code_that_cannot_serve_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_code(write(tmp_path, text))


def test_files_beside_the_code_are_not_imported(tmp_path):
    (tmp_path / "helper_beside.py").write_text("x = 1\n")
    with pytest.raises(InputError, match="No module named 'helper_beside'"):
        load_code(write(tmp_path, "import helper_beside\n"))


def test_missing_code_is_named(tmp_path):
    with pytest.raises(InputError, match="network code .* does not exist"):
        load_code(f"{tmp_path}/none.py:Net")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chanels": 4}, "got an unexpected keyword argument 'chanels'"),
        ({"channels": "many"}, "cannot be made with model.arguments"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    architecture = resolve_architecture(MODEL | {"arguments": arguments})
    code = load_code(f"{RECIPE}:SmallNetwork")
    with pytest.raises(InputError, match=message):
        build_custom_network(code, architecture, CLASSES, "exclusive")


def test_both_kinds_of_weights_are_read(tmp_path):
    weights = motif_weights()
    torch.save(weights, tmp_path / "a.pt")
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors")
    safetensors.torch.save_file(weights, tmp_path / "b.bin")
    for name in ("a.pt", "a.safetensors", "b.bin"):
        found = read_weights(tmp_path / name)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[key], weights[key]) for key in weights)


class Trap:
    """A pickle of it would write a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickled_modules_and_traps_are_refused_and_run_nothing(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(
        InputError, match=r"pickle names torch.nn.modules.linear.Linear.*state_dict"
    ):
        read_weights(tmp_path / "module.pt")
    sprung = tmp_path / "sprung"
    for name, write_trap in (("a.pt", torch.save), ("b.pt", _plain_pickle)):
        write_trap({"w": Trap(sprung)}, tmp_path / name)
        with pytest.raises(InputError, match="refused"):
            read_weights(tmp_path / name)
    assert not sprung.exists()


def _plain_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:'torch.load' received")
def test_compiled_modules_are_refused(tmp_path):
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "compiled.pt"))
    with pytest.raises(InputError, match="cannot be read.*expected tensors by name"):
        read_weights(tmp_path / "compiled.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {"w": torch.zeros(1)}, "epoch": 3}, "hold state_dict .*dict.*, epoch .int"),
        ([torch.zeros(1)], "are list"),
        ({}, "hold nothing"),
        ({"w": torch.tensor([1.0, float("nan")])}, "w has values that are no finite numbers"),
    ],
)
def test_other_contents_are_named(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_damaged_weights_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"this is neither" * 10)
    with pytest.raises(InputError, match=f"{name} (cannot be read|are damaged)"):
        read_weights(tmp_path / name)


def imported(labels="exclusive", **changes):
    """Return the recipe's network with its weights, behind the contract."""
    architecture = resolve_architecture(MODEL | changes)
    code = load_code(f"{RECIPE}:SmallNetwork")
    network = build_custom_network(code, architecture, CLASSES, labels)
    fill_weights(network, motif_weights(), RECIPE)
    return architecture, code, network.eval()


def test_weights_that_do_not_fit_are_named():
    _, _, network = imported()
    weights = motif_weights()
    weights["other.weight"] = weights.pop("head.weight")
    with pytest.raises(InputError, match=r"do not fit SmallNetwork.*head\.weight.*other\.weight"):
        fill_weights(network, weights, RECIPE)


def own_network():
    network = recipe_network()(channels=4)
    network.load_state_dict(motif_weights())
    return network.eval()


def random_input(length=300):
    codes = torch.randint(0, 4, (2, length), generator=torch.Generator().manual_seed(5))
    return nn.functional.one_hot(codes, 4).float().transpose(1, 2)


def test_outputs_come_in_our_order():
    x = random_input()
    found, expected = imported()[2](x), own_network()(x)
    assert torch.equal(found, expected[:, [0, 2, 1]])
    independent = imported("independent")[2](x)
    assert torch.equal(independent, expected[:, [2, 1]])


class Probabilities(nn.Module):
    """The recipe's network with an activation at its end, and as many bins too many."""

    def __init__(self, activation, extra):
        super().__init__()
        self.inner, self.activation, self.extra = own_network(), activation, extra

    def forward(self, x):
        y = self.activation(self.inner(x) * 2)
        return nn.functional.pad(y, (self.extra, self.extra))


def test_softmax_outputs_become_the_same_log_odds():
    x = random_input()
    module = Probabilities(lambda y: y.softmax(1), 3)
    settings = resolve_architecture(MODEL | {"activation": "softmax", "crop": 3}).settings
    found = log_odds(CustomNetwork(module, settings, [0, 2, 1])(x), "exclusive")
    expected = log_odds(own_network()(x)[:, [0, 2, 1]] * 2, "exclusive")
    assert expected.abs().max() > 5
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_sigmoid_outputs_become_the_same_log_odds_up_to_float32():
    x = random_input()
    module = Probabilities(torch.sigmoid, 0)
    settings = resolve_architecture(MODEL | {"activation": "sigmoid"}).settings
    found = CustomNetwork(module, settings, [2, 1])(x)
    expected = own_network()(x)[:, [2, 1]] * 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_certain_probabilities_stay_finite(activation):
    settings = resolve_architecture(MODEL | {"activation": activation}).settings
    module = nn.Identity()
    y = torch.tensor([[[1.0], [0.0], [0.0]]])
    found = CustomNetwork(module, settings, [0, 1, 2])(y)
    assert torch.isfinite(found).all() and found[0, 0, 0] > found[0, 1, 0] + 80


def save(tmp_path, **changes):
    architecture, code, network = imported(**changes)
    bundle = Bundle("custom", network, architecture, CLASSES, True, "exclusive")
    bundle.code = code.describe()
    save_bundle(tmp_path / "model", bundle)
    return tmp_path / "model"


def test_bundle_comes_back_with_its_code(tmp_path):
    folder = save(tmp_path)
    text = (folder / "model.json").read_text()
    assert "custom_network" not in text and ".py" not in text
    bundle = load_bundle(folder, f"{RECIPE}:SmallNetwork")
    x = random_input()
    assert torch.equal(bundle.network(x), imported()[2](x))


def test_bundle_without_its_code_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected --network-code"):
        load_bundle(save(tmp_path))


def test_other_code_is_refused(tmp_path):
    folder = save(tmp_path)
    changed = tmp_path / "changed.py"
    changed.write_text(RECIPE.read_text() + "\n# one line more\n")
    with pytest.raises(InputError, match=r"has SHA-256 [0-9a-f]{64}; model .* was made with"):
        load_bundle(folder, f"{changed}:SmallNetwork")
    # The same file elsewhere is the same code.
    moved = tmp_path / "moved.py"
    moved.write_bytes(RECIPE.read_bytes())
    assert load_bundle(folder, f"{moved}:SmallNetwork").classes == CLASSES


def test_other_class_of_the_file_is_refused(tmp_path):
    text = RECIPE.read_text() + "\n\nclass Other(SmallNetwork):\n    pass\n"
    path = tmp_path / "two.py"
    path.write_text(text)
    architecture = resolve_architecture(MODEL)
    code = load_code(f"{path}:SmallNetwork")
    network = build_custom_network(code, architecture, CLASSES, "exclusive")
    bundle = Bundle("custom", network, architecture, CLASSES, True, "exclusive")
    bundle.code = code.describe()
    save_bundle(tmp_path / "model", bundle)
    with pytest.raises(InputError, match="names class Other; .* class SmallNetwork"):
        load_bundle(tmp_path / "model", f"{path}:Other")


def test_code_is_for_imported_networks_only(trained):
    with pytest.raises(InputError, match="is a dilated network; --network-code is for"):
        load_bundle(trained, f"{RECIPE}:SmallNetwork")


def test_tied_weights_are_kept(tmp_path):
    text = (
        "import torch\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.a = torch.nn.Conv1d(4, 3, 1)\n        self.b = self.a\n"
        "    def forward(self, x):\n        return self.a(x)\n"
    )
    code = load_code(write(tmp_path, text))
    architecture = resolve_architecture(MODEL | {"context": 0, "arguments": None})
    network = build_custom_network(code, architecture, CLASSES, "exclusive").eval()
    bundle = Bundle("custom", network, architecture, CLASSES, True, "exclusive")
    bundle.code = code.describe()
    save_bundle(tmp_path / "model", bundle)
    back = load_bundle(tmp_path / "model", f"{tmp_path / 'network.py'}:Net")
    x = random_input()
    assert torch.equal(back.network(x), network(x))
