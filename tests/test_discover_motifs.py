"""Motifs of networks whose weights are known motifs, against files that hold them and decoys."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from memelite.io import read_meme, write_meme

import attribute_sites
import discover_motifs
from attributed_models import make_bundle
from genomesieve.alphabet import DNA
from genomesieve.bundle import save_bundle
from genomesieve.motif_filters import set_motif_filters
from genomesieve.motifs import Motif
from motif_sites import (
    RESOLUTION,
    WORDS,
    bin_sites,
    decoys,
    frequencies,
    matrix_model,
    point_sites,
    write_genome,
    write_sites,
)

FILES = (
    "motifs.tsv",
    "matches.tsv",
    "hits.tsv",
    "motifs.meme",
    "filters.meme",
    "matrices.npz",
    "summary.json",
)


def attribute(folder, resolution, sites, *options):
    """Attribute planted sites with a network that scores their motifs' log-odds."""
    placed = [(row.start + row.offset, row.strand, WORDS[row[1]]) for row in sites.itertuples()]
    genome = write_genome(folder, placed)
    matrix_model(folder / "model", resolution, both_strands=resolution > 1, left=4)
    bed = write_sites(folder / "sites.bed", sites, resolution)
    assert attribute_sites.main(
        [
            *("--model", str(folder / "model"), "--genome-folder", str(genome)),
            *("--sites", str(bed), "--no-indels", "--steps", "2", "--references", "1"),
            *("--device", "cpu", "--threads", "1", *map(str, options)),
            *("--output-dir", str(folder / "attributions")),
        ]
    ) == 0  # fmt: skip
    known = {f"{name}.1 {name}": frequencies(word) for name, word in WORDS.items()}
    known |= {f"decoy{row} decoy": matrix for row, matrix in enumerate(decoys(30))}
    write_meme(str(folder / "known.meme"), known)


def run(folder, output, *options):
    named = {"--model": "model", "--attributions": "attributions"}
    arguments = [str(item) for name, path in named.items() for item in (name, folder / path)]
    if "--database" not in options:
        arguments += ["--database", str(folder / "known.meme")]
    arguments += ["--shuffles", "2", "--output-dir", str(output)]
    return discover_motifs.main([*arguments, *map(str, options)])


def read(output):
    tables = [pd.read_csv(output / f"{name}.tsv", sep="\t") for name in ("motifs", "hits")]
    return *tables, json.loads((output / "summary.json").read_text())


@pytest.fixture(scope="module")
def in_bins(tmp_path_factory):
    """Motifs anywhere in bins, on either strand."""
    folder = tmp_path_factory.mktemp("bins")
    attribute(folder, RESOLUTION, bin_sites(), "--flank", 20)
    assert run(folder, folder / "motifs") == 0
    return folder


@pytest.fixture(scope="module")
def at_points(tmp_path_factory):
    """Motifs that begin 4 bp before the site's base, on the site's strand."""
    folder = tmp_path_factory.mktemp("points")
    attribute(folder, 1, point_sites(), "--flank", 20)
    assert run(folder, folder / "motifs") == 0
    return folder


def test_planted_motifs_are_recovered_and_matched(in_bins):
    motifs, _, summary = read(in_bins / "motifs")
    assert summary["database"] == {"name": "known.meme", "motifs": 32}
    for name, word in WORDS.items():
        first = motifs[motifs["class"] == name].iloc[0]
        assert (first["motif"], first["source"], first["sign"]) == (
            f"{name}.pattern_0",
            "modisco",
            "+",
        )
        assert (first["match"], first["match_name"]) == (f"{name}.1", name)
        assert first["q_value"] < 1e-6
        assert first["consensus"] in (word, DNA.decode(DNA.reverse_complement(DNA.encode(word))))
        assert first["seqlets"] >= 35 and first["information"] > 14
        assert first["mean_contribution"] > 5


def test_hits_are_exactly_where_motifs_were_planted(in_bins):
    """Both strands, whichever of them the pattern was found on."""
    motifs, hits, _ = read(in_bins / "motifs")
    sites = bin_sites()
    for name, word in WORDS.items():
        consensus = motifs.loc[motifs["motif"] == f"{name}.pattern_0", "consensus"].iloc[0]
        turned = consensus != word
        mine = sites[sites["class"] == name]
        best = (
            hits[hits["motif"] == f"{name}.pattern_0"]
            .sort_values("log_odds")
            .drop_duplicates("site", keep="last")
            .set_index("site")
        )
        planted = mine.loc[mine.index.intersection(best.index)]
        assert len(planted) >= 0.9 * len(mine)
        exact = planted["offset"] == best.loc[planted.index, "offset"]
        strand = (planted["strand"] == "+") ^ turned == (best.loc[planted.index, "strand"] == "+")
        assert (exact & strand).mean() > 0.97
        row = motifs[motifs["motif"] == f"{name}.pattern_0"].iloc[0]
        assert row["carried"] == len(best) and row["sites"] == len(mine)
        assert row["share"] >= 0.9 and row["shuffled_share"] < 0.1
        assert row["offset_median"] == best["offset"].median()


def test_files_agree_with_each_other(in_bins):
    motifs, hits, _ = read(in_bins / "motifs")
    frequency = read_meme(str(in_bins / "motifs" / "motifs.meme"))
    assert list(frequency) == motifs["motif"].tolist()
    matches = pd.read_csv(in_bins / "motifs" / "matches.tsv", sep="\t")
    assert (matches.groupby("motif").size() == 5).all()
    assert set(hits["motif"]) <= set(motifs["motif"])
    with np.load(in_bins / "motifs" / "matrices.npz") as arrays:
        for name, matrix in frequency.items():
            shares = arrays[f"{name}/counts"] + 0.25
            np.testing.assert_allclose(shares / shares.sum(0), matrix, atol=1e-6)
            best = matches[(matches["motif"] == name) & (matches["rank"] == 1)].iloc[0]
            assert arrays[f"match/{name}/offset"] == best["offset"]


def test_fixed_motifs_are_read_off_in_place(at_points):
    motifs, hits, summary = read(at_points / "motifs")
    assert summary["settings"]["aligned"]
    for name, word in WORDS.items():
        mine = motifs[motifs["class"] == name]
        fixed = mine[mine["source"] == "fixed"]
        assert len(fixed) == 1
        one = fixed.iloc[0]
        assert (one["consensus"], one["offset"], one["width"]) == (word, -4, len(word))
        assert (one["match_name"], one["share"]) == (name, 1.0)
        assert one["shuffled_share"] < 0.1
        there = hits[hits["motif"] == one["motif"]]
        assert (there["offset"] == -4).all() and (there["strand"] == "+").all()
        # Nothing is left of what was read off.
        assert len(mine) == 1
        assert summary["classes"][name]["no_patterns_because"]


def test_filters_stand_apart_from_what_calls_rest_on(in_bins, tmp_path):
    """They are matched and counted; what is to be put in or taken out is in the other files."""
    model = {"preset": "motif_cnn", "channels": 8, "stem_kernels": [15], "resolution": RESOLUTION}
    bundle = make_bundle(model)
    bundle.classes = list(WORDS)
    known = [Motif(f"{name}.1", name, 100 * frequencies(word)) for name, word in WORDS.items()]
    set_motif_filters(bundle.network, known)
    bundle.training = {"stem_motifs": [one.identifier for one in known], "freeze": ["stem"]}
    save_bundle(tmp_path / "model", bundle)
    assert run(in_bins, tmp_path / "out", "--model", tmp_path / "model") == 0
    motifs, hits, summary = read(tmp_path / "out")
    filters = motifs[motifs["source"] == "filter"].set_index("motif")
    assert summary["filters"] == len(filters) >= 4 and summary["stem"]["frozen"]
    for row, name in enumerate(WORDS):
        for one in (f"stem.filter_{2 * row}", f"stem.filter_{2 * row + 1}"):
            assert filters.loc[one, "match_name"] == name
            assert filters.loc[one, "started_as"] == f"{name}.1"
            assert filters.loc[one, "class"] == "all" and filters.loc[one, "share"] > 0.4
    assert not set(hits["motif"]) & set(filters.index) and len(hits)
    patterns = [f"{name}.pattern_0" for name in WORDS]
    assert list(read_meme(str(tmp_path / "out" / "motifs.meme"))) == patterns
    assert list(read_meme(str(tmp_path / "out" / "filters.meme"))) == list(filters.index)
    assert run(in_bins, tmp_path / "none", "--model", tmp_path / "model", "--no-filters") == 0
    assert "filter" not in set(read(tmp_path / "none")[0]["source"])


def test_two_runs_write_the_same_bytes(in_bins, tmp_path):
    assert run(in_bins, tmp_path / "again") == 0
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (in_bins / "motifs" / name).read_bytes()


def test_too_few_sites_give_empty_tables_and_a_reason(in_bins, tmp_path):
    folder = in_bins / "attributions"
    few = tmp_path / "few"
    few.mkdir()
    with np.load(folder / "attributions.npz") as content:
        arrays = dict(content)
    sites = pd.read_csv(folder / "sites.tsv", sep="\t")
    rows = np.flatnonzero(sites["class"] == "Reb")[:6]
    for name in ("sequence", "scores", "substitutions", "gradient", "contributions", "site_class"):
        arrays[name] = arrays[name][rows]
    np.savez_compressed(few / "attributions.npz", **arrays)
    sites.iloc[rows].to_csv(few / "sites.tsv", sep="\t", index=False)
    shutil.copy(folder / "summary.json", few)
    assert run(in_bins, tmp_path / "out", "--attributions", few) == 0
    motifs, hits, summary = read(tmp_path / "out")
    assert len(motifs) == len(hits) == 0 and "q_value" in motifs and "log_odds" in hits
    assert "in no cluster of 20" in summary["classes"]["Reb"]["no_patterns_because"]
    assert summary["classes"]["Rap"] == {
        "sites": 0, "motifs": 0, "patterns": 0, "no_patterns_because": "no sites",
    }  # fmt: skip
    assert read_meme(str(tmp_path / "out" / "motifs.meme")) == {}


BAD = [
    (("--database", "mushrooms"), "'mushrooms' is no file"),
    (("--attributions", "nowhere"), "nowhere"),
    (("--model", "nowhere"), "nowhere"),
    (("--window", "2"), "--window: found 2; expected at least 3"),
    (("--fewest", "1"), "--fewest: found 1"),
    (("--seqlet-fdr", "1"), "--seqlet-fdr: found 1.0"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_named(in_bins, tmp_path, capsys, options, message):
    assert run(in_bins, tmp_path / "out", *options) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_attributions_of_two_runs_are_refused(in_bins, tmp_path, capsys):
    folder = in_bins / "attributions"
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "attributions.npz").write_bytes((folder / "attributions.npz").read_bytes())
    table = pd.read_csv(folder / "sites.tsv", sep="\t")
    table[::-1].to_csv(mixed / "sites.tsv", sep="\t", index=False)
    assert run(in_bins, tmp_path / "out", "--attributions", mixed) == 1
    assert "expected both of one run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
