"""Motifs in a report: tables, words, and pictures that show what the files hold."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.figures_motifs import draw_motif, draw_places, information, motif_pictures
from genomesieve.report_motifs import (
    filter_table,
    match_words,
    motif_items,
    motif_table,
    read_motifs,
)
from genomesieve.report_page import make_pictures
from motif_sites import frequencies
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen

NOTE = "first filters were started as 2 known motifs"
ROWS = [
    ("donor.fixed_0", "fixed", "donor", "+", 40, "GGTAAG", -2, "", "M<1>.1", "Some", 1e-5, 1e-3,
     40, 1.0, 0.02, -2, -2, -2, 1.0, 9.5),
    ("donor.pattern_0", "modisco", "donor", "-", 25, "TTT", None, "", None, None, None, None,
     40, 0.5, 0.25, -9, 4, 12, 0.75, -1.25),
    ("stem.filter_3", "filter", "all", ".", 70, "CCW", None, "MA9.1", "MA9.1", "Nine", 1e-3, 0.2,
     80, 0.1, 0.1, 0, 1, 2, 0.5, 0.3),
]  # fmt: skip
COLUMNS = ["motif", "source", "class", "sign", "seqlets", "consensus", "offset", "started_as",
           "match", "match_name", "p_value", "q_value", "sites", "share", "shuffled_share",
           "offset_low", "offset_median", "offset_high", "own_strand_share",
           "mean_contribution"]  # fmt: skip


def write_motifs(folder, rows=ROWS, database=193):
    """Write motifs of donors: one at a place, one that moves; and a filter."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=COLUMNS).astype({"offset": "Int64"}).to_csv(
        folder / "motifs.tsv", sep="\t", index=False
    )
    hits = [("donor.pattern_0", "donor", site, 10 * (site % 2) + 1) for site in range(20)]
    pd.DataFrame(hits, columns=["motif", "class", "site", "offset"]).to_csv(
        folder / "hits.tsv", sep="\t", index=False
    )
    arrays = {}
    for row in rows:
        arrays[f"{row[0]}/counts"] = 40 * frequencies("GATTACA")
        arrays[f"{row[0]}/contributions"] = frequencies("GATTACA") - 0.1
    arrays["match/donor.fixed_0/counts"] = 10 * frequencies("TTGATT")
    arrays["match/donor.fixed_0/offset"] = np.array(-2)
    np.savez_compressed(folder / "matrices.npz", **arrays)
    stated = {"sites": 40, "motifs": 2, "patterns": 1, "no_patterns_because": None}
    nothing = {"sites": 3, "motifs": 0, "patterns": 0, "no_patterns_because": "2 seqlets <only>"}
    summary = {
        "database": {"name": "JASPAR2026 CORE plants", "motifs": database},
        "stem": {"note": NOTE}, "classes": {"donor": stated, "acceptor": nothing},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def with_motifs(tmp_path, **content):
    arguments = write_screen(tmp_path)
    write_motifs(tmp_path / "motifs", **content)
    return [*arguments, "--motifs", f"thaliana={tmp_path / 'motifs'}"]


@pytest.fixture
def screen(tmp_path):
    arguments = [*with_motifs(tmp_path), "--output", "unused", "--figures", "unused"]
    return read_screen(parse_arguments(arguments))


def test_tables_state_what_the_files_hold(screen):
    first, second = motif_table(screen).rows
    assert first[:8] == [
        "thaliana", "donor", "donor.fixed_0", "stands at one place", "for", "GGTAAG",
        "Some (M<1>.1), q 0.001", "40",
    ]  # fmt: skip
    assert first[8:] == ["100\u00a0%", "2\u00a0%", "-2", "100\u00a0%", "9.50"]
    assert (second[4], second[6], second[10]) == ("against", "–", "4 (-9 to 12)")
    (row,) = filter_table(screen).rows
    assert row[:5] == ["thaliana", "stem.filter_3", "MA9.1", "CCW", "Nine (MA9.1), q 0.2"]


def test_words_say_what_was_found_and_what_not(screen):
    drawn = dict.fromkeys(make_pictures(screen))
    words = " ".join(str(item.content) for item in motif_items(screen, drawn))
    assert "on the model" in words and "only an experiment" in words and NOTE in words
    assert "donor: Some" in words and "193 motifs of JASPAR2026 CORE plants" in words
    assert "2 seqlets <only>" in words and "acceptor" in words


def test_names_that_are_the_same_are_written_once():
    assert match_words({"match": "a", "match_name": "a", "q_value": 0.5}) == "a, q 0.5"
    assert match_words({"match": "", "match_name": "", "q_value": np.nan}) == "–"


def test_without_motifs_nothing_is_said(tmp_path):
    arguments = [*write_screen(tmp_path), "--output", "unused", "--figures", "unused"]
    screen = read_screen(parse_arguments(arguments))
    assert motif_pictures(screen) == [] and motif_items(screen, {}) == []


@pytest.mark.parametrize("rows", [ROWS, []])
def test_whole_page_is_written(tmp_path, rows):
    arguments = with_motifs(tmp_path, rows=rows, database=0 if not rows else 193)
    output = tmp_path / "report.html"
    assert main([*arguments, "--output", str(output), "--figures", str(tmp_path / "figures")]) == 0
    page = output.read_text()
    assert "Motifs that the model uses" in page and "2 seqlets &lt;only&gt;" in page
    assert ("M&lt;1&gt;.1" in page) == bool(rows) and "M<1>" not in page
    assert ("No motif was found." in page) == (not rows)
    for name in ("motif_logos", "motif_places"):
        assert (f'id="picture-{name}"' in page) == bool(rows)
        assert (tmp_path / "figures" / f"{name}.svg").stat().st_size > 500


def test_matched_logo_lies_in_line_with_the_motif(tmp_path):
    found = read_motifs(write_motifs(tmp_path), "toy")
    figure, axes = plt.subplots()
    draw_motif(axes, found, found.motifs.iloc[0].to_dict())
    top, bottom = sorted(axes.child_axes, key=lambda one: -one.get_position().y0)
    assert top.get_xlim() == bottom.get_xlim() == (-2.6, 6.6)
    assert "Some" in bottom.get_title() and bottom.get_ylim() == (0, 2)
    plt.close(figure)
    figure, axes = plt.subplots()
    draw_motif(axes, found, found.motifs.iloc[1].to_dict())
    assert len(axes.child_axes) == 1
    plt.close(figure)


def test_places_are_shares_of_calls(tmp_path):
    found = read_motifs(write_motifs(tmp_path), "toy")
    figure, axes = plt.subplots()
    draw_places(axes, found, "donor")
    (line,) = axes.get_lines()
    heights = dict(zip(line.get_xdata(), line.get_ydata()))
    # Ten of forty calls each at offsets 1 and 11.
    assert heights == {-2.5: 0, 2.5: 25, 7.5: 0, 12.5: 25, 17.5: 0}
    plt.close(figure)


def test_information_of_a_column():
    bits = information(np.array([[1, 1, 2], [0, 1, 2], [0, 0, 2], [0, 0, 2.0]]))
    np.testing.assert_allclose(bits.sum(0), [2, 1, 0], atol=1e-6)


def test_damaged_files_are_named(tmp_path):
    folder = write_motifs(tmp_path / "a")
    (folder / "matrices.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="matrices.npz cannot be read"):
        read_motifs(folder, "toy")
    np.savez_compressed(folder / "matrices.npz", other=np.zeros(1))
    with pytest.raises(InputError, match="lacks donor.fixed_0; expected all motifs"):
        read_motifs(folder, "toy")
