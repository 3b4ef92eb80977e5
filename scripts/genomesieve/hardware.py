"""What a run was computed on, as results tell it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_LIBRARIES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy")


def describe_hardware(devices: Sequence[torch.device]) -> dict[str, object]:
    """Return processor, cores, and names of the GPUs among `devices`.

    Parameters
    ----------
    devices : sequence of torch.device
    """
    gpus = [torch.cuda.get_device_name(one) for one in devices if one.type == "cuda"]
    return {"processor": processor(), "cores": os.cpu_count(), "gpus": gpus}


def processor() -> str:
    """Return the name of the processor, or of its kind where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that scores depend on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
