import pytest
import torch
from torch.nn import functional

from genomesieve.pooling import SlidingMaximum


@pytest.mark.parametrize("bin_bp", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("margin", [0, 1, 2, 5, 7, 19, 20, 21, 40, 63])
def test_equals_the_maximum_pool_to_the_last_bit(bin_bp, margin):
    layer = SlidingMaximum(bin_bp, margin)
    for bins in (1, 2, 9):
        x = torch.randn(2, 3, 1, bins * bin_bp + 2 * margin)
        x = x.contiguous(memory_format=torch.channels_last)
        expected = functional.max_pool2d(x, (1, bin_bp + 2 * margin), (1, bin_bp))
        with torch.inference_mode():
            found = layer(x)
        assert found.shape == (2, 3, 1, bins)
        assert torch.equal(found, expected)
        assert torch.equal(layer(x), expected)


def test_gradient_is_that_of_the_maximum_pool():
    x = torch.randn(2, 3, 1, 50, requires_grad=True)
    weights = torch.randn(2, 3, 1, 4)
    found = torch.autograd.grad((SlidingMaximum(5, 15)(x) * weights).sum(), x)[0]
    plain = functional.max_pool2d(x, (1, 35), (1, 5))
    expected = torch.autograd.grad((plain * weights).sum(), x)[0]
    assert torch.equal(found, expected)
