"""Places of BED files: middle bases, names, strands, and lines that are wrong."""

from __future__ import annotations

import pytest

from genomesieve.errors import InputError
from genomesieve.places import read_places


def write(folder, text):
    path = folder / "places.bed"
    path.write_text(text)
    return path


def test_intervals_stand_for_their_middle_base(tmp_path):
    text = "track name=x\n#note\nchr1\t10\t11\ta\t0\t+\n\nchr#2\t10\t14\tb\t0\t-\r\nc\t0\t3\n"
    found = read_places(write(tmp_path, text), stranded=False)
    assert found.to_dict("list") == {
        "contig": ["chr1", "chr#2", "c"], "start": [10, 11, 1], "end": [11, 12, 2],
        "name": ["a", "b", ""], "strand": [".", ".", "."], "line": [3, 5, 6],
    }  # fmt: skip


def test_strands_are_kept_where_they_are_needed(tmp_path):
    text = "c\t1\t2\tx\t0\t+\nc\t1\t2\tx\t0\t-\n"
    assert read_places(write(tmp_path, text), stranded=True)["strand"].to_list() == ["+", "-"]


def test_no_line_is_an_empty_table(tmp_path):
    assert read_places(write(tmp_path, "#\n"), stranded=True).empty


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c\t5", "line 2: found 'c 5'; expected contig, start and end, with tabs"),
        ("c 5 6", "expected contig, start and end"),
        ("c\tfive\t6", "expected contig, start and end"),
        ("c\t9\t5\tx\t0\t+", "line 2: found 9-5; expected 0 <= start < end"),
        ("c\t-1\t5\tx\t0\t+", "found -1-5"),
        ("c\t5\t6\tx\t0\t.", r"line 2: found strand '\.'; expected \+ or -"),
        ("c\t5\t6\tx", r"found strand '\.'"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        read_places(write(tmp_path, f"c\t1\t2\tx\t0\t+\n{line}\n"), stranded=True)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bytes.bed").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="sites .*bytes.bed cannot be read"):
        read_places(tmp_path / "bytes.bed", stranded=False)
    with pytest.raises(InputError, match="places"):
        read_places(tmp_path / "none.bed", stranded=False, what="places")
