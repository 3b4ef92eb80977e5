"""Probes in a report: tables, words, and pictures that show what the files hold."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.figures_probes import draw_losses, draw_scores, draw_similarity, probe_pictures
from genomesieve.report_page import make_pictures
from genomesieve.report_probes import (
    intervention_table,
    probe_items,
    property_table,
    read_probes,
    verdict_sentence,
)
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen

LAYERS = ("stem", "block_1", "trunk")
SCORES = {
    "trained": {"gc": (0.2, 0.5, 0.9), "strand": (0.5, 0.6, 0.75)},
    "untrained": {"gc": (0.2, 0.1, 0.1), "strand": (0.5, 0.5, 0.5)},
    "kmer": {"gc": (0.3, 0.6, 0.95), "strand": (0.55, 0.6, 0.7)},
    "control_unseen": {"gc": (-0.01, 0, 0), "strand": (0.5, 0.49, 0.5)},
    "selectivity": {"gc": (0.2, 0.5, 0.9), "strand": (0, 0.1, 0.25)},
    "single_unit": {"gc": (0.1, 0.2, 0.3), "strand": (0.5, 0.5, 0.6)},
}


def stated(name, layer, verdict, users):
    """What a summary says of one property."""
    column = LAYERS.index(layer)
    beside = {
        what: {"score": values[name][column], "low": 0.0, "high": 1.0}
        for what, values in SCORES.items()
        if what != "trained"
    }
    score = {"score": SCORES["trained"][name][column], "low": 0.7, "high": 0.95}
    metric = {"gc": "r2", "strand": "auroc"}[name]
    words = {"property": name, "layer": layer, "metric": metric, "verdict": verdict}
    return words | score | beside | {"chance": 0.0, "used_by": users}


def write_probes(folder, seeds=True):
    """Write probes of two properties: gc is present, strand is used by acceptors."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"layer": layer, "property": name, "what": what, "metric": metric, "score": score,
         "low": score - 0.05, "high": score + 0.05, "chance": base, "depth": depth}
        for what, values in SCORES.items()
        for name, scores in values.items()
        for depth, (layer, score) in enumerate(zip(LAYERS, scores))
        for metric, base in ([("r2", 0), ("spearman", 0)] if name == "gc" else [("auroc", 0.5)])
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "probes.tsv", sep="\t", index=False)
    rows = []
    for name, loss in (("gc", 0.01), ("strand", 0.2)):
        for removed in ("probe", "erasure", "random_probe", "random_erasure"):
            own = not removed.startswith("random")
            size = loss if own else 0.02
            row = {"property": name, "layer": "trunk", "removed": removed, "class": "acceptor"}
            row |= {"before": 0.8, "after": 0.8 - size, "loss": size}
            row |= {"low": size - 0.005, "high": size + 0.005, "readable_before": 0.9}
            if own:
                row |= {"readable_after": 0.001, "excess": size - 0.02}
                row |= {"excess_low": size - 0.03, "excess_high": size - 0.01}
            rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "interventions.tsv", sep="\t", index=False)
    rows = [
        {"layer": layer, "what": what, "one": 0, "other": other, "positions": 9, "cka": cka,
         "matched_units": cka / 2, "best_units": cka / 1.5}
        for layer, cka in zip(LAYERS, (0.9, 0.8, 0.6))
        for what, other in (("trained", 1), ("untrained", 1), ("trained_untrained", 0))
        if seeds or what == "trained_untrained"
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "similarity.tsv", sep="\t", index=False)
    summary = {
        "layers": [{"layer": layer} for layer in LAYERS],
        "properties": [
            stated("gc", "trunk", "present", []),
            stated("strand", "trunk", "used", ["acceptor"]),
        ],
        "left_out": {"repeat": "no soft-masked runs of <toy>"},
        "unseen_controls": {"probes": 6, "above_chance": 0},
    }
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def screen(tmp_path):
    arguments = write_screen(tmp_path)
    write_probes(tmp_path / "probes")
    arguments += ["--probes", f"thaliana={tmp_path / 'probes'}"]
    return read_screen(parse_arguments([*arguments, "--output", "unused", "--figures", "unused"]))


def found_in(screen):
    genome = next(one for one in screen.genomes if "probes" in one.explanations)
    return genome, genome.explanations["probes"]


def test_the_sentence_states_every_verdict(screen):
    text = verdict_sentence(*found_in(screen))
    assert "used (without it the model finds fewer sites)</b>: strand of the gene" in text
    assert "not seen to be used</b>: share of G and C" in text
    assert "0 of 6 probes scored above chance" in text
    assert "repeat (no soft-masked runs of &lt;toy&gt;)" in text


def test_tables_state_what_the_files_hold(screen):
    rows = property_table(screen).rows
    assert [row[1] for row in rows] == ["share of G and C", "strand of the gene"]
    assert rows[0][:4] == ["thaliana", "share of G and C", "trunk", "R²"]
    assert rows[0][4].startswith("0.90") and rows[0][5].startswith("0.10")
    assert rows[1][-1] == "used: acceptor" and rows[0][-1] == "present"
    rows = intervention_table(screen).rows
    assert len(rows) == 4
    assert rows[3][3:7] == ["all that a linear probe reads", "0.90 → 0.00", "acceptor", "0.800"]
    assert rows[3][7] == "0.200 (0.195–0.205)" and rows[3][8].startswith("0.180")


def test_the_heat_map_has_three_blocks_in_the_order_of_layers(screen):
    _, found = found_in(screen)
    figure, axes = plt.subplots()
    draw_scores(axes, found)
    assert [image.get_array().shape for image in axes.images] == [(2, 3)] * 3
    # From chance to perfect: an AUROC of 0.75 is half way.
    np.testing.assert_allclose(axes.images[0].get_array()[:, 2], [0.9, 0.5])
    texts = [text.get_text() for text in axes.texts]
    assert ["trained", "untrained", "k-mers"] == [one for one in texts if one[0] not in "0−"]
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == [
        "stem",
        "block 1",
        "trunk",
    ]
    plt.close(figure)


def test_losses_are_drawn_with_random_ones_beside_them(screen):
    _, found = found_in(screen)
    figure, axes = plt.subplots()
    draw_losses(axes, found, "acceptor")
    lines = [container[0].get_xdata() for container in axes.containers]
    np.testing.assert_allclose(lines, [[0.01, 0.2]] * 2 + [[0.02, 0.02]] * 2)
    plt.close(figure)


def test_seeds_are_drawn_only_where_there_are_some(screen, tmp_path):
    _, found = found_in(screen)
    figure, axes = plt.subplots()
    draw_similarity(axes, found)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.9, 0.8, 0.6])
    assert len(axes.lines) == 4
    plt.close(figure)
    assert [len(one.panels) for one in probe_pictures(screen)] == [1, 1, 1]
    write_probes(tmp_path / "one", seeds=False)
    alone = read_probes(tmp_path / "one", "thaliana")
    found_in(screen)[0].explanations["probes"] = alone
    assert [len(one.panels) for one in probe_pictures(screen)] == [1, 1, 0]
    drawn = dict.fromkeys(make_pictures(screen))
    words = " ".join(str(item.content) for item in probe_items(screen, drawn))
    assert "different seeds" not in words


def test_the_page_tells_of_probes(tmp_path):
    arguments = write_screen(tmp_path)
    write_probes(tmp_path / "probes")
    output = ["--output", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]
    assert main([*arguments, *output, "--probes", f"thaliana={tmp_path / 'probes'}"]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "What hidden layers hold" in page and "<toy>" not in page
    assert "effects <b>on the model</b>" in page
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {"probe_scores", "probe_interventions", "probe_similarity"} <= names


def test_without_probes_nothing_is_told(tmp_path):
    arguments = [*write_screen(tmp_path), "--output", "unused", "--figures", "unused"]
    screen = read_screen(parse_arguments(arguments))
    assert probe_items(screen, {}) == [] and probe_pictures(screen) == []


@pytest.mark.parametrize("name", ["probes.tsv", "similarity.tsv", "summary.json"])
def test_a_missing_file_is_named(tmp_path, name):
    write_probes(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name} does not exist"):
        read_probes(tmp_path, "thaliana")
