"""Sequence around anchors, against one fetch an anchor; tiles of a part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.baselines import stretches_around, tile_windows
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import INTERVAL_COLUMNS, SITE_COLUMNS, LabelledGenome


def test_stretches_follow_the_strand_and_end_with_the_contig():
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [40, 60], "offset": [0, 40]})
    codes = np.random.default_rng(0).integers(0, 4, 100).astype(np.uint8)
    genome = EncodedGenome("made", codes, contigs)
    empty = (pd.DataFrame(columns=names) for names in (SITE_COLUMNS, INTERVAL_COLUMNS))
    labelled = LabelledGenome(genome, *empty, ["x"], True)
    starts = np.array([20, 20, 1, 1, 39, 40, 99])
    minus = np.array([False, True, False, True, True, False, False])
    found = stretches_around(labelled, starts, minus, 3, 5)
    for row, start, flipped in zip(found, starts, minus):
        contig, at = ("a", start) if start < 40 else ("b", start - 40)
        before, after = (5, 3) if flipped else (3, 5)
        plain = DNA.decode(genome.fetch(contig, at - before, at + after + 1))
        if flipped:
            plain = plain[::-1].translate(str.maketrans("ACGT", "TGCA"))
        assert DNA.decode(row) == plain


def tiles(intervals, length, resolution):
    split = pd.DataFrame(intervals, columns=["contig", "start", "end"]).assign(part="valid")
    return tile_windows({"toy": split}, "valid", length, resolution, ("+",), 10**6, 0)


def test_tiles_of_short_contigs_are_as_long_as_the_longest():
    found = tiles([("a", 0, 101), ("b", 0, 101), ("c", 0, 60)], 5000, 101)
    assert list(zip(found["contig"], found["start"], found["length"])) == [
        ("a", 0, 101), ("b", 0, 101)
    ]  # fmt: skip
    found = tiles([("a", 7, 1000)], 200, 50)
    assert found["start"].tolist() == [50, 250, 450, 650]
    assert (found["length"] == 200).all()


def test_a_part_without_a_whole_bin_cannot_be_tiled():
    with pytest.raises(InputError, match="part valid holds a whole bin of 101 bp"):
        tiles([("a", 1, 101)], 5000, 101)
