"""First-layer filters as matrices: filters set by hand to known motifs give these back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from attributed_models import make_bundle
from genomesieve.alphabet import DNA
from genomesieve.attributed_sites import AttributedSites
from genomesieve.filter_matrices import describe_stem, filter_motifs
from genomesieve.motif_filters import set_motif_filters
from genomesieve.motifs import Motif
from motif_sites import WORDS, frequencies

RUN = {"stem_motifs": ["MA1", "MA2"], "freeze": ["stem"]}
MODEL = {"preset": "motif_cnn", "channels": 8, "stem_kernels": [15], "resolution": 10}


def planted_sites(count=80):
    """Sites with both words at places of their own, one of them on the other strand."""
    codes = np.random.default_rng(0).integers(0, 4, (count, 90), dtype=np.uint8)
    first, second = (DNA.encode(word) for word in WORDS.values())
    codes[:, 20:32] = first
    codes[:, 60:72] = DNA.reverse_complement(second)
    codes[0, 25] = DNA.unknown
    table = pd.DataFrame({"strand": ["."] * count})
    hypothetical = np.zeros((count, 90, 4), dtype=np.float32)
    hypothetical[:, 20:32] = 2
    classes = np.array(["a"] * count)
    return AttributedSites(np.arange(90) - 40, "ACGT", codes, hypothetical, classes, table)


def started(reverse_complement, members=1):
    motifs = [
        Motif(f"MA{row}", name, 100 * frequencies(word))
        for row, (name, word) in enumerate(WORDS.items(), 1)
    ]
    bundle = make_bundle(MODEL, reverse_complement=reverse_complement, members=members)
    for one in bundle.network.members if members > 1 else [bundle.network]:
        set_motif_filters(one, motifs)
    bundle.training = {"members": [RUN] * members} if members > 1 else dict(RUN)
    return bundle


@pytest.mark.parametrize(("symmetry", "each"), [("augment", 2), ("average", 2), ("equivariant", 1)])
def test_filters_set_to_motifs_come_back(symmetry, each):
    """Whatever the symmetry: the word itself, read on the strand of the filter."""
    found = {one.name: one for one in filter_motifs(started(symmetry), planted_sites(), 20)}
    for number, (word, side) in enumerate(zip(WORDS.values(), (0, each - 1))):
        one = found[f"stem.filter_{number * each + side}"]
        assert one.started_as == f"MA{number + 1}"
        assert (one.source, one.site_class, one.sign) == ("filter", "all", ".")
        # The second word stands on the other strand: for its mirrored filter, if it has one.
        letters = DNA.reverse_complement(DNA.encode(word)) if side else DNA.encode(word)
        assert DNA.decode(letters) in one.consensus()
        assert 79 <= one.seqlets <= 150
    # Bases of the first word contribute 2 each, others nothing.
    first = found["stem.filter_0"]
    assert 24 * 79 / first.seqlets - 0.1 < first.contributions.sum() <= 24.01


def test_a_norm_that_turns_a_filter_turns_its_motif():
    bundle = started("augment")
    with torch.no_grad():
        bundle.network.stem[1].weight[0] *= -1
    one = filter_motifs(bundle, planted_sites(), 2)[0]
    assert one.name == "stem.filter_0" and WORDS["Reb"] not in one.consensus()


def test_constants_in_a_column_do_not_matter():
    plain, shifted = started("augment"), started("augment")
    with torch.no_grad():
        shifted.network.stem[0].weight += torch.linspace(-3, 3, 15)
        shifted.network.stem[0].bias += 7
    pairs = zip(*(filter_motifs(one, planted_sites(), 20) for one in (plain, shifted)))
    for one, other in pairs:
        assert one.name == other.name
        np.testing.assert_array_equal(one.counts, other.counts)


def test_equal_filters_of_members_count_once():
    """Also where they are of another size; what differs between members is kept."""
    bundle = started("augment", members=2)
    with torch.no_grad():
        bundle.network.members[1].stem[0].weight *= 3
    names = [one.name for one in filter_motifs(bundle, planted_sites(), 1)]
    assert {"member_0.filter_0", "member_0.filter_3"} <= set(names)
    assert not {f"member_1.filter_{row}" for row in range(4)} & set(names)
    assert any(name.startswith("member_1") for name in names)


def test_networks_without_filters_have_none():
    assert filter_motifs(make_bundle({"preset": "kmer", "k": 2}), planted_sites(), 2) == []
    assert filter_motifs(started("augment"), planted_sites(), 10_000) == []


def test_a_stem_of_known_motifs_is_said_to_be_one():
    assert describe_stem(make_bundle(MODEL))["motifs"] == []
    assert "at random" in describe_stem(make_bundle(MODEL))["note"]
    bundle = started("augment", members=2)
    found = describe_stem(bundle)
    assert found["frozen"] and found["motifs"] == ["MA1", "MA2"]
    assert "no discovery" in found["note"] and "2 known motifs" in found["note"]
    bundle.training["members"] = [RUN, RUN | {"freeze": []}]
    found = describe_stem(bundle)
    assert not found["frozen"] and "hardly a discovery" in found["note"]
