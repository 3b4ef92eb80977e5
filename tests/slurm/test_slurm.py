"""The workflow on a real scheduler: who is granted what, and what becomes of lost jobs.

One small run goes through SLURM and is compared with the same run on this machine; then its scan is
lost in several ways. The tests follow each other, and the time limit runs out beside them.
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

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1200)]

NETWORK_RULES = ("train_model", "calibrate_model", "scan_genome")
THREADS = ["--set-threads", *(f"{rule}=2" for rule in NETWORK_RULES)]
"""Scores depend on the number of threads, which a local run cuts to its cores."""
PREPARE = """encode_genome extract_sites split_genome audit_leakage sample_windows
    augment_windows""".split()
FINISH = ["merge_scan_toy_labelled", "evaluate_scan", "estimate_transfer", "write_hub"]
FINISH += ["view_calls", "render_report", "record_provenance"]
GROUPS = ["--groups", *(f"{r}=prepare" for r in PREPARE), *(f"{r}=finish" for r in FINISH)]
"""Each job costs seconds: what needs no GPU goes in two."""
QUICK = [
    "--slurm-init-seconds-before-status-checks", "4", "--latency-wait", "10",
    "--max-jobs-per-timespan", "100/1s",
]  # fmt: skip
"""The plugin looks after 4, 18 and 42 s for what has ended; most jobs take 8 to 16. With the
profile's jobs a minute, Snakemake could end a minute after the last job."""
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

    def __post_init__(self) -> None:
        for name in ("bin", "hold"):
            (self.folder / name).mkdir(exist_ok=True)
        python = self.folder / "bin" / "python"
        python.write_text(PYTHON.format(folder=self.folder, python=sys.executable))
        python.chmod(0o755)

    @property
    def profile(self) -> str:
        """The profile that is shipped."""
        return str(self.repository / "profiles" / "slurm")

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake; what it says goes to a file."""
        command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml"]
        command += ["--snakefile", str(self.repository / "Snakefile"), *arguments]
        path = f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}"
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                command,
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

    def hold(self, shard: int) -> Path:
        """Hold a shard of the scan until the returned file is deleted."""
        path = self.folder / "hold" / str(shard)
        path.write_text(f"--shard {shard} ")
        return path

    def jobs(self, comment: str = "") -> list[dict[str, str]]:
        """Return what the scheduler knows of this folder's jobs, oldest first."""
        command = ["scontrol", "--details", "--oneliner", "show", "job"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in done.stdout.splitlines()]
        mine = [row for row in rows if row.get("WorkDir") == str(self.folder)]
        mine = [row for row in mine if row.get("Comment", "").endswith(comment)]
        return sorted(mine, key=lambda row: int(row["JobId"]))

    def shard_jobs(self, shard: int) -> list[dict[str, str]]:
        """Return the jobs of one shard of the scan, oldest first."""
        return self.jobs(f"_{shard}_2")

    def scan(self) -> dict[str, bytes]:
        """Return the files of the merged scan by name, but for the summary, which tells times."""
        files = (self.folder / "results/toy/scan/toy").iterdir()
        kept = [file for file in files if file.is_file() and file.name != "summary.json"]
        return {file.name: file.read_bytes() for file in kept}

    def lose_scan(self) -> None:
        """Delete the scan, which takes one stage of jobs on GPUs and one on a CPU."""
        shutil.rmtree(self.folder / "results/toy/scan/toy")
        (self.folder / "started.txt").unlink()


def wait_until(condition: Callable[[], object], seconds: int = 300) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.5)


def planned(said: str) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake planned."""
    table = said.split("Job stats:")[1].split("\n\n")[0]
    rows = re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


def failures(said: str) -> dict[str, str]:
    """Return the states that SLURM gave of jobs that Snakemake took for failed, by job."""
    return dict(re.findall(r"SLURM-job '(\d+)' failed, SLURM status is: '(\w+)'", said))


@pytest.fixture(scope="module")
def runs(cluster, repository, tmp_path_factory) -> Iterator[tuple[Run, Run]]:
    """The same toy run on this machine and through SLURM."""
    both = []
    for name in ("local", "slurm"):
        folder = tmp_path_factory.mktemp(name)
        path = write_toy(folder)
        config = yaml.safe_load(path.read_text()) | {"device": "auto", "shards": 2}
        path.write_text(yaml.safe_dump(config))
        both.append(Run(folder, repository))
    local, slurm = both
    here = local.start("--cores", "2", *THREADS)
    there = slurm.start("--workflow-profile", slurm.profile, *QUICK, *THREADS, *GROUPS)
    try:
        for run, process in ((local, here), (slurm, there)):
            code, said = run.end(process)
            assert code == 0, said[-4000:]
        yield local, slurm
    finally:
        here.kill()
        there.kill()


@pytest.fixture(scope="module")
def late(runs, tmp_path_factory) -> Iterator[tuple[Run, subprocess.Popen]]:
    """A copy of the run that scans again, with a shard that is held beyond its time limit."""
    folder = tmp_path_factory.mktemp("late")
    shutil.copytree(runs[1].folder, folder, dirs_exist_ok=True)
    late = Run(folder, runs[1].repository)
    late.lose_scan()
    late.hold(1)
    limit = ["--set-resources", "scan_genome:runtime=1", "--retries", "0"]
    process = late.start("--workflow-profile", late.profile, *QUICK, *THREADS, *limit)
    wait_until(lambda: len(late.started("scan_genome")) == 2)
    yield late, process
    process.kill()


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
    for row in slurm.jobs():
        name = re.match("rule_([a-z]+)", row["Comment"])[1]
        granted.setdefault(name, []).append((row["Partition"], row["JOB_GRES"], row["JobState"]))
    gpu, cpu = ("gpu", "gpu:fake:1", "COMPLETED"), ("cpu", "(null)", "COMPLETED")
    assert granted == {
        "prepare": [cpu], "train": [gpu], "calibrate": [gpu], "scan": [gpu, gpu], "finish": [cpu],
    }  # fmt: skip
    for rule in NETWORK_RULES:
        assert all(node == "gpu1" and gpus in "0123" for node, gpus in slurm.started(rule))
    assert {gpus for _, gpus in slurm.started("scan_genome")} == {"0", "1"}
    assert all(node != "gpu1" and gpus == "" for node, gpus in slurm.started("merge_scan"))
    # Nothing can compute on these GPUs: `auto` says so, and the scores are those of the CPU.
    (log,) = (slurm.folder / "logs/toy/train_model").iterdir()
    assert "device cpu" in log.read_text()


@pytest.mark.usefixtures("late")
def test_cancelled_job_is_reported(runs):
    _, slurm = runs
    slurm.lose_scan()
    hold = slurm.hold(2)
    process = slurm.start(
        "--workflow-profile", slurm.profile, *QUICK, *THREADS, *GROUPS, "--retries", "0"
    )
    wait_until(lambda: len(slurm.started("scan_genome")) == 2)
    cancelled = slurm.shard_jobs(2)[-1]["JobId"]
    subprocess.run(["scancel", cancelled], check=True)
    code, said = slurm.end(process)
    hold.unlink()
    assert code == 1 and failures(said) == {cancelled: "CANCELLED"}
    shards = slurm.folder / "results/toy/scan/toy/shards"
    assert [path.name for path in shards.iterdir()] == ["1-of-2"]


def test_rerun_on_a_drained_node_does_what_was_lost(runs):
    """The job is cancelled again, and the node of GPUs drained before it is tried once more."""
    local, slurm = runs
    hold = slurm.hold(2)
    before = len(slurm.started("scan_genome"))
    process = slurm.start("--workflow-profile", slurm.profile, *QUICK, *THREADS, *GROUPS)
    wait_until(lambda: len(slurm.started("scan_genome")) == before + 1)
    node = ["scontrol", "update", "nodename=gpu1"]
    subprocess.run([*node, "state=drain", "reason=test"], check=True)
    cancelled = slurm.shard_jobs(2)[-1]
    subprocess.run(["scancel", cancelled["JobId"]], check=True)
    hold.unlink()
    wait_until(lambda: slurm.shard_jobs(2)[-1]["JobId"] != cancelled["JobId"])
    # The scheduler has a reason for a job that it does not start.
    wait_until(lambda: slurm.shard_jobs(2)[-1]["Reason"] != "None")
    retried = slurm.shard_jobs(2)[-1]
    assert (retried["JobState"], retried["MinMemoryNode"]) == ("PENDING", "10000M")
    assert cancelled["MinMemoryNode"] == "5000M"
    subprocess.run([*node, "state=resume"], check=True)
    code, said = slurm.end(process)
    assert code == 0, said[-4000:]
    assert planned(said) == dict.fromkeys(["scan_genome", *FINISH], 1)
    assert slurm.scan() == local.scan()


def submitted(run: Run, profile: Path, *arguments: str) -> str:
    """Return the options of sbatch for a training job; the job is not submitted."""
    stub = run.folder / "bin" / "sbatch"
    stub.write_text(f'#!/bin/sh\necho "$*" > {run.folder}/sbatch.txt\nexit 1\n')
    stub.chmod(0o755)
    only = [*QUICK, "--forcerun", "train_model", "--until", "train_model"]
    code, said = run.end(run.start("--workflow-profile", str(profile), *only, *arguments))
    stub.unlink()
    assert code == 1 and "SLURM sbatch failed" in said, said[-4000:]
    return (run.folder / "sbatch.txt").read_text().split(" --wrap=")[0]


@pytest.mark.parametrize(
    ("style", "device", "partition", "gpus"),
    [
        ("{}", "auto", "gpu", ["--gpus=1"]),
        ('{gpu: 0, gres: "gpu:1"}', "auto", "gpu", ["--gres=gpu:1"]),
        ("{gpu_model: a100}", "auto", "gpu", ["--gpus=a100:1"]),
        ("{}", "cpu", "cpu", []),
    ],
)
def test_style_of_gpu_requests_is_one_line(runs, tmp_path, style, device, partition, gpus):
    _, slurm = runs
    shutil.copytree(slurm.profile, tmp_path / "site")
    path = tmp_path / "site" / "config.yaml"
    assert path.read_text().count("&gpu {}") == 1
    path.write_text(path.read_text().replace("&gpu {}", f"&gpu {style}"))
    options = submitted(slurm, tmp_path / "site", "--config", f"device={device}")
    assert f" -p {partition} " in options
    assert re.findall(r"--g(?:pus|res)=\S+", options) == gpus
    assert "--cpus-per-task=8" in options and "--mem 8000" in options and "-t 1440" in options


def test_time_limit_is_reported_and_a_rerun_does_what_was_lost(runs, late):
    """The rerun is the other documented call, under which the default profile is read as well."""
    run, process = late
    code, said = run.end(process)
    job = run.shard_jobs(1)[-1]["JobId"]
    assert code == 1 and failures(said) == {job: "TIMEOUT"}
    (log,) = run.folder.glob(f".snakemake/slurm_logs/**/{job}.log")
    assert "DUE TO TIME LIMIT" in log.read_text()
    (run.folder / "hold" / "1").unlink()
    calls = "results/toy/scan/toy/calls.bed.gz"
    code, said = run.end(run.start(calls, "--profile", run.profile, *QUICK, *THREADS))
    assert code == 0, said[-4000:]
    assert "profiles/default" in said
    assert planned(said) == {"scan_genome": 1, "merge_scan_toy_labelled": 1}
    found, whole = run.scan(), runs[0].scan()
    # Nobody asked for the hub, which describes the same tracks.
    assert set(whole) - set(found) == {
        "hub.txt",
        "genomes.txt",
        "trackDb.txt",
        "calls.bb",
        "genome.2bit",
    }
    assert found == {name: whole[name] for name in found}
