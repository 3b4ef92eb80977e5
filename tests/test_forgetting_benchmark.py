"""The configurations that benchmarks/forgetting.py writes are ones that the workflow takes."""

import importlib.util
import json
import sys

import pytest
import yaml

from genomesieve.configuration import resolve_plan


@pytest.fixture(scope="module")
def benchmark(repository):
    """The module benchmarks/forgetting.py."""
    folder = repository / "benchmarks"
    spec = importlib.util.spec_from_file_location(
        "benchmark_of_forgetting", folder / "forgetting.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(folder))


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
