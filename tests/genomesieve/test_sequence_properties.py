import itertools

import numpy as np
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.auxiliary_settings import FEWEST_BASES
from genomesieve.gathering import one_hot
from genomesieve.sequence_properties import STACKING_ENERGY, longest_run, sequence_property

ENTHALPY_ENTROPY = {
    "AA": (-7.9, -22.2),
    "AT": (-7.2, -20.4),
    "TA": (-7.2, -21.3),
    "CA": (-8.5, -22.7),
    "GT": (-8.4, -22.4),
    "CT": (-7.8, -21.0),
    "GA": (-8.2, -22.2),
    "CG": (-10.6, -27.2),
    "GC": (-9.8, -24.4),
    "GG": (-8.0, -19.9),
}
"""kcal/mol and cal/(mol K): the other columns of the table that the free energies come from."""


def of_text(name, text, bin_bp, flank):
    x = one_hot(torch.from_numpy(DNA.encode(text))[None], DNA)
    return sequence_property(name, x, bin_bp, flank)[0].numpy()


def energy(pair):
    """Free energy of two letters: the table's, or that of the reverse complement."""
    other = pair[::-1].translate(str.maketrans("ACGT", "TGCA"))
    return STACKING_ENERGY.get(pair, STACKING_ENERGY.get(other))


def by_letters(name, text):
    """The property of one window, from its letters."""
    known = sum(letter in "ACGT" for letter in text)
    if 2 * known < len(text):
        return np.nan
    if name == "gc":
        return (text.count("G") + text.count("C")) / known
    if name == "cpg":
        expected = text.count("C") * text.count("G") / known
        return text.count("CG") / expected if expected else np.nan
    if name == "stacking":
        steps = [a + b for a, b in itertools.pairwise(text) if "N" not in (a, b)]
        return float(np.mean([energy(step) for step in steps])) if steps else np.nan
    kinds = text.translate(str.maketrans("AGCTN", "RRYYN"))
    runs = [len(list(run)) for kind, run in itertools.groupby(kinds) if kind != "N"]
    return max(runs)


def random_text(seed, length, unknown=0.0):
    generator = np.random.default_rng(seed)
    text = generator.choice(list("ACGT"), length)
    # Stretches of unknown bases, and single ones.
    text[generator.random(length) < unknown] = "N"
    text[length // 3 : length // 3 + int(60 * unknown)] = "N"
    return "".join(text)


@pytest.mark.parametrize("name", FEWEST_BASES)
@pytest.mark.parametrize(("bin_bp", "flank"), [(1, 3), (1, 50), (2, 0), (7, 5), (50, 0), (50, 25)])
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_equals_what_the_letters_say(name, bin_bp, flank, unknown):
    bins, window = 6 if bin_bp > 2 else 80, bin_bp + 2 * flank
    text = random_text(bin_bp + flank, bins * bin_bp + 2 * flank, unknown)
    found = of_text(name, text, bin_bp, flank)
    starts = range(0, bins * bin_bp, bin_bp)
    expected = [by_letters(name, text[start : start + window]) for start in starts]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isfinite(found).any()


@pytest.mark.parametrize("name", FEWEST_BASES)
@pytest.mark.parametrize(("bin_bp", "flank"), [(1, 20), (25, 40)])
def test_the_other_strand_has_the_same_to_the_last_bit(name, bin_bp, flank):
    text = random_text(3, 20 * bin_bp + 2 * flank, 0.05)
    other = DNA.decode(DNA.reverse_complement(DNA.encode(text)))
    one, two = of_text(name, text, bin_bp, flank), of_text(name, other, bin_bp, flank)
    assert np.array_equal(one, two[::-1], equal_nan=True)


def test_stacking_of_the_published_example():
    """CGTTGA has -5.35 kcal/mol, of which the ends give 0.98 and 1.03 (SantaLucia 1998, fig. 1)."""
    (mean,) = of_text("stacking", "CGTTGA", 6, 0)
    assert 5 * mean + 0.98 + 1.03 == pytest.approx(-5.35, abs=1e-5)


def test_free_energies_agree_with_enthalpies_and_entropies():
    assert set(STACKING_ENERGY) == set(ENTHALPY_ENTROPY)
    for pair, (enthalpy, entropy) in ENTHALPY_ENTROPY.items():
        assert STACKING_ENERGY[pair] == pytest.approx(enthalpy - 310.15 * entropy / 1000, abs=0.03)


def test_all_neighbours_have_an_energy():
    for pair in itertools.product("ACGT", repeat=2):
        (value,) = of_text("stacking", "".join(pair), 2, 0)
        assert value == pytest.approx(energy("".join(pair)))


def test_cpg_of_an_island_and_of_none():
    (island,) = of_text("cpg", "CG" * 50, 100, 0)
    assert island == pytest.approx(50 * 100 / (50 * 50))
    (apart,) = of_text("cpg", "GC" * 50, 100, 0)
    assert apart == pytest.approx(49 * 100 / (50 * 50))
    assert np.isnan(of_text("cpg", "GA" * 50, 100, 0)).all()


@pytest.mark.parametrize("width", [1, 2, 3, 7, 16, 31, 100])
@pytest.mark.parametrize("share", [0.1, 0.7, 1.0])
def test_longest_run_equals_a_reading_of_every_window(width, share):
    marks = np.random.default_rng(width).random((3, 150)) < share
    found = longest_run(torch.from_numpy(marks), width).numpy()
    for row in range(3):
        for start in range(150 - width + 1):
            text = "".join("01"[int(mark)] for mark in marks[row, start : start + width])
            assert found[row, start] == max(map(len, text.split("0")))
    assert found.shape == (3, 150 - width + 1)
