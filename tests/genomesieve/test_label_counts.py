"""Histograms by subtraction against counting bins one label at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve import label_counts
from genomesieve.label_counts import (
    PairCounter,
    count_by_block,
    count_by_label,
    sparse_block_histogram,
    total_histogram,
)
from genomesieve.labels_on_bins import expand_ranges, label_bins
from genomesieve.layout import make_layout
from genomesieve.scores import CODES, UNSCORED, coarsen_codes

CONTIGS = pd.DataFrame({"contig": ["a"], "length": [30_000], "offset": [0]})
FLOORS = np.array([33_000, 40_000], dtype=np.uint16)


@pytest.fixture(scope="module")
def drawn():
    """A layout, labels of two classes on two strands, and scores with unscored bins."""
    generator = np.random.default_rng(0)
    split = pd.DataFrame([("a", 10, 30_000, "test")], columns=["contig", "start", "end", "part"])
    layout = make_layout(split, CONTIGS, ("test",), 1, 10, "toy")
    position = generator.choice(30_000, 400, replace=False)
    sites = pd.DataFrame(
        {"contig": "a", "position": position, "start": np.maximum(position - 2, 0),
         "end": position + 1, "strand": generator.choice(["+", "-"], 400),
         "class": generator.choice(["x", "y"], 400)}
    )  # fmt: skip
    intervals = pd.DataFrame(
        [("a", 500, 900, "ignore", "x"), ("a", 0, 100, "exclude", ""),
         ("a", 7000, 9000, "exclude", "y")],
        columns=["contig", "start", "end", "role", "class"],
    )  # fmt: skip
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, ["x", "y"], True)
    scores = generator.integers(30_000, 45_000, (2, 2, layout.bins)).astype(np.uint16)
    scores[:, :, 50:130] = scores[:, :, 8000:8500] = scores[1, 0, 600:650] = UNSCORED
    return layout, labels, scores


def kinds_of(labels, index: int, strand: int, bins: int) -> np.ndarray:
    mine = labels.of[index, strand]
    kinds = np.full(bins, "negative", dtype=object)
    kinds[mine.positive] = "positive"
    kinds[expand_ranges(mine.ignored)] = "ignored"
    kinds[expand_ranges(mine.excluded)] = "excluded"
    return kinds


@pytest.mark.parametrize("long_range", [1 << 16, 150])
@pytest.mark.parametrize("index", [0, 1])
def test_subtraction_equals_counting(drawn, index, long_range, monkeypatch):
    layout, labels, scores = drawn
    monkeypatch.setattr(label_counts, "_CHUNK", 300)
    monkeypatch.setattr(label_counts, "_LONG_RANGE", long_range)
    counts = count_by_label(total_histogram(scores), scores, labels, index)
    kinds = np.stack([kinds_of(labels, index, strand, layout.bins) for strand in range(2)])
    codes = scores[:, index]
    for name in ("positive", "negative"):
        chosen = codes[(kinds == name) & (codes != UNSCORED)]
        expected = np.bincount(chosen, minlength=CODES)
        assert (getattr(counts, name + "s") == expected).all()
    assert counts.ignored == ((kinds == "ignored") & (codes != UNSCORED)).sum()
    assert counts.excluded == (kinds == "excluded").sum()
    assert counts.unknown == ((kinds != "excluded") & (codes == UNSCORED)).sum()
    everything = counts.positives.sum() + counts.negatives.sum()
    assert everything + counts.ignored + counts.excluded + counts.unknown == codes.size


@pytest.mark.parametrize("index", [0, 1])
def test_blocks_add_up_to_the_whole_above_the_floor(drawn, index):
    layout, labels, scores = drawn
    sparse = sparse_block_histogram(scores, layout, FLOORS)
    by_block = count_by_block(sparse, scores, labels, index, layout, int(FLOORS[index]))
    counts = count_by_label(total_histogram(scores), scores, labels, index)
    for name in ("positives", "negatives"):
        expected = np.zeros(CODES, dtype=np.int64)
        whole = getattr(counts, name)
        np.add.at(expected, coarsen_codes(np.arange(CODES, dtype=np.uint16), FLOORS[index]), whole)
        found = np.zeros(CODES, dtype=np.int64)
        found[by_block.codes] = getattr(by_block, name).sum(axis=0)
        assert (found == expected).all()
    assert by_block.positives.shape[0] == len(layout.blocks)


def test_each_block_counts_its_own_bins(drawn):
    layout, labels, scores = drawn
    sparse = sparse_block_histogram(scores, layout, FLOORS)
    by_block = count_by_block(sparse, scores, labels, 0, layout, int(FLOORS[0]))
    for block in (0, 5):
        first, end = layout.blocks[["first_bin", "end_bin"]].iloc[block]
        kinds = np.stack([kinds_of(labels, 0, s, layout.bins)[first:end] for s in range(2)])
        scored = scores[:, 0, first:end] != UNSCORED
        assert by_block.positives[block].sum() == ((kinds == "positive") & scored).sum()
        assert by_block.negatives[block].sum() == ((kinds == "negative") & scored).sum()


def test_sparse_histograms_of_cut_scans_add_up(drawn):
    layout, _, scores = drawn
    keys = ["block", "strand", "class_index", "code"]
    whole = sparse_block_histogram(scores, layout, FLOORS)
    pieces = []
    for first, end in ((0, 12_345), (12_345, layout.bins)):
        cut = {key: layout.blocks[key].clip(first, end) - first for key in ("first_bin", "end_bin")}
        part = type(layout)(layout.intervals, layout.blocks.assign(**cut), 1)
        pieces.append(sparse_block_histogram(scores[:, :, first:end], part, FLOORS))
    joined = pd.concat(pieces).groupby(keys, as_index=False)["count"].sum()
    joined = joined.astype(whole.dtypes.to_dict())
    assert joined.equals(whole.sort_values(keys, ignore_index=True))


def test_scores_that_do_not_belong_to_the_histogram_are_noticed(drawn):
    layout, labels, scores = drawn
    total = total_histogram(np.where(scores == UNSCORED, scores, scores + np.uint16(1)))
    total[..., 44_000:] = 0
    with pytest.raises(ValueError, match="lacks some of the labelled bins"):
        count_by_label(total, scores, labels, 0)


def stream(share: float, kind: type):
    """Return codes, among them unscored ones, and labels, more than are counted at once."""
    generator = np.random.default_rng(int(share * 1000))
    codes = generator.integers(0, CODES, 300_001).astype(np.uint16)
    codes[::1000] = UNSCORED
    labels = generator.random(len(codes)) < share
    labels[:2000] = True  # a piece with many positives among pieces with few
    return codes, labels.astype(kind)


@pytest.mark.parametrize("kind", [bool, np.uint8])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.4, 1.0])
def test_streamed_counts_are_those_of_all_pairs(share, kind):
    codes, labels = stream(share, kind)
    halves = [PairCounter(), PairCounter()]
    for number, first in enumerate(range(0, len(codes), 7001)):
        halves[number % 2].add(codes[first : first + 7001], labels[first : first + 7001])
    whole = PairCounter()
    whole.add(codes, labels)
    halves[0].merge(halves[1])
    scored = codes != UNSCORED
    for counter in (whole, halves[0]):
        positives, negatives = counter.counts()
        for counts, label in ((positives, 1), (negatives, 0)):
            expected = np.bincount(codes[scored & (labels == label)], minlength=CODES)
            assert np.array_equal(counts, expected)
        assert counter.unscored == (~scored).sum()


def test_pairs_that_are_none_are_refused():
    counter = PairCounter()
    codes = np.array([7, 8], dtype=np.uint16)
    with pytest.raises(ValueError, match="a label is 2; expected 0 or 1"):
        counter.add(codes, np.array([0, 2], dtype=np.uint8))
    with pytest.raises(ValueError, match="codes with"):
        counter.add(codes, np.array([True]))
    assert counter.counts()[1].sum() == 0
