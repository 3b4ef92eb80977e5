import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.layer_rates import LayerRates, pretrained_layers
from genomesieve.networks import build_network
from genomesieve.pretraining_settings import TransferSettings
from toy_training import DILATED, interrupt, toy_trainer

WINDOW = {"window": 100, "reach": 8}
MODELS = [
    (DILATED | {"dilations": [1, 2]}, 3),
    (DILATED | {"dilations": [1, 1, 2, 2], "skips": 2}, 5),
    ({"preset": "motif_cnn", "channels": 8}, 1),
    ({"preset": "lstm", "channels": 8, "units": 4, "layers": 2, "dropout": 0.1, **WINDOW}, 3),
    ({"preset": "transformer", "channels": 8, **WINDOW}, 3),
    ({"preset": "hybrid", "channels": 8, **WINDOW}, 4),
]


@pytest.mark.parametrize("mode", ["augment", "average", "equivariant"])
@pytest.mark.parametrize(("model", "count"), MODELS)
def test_every_weight_of_stem_and_trunk_is_in_one_layer(model, count, mode):
    network = build_network(resolve_architecture(model), 2, "independent", mode)
    layers = pretrained_layers(network)
    assert len(layers) == count
    found = [id(one) for layer in layers for part in layer for one in part.parameters()]
    bare = getattr(network, "network", network)
    assert sorted(found) == sorted(
        id(one) for part in (bare.stem, bare.trunk) for one in part.parameters()
    )
    # The stem comes first, and every layer has weights.
    assert {id(one) for one in layers[0][0].parameters()} <= {
        id(one) for one in bare.stem.parameters()
    }
    assert all(any(True for part in layer for _ in part.parameters()) for layer in layers)


def test_rates_fall_from_the_head_down():
    network = build_network(resolve_architecture(MODELS[0][0]), 2, "independent")
    rates = LayerRates(network, TransferSettings(trunk_rate=0.5, layer_decay=0.1))
    groups = rates.parameter_groups(0.2)
    assert [group["lr"] for group in groups] == pytest.approx([0.2, 0.1, 0.01, 0.001])
    assert {id(one) for one in groups[0]["params"]} == {
        id(one) for one in network.head.parameters()
    }
    assert {id(one) for one in groups[-1]["params"]} == {
        id(one) for one in network.stem.parameters()
    }
    every = [one for group in groups for one in group["params"]]
    assert len(every) == len(list(network.parameters()))


def test_nothing_pretrained_is_one_group_of_all_weights():
    network = build_network(resolve_architecture(MODELS[0][0]), 2, "independent")
    (group,) = LayerRates(network, None).parameter_groups(0.2)
    assert [id(a) for a in group["params"]] == [id(a) for a in network.parameters()]


def trained(steps, settings, **more):
    trainer = toy_trainer(MODELS[0][0], transfer=settings, steps=12, validations=1, **more)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    for _ in range(steps):
        trainer._step()
    after = trainer.network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("steps", "moved"),
    [
        (3, {"head"}),
        (6, {"head", "trunk.1", "trunk.2"}),
        (9, {"head", "trunk.1", "trunk.2", "trunk.0"}),
        (10, {"head", "trunk.1", "trunk.2", "trunk.0", "stem.0"}),
    ],
)
def test_layers_begin_from_the_top(steps, moved):
    """Weights and statistics of norms of a layer that is held stay what they were."""
    changed = trained(steps, TransferSettings(unfreeze_steps=3))
    assert {".".join(name.split(".")[: 1 + ("head" not in name)]) for name in changed} == moved


def test_slow_layers_move_less():
    def distance(trunk_rate):
        torch.manual_seed(0)
        trainer = toy_trainer(
            MODELS[0][0], transfer=TransferSettings(trunk_rate), steps=12, weight_decay=0.0
        )
        before = trainer.network.stem[0].weight.detach().clone()
        trainer._step()
        return float((trainer.network.stem[0].weight.detach() - before).abs().max())

    # The first step of Adam is as long as the rate, whatever the gradient.
    assert distance(0.1) == pytest.approx(distance(1.0) / 10, rel=1e-2)


@pytest.mark.parametrize("killed", [2, 7])
def test_a_killed_training_ends_where_the_unbroken_one_does(tmp_path, killed):
    """While layers are held, and after some have begun."""
    how = {"transfer": TransferSettings(0.3, 0.7, 3), "average": 0.5}
    whole = toy_trainer(MODELS[0][0], **how)
    whole.fit()
    broken = toy_trainer(MODELS[0][0], checkpoint=tmp_path / "checkpoint", **how)
    interrupt(broken, killed)
    again = toy_trainer(MODELS[0][0], checkpoint=tmp_path / "checkpoint", **how)
    again.fit()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_frozen_parts_are_in_no_group():
    trainer = toy_trainer(MODELS[0][0], transfer=TransferSettings(), freeze=["stem"])
    assert len(trainer.optimizer.param_groups) == 3
