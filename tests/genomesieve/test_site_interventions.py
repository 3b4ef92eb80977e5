"""Hits at sites of a model set by hand: what is taken out, turned and moved is known exactly."""

import numpy as np
import pandas as pd
import pytest

from attributed_models import make_bundle, matrix_bundle
from genomesieve.alphabet import DNA
from genomesieve.genome import EncodedGenome
from genomesieve.motif_matrices import MotifMatrix, hit_threshold, match_scores
from genomesieve.mutagenesis import MutantScorer, cut_windows
from genomesieve.site_interventions import (
    SITE_COLUMNS,
    SiteMeter,
    SiteSettings,
    best_hits,
    first_sites,
    summarise_sites,
)

WORD = "GATTACACG"
LEFT = 20
SITES = [(100, "+"), (250, "-"), (2, "+"), (400, "+")]
"""Position of the bin and strand; the third lies at the contig's start, the fourth has no word."""


@pytest.fixture
def motif():
    columns = [np.where(np.arange(4) == "ACGT".index(letter), 0.97, 0.01) for letter in WORD]
    return MotifMatrix("gata", np.array(columns).T)


@pytest.fixture
def matrix():
    """A wide matrix with the motif's letters in its middle and nothing beside them."""
    values = np.zeros((4, 41), dtype=np.float32)
    values[DNA.encode(WORD), LEFT + np.arange(9)] = np.arange(1, 10)
    return values


def planted_genome():
    codes = np.random.default_rng(8).integers(0, 4, 500, dtype=np.uint8)
    word = DNA.encode(WORD)
    codes[100:109] = word
    codes[242:251] = DNA.reverse_complement(word)
    codes[2:11] = word
    codes[95] = DNA.unknown
    table = pd.DataFrame({"contig": ["c"], "length": [500], "offset": [0]})
    return EncodedGenome("toy", codes, table)


def site_table():
    rows = [("c", position, strand, "b") for position, strand in SITES]
    table = pd.DataFrame(rows, columns=["contig", "position", "strand", "class"])
    table.index = [3, 5, 6, 8]
    return table


def make_meter(matrix, **settings):
    bundle = matrix_bundle(matrix, left=LEFT)
    chosen = SiteSettings(**{"shifts": (-9, 4, 30)} | settings)
    return SiteMeter(bundle, MutantScorer(bundle), planted_genome(), site_table(), chosen)


def test_taking_a_hit_out_takes_exactly_what_it_gives(matrix, motif, one_thread):
    meter = make_meter(matrix, draws=7)
    hits = meter.hits([motif])
    assert hits[["site", "motif", "offset", "strand"]].to_numpy().tolist() == [
        [3, "gata", 0, "+"],
        [5, "gata", 0, "+"],
        [6, "gata", 0, "+"],
    ]
    table = meter.measure(hits, {"gata": motif})
    assert tuple(table.columns) == SITE_COLUMNS
    for row, number in enumerate(site_table().index):
        if number == 8:
            continue
        mine = table[table["site"] == number].set_index("action")
        seen = meter.windows.seen[row]
        changes = meter._changes(seen, LEFT, motif, number)
        deleted = changes[0][2]
        assert len(deleted) == 7
        # Of the word's 45 only what the replacement carries of it stays.
        weights = matrix[:, LEFT : LEFT + 9]
        effects = [weights[codes[LEFT : LEFT + 9], np.arange(9)].sum() - 45 for codes in deleted]
        found = mine.loc["delete", ["effect", "low", "high"]].astype(float)
        assert found.tolist() == pytest.approx([np.mean(effects), min(effects), max(effects)])
        assert np.mean(effects) < -25
        turned = DNA.reverse_complement(DNA.encode(WORD))
        assert mine.loc["turn", "effect"] == pytest.approx(
            weights[turned, np.arange(9)].sum() - 45, abs=1e-4
        )
        far = mine.loc["move"].set_index("shift")
        # 30 bp away the word lies outside of the matrix, so moving it is taking it out.
        assert 30 not in far.index
        assert set(far.index) == {-9, 4}
        assert far.loc[-9, "effect"] == pytest.approx(np.mean(effects))
        assert far.loc[-9, "regained"] == pytest.approx(0, abs=1e-5)


def test_replacements_are_made_of_flanks_and_hold_no_hit(matrix, motif):
    meter = make_meter(matrix, draws=20)
    for row, number in ((0, 3), (1, 5), (2, 6)):
        seen = meter.windows.seen[row]
        _, _, deleted = meter._changes(seen, LEFT, motif, number)[0]
        assert len({codes.tobytes() for codes in deleted}) > 5
        scores = match_scores(motif, deleted[:, LEFT - 8 : LEFT + 17])
        assert scores.max() < hit_threshold(motif, meter.settings.share)
        outside = np.delete(np.arange(len(seen)), np.arange(LEFT, LEFT + 9))
        assert (deleted[:, outside] == seen[outside]).all()
        assert (deleted != DNA.unknown)[:, LEFT : LEFT + 9].all()
        again = meter._changes(seen, LEFT, motif, number)[0][2]
        assert (again == deleted).all()


def test_hits_of_unknown_or_unseen_bases_are_counted(matrix, motif, one_thread):
    meter = make_meter(matrix)
    rows = [(3, "gata", -9, "+", 1.0), (3, "other", -5, "-", 1.0), (6, "gata", -3, "+", 5.0),
            (5, "gata", 15, "+", 2.0), (99, "gata", 0, "+", 9.0)]  # fmt: skip
    hits = pd.DataFrame(rows, columns=["site", "motif", "offset", "strand", "log_odds"])
    other = MotifMatrix("other", motif.probabilities)
    table = meter.measure(hits, {"gata": motif, "other": other})
    # An unknown base within two of them, one past the contig's start, one past what is seen.
    assert meter.skipped == 4 and table.empty


def test_the_best_hit_of_a_motif_counts():
    rows = [(1, "a", 0, 1.0), (1, "a", 5, 3.0), (1, "b", 2, 0.5), (0, "a", 7, 2.0)]
    hits = pd.DataFrame(rows, columns=["site", "motif", "offset", "log_odds"])
    assert best_hits(hits)["offset"].tolist() == [7, 5, 2]


def test_first_sites_keep_their_numbers():
    sites = pd.DataFrame({"class": ["a", "b", "a", "a", "b"]})
    assert first_sites(sites, 2).index.tolist() == [0, 1, 2, 4]


def test_hits_are_looked_for_within_the_flank(matrix, motif):
    found = make_meter(matrix, flank=8).hits([motif])
    assert found["offset"].tolist() == [0, 0, 0]
    assert make_meter(matrix, flank=7).hits([motif]).empty
    assert len(make_meter(matrix, share=0.02).hits([motif])) == 4


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        ({"preset": "dilated", "channels": 8, "dilations": [1, 4]}, "exclusive"),
        ({"preset": "hybrid", "channels": 8, "window": 100, "reach": 5}, "independent"),
    ],
)
def test_changes_are_scored_as_whole_windows(model, labels, motif, one_thread):
    bundle = make_bundle(model, labels, members=2)
    genome, sites = planted_genome(), site_table()
    meter = SiteMeter(bundle, MutantScorer(bundle), genome, sites, SiteSettings(shifts=(-3, 3)))
    hits = meter.hits([motif])
    table = meter.measure(hits, {"gata": motif})
    assert len(hits) >= 3 and len(table) == 4 * len(hits)
    whole = MutantScorer(bundle, 1, differencing=False)
    places = genome, ["c"] * len(sites), sites["position"].to_numpy(), sites["strand"] == "-"
    windows = cut_windows(*places, bundle.architecture)
    for hit in hits.itertuples():
        row = sites.index.get_loc(hit.site)
        window = windows.take(slice(row, row + 1))
        before = whole.reference(window.seen, window.bins)
        place = hit.offset + int(window.anchors[0])
        mine = table[(table["site"] == hit.site)]
        for action, shift, codes in meter._changes(window.seen[0], place, motif, hit.site):
            bins = np.repeat(window.bins, len(codes))
            expected = (whole.reference(codes, bins) - before).mean()
            same = mine["action"] == action
            if shift is not None:
                same &= mine["shift"] == shift
            assert mine.loc[same, "effect"].item() == pytest.approx(expected, abs=2e-5)


def test_means_over_sites_have_their_interval():
    table = pd.DataFrame(
        [
            (0, "b", "m", 0, "+", "delete", None, -1.0, -1.0, -1.0, None),
            (1, "b", "m", 0, "+", "delete", None, -3.0, -3.0, -3.0, None),
            (1, "b", "m", 0, "+", "move", 5, -1.0, -1.0, -1.0, 2.0),
        ],
        columns=list(SITE_COLUMNS),
    )
    deleted, moved = summarise_sites(table)
    assert deleted["effect"] == -2 and deleted["sites"] == 2 and deleted["shift"] is None
    assert (deleted["low"], deleted["high"]) == (-3, -1)
    assert (moved["shift"], moved["regained"], moved["low"]) == (5, 2.0, -1.0)
    assert summarise_sites(table[:0]) == []
