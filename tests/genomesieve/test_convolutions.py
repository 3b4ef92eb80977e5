import numpy as np
import pytest
import torch
from scipy.signal import correlate

from genomesieve import convolutions
from genomesieve.convolutions import Convolution


@pytest.fixture(params=["AVX2", "AVX512"])
def capability(request, monkeypatch):
    """Take the way that a processor with these vectors takes."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


def layer_and_input(inputs=20, outputs=16, kernel=5, dilation=3):
    torch.manual_seed(0)
    layer = Convolution(inputs, outputs, kernel, dilation)
    layer = layer.to(torch.float32, memory_format=torch.channels_last)
    x = torch.randn(3, inputs, 1, 40).contiguous(memory_format=torch.channels_last)
    return layer, x.requires_grad_()


def test_output_is_the_correlation_with_each_filter(capability):
    layer, x = layer_and_input(dilation=1)
    found = layer(x)
    expected = correlate(
        x.detach().numpy()[1, :, 0].astype(np.float64),
        layer.weight.detach().numpy()[2, :, 0].astype(np.float64),
        mode="valid",
    )
    bias = float(layer.bias[2].detach())
    assert found.shape == (3, 16, 1, 36)
    assert np.allclose(found[1, 2, 0].detach().numpy(), expected[0] + bias, atol=1e-4)


@pytest.mark.parametrize("dilation", [1, 2, 7])
def test_gradients_are_those_of_the_library_in_double_precision(capability, dilation):
    layer, x = layer_and_input(dilation=dilation)
    parameters = [x, layer.weight, layer.bias]
    output = layer(x)
    assert ("Product" in type(output.grad_fn).__name__) == (capability == "AVX2")
    weights = torch.randn_like(output)
    found = torch.autograd.grad((output * weights).sum(), parameters)
    double = [item.detach().double().requires_grad_() for item in parameters]
    plain = torch.nn.functional.conv2d(*double, dilation=(1, dilation))
    expected = torch.autograd.grad((plain * weights.double()).sum(), double)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one.double(), other, atol=1e-4, rtol=1e-5)


def test_thin_layers_and_scans_use_the_library(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    layer, x = layer_and_input(inputs=4)
    assert "Product" not in type(layer(x).grad_fn).__name__
    layer, x = layer_and_input()
    monkeypatch.setattr(convolutions._ProductConvolution, "apply", None)
    with torch.inference_mode():
        assert layer(x).shape[1] == 16
