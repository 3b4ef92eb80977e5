"""Networks that predict bases: geometry, symmetry, and stems and trunks that carry over."""

import numpy as np
import pytest
import torch

from genomesieve.architecture import Architecture, resolve_architecture
from genomesieve.errors import InputError
from genomesieve.networks import build_network
from genomesieve.pretraining import build_base_network, shared_weights
from genomesieve.pretraining_settings import (
    PretrainingSettings,
    TransferSettings,
    require_same_trunk,
    resolve_pretraining,
    trunk_difference,
)

WINDOW = {"window": 100, "reach": 8}
MODELS = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 2]},
    "skips": {"preset": "spliceai", "channels": 8, "kernel": 3, "dilations": [1, 1], "skips": 1},
    "pooled": {
        **{"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1]},
        **{"stem_pools": [5], "resolution": 5},
    },
    "motif_cnn": {"preset": "motif_cnn", "channels": 8, "stem_kernels": [7]},
    "lstm": {"preset": "lstm", "channels": 8, "units": 4, **WINDOW},
    "transformer": {"preset": "transformer", "channels": 8, **WINDOW},
    "rotary": {"preset": "transformer", "channels": 16, "positions": "rotary", **WINDOW},
    "hybrid": {"preset": "hybrid", "channels": 8, "reach": 4, "hidden": 4, "window": 100},
}


def one_hot(codes):
    x = np.zeros((len(codes), 5, codes.shape[1]), dtype=np.float32)
    np.put_along_axis(x, codes[:, None].astype(int), 1, axis=1)
    return torch.from_numpy(x[:, :4])


def ready(name, mode="augment", dtype=torch.float32):
    torch.manual_seed(0)
    architecture = resolve_pretraining(MODELS[name], mode)
    network = build_base_network(architecture, mode).to(dtype).eval()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network, architecture


@pytest.mark.parametrize("name", MODELS)
def test_every_base_has_four_logits_and_sees_its_context_alone(name):
    network, architecture = ready(name)
    length = 2 * architecture.stride if architecture.stride >= 50 else 100
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (1, length + 2 * architecture.context), dtype=np.uint8)
    with torch.no_grad():
        whole = network(one_hot(codes))
        assert whole.shape == (1, 4, length)
        # Windows of a network that mixes over length are predicted one by one.
        each = architecture.stride
        first = network(one_hot(codes[:, : each * (length // each) + 2 * architecture.context]))
        torch.testing.assert_close(first, whole[..., : first.shape[-1]])
        tail = codes[:, each:]
        torch.testing.assert_close(network(one_hot(tail)), whole[..., each:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["dilated", "skips", "motif_cnn", "pooled"])
def test_outputs_stand_in_the_middle_of_what_they_see(name):
    network, architecture = ready(name)
    context, grid = architecture.context, architecture.settings.feature_stride
    codes = np.random.default_rng(1).integers(0, 4, (16, 100 + 2 * context), dtype=np.uint8)
    x = one_hot(codes).requires_grad_()
    network(x)[:, :, 53].square().sum().backward()
    reached = torch.nonzero(x.grad.abs().sum((0, 1))).squeeze(1) - context
    first = 53 - 53 % grid
    assert (reached.min(), reached.max()) == (first - context, first + grid - 1 + context)


@pytest.mark.parametrize("name", ["dilated", "skips", "motif_cnn", "lstm", "transformer", "hybrid"])
def test_tied_weights_make_both_strands_agree(name):
    network, architecture = ready(name, "equivariant", torch.float64)
    length = max(architecture.stride, 100)
    codes = np.random.default_rng(2).integers(0, 5, (3, length + 2 * architecture.context))
    x = one_hot(codes).double()
    with torch.no_grad():
        forward = network(x)
        backward = network(x.flip(1, 2))
    torch.testing.assert_close(backward.flip(1, 2), forward, atol=1e-10, rtol=0)
    assert forward.std() > 0.01


def test_a_hidden_base_does_not_reach_its_own_prediction():
    """Changing the base under a mask changes no prediction: it is not in the input at all."""
    from genomesieve.masking import MaskSettings
    from genomesieve.perplexity import network_losses
    from genomesieve.unlabelled import HeldOutWindows
    from toy_pretraining import stretches_of

    network, architecture = ready("dilated")
    codes = np.random.default_rng(4).integers(0, 4, 600, dtype=np.uint8)

    def held_out(codes):
        stretches = stretches_of(codes, [(0, 600)])
        return HeldOutWindows(stretches, 100, architecture.context, MaskSettings(), [0], 600)

    hidden = np.concatenate([batch.mask for batch in held_out(codes).batches(6)]).ravel() > 0
    # Windows see their neighbours' bases as context, so one window at a time is changed.
    window = np.repeat(np.arange(6), 100)[hidden]
    mine = np.flatnonzero(hidden)[window == 2]
    totals = np.zeros(len(mine))
    for shift in range(4):
        other = codes.copy()
        other[mine] = (codes[mine] + shift) % 4
        losses = network_losses(network, held_out(other), torch.device("cpu"))
        totals += np.exp(-losses[window == 2])
    # The four letters' probabilities come from one and the same distribution.
    np.testing.assert_allclose(totals, 1, rtol=1e-5)


@pytest.mark.parametrize("mode", ["augment", "average", "equivariant"])
@pytest.mark.parametrize("name", MODELS)
def test_stem_and_trunk_carry_over_exactly(name, mode):
    own = "equivariant" if mode == "equivariant" else "augment"
    pretrained, architecture = ready(name, own)
    with torch.no_grad():
        length = 2 * architecture.stride if architecture.stride >= 50 else 100
        codes = np.random.default_rng(5).integers(0, 4, (8, length + 2 * architecture.context))
        pretrained.train()
        pretrained(one_hot(codes))  # norms get statistics of their own
        pretrained.eval()
    target = resolve_architecture(MODELS[name])
    network = build_network(target, 2, "independent", mode)
    bare = getattr(network, "network", network)
    found = shared_weights(pretrained)
    assert set(found) == set(shared_weights(network)) and found
    bare.load_state_dict(found, strict=False)
    network.eval()
    with torch.no_grad():
        x = one_hot(codes)
        assert torch.equal(pretrained.trunk(pretrained._motifs(x)), bare.trunk(bare._motifs(x)))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"kernel": 5}, "kernel"),
        ({"channels": 16}, "channels"),
        ({"dilations": [1]}, "dilations"),
        ({"norm": "layer"}, "norm"),
        ({"stem_kernels": [9]}, "stem_kernels"),
        ({"trunk": "none"}, "trunk"),
        ({"stem_pools": [2], "resolution": 2, "pooling": "none"}, "stem_pools"),
    ],
)
def test_the_setting_that_differs_is_named(change, name):
    one = resolve_pretraining(MODELS["dilated"])
    model = {k: v for k, v in MODELS["dilated"].items() if "trunk" not in change or k[0] in "pc"}
    other = resolve_architecture(model | change)
    with pytest.raises(InputError, match=f"^model.{name} is .*expected .* as in X, whose stem"):
        require_same_trunk(other, one, ("augment", "augment"), 0, "X")


def test_settings_of_the_head_may_differ():
    one = resolve_pretraining(MODELS["motif_cnn"])
    changed = MODELS["motif_cnn"] | {
        "resolution": 20,
        "hidden": 0,
        "dropout": 0.5,
        "pool_margin": 7,
    }
    other = resolve_architecture(changed)
    assert trunk_difference(other.settings, one.settings) is None
    require_same_trunk(other, one, ("average", "augment"), 0, "X")
    for modes, signals, message in (
        (("equivariant", "augment"), 0, "reverse_complement is equivariant"),
        (("augment", "equivariant"), 0, "reverse_complement is augment"),
        (("augment", "augment"), 2, "signals are 2 channels"),
    ):
        with pytest.raises(InputError, match=message):
            require_same_trunk(other, one, modes, signals, "X")


def test_what_is_written_of_an_architecture_gives_it_again():
    for model in MODELS.values():
        one = resolve_pretraining(model)
        again = resolve_pretraining(one.to_dict())
        assert isinstance(again, Architecture) and again.settings == one.settings


@pytest.mark.parametrize(
    ("model", "mode", "message"),
    [
        ({"preset": "pwm"}, "augment", "model.preset is 'pwm'"),
        ({"preset": "custom"}, "augment", "model.preset is 'custom'"),
        ({"preset": "dilated", "norm": "domain"}, "augment", "no laboratories"),
        ({"preset": "dilated"}, "average", "networks that average both strands later"),
        ({"preset": "dilated", "channels": 7}, "equivariant", "expected an even number"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(model, mode, message):
    with pytest.raises(InputError, match=message):
        build_base_network(resolve_pretraining(model, mode), mode)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (PretrainingSettings, {"two_sided": 7}, "training.two_sided is 7; expected at most 6"),
        (PretrainingSettings, {"repeat_weight": 2}, "training.repeat_weight is 2.0"),
        (PretrainingSettings, {"lenght": 2}, "did you mean 'length'"),
        (PretrainingSettings, {"mask": {"share": 1}}, "training.mask.share is 1.0"),
        (TransferSettings, {"trunk_rate": 2}, "training.pretrained.trunk_rate is 2.0"),
        (TransferSettings, {"layer_decay": 0}, "training.pretrained.layer_decay is 0.0"),
        (TransferSettings, {"unfreeze_steps": -1}, "training.pretrained.unfreeze_steps is -1"),
    ],
)
def test_bad_settings_are_named(kind, given, message):
    with pytest.raises(InputError, match=message):
        kind.from_mapping(given)
