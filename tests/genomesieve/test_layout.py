import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.layout import make_layout
from genomesieve.regions import parse_regions

CONTIGS = pd.DataFrame({"contig": ["a", "b:1"], "length": [1005, 400], "offset": [0, 1005]})


@pytest.fixture
def layout():
    rows = [("b:1", 0, 400, "test"), ("a", 3, 500, "test"), ("a", 600, 1005, "valid")]
    split = pd.DataFrame(rows, columns=["contig", "start", "end", "part"])
    return make_layout(split, CONTIGS, ("test", "valid"), 10, 5, "toy")


def test_bins_and_positions_are_inverse(layout):
    bins = np.arange(layout.bins)
    contig, start = layout.positions_of(bins)
    for shift in (0, 9):
        assert np.array_equal(layout.bins_of(contig, start + shift), bins)
    # Only whole bins of [3, 500) and [600, 1005) count.
    assert layout.bins == 40 + 49 + 40
    outside = layout.bins_of(np.array([0, 0, 0, 1]), np.array([9, 550, 1000, 400]))
    assert outside.tolist() == [-1, -1, -1, -1]


def test_blocks_tile_the_bins_and_stay_in_a_part(layout):
    blocks = layout.blocks
    assert blocks["first_bin"].iloc[0] == 0 and blocks["end_bin"].iloc[-1] == layout.bins
    assert (blocks["first_bin"].to_numpy()[1:] == blocks["end_bin"].to_numpy()[:-1]).all()
    assert blocks.groupby("part").size().to_dict() == {"test": 22, "valid": 20}
    assert np.array_equal(
        layout.blocks_of(np.arange(layout.bins)),
        np.repeat(blocks["block"], blocks["end_bin"] - blocks["first_bin"]),
    )


def test_large_genomes_have_at_most_256_blocks():
    contigs = pd.DataFrame({"contig": ["a"], "length": [3 * 10**9], "offset": [0]})
    split = pd.DataFrame({"contig": ["a"], "start": [0], "end": [3 * 10**9], "part": ["screen"]})
    blocks = make_layout(split, contigs, ("screen",), 1, 200, "big").blocks
    assert 200 <= len(blocks) <= 256


def test_regions_are_read_and_checked():
    table = parse_regions(["b:1", "a:1,000-1_005", "a:0-10"], CONTIGS, "toy", "here")
    assert table.to_numpy().tolist() == [["a", 0, 10], ["a", 1000, 1005], ["b:1", 0, 400]]
    assert len(parse_regions([], CONTIGS, "toy", "here")) == 2
    for text, message in [
        ("a:5-5", "is empty"),
        ("a:0-2000", "expected 0 <= start < end <= 1005"),
        ("c:0-5", "no contig 'c'"),
        ("c", "no contig 'c'"),
        ("a:x-5", "is not a region"),
    ]:
        with pytest.raises(InputError, match=message):
            parse_regions([text], CONTIGS, "toy", "here")
    with pytest.raises(InputError, match="overlaps"):
        parse_regions(["a:0-10", "a:5-20"], CONTIGS, "toy", "here")
