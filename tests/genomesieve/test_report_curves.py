"""What thresholds call: counts as scikit-learn has them, on every universe, and thin where many."""

from __future__ import annotations

import json

import altair
import numpy as np
import pandas as pd
import pytest
import vl_convert
from sklearn.metrics import precision_recall_curve

from genomesieve import report_curves
from genomesieve.bootstrap import block_weights
from genomesieve.comparison_page import LOOKS
from genomesieve.evaluation import evaluate_positions
from genomesieve.figures_interactive import (
    MODEL_STYLES,
    page_data,
    start_level,
    threshold_chart,
    vega_libraries,
)
from genomesieve.label_counts import BlockCounts, LabelCounts
from genomesieve.report_curves import chart_data, threshold_curves, thresholds_table
from genomesieve.scores import decode_scores, encode_scores
from render_report import parse_arguments, read_screen
from synthetic_report import write_screen

OUTPUTS = ["--output", "x", "--figures", "y"]


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """A screen of two annotated genomes, three models and two classes."""
    arguments = write_screen(tmp_path_factory.mktemp("screen"))
    return read_screen(parse_arguments([*arguments, *OUTPUTS]))


@pytest.fixture(scope="module")
def curves(screen):
    return threshold_curves(screen)


def test_every_curve_is_there_once(curves):
    keys = ["genome", "class", "universe", "model"]
    assert len(curves.series) == 2 * 2 * 2 * 3 and not curves.series.duplicated(keys).any()
    assert set(curves.series["universe"]) == {report_curves.ALL_SITES, report_curves.UNLEAKED}
    assert len(curves.points) == 24 * 200
    by_series = curves.points.groupby("series")
    assert all(np.array_equal(one["percent"], np.arange(1, 201) / 2) for _, one in by_series)
    for _, one in by_series:
        assert (one["true"].diff().dropna() >= 0).all() and (
            one["false"].diff().dropna() >= 0
        ).all()
        assert (one["score"].diff().dropna() <= 0).all()
    sites = curves.series["sites"].to_numpy()[curves.points["series"]]
    assert (curves.points["true"] / sites * 100 >= curves.points["percent"] - 1e-9).all()


def test_real_curves_count_what_scikit_learn_counts(screen, curves):
    """From scores to counts through the evaluation's own tables, with ties."""
    random = np.random.default_rng(5)
    labels = random.random(30_000) < 0.01
    codes = encode_scores(np.round(random.normal(-3, 1.5, len(labels)) + 3 * labels, 1))
    scores = decode_scores(codes).astype(float)
    counts = [np.bincount(codes[labels == kind], minlength=65_536) for kind in (True, False)]
    used = np.unique(codes)
    blocks = BlockCounts(used, counts[0][used][None], counts[1][used][None])
    thresholds = [{"code": int(encode_scores(np.array([0.0]))[0])}]
    calibration = {"slope": 1.0, "intercept": 0.0, "thresholds": thresholds, "operating": 0}
    result = evaluate_positions(
        LabelCounts(*counts, 0, 0, 0), blocks, block_weights(1, 5, 0), calibration, 0.03
    )
    table = pd.concat(result.curves)
    facts = {"sites": float(labels.sum()), "negatives": float((~labels).sum())}
    points = report_curves._points(table, facts)
    precision, recall, limits = precision_recall_curve(labels, scores)
    for row in points.itertuples():
        # The highest threshold that reaches a recall is the last one that does.
        at = np.flatnonzero(recall[:-1] >= row.percent / 100)[-1]
        assert row.score == limits[at] and row.true == (labels & (scores >= limits[at])).sum()
        assert row.true / (row.true + row.false) == pytest.approx(precision[at])
    half = points[points["percent"] == 50].iloc[0]
    assert half["false"] / 0.03 == pytest.approx(result.values["false_positives_per_mb"])
    assert half["true"] / (half["true"] + half["false"]) == pytest.approx(
        result.values["precision_at_recall_0.5"]
    )


def test_many_curves_are_thinned_alike(screen, monkeypatch):
    monkeypatch.setattr(report_curves, "MOST_POINTS", 24 * 50)
    thin = threshold_curves(screen)
    levels = thin.points.groupby("series")["percent"].unique()
    assert all(np.array_equal(one, np.arange(2.5, 101, 2.5)) for one in levels)
    assert set(report_curves.READ_AT) <= set(levels[0])


def test_results_of_older_versions_have_counts_without_scores(screen, curves):
    for genome in screen.evaluated:
        genome.evaluation.curves["kept"] = genome.evaluation.curves.pop("score")
    try:
        found = threshold_curves(screen)
    finally:
        for genome in screen.evaluated:
            genome.evaluation.curves["score"] = genome.evaluation.curves.pop("kept")
    assert found.points["score"].isna().all()
    assert found.points["true"].equals(curves.points["true"])
    assert {row[4] for row in thresholds_table(found).rows} == {"–"}
    assert set(chart_data(found)["points"]["score"]) == {None}


def test_table_reads_the_curves_at_fixed_recalls(curves):
    table = thresholds_table(curves)
    assert len(table.rows) == 12 * len(report_curves.READ_AT)
    row = next(one for one in table.rows if one[:3] == ["arenosa", "acceptor", "pwm"])
    number = curves.series.query(
        "genome == 'arenosa' and `class` == 'acceptor' and model == 'pwm'"
        " and universe == 'all sites'"
    ).index[0]
    point = curves.points.query("series == @number and percent == 10").iloc[0]
    called = point["true"] + point["false"]
    assert (
        row[3] == "10\u00a0%" and row[5] == f"{called:,.0f}" and row[6] == f"{point['true']:,.0f}"
    )
    assert row[9] == f"{point['false'] / curves.series.loc[number, 'megabases']:.1f}"


def test_slider_starts_at_the_operating_threshold(curves):
    assert start_level(curves) == 50
    series = curves.series.assign(operating=38.41)
    assert start_level(report_curves.ThresholdCurves(series, curves.points)) == 38.5


def test_models_are_told_apart_without_colour():
    """By their dashes alone; and by the pair of colour and mark of the screens' dots."""
    assert len({tuple(look["dash"]) for look in MODEL_STYLES}) == len(MODEL_STYLES)
    assert len({look["shape"] for look in MODEL_STYLES[:6]}) == 6
    assert len({mark for _, mark in LOOKS}) == len(LOOKS)


def test_chart_is_drawn_by_vega_lite_and_data_end_no_script(curves):
    """An engine outside the browser draws a line of each model, and the mark of each threshold."""
    content = json.loads(page_data(curves))
    assert "<" not in page_data(curves) and "</script" not in vega_libraries()
    facts = curves.series.loc[curves.points["series"]].reset_index(drop=True)
    rows = pd.concat([facts, curves.points.drop(columns="series")], axis=1)
    rows["recall"] = rows["true"] / rows["sites"]
    rows["precision"] = rows["true"] / (rows["true"] + rows["false"])
    rows = rows.assign(called=1, per_megabase=1, prevalence=0.01, first=rows["percent"] == 0.5)
    spec = threshold_chart(curves) | {"datasets": {"points": rows.to_dict("records")}, "width": 500}
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    svg = vl_convert.vegalite_to_svg(spec, vl_version=version)
    for model, look in content["styles"].items():
        assert svg.count(f'stroke="{look["color"]}"') == 1, model
        assert f'fill="{look["color"]}"' in svg
    assert svg.count('aria-roledescription="line mark"') == 3
