import logging

import pandas as pd
import pytest
import torch

from genomesieve.errors import InputError
from genomesieve.memory_limits import more_parts
from toy_training import DILATED, interrupt, toy_trainer

pytestmark = pytest.mark.usefixtures("one_thread")

CURVE = ["step", "loss", "validation_average_precision"]


class Memory(torch.nn.Module):
    """A network on a device that holds so many windows; more are out of memory, half-way."""

    def __init__(self, network, windows):
        super().__init__()
        self.network, self.windows, self.calls = network, windows, []

    def forward(self, x):
        self.calls.append(len(x))
        logits = self.network(x)
        if self.training and len(x) > self.windows:
            # Random numbers were drawn and some gradients are there.
            logits.sum().backward()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return logits


def limited(windows, model, **settings):
    trainer = toy_trainer(model, **settings)
    trainer._parallel = Memory(trainer.network, windows).train()
    return trainer


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (DILATED | {"norm": "layer", "dropout": 0.3}, {}),
        (DILATED | {"norm": "group"}, {"average": 0.8}),
        (DILATED | {"norm": "none"}, {"learning_rate": 0.003}),
        (DILATED | {"norm": "batch"}, {"freeze_norms": True}),
    ],
)
@pytest.mark.parametrize(("windows", "parts"), [(3, 2), (2, 4), (1, 6)])
def test_training_goes_on_as_with_smaller_parts(model, settings, windows, parts, caplog):
    """Bit for bit as if `accumulate` had been so much from the start."""
    whole = toy_trainer(model, accumulate=parts, **settings)
    expected = whole.fit()
    trainer = limited(windows, model, **settings)
    with caplog.at_level(logging.WARNING):
        history = trainer.fit()
    pd.testing.assert_frame_equal(history[CURVE], expected[CURVE], check_exact=True)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, trainer.network.state_dict()[key]), key
    assert trainer.state.parts == parts
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    lines = [record.getMessage() for record in warnings]
    assert len(lines) == {2: 1, 4: 2, 6: 3}[parts]
    assert lines[0] == (
        "out of memory with 6 windows at a time (CUDA out of memory): going on with parts of 3"
    )


def test_resumed_run_keeps_the_smaller_parts(tmp_path):
    model = DILATED | {"norm": "layer"}
    interrupt(limited(3, model, checkpoint=tmp_path), 5)
    trainer = limited(3, model, checkpoint=tmp_path)
    trainer.fit()
    assert trainer._parallel.calls and max(trainer._parallel.calls) == 3


@pytest.mark.parametrize(
    ("windows", "model", "settings", "message"),
    [
        (0, DILATED | {"norm": "layer"}, {}, "with 1 windows at a time .* lower sampling.length"),
        (3, DILATED | {"norm": "batch"}, {}, "would change the statistics of model.norm: lower tr"),
    ],
)
def test_training_stops_with_advice(windows, model, settings, message):
    trainer = limited(windows, model, **settings)
    with pytest.raises(InputError, match=message):
        trainer.fit()
    assert trainer.state.step == 0


def test_one_of_several_processes_stops_with_advice():
    with pytest.raises(InputError, match=r"in one of 2 processes; lower training.batch or raise"):
        more_parts(1, 8, "CUDA out of memory", processes=2)


def test_parts_are_at_most_the_windows():
    assert more_parts(3, 5, "full") == 5
