"""The configurations that benchmarks/forgetting.py writes are ones that the workflow takes."""

import json

import pytest
import yaml

from benchmark_module import benchmark_module
from genomesieve.configuration import resolve_plan


@pytest.fixture(scope="module")
def benchmark(repository):
    """The module benchmarks/forgetting.py."""
    with benchmark_module(repository, "forgetting") as module:
        yield module


@pytest.mark.parametrize("full", [False, True])
# The split of the start codons is a file that its recipe makes.
@pytest.mark.parametrize("sequence", ["viruses", "splice", "splice_reversed"])
def test_sequences_are_configured(benchmark, repository, monkeypatch, sequence, full):
    monkeypatch.chdir(repository)
    schemas = [
        yaml.safe_load((repository / f"workflow/schemas/{name}.schema.yaml").read_text())
        for name in ("config", "genomes", "tracks")
    ]
    config, name = benchmark.configure(sequence, full, seeds=2)
    plan = resolve_plan(json.loads(json.dumps(config)), *schemas)
    screen = plan.screens[name]
    assert len(plan.screens) == 1
    assert screen.settings["seeds"] == ([0, 1] if full else [0])
    assert ("joint" in {stage.chain for stage in screen.stages.values()}) == full
