import gzip

import pysam
import pytest

from genomesieve.compression import read_blocks, read_lines
from genomesieve.errors import InputError

DATA = b"".join(b"line %d\n" % number for number in range(60_000))


@pytest.fixture
def bgzipped(tmp_path):
    path = tmp_path / "x.gz"
    with pysam.BGZFile(str(path), "w") as handle:
        handle.write(DATA)
    return path


def test_plain_gzip_and_bgzip_are_told_apart_by_content(tmp_path, bgzipped):
    (tmp_path / "plain.gz").write_bytes(DATA)
    (tmp_path / "gzip.txt").write_bytes(gzip.compress(DATA))
    for path in (tmp_path / "plain.gz", tmp_path / "gzip.txt", bgzipped):
        assert b"".join(read_blocks(path, "file", 1000)) == DATA


def test_lines_are_numbered_and_lose_their_ends(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"a\r\n\nb\tc")
    assert list(read_lines(path, "file")) == [(1, "a"), (2, ""), (3, "b\tc")]


def test_bgzip_cut_between_two_blocks_is_truncated(bgzipped):
    """A gzip reader takes such a file for whole."""
    whole = bgzipped.read_bytes()
    bgzipped.write_bytes(whole[:-28])
    assert gzip.decompress(whole[:-28]) == DATA
    with pytest.raises(InputError, match="track .*x.gz is truncated"):
        list(read_lines(bgzipped, "track"))


def test_damage_is_named(tmp_path):
    path = tmp_path / "x.gz"
    whole = bytearray(gzip.compress(DATA))
    path.write_bytes(whole[:-9])
    with pytest.raises(InputError, match="truncated: the gzip data end early"):
        list(read_blocks(path, "file", 1 << 16))
    whole[-6] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(InputError, match="damaged"):
        list(read_blocks(path, "file", 1 << 16))
