"""Attribution of the calls of a small trained network, and of sites from a file."""

import json

import numpy as np
import pandas as pd
import pytest

import attribute_sites
import merge_scan
import scan_genome
from genomesieve.attribution import METHODS
from planted_genome import ACCEPTOR, DONOR


@pytest.fixture(scope="module")
def scanned(planted, calibrated, tmp_path_factory):
    """A scan of the planted genome's test part."""
    folder = tmp_path_factory.mktemp("explained")
    named = ["--model", str(calibrated), "--genome-folder", str(planted.folder)]
    named += ["--split", str(planted.split), "--parts", "test"]
    shard, merged = str(folder / "shard"), str(folder / "scan")
    options = ["--device", "cpu", "--threads", "1"]
    assert scan_genome.main([*named, *options, "--output-dir", shard]) == 0
    assert merge_scan.main([*named, "--shard", shard, "--output-dir", merged]) == 0
    return folder / "scan"


def run(planted, model, output, *arguments):
    return attribute_sites.main(
        [
            *("--model", str(model), "--genome-folder", str(planted.folder)),
            *("--device", "cpu", "--threads", "1", "--output-dir", str(output)),
            *map(str, arguments),
        ]
    )


@pytest.fixture(scope="module")
def explained(planted, calibrated, scanned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attributions")
    arguments = ("--scan", scanned, "--most", 8, "--flank", 12, "--steps", 64, "--references", 4)
    assert run(planted, calibrated, folder, *arguments) == 0
    return folder


def read(folder):
    with np.load(folder / "attributions.npz", allow_pickle=False) as content:
        arrays = dict(content)
    table = pd.read_csv(folder / "sites.tsv", sep="\t", dtype={"contig": str})
    return arrays, table, json.loads((folder / "summary.json").read_text())


def test_best_scoring_calls_are_explained(explained, scanned):
    arrays, table, summary = read(explained)
    calls = pd.read_parquet(scanned / "candidates.parquet")
    for name in ("donor", "acceptor"):
        best = calls[calls["class"] == name].nlargest(8, "score")
        mine = table[table["class"] == name]
        assert len(mine) == summary["classes"][name]["sites"] == 8
        # Scans round scores to float16; these are the same numbers before that.
        np.testing.assert_allclose(
            np.sort(mine["score"]), np.sort(best["score"]), rtol=2e-3, atol=2e-3
        )
    assert table["score"].to_numpy() == pytest.approx(arrays["scores"])
    assert set(table["strand"]) == {"+", "-"}


def test_planted_words_are_found_on_both_strands(explained):
    """Read in the direction of the site, the word's bases matter and others do not."""
    arrays, table, _ = read(explained)
    positions = arrays["positions"].tolist()
    for name, word, first in (("donor", DONOR, -2), ("acceptor", ACCEPTOR, -8)):
        mine = (table["class"] == name).to_numpy()
        inside = slice(positions.index(first), positions.index(first) + len(word))
        codes = arrays["sequence"][mine][:, inside]
        texts = ["".join("ACGTN"[code] for code in row) for row in codes]
        assert texts.count(word) >= len(texts) - 1
        for method in ("mutagenesis", "integrated_gradients"):
            row = METHODS.index(method)
            found = np.abs(arrays["contributions"][mine, row]).mean(0)
            outside = np.delete(found, np.arange(inside.start, inside.stop))
            assert found[inside].mean() > 5 * outside.mean()


def test_arrays_have_the_axes_that_the_help_names(explained):
    arrays, table, summary = read(explained)
    sites, positions = len(table), 25
    shapes = {name: value.shape for name, value in arrays.items()}
    assert shapes == {
        **dict.fromkeys(("scores", "expected", "site_class"), (sites,)),
        **dict.fromkeys(("sequence", "deletions"), (sites, positions)),
        **dict.fromkeys(("substitutions", "insertions", "gradient"), (sites, positions, 4)),
        "contributions": (sites, len(METHODS), positions),
        "positions": (positions,),
        "letters": (4,),
        "methods": (len(METHODS),),
        "spreading": (2,),
        "missing": (sites, 2),
    }
    assert arrays["positions"].tolist() == list(range(-12, 13))
    own = np.take_along_axis(arrays["substitutions"], arrays["sequence"][..., None].astype(int), 2)
    assert (own == 0).all()
    loss = -arrays["substitutions"].sum(2) / 3
    np.testing.assert_allclose(arrays["contributions"][:, 0], loss, atol=1e-5)
    for name in ("donor", "acceptor"):
        parts = summary["classes"][name]["integrated_gradients"]
        assert parts["median_missing"] < 0.05 * abs(parts["median_expected"])
        parts = summary["classes"][name]["deep_lift_shap"]
        assert parts["largest_missing"] < 1e-3 * abs(parts["median_expected"])


def test_agreement_is_that_of_scipy(explained):
    stats = pytest.importorskip("scipy.stats")
    arrays, table, _ = read(explained)
    columns = [column for column in table if "~" in column]
    assert len(columns) == 10
    for column in columns:
        one, other = (METHODS.index(name) for name in column.split("~"))
        for row in (0, len(table) - 1):
            site = arrays["contributions"][row]
            # What no method gives anything to lies outside of what the network sees.
            seen = site.any(axis=0)
            assert 0 < seen.sum() < len(seen)
            expected = stats.spearmanr(*site[[one, other]][:, seen]).statistic
            assert table[column][row] == pytest.approx(expected, abs=1e-6)


def test_sites_of_a_file_are_explained(planted, calibrated, scanned, explained, tmp_path):
    """The same sites given as BED give the same numbers; contig ends and unknown bases hold."""
    arrays, table, _ = read(explained)
    rows = table.assign(end=table["position"] + 1, zero=0)
    rows = rows[["contig", "position", "end", "class", "zero", "strand"]]
    contigs = pd.read_csv(planted.folder / "contigs.tsv", sep="\t", dtype={"contig": str})
    name, length = contigs["contig"][0], int(contigs["length"][0])
    ends = [[name, 0, 1, "donor", 0, "-"], [name, length - 1, length, "acceptor", 0, "+"]]
    rows = pd.concat([rows, pd.DataFrame(ends, columns=rows.columns)])
    bed = tmp_path / "sites.bed"
    rows.to_csv(bed, sep="\t", header=False, index=False)
    output = tmp_path / "out"
    options = ("--flank", 12, "--steps", 2, "--references", 1, "--no-indels")
    assert run(planted, calibrated, output, "--sites", bed, *options) == 0
    mine, again, _ = read(output)
    assert "deletions" not in mine and len(again) == len(table) + 2
    for key in ("substitutions", "gradient", "sequence", "scores"):
        np.testing.assert_allclose(mine[key][: len(table)], arrays[key], atol=1e-5)
    # The two last lie at the contig's ends: half of what their bins see is not there.
    assert np.isnan(mine["substitutions"][-2:, 13:]).all()
    assert np.isfinite(mine["substitutions"][-2:, :13]).all()
    assert (np.isnan(mine["contributions"][-2:]).all(1) == (mine["sequence"][-2:] == 4)).all()


BAD_LINES = [
    ("c\t5", "expected contig, start and end"),
    ("c\t9\t5\tdonor\t0\t+", "found 9-5"),
    ("c\t5\t6\tpromoter\t0\t+", "found 'promoter'; expected a class, donor, acceptor"),
    ("c\t5\t6\tdonor\t0\t.", "found strand '.'"),
    ("nowhere\t5\t6\tdonor\t0\t+", "no contig 'nowhere'"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_sites_are_named(planted, calibrated, tmp_path, capsys, line, message):
    bed = tmp_path / "sites.bed"
    bed.write_text("# a comment\n" + line + "\n")
    assert run(planted, calibrated, tmp_path / "out", "--sites", bed) == 1
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert "nowhere" in line or "line 2" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --scan or --sites"),
        (("--sites", "x.bed", "--most", "0"), "--most: found 0"),
        (("--sites", "x.bed"), "x.bed does not exist"),
    ],
)
def test_bad_arguments_are_named(planted, calibrated, tmp_path, capsys, arguments, message):
    assert run(planted, calibrated, tmp_path / "out", *arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_scan_without_calls_gives_empty_files(planted, calibrated, scanned, tmp_path):
    empty = tmp_path / "scan"
    empty.mkdir()
    table = pd.read_parquet(scanned / "candidates.parquet")
    table[:0].to_parquet(empty / "candidates.parquet")
    assert run(planted, calibrated, tmp_path / "out", "--scan", empty) == 0
    arrays, table, summary = read(tmp_path / "out")
    assert len(table) == len(arrays["scores"]) == 0
    assert summary["classes"]["donor"]["sites"] == 0
