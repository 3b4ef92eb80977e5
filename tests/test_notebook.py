"""The notebook in docs/ runs on the results of a finished screen."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def executed(repository: Path, finished_screen: Path):
    """The notebook after it ran on the small screen."""
    notebook = nbformat.read(repository / "docs" / "notebook.ipynb", as_version=4)
    results = finished_screen / "results" / "splice_toy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENOMESIEVE_RESULTS", str(results))
        patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        folder = str(repository / "docs")
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        client.execute()
    return notebook


def test_it_is_committed_without_outputs(repository):
    notebook = nbformat.read(repository / "docs" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_every_cell_runs_and_shows_what_it_says(executed):
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
