"""What attribute_sites wrote, read to look for motifs in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genomesieve.attributed_sites import HYPOTHETICAL, read_attributed_sites
from genomesieve.errors import InputError

METHODS = ("mutagenesis", "corrected_gradient", "integrated_gradients")


@pytest.fixture
def folder(tmp_path):
    """Three sites of two classes with one unknown base."""
    random = np.random.default_rng(0)
    sequence = random.integers(0, 4, (3, 5)).astype(np.uint8)
    substitutions = random.normal(size=(3, 5, 4))
    np.put_along_axis(substitutions, sequence[..., None].astype(int), 0, 2)
    gradient = random.normal(size=(3, 5, 4))
    contributions = random.normal(size=(3, 3, 5))
    sequence[1, 2] = 4
    substitutions[1, 2] = contributions[1, :, 2] = np.nan
    np.savez_compressed(
        tmp_path / "attributions.npz", positions=np.arange(-2, 3), letters=np.array(list("ACGT")),
        methods=np.array(METHODS), site_class=np.array(["a", "b", "a"]), sequence=sequence,
        scores=np.ones(3), substitutions=substitutions, gradient=gradient,
        contributions=contributions,
    )  # fmt: skip
    pd.DataFrame(
        {"contig": "1", "position": 9, "strand": "+", "class": ["a", "b", "a"], "score": 1.0}
    ).to_csv(tmp_path / "sites.tsv", sep="\t", index=False)
    (tmp_path / "summary.json").write_text("{}")
    return tmp_path


def arrays(folder):
    with np.load(folder / "attributions.npz") as content:
        return dict(content)


def test_mutagenesis_is_the_mean_loss_of_the_letter_that_is_there(folder):
    """As attribute_sites defines it, times 3/4: the mean is over all letters, itself among them."""
    sites, stored = read_attributed_sites(folder, "mutagenesis"), arrays(folder)
    loss = -np.nan_to_num(stored["substitutions"]).sum(2) / 4
    np.testing.assert_allclose(sites.contributions, loss, atol=1e-6)
    np.testing.assert_allclose(sites.hypothetical.sum(2), 0, atol=1e-6)
    # The effect of putting another letter there is the difference of the two.
    there = sites.contributions[0, 0]
    effects = sites.hypothetical[0, 0] - there
    np.testing.assert_allclose(effects, stored["substitutions"][0, 0], atol=1e-6)


def test_gradients_are_corrected_and_integrated_ones_speak_of_the_letter_alone(folder):
    stored = arrays(folder)
    slope = stored["gradient"] - stored["gradient"].mean(2, keepdims=True)
    found = read_attributed_sites(folder, "corrected_gradient")
    np.testing.assert_allclose(found.hypothetical, slope, atol=1e-6)
    found = read_attributed_sites(folder, "integrated_gradients")
    np.testing.assert_allclose(
        found.contributions, np.nan_to_num(stored["contributions"][:, 2]), atol=1e-6
    )
    assert ((found.hypothetical != 0).sum(2) <= 1).all()


@pytest.mark.parametrize("method", HYPOTHETICAL)
def test_unknown_bases_contribute_nothing(folder, method):
    sites = read_attributed_sites(folder, method)
    assert sites.contributions[1, 2] == 0 and not sites.one_hot[1, 2].any()
    assert np.isfinite(sites.hypothetical).all()
    assert (sites.one_hot.sum(2) == 1).sum() == 14


def test_classes_are_taken_apart(folder):
    sites = read_attributed_sites(folder, "mutagenesis")
    mine = sites.of_class("a")
    np.testing.assert_array_equal(mine.sequence, sites.sequence[[0, 2]])
    assert len(mine.table) == 2 and len(sites.of_class("c").sequence) == 0


def test_damaged_files_are_named(folder):
    stored = arrays(folder)
    del stored["gradient"]
    np.savez_compressed(folder / "attributions.npz", **stored)
    with pytest.raises(InputError, match="gradient.*expected what attribute_sites writes"):
        read_attributed_sites(folder, "mutagenesis")
    (folder / "attributions.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="attributions.npz"):
        read_attributed_sites(folder, "mutagenesis")
