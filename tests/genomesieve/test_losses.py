import numpy as np
import pytest
import torch

from genomesieve.batches import Batch
from genomesieve.losses import Imbalance, weighted_loss
from genomesieve.networks import log_prior


def batch_of(classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    site = torch.rand(3, 1, 50, generator=generator) < 0.2
    which = torch.randint(0, classes, (3, 1, 50), generator=generator)
    sites = site & (which == torch.arange(classes)[None, :, None])
    weights = torch.rand(3, 1, 50, generator=generator).expand(3, classes, 50)
    return Batch(torch.zeros(3, 4, 50), sites, weights)


def probability_of_truth(logits, batch, labels):
    """The probability of what is right, straight from the definition, in float64."""
    if labels == "independent":
        chance = logits.double().sigmoid()
        return torch.where(batch.sites, chance, 1 - chance), batch.weights, batch.sites
    chance = logits.double().softmax(1)
    background = ~batch.sites.any(1, keepdim=True)
    truth = (chance * torch.cat([background, batch.sites], dim=1)).sum(1)
    return truth, batch.weights[:, 0], batch.sites.any(1)


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("positive_weight", [1.0, 7.0])
def test_loss_is_its_definition(labels, gamma, positive_weight):
    batch = batch_of(2)
    logits = torch.randn(3, 2 + (labels == "exclusive"), 50)
    truth, weights, positive = probability_of_truth(logits, batch, labels)
    weights = torch.where(positive, weights * positive_weight, weights)
    expected = (-((1 - truth) ** gamma) * truth.log() * weights).mean()
    imbalance = Imbalance(focal_gamma=gamma, positive_weight=positive_weight)
    found = weighted_loss(logits, batch, labels, imbalance)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_of_a_sure_answer_has_a_gradient_of_nothing(gamma):
    logits = torch.full((3, 1, 50), -60.0, requires_grad=True)
    batch = Batch(torch.zeros(3, 4, 50), torch.zeros(3, 1, 50, dtype=bool), torch.ones(3, 1, 50))
    weighted_loss(logits, batch, "independent", Imbalance(focal_gamma=gamma)).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("labels", ["exclusive", "independent"])
def test_adjusted_logits_learn_the_likelihood_ratio(labels):
    """With the log prior added in training, constant outputs learn nothing of the prevalence."""
    generator = torch.Generator().manual_seed(0)
    sites = torch.rand(1, 1, 20_000, generator=generator) < 0.05
    batch = Batch(torch.zeros(1, 4, 1), sites, torch.ones(1, 1, 20_000))
    rate = np.array([float(sites.float().mean())])
    prior = log_prior(rate, labels).float()[:, None]
    outputs = 1 + (labels == "exclusive")
    for tau in (0.0, 1.0):
        free = torch.zeros(outputs, 1, requires_grad=True)
        optimizer = torch.optim.LBFGS([free], max_iter=100)

        def closure(tau=tau, free=free, optimizer=optimizer):
            optimizer.zero_grad()
            logits = free.expand(1, outputs, 20_000)
            loss = weighted_loss(logits, batch, labels, Imbalance(logit_adjustment=tau), prior)
            loss.backward()
            return loss

        optimizer.step(closure)
        odds = free[-1, 0] - (free[0, 0] if outputs == 2 else 0)
        expected = 0.0 if tau else np.log(rate / (1 - rate))[0]
        assert float(odds.detach()) == pytest.approx(expected, abs=1e-2)
