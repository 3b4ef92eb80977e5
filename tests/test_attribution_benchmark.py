"""The benchmark of mutagenesis, run small."""

import json
import re
import sys

import pytest


@pytest.fixture
def attribution(repository, monkeypatch):
    """The module benchmarks/attribution.py."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    yield __import__("attribution")
    sys.modules.pop("attribution")


def test_both_ways_give_the_same_effects(attribution, monkeypatch, tmp_path, one_thread):
    import measuring

    monkeypatch.setattr(measuring, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["attribution.py", "--quick", "--preset", "motif_cnn"])
    assert attribution.main() == 0
    content = json.loads((tmp_path / "attribution.json").read_text())
    assert len(content["details"]["motif_cnn"]["ours"]) == 1
    for row in content["rows"]:
        errors = re.fullmatch(r".*\(found (.*); the peer (.*)\)", row["equal_within"]).groups()
        assert all(0 < float(error) <= 1e-5 for error in errors)
        assert row["ours"] > 0 and row["peer"] > 0
