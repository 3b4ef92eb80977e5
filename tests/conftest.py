"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is tested."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real genomes beside the checkout (or at GENOMESIEVE_DATA); tests skip without them."""
    folder = Path(os.environ.get("GENOMESIEVE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real genomes are not at {folder} (set GENOMESIEVE_DATA)")
    return folder


@pytest.fixture
def one_thread():
    """Thousands of tiny calls are slower on several threads than on one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """A report (report.html, figures/) in the folder of the made-up results that it tells of."""
    import render_report
    from synthetic_report import write_screen

    folder = tmp_path_factory.mktemp("rendered")
    arguments = write_screen(folder)
    outputs = ["--output", str(folder / "report.html"), "--figures", str(folder / "figures")]
    assert render_report.main([*arguments, *outputs]) == 0
    return folder


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """A small genome with planted splice-like sites."""
    from planted_genome import write_planted_genome

    return write_planted_genome(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def trained(planted, tmp_path_factory) -> Path:
    """A network that was trained on the planted genome for a few steps."""
    import json

    import train_model
    from planted_genome import CLASSES

    folder = tmp_path_factory.mktemp("trained") / "seed0"
    model = {
        "preset": "dilated",
        "channels": 12,
        "stem_kernels": [9],
        "kernel": 3,
        "dilations": [1],
    }
    code = train_model.main(
        [
            *("--windows", str(planted.windows)),
            *planted.arguments(),
            *("--classes", json.dumps(CLASSES), "--labels", "exclusive"),
            *("--model", json.dumps(model), "--threads", "1", "--device", "cpu"),
            *("--training", '{"steps": 120, "batch": 8, "learning_rate": 0.01, "validations": 2}'),
            *("--output-dir", str(folder)),
        ]
    )
    assert code == 0
    return folder


@pytest.fixture(scope="session")
def calibrated(planted, trained, tmp_path_factory) -> Path:
    """The same network, calibrated."""
    import json

    import calibrate_model
    from planted_genome import CLASSES

    folder = tmp_path_factory.mktemp("calibrated") / "model"
    code = calibrate_model.main(
        [
            *("--model", str(trained), *planted.arguments(), "--threads", "1"),
            *("--classes", json.dumps(CLASSES), "--labels", "exclusive", "--device", "cpu"),
            *("--precision", "float32"),
            *("--settings", '{"precision_targets": [0.8, 0.5], "operating": 0.5}'),
            *("--output-dir", str(folder)),
        ]
    )
    assert code == 0
    return folder
