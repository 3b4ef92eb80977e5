import pytest

from genomesieve.errors import InputError
from genomesieve.peaks import anchor_positions, read_intervals

LENGTHS = {"tracks_1": 1000}


def read(tmp_path, text, narrow_peak=False):
    path = tmp_path / "x.bed"
    path.write_text(text)
    return read_intervals(path, LENGTHS, {"other": "tracks_1"}, narrow_peak)


def test_headers_are_skipped_but_not_contigs_that_look_like_them(tmp_path):
    text = "track name=x\nbrowser position a\n# comment\n\ntracks_1\t5\t9\nother\t6\t9\r\n"
    table = read(tmp_path, text)
    assert table["start"].tolist() == [5, 6]
    assert table["line"].tolist() == [5, 6]
    assert set(table["contig"]) == {"tracks_1"}


def test_unreadable_strand_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.bed line 1: strand '1' in column 6"):
        read(tmp_path, "tracks_1\t5\t9\tn\t0\t1\n")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("n\t0\t.\t1\t1\t1", "9 columns; expected the 10 of narrowPeak"),
        ("n\t0\t.\t1\t1\t1\t4", "summit '4'"),
        ("n\t0\t.\t1\t1\t1\t-2", "summit '-2'"),
        ("n\t0\t.\t1\t1\t1\tx", "summit 'x'"),
    ],
)
def test_bad_narrow_peak_is_named(tmp_path, cells, message):
    with pytest.raises(InputError, match=f"line 1: {message}"):
        read(tmp_path, f"tracks_1\t5\t9\t{cells}\n", narrow_peak=True)


def test_anchors(tmp_path):
    rows = "".join(
        f"tracks_1\t10\t14\tn\t0\t{s}\t1\t1\t1\t{at}\n" for s, at in (("-", 3), ("+", -1))
    )
    peaks = read(tmp_path, rows, narrow_peak=True)
    assert anchor_positions(peaks, "", True).tolist() == [13, 11]
    assert anchor_positions(peaks, "middle", True).tolist() == [11, 11]
    assert anchor_positions(peaks, "start", True).tolist() == [13, 10]
    assert anchor_positions(peaks, "end", True).tolist() == [10, 13]
    with pytest.raises(InputError, match="needs narrowPeak"):
        anchor_positions(peaks, "summit", False)
    with pytest.raises(InputError, match="'centre' is unknown"):
        anchor_positions(peaks, "centre", False)


NO_NUMBERS = ["1_0", " 5", "+5", "\uff11\uff12", "\u00b2", "1e2", "9" * 19, "9" * 5000, "", "-"]


@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: ascii(text)[:12])
@pytest.mark.parametrize("column", [1, 2, 9])
def test_numbers_that_other_tools_read_otherwise_are_refused(tmp_path, text, column):
    cells = ["tracks_1", "3", "90", "n", "0", ".", "1", "1", "1", "4"]
    cells[column] = text
    with pytest.raises(InputError, match="line 1: (start|summit)"):
        read(tmp_path, "\t".join(cells), narrow_peak=True)
