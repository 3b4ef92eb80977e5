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

from genomesieve.big_bed import read_calls
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
    half = pybedtools.BedTool("chr1\t0\t30000\n", from_string=True)
    inside = sum(contig == "chr1" and end <= 30000 for contig, _, end, _, _ in rows)
    assert len(calls.intersect(half, u=True)) == inside > 0
    pybedtools.cleanup()


def test_pysam_fetches_calls_of_a_stretch(scan, rows):
    with pysam.TabixFile(str(scan / "calls.bed.gz")) as calls:
        found = {int(row.split("\t")[1]) for row in calls.fetch("chr1", 10_000, 20_000)}
    assert found == {
        start for contig, start, *_ in rows if contig == "chr1" and start // 10**4 == 1
    }


def test_pyranges_reads_calls(scan, rows):
    calls = pyranges.read_bed(str(scan / "calls.bed.gz"), as_df=True)
    columns = [calls[name] for name in ("Chromosome", "Start", "End", "Name", "Strand")]
    assert set(zip(*columns)) == rows
    ranges = pyranges.PyRanges(calls)
    assert len(ranges) == len(rows)
    merged = ranges.merge(strand=False)
    assert len(merged) == len({row[:3] for row in rows})


def test_bioframe_reads_calls(scan, rows):
    calls = bioframe.read_table(str(scan / "calls.bed.gz"), schema="bed6", comment="#")
    columns = [calls[name] for name in ("chrom", "start", "end", "name", "strand")]
    assert set(zip(*columns)) == rows
    nearest = bioframe.closest(calls, calls, ignore_overlaps=True)
    assert len(nearest) >= len(rows) - 2


def test_tracks_hold_the_probability_at_every_call(scan):
    calls = read_calls(scan / "calls.bed.gz")
    words = {"+": "plus", "-": "minus"}
    for (name, strand), mine in calls.groupby(["class", "strand"]):
        path = str(scan / f"{name}.{words[strand]}.bw")
        places = list(zip(mine["contig"], mine["start"], mine["end"]))
        with pyBigWig.open(path) as track:
            one = [track.values(*place)[0] for place in places]
        with pybigtools.open(path) as track:
            other = [track.values(*place)[0] for place in places]
        assert np.allclose(one, mine["probability"], rtol=1e-5)
        assert np.allclose(other, one)


def test_candidates_are_a_table_for_notebooks(scan):
    table = pd.read_parquet(scan / "candidates.parquet")
    calls = read_calls(scan / "calls.bed.gz")
    assert {"contig", "start", "end", "class", "strand", "probability", "fdr"} <= set(table.columns)
    keys = ["contig", "start", "class", "strand"]
    joined = calls.merge(table, on=keys, suffixes=("", "_table"))
    assert len(joined) == len(calls)
    assert np.allclose(joined["probability"], joined["probability_table"], rtol=1e-5)
