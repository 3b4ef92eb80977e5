"""Screens side by side: every result once, numbers as evaluated, and what cannot be compared."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import compare_screens
from synthetic_report import write_screen


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Results of two screens as the workflow lays them out."""
    source = tmp_path_factory.mktemp("screen")
    write_screen(source)
    folder = tmp_path_factory.mktemp("results")
    for screen, genomes in (("splice", ("thaliana", "arenosa")), ("other", ("thaliana",))):
        for genome in genomes:
            home = folder / screen / "evaluation" / genome
            home.mkdir(parents=True)
            table = pd.read_csv(source / genome / "metrics.tsv", sep="\t")
            if screen == "other":
                table.loc[table["metric"] == "sites", "value"] += 7
                table["model"] = table["model"].str.replace("dilated", "lstm")
            table.to_csv(home / "metrics.tsv", sep="\t", index=False)
    return folder


class Cells(HTMLParser):
    """Collects the rows of the table, cell by cell: its text, or the number to sort by."""

    def __init__(self, text: str):
        super().__init__()
        self.rows, self.pictures, self.inside = [], 0, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.inside = dict(attrs).get("data-value", "") if tag in ("td", "th") else None
        self.pictures += tag == "svg"

    def handle_data(self, data):
        if self.inside is not None and self.rows:
            self.rows[-1].append(self.inside or data)
            self.inside = None


def run(folder: Path, *arguments: str) -> int:
    outputs = ["--output", str(folder / "page.html"), "--table", str(folder / "table.tsv")]
    return compare_screens.main([*arguments, *outputs])


def test_every_result_is_there_as_it_was_evaluated(results, tmp_path):
    code = run(tmp_path, "--results", str(results / "splice"), "--results", str(results / "other"))
    assert code == 0
    table = pd.read_csv(tmp_path / "table.tsv", sep="\t")
    # Three models on two classes, of two genomes and of one.
    assert (
        len(table) == 3 * 2 * 3
        and not table.duplicated(["screen", "genome", "class", "model"]).any()
    )
    assert "dilated-pwm" not in set(table["model"]) and "lstm" in set(table["model"])
    for row in table.itertuples():
        path = results / row.screen / "evaluation" / row.genome / "metrics.tsv"
        mine = pd.read_csv(path, sep="\t").set_index(["model", "class", "universe", "metric"])
        one = mine.loc[
            (row.model, table.loc[row.Index, "class"], row.universe, "average_precision")
        ]
        assert [one["value"], one["low"], one["high"]] == pytest.approx(
            table.loc[row.Index, ["average_precision", "average_precision.low",
                                  "average_precision.high"]].astype(float).tolist()
        )  # fmt: skip
        assert row.times == pytest.approx(one["value"] / row.prevalence)
    assert table["observed_precision"].isna().all()
    page = (tmp_path / "page.html").read_text()
    cells = Cells(page)
    assert len(cells.rows) == 1 + len(table)
    shown = [float(row[4]) for row in cells.rows[1:]]
    assert np.allclose(shown, table["average_precision"])
    # A panel of each metric for every genome and class.
    assert cells.pictures == 2 * 2 * 2


def test_screens_that_judge_other_places_are_named(results, tmp_path):
    assert (
        run(tmp_path, "--results", str(results / "splice"), "--results", str(results / "other"))
        == 0
    )
    page = (tmp_path / "page.html").read_text()
    assert page.count("Not the same places") == 2
    assert "donor on thaliana (splice:" in page and "on arenosa (" not in page
    metrics = results / "splice/evaluation/thaliana/metrics.tsv"
    assert run(tmp_path, f"--metrics=a/thaliana={metrics}", f"--metrics=b/thaliana={metrics}") == 0
    assert "Not the same places" not in (tmp_path / "page.html").read_text()


def test_what_was_not_measured_is_left_open(results, tmp_path):
    table = pd.read_csv(results / "splice/evaluation/arenosa/metrics.tsv", sep="\t")
    gone = (table["metric"] == "average_precision") & (table["class"] == "donor")
    table.loc[gone, ["value", "low", "high"]] = np.nan
    table.to_csv(tmp_path / "metrics.tsv", sep="\t", index=False)
    assert run(tmp_path, f"--metrics=a/g={tmp_path / 'metrics.tsv'}") == 0
    rows = Cells((tmp_path / "page.html").read_text()).rows[1:]
    assert [row[4] for row in rows if row[2] == "donor"] == ["–"] * 3
    assert all(float(row[4]) > 0 for row in rows if row[2] == "acceptor")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to compare; expected --metrics or --results"),
        (["--metrics=alone=x.tsv"], "--metrics names alone; expected SCREEN/GENOME=PATH"),
        (["--results=empty"], "hold no evaluation; expected evaluation/GENOME/metrics.tsv"),
        (["--metrics=a/b=absent.tsv"], "absent.tsv"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, *arguments) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "page.html").exists() and not (tmp_path / "table.tsv").exists()


def test_one_screen_is_not_read_twice(results, tmp_path, capsys):
    folder = str(results / "splice")
    assert run(tmp_path, "--results", folder, "--results", folder) == 1
    assert "has genome" in capsys.readouterr().err
