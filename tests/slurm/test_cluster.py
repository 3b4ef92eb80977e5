"""The cluster that the tests start: one that was killed before starts again with nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def processes(name: str) -> list[int]:
    """Return the living processes of a name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in path.read_text().splitlines())
        except (ProcessLookupError, FileNotFoundError):
            continue
        if fields["Name"] == name and not fields["State"].startswith("Z"):
            found.append(int(path.parent.name))
    return found


def test_killed_cluster_starts_again(cluster):
    output("sbatch", "--mem=50", "--output=/dev/null", "--wrap=sleep 600")
    output("srun", "--mem=50", "true")
    assert output("squeue", "--noheader", "--states=running", "--format=%j") == "wrap\n"
    (step,) = processes("slurmstepd")
    for name in ("slurmctld", "slurmd"):
        for process in processes(name):
            os.kill(process, signal.SIGKILL)
    assert output(HERE / "slurm_up.sh").startswith("SLURM runs: cpu1 (cpu*) cpu2 (cpu*) gpu1 (gpu)")
    assert step not in processes("slurmstepd")
    assert output("squeue", "--noheader", "--states=running") == ""
