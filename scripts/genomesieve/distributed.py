"""Training in several processes, one a device: each takes its share of every batch.

Gradients are added up by PyTorch's DistributedDataParallel, so that the processes together take the
steps that one process would take with the whole batch.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from genomesieve.domain_norm import domain_norms
from genomesieve.errors import InputError
from genomesieve.norms import has_batch_statistics

_PATIENCE = datetime.timedelta(minutes=30)
"""How long a process waits for the others, which may be reading a genome."""


@dataclass(frozen=True)
class Workers:
    """The processes that train together, seen from one of them.

    Parameters
    ----------
    rank : int
        Number of this process; 0 logs and writes.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that logs and writes."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's part of a batch; parts differ by one window at most."""
        return np.array_split(rows, self.size)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """Add up what all processes have, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def from_first(self, values: Tensor) -> Tensor:
        """Replace what this process has by what the first one has, in place."""
        if self.size > 1:
            torch.distributed.broadcast(values, src=0)
        return values

    def share_statistics(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Let batch normalisation on GPUs take its statistics over all processes.

        Names of weights stay what they were.
        """
        if self.size > 1 and device.type == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap a network in training mode so that its gradients are means over the processes.

        Raises
        ------
        InputError
            If it would take statistics of each process's share alone.
        """
        if self.size == 1:
            return network
        if any(layer.training for layer in domain_norms(network)):
            raise InputError(
                f"model.norm is domain and training runs in {self.size} processes, each with a "
                "share of the laboratories; expected one process, or training.freeze_norms"
            )
        if device.type != "cuda" and has_batch_statistics(network):
            raise InputError(
                f"model.norm is batch and training runs in {self.size} processes on the CPU, where "
                "its statistics cannot be taken over all of them; expected one process, norm group "
                "or layer, or training.freeze_norms"
            )
        numbers = None if device.index is None else [device.index]
        return DistributedDataParallel(network, device_ids=numbers)


ALONE = Workers()
"""One process by itself."""


def without_exchange(network: nn.Module) -> AbstractContextManager:
    """Return a context in which gradients are added up in this process alone."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return contextlib.nullcontext()


@contextlib.contextmanager
def joined(
    rank: int, size: int, device: torch.device, rendezvous: str = "env://"
) -> Iterator[Workers]:
    """Join the processes that train together.

    Parameters
    ----------
    rank, size : int
    device : torch.device
        Of this process; GPUs talk by NCCL, CPUs by gloo.
    rendezvous : str
        Where they meet: `file:///path` of a file that is not there yet, or `env://`, which
        torchrun fills in.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    torch.distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=rendezvous,
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
    )
    yield Workers(rank, size)
    # Left open after a failure: the others would report a closed connection instead of the reason.
    torch.distributed.destroy_process_group()


def torchrun_place() -> tuple[int, int, int] | None:
    """Return rank, size and number on this machine as torchrun sets them; None without it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if not all(name in os.environ for name in names):
        return None
    rank, size, local = (int(os.environ[name]) for name in names)
    return rank, size, local


def device_of_process(devices: list[torch.device], local: int) -> torch.device:
    """Return the device of one of torchrun's processes on this machine.

    Raises
    ------
    InputError
        If there are more processes than GPUs.
    """
    if devices[0].type == "cpu":
        return devices[0]
    if local >= len(devices):
        raise InputError(
            f"torchrun started more processes on this machine than --device names GPUs, "
            f"{len(devices)}; expected --nproc-per-node {len(devices)}"
        )
    return devices[local]
