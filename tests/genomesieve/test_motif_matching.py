"""Known motifs of JASPAR and of files, and Tomtom's verdict on planted likenesses."""

from __future__ import annotations

import numpy as np
import pytest
from memelite.io import write_meme

from genomesieve.errors import InputError
from genomesieve.found_motifs import FoundMotif
from genomesieve.motif_matching import (
    MATCH_COLUMNS,
    MotifDatabase,
    adjust,
    load_database,
    match_motifs,
    read_motif_file,
)
from genomesieve.motifs import Motif
from motif_sites import WORDS, decoys, frequencies


def found(word):
    counts = 1000 * frequencies(word)
    return FoundMotif("x", "modisco", "a", "+", counts, counts, 1000)


def test_planted_likenesses_are_found_where_they_lie():
    """Longer, shorter and reversed versions match, with the offset at which they do."""
    word = WORDS["Reb"]
    own, even = frequencies(word), np.full((4, 3), 0.25)
    known = {
        "longer": (np.hstack([even, own]), -3, "+"),
        "shorter": (own[:, 2:], 2, "+"),
        "reversed": (np.hstack([own, even])[::-1, ::-1], 0, "-"),
        "reversed_longer": (np.hstack([even, own])[::-1, ::-1], -3, "-"),
    }
    motifs = [Motif(name, name.upper(), matrix) for name, (matrix, _, _) in known.items()]
    motifs += [Motif(f"decoy{row}", "none", matrix) for row, matrix in enumerate(decoys(30))]
    table = match_motifs([found(word)], MotifDatabase("test", motifs), most=6)
    assert tuple(table.columns) == MATCH_COLUMNS
    assert set(table["match_id"][:4]) == set(known)
    for row in table[:4].itertuples():
        _, offset, strand = known[row.match_id]
        assert (row.offset, row.strand, row.match_name) == (offset, strand, row.match_id.upper())
        assert row.q_value < 1e-6
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (table["p_value"].diff()[1:] >= 0).all() and (table["q_value"][4:] > 0.01).all()


def test_q_values_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    for count in (1, 2, 300):
        p_values = generator.uniform(size=count) ** 3
        np.testing.assert_allclose(adjust(p_values), stats.false_discovery_control(p_values))


def test_jaspar_comes_by_taxonomic_group():
    fungi = load_database("fungi")
    assert fungi.label.startswith("JASPAR20") and fungi.label.endswith("CORE fungi")
    by_id = {one.identifier.partition(".")[0]: one for one in fungi.motifs}
    assert len(by_id) == len(fungi.motifs) > 150
    assert by_id["MA0363"].name == "REB1"
    # Its core TTACCCG, whatever the version adds around it.
    best = "".join("ACGT"[row] for row in by_id["MA0363"].counts.argmax(0))
    assert "TTACCCG" in best or "CGGGTAA" in best
    assert load_database("none") == MotifDatabase("none", [])


def test_files_of_both_formats_are_read(tmp_path):
    path = tmp_path / "known.meme"
    write_meme(str(path), {"MA1 One": frequencies("GATTACA"), "two": frequencies("CCGG")})
    one, two = read_motif_file(path)
    assert (one.identifier, one.name, two.identifier, two.name) == ("MA1", "One", "two", "two")
    np.testing.assert_allclose(one.counts, frequencies("GATTACA"))
    jaspar = tmp_path / "known.jaspar"
    rows = "\n".join(f"{letter} [ 1 2 ]" for letter in "ACGT")
    jaspar.write_text(f">MA7.1 Seven\n{rows}\n")
    assert load_database(str(jaspar)).motifs[0].name == "Seven"
    assert load_database(str(jaspar)).label == "known.jaspar"


BAD_FILES = [
    ("", "is empty"),
    ("MEME version 4\n", "holds no motif"),
    ("MEME version 4\nMOTIF a\nletter-probability matrix: w= 2\n0.1 0.2\n", "expected MEME format"),
    ("MEME version 4\nMOTIF a\nletter-probability matrix: alength= 4\n", "expected MEME format"),
    ("MEME version 4\nMOTIF a\nletter-probability matrix: w= 1\n0 0 0 0\n", "column 1"),
    ("MEME version 4\nMOTIF a\nletter-probability matrix: w= 1\nnan 1 0 0\n", "column 1"),
    ("hello\n", "expected a letter and its counts"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "known.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_database(str(path))
    assert "known.txt" in str(error.value)


def test_an_unknown_database_is_named():
    with pytest.raises(InputError, match="'mushrooms' is no file; expected fungi, plants"):
        load_database("mushrooms")
