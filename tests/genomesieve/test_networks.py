import numpy as np
import pytest
import torch
from torch import nn

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import one_hot
from genomesieve.errors import InputError
from genomesieve.networks import build_network, log_odds, set_prior

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"channels": 8, "stem_kernels": [7]}
BINS = {"preset": "motif_cnn", "resolution": 10, "hidden": 4, **SMALL}
NEAR = {"stem_kernels": [5], "stem_pools": [5], "window": 40, "reach": 3, "resolution": 10}
DENSE = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 3]},
    "dilated_bins": {
        "preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 2],
        "stem_kernels": [5, 3], "stem_pools": [2, 5], "resolution": 20,
        "pooling": "average", "pool_margin": 10,
    },
    "spliceai": {
        "preset": "spliceai", "channels": 8, "kernel": 3, "dilations": [1, 1, 2, 2], "skips": 2,
        "leak": 0.1,
    },
    "dilated_shortcut": {
        "preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 2], "resolution": 20,
        "stem_kernels": [5], "stem_pools": [5], "pooling": "max", "shortcut": True,
    },
    "motif_cnn": BINS,
    "motif_cnn_margin": BINS | {"stem_kernels": [7, 3], "pool_margin": 4},
    "motif_cnn_average": BINS | {"pooling": "average", "pool_margin": 7},
    "motif_cnn_attention": BINS | {"pooling": "attention", "pool_margin": 7},
}  # fmt: skip
BASELINES = {
    "pwm": {"preset": "pwm", "width": 9, "left": 6, "margins": [0, 0]},
    "pwm_bins": {
        "preset": "pwm", "resolution": 10, "width": 8, "left": 3, "margins": [0, 5],
        "both_strands": True,
    },
    "kmer": {"preset": "kmer", "k": 3, "edges": [-10, -3, 0, 1, 4]},
    "kmer_bins": {"preset": "kmer", "k": 3, "resolution": 10, "edges": [-10, 0, 10, 20]},
}  # fmt: skip
WINDOWED = {
    "rnn": {"preset": "rnn", "channels": 8, "units": 6, **NEAR},
    "lstm": {"preset": "lstm", "channels": 8, "units": 6, "layers": 2, **NEAR},
    "lstm_shortcut": {"preset": "lstm", "channels": 8, "units": 6, "shortcut": True, **NEAR},
    "lstm_a_base": {
        "preset": "lstm", "channels": 4, "units": 4, "stem_kernels": [3], "stem_pools": [1],
        "window": 12, "reach": 5, "resolution": 1, "pooling": "none",
    },
    "gru": {"preset": "gru", "channels": 8, "units": 6, "pool_margin": 10, **NEAR},
    "transformer": {"preset": "transformer", "channels": 16, **NEAR},
    "transformer_rotary": {
        "preset": "transformer", "channels": 16, "positions": "rotary", "pooling": "attention",
        **NEAR,
    },
    "hybrid": {
        "preset": "hybrid", "channels": 8, "window": 100, "reach": 4, "resolution": 50,
    },
    "hybrid_attention": {
        "preset": "hybrid", "trunk": "attention", "channels": 8, "window": 100, "reach": 4,
        "norm": "group",
    },
}  # fmt: skip
NETWORKS = DENSE | WINDOWED
MODELS = NETWORKS | BASELINES


def network_of(name, labels="independent", reverse_complement="augment", dtype=torch.float32):
    torch.manual_seed(3)
    architecture = resolve_architecture(MODELS[name])
    network = build_network(architecture, 2, labels, reverse_complement).eval().to(dtype)
    shortcut = getattr(getattr(network, "network", network), "shortcut", None)
    if shortcut is not None:  # It starts at zero, where it would show nothing.
        nn.init.normal_(shortcut.head.weight)
    randomise(network)
    return architecture, network


def randomise(network):
    """Give weights, norms and their statistics values as after training."""
    for weight in network.state_dict().values():
        if weight.is_floating_point() and weight.ndim > 1:
            weight.normal_(std=0.5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)


def sequence(count, length, seed=0, unknown=0.0):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (count, length), dtype=np.uint8)
    codes[generator.random(codes.shape) < unknown] = DNA.unknown
    return torch.from_numpy(codes)


def other_strand(codes):
    return torch.from_numpy(DNA.reverse_complement(codes.numpy()).copy())


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_output_equals_one_bin_or_window_at_a_time(name):
    """Windows share the stem and give what each gives alone."""
    architecture, network = network_of(name)
    context, step, steps = architecture.context, architecture.stride, 5
    x = one_hot(sequence(3, 2 * context + steps * step, unknown=0.05), DNA)
    together = network(x)
    assert together.shape == (3, 2, steps * step // architecture.resolution)
    span = 2 * context + step
    starts = range(0, steps * step, step)
    single = torch.cat([network(x[..., at : at + span]) for at in starts], -1)
    torch.testing.assert_close(together, single, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_prediction_sees_its_context_and_nothing_else(name):
    """A base outside changes nothing; the edge bases change something in one of 64 inputs."""
    architecture, network = network_of(name, dtype=torch.float64)
    context, step = architecture.context, architecture.stride
    codes = sequence(64, 2 * (context + step) + step, seed=1)
    bins = slice(step // architecture.resolution, 2 * step // architecture.resolution)

    def moved(at):
        changed = codes.clone()
        changed[:, at] = (changed[:, at] + 1) % 4
        return not torch.equal(network(one_hot(changed, DNA).double())[..., bins], middle)

    middle = network(one_hot(codes, DNA).double())[..., bins]
    first, last = step, step + 2 * context + step - 1
    assert not moved(first - 1) and not moved(last + 1)
    # Matrices and k-mers may reach further to one side; networks reach equally far to both.
    edges = moved(first), moved(last)
    assert any(edges) if name in BASELINES else all(edges)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equivariant_network_agrees_on_both_strands(name, dtype):
    architecture, network = network_of(name, "exclusive", "equivariant", dtype)
    check_symmetry(architecture, network, dtype)


def check_symmetry(architecture, network, dtype):
    limit = 1e-10 if dtype == torch.float64 else 1e-5
    codes = sequence(4, 2 * architecture.context + 3 * architecture.stride, unknown=0.02)
    with torch.inference_mode():
        first = network.eval()(one_hot(codes, DNA).to(dtype))
        second = network(one_hot(other_strand(codes), DNA).to(dtype)).flip(-1)
    assert first.std() > 1e-3
    assert ((first - second).abs() <= limit * first.abs().clamp(min=1)).all()


@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
@pytest.mark.parametrize("name", ["dilated", "motif_cnn_attention", "lstm", "transformer_rotary"])
def test_symmetry_holds_after_training(name, norm):
    torch.manual_seed(0)
    architecture = resolve_architecture(MODELS[name] | {"norm": norm, "dropout": 0.1})
    network = build_network(architecture, 2, "exclusive", "equivariant")
    before = [weight.clone() for weight in network.parameters()]
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for step in range(5):
        codes = sequence(8, 2 * architecture.context + 2 * architecture.stride, seed=step)
        logits = network.train()(one_hot(codes, DNA))
        nn.functional.cross_entropy(logits, torch.randint(0, 3, logits[:, 0].shape)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all((new != old).any() for new, old in zip(network.parameters(), before))
    check_symmetry(architecture, network, torch.float32)
    check_symmetry(architecture, network.double(), torch.float64)


@pytest.mark.parametrize("name", ["dilated", "lstm", "transformer", "transformer_rotary"])
def test_plain_network_is_not_symmetric(name):
    architecture, network = network_of(name)
    codes = sequence(4, 2 * architecture.context + architecture.stride)
    first, second = network(one_hot(codes, DNA)), network(one_hot(other_strand(codes), DNA))
    assert (first - second.flip(-1)).abs().max() > 0.01


def test_tied_weights_are_half_of_the_free_ones():
    free, tied = (
        sum(weight.numel() for weight in network_of("dilated", "exclusive", kind)[1].parameters())
        for kind in ("augment", "equivariant")
    )
    assert tied == pytest.approx(free / 2, rel=0.02)


@pytest.mark.parametrize("name", ["motif_cnn", "lstm", "transformer", "kmer_bins"])
def test_strand_average_is_symmetric(name):
    architecture, network = network_of(name, reverse_complement="average", dtype=torch.float64)
    codes = sequence(4, 2 * architecture.context + 5 * architecture.stride)
    first = network(one_hot(codes, DNA).double())
    second = network(one_hot(other_strand(codes), DNA).double()).flip(-1)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-10)


def test_matrix_of_both_strands_is_symmetric():
    architecture, network = network_of("pwm_bins")
    codes = sequence(4, 2 * architecture.context + 50)
    first, second = network(one_hot(codes, DNA)), network(one_hot(other_strand(codes), DNA))
    torch.testing.assert_close(first, second.flip(-1))


@pytest.mark.parametrize("name", DENSE)
def test_dense_network_is_translation_equivariant(name):
    architecture, network = network_of(name)
    step = architecture.stride
    x = one_hot(sequence(2, 2 * architecture.context + 40 * step), DNA)
    torch.testing.assert_close(network(x)[..., 5:], network(x[..., 5 * step :]))


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_network_depends_on_where_its_windows_start(name):
    architecture, network = network_of(name)
    resolution, shift = architecture.resolution, architecture.stride // architecture.resolution - 1
    x = one_hot(sequence(2, 2 * architecture.context + 3 * architecture.stride), DNA)
    end = x.shape[-1] - architecture.stride + shift * resolution
    moved = network(x[..., shift * resolution : end])
    assert (moved - network(x)[..., shift : shift + moved.shape[-1]]).abs().max() > 1e-3


def test_windows_must_be_whole():
    architecture, network = network_of("lstm")
    x = one_hot(sequence(1, 2 * architecture.context + architecture.stride + 10), DNA)
    with pytest.raises(
        ValueError, match="10 positions between the flanks; expected a multiple of 8"
    ):
        network(x)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_channel_norm_is_that_of_pytorch_at_one_position(norm):
    architecture = resolve_architecture(MODELS["dilated"] | {"norm": norm, "channels": 16})
    network = build_network(architecture, 1, "independent")
    layer = network.trunk[0].layers[0]
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(3, 16, 1, 5)
    expected = nn.functional.group_norm(
        x.permute(0, 3, 1, 2).reshape(15, 16), 2 if norm == "group" else 1, layer.weight, layer.bias
    )
    torch.testing.assert_close(layer(x).permute(0, 3, 1, 2).reshape(15, 16), expected)


def test_log_odds_are_those_of_the_softmax():
    logits = torch.randn(2, 3, 7, dtype=torch.float64)
    probability = logits.softmax(1)[:, 1:]
    expected = (probability / (1 - probability)).log()
    torch.testing.assert_close(log_odds(logits, "exclusive").double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
@pytest.mark.parametrize("reverse_complement", ["augment", "average", "equivariant"])
def test_prior_is_the_mean_prediction_of_a_fresh_network(labels, reverse_complement):
    architecture = resolve_architecture(MODELS["dilated"])
    network = build_network(architecture, 2, labels, reverse_complement).eval()
    set_prior(network, np.array([0.001, 0.01]), labels)
    with torch.no_grad():
        logits = network(torch.zeros(1, 4, 2 * architecture.context + 3))
    probability = log_odds(logits, labels).sigmoid()[0, :, 0]
    assert probability[0] == pytest.approx(0.001, rel=0.5)
    assert probability[1] == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"preset": "dilatd"}, "did you mean 'dilated'"),
        ({"preset": "dilated", "chanels": 3}, "did you mean 'channels'"),
        ({"preset": "dilated", "channels": "many"}, "expected a whole number"),
        ({"preset": "dilated", "kernel": 4}, "odd"),
        ({"preset": "dilated", "stem_kernels": [4]}, "odd"),
        ({"preset": "spliceai", "skips": 3}, "expected a divisor of the number of dilations, 8"),
        ({"preset": "dilated", "leak": 1}, "model.leak is 1"),
        ({"preset": "dilated", "units": 4}, "units means nothing for trunk dilated"),
        ({"preset": "dilated", "norm": "instance"}, "expected one of batch, domain, group"),
        ({"preset": "dilated", "resolution": 10}, "expected max, average or attention"),
        ({"preset": "motif_cnn", "pool_margin": -1}, "0 or more"),
        ({"preset": "motif_cnn", "stem_pools": [3]}, "resolution is 50 bp; expected a multiple"),
        ({"preset": "motif_cnn", "stem_pools": [5, 5]}, "expected one pool for each"),
        ({"preset": "lstm", "window": 120}, "window is 120 bp; expected a multiple"),
        ({"preset": "gru", "reach": 1, "pool_margin": 50}, "expected at least the pool_margin, 10"),
        ({"preset": "transformer", "heads": 5}, "expected a multiple of 5"),
        (
            {"preset": "transformer", "positions": "rotary", "heads": 32},
            "expected a multiple of 64",
        ),
    ],
)
def test_bad_settings_are_named(model, message):
    with pytest.raises(InputError, match=message):
        resolve_architecture(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"preset": "dilated", "channels": 7}, "model.channels is 7; expected an even number"),
        ({"preset": "transformer", "channels": 33, "heads": 3}, "channels is 33"),
        ({"preset": "transformer", "channels": 30, "heads": 3}, "model.heads is 3"),
        ({"preset": "kmer"}, "the model is kmer; expected augment or average"),
    ],
)
def test_settings_without_mirror_images_are_named(model, message):
    with pytest.raises(InputError, match=message):
        build_network(resolve_architecture(model), 2, "independent", "equivariant")
