import numpy as np
import pandas as pd
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.auxiliary import Auxiliary, JointHead, measure_spread, prior_loss
from genomesieve.auxiliary_settings import FEWEST_BASES, resolve_auxiliary
from genomesieve.batches import Batch, WindowSource
from genomesieve.errors import InputError
from genomesieve.gathering import one_hot
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.losses import weighted_loss
from genomesieve.networks import build_network, log_prior, set_prior
from genomesieve.training import Trainer, TrainingSettings

SMALL = {"channels": 8, "norm": "layer"}
MODELS = {
    "dilated": {"preset": "dilated", "dilations": [1, 2], **SMALL},
    "motif_cnn": {"preset": "motif_cnn", "resolution": 10, "hidden": 6, "dropout": 0.0, **SMALL},
    "gru": {"preset": "gru", "units": 4, "window": 100, "reach": 12, **SMALL},
    "transformer": {"preset": "transformer", "window": 100, "reach": 12, **SMALL},
    "hybrid": {"preset": "hybrid", "units": 4, "window": 100, "reach": 4, **SMALL},
}
EVERY = {name: {"property": name, "flank": 5, "weight": 0.5} for name in FEWEST_BASES}
CONTIGS = pd.DataFrame({"contig": ["a"], "length": [3000], "offset": [0]})
HIDDEN = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])


def source_of(architecture, codes=None, strand="+", length=200):
    if codes is None:
        codes = np.random.default_rng(0).integers(0, 4, 3000, dtype=np.uint8)
    position = np.arange(100, 3000, 150)
    sites = pd.DataFrame({"contig": "a", "position": position, "strand": "+", "class": "x"})
    sites = sites.assign(start=position, end=position + 1)
    labelled = LabelledGenome(EncodedGenome("toy", codes, CONTIGS), sites, HIDDEN, ["x"], True)
    windows = pd.DataFrame({"genome": "toy", "contig": "a", "start": range(0, 2800, 60)})
    inclusion = [np.ones(1)] * len(windows)
    windows = windows.assign(length=length, strand=strand, inclusion=inclusion)
    return WindowSource(windows, {"toy": labelled}, architecture)


def auxiliary_of(architecture, settings=None):
    tasks = resolve_auxiliary(EVERY if settings is None else settings, architecture)
    return Auxiliary(tasks, architecture, np.zeros(len(tasks)), np.ones(len(tasks)), 1.0)


def random_input(architecture, bins=20, dtype=torch.float32):
    length = max(bins * architecture.resolution, 2 * architecture.stride)
    codes = torch.randint(0, 4, (3, length + 2 * architecture.context))
    return one_hot(codes, DNA, dtype)


@pytest.mark.parametrize("preset", MODELS)
@pytest.mark.parametrize("labels", ["exclusive", "independent"])
@pytest.mark.parametrize("strands", ["augment", "average", "equivariant"])
def test_a_second_head_comes_and_goes_without_a_trace(preset, labels, strands):
    architecture = resolve_architecture(MODELS[preset])
    torch.manual_seed(0)
    network = build_network(architecture, 2, labels, strands)
    set_prior(network, np.array([0.1, 0.01]), labels)
    keys, x = list(network.state_dict()), random_input(architecture)
    before = network.eval()(x)
    auxiliary = auxiliary_of(architecture)
    auxiliary.attach(network)
    assert torch.equal(network.eval()(x), before)
    network.train()
    logits, guesses = auxiliary.split(network(x))
    assert logits.shape == before.shape
    assert guesses.shape == (len(x), len(FEWEST_BASES), before.shape[-1])
    assert torch.equal(logits, before) and guesses.std() > 0
    auxiliary.detach(network)
    assert list(network.state_dict()) == keys
    assert torch.equal(network.train()(x), before)


@pytest.mark.parametrize("preset", MODELS)
@pytest.mark.parametrize("strands", ["average", "equivariant"])
def test_both_heads_say_the_same_of_both_strands(preset, strands):
    architecture = resolve_architecture(MODELS[preset])
    torch.manual_seed(1)
    network = build_network(architecture, 2, "independent", strands)
    auxiliary_of(architecture).attach(network)
    network = network.double().train()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    x = random_input(architecture, dtype=torch.float64)
    found, other = network(x), network(x.flip(1, 2)).flip(-1)
    assert found.shape[1] == 2 + len(FEWEST_BASES)
    torch.testing.assert_close(found, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_targets_are_those_of_the_bin_and_its_flanks(strand):
    architecture = resolve_architecture(MODELS["motif_cnn"])
    codes = np.random.default_rng(2).integers(0, 4, 3000, dtype=np.uint8)
    codes[1000:1100] = DNA.unknown
    source = source_of(architecture, codes, strand)
    auxiliary = auxiliary_of(architecture, {"share": {"property": "gc", "flank": 7}})
    found = auxiliary.targets(source.batch(np.arange(len(source))))[:, 0].numpy()
    for row in range(len(source)):
        starts = 60 * row + 10 * np.arange(20)[:: 1 if strand == "+" else -1]
        for value, start in zip(found[row], starts):
            bases = codes[max(0, start - 7) : start + 17]
            known = bases[bases < 4]
            expected = np.isin(known, [1, 2]).mean() if len(known) >= 12 else np.nan
            assert value == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert np.isnan(found).any()


def test_losses_are_hubers_in_units_of_the_spread():
    architecture = resolve_architecture(MODELS["motif_cnn"])
    tasks = resolve_auxiliary({name: EVERY[name] for name in ("gc", "cpg")}, architecture)
    auxiliary = Auxiliary(tasks, architecture, np.array([0.5, 1.0]), np.array([0.1, 0.4]), 0.03)
    batch = source_of(architecture).batch(np.arange(12))
    guesses = 2 * torch.randn(12, 2, 20, generator=torch.manual_seed(3))
    raw = auxiliary_of(architecture, {n: EVERY[n] for n in ("gc", "cpg")}).targets(batch).numpy()
    assert np.isnan(raw).any()
    expected = []
    for task, (centre, spread) in enumerate([(0.5, 0.1), (1.0, 0.4)]):
        total = 0.0
        for guess, value in zip(guesses[:, task].flatten().tolist(), raw[:, task].flatten()):
            error = abs(guess - (value - centre) / spread)
            total += 0 if np.isnan(value) else (error**2 / 2 if error < 1 else error - 0.5)
        expected.append(total / (12 * 20))
    found = auxiliary.losses(guesses, batch)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert float(auxiliary.add_up(found)) == pytest.approx(0.03 * 0.5 * sum(expected), rel=1e-5)
    parts = [
        auxiliary.losses(guesses[rows], batch.rows(rows)) / 2 for rows in (slice(6), slice(6, 12))
    ]
    torch.testing.assert_close(sum(parts), found)


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
def test_prior_loss_is_that_of_a_network_that_knows_the_rates_alone(labels):
    """Of every 1,000 bins 20 are of one class and 5 of the other."""
    sites = torch.zeros(1, 2, 1000, dtype=torch.bool)
    sites[0, 0, :20] = sites[0, 1, 20:25] = True
    batch = Batch(torch.zeros(1, 4, 1), sites, torch.ones(1, 2, 1000))
    prevalence = np.array([0.02, 0.005])
    logits = log_prior(prevalence, labels).float()[None, :, None].expand(1, -1, 1000)
    expected = float(weighted_loss(logits, batch, labels))
    assert prior_loss(prevalence, labels) == pytest.approx(expected, rel=1e-5)


def test_unknown_sequence_teaches_nothing():
    architecture = resolve_architecture(MODELS["motif_cnn"])
    auxiliary = auxiliary_of(architecture)
    x = torch.zeros(2, 4, 200 + 2 * architecture.context)
    batch = Batch(x, torch.zeros(2, 1, 20, dtype=bool), torch.ones(2, 1, 20))
    guesses = torch.randn(2, 4, 20, requires_grad=True)
    auxiliary.add_up(auxiliary.losses(guesses, batch)).backward()
    assert torch.equal(guesses.grad, torch.zeros_like(guesses))


def test_spread_is_that_of_the_training_windows():
    architecture = resolve_architecture(MODELS["motif_cnn"])
    source = source_of(architecture)
    tasks = resolve_auxiliary(EVERY, architecture)
    values = auxiliary_of(architecture).targets(source.batch(np.arange(len(source)))).numpy()
    described = measure_spread(tasks, architecture, source).describe()
    for task, name in enumerate(EVERY):
        found = described[name]
        assert found["mean"] == pytest.approx(np.nanmean(values[:, task], dtype=np.float64))
        spread = np.nanstd(values[:, task], dtype=np.float64)
        assert found["standard_deviation"] == pytest.approx(spread, rel=1e-6)
        assert (found["property"], found["weight"], found["flank"]) == (name, 0.5, 5)


def test_signals_that_the_network_sees_change_no_property():
    architecture = resolve_architecture(MODELS["motif_cnn"])
    auxiliary = auxiliary_of(architecture)
    batch = source_of(architecture).batch(np.arange(4))
    seen = torch.cat([batch.x, torch.randn(4, 2, batch.x.shape[-1])], dim=1)
    with_signals = Batch(seen, batch.sites, batch.weights)
    found, expected = auxiliary.targets(with_signals), auxiliary.targets(batch)
    assert torch.equal(found.nan_to_num(-9), expected.nan_to_num(-9))


@pytest.mark.parametrize(
    ("letter", "message"), [(0, "only the value 0"), (DNA.unknown, "has no value in")]
)
def test_values_that_do_not_differ_are_refused(letter, message):
    architecture = resolve_architecture(MODELS["motif_cnn"])
    source = source_of(architecture, np.full(3000, letter, dtype=np.uint8))
    tasks = resolve_auxiliary({"share": {"property": "gc"}}, architecture)
    with pytest.raises(InputError, match=rf"auxiliary\.share .*{message}"):
        measure_spread(tasks, architecture, source)


def fit(settings, **training):
    architecture = resolve_architecture(MODELS["dilated"])
    source = source_of(architecture)
    torch.manual_seed(0)
    network = build_network(architecture, 1, "independent")
    tasks = resolve_auxiliary(settings, architecture)
    auxiliary = measure_spread(tasks, architecture, source) if tasks else None
    training = {"steps": 12, "batch": 6, "validations": 3} | training
    trainer = Trainer(
        network, source, source, ["x"], "independent", TrainingSettings(**training), 0,
        torch.device("cpu"), auxiliary=auxiliary,
    )  # fmt: skip
    history = trainer.fit()
    assert not any(isinstance(module, JointHead) for module in network.modules())
    return history, network.state_dict()


@pytest.mark.usefixtures("one_thread")
def test_a_task_is_learned():
    history, _ = fit({"share": EVERY["gc"]}, steps=75, learning_rate=0.02)
    losses = history["auxiliary_loss.share"]
    assert losses.iloc[-1] < 0.4 * losses.iloc[0]


@pytest.mark.usefixtures("one_thread")
def test_tasks_change_the_trunk_and_the_loss_of_the_classes_stays_its_own():
    one_step = {"steps": 1, "validations": 1}
    (alone, weights), (beside, others) = fit({}, **one_step), fit(EVERY, **one_step)
    assert weights.keys() == others.keys()
    assert alone["loss"].item() == pytest.approx(beside["loss"].item(), rel=1e-6)
    assert not torch.equal(weights["stem.0.weight"], others["stem.0.weight"])
    assert not any(name.startswith("auxiliary_loss") for name in alone)


@pytest.mark.usefixtures("one_thread")
def test_a_batch_in_parts_and_an_average_of_weights_go_with_it():
    (whole, first), (parts, second) = (fit(EVERY, average=0.5, accumulate=n) for n in (1, 3))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)
    columns = [f"auxiliary_loss.{name}" for name in EVERY]
    np.testing.assert_allclose(whole[columns], parts[columns], rtol=1e-4)
