"""Motif files that are none."""

import gzip

import pytest

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.motifs import read_jaspar

ROWS = ["A [ 1 2 ]", "C [ 1 2 ]", "G [ 1 2 ]", "T [ 1 2 ]"]
WHOLE = "\n".join([">M1 one", *ROWS, ""])


def read(tmp_path, content, name="motifs.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_jaspar(path, DNA)


@pytest.mark.parametrize("name", ["m.txt", "m.gz"])
def test_compression_is_told_by_the_content(tmp_path, name):
    assert [motif.name for motif in read(tmp_path, gzip.compress(WHOLE.encode()), name)] == ["one"]
    assert len(read(tmp_path, WHOLE * 2, name)) == 2


@pytest.mark.parametrize(
    "text", ["1e", "-1 2", "1 -", "1e999 1", "1..2 1", "e 1", ".", "+", "1e13 1"], ids=ascii
)
def test_counts_that_are_no_counts_are_refused(tmp_path, text):
    with pytest.raises(InputError, match="line 3: .*expected counts from 0"):
        read(tmp_path, WHOLE.replace("C [ 1 2 ]", f"C [ {text} ]"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, "A [ 1 2 ]"], "line 6: a second row of A"),
        ([ROWS[0], *ROWS], "line 3: a second row of A"),
        (ROWS[:3], "ends after 3 rows"),
        ([*ROWS[:2], ">M2 two", *ROWS], "line 4: the motif before ends after 2 rows"),
        ([*ROWS, ">M2 two"], "ends after 0 rows"),
    ],
)
def test_motifs_of_more_or_fewer_rows_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "\n".join([">M1 one", *rows]))


@pytest.mark.parametrize(
    "content",
    [b"\xb5", b"\x1f\x8b", gzip.compress(WHOLE.encode())[:-9], b"\x1f\x8b" + b"x" * 40],
    # A compressed file holds the time, and tests must have one name in every process.
    ids=["no text", "start of gzip", "end missing", "no gzip"],
)
def test_damaged_motif_files_are_refused(tmp_path, content):
    with pytest.raises(InputError):
        read(tmp_path, content)
