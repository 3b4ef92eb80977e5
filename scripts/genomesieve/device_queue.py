"""Queues of work on a device, so that copies run beside computing; on a CPU all is done at once."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

Mark = torch.cuda.Event | None
"""A place in a queue; None on a CPU, where everything before it is done."""


def mark(device: torch.device) -> Mark:
    """Mark the place up to which work has been given to the current queue of a device."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def wait_here(place: Mark, device: torch.device) -> None:
    """Let the current queue of a device (not the program) wait for a place in another one."""
    if place is not None:
        torch.cuda.current_stream(device).wait_event(place)


class SideQueue:
    """A queue beside the main one.

    Parameters
    ----------
    device : torch.device
    urgent : bool
        Whether its small pieces of work go ahead of the main queue's where both could start.
    """

    def __init__(self, device: torch.device, urgent: bool = False):
        self.device = device
        self._stream = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device, priority=-1 if urgent else 0)

    def entered(self) -> AbstractContextManager:
        """Return a context in which work goes to this queue."""
        if self._stream is None:
            return contextlib.nullcontext()
        # A stream's context also makes its device the current one, in whichever thread this is.
        return torch.cuda.stream(self._stream)

    def finish(self) -> None:
        """Let the program wait until the queue is empty; the main queue works on."""
        if self._stream is not None:
            self._stream.synchronize()


def host_buffer(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return memory of the host from which or to which a device copies by itself."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def to_host(tensor: Tensor) -> Tensor:
    """Start a copy to the host; it is there when the current queue has got so far."""
    result = host_buffer(tuple(tensor.shape), tensor.dtype, tensor.device)
    return result.copy_(tensor, non_blocking=True)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Start a copy of a small array to a device in its current queue."""
    source = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        source = source.pin_memory()
    return source.to(device, non_blocking=True)
