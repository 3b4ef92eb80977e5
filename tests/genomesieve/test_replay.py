import numpy as np
import pandas as pd
import pytest

from genomesieve.replay import with_old_windows
from toy_training import toy_windows


def table(count, rate, genome, valid=3):
    windows = toy_windows(range(0, 10 * (count + valid), 10), 10, rate)
    part = ["train"] * count + ["valid"] * valid
    return windows.assign(genome=genome, part=part)


@pytest.mark.parametrize("share, kept", [(0.2, (12, 12)), (0.5, (40, 12)), (None, (40, 12))])
def test_old_training_windows_come_in_and_weigh_as_much(share, kept):
    new, old = table(100, 4.0, "new"), [table(40, 0.1, "a"), table(12, 20.0, "b")]
    mixed = with_old_windows(new, old, share, seed=1)
    assert mixed[mixed["part"] == "valid"]["genome"].unique().tolist() == ["new"]
    train = mixed[mixed["part"] == "train"]
    assert train.groupby("genome").size().to_dict() == {"new": 100, "a": kept[0], "b": kept[1]}
    weights = 1 / np.stack(train["inclusion"]).ravel()
    means = pd.Series(weights).groupby(train["genome"].to_numpy()).mean()
    np.testing.assert_allclose(means, 0.25)
    again = with_old_windows(new, old, share, seed=1)
    pd.testing.assert_frame_equal(again, mixed)
