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
