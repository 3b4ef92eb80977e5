"""The benchmark of variants, run small: both sides find the same."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def benchmark_program(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import variants

    yield variants
    sys.modules.pop("variants", None)


def test_both_sides_find_the_same(benchmark_program, tmp_path, one_thread):
    sizes = benchmark_program.Sizes(genome=60_000, variants=40, naive=12, repeats=1)
    settings = {"preset": "dilated", "channels": 8}
    row, details = benchmark_program.measure("small", settings, sizes, tmp_path / "run")
    assert row.met and row.ours > 0 and row.peer > 0
    assert details["variants"] == 40 and details["naive"] == 12
    found = benchmark_program.read_effects(tmp_path / "run" / "scored.vcf")
    assert len(found) == 40 and max(gain for gain, _ in found.values()) > 1e-4
