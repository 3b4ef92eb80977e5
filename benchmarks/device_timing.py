"""Clocks, rooflines and names of a device: events on a GPU, the program's clock on a CPU."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import torch
from measuring import median


class Budget:
    """Time that is left of a run, and of the stage that it is in.

    Parameters
    ----------
    seconds : float
        Of the whole run, from now on.
    """

    def __init__(self, seconds: float):
        self._end = self._stage_end = time.monotonic() + seconds

    def stage(self, most: float) -> None:
        """Begin a stage that may take so many seconds, or what is left of the run."""
        self._stage_end = min(self._end, time.monotonic() + most)

    def left(self) -> float:
        """Return the seconds left of the stage."""
        return self._stage_end - time.monotonic()


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a device takes from the first to the last work that `run` gives it.

    On a GPU both are events in its queue, so that pauses in which the program was late count.
    """
    if device.type != "cuda":
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin
    torch.cuda.synchronize(device)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    torch.cuda.synchronize(device)
    return first.elapsed_time(last) / 1e3


def repeated(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of some runs after one to warm up."""
    run()
    return median([timed(run, device) for _ in range(repeats)])


def matrix_rate(device: torch.device, size: int, repeats: int) -> float:
    """Return the operations a second of a square bfloat16 matrix product."""
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * size**3 / repeated(lambda: torch.mm(a, b, out=out), device, repeats)


def copy_rate(device: torch.device, size: int, repeats: int) -> float:
    """Return the bytes a second, read and written, of a copy on the device."""
    a = torch.zeros(size, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    return 2 * size / repeated(lambda: b.copy_(a), device, repeats)


def describe_device(device: torch.device) -> dict:
    """Return the name of the device and, of a GPU, what its driver tells."""
    if device.type != "cuda":
        return {"gpu": "none: run on the CPU"}
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": read_driver(device),
    }


def read_driver(device: torch.device) -> dict:
    """Ask nvidia-smi for driver, clocks and power; what it does not tell is left out."""
    fields = (
        "driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "power.draw", "power.limit",
    )  # fmt: skip
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        line = done.stdout.splitlines()[device.index or 0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return {}
    return dict(zip(fields, (value.strip() for value in line.split(","))))
