"""The workflow on a real scheduler: who is granted what, and what becomes of lost jobs.

One small run goes through SLURM and is compared with the same run on this machine; then its scan is
lost in several ways. The tests follow each other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from toy_workflow import write_toy

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(600)]

NETWORK_RULES = ("train_model", "calibrate_model", "scan_genome")
THREADS = ["--set-threads", *(f"{rule}=2" for rule in NETWORK_RULES)]
"""Scores depend on the number of threads, which a local run cuts to its cores."""
PREPARE = """encode_genome extract_sites split_genome audit_leakage sample_windows
    augment_windows""".split()
FINISH = ["merge_scan_toy_labelled", "evaluate_scan", "render_report"]
GROUPS = ["--groups", *(f"{r}=prepare" for r in PREPARE), *(f"{r}=finish" for r in FINISH)]
"""Each job costs seconds: what needs no GPU goes in two."""
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
PYTHON = """#!/bin/sh
# `python` of the rules: writes down what the scheduler granted, waits while it is held, goes on.
name=$(basename "$1" .py)
echo "$name|${{SLURMD_NODENAME-}}|${{CUDA_VISIBLE_DEVICES-}}" >> {folder}/started.txt
for hold in {folder}/hold/*; do
    [ -e "$hold" ] || continue
    case "$*" in *"$(cat "$hold")"*) while [ -e "$hold" ]; do sleep 0.2; done ;; esac
done
exec {python} "$@"
"""


@dataclass
class Run:
    """A folder in which Snakemake runs, with a `python` for its rules that can be held."""

    folder: Path
    repository: Path

    def command(self, *arguments: str) -> list[str]:
        """Return a call of Snakemake."""
        options = ["--snakefile", str(self.repository / "Snakefile"), *arguments]
        return [sys.executable, "-m", "snakemake", *options, "--configfile", "config.yaml"]

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake; what it says goes to a file."""
        path = f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}"
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=os.environ | {"PATH": path},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def end(self, process: subprocess.Popen) -> tuple[int, str]:
        """Wait for Snakemake; return its exit status and what it said."""
        code = process.wait()
        return code, (self.folder / "said.txt").read_text()

    def started(self, script: str) -> list[tuple[str, str]]:
        """Return node and visible GPUs of each time that a script was started."""
        file = self.folder / "started.txt"
        rows = [line.split("|") for line in file.read_text().splitlines()] if file.exists() else []
        return [(node, gpus) for name, node, gpus in rows if name == script]

    def hold(self, number: int) -> Path:
        """Hold a shard of the scan until the returned file is deleted."""
        path = self.folder / "hold" / str(number)
        path.write_text(f"--shard {number} ")
        return path

    def scan(self) -> dict[str, bytes]:
        """Return the files of the merged scan by name, but for the summary, which tells times."""
        files = (self.folder / "results/toy/scan/toy").iterdir()
        kept = [file for file in files if file.is_file() and file.name != "summary.json"]
        return {file.name: file.read_bytes() for file in kept}

    def lose_scan(self) -> None:
        """Delete the scan, which takes one stage of jobs on GPUs and one on a CPU."""
        shutil.rmtree(self.folder / "results/toy/scan")
        (self.folder / "started.txt").unlink(missing_ok=True)


def wait_until(condition: Callable[[], object], seconds: int = 120) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} does not hold after {seconds} s"
        time.sleep(0.5)


def jobs() -> list[dict[str, str]]:
    """Return what the scheduler knows of all jobs that Snakemake submitted."""
    command = ["scontrol", "--details", "--oneliner", "show", "job"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]
    return [row for row in rows if row.get("Comment", "").startswith("rule_")]


def shard_jobs(number: int) -> list[dict[str, str]]:
    """Return the jobs of a shard, oldest first."""
    mine = [row for row in jobs() if row["Comment"].endswith(f"_{number}_2")]
    return sorted(mine, key=lambda row: int(row["JobId"]))


def planned(said: str) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake planned."""
    rows = re.findall(r"^(\w+)\s+(\d+)$", said, flags=re.MULTILINE)
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


@pytest.fixture(scope="module")
def runs(cluster, repository, tmp_path_factory) -> Iterator[tuple[Run, Run]]:
    """The same toy run on this machine and through SLURM."""
    both = []
    for name in ("local", "slurm"):
        folder = tmp_path_factory.mktemp(name)
        path = write_toy(folder)
        config = yaml.safe_load(path.read_text()) | {"device": "auto", "shards": 2}
        path.write_text(yaml.safe_dump(config))
        (folder / "bin").mkdir()
        (folder / "hold").mkdir()
        python = folder / "bin" / "python"
        python.write_text(PYTHON.format(folder=folder, python=sys.executable))
        python.chmod(0o755)
        both.append(Run(folder, repository))
    local, slurm = both
    here = local.start("--cores", "2", *THREADS)
    there = slurm.start("--workflow-profile", profile(repository), *QUICK, *THREADS, *GROUPS)
    try:
        for run, process in ((local, here), (slurm, there)):
            code, said = run.end(process)
            assert code == 0, said[-4000:]
        yield local, slurm
    finally:
        here.kill()
        there.kill()


def profile(repository: Path) -> str:
    """Return the profile that is shipped."""
    return str(repository / "profiles" / "slurm")


def test_scan_equals_that_of_a_local_run(runs):
    local, slurm = runs
    files = local.scan()
    assert {"calls.bed.gz", "scores.npy", "donor.plus.bw"} <= set(files)
    assert slurm.scan() == files
    shards = sorted(path.name for path in (slurm.folder / "results/toy/scan/toy/shards").iterdir())
    assert shards == ["1-of-2", "2-of-2"]


def test_scheduler_grants_gpus_to_networks_alone(runs):
    _, slurm = runs
    granted = {}
    for row in jobs():
        name = re.match("rule_(?:group_)?([a-z]+)", row["Comment"])[1]
        granted.setdefault(name, []).append((row["Partition"], row["JOB_GRES"], row["JobState"]))
    gpu, cpu = ("gpu", "gpu:fake:1", "COMPLETED"), ("cpu", "(null)", "COMPLETED")
    assert granted == {
        "prepare": [cpu], "train": [gpu], "calibrate": [gpu], "scan": [gpu, gpu], "finish": [cpu],
    }  # fmt: skip
    for rule in NETWORK_RULES:
        assert all(node == "gpu1" and gpus in "01" for node, gpus in slurm.started(rule))
    assert {gpus for _, gpus in slurm.started("scan_genome")} == {"0", "1"}
    assert all(node != "gpu1" and gpus == "" for node, gpus in slurm.started("merge_scan"))
    # Nothing can compute on these GPUs: `auto` says so, and the scores are those of the CPU.
    (log,) = (slurm.folder / "logs/toy/train_model").iterdir()
    assert "device cpu" in log.read_text()


def test_cancelled_job_and_time_limit_are_reported(runs):
    _, slurm = runs
    slurm.lose_scan()
    holds = [slurm.hold(1), slurm.hold(2)]
    limits = ["--set-resources", "scan_genome:runtime=1", "--retries", "0"]
    process = slurm.start(
        "--workflow-profile", profile(slurm.repository), *QUICK, *THREADS, *limits
    )
    wait_until(lambda: len(slurm.started("scan_genome")) == 2)
    subprocess.run(["scancel", shard_jobs(2)[-1]["JobId"]], check=True)
    code, said = slurm.end(process)
    for hold in holds:
        hold.unlink()
    assert code == 1
    lost = re.findall(r"SLURM-job '(\d+)' failed, SLURM status is: '(\w+)'", said)
    assert dict(lost) == {
        shard_jobs(1)[-1]["JobId"]: "TIMEOUT",
        shard_jobs(2)[-1]["JobId"]: "CANCELLED",
    }
    assert said.count("Error in rule scan_genome") == 2
    assert not (slurm.folder / "results/toy/scan/toy/calls.bed.gz").exists()


def test_rerun_on_a_drained_node_ends_with_the_same_calls(runs):
    """The other documented call; a shard is cancelled again, and the node of GPUs drained."""
    local, slurm = runs
    holds = [slurm.hold(1), slurm.hold(2)]
    before = len(slurm.started("scan_genome"))
    process = slurm.start("--profile", profile(slurm.repository), *QUICK, *THREADS, *GROUPS)
    wait_until(lambda: len(slurm.started("scan_genome")) == before + 2)
    node = ["scontrol", "update", "nodename=gpu1"]
    subprocess.run([*node, "state=drain", "reason=test"], check=True)
    cancelled = shard_jobs(2)[-1]
    subprocess.run(["scancel", cancelled["JobId"]], check=True)
    for hold in holds:
        hold.unlink()
    # It is tried again with twice the memory, and waits for the node; the other one ends there.
    wait_until(lambda: shard_jobs(2)[-1]["JobId"] != cancelled["JobId"])
    wait_until(lambda: shard_jobs(1)[-1]["JobState"] == "COMPLETED")
    retried = shard_jobs(2)[-1]
    assert (retried["JobState"], retried["MinMemoryNode"]) == ("PENDING", "8000M")
    assert cancelled["MinMemoryNode"] == "4000M"
    subprocess.run([*node, "state=resume"], check=True)
    code, said = slurm.end(process)
    assert code == 0, said[-4000:]
    assert planned(said) == {"scan_genome": 2} | dict.fromkeys(FINISH, 1)
    assert slurm.scan() == local.scan()


def submitted(run: Run, profile: Path, *arguments: str) -> str:
    """Return the options of sbatch for a training job; the job is not submitted."""
    stub = run.folder / "bin" / "sbatch"
    stub.write_text(f'#!/bin/sh\necho "$*" > {run.folder}/sbatch.txt\nexit 1\n')
    stub.chmod(0o755)
    only = ["--forcerun", "train_model", "--until", "train_model"]
    code, said = run.end(run.start("--workflow-profile", str(profile), *only, *arguments))
    stub.unlink()
    assert code == 1 and "SLURM sbatch failed" in said, said[-4000:]
    return (run.folder / "sbatch.txt").read_text().split(" --wrap=")[0]


@pytest.mark.parametrize(
    ("style", "device", "partition", "gpus"),
    [
        ("{}", "auto", "gpu", ["--gpus=1"]),
        ("{}", "cuda:0,1", "gpu", ["--gpus=2"]),
        ('{gpu: 0, gres: "gpu:1"}', "auto", "gpu", ["--gres=gpu:1"]),
        ("{gpu_model: a100}", "auto", "gpu", ["--gpus=a100:1"]),
        ("{}", "cpu", "cpu", []),
    ],
)
def test_style_of_gpu_requests_is_one_line(runs, tmp_path, style, device, partition, gpus):
    _, slurm = runs
    shutil.copytree(profile(slurm.repository), tmp_path / "site")
    path = tmp_path / "site" / "config.yaml"
    assert path.read_text().count("&gpu {}") == 1
    path.write_text(path.read_text().replace("&gpu {}", f"&gpu {style}"))
    options = submitted(slurm, tmp_path / "site", "--config", f"device={device}")
    assert f" -p {partition} " in options
    assert re.findall(r"--g(?:pus|res)=\S+", options) == gpus
    assert "--cpus-per-task=8" in options and "--mem 8000" in options and "-t 1440" in options
