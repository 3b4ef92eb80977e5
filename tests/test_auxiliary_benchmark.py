"""The ablation of auxiliary tasks runs small, and says so where it has no genome."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmark_module import benchmark_module


def run(repository, data, *options):
    command = [sys.executable, str(repository / "benchmarks" / "auxiliary.py"), *options]
    environment = os.environ | {"GENOMESIEVE_DATA": str(data)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_everything_runs_small_and_writes_where_it_is_told(repository, shared_data, tmp_path):
    recorded = repository / "benchmarks" / "results" / "auxiliary.json"
    before = recorded.stat().st_mtime_ns if recorded.exists() else None
    options = "--steps 2 --sizes 0.1 --seeds 0 1 --repeats 20 --test-mb 0.1".split()
    done = run(repository, shared_data, *options, "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr[-4000:]
    assert (recorded.stat().st_mtime_ns if recorded.exists() else None) == before
    content = json.loads((tmp_path / "found.json").read_text())
    rows = content["rows"]
    assert [(row["size_mb"], row["class"]) for row in rows] == [(0.1, "donor"), (0.1, "acceptor")]
    for row in rows:
        change = row["difference"]
        assert change["low"] <= change["high"] and len(change["by_seed"]) == 2
        expected = row["beside"]["average_precision"] - row["alone"]["average_precision"]
        assert change["mean"] == pytest.approx(expected)
    cells = content["details"]["cells"]
    assert [(cell["size_mb"], cell["seed"]) for cell in cells] == [(0.1, 0), (0.1, 1)]
    for cell in cells:
        assert "auxiliary_loss.gc" in cell["arms"]["beside"]["history"][0]
        assert "auxiliary_loss.gc" not in cell["arms"]["alone"]["history"][0]
    assert done.stdout.count("| no |") + done.stdout.count("| yes |") == 2


def test_without_a_genome_nothing_is_measured(repository, tmp_path):
    done = run(repository, tmp_path, "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0 and done.stdout.startswith("not measured")
    assert not (tmp_path / "found.json").exists()


@pytest.fixture(scope="module")
def benchmark(repository):
    """The module benchmarks/auxiliary.py."""
    with benchmark_module(repository, "auxiliary") as module:
        yield module


def cell(seed, alone, beside):
    """What a pair of networks gives: the same in both classes."""
    arms = {
        arm: {
            name: {"average_precision": value, "drawn": value + np.linspace(-0.1, 0.1, 21)}
            for name in ("donor", "acceptor")
        }
        for arm, value in (("alone", alone), ("beside", beside))
    }
    return {"size_mb": 1.0, "seed": seed, "arms": arms}


@pytest.mark.parametrize(
    ("pairs", "mean", "counts"),
    [
        ([(0.3, 0.4), (0.5, 0.52)], 0.06, True),
        ([(0.4, 0.3), (0.52, 0.5)], -0.06, True),
        # Seeds that disagree, and a single one.
        ([(0.3, 0.4), (0.5, 0.48)], 0.04, False),
        ([(0.3, 0.4)], 0.1, False),
    ],
)
def test_a_difference_counts_where_seeds_agree(benchmark, pairs, mean, counts):
    rows = benchmark.summarise([cell(seed, *pair) for seed, pair in enumerate(pairs)])
    assert [row["class"] for row in rows] == ["donor", "acceptor"]
    for row in rows:
        # What is common to both draws of a block falls out of their difference.
        assert row["difference"]["low"] == pytest.approx(mean)
        assert row["difference"]["high"] == pytest.approx(mean)
        assert row["difference"]["counts"] is counts


def test_smaller_sizes_are_part_of_larger_ones(benchmark, tmp_path):
    trained = {}
    for size in (200_000, 1_000_000):
        benchmark.write_split(tmp_path / "split.tsv", size, 0)
        rows = [line.split("\t") for line in (tmp_path / "split.tsv").read_text().splitlines()]
        trained[size] = {int(row[1]) for row in rows if row[3] == "train"}
        assert len(trained[size]) * benchmark.BLOCK == size
        assert max(trained[size]) + benchmark.BLOCK <= benchmark.CHOSEN_ON[0]
    assert trained[200_000] < trained[1_000_000]
