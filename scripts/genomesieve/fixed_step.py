"""One step of a scan in fixed shape; on a GPU recorded once and replayed as a CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

_WARM_UPS = 2


class FixedStep:
    """A step from codes to scores that always runs on the same memory.

    Replaying a graph launches all operations of a step at once; its numbers are those of the
    operations one by one.

    Parameters
    ----------
    step : callable
        Maps codes (N, L), uint8, to a tensor, without waiting for the device.
    shape : tuple of int
        N and L.
    device : torch.device
    fill : int
        Code with which to start.
    graph : bool
        Whether to record a graph on a GPU.

    Attributes
    ----------
    codes : torch.Tensor, shape=(N, L), uint8
        What the next run reads; the caller writes it.
    recorded : bool
        Whether a graph is replayed.
    """

    def __init__(
        self,
        step: Callable[[Tensor], Tensor],
        shape: tuple[int, int],
        device: torch.device,
        fill: int,
        graph: bool = True,
    ):
        self._step = step
        self.codes = torch.full(shape, fill, dtype=torch.uint8, device=device)
        self._graph = self._result = None
        if graph and device.type == "cuda":
            self._record(device)

    @property
    def recorded(self) -> bool:
        """Whether a graph is replayed."""
        return self._graph is not None

    def run(self) -> Tensor:
        """Run the step on `codes`; the result holds until the next run."""
        if self._graph is None:
            return self._step(self.codes)
        self._graph.replay()
        return self._result

    def _record(self, device: torch.device) -> None:
        """Record the step, or say why it cannot be."""
        aside = torch.cuda.Stream(device)
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._step(self.codes)
        torch.cuda.current_stream(device).wait_stream(aside)
        torch.cuda.synchronize(device)
        # A graph has memory of its own: give back what the warm-up took.
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate memory meanwhile.
            with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                result = self._step(self.codes)
        except RuntimeError as error:  # an operation that waits for the device, or memory
            reason = " ".join(str(error).split())[:200]
            logger.warning("batches run without a CUDA graph, it cannot be recorded: %s", reason)
            torch.cuda.synchronize(device)
            return
        self._graph, self._result = graph, result


def compile_network(network: nn.Module, example: Callable[[nn.Module], object]) -> nn.Module:
    """Return a network compiled by torch.compile, or itself where that fails.

    Parameters
    ----------
    network : torch.nn.Module
    example : callable
        Runs a network in the shape that the scan uses, which is when it is compiled.
    """
    try:
        compiled = torch.compile(network, dynamic=False)
        example(compiled)
    except Exception as error:  # compilers of the machine may be missing or fail in any way
        reason = " ".join(str(error).split())[:200]
        logger.warning("network runs as it is, torch.compile failed: %s", reason)
        return network
    return compiled
