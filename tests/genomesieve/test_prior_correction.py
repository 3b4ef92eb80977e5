"""The closed form: sites depend on one letter, so the posterior is a rate for each letter."""

import numpy as np
import pandas as pd
import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.errors import InputError
from genomesieve.losses import Imbalance
from genomesieve.networks import build_network, log_odds, log_prior, set_prior
from genomesieve.prior_correction import output_correction
from genomesieve.training import Trainer
from genomesieve.training_settings import TrainingSettings
from toy_training import CPU, toy_genome, toy_windows

LETTER = {"preset": "dilated", "trunk": "none", "stem_kernels": [1], "channels": 8, "norm": "none"}
LENGTH, WINDOW = 8_000, 200
RATES = np.array([[0.004, 0.01, 0.03, 0.08], [0.02, 0.005, 0.05, 0.01]])
"""Of each class, after each letter."""


def letter_problem():
    """Letters, and which base is a site of which class (-1: none), at exactly these rates."""
    generator = np.random.default_rng(1)
    codes = generator.permutation(np.repeat(np.arange(4, dtype=np.uint8), LENGTH // 4))
    label = np.full(LENGTH, -1)
    for letter in range(4):
        free = generator.permutation(np.flatnonzero(codes == letter))
        for number, rates in enumerate(RATES):
            count = round(rates[letter] * LENGTH / 4)
            label[free[:count]], free = number, free[count:]
    return codes, label


def sampled_source(codes, label):
    """Windows rich in sites three times as often as others, which their inclusion says."""
    position = np.flatnonzero(label >= 0)
    labelled = toy_genome(codes, position, np.array(["x", "y"])[label[position]])
    starts = np.arange(0, LENGTH, WINDOW)
    rich = (label.reshape(-1, WINDOW) >= 0).sum(1) > 10
    windows = pd.concat(
        [toy_windows(starts[~rich], WINDOW)] + 3 * [toy_windows(starts[rich], WINDOW, 3.0)],
        ignore_index=True,
    )
    assert 0 < rich.sum() < len(starts)
    return WindowSource(windows, {"toy": labelled}, resolve_architecture(LETTER))


def learned_posterior(labels, **settings):
    """Train, and return the probability of each class for each letter."""
    codes, label = letter_problem()
    source = sampled_source(codes, label)
    prevalence = np.array([(label == 0).mean(), (label == 1).mean()])
    torch.manual_seed(0)
    network = build_network(resolve_architecture(LETTER), 2, labels)
    given = {"steps": 400, "batch": len(source), "learning_rate": 0.05, "validations": 1}
    given = TrainingSettings.from_mapping(given | {"weight_decay": 0.0, "clip": 100.0} | settings)
    set_prior(network, prevalence, labels, 1 - given.logit_adjustment)
    Trainer(network, source, source, ["x", "y"], labels, given, 0, CPU, prevalence).fit()
    with torch.no_grad():
        probability = log_odds(network.eval()(torch.eye(4)[None]), labels)[0].sigmoid()
    return probability.numpy(), prevalence


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        ("independent", {"positive_weight": 25.0}),
        ("exclusive", {"logit_adjustment": 1.0}),
        ("independent", {"positive_weight": 8.0, "logit_adjustment": 0.5}),
        ("exclusive", {"positive_weight": 8.0, "logit_adjustment": 0.5}),
    ],
)
def test_corrected_posterior_is_the_closed_form(labels, settings):
    """Rates within 5 %, mean within 1 %; without the correction the mean is off by half or more."""
    found, prevalence = learned_posterior(labels, prior_correction=True, **settings)
    np.testing.assert_allclose(found, RATES, rtol=0.05)
    np.testing.assert_allclose(found.mean(1), prevalence, rtol=0.01)
    biased, _ = learned_posterior(labels, **settings)
    assert (np.abs(np.log(biased.mean(1) / prevalence)) > np.log(1.5)).all()


def test_order_of_one_class_stays_where_labels_are_independent_alone():
    """Two bins: background competes in one, the other class in the other."""
    logits = torch.tensor([[[2.0, -2.0], [1.0, 1.0], [-3.0, 2.2]]])
    imbalance = Imbalance(positive_weight=10.0)
    for labels, outputs, same in (
        ("independent", logits[:, 1:], True),
        ("exclusive", logits, False),
    ):
        correction = output_correction(imbalance, labels, outputs.shape[1])
        before, after = log_odds(outputs, labels)[0], log_odds(outputs + correction, labels)[0]
        assert torch.equal(before.argsort(-1)[0], after.argsort(-1)[0]) == same, labels


@pytest.mark.parametrize("labels", ["independent", "exclusive"])
def test_correction_is_that_of_the_odds(labels):
    prior = log_prior(np.array([0.01, 0.2]), labels).float()[:, None]
    found = output_correction(Imbalance(0.0, 4.0, 0.5), labels, len(prior), prior)
    weighted = torch.full_like(found, np.log(4.0))
    if labels == "exclusive":
        weighted[0] = 0
    torch.testing.assert_close(found, 0.5 * prior - weighted)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there is nothing to correct; expected training.positive_weight"),
        ({"positive_weight": 3.0, "focal_gamma": 2.0}, "focal loss does to probabilities has no c"),
        ({"focal_gamma": 2.0}, "has no closed form"),
    ],
)
def test_what_cannot_be_corrected_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings.from_mapping({"prior_correction": True} | settings)
