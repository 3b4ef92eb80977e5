"""Contributions as bigWig, read back with pyBigWig."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyBigWig
import pytest

import track_contributions


def write_genome(folder):
    """Write a genome of two contigs, 100 and 60 bp."""
    folder.mkdir()
    np.save(folder / "codes.npy", np.zeros(160, dtype=np.uint8))
    contigs = {"contig": ["one", "two"], "length": [100, 60], "offset": [0, 100]}
    pd.DataFrame(contigs).to_csv(folder / "contigs.tsv", sep="\t", index=False)
    (folder / "summary.json").write_text(json.dumps({"genome": "toy"}))
    return folder


def write_attributions(folder, sites, values, stranded=True):
    """Write attributions of sites (contig, position, strand, class) at offsets -2 to 2."""
    folder.mkdir()
    table = pd.DataFrame(sites, columns=["contig", "position", "strand", "class"])
    table.assign(score=1.0).to_csv(folder / "sites.tsv", sep="\t", index=False)
    np.savez(
        folder / "attributions.npz", positions=np.arange(-2, 3), letters=np.array(list("ACGT")),
        methods=np.array(["mutagenesis", "other"]), site_class=table["class"].to_numpy(str),
        sequence=np.zeros((len(table), 5), dtype=np.uint8), scores=np.ones(len(table)),
        contributions=np.array(values, dtype=np.float32).reshape(len(table), 2, 5),
    )  # fmt: skip
    content = {"stranded": stranded, "classes": {"x": {}, "y": {}}}
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def write_tracks(tmp_path, sites, values, *options, **changes):
    genome = write_genome(tmp_path / "toy")
    attributions = write_attributions(tmp_path / "explain", sites, values, **changes)
    named = ["--genome-folder", genome, "--attributions", attributions]
    named += ["--output-dir", tmp_path / "out", *options]
    return track_contributions.main([str(item) for item in named])


def values_of(path, contig, start, end):
    with pyBigWig.open(str(path)) as track:
        return track.values(contig, start, end)


FORWARD, OTHER = [1, 2, 3, 4, 5], [0.5] * 5


def test_values_stand_where_their_bases_are_on_both_strands(tmp_path):
    sites = [("one", 50, "+", "x"), ("two", 30, "-", "x")]
    assert write_tracks(tmp_path, sites, [[FORWARD, OTHER]] * 2) == 0
    assert values_of(tmp_path / "out" / "x.plus.bw", "one", 48, 53) == [1, 2, 3, 4, 5]
    assert values_of(tmp_path / "out" / "x.minus.bw", "two", 28, 33) == [5, 4, 3, 2, 1]
    outside = values_of(tmp_path / "out" / "x.plus.bw", "one", 46, 48)
    assert np.isnan(outside).all()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{name}.{strand}.bw" for name in "xy" for strand in ("plus", "minus")}


def test_unknown_bases_and_contig_ends_have_no_value(tmp_path):
    edge = [np.nan, np.nan, -3, 4, 5]
    assert write_tracks(tmp_path, [("one", 0, "+", "x")], [[edge, OTHER]]) == 0
    assert values_of(tmp_path / "out" / "x.plus.bw", "one", 0, 3) == [-3, 4, 5]


def test_of_sites_that_overlap_the_larger_size_is_shown(tmp_path):
    sites = [("one", 50, ".", "x"), ("one", 52, ".", "x")]
    values = [[FORWARD, OTHER], [[-9, 1, -1, 7, 7], OTHER]]
    assert write_tracks(tmp_path, sites, values, stranded=False) == 0
    found = values_of(tmp_path / "out" / "x.both.bw", "one", 48, 55)
    assert found == [1, 2, -9, 4, 5, 7, 7]


def test_another_method(tmp_path):
    sites = [("one", 50, "+", "y")]
    assert write_tracks(tmp_path, sites, [[FORWARD, OTHER]], "--method", "other") == 0
    assert values_of(tmp_path / "out" / "y.plus.bw", "one", 48, 53) == OTHER


@pytest.mark.parametrize(
    ("sites", "options", "message"),
    [
        ([("one", 50, "+", "x")], ["--method", "gut"], "expected one of mutagenesis, other"),
        ([("one", 1, "+", "x")], [], "expected a place on it"),
        ([("three", 50, "+", "x")], [], "three"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, capsys, sites, options, message):
    assert write_tracks(tmp_path, sites, [[FORWARD, OTHER]], *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
