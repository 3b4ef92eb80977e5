"""Interventions with motifs on a small trained network that has learned planted words."""

import json

import numpy as np
import pandas as pd
import pytest

import intervene_motifs
from genomesieve.genome import EncodedGenome
from genomesieve.motif_interventions import (
    COPY_COLUMNS,
    MARGINAL_COLUMNS,
    PAIR_COLUMNS,
    POSITION_COLUMNS,
)
from genomesieve.site_interventions import SITE_COLUMNS

memelite = pytest.importorskip("memelite.io")

COLUMNS = {
    "marginal": MARGINAL_COLUMNS,
    "positions": POSITION_COLUMNS,
    "copies": COPY_COLUMNS,
    "pairs": PAIR_COLUMNS,
    "sites": SITE_COLUMNS,
}
FIVE, THREE = "GGTAA", "TCAGG"
"""What the network sees of the planted words: from the donor on, and up to the acceptor."""
QUICK = ("--background-count", 12, "--flank", 20, "--draws", 3, "--most-sites", 6, "--controls", 2)
QUICK += ("--shifts=-3,2,3,40",)


def write_words(path, **words):
    """Write words as a MEME file."""
    matrices = {
        name: np.array([np.where(np.arange(4) == "ACGT".index(letter), 0.97, 0.01)
                        for letter in word]).T
        for name, word in words.items()
    }  # fmt: skip
    memelite.write_meme(str(path), matrices)
    return path


@pytest.fixture(scope="module")
def motifs(tmp_path_factory):
    path = tmp_path_factory.mktemp("motifs") / "motifs.meme"
    return write_words(path, five=FIVE, three=THREE)


@pytest.fixture(scope="module")
def sites(planted, tmp_path_factory):
    """Planted sites as attribute_sites writes them, with one at either end of a contig."""
    table = pd.read_parquet(planted.sites)
    table = table[table["contig"] == "chr2"][["contig", "position", "strand", "class"]]
    ends = [("chr2", 0, "+", "donor"), ("chr2", 40036, "+", "acceptor")]
    table = pd.concat([pd.DataFrame(ends, columns=table.columns), table])
    path = tmp_path_factory.mktemp("sites") / "sites.tsv"
    table.assign(score=1.0).to_csv(path, sep="\t", index=False)
    return path


def run(planted, model, motifs, output, *arguments):
    return intervene_motifs.main(
        [
            *("--model", str(model), "--genome-folder", str(planted.folder)),
            *("--motifs", str(motifs), "--device", "cpu", "--threads", "1"),
            *("--output-dir", str(output), *map(str, arguments)),
        ]
    )


def read(folder):
    tables = {name: pd.read_csv(folder / f"{name}.tsv", sep="\t") for name in COLUMNS}
    return tables, json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def measured(planted, calibrated, motifs, sites, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interventions") / "out"
    assert run(planted, calibrated, motifs, folder, "--sites", sites, *QUICK) == 0
    return folder


def test_tables_have_the_columns_that_the_help_names(measured):
    tables, summary = read(measured)
    for name, columns in COLUMNS.items():
        assert tuple(tables[name].columns) == columns
        assert len(tables[name])
    assert summary["unit"] == "log-odds"
    assert summary["motifs"] == ["five", "three"]
    assert summary["consensus"] == {"five": FIVE, "three": THREE}
    assert summary["not_implanted"] == [] and summary["pairs_left_out"] == 0


def test_learned_words_act_where_they_were_planted(measured):
    tables, _ = read(measured)
    marginal = tables["marginal"].set_index(["motif", "class"])
    for motif, kind, offset in (("five", "donor", 0), ("three", "acceptor", -4)):
        row = marginal.loc[(motif, kind)]
        assert (row["offset"], row["strand"]) == (offset, "+")
        assert row["low"] > 1 and row["effect"] > 3 * abs(row["control"])
        assert row["backgrounds"] == 6
        mine = tables["positions"]
        mine = mine[(mine["motif"] == motif) & (mine["class"] == kind)].nlargest(1, "effect")
        assert (mine["offset"].item(), mine["strand"].item()) == (offset, "+")


def test_taking_words_out_of_sites_loses_what_they_give(measured):
    tables, summary = read(measured)
    table = tables["sites"]
    for motif, kind in (("five", "donor"), ("three", "acceptor")):
        mine = table[(table["motif"] == motif) & (table["class"] == kind)]
        deleted = mine[mine["action"] == "delete"].set_index("site")
        assert len(deleted) >= 5 and deleted["effect"].mean() < -2
        at_place = deleted[deleted["offset"] == (0 if kind == "donor" else -4)]
        assert len(at_place) >= 4 and (at_place["effect"] < 0).all()
        assert (deleted["low"] <= deleted["effect"]).all()
        assert (deleted["effect"] <= deleted["high"]).all()
        (mean,) = [
            one
            for one in summary["sites"]["means"]
            if (one["class"], one["motif"], one["action"]) == (kind, motif, "delete")
        ]
        assert mean["effect"] == pytest.approx(deleted["effect"].mean(), abs=1e-4)
        assert mean["sites"] == len(deleted) and mean["low"] <= mean["effect"] <= mean["high"]
    assert set(table.loc[table["action"] == "move", "shift"]) <= {-3, 2, 3}


def test_equal_runs_give_equal_files(planted, calibrated, motifs, sites, measured, tmp_path):
    assert run(planted, calibrated, motifs, tmp_path / "out", "--sites", sites, *QUICK) == 0
    for name in (*(f"{table}.tsv" for table in COLUMNS), "summary.json"):
        assert (tmp_path / "out" / name).read_text() == (measured / name).read_text()


def test_hits_of_a_file_are_used_instead_of_matching(
    planted, calibrated, motifs, sites, measured, tmp_path
):
    tables, _ = read(measured)
    hits = tables["sites"][tables["sites"]["action"] == "delete"]
    hits = hits[(hits["class"] == "donor") & (hits["motif"] == "five")]
    path = tmp_path / "hits.tsv"
    hits = hits[["motif", "class", "site", "offset", "strand"]].assign(log_odds=9.0)
    hits.assign(contribution=1.0).to_csv(path, sep="\t", index=False)
    arguments = ("--sites", sites, "--hits", path, *QUICK)
    assert run(planted, calibrated, motifs, tmp_path / "out", *arguments) == 0
    found, summary = read(tmp_path / "out")
    assert summary["sites"]["hits_from"] == "file"
    mine = found["sites"]
    assert set(mine["motif"]) == {"five"}
    expected = tables["sites"]
    expected = expected[(expected["class"] == "donor") & (expected["motif"] == "five")]
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), expected.reset_index(drop=True))


def test_backgrounds_of_sites_and_no_sites(planted, calibrated, motifs, sites, tmp_path):
    options = ("--backgrounds", "sites", "--sites", sites, *QUICK)
    assert run(planted, calibrated, motifs, tmp_path / "sites", *options) == 0
    tables, summary = read(tmp_path / "sites")
    assert summary["background"] == "sites" and len(tables["positions"])
    assert run(planted, calibrated, motifs, tmp_path / "none", *QUICK) == 0
    tables, summary = read(tmp_path / "none")
    assert tables["sites"].empty and summary["sites"]["looked_at"] == 0
    assert len(tables["marginal"]) == 4


def test_no_motifs_give_empty_tables(planted, calibrated, sites, tmp_path):
    empty = write_words(tmp_path / "empty.meme")
    assert run(planted, calibrated, empty, tmp_path / "out", "--sites", sites, *QUICK) == 0
    tables, summary = read(tmp_path / "out")
    for name, columns in COLUMNS.items():
        assert tables[name].empty and tuple(tables[name].columns) == columns
    assert summary["motifs"] == [] and summary["sites"]["means"] == []


def test_a_motif_wider_than_all_that_is_seen_is_named(planted, calibrated, tmp_path):
    wide = write_words(tmp_path / "wide.meme", wide="ACGT" * 60, five=FIVE)
    assert run(planted, calibrated, wide, tmp_path / "out", *QUICK) == 0
    tables, summary = read(tmp_path / "out")
    assert summary["not_implanted"] == ["wide"]
    assert set(tables["marginal"]["motif"]) == {"five"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--background-count", 1), "--backgrounds: found 1; expected at least 2"),
        (("--draws", 0), "--draws: found 0"),
        (("--hit-share", 0), "--hit-share: found 0.0"),
        (("--shifts=1,x",), "--shifts: found '1,x'; expected whole numbers"),
        (("--backgrounds", "sites"), "--backgrounds sites: there are no sites"),
        (("--sites", "none.tsv"), "none.tsv does not exist"),
        (("--motifs", "none.meme"), "none.meme does not exist"),
    ],
)
def test_bad_arguments_are_named(planted, calibrated, motifs, tmp_path, capsys, arguments, message):
    assert run(planted, calibrated, motifs, tmp_path / "out", *arguments) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("chr2", 100, "+", "promoter"), "has class promoter; expected donor, acceptor"),
        (("nowhere", 100, "+", "donor"), "no contig 'nowhere'"),
        (("chr2", 10**9, "+", "donor"), "does not lie on its contig"),
    ],
)
def test_bad_sites_are_named(planted, calibrated, motifs, tmp_path, capsys, row, message):
    path = tmp_path / "sites.tsv"
    columns = ["contig", "position", "strand", "class"]
    pd.DataFrame([row], columns=columns).to_csv(path, sep="\t", index=False)
    assert run(planted, calibrated, motifs, tmp_path / "out", "--sites", path) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_hits_of_other_motifs_are_refused(planted, calibrated, motifs, sites, tmp_path, capsys):
    path = tmp_path / "hits.tsv"
    columns = ["motif", "site", "offset", "strand", "log_odds"]
    pd.DataFrame([("x", 0, 0, "+", 1.0)], columns=columns).to_csv(path, sep="\t", index=False)
    arguments = ("--sites", sites, "--hits", path)
    assert run(planted, calibrated, motifs, tmp_path / "out", *arguments) == 1
    assert "name motif 'x', which the motif file does not hold" in capsys.readouterr().err


def test_a_genome_of_short_contigs_is_named(planted, calibrated, motifs, tmp_path, capsys):
    genome = EncodedGenome.open(planted.folder)
    folder = tmp_path / "short"
    folder.mkdir()
    np.save(folder / "codes.npy", genome.codes[:10])
    table = pd.DataFrame({"contig": ["c"], "length": [10], "offset": [0]})
    table.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    arguments = ("--genome-folder", folder)
    assert run(planted, calibrated, motifs, tmp_path / "out", *arguments) == 1
    assert "genome short: 0 windows of" in capsys.readouterr().err.splitlines()[-1]
