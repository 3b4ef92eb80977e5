import pytest

from genomesieve.contig_names import read_aliases, require_shared_names
from genomesieve.errors import InputError


def read(tmp_path, text):
    path = tmp_path / "alias.tsv"
    path.write_text(text)
    return read_aliases(path, ["chr1", "chr2"])


def test_aliases_are_read(tmp_path):
    assert read(tmp_path, "1\tchr1\nNC_1.1\tchr1\n\n2\tchr2\n2\tchr2\n") == {
        "1": "chr1",
        "NC_1.1": "chr1",
        "2": "chr2",
    }
    assert read_aliases(None, ["chr1"]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\tchr1\tx\n", "line 1: 3 columns"),
        ("1\tchr1\n2\tchr3\n", "line 2: 'chr3' is no contig of the FASTA"),
        ("1\tchr1\n1\tchr2\n", "line 2: '1' stands for 'chr1' and for 'chr2'"),
    ],
)
def test_bad_table_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_names_of_both_sides_are_told(tmp_path):
    require_shared_names(["chr1", "chrUn"], ["chr1", "chr2"], tmp_path)
    with pytest.raises(InputError, match=r"x\.gtf names contigs 1, 2; the FASTA has chr1, chr2:"):
        require_shared_names(["1", "2", "1"], ["chr1", "chr2"], "x.gtf")
