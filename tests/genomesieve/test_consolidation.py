"""Elastic weight consolidation on models whose posterior is known."""

import re

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from genomesieve.consolidation import (
    ElasticPenalty,
    OldTask,
    load_tasks,
    merge_tasks,
    parameters_of,
    save_tasks,
)
from genomesieve.errors import InputError

RIGHT = {"orthogonal": np.eye(3), "correlated": np.array([[1, 0.9, 0], [0.9, 1, 0.3], [0, 0.3, 1]])}


def gaussian_task(covariance, count, weights, seed):
    """Features with exactly this second moment, and noisy targets of a linear model."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 3))
    x = np.linalg.qr(x)[0] * np.sqrt(count) @ np.linalg.cholesky(covariance).T
    return x, x @ weights + generator.normal(size=count)


def least_squares(x, y):
    return np.linalg.lstsq(x, y, rcond=None)[0]


def linear(weights):
    layer = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weights)[None])
    return layer


def task_of(name, x, weights):
    """Return a linear-Gaussian task: the information of a weight is the mean of x squared."""
    fisher = {"weight": torch.as_tensor((x**2).mean(0))[None]}
    return OldTask(name, "expected", len(x), fisher, parameters_of(linear(weights)))


def consolidated(tasks, x, y, strength=1.0):
    """Minimise a new task's mean loss with the penalty, by Newton steps on a quadratic."""
    layer = linear(np.zeros(3))
    penalty = ElasticPenalty(tasks, strength, len(x), layer)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=500, tolerance_grad=1e-12)
    inputs, targets = torch.as_tensor(x), torch.as_tensor(y)[:, None]

    def loss():
        optimizer.zero_grad()
        value = 0.5 * (layer(inputs) - targets).square().mean() + penalty(layer)
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(loss)
    return layer.weight.detach().numpy()[0]


@pytest.fixture(params=RIGHT)
def tasks(request):
    covariance = RIGHT[request.param]
    old = gaussian_task(covariance, 400, np.array([1.0, -2.0, 0.5]), 0)
    new = gaussian_task(covariance, 100, np.array([-1.0, 1.0, 2.0]), 1)
    return request.param, old, new


def test_equals_the_joint_mode_where_features_are_orthogonal_alone(tasks):
    kind, old, new = tasks
    task = task_of("old", old[0], least_squares(*old))
    found = consolidated([task], *new)
    joint = least_squares(np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]]))
    gap = np.abs(found - joint).max()
    if kind == "orthogonal":
        assert gap < 1e-6
    else:
        # The diagonal leaves out how weights act together: EWC is not joint training.
        assert gap > 0.05
    x, y = new
    importance = len(old[0]) * np.diag((old[0] ** 2).mean(0))
    closed = np.linalg.solve(x.T @ x + importance, x.T @ y + importance @ least_squares(*old))
    np.testing.assert_allclose(found, closed, atol=1e-6)


def test_lambda_goes_from_forgetting_to_standing_still(tasks):
    _, old, new = tasks
    start = least_squares(*old)
    task = task_of("old", old[0], start)
    np.testing.assert_allclose(consolidated([task], *new, 0.0), least_squares(*new), atol=1e-5)
    np.testing.assert_allclose(consolidated([task], *new, 1e6), start, atol=1e-4)


def test_several_tasks_separate_and_online_agree_at_one_optimum():
    x, y = gaussian_task(np.eye(3), 200, np.array([1.0, 0.0, -1.0]), 0)
    new = gaussian_task(np.eye(3), 100, np.zeros(3), 1)
    start = least_squares(x, y)
    parts = [task_of("a", x[:80], start), task_of("b", x[80:], start)]
    merged = merge_tasks(parts)
    assert (merged.name, merged.observations) == ("a+b", 200)
    np.testing.assert_allclose(merged.fisher["weight"][0], (x**2).mean(0))
    found = [consolidated(tasks, *new) for tasks in (parts, [merged])]
    np.testing.assert_allclose(*found, atol=1e-8)
    decayed = merge_tasks(parts, 0.5)
    assert decayed.observations == 160
    expected = (40 * (x[:80] ** 2).mean(0) + 120 * (x[80:] ** 2).mean(0)) / 160
    np.testing.assert_allclose(decayed.fisher["weight"][0], expected)


def test_appended_rows_are_free():
    old, new = linear([1.0, 2.0, 3.0]), nn.Linear(3, 2, bias=False).double()
    task = OldTask("old", "expected", 10, {"weight": torch.ones(1, 3)}, parameters_of(old))
    with torch.no_grad():
        new.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]]))
    assert ElasticPenalty([task], 1.0, 10, new)(new).item() == 0
    with torch.no_grad():
        new.weight[0, 0] += 2
    assert ElasticPenalty([task], 3.0, 5, new)(new).item() == pytest.approx(3 / 2 * 10 / 5 * 4)


def test_files_hold_one_model_a_task_and_belong_to_its_weights(tmp_path):
    network = linear([1.0, 2.0, 3.0])
    weights = tmp_path / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    first = task_of("a", np.ones((5, 3)), np.zeros(3))
    last = task_of("b", np.full((7, 3), 2.0), [1.0, 2.0, 3.0])
    path = tmp_path / "fisher.safetensors"
    save_tasks(path, [last], weights)
    kept = safetensors.torch.load_file(path)
    assert sum(value.numel() for value in kept.values()) == network.weight.numel()
    save_tasks(path, [first, last], weights)
    found = load_tasks(path, tmp_path, network)
    for one, other in zip(found, [first, last]):
        assert (one.name, one.observations) == (other.name, other.observations)
        for what in ("fisher", "optimum"):
            assert torch.equal(getattr(one, what)["weight"], getattr(other, what)["weight"])
    safetensors.torch.save_file({"weight": torch.zeros(1, 3)}, weights)
    with pytest.raises(InputError, match="belongs to weights with SHA-256"):
        load_tasks(path, tmp_path, network)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "fisher.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        load_tasks(path, tmp_path, linear([0.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="Fisher information .* does not exist|not found"):
        load_tasks(tmp_path / "none", tmp_path, linear([0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"0.fisher.weight": torch.ones(1, 2)}, "weight has shape (1, 2); expected (1, 3)"),
        ({"0.fisher.weight": torch.ones(2, 3)}, "weight has shape (2, 3); expected (1, 3)"),
        ({"0.fisher.weight": torch.full((1, 3), torch.nan)}, "no finite numbers"),
        ({"0.fisher.weight": torch.full((1, 3), -1.0)}, "below 0"),
        ({"0.fisher.other": torch.ones(1, 3)}, "lacks weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    network = linear([1.0, 2.0, 3.0])
    weights = tmp_path / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    path = tmp_path / "fisher.safetensors"
    save_tasks(path, [task_of("a", np.ones((5, 3)), [1.0, 2.0, 3.0])], weights)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    safetensors.torch.save_file(change, path, metadata)
    with pytest.raises(InputError, match=re.escape(message)):
        load_tasks(path, tmp_path, network)


@pytest.mark.parametrize("notes", ["[]", '{"a": 1}', '[{"name": "a"}]', "[1]", "[" * 10_000])
def test_notes_that_say_nothing_are_refused(tmp_path, notes):
    path = tmp_path / "fisher.safetensors"
    safetensors.torch.save_file({"0.fisher.weight": torch.ones(1, 3)}, path, {"tasks": notes})
    with pytest.raises(InputError, match="describes its tasks|cannot be read"):
        load_tasks(path, tmp_path, linear([0.0, 0.0, 0.0]))
