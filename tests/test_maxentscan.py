"""The recipe of MaxEntScan gives the scores that its authors' examples have."""

import importlib.util

import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.batches import one_hot

PUBLISHED = {
    "donor": {"cagGTAAGT": 10.86, "gagGTAAGT": 11.08, "taaATAAGT": -0.12},
    "acceptor": {
        "ttccaaacgaacttttgtAGgga": 2.89,
        "tgtctttttctgtgtggcAGtgg": 8.19,
        "ttctctcttcagacttatAGcaa": -0.08,
    },
}
"""From the help of the authors' programs score5.pl and score3.pl, in bits."""


@pytest.fixture(scope="module")
def recipe(repository):
    path = repository / "config" / "recipes" / "maxentscan.py"
    spec = importlib.util.spec_from_file_location("maxentscan", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network(recipe, shared_data):
    folder = shared_data / "motifs"
    files = (folder / f"maxent_score{kind}_matrix.txt.gz" for kind in (5, 3))
    made = recipe.MaxEntScan()
    made.load_state_dict(recipe.read_tables(*map(str, files)))
    return made


@pytest.mark.parametrize(("kind", "row", "left"), [("donor", 0, 2), ("acceptor", 1, 20)])
def test_published_scores(network, kind, row, left):
    for sequence, score in PUBLISHED[kind].items():
        # The scored base comes to stand right behind the context.
        text = "A" * (network.context - left) + sequence.upper() + "A" * 40
        x = one_hot(torch.from_numpy(DNA.encode(text.encode()))[None], DNA)
        assert network(x)[0, row, 0].item() == pytest.approx(score, abs=0.006)


def test_unknown_bases_score_lowest(network, recipe):
    x = torch.zeros(1, 4, 60)
    x[:, 0] = 1
    x[..., 30] = 0
    scores = network(x)[0]
    assert scores.shape == (2, 20)
    # Base 30 is 10 after the first scored one: seen by donors up to 2 after and 6 before it.
    assert (scores[0] == recipe.LOWEST).nonzero().flatten().tolist() == list(range(4, 13))
    assert (scores[1] == recipe.LOWEST).nonzero().flatten().tolist() == list(range(8, 20))
