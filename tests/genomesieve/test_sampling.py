import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.sampling import (
    Grid,
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
    motifs = common_dinucleotides({"toy": genome}, {"toy": sites})
    from dataclasses import replace

    return [replace(s, decoys=find_decoys(s, motifs, DNA.complement_codes)) for s in items]


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


def test_inclusion_is_the_mean_coverage_of_many_draws(stretches):
    grid, repeats = Grid(500, 50), 400
    coverage, expected = np.zeros(200), np.zeros(200)
    for seed in range(repeats):
        windows = draw_windows(stretches, SHARES, 60, grid, seed)
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


def test_inverse_inclusion_estimates_the_prevalence(stretches):
    """Windows crowd at sites; their inverse-inclusion mean is the share of sites all the same."""
    grid, estimates, plain = Grid(500, 50), [], []
    track = {item.contig: np.zeros(item.starts + grid.cells - 1) for item in stretches}
    for item in stretches:
        for cell in item.sites // 50:
            track[item.contig][cell] = 1
    truth = np.concatenate(list(track.values())).mean()
    offsets = {item.contig: item.start for item in stretches}
    for seed in range(60):
        windows = draw_windows(stretches, {"sites": 0.5, "uniform": 0.5}, 200, grid, seed)
        values, weights = [], []
        for row in windows.itertuples():
            cell = (row.start - offsets[row.contig]) // 50
            values.append(track[row.contig][cell : cell + 10])
            weights.append(1 / row.inclusion)
        values, weights = np.concatenate(values), np.concatenate(weights)
        estimates.append((values * weights).sum() / weights.sum())
        plain.append(values.mean())
    assert np.mean(estimates) == pytest.approx(truth, rel=0.05)
    assert np.mean(plain) > 1.5 * truth


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
    motif = pd.DataFrame([("d", 1, 2 * 4 + 3)], columns=["class", "offset", "dinucleotide"])
    parts = pd.DataFrame({"contig": ["a"], "start": [0], "end": [len(codes)]})
    (stretch,) = list_stretches(genome, parts, sites, Grid(10, 1), 1)
    # GT one base after the site on plus at 1 (and 11, a site); AC one before it on minus at 9, 17.
    assert find_decoys(stretch, motif, DNA.complement_codes).tolist() == [1, 9, 17]
    assert motifs.loc[0, "share"] == 1.0


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
    bare = [item for item in stretches if item.contig == "b"]
    from dataclasses import replace

    bare = [replace(item, sites=item.sites[:0]) for item in bare]
    with pytest.raises(InputError, match="sites finds nothing"):
        start_intensity("sites", bare, 10, Grid(500, 50))


def test_grid_divides_the_window():
    assert make_grid(5000, 1) == Grid(5000, 100)
    assert make_grid(1000, 50) == Grid(1000, 50)
    with pytest.raises(InputError, match="multiple of the resolution"):
        make_grid(1001, 50)
