"""Calls and tracks, read back with pysam and pyBigWig."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pyBigWig
import pysam

from genomesieve.tracks import CALL_COLUMNS, TBI_LONGEST, write_bigwig, write_calls


def calls_of(rows) -> pd.DataFrame:
    columns = ["contig", "start", "end", "class", "strand", "probability", "fdr"]
    return pd.DataFrame(rows, columns=columns)


def test_calls_are_found_by_place_on_very_long_contigs(tmp_path):
    far = TBI_LONGEST + 12_345
    calls = calls_of(
        [("big", 10, 11, "x", "+", 0.25, 0.5), ("big", far, far + 1, "y", "-", 0.9996, 0.01)]
    )
    path = tmp_path / "calls.bed.gz"
    write_calls(path, calls, "toy", longest=2**30)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["calls.bed.gz", "calls.bed.gz.csi"]
    with pysam.TabixFile(str(path), index=f"{path}.csi") as handle:
        rows = list(handle.fetch("big", far - 5, far + 5))
        assert rows == [f"big\t{far}\t{far + 1}\ty\t1000\t-\t0.9996\t0.01"]
        assert handle.header[-1] == "#" + "\t".join(CALL_COLUMNS)
        assert "prevalence of toy" in handle.header[0]


def test_both_indices_where_contigs_are_short_and_also_without_calls(tmp_path):
    path = tmp_path / "calls.bed.gz"
    write_calls(path, calls_of([("a", 5, 6, "x", "+", 0.5, 0.1)]), "toy", longest=1000)
    for suffix in ("csi", "tbi"):
        with pysam.TabixFile(str(path), index=f"{path}.{suffix}") as handle:
            assert [row.split("\t")[1] for row in handle.fetch("a", 0, 100)] == ["5"]
    write_calls(path, calls_of([]).astype({"probability": float}), "toy", longest=1000)
    assert len(gzip.open(path, "rt").readlines()) == 2
    with pysam.TabixFile(str(path)) as handle:
        assert handle.contigs == []


def test_bigwig_names_all_contigs_and_holds_whole_bins(tmp_path):
    contigs = pd.DataFrame({"contig": ["b", "a", "c"], "length": [100, 57, 3000]})
    bins = pd.DataFrame(
        {"contig_index": [0, 0, 2], "start": [0, 40, 2990], "value": [0.5, 0.25, 0.125]}
    )
    write_bigwig(tmp_path / "x.bw", contigs, bins, 10)
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert track.chroms() == {"b": 100, "a": 57, "c": 3000}
        assert track.intervals("b") == ((0, 10, 0.5), (40, 50, 0.25))
        assert track.intervals("c") == ((2990, 3000, 0.125),)
        assert track.intervals("a") is None
        assert np.isnan(track.values("b", 10, 11)[0])


def test_bigwig_without_values_can_be_read(tmp_path):
    contigs = pd.DataFrame({"contig": ["a"], "length": [57]})
    bins = pd.DataFrame({"contig_index": [], "start": [], "value": []})
    write_bigwig(tmp_path / "x.bw", contigs, bins, 10)
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert track.chroms() == {"a": 57}
        assert track.intervals("a") is None
