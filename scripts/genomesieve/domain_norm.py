"""Batch normalisation with statistics of their own for every laboratory (domain).

Laboratories share scale and shift (Chang et al. 2019 give each its own): those of a laboratory
without labels could not be learned. Its statistics can be measured on its own data alone (AdaBN,
Li et al. 2016), which is how a laboratory that training never saw is scanned.

Which laboratory a window comes from is told to the layers before each pass (`use_laboratories`), so
that networks go on mapping sequence to logits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class DomainBatchNorm(nn.Module):
    """Batch normalisation of features (N, channels, 1, positions), laboratory by laboratory.

    In evaluation mode it uses the running statistics of each window's laboratory, and no buffer
    moves.

    Parameters
    ----------
    channels : int
    laboratories : int
    """

    is_layer = True

    def __init__(self, channels: int, laboratories: int = 1):
        super().__init__()
        self.eps, self.momentum = 1e-5, 0.1
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.laboratories: Tensor | None = None
        self.measures = False
        self.resize(laboratories)

    def resize(self, laboratories: int) -> None:
        """Make room for so many laboratories; all statistics start anew."""
        shape = laboratories, len(self.weight)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, channels, 1, positions), N a multiple of the windows told of.

        Raises
        ------
        RuntimeError
            If the laboratories of the windows have not been told.
        """
        if self.measures:
            variance, mean = torch.var_mean(x, dim=(0, 2, 3))
            self.measured = mean, variance
            rest = {"training": True, "eps": self.eps}
            return functional.batch_norm(x, None, None, self.weight, self.bias, **rest)
        numbers = self._laboratory_of_rows(x)
        return self._by_batch(x, numbers) if self.training else self._by_history(x, numbers)

    def _laboratory_of_rows(self, x: Tensor) -> Tensor:
        """Return the laboratory of each row, shape=(N,); where there is one it need not be told."""
        if self.laboratories is None and len(self.running_mean) == 1:
            return torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
        if self.laboratories is None:
            raise RuntimeError("norm domain: no laboratory was named; call use_laboratories first")
        # A trunk that works on windows of its own has several rows a window, one after the other.
        windows = len(self.laboratories)
        return self.laboratories.to(x.device).repeat_interleave(x.shape[0] // windows)

    def _by_batch(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Normalise by each laboratory's windows in this batch and remember their statistics."""
        rows, parts = [], []
        for one in numbers.unique().tolist():
            mine = torch.nonzero(numbers == one)[:, 0]
            rows.append(mine)
            parts.append(
                functional.batch_norm(
                    x[mine],
                    self.running_mean[one],
                    self.running_var[one],
                    self.weight,
                    self.bias,
                    training=True,
                    momentum=self.momentum,
                    eps=self.eps,
                )
            )
        return torch.cat(parts)[torch.cat(rows).argsort()]

    def _by_history(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Normalise by the running statistics of each window's laboratory."""
        scale = self.weight * torch.rsqrt(self.running_var[numbers] + self.eps)
        shift = self.bias - self.running_mean[numbers] * scale
        return torch.addcmul(
            shift[:, :, None, None].to(x.dtype), x, scale[:, :, None, None].to(x.dtype)
        )

    def fixed(self, mean: Tensor, variance: Tensor) -> nn.BatchNorm2d:
        """Return a plain batch normalisation with these statistics, in evaluation mode."""
        plain = nn.BatchNorm2d(len(self.weight), self.eps)
        plain.weight, plain.bias = self.weight, self.bias
        plain.running_mean, plain.running_var = mean.clone(), variance.clone()
        return plain.eval()


def domain_norms(network: nn.Module) -> list[DomainBatchNorm]:
    """List the layers of a network whose statistics belong to laboratories."""
    return [layer for layer in network.modules() if isinstance(layer, DomainBatchNorm)]


def use_laboratories(network: nn.Module, laboratories: Tensor | None) -> None:
    """Tell a network which laboratory (N,) each window of the next pass comes from."""
    for layer in domain_norms(network):
        layer.laboratories = laboratories


def fix_laboratory(network: nn.Module, number: int) -> nn.Module:
    """Return a copy of a network with the running statistics of one laboratory, for good."""
    return _fixed(network, lambda layer: (layer.running_mean[number], layer.running_var[number]))


def adapt_to_laboratory(network: nn.Module, x: Tensor) -> nn.Module:
    """Return a copy of a network with the statistics of unlabelled windows of a new laboratory.

    Layer after layer is normalised by what is measured in this one pass (Li et al. 2016).

    Parameters
    ----------
    network : torch.nn.Module
    x : torch.Tensor, shape=(N, letters + signals, L)
        Windows on both strands.
    """
    measuring = copy.deepcopy(network).eval()
    for layer in domain_norms(measuring):
        layer.measures = True
    with torch.no_grad():
        measuring(x)
    return _fixed(measuring, lambda layer: layer.measured)


def _fixed(
    network: nn.Module, statistics: Callable[[DomainBatchNorm], tuple[Tensor, Tensor]]
) -> nn.Module:
    """Return a copy of a network with plain batch normalisation in place of each domain layer."""
    network = copy.deepcopy(network).eval()
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, DomainBatchNorm):
                setattr(parent, name, layer.fixed(*statistics(layer)))
    return network
