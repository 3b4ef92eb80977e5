"""A SLURM cluster on this machine for as long as the tests of this folder run."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Start the cluster, or skip with the reason why it cannot run here."""
    possible = subprocess.run([HERE / "slurm_up.sh", "--check"], capture_output=True, text=True)
    if possible.returncode == 3:
        pytest.skip(possible.stdout.strip())
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("Snakemake's SLURM plugin is not installed here: call `make test-slurm`")
    try:
        started = subprocess.run([HERE / "slurm_up.sh"], capture_output=True, text=True)
        if started.returncode == 3:
            pytest.skip(started.stdout.strip())
        assert started.returncode == 0, started.stdout + started.stderr
        yield
    finally:
        subprocess.run([HERE / "slurm_down.sh"], check=True)
