"""Motifs of MEME files: consensus, hits against a naive scan, and files that cannot be read."""

import numpy as np
import pytest

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.motif_matrices import (
    MotifMatrix,
    choose_motifs,
    hit_threshold,
    match_scores,
    read_motifs,
)

memelite = pytest.importorskip("memelite.io")


def word_matrix(word, rest=0.0):
    """Probabilities of a word; N is even, and `rest` is left to each other letter."""
    columns = [
        np.full(4, 0.25)
        if letter == "N"
        else np.where(np.arange(4) == "ACGT".index(letter), 1 - 3 * rest, rest)
        for letter in word
    ]
    return np.array(columns).T


def test_consensus_leaves_what_says_little():
    motif = MotifMatrix("m", word_matrix("GANTNC", 0.01))
    assert DNA.decode(motif.consensus) == "GANTNC"
    assert DNA.decode(motif.word("-")) == "GNANTC"
    half = np.array([[0.5, 0.5, 0, 0]]).T
    assert DNA.decode(MotifMatrix("m", half, 1.0).consensus) == "A"
    assert DNA.decode(MotifMatrix("m", half, 1.01).consensus) == "N"


def test_scores_are_sums_of_log_odds_on_both_strands():
    generator = np.random.default_rng(0)
    motif = MotifMatrix("m", generator.dirichlet(np.ones(4), 5).T)
    codes = generator.integers(0, 4, (3, 30), dtype=np.uint8)
    codes[1, 12] = DNA.unknown
    found = match_scores(motif, codes)
    assert found.shape == (2, 3, 26)
    for row, place in [(0, 0), (0, 25), (1, 3), (2, 14)]:
        word = codes[row, place : place + 5]
        for strand, read in enumerate((word, DNA.reverse_complement(word))):
            expected = sum(motif.log_odds[letter, column] for column, letter in enumerate(read))
            assert found[strand, row, place] == pytest.approx(expected)
    assert np.isneginf(found[:, 1, 8:13]).all()
    assert np.isfinite(found[:, 1, :8]).all()
    best = DNA.encode("ACGT")[motif.log_odds.argmax(0)]
    assert match_scores(motif, best[None])[0, 0, 0] == pytest.approx(hit_threshold(motif, 1.0))
    assert match_scores(motif, codes[:, :3]).shape == (2, 3, 0)


def test_a_file_is_read_as_memelite_writes_it(tmp_path):
    path = tmp_path / "motifs.meme"
    memelite.write_meme(str(path), {"one two": word_matrix("GAT"), "b": word_matrix("CCNA", 0.05)})
    found = read_motifs(path, 0.5)
    assert [motif.name for motif in found] == ["one two", "b"]
    assert DNA.decode(found[1].consensus) == "CCNA"
    np.testing.assert_allclose(found[0].probabilities, word_matrix("GAT"))
    memelite.write_meme(str(path), {})
    assert read_motifs(path, 0.5) == []


BLOCK = "MOTIF {}\nletter-probability matrix: alength= 4 w= 2\n{}\n{}\n"
GOOD = "0.25 0.25 0.25 0.25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some text", "no line 'MEME version'"),
        (BLOCK.format("a", GOOD, "0.5 0.5 0.5 0.5"), "row 2 of motif 'a' sums to 2"),
        (BLOCK.format("a", GOOD, "-0.5 0.5 0.5 0.5"), "motif 'a' holds what is no probability"),
        (BLOCK.format("a", GOOD, "nan 0.5 0.5 0.5"), "motif 'a' holds what is no probability"),
        (BLOCK.format("a", GOOD, "x y z w"), "cannot be read as MEME format"),
        (BLOCK.format("a", GOOD, GOOD) * 2, "motif 'a' is there twice"),
        ("MOTIF a\nletter-probability matrix: alength= 4 w= 9\n" + GOOD, "has no whole matrix"),
        ("MOTIF a\nletter-probability matrix:\n" + GOOD, "cannot be read as MEME format"),
    ],
)
def test_files_that_hold_no_motifs_are_named(tmp_path, text, message):
    path = tmp_path / "bad.meme"
    path.write_text(text if text == "some text" else "MEME version 4\n\n" + text)
    with pytest.raises(InputError, match=message) as error:
        read_motifs(path, 0.5)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_motifs(tmp_path / "none.meme", 0.5)


def test_jaspar_files_and_names(tmp_path):
    path = tmp_path / "motifs.jaspar"
    rows = "A [ 8 0 ]\nC [ 0 1 ]\nG [ 0 1 ]\nT [ 0 0 ]\n"
    path.write_text(f">MA1.1 One\n{rows}>MA2.1 two\n{rows}>MA3.1 ONE\n{rows}")
    motifs = read_motifs(path, 0.5)
    assert [motif.name for motif in motifs] == ["MA1.1 One", "MA2.1 two", "MA3.1 ONE"]
    np.testing.assert_allclose(motifs[0].probabilities, [[1, 0], [0, 0.5], [0, 0.5], [0, 0]])
    chosen = choose_motifs(motifs, ["Two", "one", "MA1.1"], path)
    assert [motif.name for motif in chosen] == ["MA2.1 two", "MA1.1 One", "MA3.1 ONE"]
    assert choose_motifs(motifs, [], path) == motifs
    with pytest.raises(InputError, match="no motif 'MA9.1'"):
        choose_motifs(motifs, ["MA9.1"], path)
    path.write_text(f">MA1.1 One\n{rows.replace('8', '0')}")
    with pytest.raises(InputError, match="motif 'MA1.1' has an empty column"):
        read_motifs(path, 0.5)
