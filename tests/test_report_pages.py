"""Pages as a browser shows them: no errors, marks in every figure, a threshold that moves.

Without a browser these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import compare_screens
from browser import LOOK, ask_page, find_browser

WIDTHS = (1280, 390)
MOVE = """
const input = (name) => document.querySelector(`#threshold-controls [name=${name}]`);
const set = async (element, value, type) => {
  element.value = value;
  element.dispatchEvent(new Event(type, {bubbles: true}));
  await new Promise((resolve) => setTimeout(resolve, 200));
};
const choose = (name, value) => set(input(`chosen_${name}`), value, "change");
const slider = document.querySelector("#threshold-controls input[type=range]");
const readout = () => [...document.querySelectorAll("#threshold-readout tbody tr")].map(
  (row) => [...row.cells].map((cell) => cell.textContent.trim()));
await until(() => document.querySelector("#threshold-plot svg") && slider);
"""


@pytest.fixture(scope="module")
def folder(rendered) -> Path:
    """A report and what it was made from."""
    find_browser()
    return rendered


def test_faults_of_a_page_are_noticed(tmp_path):
    """Overlapping text, a page that is too wide, missing files, errors and empty pictures."""
    find_browser()
    page = tmp_path / "faulty.html"
    page.write_text(
        "<html><head></head><body><p style='position: absolute; top: 120px'>lower words</p>"
        "<p style='position: absolute; top: 124px'>upper words</p><img src='absent.png'>"
        "<script>fetch('http://127.0.0.1:59999/x').catch(() => 0)</script>"
        "<div style='width: 2000px'>wide</div><script>absent()</script><div class='panel'>"
        "<svg width='90' height='90'><path d='M0,0'/></svg></div></body></html>"
    )
    answer = ask_page(page, f"await until(() => refused.length > 1); {LOOK} return look;", 390)
    look = answer["found"]
    assert look["overlaps"] == [["lower words", "upper words", look["overlaps"][0][2]]]
    assert look["page"] >= 2000 and look["width"] == 390 and look["marks"] == [0]
    assert any("absent is not defined" in problem for problem in answer["problems"])
    assert any("absent.png" in problem for problem in answer["problems"])
    # Of a file the policy tells no more than that.
    assert sorted(answer["resources"]) == ["file", "http://127.0.0.1:59999/x"]


def assert_fine(answer: dict) -> None:
    """Check that a page had no problems, needed no other file, and fits its window."""
    assert answer["problems"] == []
    assert answer["resources"] == []
    look = answer["found"]
    assert look["page"] <= look["width"]
    assert look["overlaps"] == []
    assert min(look["marks"]) > 3


@pytest.mark.parametrize("width", WIDTHS)
def test_report_is_legible(folder, width):
    script = f"{MOVE} document.querySelectorAll('details').forEach((one) => one.open = true);"
    answer = ask_page(folder / "report.html", f"{script} {LOOK} return look;", width)
    assert_fine(answer)
    assert answer["found"]["width"] == width
    assert len(answer["found"]["marks"]) > 20 and answer["found"]["texts"] > 200


def expected_rows(folder: Path, genome: str, name: str, universe: str, recall: float) -> dict:
    """Work out from the evaluation's curves what each model calls at a recall."""
    metrics = pd.read_csv(folder / genome / "metrics.tsv", sep="\t")
    curves = pd.read_parquet(folder / genome / "curves.parquet")
    rows = {}
    for model in ("dilated", "pwm", "kmer"):
        mine = metrics.query("model == @model and `class` == @name and universe == @universe")
        value = mine.set_index("metric")["value"]
        roc = curves.query(
            "model == @model and `class` == @name and universe == @universe and curve == 'roc'"
        )
        corner = roc[roc["y"] >= recall - 1e-9].sort_values(["y", "x"]).iloc[0]
        sites = round(value["bins"] * value["prevalence"])
        right = round(corner["y"] * sites)
        wrong = round(corner["x"] * (value["bins"] - sites))
        megabases = value["bins"] / 2 / 1e6
        rows[model] = [
            f"{corner['score']:.2f}".replace("-", "−"), f"{100 * right / sites:.1f}\u00a0%",
            f"{100 * right / (right + wrong):.1f}\u00a0%", f"{right + wrong:,}", f"{right:,}",
            f"{wrong:,}", f"{wrong / megabases:,.1f}",
        ]  # fmt: skip
    return rows


def as_rows(readout: list[list[str]]) -> dict:
    """Return the rows of the readout by model, precision without its interval."""
    return {row[0]: [*row[1:3], row[3].split(" (")[0], *row[4:]] for row in readout}


def test_a_moved_threshold_tells_what_the_evaluation_says(folder):
    script = f"""{MOVE}
    const before = readout();
    await set(slider, 70, "input");
    const moved = readout();
    await choose("class", "acceptor");
    await choose("genome", "arenosa");
    const chosen = readout();
    await choose("universe", "sites unlike training sequence");
    await choose("model", "pwm");
    await set(slider, 30.5, "input");
    const about = document.getElementById("threshold-universe").textContent;
    const bold = document.querySelector("#threshold-readout tr.chosen th").textContent.trim();
    return {{before, moved, chosen, last: readout(), about, bold}};"""
    answer = ask_page(folder / "report.html", script)
    assert answer["problems"] == []
    found = answer["found"]
    assert as_rows(found["before"]) == expected_rows(folder, "thaliana", "donor", "test", 0.5)
    assert as_rows(found["moved"]) == expected_rows(folder, "thaliana", "donor", "test", 0.7)
    assert as_rows(found["chosen"]) == expected_rows(folder, "arenosa", "acceptor", "screen", 0.7)
    last = expected_rows(folder, "arenosa", "acceptor", "screen:unleaked", 0.305)
    assert as_rows(found["last"]) == last and found["last"] != found["chosen"]
    assert "of acceptor in" in found["about"] and "at least 30.5\u00a0%" in found["about"]
    assert found["bold"] == "pwm"


def test_a_click_on_the_curve_moves_the_threshold(folder):
    script = f"""{MOVE}
    const svg = document.querySelector("#threshold-plot svg");
    svg.scrollIntoView({{behavior: "instant"}});
    const frame = svg.getBoundingClientRect();
    const before = [slider.value, readout()];
    const at = {{clientX: frame.left + 0.8 * frame.width, clientY: frame.top + 0.4 * frame.height}};
    const target = document.elementFromPoint(at.clientX, at.clientY);
    for (const type of ["pointerover", "pointermove", "mouseover", "mousemove"]) {{
      target.dispatchEvent(new MouseEvent(type, {{bubbles: true, view: window, ...at}}));
    }}
    await until(() => document.querySelector("#vg-tooltip-element.visible"));
    const words = [...document.querySelectorAll("#vg-tooltip-element td")].map(
      (cell) => cell.textContent);
    for (const type of ["pointerover", "pointerdown", "pointerup", "click"]) {{
      target.dispatchEvent(new MouseEvent(type, {{bubbles: true, view: window, ...at}}));
    }}
    await new Promise((resolve) => setTimeout(resolve, 300));
    return {{before, words, after: [slider.value, readout()]}};"""
    answer = ask_page(folder / "report.html", script)
    assert answer["problems"] == []
    (was, rows), (level, moved) = answer["found"]["before"], answer["found"]["after"]
    assert level != was and 60 < float(level) < 100
    expected = expected_rows(folder, "thaliana", "donor", "test", float(level) / 100)
    assert as_rows(moved) == expected and moved != rows
    # Pointing at the same place tells the same of the network.
    score, recall, precision, called, _, _, wrong = expected["dilated"]
    assert answer["found"]["words"][1::2] == [
        *(score, recall.replace("\u00a0", ""), precision.replace("\u00a0", ""), called, wrong)
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_comparison_is_legible_and_can_be_sorted(folder, width):
    page = folder / "comparison.html"
    options = [
        f"--metrics={screen}/{genome}={folder / genome / 'metrics.tsv'}"
        for screen in ("splice", "again") for genome in ("thaliana", "arenosa")
    ]  # fmt: skip
    outputs = ["--output", str(page), "--table", str(folder / "comparison.tsv")]
    assert compare_screens.main([*options, *outputs]) == 0
    script = f"""
    const table = document.querySelector("table.sortable");
    const column = (at) => [...table.tBodies[0].rows].map((row) => row.cells[at].dataset.value);
    table.tHead.rows[0].cells[4].querySelector("button").click();
    const rising = column(4);
    table.tHead.rows[0].cells[4].querySelector("button").click();
    {LOOK}
    return {{...look, rising, falling: column(4)}};"""
    answer = ask_page(page, script, width)
    assert_fine(answer)
    rising = [float(value) for value in answer["found"]["rising"]]
    assert rising == sorted(rising) and len(set(rising)) > 5
    assert [float(value) for value in answer["found"]["falling"]] == rising[::-1]


def test_pictures_stay_on_light_cards_on_a_dark_page(folder):
    script = """
    const color = (one) => getComputedStyle(one).backgroundColor;
    return {dark: matchMedia("(prefers-color-scheme: dark)").matches, page: color(document.body),
            cards: [...new Set([...document.querySelectorAll(".panel")].map(color))]};"""
    found = ask_page(folder / "report.html", script, dark=True)["found"]
    assert found["dark"] and found["cards"] == ["rgb(255, 255, 255)"]
    assert max(map(int, json.loads(f"[{found['page'][4:-1]}]"))) < 40
