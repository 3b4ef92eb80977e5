from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.sampling import (
    Grid,
    Stretch,
    add_hard_negatives,
    allow_decoys,
    cell_inclusion,
    common_dinucleotides,
    draw_windows,
    find_decoys,
    list_stretches,
    make_grid,
    start_intensity,
    tile_part,
)

SHARES = {"sites": 0.3, "uniform": 0.4, "gc_matched": 0.2, "decoys": 0.1}
HARD_SHARES = {"uniform": 0.4, "sites": 0.2, "hard": 0.4}


@pytest.fixture(scope="module")
def stretches():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, 9000, dtype=np.uint8)
    codes[2000:4000] = generator.choice([1, 2], 2000)
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [7000, 2000], "offset": [0, 7000]})
    genome = EncodedGenome("toy", codes, contigs)
    positions = np.sort(generator.choice(np.arange(1500, 3500), 30, replace=False))
    sites = pd.DataFrame({"contig": ["a"] * 30, "position": positions, "strand": "+", "class": "x"})
    sites.loc[30] = ["b", 3, "-", "x"]
    parts = pd.DataFrame({"contig": ["a", "b"], "start": [130, 0], "end": [6900, 1990]})
    items = list_stretches(genome, parts, sites, Grid(500, 50), 10)
    return allow_decoys(items, common_dinucleotides({"toy": genome}, {"toy": sites}), {})


def test_windows_stay_inside_their_interval(stretches):
    windows = draw_windows(stretches, SHARES, 400, Grid(500, 50), 1)
    ends = windows["contig"].map({"a": 6900, "b": 1990})
    starts = windows["contig"].map({"a": 130, "b": 0})
    assert (windows["start"] >= starts).all()
    assert (windows["start"] + 500 <= ends).all()
    assert (windows["start"] % 10 == 0).all()
    assert windows["source"].value_counts().to_dict() == {
        "uniform": 160,
        "sites": 120,
        "gc_matched": 80,
        "decoys": 40,
    }


@pytest.fixture(scope="module")
def hard_stretches(stretches):
    """Some hard negatives: a pair that windows share, one at an edge, one outside any window."""
    places = {"contig": ["a"] * 4 + ["b"], "position": [600, 640, 640, 131, 1985]}
    return add_hard_negatives(stretches, {"toy": pd.DataFrame(places)})


def test_hard_windows_cover_a_hard_negative(hard_stretches):
    a, b = hard_stretches
    assert (a.hard + a.start).tolist() == [131, 600, 640] and b.hard.tolist() == []
    windows = draw_windows(hard_stretches, {"hard": 1.0}, 300, Grid(500, 50), 0)
    assert set(windows["contig"]) == {"a"}
    covered = [
        (windows["start"] <= place) & (place < windows["start"] + 500) for place in a.hard + a.start
    ]
    assert (np.sum(covered, axis=0) > 0).all()
    # Every place brings the same number of windows; one at the edge has only one to be in.
    assert covered[0].mean() == pytest.approx(1 / 3, abs=0.1)
    assert (windows.loc[covered[0], "start"] == 130).all()


@pytest.mark.parametrize("shares", [SHARES, HARD_SHARES], ids=["mixture", "hard"])
def test_inclusion_is_the_mean_coverage_of_many_draws(hard_stretches, shares):
    grid, repeats = Grid(500, 50), 400
    coverage, expected = np.zeros(200), np.zeros(200)
    for seed in range(repeats):
        windows = draw_windows(hard_stretches, shares, 60, grid, seed)
        mine = windows[windows["contig"] == "a"]
        for start, inclusion in zip(mine["start"], mine["inclusion"]):
            cell = (start - 130) // 50
            coverage[cell : cell + 10] += 1 / repeats
            expected[cell : cell + 10] = inclusion
    seen = expected > 0
    error = np.sqrt(expected[seen] / repeats)
    assert (np.abs(coverage[seen] - expected[seen]) < 5 * error + 1e-9).all()


def test_uniform_inclusion_has_a_closed_form():
    grid = Grid(500, 50)
    inclusion = cell_inclusion(np.full(101, 0.2), grid)
    assert inclusion[20:90] == pytest.approx(np.full(70, 2.0))
    assert inclusion[0] == pytest.approx(0.2)
    assert inclusion.sum() == pytest.approx(101 * 0.2 * grid.cells)


@pytest.mark.parametrize(
    ("shares", "ratio"), [({"sites": 0.5, "uniform": 0.5}, 1.5), (HARD_SHARES, 1.15)]
)
def test_inverse_inclusion_estimates_the_prevalence(hard_stretches, shares, ratio):
    """Windows crowd at sites; their inverse-inclusion mean is the share of sites all the same."""
    grid, estimates, plain = Grid(500, 50), [], []
    track = {item.contig: np.zeros(item.starts + grid.cells - 1) for item in hard_stretches}
    for item in hard_stretches:
        for cell in item.sites // 50:
            track[item.contig][cell] = 1
    truth = np.concatenate(list(track.values())).mean()
    offsets = {item.contig: item.start for item in hard_stretches}
    for seed in range(60):
        windows = draw_windows(hard_stretches, shares, 200, grid, seed)
        values, weights = [], []
        for row in windows.itertuples():
            cell = (row.start - offsets[row.contig]) // 50
            values.append(track[row.contig][cell : cell + 10])
            weights.append(1 / row.inclusion)
        values, weights = np.concatenate(values), np.concatenate(weights)
        estimates.append((values * weights).sum() / weights.sum())
        plain.append(values.mean())
    assert np.mean(estimates) == pytest.approx(truth, rel=0.05)
    assert np.mean(plain) > ratio * truth


def test_site_windows_cover_a_site(stretches):
    windows = draw_windows(stretches, {"sites": 1.0}, 100, Grid(500, 50), 0)
    sites = {item.contig: item.sites + item.start for item in stretches}
    for row in windows.itertuples():
        here = sites[row.contig]
        assert ((here >= row.start) & (here < row.start + 500)).any()


def test_gc_matched_windows_have_the_gc_of_site_windows(stretches):
    grid = Grid(500, 50)

    def mean_gc(source):
        windows = draw_windows(stretches, {source: 1.0}, 400, grid, 2)
        codes = {item.contig: (item.start, item.codes) for item in stretches}
        shares = []
        for row in windows.itertuples():
            start, mine = codes[row.contig]
            window = mine[row.start - start : row.start - start + 500]
            shares.append(np.isin(window, [1, 2]).mean())
        return np.mean(shares)

    assert abs(mean_gc("gc_matched") - mean_gc("sites")) < 0.03
    assert abs(mean_gc("uniform") - mean_gc("sites")) > 0.08


def test_decoys_carry_the_dinucleotide_and_are_no_sites():
    codes = DNA.encode("AAGTAAAACTTTGTAACCC")
    genome = EncodedGenome(
        "t", codes, pd.DataFrame({"contig": ["a"], "length": [len(codes)], "offset": [0]})
    )
    columns = ["contig", "position", "strand", "class"]
    sites = pd.DataFrame([("a", 11, "+", "d"), ("a", 11, "+", "d")], columns=columns)
    motifs = common_dinucleotides({"t": genome}, {"t": sites})
    parts = pd.DataFrame({"contig": ["a"], "start": [0], "end": [len(codes)]})
    (stretch,) = list_stretches(genome, parts, sites, Grid(10, 1), 1)
    word = {"class": "d", "offset": 1, "dinucleotide": 2 * 4 + 3}
    # GT one base after the site on plus at 1 (and 11, a site); AC one before it on minus at 9, 17.
    found = find_decoys(stretch, word, DNA.complement_codes, 0, len(codes))
    assert found.tolist() == [1, 9, 17]
    assert motifs.loc[0, "share"] == 1.0


def random_stretch(seed=0, length=4000):
    """A stretch with sites, two classes' words, and hidden intervals of one class."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 5, length, dtype=np.uint8)
    sites = np.sort(generator.choice(length, 200, replace=False))
    columns = ["class", "offset", "dinucleotide"]
    words = pd.DataFrame([("acceptor", -2, 2), ("donor", 1, 11)], columns=columns)
    bare = Stretch("toy", "a", 100, (length - 500) // 50 + 1, codes, sites)
    hidden = pd.DataFrame({"contig": ["a", "a", "b"], "start": [0, 900, 0], "end": [150, 1400, 9]})
    return allow_decoys([bare], words, {"toy": {"donor": hidden}})[0]


def decoys_by_reading(stretch, name):
    """Read every position on both strands as text: which carry a class's word at its place."""
    text = "".join("ACGTN"[code] for code in stretch.codes)
    reverse = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    offset, letters = {"acceptor": (-2, "AG"), "donor": (1, "GT")}[name]
    found = set()
    for place in range(len(text)):
        for strand, here in ((text, place), (reverse, len(text) - 1 - place)):
            if here + offset >= 0 and strand[here + offset : here + offset + 2] == letters:
                found.add(place)
    found -= set(stretch.sites.tolist())
    for start, end in [(-100, 50), (800, 1300)] if name == "donor" else []:
        found -= set(range(start, end))
    return sorted(found)


@pytest.mark.parametrize("piece", [7, 1000, 4000])
def test_decoys_equal_a_search_in_text(piece):
    stretch = random_stretch()
    for word in stretch.words.to_dict("records"):
        found = [
            find_decoys(stretch, word, DNA.complement_codes, first, min(first + piece, 4000))
            for first in range(0, 4000, piece)
        ]
        expected = decoys_by_reading(stretch, word["class"])
        assert len(expected) > 100
        assert np.concatenate(found).tolist() == expected


def test_pieces_do_not_change_intensities(monkeypatch):
    grid, stretch = Grid(500, 50), random_stretch()
    whole = [start_intensity(kind, [stretch], 10, grid)[0] for kind in ("decoys", "gc_matched")]
    monkeypatch.setattr("genomesieve.sampling._BASES_AT_ONCE", 130)
    for kind, expected in zip(("decoys", "gc_matched"), whole):
        pieces = start_intensity(kind, [stretch], 10, grid)[0]
        np.testing.assert_allclose(pieces, expected, rtol=1e-12, atol=1e-12)


def test_classes_share_decoys_equally_however_common_their_words_are():
    grid = Grid(100, 1)
    codes = np.zeros(2000, dtype=np.uint8)
    codes[100:1000:2] = 2  # GA on plus, 450 times; TC on minus
    codes[1500:1503] = 3, 2, 3  # TG, once
    words = [("rare", 0, 3 * 4 + 2), ("common", 0, 2 * 4 + 0)]
    words = pd.DataFrame(words, columns=["class", "offset", "dinucleotide"])
    stretch = Stretch("toy", "a", 0, 1901, codes, np.zeros(0, dtype=np.int64), words)
    (intensity,) = start_intensity("decoys", [stretch], 10, grid)
    assert intensity.sum() == pytest.approx(10)
    assert intensity[1300:].sum() == pytest.approx(5)


def test_tiles_do_not_overlap_and_are_limited(stretches):
    tiles = tile_part(stretches, Grid(500, 50), 10**9, 0)
    for _, mine in tiles.groupby("contig"):
        assert (np.diff(np.sort(mine["start"])) >= 500).all()
    assert len(tile_part(stretches, Grid(500, 50), 2000, 0)) == 4


def test_same_seed_same_windows(stretches):
    first, second = (draw_windows(stretches, SHARES, 50, Grid(500, 50), 7) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"sites": 0.5}, "sum to 0.5"), ({"sites": -0.5, "uniform": 1.5}, "expected 0 or more")],
)
def test_bad_shares_are_named(stretches, shares, message):
    with pytest.raises(InputError, match=message):
        draw_windows(stretches, shares, 10, Grid(500, 50), 0)


def test_source_without_candidates_is_named(stretches):
    bare = [replace(item, sites=item.sites[:0]) for item in stretches if item.contig == "b"]
    with pytest.raises(InputError, match="sites finds nothing"):
        start_intensity("sites", bare, 10, Grid(500, 50))


def test_grid_divides_the_window():
    assert make_grid(5000, 1) == Grid(5000, 100)
    assert make_grid(1000, 50) == Grid(1000, 50)
    with pytest.raises(InputError, match="multiple of the resolution"):
        make_grid(1001, 50)
