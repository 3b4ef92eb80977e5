"""Labels on numbered bins, against labels painted base by base."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedtools_oracle import (
    LENGTHS,
    any_intervals,
    bedtools,
    bedtools_profile,
    write_bed,
    write_random_genome,
)
from genomesieve.errors import InputError
from genomesieve.labels_on_bins import (
    drop_sites,
    expand_ranges,
    in_ranges,
    label_bins,
    overlapped_ranges,
    range_bins,
)
from genomesieve.layout import make_layout

CONTIGS = pd.DataFrame({"contig": ["b", "a"], "length": [2000, 701], "offset": [0, 2000]})
CLASSES = ["x", "y"]


def layout_of(resolution: int):
    split = pd.DataFrame(
        [("b", 0, 400, "test"), ("b", 403, 907, "screen"), ("a", 5, 701, "test")],
        columns=["contig", "start", "end", "part"],
    )
    return make_layout(split, CONTIGS, ("test", "screen"), resolution, 10, "toy")


def random_tables(seed: int, wide: bool):
    """Return sites and intervals all over the contigs, also where nothing is scanned."""
    generator = np.random.default_rng(seed)
    count = 60
    contig = generator.choice(["a", "b"], count)
    position = generator.integers(0, 701, count)
    reach = generator.integers(0, 15, (2, count)) if wide else np.zeros((2, count), dtype=int)
    sites = pd.DataFrame(
        {
            "contig": contig,
            "position": position,
            "start": np.maximum(position - reach[0], 0),
            "end": np.minimum(position + 1 + reach[1], 701),
            "strand": generator.choice(["+", "-"], count),
            "class": generator.choice(["x", "y", "other"], count),
        }
    )
    start = generator.integers(0, 690, 30)
    intervals = pd.DataFrame(
        {
            "contig": generator.choice(["a", "b"], 30),
            "start": start,
            "end": np.minimum(start + generator.integers(1, 60, 30), 701),
            "role": generator.choice(["ignore", "exclude"], 30),
            "class": generator.choice(["x", "y", ""], 30),
        }
    )
    return sites, intervals


def paint(layout, sites, intervals, name, strand, margin):
    """Return what each bin of the layout is, from arrays of one value a base."""
    painted = {contig: np.zeros((4, length), bool) for contig, length in zip("ba", (2000, 701))}
    positive, ignored, excluded, universe = range(4)
    for row in sites[(sites["class"] == name) & sites["strand"].isin(strand)].itertuples():
        painted[row.contig][positive, row.position] = True
        painted[row.contig][ignored, max(row.start - margin, 0) : row.end + margin] = True
    mine = intervals[intervals["class"].isin([name, ""])]
    rows = {"ignore": ignored, "exclude": excluded, "universe": universe}
    for row in mine.itertuples():
        painted[row.contig][rows[row.role], row.start : row.end] = True
    bounded = (mine["role"] == "universe").any()
    kinds = []
    for number in range(layout.bins):
        contig, start = layout.positions_of(np.array([number]))
        here = painted["ba"[contig[0]]][:, start[0] : start[0] + layout.resolution].any(axis=1)
        if here[excluded] or (bounded and not here[universe]):
            kinds.append("excluded")
        elif here[positive]:
            kinds.append("positive")
        else:
            kinds.append("ignored" if here[ignored] else "negative")
    return np.array(kinds)


def kinds_of(labels, bins: int) -> np.ndarray:
    """Return what each bin is according to BinLabels, checking that nothing is two things."""
    number = np.arange(bins)
    marks = {
        "positive": np.isin(number, labels.positive),
        "ignored": in_ranges(number, labels.ignored),
        "excluded": in_ranges(number, labels.excluded),
    }
    assert sum(mark.astype(int) for mark in marks.values()).max() <= 1
    kinds = np.full(bins, "negative", dtype=object)
    for name, mark in marks.items():
        kinds[mark] = name
    return kinds


@pytest.mark.parametrize("resolution", [1, 7])
@pytest.mark.parametrize("stranded", [True, False])
@pytest.mark.parametrize(("margin", "wide", "universe"), [(0, False, False), (3, True, True)])
def test_bins_are_labelled_as_painting_bases_would(resolution, stranded, margin, wide, universe):
    layout = layout_of(resolution)
    sites, intervals = random_tables(resolution, wide)
    if universe:
        rows = [("b", 100, 800, "universe", ""), ("a", 0, 300, "universe", "x")]
        rows = pd.DataFrame(rows, columns=intervals.columns)
        intervals = pd.concat([intervals, rows], ignore_index=True)
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, CLASSES, stranded, margin)
    strands = [["+"], ["-"]] if stranded else [["+", "-"]]
    assert set(labels.of) == {(k, s) for k in range(2) for s in range(len(strands))}
    seen = set()
    for (index, strand), mine in labels.of.items():
        expected = paint(layout, sites, intervals, CLASSES[index], strands[strand], margin)
        assert (kinds_of(mine, layout.bins) == expected).all()
        seen |= set(expected)
    assert seen == {"positive", "negative", "ignored", "excluded"}


def test_sites_of_the_universe_are_listed_with_their_bins():
    layout = layout_of(7)
    sites, intervals = random_tables(0, False)
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, CLASSES, True)
    table = labels.sites
    assert len(table)
    for row in table.itertuples():
        assert row.bin in labels.of[row.class_index, row.strand_index].positive
        source = sites.iloc[row.row]
        assert source["position"] == row.position
        assert source["class"] == CLASSES[row.class_index]
        assert source["strand"] == "+-"[row.strand_index]
    assert sum(len(one.positive) for one in labels.of.values()) == len(
        table[["bin", "class_index", "strand_index"]].drop_duplicates()
    )


def test_a_site_beats_an_ignored_stretch_but_not_an_excluded_one():
    layout = layout_of(1)
    columns = ["contig", "position", "start", "end", "strand", "class"]
    sites = pd.DataFrame(
        [("b", 50, 50, 51, "+", "x"), ("b", 90, 90, 91, "+", "x")], columns=columns
    )
    intervals = pd.DataFrame(
        [("b", 40, 60, "ignore", ""), ("b", 80, 100, "exclude", "")],
        columns=["contig", "start", "end", "role", "class"],
    )
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, ["x"], True)
    plus, minus = labels.of[0, 0], labels.of[0, 1]
    assert layout.positions_of(plus.positive)[1].tolist() == [50]
    assert range_bins(plus.ignored) == 19
    assert range_bins(minus.ignored) == 20
    assert range_bins(plus.excluded) == 20
    assert labels.sites["position"].tolist() == [50]


def of_key(sites, key) -> np.ndarray:
    """Tell which sites are of a (class index, strand index)."""
    return ((sites["class_index"] == key[0]) & (sites["strand_index"] == key[1])).to_numpy()


def test_dropped_sites_take_their_bins_out_of_the_universe():
    layout = layout_of(7)
    sites, intervals = random_tables(3, True)
    labels = label_bins(layout, CONTIGS, "toy", sites, intervals, CLASSES, True, 2)
    dropped = np.zeros(len(labels.sites), dtype=bool)
    dropped[::3] = True
    fewer = drop_sites(labels, dropped)
    for key, mine in labels.of.items():
        here = of_key(labels.sites, key)
        gone = labels.sites["bin"].to_numpy()[here & dropped]
        expected = kinds_of(mine, layout.bins)
        expected[gone] = "excluded"
        assert (kinds_of(fewer.of[key], layout.bins) == expected).all()
        left = of_key(fewer.sites, key)
        assert set(fewer.sites["bin"][left]) == set(fewer.of[key].positive)


def test_an_unknown_contig_is_named():
    sites, intervals = random_tables(0, False)
    sites.loc[0, "contig"] = "c"
    with pytest.raises(InputError, match="genome toy has no contig 'c'"):
        label_bins(layout_of(1), CONTIGS, "toy", sites, intervals, CLASSES, True)


def test_empty_tables_leave_everything_negative():
    layout = layout_of(1)
    sites, intervals = random_tables(0, False)
    labels = label_bins(layout, CONTIGS, "toy", sites[:0], intervals[:0], CLASSES, True)
    assert (kinds_of(labels.of[1, 1], layout.bins) == "negative").all()
    assert labels.sites.empty


def test_overlapped_ranges_join_and_clip():
    layout = layout_of(1)
    contig = np.array([0, 0, 0, 1])
    ranges = overlapped_ranges(
        layout, contig, np.array([390, 395, 950, -5]), np.array([398, 405, 990, 7])
    )
    bins = expand_ranges(ranges)
    rows, starts = layout.positions_of(bins)
    expected = [(0, place) for place in [*range(390, 400), 403, 404]] + [(1, 5), (1, 6)]
    assert sorted(zip(rows.tolist(), starts.tolist())) == sorted(expected)
    assert (np.diff(bins) > 0).all()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_random_genome(tmp_path_factory.mktemp("labels"))


@bedtools_profile
@given(table=any_intervals(), resolution=st.sampled_from([1, 3, 7, 50]))
def test_bins_that_intervals_overlap_are_those_of_bedtools(place, table, resolution):
    lengths = pd.Series(LENGTHS)
    contigs = pd.DataFrame({"contig": lengths.index, "length": lengths.to_numpy()})
    whole = contigs.assign(start=0, part="test").rename(columns={"length": "end"})
    whole = whole.assign(end=whole["end"] // resolution * resolution)
    contigs = contigs.assign(offset=lengths.cumsum().to_numpy() - lengths.to_numpy())
    layout = make_layout(whole, contigs, ("test",), resolution, 0, "toy")
    rows = table["contig"].map({name: row for row, name in enumerate(contigs["contig"])})
    ranges = overlapped_ranges(
        layout, rows.to_numpy(), table["start"].to_numpy(), table["end"].to_numpy()
    )
    contig, start = layout.positions_of(expand_ranges(ranges))
    found = {(contigs["contig"][row], place) for row, place in zip(contig, start)}
    write_bed(table, place / "t.bed")
    write_bed(whole[["contig", "start", "end"]], place / "whole.bed")
    windows = f"bedtools makewindows -b whole.bed -w {resolution}"
    expected = bedtools(f"{windows} | bedtools intersect -u -a - -b t.bed", place)
    assert found == {(name, int(first)) for name, first, _ in expected}
    assert (ranges[1:, 0] > ranges[:-1, 1]).all() and (ranges[:, 0] < ranges[:, 1]).all()
