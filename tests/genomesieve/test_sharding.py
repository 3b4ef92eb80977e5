import pytest

from genomesieve.sharding import MOST_SHARDS, default_shards


@pytest.mark.parametrize(
    ("lengths", "shards"),
    [([5000], 1), ([200_000_000], 1), ([200_000_000, 1], 2), ([3_100_000_000], 16)],
)
def test_the_index_of_a_genome_says_how_large_it_is(tmp_path, lengths, shards):
    fasta = tmp_path / "genome.fa.gz"
    fasta.write_bytes(b"x")
    rows = (f"c{row}\t{length}\t0\t60\t61\n" for row, length in enumerate(lengths))
    (tmp_path / "genome.fa.gz.fai").write_text("".join(rows))
    assert default_shards(str(fasta)) == shards


def test_without_an_index_the_size_of_the_file_does(tmp_path):
    for name, shards in (("plain.fa", 2), ("packed.fa.gz", 7)):
        with (tmp_path / name).open("wb") as handle:
            handle.truncate(320_000_000)
        assert default_shards(str(tmp_path / name)) == shards
    (tmp_path / "plain.fa.fai").write_text("not an index\n")
    assert default_shards(str(tmp_path / "plain.fa")) == 2


def test_files_that_come_later_do_not_change_the_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "resources" / "genome.fa"
    assert default_shards("resources/genome.fa") == default_shards("missing.fa") == 1
    path.parent.mkdir()
    with path.open("wb") as handle:
        handle.truncate(900_000_000)
    assert default_shards("resources/genome.fa") == 1


@pytest.mark.parametrize(
    ("index", "shards"),
    [
        (b"c\t" + b"9" * 40, MOST_SHARDS),
        (b"c\t-900000000000\n", 1),
        (b"\xff\t1\n", 1),
        (b"x" * 200_000, 1),
    ],
)
def test_a_damaged_index_plans_no_endless_scan(tmp_path, index, shards):
    (tmp_path / "g.fa").write_bytes(b"x")
    (tmp_path / "g.fa.fai").write_bytes(index)
    assert default_shards(str(tmp_path / "g.fa")) == shards


def test_a_name_that_no_file_can_have_is_one_shard():
    assert default_shards("x" * 5000) == 1
