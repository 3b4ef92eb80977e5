"""Pictures: what is drawn is what the tables hold; logos; numbers as text."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from genomesieve.alphabet import DNA
from genomesieve.figures import SIZES, Panel, Picture, draw_panels, join_panels
from genomesieve.figures_evaluation import precision_at, share_interval
from genomesieve.genome import EncodedGenome
from genomesieve.logos import codes_around, find_consensus, information, share_with
from genomesieve.report_numbers import (
    Estimate,
    count,
    listed,
    megabases,
    one_in,
    percent,
    percent_with_interval,
    with_interval,
)

SVG = "{http://www.w3.org/2000/svg}"


def picture(panels, **options):
    return Picture("trial", [Panel(f"panel {n}", draw) for n, draw in enumerate(panels)], **options)


def test_panels_stand_alone_and_together():
    drawn = picture([lambda axes: axes.plot([0, 1], [1, 0])] * 3)
    alone = draw_panels(drawn)
    assert len(alone) == 3 and draw_panels(drawn) == alone
    whole = ElementTree.fromstring(join_panels(drawn, alone))
    width, height = (inches * 72 for inches in SIZES["square"])
    assert whole.get("viewBox").split()[2:] == [f"{width * 2:g}", f"{height * 2:g}"]
    places = [(float(svg.get("x")), float(svg.get("y"))) for svg in whole.findall(f"{SVG}svg")]
    assert places == [(0, 0), (width, 0), (0, height)]
    ids = [name for svg in alone for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for number, svg in enumerate(alone):
        assert f'aria-label="panel {number}"' in svg
        used = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)}
        assert used and used <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_picture_without_panels_says_why():
    with_words = join_panels(picture([], empty="No genome has an annotation."), [])
    without = join_panels(picture([], empty=""), [])
    assert len(with_words) > len(without) + 1000
    assert draw_panels(picture([])) == []


@pytest.fixture
def genome():
    codes = np.random.default_rng(0).integers(0, 4, 3000).astype(np.uint8)
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [1000, 2000], "offset": [0, 1000]})
    return EncodedGenome("made", codes, contigs)


def test_codes_around_follow_the_strand(genome):
    sites = pd.DataFrame(
        {"contig": ["b", "b", "a"], "start": [50, 50, 1], "end": [51, 51, 2],
         "strand": ["+", "-", "+"]}
    )  # fmt: skip
    plus, minus, edge = codes_around(sites, genome, flank=4)
    text = DNA.decode(genome.codes)
    assert DNA.decode(plus) == text[1046:1055]
    assert DNA.decode(minus) == text[1046:1055][::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert DNA.decode(edge) == "NNN" + text[:6]
    wide = pd.DataFrame({"contig": ["b"], "start": [40], "end": [61], "strand": ["."]})
    assert DNA.decode(codes_around(wide, genome, flank=4)[0]) == text[1046:1055]


def test_information_of_known_columns():
    column = np.array([[0, 0, 0, 4], [0, 1, 0, 4], [0, 2, 1, 4], [0, 3, 1, 4]] * 250, np.uint8)
    bits = information(column, DNA)
    correction = 3 / (2 * np.log(2) * 1000)
    expected = [2 - correction, 0, 1 - correction, 0]
    np.testing.assert_allclose(bits.sum(axis=1), expected, atol=1e-12)
    np.testing.assert_allclose(bits[2], [0.5 * expected[2]] * 2 + [0, 0])
    assert information(np.zeros((0, 3), np.uint8), DNA).sum() == 0


def test_consensus_dinucleotide():
    windows = np.random.default_rng(1).integers(0, 4, (400, 21)).astype(np.uint8)
    windows[:360, 11:13] = DNA.encode("GT")
    found = find_consensus(windows, DNA)
    assert (found.letters, found.offset) == ("GT", 1)
    assert found.share == share_with(found, windows, DNA) >= 0.9
    assert share_with(found, windows[360:], DNA) < 0.3
    assert np.isnan(share_with(found, windows[:0], DNA))
    assert find_consensus(windows[:0], DNA) is None


def test_precision_at_reads_the_curve_between_points():
    rate = np.logspace(-5, -1, 200)
    points = pd.DataFrame({"x": rate, "y": 0.95 * rate / (0.95 * rate + 0.01 * (1 - rate))})
    assert precision_at(points, 0.001) == pytest.approx(0.0868, abs=2e-4)
    assert np.isnan(precision_at(points, float("nan")))
    assert np.isnan(precision_at(points.head(0), 0.001))


def test_share_interval_is_wilsons():
    low, high = share_interval(np.array([0, 3, 50]), np.array([40, 40, 50]))
    for number, (k, n) in enumerate(((0, 40), (3, 40), (50, 50))):
        oracle = binomtest(k, n).proportion_ci(0.95, "wilson")
        assert low[number] == pytest.approx(oracle.low, abs=1e-4)
        assert high[number] == pytest.approx(oracle.high, abs=1e-4)


def test_numbers_as_text():
    assert count(1234567.2) == "1,234,567" and count(2.5) == "2.5" and count(np.nan) == "–"
    assert percent(0.5) == "50\u00a0%" and percent(0.9996) == "99.96\u00a0%"
    assert percent(1.0) == "100\u00a0%" and percent(0.0) == "0\u00a0%"
    assert percent_with_interval(Estimate(0.9, 0.85, 0.95)) == "90\u00a0% (85–95\u00a0%)"
    assert with_interval(Estimate(0.1234)) == "0.123"
    assert with_interval(Estimate(-0.1, -0.2, 0.05), 2) == "−0.10 (−0.20 to 0.05)"
    assert with_interval(Estimate(0.1, 0.05, 0.2), 2) == "0.10 (0.05–0.20)"
    assert one_in(1 / 1604) == "1 in 1,604" and one_in(0.0) == "–"
    assert megabases(12_000_000) == "12.0 Mb" and megabases(400) == "400 bp"
    assert listed(["a", "b", "c"]) == "a, b and c" and listed(["a"]) == "a"


def test_drawing_leaves_no_trace_in_global_settings():
    before = dict(matplotlib.rcParams)
    draw_panels(picture([lambda axes: axes.plot([1])]))
    assert dict(matplotlib.rcParams) == before
