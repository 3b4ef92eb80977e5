"""What happens when a run is hurt, and that the next one ends where an unhurt one does.

Each test copies a finished small run, takes away what is to be made again, hurts the run that makes
it, and compares the calls of the run after that with those of the unhurt one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from toy_workflow import planned_jobs, snakemake, snakemake_command, write_toy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

STEPS = {"steps": 150, "batch": 8, "learning_rate": 0.01, "validations": 3}
STEPS |= {"checkpoint_minutes": 0.005}
SETTINGS = ("--configfile", "config.yaml", "--cores", "2")
SCAN = "results/toy/scan/toy"
SHARDS = f"{SCAN}/shards"
LATER = {"calibrate_model", "note_scan_settings", "scan_genome", "merge_scan_toy_labelled"}
LATER |= {"evaluate_scan", "estimate_transfer", "write_hub"}
LATER |= {"view_calls", "render_report", "record_provenance"}


@pytest.fixture(scope="module")
def unhurt(repository, tmp_path_factory) -> Path:
    """A finished run in two shards; nothing may write into it."""
    folder = tmp_path_factory.mktemp("unhurt") / "run"
    folder.mkdir()
    write_toy(folder, training=STEPS)
    (folder / "genomes.tsv").write_text("genome\tfasta\tshards\ntoy\ttoy.fa\t2\n")
    done = snakemake(repository, folder, *SETTINGS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


@pytest.fixture
def run(unhurt, tmp_path) -> Path:
    """A copy of the finished run, with its times."""
    shutil.copytree(unhurt, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def remove_training(folder: Path) -> None:
    """Delete the trained network and what was made with it."""
    later = ("training", "model", "scan", "evaluation", "transfer", "report.html")
    later += ("provenance.json", "views")
    remove(folder, *(f"results/toy/{name}" for name in later))


def results_of(folder: Path) -> dict[str, str]:
    """Return digests of what a run found: calls, score counts, weights."""
    names = (f"{SCAN}/calls.bed.gz", f"{SCAN}/histograms.npz", f"{SCAN}/scores.npy")
    names += ("results/toy/model/model.safetensors", "results/toy/evaluation/toy/metrics.tsv")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def remove(folder: Path, *names: str) -> None:
    """Delete files and folders of a run."""
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def started(repository: Path, folder: Path, *more: str) -> Iterator[subprocess.Popen]:
    """Start Snakemake in a process group of its own, which ends with the block."""
    with (folder / "snakemake.out").open("w") as out:
        process = subprocess.Popen(
            [*snakemake_command(repository), *SETTINGS, *more],
            cwd=folder, stdout=out, stderr=out, start_new_session=True,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition: Callable[[], object], process: subprocess.Popen) -> object:
    """Return what a condition gives once it gives something; the run must not end before."""
    while process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"the run ended (exit code {process.returncode}) before its fault")


def job_of(process: subprocess.Popen, *words: str) -> psutil.Process | None:
    """Return the Python process of a run whose command line holds all of these words."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                line = child.cmdline()
                if line[:1] == ["python"] and all(w in " ".join(line) for w in words):
                    return child
    return None


def finish(repository: Path, folder: Path, unhurt: Path, *more: str) -> str:
    """Run to the end, compare what was found with the unhurt run, and return what was said."""
    done = snakemake(repository, folder, *SETTINGS, *more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert results_of(folder) == results_of(unhurt)
    return done.stdout + done.stderr


def jobs_left(repository: Path, folder: Path) -> dict[str, int]:
    """Return what the next run would do."""
    return planned_jobs(snakemake(repository, folder, *SETTINGS, "--dry-run"))


def test_training_that_is_killed_goes_on_from_its_checkpoint(repository, unhurt, run):
    remove_training(run)
    checkpoint = run / "results/toy/checkpoint/base-round0-seed0"
    with started(repository, run) as process:
        wait_for(lambda: checkpoint.is_dir() and any(checkpoint.iterdir()), process)
        wait_for(lambda: job_of(process, "train_model.py"), process).kill()
        assert process.wait() == 1
    assert "Error in rule train_model" in (run / "snakemake.out").read_text()
    assert set(jobs_left(repository, run)) == {"train_model", *LATER}
    finish(repository, run, unhurt)
    assert "resuming" in (run / "logs/toy/train_model/round0-seed0.log").read_text()
    assert not checkpoint.exists()


def test_only_the_shard_that_was_killed_is_scanned_again(repository, unhurt, run):
    remove(run, f"{SHARDS}/1-of-2", f"{SHARDS}/2-of-2", f"{SCAN}/calls.bed.gz")
    with started(repository, run, "--cores", "1", "--keep-going") as process:
        wait_for(lambda: job_of(process, "scan_genome.py", "--shard 2"), process).kill()
        assert process.wait() == 1
    assert (run / SHARDS / "1-of-2").is_dir() and not (run / SHARDS / "2-of-2").exists()
    left = jobs_left(repository, run)
    assert left["scan_genome"] == 1 and "train_model" not in left and "calibrate_model" not in left
    finish(repository, run, unhurt)


@pytest.mark.parametrize("rule", ["train_model", "scan_genome"])
def test_a_run_that_is_interrupted_goes_on(repository, unhurt, run, rule):
    """As Ctrl-C does: every process of the terminal is told."""
    remove_training(run)
    checkpoint = run / "results/toy/checkpoint/base-round0-seed0"
    with started(repository, run) as process:
        wait_for(lambda: checkpoint.is_dir() and any(checkpoint.iterdir()), process)
        if rule == "scan_genome":
            wait_for(lambda: (run / SHARDS / "1-of-2").is_dir(), process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 1
    said = (run / "snakemake.out").read_text()
    assert f"{rule} failed" in said and "it goes on from what was finished" in said
    assert "Traceback" not in said and "mistake in genomesieve" not in said
    assert jobs_left(repository, run)[rule] == {"train_model": 1, "scan_genome": 2}[rule]
    finish(repository, run, unhurt)


def test_a_run_that_is_killed_as_a_whole_wants_to_be_unlocked(repository, unhurt, run):
    """As when a machine loses its power: Snakemake and its jobs end at once."""
    remove_training(run)
    with started(repository, run) as process:
        wait_for(lambda: job_of(process, "train_model.py"), process)
        os.killpg(process.pid, signal.SIGKILL)
    refused = snakemake(repository, run, *SETTINGS)
    assert refused.returncode == 1 and "--unlock" in refused.stdout + refused.stderr
    assert snakemake(repository, run, *SETTINGS, "--unlock").returncode == 0
    finish(repository, run, unhurt)


def test_two_runs_in_one_folder_do_not_mix(repository, unhurt, run):
    remove_training(run)
    with started(repository, run) as process:
        job = wait_for(lambda: job_of(process, "train_model.py"), process)
        job.suspend()
        second = snakemake(repository, run, *SETTINGS)
        job.resume()
        assert second.returncode == 1 and "locked" in second.stdout + second.stderr
        assert process.wait() == 0
    assert results_of(run) == results_of(unhurt)


def test_a_shard_that_fails_twice_then_succeeds(repository, unhurt, run, tmp_path, monkeypatch):
    """With retries, as profiles for clusters have them; a node that is ill, say."""
    remove(run, f"{SHARDS}/2-of-2", f"{SCAN}/calls.bed.gz")
    bin_folder, tries = tmp_path / "bin", tmp_path / "tries"
    bin_folder.mkdir()
    script = bin_folder / "python"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *scan_genome.py*"--shard 2"*) echo x >> {tries}\n'
        f"if [ $(wc -l < {tries}) -lt 3 ]; then echo 'node is ill' >&2; exit 7; fi;; esac\n"
        f'exec {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    command = [*snakemake_command(repository), *SETTINGS, "--retries", "2"]
    done = subprocess.run(command, cwd=run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert tries.read_text() == "x\n" * 3
    assert "node is ill" in done.stdout + done.stderr, "the failed tries are not shown"
    assert results_of(run) == results_of(unhurt)


# --- files that are not what they were ------------------------------------------------------------


@pytest.mark.parametrize("name", ["candidates.parquet", "histograms.npz", "scores.npy"])
def test_a_truncated_shard_stops_the_merge(repository, unhurt, run, name):
    path = run / SHARDS / "2-of-2" / name
    times = path.stat()
    os.truncate(path, times.st_size // 2)
    remove(run, f"{SCAN}/calls.bed.gz")
    failed = snakemake(repository, run, *SETTINGS)
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1 and "error: " in said and name in said
    assert not (run / SCAN / "calls.bed.gz").exists()
    remove(run, f"{SHARDS}/2-of-2")
    assert jobs_left(repository, run)["scan_genome"] == 1
    finish(repository, run, unhurt)


def test_codes_that_changed_after_encoding_stop_the_scan(repository, unhurt, run):
    """Its time is what it was, so Snakemake sees nothing; its digest is not."""
    path = run / "results/genomes/toy/codes.npy"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    remove(run, f"{SHARDS}/1-of-2", f"{SCAN}/calls.bed.gz")
    failed = snakemake(repository, run, *SETTINGS)
    assert failed.returncode == 1
    assert "codes.npy has SHA-256" in failed.stdout + failed.stderr
    path.unlink()
    finish(repository, run, unhurt)


def test_a_genome_file_that_changed_behind_the_results_is_an_error(repository, run):
    """Synchronised folders keep the time of the file that was copied over another."""
    path = run / "toy.fa"
    times = path.stat()
    text = path.read_text()
    path.write_text(text.replace("ACGT", "ACGA", 1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    remove(run, "results/toy/provenance.json")
    failed = snakemake(repository, run, *SETTINGS)
    assert failed.returncode == 1
    assert "toy.fa has SHA-256" in failed.stdout + failed.stderr
    os.utime(path)
    left = jobs_left(repository, run)
    assert {"encode_genome", "train_model", "scan_genome"} <= set(left)


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[..., Path]]:
    """Mount a file system in memory with the given options; needs root."""
    where = tmp_path / "disk"
    where.mkdir()

    def mount(*options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(where)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a file system in memory cannot be mounted here (it needs root)")
        return where

    yield mount
    subprocess.run(["umount", "-l", str(where)], capture_output=True)


def test_a_full_disk_leaves_nothing_half_written(repository, unhurt, run, disk):
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    place = disk(f"size={size // 1024 + 40_000}k")
    shutil.copytree(run, place / "run", symlinks=True)
    lost = ("results/genomes/toy/codes.npy", f"{SHARDS}/1-of-2", f"{SCAN}/calls.bed.gz")
    remove(place / "run", *lost)
    filler = place / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as handle:
        while True:
            handle.write(bytes(4096))
            handle.flush()
    os.truncate(filler, max(0, filler.stat().st_size - 24_000))
    failed = snakemake(repository, place / "run", *SETTINGS)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stdout + failed.stderr
    assert not (place / "run/results/genomes/toy/codes.npy").exists()
    filler.unlink()
    snakemake(repository, place / "run", *SETTINGS, "--unlock")
    finish(repository, place / "run", unhurt)


def test_results_that_are_read_only_say_so(repository, unhurt, run, disk):
    results = run / "results"
    place = disk("size=200m")
    shutil.copytree(results, place / "results", symlinks=True)
    shutil.rmtree(results)
    results.symlink_to(place / "results")
    remove(place / "results", "toy/scan/toy/calls.bed.gz")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    failed = snakemake(repository, run, *SETTINGS)
    assert failed.returncode == 1
    assert "Write-protected output files" in failed.stdout + failed.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    finish(repository, run, unhurt)
