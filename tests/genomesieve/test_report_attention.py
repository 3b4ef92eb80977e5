"""Attention in a report: tables, words, and pictures that show what was measured."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.figures_attention import draw_heads, draw_map
from genomesieve.report_attention import (
    attention_items,
    attention_sentence,
    attention_table,
    read_attention,
)
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen


def write_attention(folder, members=1, called=4):
    """Write attention at four donors that looks where nothing matters."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets = np.tile(np.arange(-50, 50, 10), (4, 1))
    rollout = np.full((4, 10), 0.1, dtype=np.float32)
    sizes = np.tile(np.linspace(0, 3, 10), (4, 1))
    sizes[:, 0] = np.nan
    np.savez_compressed(
        folder / "attention.npz", offsets=offsets, rollout=rollout, mutagenesis=sizes,
        heads=np.full((4, 2 * members, 2, 10), 0.1), site_class=np.array(["donor"] * 4),
        stride=np.array(10),
    )  # fmt: skip
    pd.DataFrame(
        {"contig": "chr<1>", "position": 99, "strand": "+", "class": ["donor"] * 4, "score": 3.0,
         "rollout~mutagenesis": 0.1, "score_uniform": 2.0, "score_shuffled": 1.0}
    ).to_csv(folder / "sites.tsv", sep="\t", index=False)  # fmt: skip
    pd.DataFrame(
        [
            {"class": "donor", "member": member, "layer": layer, "head": head, "spearman": 0.25,
             "low": 0.1, "high": 0.4}
            for member, layer, head in np.ndindex(members, 2, 2)
        ]
    ).to_csv(folder / "heads.tsv", sep="\t", index=False)  # fmt: skip
    change = {"change": {"median": -1.0, "low": -1.5, "high": -0.5}, "still_called": called // 4}
    stated = {"sites": 4, "rollout_spearman": {"median": 0.1, "low": None, "high": None},
              "residual_spearman": {"median": 0.05, "low": 0.01, "high": 0.09},
              "called": called, "uniform": change, "shuffled": change}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"classes": {"donor": stated}}))


def read_with(tmp_path, **changes):
    arguments = write_screen(tmp_path)
    write_attention(tmp_path / "attention", **changes)
    arguments += ["--attention", f"thaliana={tmp_path / 'attention'}"]
    return read_screen(parse_arguments([*arguments, "--output", "unused", "--figures", "unused"]))


def test_table_and_sentence_state_what_was_found(tmp_path):
    screen = read_with(tmp_path)
    (row,) = attention_table(screen).rows
    change = "−1.000 (−1.500 to −0.500)"
    assert row == [
        "thaliana",
        "donor",
        "4",
        "0.100",
        "0.050 (0.010–0.090)",
        change,
        "25\u00a0%",
        change,
        "25\u00a0%",
    ]
    sentence = attention_sentence(screen)
    assert "<b>donor</b> on thaliana 0.100, uniform attention 0.050" in sentence
    assert "25\u00a0% of the calls stay calls" in sentence and "25\u00a0% to" not in sentence


def test_without_calls_no_share_is_stated(tmp_path):
    screen = read_with(tmp_path, called=0)
    assert attention_table(screen).rows[0][6] == "–"
    assert "stay calls" not in attention_sentence(screen)


def test_page_shows_attention_where_there_is_some(tmp_path):
    arguments = write_screen(tmp_path)
    write_attention(tmp_path / "attention")
    output = tmp_path / "report.html"
    options = ["--output", str(output), "--figures", str(tmp_path / "figures")]
    given = ["--attention", f"thaliana={tmp_path / 'attention'}"]
    assert main([*arguments, *given, *options]) == 0
    page = output.read_text()
    assert "Attention is not explanation" in page and "chr&lt;1&gt;:100" in page
    assert {"attention_maps.svg", "attention_heads.svg"} <= {
        path.name for path in (tmp_path / "figures").iterdir()
    }
    screen = read_screen(parse_arguments([*arguments, *options]))
    assert attention_items(screen, {}) == []


def test_map_and_heads_are_drawn(tmp_path):
    write_attention(tmp_path, members=2)
    found = read_attention(tmp_path, "toy")
    figure, axes = plt.subplots()
    draw_map(axes, found, 0)
    # Where mutagenesis did not look, attention is not drawn either.
    assert len(axes.patches) == 9
    plt.close(figure)
    figure, axes = plt.subplots()
    draw_heads(axes, found, "donor")
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"network {one}, layer {two}" for one in (1, 2) for two in (1, 2)]
    assert [text.get_text() for text in axes.texts] == ["0.25"] * 8
    plt.close(figure)


def test_damaged_files_are_named(tmp_path):
    write_attention(tmp_path)
    (tmp_path / "attention.npz").write_text("no archive")
    with pytest.raises(InputError, match=r"attention of toy .*attention.npz cannot be read"):
        read_attention(tmp_path, "toy")
