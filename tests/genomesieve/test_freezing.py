import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.errors import InputError
from genomesieve.freezing import freeze, training_mode
from genomesieve.gathering import one_hot
from genomesieve.networks import build_network
from genomesieve.norms import batch_norms, has_batch_statistics
from genomesieve.training_settings import TrainingSettings
from toy_training import DILATED, interrupt, toy_trainer

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "dilated": DILATED,
    "lstm": {
        "preset": "lstm", "channels": 8, "units": 6, "layers": 2, "stem_kernels": [5],
        "stem_pools": [1], "window": 50, "reach": 4, "resolution": 1, "pooling": "none",
        "hidden": 4, "dropout": 0.2,
    },
}  # fmt: skip


def trained_network(name, reverse_complement="augment", norm="batch"):
    """A network whose weights and statistics are those of some training."""
    trainer = toy_trainer(MODELS[name] | {"norm": norm}, reverse_complement=reverse_complement)
    trainer.fit()
    return trainer.network


def copy_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def changed(before, network):
    """Names of the weights and buffers that are not what they were, to the last bit."""
    return {key for key, value in network.state_dict().items() if not value.equal(before[key])}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("parts", [["stem"], ["trunk"], ["stem", "trunk"]])
def test_frozen_parts_do_not_move_by_a_bit(name, parts, tmp_path):
    network = trained_network(name)
    before = copy_of(network)
    settings = {"freeze": parts, "average": 0.9, "accumulate": 3, "weight_decay": 0.1}
    model = MODELS[name] | {"norm": "batch"}
    interrupt(toy_trainer(model, network=network, checkpoint=tmp_path, **settings), 5)
    network.load_state_dict(before)
    trainer = toy_trainer(model, network=network, checkpoint=tmp_path, **settings)
    trainer._load()
    assert trainer.state.step == 5
    trainer.fit()
    moved = changed(before, network)
    for key in before:
        assert (key in moved) == (key.split(".")[0] not in parts), key


@pytest.mark.parametrize("norm", ["batch", "domain"])
@pytest.mark.parametrize("reverse_complement", ["augment", "average", "equivariant"])
def test_frozen_statistics_do_not_move_and_everything_learns(reverse_complement, norm):
    network = trained_network("dilated", reverse_complement, norm)
    before = copy_of(network)
    trainer = toy_trainer(
        MODELS["dilated"] | {"norm": norm},
        network=network,
        reverse_complement=reverse_complement,
        freeze_norms=True,
        average=0.7,
    )
    assert not has_batch_statistics(network)
    trainer.fit()
    assert changed(before, network) == {name for name, _ in network.named_parameters()}
    assert set(before) > changed(before, network)


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "settings", [{}, {"freeze": ["stem"]}, {"freeze": ["stem", "trunk"]}, {"freeze_norms": True}]
)
def test_symmetry_survives_freezing_and_fine_tuning(name, norm, settings):
    if norm == "layer" and settings.get("freeze_norms"):
        pytest.skip("layer norm has no statistics")
    network = trained_network(name, "equivariant", norm)
    before = copy_of(network)
    model = MODELS[name] | {"norm": norm}
    options = {"reverse_complement": "equivariant", "average": 0.9, "learning_rate": 0.003}
    toy_trainer(model, network=network, **options, **settings).fit()
    assert "head.bias" in changed(before, network)
    architecture = resolve_architecture(model)
    width = 2 * architecture.context + 3 * architecture.stride
    codes = torch.randint(0, 5, (4, width), dtype=torch.uint8)
    other = torch.from_numpy(DNA.reverse_complement(codes.numpy()).copy())
    network = network.double().eval()
    with torch.no_grad():
        first = network(one_hot(codes, DNA).double())
        second = network(one_hot(other, DNA).double()).flip(-1)
    assert first.std() > 1e-3
    assert ((first - second).abs() <= 1e-10 * first.abs().clamp(min=1)).all()


def test_frozen_part_is_one_fixed_function():
    """Neither dropout nor other windows of the batch change what it says."""
    network = trained_network("lstm")
    training_mode(network, freeze(network, ["stem", "trunk"], False))
    architecture = resolve_architecture(MODELS["lstm"])
    x = torch.rand(6, 4, 2 * architecture.context + architecture.stride).unsqueeze(2)
    with torch.no_grad():
        features = network.trunk(network.cut(network.stem(x)))
        alone = network.trunk(network.cut(network.stem(x[:1])))
    torch.testing.assert_close(features[:1], alone)
    assert network.dropout.training
    # cuDNN takes gradients of recurrent layers in training mode alone.
    assert all(layer.cell.training for layer in network.trunk if hasattr(layer, "cell"))


def test_only_what_learns_is_in_the_optimiser():
    trainer = toy_trainer(DILATED, freeze=["stem"])
    learning = {
        id(weight) for group in trainer.optimizer.param_groups for weight in group["params"]
    }
    for name, weight in trainer.network.named_parameters():
        assert (id(weight) in learning) == weight.requires_grad == (not name.startswith("stem"))


def test_gradients_reach_scales_behind_frozen_statistics():
    """Also where a channel and its mirror image share them."""
    architecture = resolve_architecture(DILATED | {"norm": "batch"})
    network = build_network(architecture, 2, "exclusive", "equivariant")
    training_mode(network, freeze(network, [], True))
    network(torch.rand(2, 4, 2 * architecture.context + 9)).square().sum().backward()
    norms = batch_norms(network)
    assert norms and all(norm.weight.grad.abs().sum() > 0 for norm in norms)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ["head"]}, "training.freeze names 'head'; expected some of stem, trunk, pool"),
        ({"freeze": ["steam"]}, "names 'steam'"),
        ({"freeze": "stem"}, "training.freeze is 'stem'; expected a list"),
        ({"freeze_norms": 1}, "training.freeze_norms is 1; expected bool"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings.from_mapping(settings)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (DILATED, {"freeze": ["hidden"]}, "freeze names hidden, in which this network has no"),
        (DILATED, {"freeze": ["pool"]}, "freeze names pool, in which"),
        (DILATED | {"norm": "group"}, {"freeze_norms": True}, "has no statistics to freeze"),
    ],
)
def test_freezing_nothing_is_refused(model, settings, message):
    with pytest.raises(InputError, match=message):
        toy_trainer(model, **settings)
