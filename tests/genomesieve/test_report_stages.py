"""Stages in a report: what stands in the tables, and plain words about it."""

import json

import matplotlib.pyplot as plt
import pandas as pd

from genomesieve.figures_stages import draw_curves, draw_matrix, draw_trade_off, stage_pictures
from genomesieve.report_page import DrawnPicture, make_pictures, make_sections
from genomesieve.report_stages import (
    differences_table,
    forgetting_sentence,
    lineage_table,
    matrix_table,
    summary_table,
)
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen

METHODS = {
    "ewc (lambda 1)": ("ewc", 1.0, 0.6),
    "firm": ("ewc", 100.0, 0.7),
    "replay": ("replay", None, 0.75),
}


def write_stages(folder, seeds=1):
    """Write the tables of two stages and three methods; return the options that name them."""
    rows, measures = [], []
    for method, (kind, strength, old) in METHODS.items():
        base = {"method": method, "kind": kind, "lambda": strength, "seeds": seeds}
        cells = [
            ("fly", "fly", 0.8), ("fly", "human", 0.1),
            ("human", "fly", old), ("human", "human", 0.5), ("human", "older", old),
        ]  # fmt: skip
        for after, task, value in cells:
            for name in ("mean",) if task == "older" else ("donor", "acceptor", "mean"):
                rows.append(
                    base | {"after": after, "task": task, "genome": task, "class": name,
                            "average_precision": value, "low": value - 0.05, "high": value + 0.05,
                            "prevalence": 0.001}
                )  # fmt: skip
        for measure, value in (
            ("average", (old + 0.5) / 2), ("gain", (old + 0.5 - 0.9) / 2),
            ("forgetting", 0.8 - old), ("backward_transfer", old - 0.8),
            ("forward_transfer", 0.099),
        ):  # fmt: skip
            numbers = {"value": value, "low": value - 0.02, "high": value + 0.02}
            gain = 0.125 if method == "replay" else float("nan")
            numbers |= {"compared_with": "firm", "difference": gain}
            numbers |= {"difference_low": gain - 0.01, "difference_high": gain + 0.01}
            single = {f"seeds_{k}": value - 0.01 for k in ("mean", "low", "high")}
            single |= {f"difference_seeds_{k}": gain - 0.02 for k in ("mean", "low", "high")}
            measures.append(
                {"method": method, "measure": measure, "seeds": seeds} | numbers | single
            )
    pd.DataFrame(rows).to_csv(folder / "matrix.tsv", sep="\t", index=False)
    pd.DataFrame(measures).to_csv(folder / "summary.tsv", sep="\t", index=False)
    path = folder / "model" / "model.json"
    facts = json.loads(path.read_text())
    facts["training"] = {
        "lineage": [
            {"stage": "base", "genomes": ["fly"]},
            {
                "stage": "human", "genomes": ["human"], "settings": {"method": "ewc"},
                "kept": False, "started_at": 0.25,
                "chosen": {
                    "learning_rate": 0.001, "lambda": 1.0, "validation_average_precision": 0.5,
                },
            },
        ]
    }  # fmt: skip
    path.write_text(json.dumps(facts))
    return [
        "--stage-matrix",
        str(folder / "matrix.tsv"),
        "--stage-summary",
        str(folder / "summary.tsv"),
    ]


def options_of(folder, *extra):
    outputs = ["--output", str(folder / "report.html"), "--figures", str(folder / "figures")]
    return [*write_screen(folder), *extra, *outputs]


def read(folder, seeds=1):
    options = options_of(folder)
    return read_screen(parse_arguments([*options, *write_stages(folder, seeds)]))


def columns(table):
    return {name: list(cells) for name, cells in zip(table.headings, zip(*table.rows))}


def test_without_stages_there_is_no_section(tmp_path):
    screen = read_screen(parse_arguments(options_of(tmp_path)))
    assert not screen.has_stages
    assert stage_pictures(screen) == []
    drawn = {
        name: DrawnPicture(name, picture.shape, [], picture.empty)
        for name, picture in make_pictures(screen).items()
    }
    assert "stages" not in [section.key for section in make_sections(screen, drawn)]


def test_tables_hold_the_measures_with_their_intervals(tmp_path):
    screen = read(tmp_path)
    table = columns(summary_table(screen))
    assert table["method"] == list(METHODS)
    assert table["forgetting (95 % interval over blocks)"][0] == "0.200 (0.180–0.220)"
    assert not any("seeds" in heading for heading in table)
    cells = columns(matrix_table(screen))
    assert len(cells["method"]) == 3 * 4 * 3
    assert "older" not in cells["what stage taught"]
    lineage = columns(lineage_table(screen))
    assert lineage["method"] == ["training", "ewc"]
    assert lineage["new weights kept?"] == ["–", "no: those of the stage before"]


def test_differences_stand_where_there_are_some(tmp_path):
    (row,) = differences_table(read(tmp_path)).rows
    assert row[:3] == ["replay", "firm", "0.125 (0.115–0.135)"]
    several = tmp_path / "several"
    several.mkdir()
    cells = columns(differences_table(read(several, seeds=3)))
    title = "average precision, difference"
    assert cells[f"{title} (95 % interval over blocks)"] == ["0.125 (0.115–0.135)"]
    assert cells[f"{title}: single seeds (95 % interval over seeds)"] == ["0.105 (0.105–0.105)"]


def test_seeds_get_columns_of_their_own(tmp_path):
    headings = summary_table(read(tmp_path, seeds=3)).headings
    assert "forgetting: single seeds (95 % interval over seeds)" in headings


def test_words_name_the_best_and_who_reads_old_data(tmp_path):
    words = str(forgetting_sentence(read(tmp_path)))
    assert "Least forgetting: <b>replay</b>, 0.050" in words
    assert "replay reads data of earlier stages" in words


def test_words_name_the_methods_that_gain(tmp_path):
    screen = read(tmp_path)
    words = str(forgetting_sentence(screen))
    assert "first stage's network, left alone: ewc (lambda 1), firm, replay." in words
    table = screen.stage_summary
    gains = table["measure"] == "gain"
    table.loc[gains & (table["method"] != "replay"), "low"] = -0.01
    assert "first stage's network, left alone: replay." in str(forgetting_sentence(screen))
    table.loc[gains, "low"] = 0.0
    assert "No method is better over all stages" in str(forgetting_sentence(screen))
    table.loc[gains, "value"] = float("nan")
    assert "left alone" not in str(forgetting_sentence(screen))


def test_words_say_where_single_seeds_do_not_bear_a_gain_out(tmp_path):
    screen = read(tmp_path, seeds=3)
    table = screen.stage_summary
    gain = table["measure"] == "gain"
    table.loc[gain, "seeds_low"] = 0.01
    assert "(over blocks" not in str(forgetting_sentence(screen))
    table.loc[gain & (table["method"] == "replay"), "seeds_low"] = -0.01
    assert "firm, replay (over blocks, not over single seeds)" in str(forgetting_sentence(screen))


def test_pictures_draw_the_numbers(tmp_path):
    screen = read(tmp_path)
    figure, axes = plt.subplots(1, 3)
    draw_matrix(axes[0], screen, "firm")
    written = [text.get_text() for text in axes[0].texts]
    assert [text.split("\n")[0] for text in written] == ["0.800", "0.100", "0.700", "0.500"]
    assert written[0].endswith("(0.750–0.850)")
    draw_curves(axes[1], screen, "fly")
    assert len(axes[1].get_legend().get_texts()) == 3
    draw_trade_off(axes[2], screen, "human")
    # The line joins the two strengths of consolidation, the weaker one first.
    line = axes[2].get_lines()[0]
    assert list(line.get_xdata()) == [0.5, 0.5] and list(line.get_ydata()) == [0.6, 0.7]
    names = [text.get_text() for text in axes[2].get_legend().get_texts()]
    assert "firm (lambda 100)" in names and "replay" in names
    plt.close(figure)


def test_a_table_without_its_columns_is_named(tmp_path, capsys):
    options = options_of(tmp_path)
    options += write_stages(tmp_path)
    (tmp_path / "matrix.tsv").write_text("method\tafter\nx\ty\n")
    assert main(options) == 1
    assert "matrix.tsv" in capsys.readouterr().err


def test_the_whole_page_is_written(tmp_path):
    options = options_of(tmp_path)
    assert main([*options, *write_stages(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "One genome after the other" in page and "picture-stage_trade_off" in page
    assert (tmp_path / "figures" / "stage_matrix.svg").is_file()
