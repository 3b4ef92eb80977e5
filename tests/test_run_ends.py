"""A run that fails ends with the decisive line of what failed and what to do."""

from __future__ import annotations

import pytest

from toy_workflow import snakemake, write_toy

pytestmark = pytest.mark.workflow


@pytest.mark.timeout(300)
def test_a_run_that_fails_ends_with_why_and_what_to_do(repository, tmp_path):
    config = str(write_toy(tmp_path))
    sites = tmp_path / "sites.bed"
    sites.write_text("chr9\t5\t6\tdonor\t0\t+\n" + sites.read_text())
    done = snakemake(
        repository,
        tmp_path,
        "results/toy/sites/toy.parquet",
        "--configfile",
        config,
        "--cores",
        "2",
    )
    assert done.returncode == 1
    end = done.stderr[done.stderr.index("extract_sites failed") :].splitlines()
    assert end[1].startswith("  why    error: sites.bed line 1: contig 'chr9' is not in the genome")
    assert end[2] == "  log    logs/toy/extract_sites/toy.log"
    assert end[3].startswith("  do     mend what the line names and run the same command again")
    assert "encode_genome failed" not in done.stderr
