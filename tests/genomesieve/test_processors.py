"""Memory that a process keeps: as many page faults as before, or hardly any."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from genomesieve.processors import keep_freed_memory
    assert keep_freed_memory()
def work():
    blocks = [np.ones(1 << 20) for _ in range(8)]
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str, repository) -> int:
    """Page faults of a process that takes and frees blocks of 8 MiB again and again."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, word],
        capture_output=True, text=True, check=True, cwd=repository / "scripts",
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
def test_freed_memory_is_kept(repository):
    assert faults("keep", repository) < faults("default", repository) / 10


def test_threads_are_set(one_thread):
    import torch

    from genomesieve.processors import use_threads

    use_threads(2)
    assert torch.get_num_threads() == 2
