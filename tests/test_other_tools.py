"""Calls and tracks are what other tools take for theirs: they read what was written."""

from __future__ import annotations

import bioframe
import numpy as np
import pandas as pd
import pybedtools
import pybigtools
import pyBigWig
import pyranges
import pysam
import pytest

from genomesieve.call_files import read_calls
from synthetic_scan import write_synthetic_scan


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The folder of a scan of two stranded classes."""
    folder = tmp_path_factory.mktemp("tools")
    written = write_synthetic_scan(
        folder, length=60_000, shifts={"dilated": 9.0}, keep_scores=False
    )
    return written.scans["dilated"]


@pytest.fixture(scope="module")
def rows(scan):
    """The calls as plain text has them: contig, start, end, class, strand."""
    with pysam.BGZFile(str(scan / "calls.bed.gz")) as file:
        lines = [line.decode().rstrip("\n").split("\t") for line in file]
    rows = [line for line in lines if not line[0].startswith("#")]
    assert len(rows) > 20
    return {(row[0], int(row[1]), int(row[2]), row[3], row[5]) for row in rows}


def test_bedtools_counts_and_intersects_calls(scan, rows):
    calls = pybedtools.BedTool(str(scan / "calls.bed.gz"))
    assert {(row.chrom, row.start, row.end, row.name, row.strand) for row in calls} == rows
    contig, edge = sorted(rows)[len(rows) // 2][:2]
    half = pybedtools.BedTool(f"{contig}\t0\t{edge}\n", from_string=True)
    inside = sum(row[0] == contig and row[2] <= edge for row in rows)
    assert len(calls.intersect(half, u=True)) == inside > 0
    pybedtools.cleanup()


def test_pysam_fetches_calls_of_a_stretch(scan, rows):
    with pysam.TabixFile(str(scan / "calls.bed.gz")) as calls:
        contig, start = sorted(rows)[len(rows) // 2][:2]
        fetched = calls.fetch(contig, start - 5000, start + 5000)
        found = {int(row.split("\t")[1]) for row in fetched}
    mine = {row[1] for row in rows if row[0] == contig}
    assert start in found and found == {one for one in mine if abs(one - start + 0.5) < 5000}


def test_pyranges_takes_calls(scan, rows):
    names = ["Chromosome", "Start", "End", "Name", "Score", "Strand", "probability", "fdr"]
    # pyranges.read_bed knows no comments before the first row.
    table = pd.read_csv(scan / "calls.bed.gz", sep="\t", comment="#", names=names)
    ranges = pyranges.PyRanges(table)
    assert len(ranges) == len(rows) and ranges.stranded
    found = ranges.df
    assert set(zip(*(found[name] for name in names[:4]), found["Strand"])) == rows
    assert len(ranges.merge(strand=False, slack=-1)) == len({row[:3] for row in rows})


def test_bioframe_reads_calls(scan, rows):
    calls = bioframe.read_table(str(scan / "calls.bed.gz"), schema="bed6", comment="#")
    columns = [calls[name] for name in ("chrom", "start", "end", "name", "strand")]
    assert set(zip(*columns)) == rows
    merged = bioframe.merge(calls)
    assert merged["n_intervals"].sum() == len(rows)


def test_tracks_hold_the_probability_at_every_call(scan):
    calls = read_calls(scan / "calls.bed.gz", "toy")
    words = {"+": "plus", "-": "minus"}
    for (name, strand), mine in calls.groupby(["class", "strand"]):
        path = str(scan / f"{name}.{words[strand]}.bw")
        places = list(zip(mine["contig"], mine["start"], mine["end"]))
        with pyBigWig.open(path) as track:
            one = [track.values(*place)[0] for place in places]
        with pybigtools.open(path) as track:
            other = [track.values(*place, fillna=0)[0] for place in places]
        assert np.allclose(one, mine["probability"], rtol=1e-5)
        assert np.allclose(other, one)


def test_candidates_are_a_table_for_notebooks(scan):
    table = pd.read_parquet(scan / "candidates.parquet")
    calls = read_calls(scan / "calls.bed.gz", "toy")
    assert {"contig", "start", "end", "class", "strand", "probability", "fdr"} <= set(table.columns)
    keys = ["contig", "start", "class", "strand"]
    joined = calls.merge(table, on=keys, suffixes=("", "_table"))
    assert len(joined) == len(calls)
    assert np.allclose(joined["probability"], joined["probability_table"], rtol=1e-5)
