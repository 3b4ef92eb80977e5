"""Valid convolutions along a sequence, in the shapes and layouts that run fast.

One-dimensional convolutions run as two-dimensional ones of height 1 in channels-last layout, which
is the faster path on CPUs (oneDNN) and no slower on GPUs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_FEWEST_CHANNELS = 16
"""Below this, products of matrices are too thin to beat the library's own weight gradient."""


class Convolution(nn.Conv2d):
    """A valid convolution along the sequence, on tensors of shape (N, channels, 1, length)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1):
        super().__init__(inputs, outputs, (1, kernel), dilation=(1, dilation))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 1, length) to (N, outputs, 1, length - (kernel - 1) * dilation)."""
        # Read once: a tied weight is put together anew each time it is asked for.
        weight, bias = self.weight, self.bias
        if _gains_from_products(self, weight, x):
            return _ProductConvolution.apply(x, weight, bias, self.dilation[1])
        return functional.conv2d(x, weight, bias, dilation=self.dilation)


class HeadConvolution(Convolution):
    """A network's last layer, of one tap, in float32 whatever the precision before it.

    Scores of rare sites are sums of large terms; rounded ones would move calls.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, 1, length) to (N, outputs, 1, length)."""
        with without_autocast(x):
            return super().forward(at_least_float32(x))


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Return a context in which nothing is computed in reduced precision."""
    counted_only = x.device.type == "meta"
    return nullcontext() if counted_only else torch.autocast(x.device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """Return a tensor in float32, or as it is where it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _gains_from_products(layer: Convolution, weight: Tensor, x: Tensor) -> bool:
    """Tell whether a training step is faster with `_ProductConvolution`."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and min(layer.in_channels, layer.out_channels) >= _FEWEST_CHANNELS
        # oneDNN has a good weight gradient of its own for wider vectors.
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )


class _ProductConvolution(torch.autograd.Function):
    """A convolution whose weight gradient is one matrix product a tap.

    With 256-bit vectors, oneDNN's own weight gradient reaches about a third of the processor's rate
    and matrix products two thirds: a training step takes 0.7 of the time. Results differ by
    rounding only.
    """

    @staticmethod
    def forward(context, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        """Convolve, and keep what the gradient needs."""
        context.save_for_backward(x, weight)
        context.dilation = dilation
        return functional.conv2d(x, weight, bias, dilation=(1, dilation))

    @staticmethod
    @once_differentiable
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Return the gradients of input, weight and bias."""
        x, weight = context.saved_tensors
        dilation = context.dilation
        of_input = None
        if context.needs_input_grad[0]:
            of_input, _, _ = torch.ops.aten.convolution_backward(
                gradient,
                x,
                weight,
                None,
                stride=[1, 1],
                padding=[0, 0],
                dilation=[1, dilation],
                transposed=False,
                output_padding=[0, 0],
                groups=1,
                output_mask=[True, False, False],
            )
        # In channels-last layout (N, length, channels) is how the numbers lie in memory.
        outputs, inputs = gradient.squeeze(2), x.squeeze(2).transpose(1, 2)
        length = outputs.shape[2]
        taps = [
            torch.bmm(outputs, inputs[:, tap * dilation : tap * dilation + length]).sum(0)
            for tap in range(weight.shape[3])
        ]
        return (
            of_input,
            torch.stack(taps, dim=1).transpose(1, 2).unsqueeze(2),
            outputs.sum((0, 2)),
            None,
        )
