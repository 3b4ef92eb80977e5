"""Motifs on models that are set by hand: effects, places, copies and pairs are known exactly."""

import numpy as np
import pytest
import torch
from torch import nn

from attributed_models import make_bundle, matrix_bundle
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.implants import Backgrounds, Implanter, middle_bin
from genomesieve.motif_interventions import (
    InterventionSettings,
    MotifMeter,
    Place,
    check_settings,
)
from genomesieve.motif_matrices import MotifMatrix
from genomesieve.mutagenesis import MutantScorer


def word_motif(name, word):
    """A motif that is a word, N for any letter."""
    columns = [
        np.full(4, 0.25) if letter == "N" else np.eye(4)["ACGT".index(letter)] for letter in word
    ]
    return MotifMatrix(name, np.array(columns).T)


def make_meter(bundle, motifs, count=12, seed=0, **settings):
    architecture = bundle.architecture
    length = architecture.stride + 2 * architecture.context
    codes = np.random.default_rng(seed).integers(0, 4, (count, length), dtype=np.uint8)
    backgrounds = Backgrounds(codes, *middle_bin(architecture))
    scorer = MutantScorer(bundle)
    halves = (backgrounds.take(slice(0, count // 2)), backgrounds.take(slice(count // 2, None)))
    choosing, measuring = (Implanter(scorer, half) for half in halves)
    chosen = InterventionSettings(**{"step": 1, "most_pairs": 99} | settings)
    return MotifMeter(choosing, measuring, motifs, bundle.classes, architecture.resolution, chosen)


@pytest.fixture
def matrix():
    """Weights of a motif whose best letters are GATTACACG."""
    generator = np.random.default_rng(3)
    values = generator.uniform(-1, 0, (4, 9))
    values[DNA.encode("GATTACACG"), np.arange(9)] = generator.uniform(1, 2, 9)
    return values.astype(np.float32)


def word_effect(matrix, word, codes, place, first):
    """Effect of a word at a place on the score of a matrix that lies at `first`."""
    total = np.zeros(len(codes))
    for step, letter in enumerate(word):
        column = place + step - first
        if letter != "N" and 0 <= column < matrix.shape[1]:
            total += matrix["ACGT".index(letter), column] - matrix[codes[:, place + step], column]
    return total


def test_marginal_effect_and_places_are_exact(matrix, one_thread):
    bundle = matrix_bundle(matrix)
    meter = make_meter(bundle, [word_motif("gata", "GATTACACG"), word_motif("none", "NNN")])
    found = meter.measure()
    assert found.silent == ["none"]
    anchor = meter.anchor
    first = anchor - 2
    codes = meter.choosing.backgrounds.codes
    for row in found.positions.itertuples():
        word = "GATTACACG" if row.strand == "+" else "CGTGTAATC"
        kind = row._4 if hasattr(row, "_4") else found.positions["class"][row.Index]
        expected = 0.0
        if kind == "b":
            expected = word_effect(matrix, word, codes, anchor + row.offset, first).mean()
        assert row.effect == pytest.approx(expected, abs=2e-5)
        assert row.low - 1e-6 <= row.effect <= row.high + 1e-6
    offsets = found.positions["offset"].unique()
    length = codes.shape[1]
    assert offsets.tolist() == list(range(-anchor, length - anchor - 8))
    assert set(found.positions["strand"]) == {"+", "-"}

    marginal = found.marginal.set_index("class").loc["b"]
    assert (marginal["offset"], marginal["strand"], marginal["motif"]) == (-2, "+", "gata")
    codes = meter.measuring.backgrounds.codes
    expected = word_effect(matrix, "GATTACACG", codes, first, first)
    assert marginal["effect"] == pytest.approx(expected.mean(), abs=2e-5)
    assert marginal["backgrounds"] == len(codes) == 6
    assert marginal["control"] < marginal["effect"] / 2
    assert found.marginal.set_index("class").loc["a", "effect"] == 0


def test_halves_of_an_additive_motif_do_not_interact(matrix, one_thread):
    meter = make_meter(matrix_bundle(matrix), [word_motif("gatt", "GATT"), word_motif("cg", "CG")])
    found = meter.measure()
    assert len(found.pairs) > 50
    np.testing.assert_allclose(found.pairs["interaction"], 0, atol=2e-5)
    np.testing.assert_allclose(
        found.pairs["together"],
        found.pairs["first_alone"] + found.pairs["second_alone"],
        atol=2e-5,
    )
    assert found.pairs["second_alone"].abs().max() > 1
    pair = found.pairs[(found.pairs["first"] == "gatt") & (found.pairs["second"] == "cg")]
    best = pair[pair["class"] == "b"].nlargest(1, "together").iloc[0]
    assert (best["first_offset"], best["distance"], best["second_strand"]) == (-2, 7, "+")


class Grammar(nn.Module):
    """GATT gives 1 and CACG gives 2 at fixed places; both, 6 bp apart, give 5 more, in class b."""

    FIRST, SECOND, DISTANCE = "GATT", "CACG", 6

    def __init__(self, context):
        super().__init__()
        self.units = nn.Conv1d(4, 3, 10)
        weight = torch.zeros(3, 4, 10)
        for unit, words in enumerate(([0], [1], [0, 1])):
            for word in words:
                text, at = ((self.FIRST, 0), (self.SECOND, self.DISTANCE))[word]
                weight[unit, DNA.encode(text).astype(int), torch.arange(4) + at] = 1
        self.units.weight.data = weight
        self.units.bias.data = torch.tensor([-3.0, -3.0, -7.0])
        self.head = nn.Conv1d(3, 2, 1)
        self.head.weight.data = torch.tensor([[0.0, 0, 0], [1, 2, 5]])[..., None]
        self.head.bias.data = torch.tensor([0.0, -4])
        self.context = context

    def forward(self, x):
        # The unit lies with its first base three bases before the bin.
        found = torch.relu(self.units(x[..., self.context - 3 : self.context + 7]))
        return self.head(found)


def grammar_bundle():
    model = {"preset": "pwm", "width": 41, "left": 20, "margins": [0, 0]}
    architecture = resolve_architecture(model | {"resolution": 1})
    network = Grammar(architecture.context).eval()
    return Bundle("grammar", network, architecture, ["a", "b"], True, "independent")


def test_a_planted_grammar_is_found_at_its_spacing_and_strand_alone(one_thread):
    motifs = [word_motif("first", "GATT"), word_motif("second", "CACG")]
    meter = make_meter(grammar_bundle(), motifs, count=40)
    for half in (meter.choosing, meter.measuring):
        # No background carries either word at the place that counts.
        half.backgrounds.codes[:, meter.anchor - 3 : meter.anchor + 7] = DNA.encode("AAAAAAAAAA")
    found = meter.measure()
    marginal = found.marginal[found.marginal["class"] == "b"].set_index("motif")
    assert marginal.loc["first", ["offset", "strand", "effect"]].tolist() == [-3, "+", 1]
    assert marginal.loc["second", ["offset", "strand", "effect"]].tolist() == [3, "+", 2]
    assert (marginal["low"] == marginal["high"]).all()
    pairs = found.pairs[(found.pairs["first"] != found.pairs["second"])]
    assert pairs.loc[pairs["class"] == "a", "interaction"].abs().max() == 0
    pairs = pairs[pairs["class"] == "b"]
    planted = (pairs["distance"] == 6) & (pairs["second_strand"] == "+")
    assert planted.sum() == 1
    row = pairs[planted].iloc[0]
    assert (row["first"], row["second"]) == ("first", "second")
    numbers = ["together", "first_alone", "second_alone", "interaction", "low", "high"]
    assert row[numbers].tolist() == [8, 1, 2, 5, 5, 5]
    assert pairs.loc[~planted, "interaction"].abs().max() == 0


class Saturating(nn.Module):
    """The number of AAA in 60 bases around the bin, but never more than two."""

    def __init__(self, context):
        super().__init__()
        self.unit = nn.Conv1d(4, 1, 3)
        self.unit.weight.data = torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1).repeat(1, 1, 3)
        self.unit.bias.data = torch.tensor([-2.0])
        self.start = context - 30

    def forward(self, x):
        number = torch.relu(self.unit(x[..., self.start : self.start + 60])).sum(-1, keepdim=True)
        return 2 - torch.relu(2 - number)


def test_copies_saturate_as_the_model_does(one_thread):
    model = {"preset": "pwm", "width": 81, "left": 40, "margins": [0]}
    architecture = resolve_architecture(model | {"resolution": 1})
    network = Saturating(architecture.context).eval()
    bundle = Bundle("aaa", network, architecture, ["a"], True, "independent")
    meter = make_meter(bundle, [word_motif("aaa", "AAA")], copies=4, spacing=2, flank=30)
    for half in (meter.choosing, meter.measuring):
        half.backgrounds.codes[:] = 1
    copies = meter.copies({"aaa": [Place("+", -1, 1.0)]})
    assert copies["spacing"].unique().tolist() == [3]
    # Neighbours at 3 bp make one run of A, which holds a word at every base.
    assert copies["effect"].tolist() == [1, 2, 2, 2]
    meter = make_meter(bundle, [word_motif("aaa", "AAA")], copies=4, spacing=5, flank=30)
    for half in (meter.choosing, meter.measuring):
        half.backgrounds.codes[:] = 1
    copies = meter.copies({"aaa": [Place("+", -1, 1.0)]})
    assert copies["copies"].tolist() == [1, 2, 3, 4]
    assert copies["effect"].tolist() == [1, 2, 2, 2]
    assert copies["sum_of_singles"].tolist() == [1, 2, 3, 4]
    assert copies["excess"].tolist() == copies["excess_low"].tolist() == [0, 0, -1, -2]


def test_copies_stop_where_no_more_is_seen(matrix, one_thread):
    bundle = matrix_bundle(matrix)
    meter = make_meter(bundle, [word_motif("gata", "GATTACACG")], spacing=1)
    found = meter.measure()
    # The model sees 13 bases: no second word of nine fits.
    assert found.copies["copies"].unique().tolist() == [1]


def test_pairs_are_limited_to_those_that_act_on_one_class(one_thread):
    bundle = make_bundle({"preset": "dilated", "channels": 8}, "exclusive")
    words = {"one": "GATTACA", "two": "CCGG", "three": "TTT"}
    motifs = [word_motif(name, word) for name, word in words.items()]
    meter = make_meter(bundle, motifs, flank=5, most_pairs=2)
    strengths = {
        "one": [Place("+", 0, 3.0), Place("+", 0, 0.1)],
        "two": [Place("+", 0, 0.2), Place("-", 0, -2.0)],
        "three": [Place("+", 0, -1.0), Place("+", 0, 0.0)],
    }
    pairs, left_out = meter.choose_pairs(strengths)
    assert pairs == [("one", "one"), ("two", "two")]
    assert left_out == 4
    pairs, _ = make_meter(bundle, motifs, flank=5, most_pairs=4).choose_pairs(strengths)
    assert ("one", "three") in pairs[2:]


def test_steps_and_limits_of_places(one_thread):
    bundle = make_bundle({"preset": "motif_cnn", "channels": 8}, "independent")
    resolution = bundle.architecture.resolution
    assert resolution > 5
    meter = make_meter(bundle, [word_motif("m", "GATTACA")], step=0, flank=20)
    positions, _ = meter.positions()
    offsets = np.unique(positions["offset"])
    assert np.diff(offsets).tolist() == [resolution // 5] * (len(offsets) - 1)
    assert (resolution - 7) // 2 in offsets
    assert offsets.min() >= -20 and offsets.max() + 7 <= resolution + 20


@pytest.mark.parametrize("name", ["backgrounds", "copies", "spacing", "controls"])
def test_settings_below_the_least_are_named(name):
    option = "--" + name.replace("_", "-")
    with pytest.raises(Exception, match=f"{option}: found 0"):
        check_settings(InterventionSettings(**{name: 0}))
