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
    random_intervals,
    write_bed,
    write_random_genome,
)
from genomesieve.intervals import merge_intervals, positions_inside, surroundings


def test_merge_against_bedtools(tmp_path):
    table = random_intervals(1, 60, 17)
    write_bed(table, tmp_path / "a.bed")
    expected = bedtools("bedtools sort -i a.bed | bedtools merge -i -", tmp_path)
    assert merge_intervals(table).astype(str).to_numpy().tolist() == expected
    assert merge_intervals(table[:0]).empty


def test_positions_inside_against_bedtools(tmp_path):
    sites = random_intervals(2, 200, 1).rename(columns={"start": "position"})
    mask = random_intervals(3, 9, 40)
    write_bed(sites.assign(row=range(200)), tmp_path / "s.bed")
    write_bed(mask, tmp_path / "m.bed")
    expected = {
        int(row[3]) for row in bedtools("bedtools intersect -u -a s.bed -b m.bed", tmp_path)
    }
    assert set(np.flatnonzero(positions_inside(sites, mask))) == expected
    assert not positions_inside(sites, mask[:0]).any()


def test_surroundings_against_bedtools(tmp_path):
    folder = write_random_genome(tmp_path)
    sites = random_intervals(4, 25, 1)
    write_bed(sites, folder / "s.bed")
    command = "bedtools slop -i s.bed -g sizes -b 30 | bedtools sort -i - | bedtools merge -i -"
    around = surroundings(sites.rename(columns={"start": "position"}), 30, LENGTHS)
    assert around.astype(str).to_numpy().tolist() == bedtools(command, folder)
    assert surroundings(around[:0], 30, LENGTHS).empty


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_random_genome(tmp_path_factory.mktemp("intervals"))


@bedtools_profile
@given(table=any_intervals())
def test_merge_of_any_intervals_is_that_of_bedtools(place, table):
    write_bed(table, place / "a.bed")
    expected = bedtools("bedtools sort -i a.bed | bedtools merge -i -", place)
    assert merge_intervals(table).astype(str).to_numpy().tolist() == expected


@bedtools_profile
@given(sites=any_intervals(), mask=any_intervals())
def test_positions_inside_any_intervals_are_those_of_bedtools(place, sites, mask):
    sites = sites.assign(end=sites["start"] + 1)[sites["start"] < sites["contig"].map(LENGTHS)]
    write_bed(sites.assign(row=range(len(sites))), place / "s.bed")
    write_bed(mask, place / "m.bed")
    found = bedtools("bedtools intersect -u -a s.bed -b m.bed", place) if len(sites) else []
    inside = positions_inside(sites.rename(columns={"start": "position"}), mask)
    assert set(np.flatnonzero(inside)) == {int(row[3]) for row in found}


@bedtools_profile
@given(sites=any_intervals(most=12), flank=st.integers(0, 1000))
def test_surroundings_of_any_sites_are_those_of_bedtools(place, sites, flank):
    sites = sites.assign(start=sites["end"] - 1)
    write_bed(sites, place / "s.bed")
    slop = f"bedtools slop -i s.bed -g sizes -b {flank}"
    expected = bedtools(f"{slop} | bedtools sort -i - | bedtools merge -i -", place)
    around = surroundings(sites.rename(columns={"start": "position"}), flank, LENGTHS)
    assert around.astype(str).to_numpy().tolist() == expected


NAMES = ("#c", "track", "browser x", "a b", '"q"', "1", "NA", "é", "c10", "c9", "C1", "-")


def test_names_of_contigs_mean_nothing_to_bedtools():
    one = [(name, start, start + 5) for name in NAMES for start in (0, 3, 20)]
    table = pd.DataFrame(one, columns=["contig", "start", "end"])
    expected = [(name, *ends) for name in sorted(NAMES) for ends in ((0, 8), (20, 25))]
    assert list(merge_intervals(table).itertuples(index=False, name=None)) == expected
    sites = pd.DataFrame({"contig": NAMES, "position": range(len(NAMES))})
    inside = positions_inside(sites, table[table["contig"].isin(NAMES[:8])])
    assert inside.tolist() == [row < 8 for row in range(len(NAMES))]
