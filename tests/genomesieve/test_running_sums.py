import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from genomesieve.running_sums import running_sum


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 40, 80, 127])
@pytest.mark.parametrize("stride", [1, 3, 10])
def test_equals_the_sum_of_every_window(width, stride):
    generator = np.random.default_rng(0)
    for length in (width, width + 1, width + 64):
        x = generator.normal(size=(2, 3, length))
        found = running_sum(torch.from_numpy(x), width, stride).numpy()
        expected = sliding_window_view(x, width, axis=-1).sum(-1)[..., ::stride]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-12)
