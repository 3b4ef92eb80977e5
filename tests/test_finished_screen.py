"""What new_screen writes runs to calls and a hub, and the notebook in docs/ reads the results."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

import new_screen
from gene_genome import write_gene_genome
from hub_check import check_hub
from toy_workflow import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def finished_screen(repository, tmp_path_factory) -> Path:
    """The folder of a small run: a screen set up by new_screen, to calls and their evaluation."""
    folder = tmp_path_factory.mktemp("finished")
    write_gene_genome(folder, contigs=5, length=60_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        arguments = ["--genome", "toy.fa.gz", "--sites", "toy.gtf.gz", "--kind", "splice_sites"]
        assert new_screen.main([*arguments, "--yes"]) == 0
    path = folder / "config" / "splice_sites_toy" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    screen = config["screens"]["splice_sites_toy"]
    # As written but for its size: the run has to take seconds.
    screen["model"] |= {"channels": 12, "dilations": [1]}
    screen["training"] |= {"steps": 60, "validations": 1, "learning_rate": 0.01}
    screen["calibration"] |= {"bootstrap": 100}
    screen |= {"baselines": {}, "evaluation": {"bootstrap": 100}}
    path.write_text(yaml.safe_dump(config | {"device": "cpu"}, sort_keys=False))
    results = "results/splice_sites_toy"
    wanted = [f"{results}/scan/toy/hub.txt", f"{results}/evaluation/toy/metrics.tsv"]
    done = snakemake(
        repository,
        folder,
        *wanted,
        "--configfile",
        "config/splice_sites_toy/config.yaml",
        "--cores",
        "2",
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (folder / "run.log").write_text(done.stderr)
    return folder


@pytest.fixture(scope="module")
def executed(repository: Path, finished_screen: Path):
    """The notebook after it ran on the small screen."""
    notebook = nbformat.read(repository / "docs" / "notebook.ipynb", as_version=4)
    results = finished_screen / "results" / "splice_sites_toy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENOMESIEVE_RESULTS", str(results))
        patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        folder = str(repository / "docs")
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        client.execute()
    return notebook


def test_what_is_written_runs_to_calls_and_a_hub(finished_screen):
    scan = finished_screen / "results/splice_sites_toy/scan/toy"
    tracks = check_hub(scan / "hub.txt")
    assert "calls" in tracks and "probability_donor_minus" in tracks
    metrics = pd.read_csv(
        finished_screen / "results/splice_sites_toy/evaluation/toy/metrics.tsv", sep="\t"
    )
    mine = metrics[(metrics["class"] == "donor") & (metrics["universe"] == "test")]
    values = mine.set_index("metric")["value"]
    assert values["average_precision"] > 50 * values["prevalence"]
    # The run ended with a table of what was found.
    said = (finished_screen / "run.log").read_text().splitlines()
    rows = [line.split() for line in said if line.startswith("splice_sites_toy ")]
    assert [row[:3] for row in rows] == [
        ["splice_sites_toy", "toy", name] for name in ("donor", "acceptor")
    ]
    assert any(line.startswith("time ") for line in said)


def test_the_notebook_is_committed_without_outputs(repository):
    notebook = nbformat.read(repository / "docs" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_every_cell_of_the_notebook_runs_and_shows_what_it_says(executed):
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    text = "".join(output.get("text", "") for output in outputs)
    assert "calls have a probability of 0.9 or more" in text and "candidates" in text
    bins, difference = re.search(
        r"(\d+) bins above the floor, largest difference (\S+)", text
    ).groups()
    # The scan may compute in bfloat16.
    assert int(bins) > 0 and float(difference) < 0.05
