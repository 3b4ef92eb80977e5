"""The benchmark of pretraining runs small, and says so where it has no genome."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmark_module import benchmark_module


def run(repository, data, *options):
    command = [sys.executable, str(repository / "benchmarks" / "pretraining.py"), *options]
    environment = os.environ | {"GENOMESIEVE_DATA": str(data)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_everything_runs_small_and_writes_where_it_is_told(repository, shared_data, tmp_path):
    options = "--pretraining-steps 2 --steps 2 --shares 0.01 0.03 --seeds 0 1 --repeats 20".split()
    options += "--test-mb 0.1 --perplexity-mb 0.1".split()
    options += ["--folder", str(tmp_path / "work"), "--output", str(tmp_path / "found.json")]
    done = run(repository, shared_data, *options)
    assert done.returncode == 0, done.stderr[-4000:]
    content = json.loads((tmp_path / "found.json").read_text())
    rows = content["rows"]
    names = [(share, kind) for share in (0.01, 0.03) for kind in ("donor", "acceptor")]
    assert [(row["share"], row["class"]) for row in rows] == names
    for row in rows:
        assert row["labelled_mb"] == pytest.approx(20 * row["share"], abs=0.026)
        change = row["difference"]
        assert change["low"] <= change["high"] and len(change["by_seed"]) == 2
        expected = row["pretrained"]["average_precision"] - row["scratch"]["average_precision"]
        assert change["mean"] == pytest.approx(expected)
    assert rows[0]["sites"] < rows[2]["sites"]
    kinds = {row["kind"] for row in content["perplexity"]}
    assert kinds == {"network", "letters", "one-sided", "two-sided"}
    # Both began from other weights, and nothing else differs.
    arms = content["details"]["cells"][0]["arms"]
    assert arms["scratch"]["donor"] != arms["pretrained"]["donor"]


def test_without_a_genome_nothing_is_measured(repository, tmp_path):
    done = run(repository, tmp_path, "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0 and done.stdout.startswith("not measured")
    assert not (tmp_path / "found.json").exists()


@pytest.fixture(scope="module")
def benchmark(repository):
    """The module benchmarks/pretraining.py."""
    with benchmark_module(repository, "pretraining") as module:
        yield module


def cell(seed, scratch, pretrained):
    """What a pair of networks gives: the same in both classes."""
    arms = {
        arm: {
            name: {"average_precision": value, "drawn": value + np.linspace(-0.1, 0.1, 21)}
            for name in ("donor", "acceptor")
        }
        for arm, value in (("scratch", scratch), ("pretrained", pretrained))
    }
    sites = {"donor": 10, "acceptor": 12}
    return {"share": 0.1, "seed": seed, "bp": 2_000_000, "sites": sites, "arms": arms}


@pytest.mark.parametrize(
    ("pairs", "mean", "counts"),
    [
        ([(0.3, 0.4), (0.5, 0.52)], 0.06, "yes"),
        ([(0.4, 0.3), (0.52, 0.5)], -0.06, "yes"),
        # Seeds that disagree, and a single one.
        ([(0.3, 0.4), (0.5, 0.48)], 0.04, "no"),
        ([(0.3, 0.4)], 0.1, "no"),
    ],
)
def test_a_difference_counts_where_seeds_agree(benchmark, pairs, mean, counts):
    rows = benchmark.summarise([cell(seed, *pair) for seed, pair in enumerate(pairs)])
    assert [(row["class"], row["sites"]) for row in rows] == [("donor", 10), ("acceptor", 12)]
    for row in rows:
        # What is common to both draws of a block falls out of their difference.
        assert row["difference"]["low"] == pytest.approx(mean)
        assert row["difference"]["high"] == pytest.approx(mean)
        assert row["difference"]["counts"] == counts
        assert (row["percent"], row["labelled_mb"]) == ("10 %", 2.0)
