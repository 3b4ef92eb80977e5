"""Every parser of what users bring, on a few damaged inputs each; `make fuzz` gives thousands."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from fuzz.parsers import all_parsers
from fuzz.run import RECORD, table_of
from genomesieve.errors import InputError

NAMES = (
    *("BED", "narrowPeak", "broadPeak", "GTF", "GFF3", "aliases", "JASPAR motifs", "regions"),
    *("model.json", "safetensors", "history.tsv", "weights (torch.save)", "wheel", "bigWig"),
    *("FASTA", "FASTA, gzip", "FASTA, bgzip", "config.yaml", "genomes.tsv", "tracks.tsv"),
)
SLOW = {"GTF": 25, "GFF3": 25, "bigWig": 8}
"""Examples of parsers that take tens of milliseconds an input."""


@pytest.fixture(scope="module")
def parsers(tmp_path_factory):
    return all_parsers(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("name", NAMES)
def test_damaged_input_is_refused_or_read_correctly(parsers, name, tmp_path_factory, one_thread):
    parser = parsers[name]
    outcomes = {"read": 0, "refused": 0}

    @settings(
        max_examples=SLOW.get(name, 60),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(parser.inputs)
    def one(value):
        try:
            parser.check(value, tmp_path_factory.mktemp("input"))
            outcomes["read"] += 1
        except InputError as error:
            outcomes["refused"] += 1
            assert str(error).isprintable()

    one()
    assert min(outcomes.values()) > 0, "damage that is always or never noticed tests nothing"


def test_the_page_shows_the_recorded_run(repository):
    page = (repository / "docs" / "fuzzing.md").read_text()
    assert table_of(json.loads(RECORD.read_text())) in page


def test_every_parser_is_tested_and_recorded(parsers):
    record = json.loads(RECORD.read_text())
    assert set(NAMES) == set(parsers) == set(record["parsers"])
    assert record["inputs"] >= 100_000
    for name, counts in record["parsers"].items():
        assert counts["failures"] == 0, name
        assert counts["accepted"] + counts["refused"] == counts["inputs"] > 0
