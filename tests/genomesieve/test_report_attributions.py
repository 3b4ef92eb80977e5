"""Attributions in a report: tables, words, and pictures that show what the arrays hold."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genomesieve.attribution_files import read_attributions
from genomesieve.errors import InputError
from genomesieve.figures_attributions import (
    MOST_LETTERS,
    attribution_pictures,
    draw_contributions,
    telling_stretch,
)
from genomesieve.report_attributions import (
    agreement_table,
    attribution_items,
    calls_table,
    mean_letters,
)
from genomesieve.report_page import make_pictures
from render_report import main, parse_arguments, read_screen
from synthetic_report import write_screen

METHODS = ("mutagenesis", "gradient_x_input", "integrated_gradients", "deep_lift_shap")
FLANK = 20


def write_attributions(folder, sites=4):
    """Write attributions of donors alone: GT after the site, 3 and 2 log-odds, and little else."""
    folder.mkdir(parents=True, exist_ok=True)
    positions = np.arange(-FLANK, FLANK + 1)
    random = np.random.default_rng(0)
    sequence = random.integers(0, 4, (sites, len(positions))).astype(np.uint8)
    sequence[:, FLANK + 1 : FLANK + 3] = [2, 3]
    sequence[0, 0] = 4
    contributions = random.normal(0, 0.01, (sites, len(METHODS), len(positions)))
    contributions[:, :, FLANK + 1 : FLANK + 3] = [3, 2]
    contributions[0, :, 0] = np.nan
    np.savez_compressed(
        folder / "attributions.npz",
        positions=positions, letters=np.array(list("ACGT")), methods=np.array(METHODS),
        site_class=np.array(["donor"] * sites), sequence=sequence,
        scores=np.arange(sites, 0, -1).astype(np.float32),
        contributions=contributions.astype(np.float32),
    )  # fmt: skip
    agreement = {f"mutagenesis~{other}": 0.5 for other in METHODS[1:]}
    pd.DataFrame(
        {"contig": "chr<1>", "position": [99] * sites, "strand": "+", "class": "donor",
         "score": 2.5, **agreement}
    ).to_csv(folder / "sites.tsv", sep="\t", index=False)  # fmt: skip
    sums = {"median_expected": 10.0, "median_missing": 0.5, "largest_missing": 1.0}
    stated = {"sites": sites, "median_spearman": agreement, "integrated_gradients": sums,
              "deep_lift_shap": sums | {"median_missing": 0.0}}  # fmt: skip
    nothing = {"sites": 0, "median_spearman": {}, "integrated_gradients": {}}
    classes = {"donor": stated, "acceptor": nothing}
    (folder / "summary.json").write_text(json.dumps({"classes": classes}))


@pytest.fixture
def screen(tmp_path):
    arguments = write_screen(tmp_path)
    write_attributions(tmp_path / "explain")
    arguments += ["--attributions", f"thaliana={tmp_path / 'explain'}"]
    arguments += ["--output", "unused", "--figures", "unused"]
    return read_screen(parse_arguments(arguments))


def test_tables_state_what_the_summaries_hold(screen):
    assert agreement_table(screen).rows == [
        ["thaliana", "donor", "4", "0.50", "0.50", "0.50", "5.0\u00a0%", "0.0\u00a0%"]
    ]
    rows = calls_table(screen).rows
    assert len(rows) == 4
    assert rows[0] == ["thaliana", "donor", "chr<1>:100", "+", "2.50", "0.50", "0.50", "0.50"]


def test_section_is_in_the_page_where_there_is_something(screen, tmp_path):
    drawn = dict.fromkeys(make_pictures(screen))
    items = attribution_items(screen, drawn)
    words = " ".join(str(item.content) for item in items)
    assert "on the model" in words and "only an experiment" in words
    assert "DeepLIFT/SHAP 0.50." in words
    arguments = write_screen(tmp_path / "other")
    arguments += ["--output", "unused", "--figures", "unused"]
    without = read_screen(parse_arguments(arguments))
    assert attribution_pictures(without) == [] and attribution_items(without, {}) == []


def test_whole_page_is_written(tmp_path):
    arguments = write_screen(tmp_path)
    write_attributions(tmp_path / "explain")
    arguments += ["--attributions", f"thaliana={tmp_path / 'explain'}"]
    output = tmp_path / "report.html"
    assert main([*arguments, "--output", str(output), "--figures", str(tmp_path / "figures")]) == 0
    page = output.read_text()
    assert 'id="why"' in page and "chr&lt;1&gt;:100" in page and "chr<1>:100" not in page
    for name in ("attribution_logos", "attribution_profiles"):
        assert f'id="picture-{name}"' in page
        assert (tmp_path / "figures" / f"{name}.svg").stat().st_size > 1000


def test_letters_carry_the_mean_of_their_own_contributions(tmp_path):
    write_attributions(tmp_path)
    found = read_attributions(tmp_path, "toy")
    heights = mean_letters(found, found.rows("donor"), "mutagenesis")
    np.testing.assert_allclose(heights[FLANK + 1], [0, 0, 3, 0], atol=1e-6)
    np.testing.assert_allclose(heights[FLANK + 2], [0, 0, 0, 2], atol=1e-6)
    assert np.isfinite(heights).all()
    # Three of four sites have a known first base.
    known = np.nan_to_num(found.arrays["contributions"][:, 0, 0]).sum() / 3
    assert heights[0].sum() == pytest.approx(known, abs=1e-6)


def test_logo_shows_the_stretch_that_matters(tmp_path):
    write_attributions(tmp_path)
    found = read_attributions(tmp_path, "toy")
    figure, axes = plt.subplots()
    draw_contributions(axes, found, found.rows("donor"))
    low, high = axes.get_xlim()
    assert low == pytest.approx(1 - 2.6) and high == pytest.approx(2 + 2.6)
    plt.close(figure)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (np.zeros(5), slice(0, 5)),
        (np.eye(1, 50, 10)[0], slice(8, 13)),
        (np.eye(1, 50, 0)[0], slice(0, 3)),
        (np.concatenate([np.ones(100), 2 * np.ones(100)]), slice(100, 100 + MOST_LETTERS)),
    ],
)
def test_stretch(sizes, expected):
    found = telling_stretch(sizes)
    if expected.stop - expected.start == MOST_LETTERS:
        assert found.start >= 100 and found.stop - found.start == MOST_LETTERS
    else:
        assert found == expected


def test_damaged_files_are_named(tmp_path):
    write_attributions(tmp_path)
    (tmp_path / "attributions.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"attributions of toy .*attributions.npz cannot be read"):
        read_attributions(tmp_path, "toy")
    write_attributions(tmp_path)
    table = (tmp_path / "sites.tsv").read_text().splitlines()
    (tmp_path / "sites.tsv").write_text("\n".join(table[:-1]) + "\n")
    with pytest.raises(InputError, match="has 4 sites and sites.tsv 3, or"):
        read_attributions(tmp_path, "toy")
    (tmp_path / "attributions.npz").unlink()
    with pytest.raises(InputError, match="attributions of toy"):
        read_attributions(tmp_path, "toy")
