"""Interventions in a report: tables, words and pictures that show what the files hold."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from genomesieve.errors import InputError
from genomesieve.figures_interventions import (
    draw_effects,
    draw_pair,
    draw_places,
    draw_sites,
    intervention_pictures,
)
from genomesieve.motif_interventions import (
    COPY_COLUMNS,
    MARGINAL_COLUMNS,
    PAIR_COLUMNS,
    POSITION_COLUMNS,
)
from genomesieve.report_interventions import (
    copies_table,
    intervention_items,
    marginal_table,
    motifs_at_sites,
    pairs_table,
    read_interventions,
    sites_table,
    telling_pairs,
)
from genomesieve.report_page import make_pictures
from genomesieve.site_interventions import SITE_COLUMNS
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen


def mean(motif, action, effect, shift=None, sites=5):
    """A mean over donor sites as summary.json holds it."""
    return {"class": "donor", "motif": motif, "action": action, "shift": shift, "sites": sites,
            "effect": effect, "low": effect - 0.5, "high": effect + 0.5,
            "regained": None if shift is None else 1.0}  # fmt: skip


TABLES = {
    "marginal": (MARGINAL_COLUMNS, [
        ("m<1>", "donor", "+", -2, 3.0, 2.5, 3.5, 0.1, 0.0, 0.2, 24),
        ("two", "donor", "-", 7, -4.0, -4.5, -3.5, 0.1, 0.0, 0.2, 24),
    ]),
    "positions": (POSITION_COLUMNS, [
        (name, strand, offset, "donor", effect, effect, effect)
        for name in ("m<1>", "two")
        for strand in "+-"
        for offset, effect in ((-50, 0.0), (-2, 3.0), (7, 1.0), (80, 0.0))
    ]),
    "copies": (COPY_COLUMNS, [
        ("two", "donor", "-", 20, 1, -4.0, -4.5, -3.5, -4.0, 0.0, 0.0, 0.0),
        ("two", "donor", "-", 20, 2, -5.0, -5.5, -4.5, -8.0, 3.0, 2.0, 4.0),
        ("m<1>", "donor", "+", 20, 1, 3.0, 2.5, 3.5, 3.0, 0.0, 0.0, 0.0),
    ]),
    "pairs": (PAIR_COLUMNS, [
        ("m<1>", "+", -2, "two", "+", 10, "donor", 1.5, 3.0, -4.0, 2.5, 1.5, 3.5),
        ("m<1>", "+", -2, "two", "-", 20, "donor", 1.0, 3.0, -4.0, 2.0, 1.5, 2.5),
        ("m<1>", "+", -2, "two", "+", -10, "donor", -4.0, 3.0, -4.0, -3.0, -3.5, -2.5),
        ("m<1>", "+", -2, "m<1>", "+", 9, "donor", 6.2, 3.0, 3.0, 0.2, -0.1, 0.5),
        ("two", "+", -2, "two", "+", 9, "acceptor", 9.2, 0.1, 0.1, 9.0, 8.0, 9.5),
    ]),
    "sites": (SITE_COLUMNS, [
        (0, "donor", "m<1>", -2, "+", "delete", None, -5.0, -6.0, -4.0, None),
    ]),
}  # fmt: skip
SUMMARY = {
    "resolution": 1, "background": "random", "settings": {"backgrounds": 48},
    "pairs_left_out": 7,
    "sites": {"means": [
        mean("m<1>", "delete", -5.0), mean("m<1>", "turn", -4.0), mean("m<1>", "move", -4.5, -20),
        mean("m<1>", "move", -2.0, 10), mean("rare", "delete", -9.0, sites=2),
    ]},
}  # fmt: skip


def write_interventions(folder, tables=TABLES, summary=SUMMARY):
    folder.mkdir(parents=True)
    for name, (columns, rows) in tables.items():
        table = pd.DataFrame(rows, columns=list(columns))
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def arguments(tmp_path):
    given = write_screen(tmp_path)
    folder = write_interventions(tmp_path / "interventions")
    given += ["--interventions", f"thaliana={folder}"]
    return [*given, "--output", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]


@pytest.fixture
def screen(arguments):
    return read_screen(parse_arguments(arguments))


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def found_in(screen):
    return screen.genomes[0].explanations["interventions"]


def test_tables_state_what_the_files_hold(screen):
    assert marginal_table(screen).rows == [
        ["thaliana", "donor", "two", "-", "7", "−4.00 (−4.50 to −3.50)", "0.10 (0.00–0.20)"],
        ["thaliana", "donor", "m<1>", "+", "−2", "3.00 (2.50–3.50)", "0.10 (0.00–0.20)"],
    ]
    assert [row[2:6] for row in copies_table(screen).rows] == [
        ["two", "20", "1", "−4.00 (−4.50 to −3.50)"],
        ["two", "20", "2", "−5.00 (−5.50 to −4.50)"],
    ]
    assert sites_table(screen).rows == [
        ["thaliana", "donor", "m<1>", "5", "−5.00 (−5.50 to −4.50)", "−4.00 (−4.50 to −3.50)",
         "+10", "−2.00 (−2.50 to −1.50)"]
    ]  # fmt: skip


def test_pairs_that_tell_nothing_are_left_out(screen):
    """The largest of each pair and sign stays; not those that chance or no motif alone explains."""
    rows = telling_pairs(found_in(screen))
    assert rows["distance"].tolist() == [10, -10]
    assert pairs_table(screen).rows[0] == [
        "thaliana", "donor", "m<1> (+)", "two (+)", "10", "3.00", "−4.00", "2.50 (1.50–3.50)"
    ]  # fmt: skip


def test_motifs_of_few_sites_are_left_out(screen):
    assert motifs_at_sites(found_in(screen), "donor") == ["m<1>"]
    assert motifs_at_sites(found_in(screen), "acceptor") == []


def test_words_call_effects_those_on_the_model(screen):
    drawn = dict.fromkeys(make_pictures(screen))
    items = intervention_items(screen, drawn)
    text = " ".join(str(item.content) for item in items if item.kind == "text")
    assert "effects <b>on the model</b>" in text and "only an experiment tells" in text
    assert "48 dinucleotide shuffles of random places" in text
    assert "m&lt;1&gt; with two at 10 bp (donor, +2.50)" in text
    assert "7 pairs that act least on one class were not measured" in text
    assert "not the choice" in text


def test_pictures_show_the_numbers(screen, axes):
    found = found_in(screen)
    draw_effects(axes, found, "donor")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["m<1>", "two"]
    values = [list(item.lines[0].get_xdata()) for item in axes.containers]
    assert values == [[0.1, 0.1], [3.0, -4.0]]
    axes.clear()
    draw_places(axes, found, "donor", 1)
    assert list(axes.lines[0].get_xdata()) == [-50, -2, 7, 80]
    assert axes.get_xlim() == (-12, 17)
    axes.clear()
    draw_pair(axes, found, {"first": "m<1>", "second": "two", "class": "donor"})
    drawn = [list(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 1]
    assert drawn == [[-3.0], [2.5], [2.0]]
    axes.clear()
    draw_sites(axes, found, "donor")
    assert list(axes.containers[0].lines[0].get_ydata()) == [-4.5, -2.0]
    assert axes.lines[-2].get_ydata()[0] == -5.0


def test_panels_are_one_a_class_and_pair(screen):
    panels = {picture.name: len(picture.panels) for picture in intervention_pictures(screen)}
    assert panels == {"intervention_effects": 1, "intervention_positions": 1,
                      "intervention_pairs": 1, "intervention_sites": 1}  # fmt: skip


def test_a_page_is_made(arguments, tmp_path):
    assert main(arguments) == 0
    page = (tmp_path / "r.html").read_text()
    assert "Motifs put in, taken out and moved" in page and "m&lt;1&gt;" in page
    assert (tmp_path / "figures" / "intervention_pairs.svg").read_text().count("<svg") > 1


def test_no_motifs_and_no_interventions(tmp_path):
    given = write_screen(tmp_path)
    options = ["--output", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]
    screen = read_screen(parse_arguments([*given, *options]))
    assert intervention_items(screen, {}) == [] == intervention_pictures(screen)
    empty = {name: (columns, []) for name, (columns, _) in TABLES.items()}
    folder = write_interventions(
        tmp_path / "empty", empty, SUMMARY | {"sites": {"means": []}, "pairs_left_out": 0}
    )
    assert main([*given, "--interventions", f"thaliana={folder}", *options]) == 0
    assert "There was no motif to put in." in (tmp_path / "r.html").read_text()


def test_a_folder_of_something_else_is_named(tmp_path):
    folder = write_interventions(tmp_path / "bad")
    assert read_interventions(folder, "toy").summary["pairs_left_out"] == 7
    (folder / "pairs.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="interventions of toy .*pairs.tsv lacks column first"):
        read_interventions(folder, "toy")
