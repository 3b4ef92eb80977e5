"""The simulation of batch effects runs small, and says so where it has no genome."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmark_module import benchmark_module


@pytest.fixture(scope="module")
def benchmark(repository):
    """The module benchmarks/batch_effects.py."""
    with benchmark_module(repository, "batch_effects") as module:
        yield module


def run(repository, data, *options):
    command = [sys.executable, str(repository / "benchmarks" / "batch_effects.py"), *options]
    environment = os.environ | {"GENOMESIEVE_DATA": str(data)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_everything_runs_small_and_writes_where_it_is_told(repository, shared_data, tmp_path):
    options = "--steps 2 --folds 1 --bases 120000 --block 2000 --repeats 20 --probe-windows 20"
    done = run(repository, shared_data, *options.split(), "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr[-4000:]
    content = json.loads((tmp_path / "found.json").read_text())
    assert set(content["norms"]) == {
        "none", "batch", "domain", "group", "layer", "sequence alone"
    }  # fmt: skip
    for norm, row in content["norms"].items():
        low, high = row["held_out_interval"]
        assert 0 <= low <= high <= 1
        assert list(row["held_out_by_laboratory"]) == ["A"]
        assert ("probe_accuracy" in row) == (norm != "sequence alone")
    difference = content["compared_on_held_out_laboratories"]["domain - none"]["difference"]
    held = [content["norms"][n]["held_out_average_precision"] for n in ("domain", "none")]
    assert difference == pytest.approx(held[0] - held[1], abs=2e-4)


def test_without_a_genome_nothing_is_measured(repository, tmp_path):
    done = run(repository, tmp_path, "--output", str(tmp_path / "found.json"))
    assert done.returncode == 0 and "nothing is measured" in done.stderr
    assert not (tmp_path / "found.json").exists()


def test_signal_is_raised_at_sites_and_at_places_like_them(benchmark):
    codes = np.random.default_rng(0).integers(0, 4, 200_000, dtype=np.uint8)
    position = np.arange(500, 199_000, 997)
    sites = pd.DataFrame({"position": position, "strand": "+"})
    z = benchmark.hidden_signal(codes, sites, 0)
    away = np.random.default_rng(1).integers(0, 200_000, 5000)
    assert z[position].mean() > z[away].mean() + 1
    assert np.array_equal(z, benchmark.hidden_signal(codes, sites, 0))


def test_probe_tells_what_differs_and_guesses_what_does_not(benchmark):
    generator = np.random.default_rng(0)
    alike = {name: generator.normal(size=(2000, 4)) for name in "ABCD"}
    assert abs(benchmark.probe(alike)["accuracy"] - 0.25) < 0.05
    apart = alike | {"A": alike["A"] + 8}
    assert benchmark.probe(apart)["by_laboratory"]["A"] > 0.99
