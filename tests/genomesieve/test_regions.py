"""Regions written as text."""

import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.regions import parse_regions

CONTIGS = pd.DataFrame({"contig": ["c1", "c:2"], "length": [90, 50]})


def test_regions_are_read_with_separators_and_sorted():
    table = parse_regions(["c:2", "c1:1_0-2,0", "c1:0-5"], CONTIGS, "toy", "here")
    assert table.to_numpy().tolist() == [["c1", 0, 5], ["c1", 10, 20], ["c:2", 0, 50]]


@pytest.mark.parametrize("text", ["c1:,-5", "c1:_-_", "c1:0-" + "9" * 30, "c1:0-" + "9" * 5000])
def test_regions_without_numbers_are_refused(text):
    with pytest.raises(InputError, match="here: .*expected whole numbers"):
        parse_regions([text], CONTIGS, "toy", "here")
