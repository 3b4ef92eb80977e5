import re

import numpy as np
import pytest

from genomesieve.errors import InputError
from genomesieve.fasta import RunFinder, encode_fasta


def encode(path, block_bytes):
    """Encode a file; return codes, softmask rows and totals."""
    codes, masked = [], []
    totals = encode_fasta(
        path,
        codes.append,
        lambda *runs: masked.extend(zip(*(list(column) for column in runs))),
        block_bytes=block_bytes,
    )
    return np.frombuffer(b"".join(codes), np.uint8), masked, totals


def random_text(generator, newline):
    """Write contigs with random line widths, empty lines and long descriptions."""
    sequences, lines = {}, []
    for number in range(int(generator.integers(1, 12))):
        pieces = generator.choice(["ACGT", "acgt", "NN", "nRyk", "gATTA"], generator.integers(1, 9))
        sequences[f"c{number}"] = text = "".join(pieces)
        lines.append(f">c{number}" + " >x" * int(generator.integers(0, 4)))
        while text:
            width = int(generator.integers(1, 9))
            lines.append(text[:width])
            text = text[width:]
            if generator.random() < 0.1:
                lines.append("")
    return sequences, newline.join(lines) + (newline if generator.random() < 0.5 else "")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("block_bytes", [1, 2, 7, 64, 1 << 20])
def test_blocks_do_not_matter(tmp_path, seed, block_bytes):
    generator = np.random.default_rng(seed)
    sequences, text = random_text(generator, "\r\n" if seed % 2 else "\n")
    path = tmp_path / "g.fa"
    path.write_bytes(text.encode())
    codes, masked, totals = encode(path, block_bytes)
    joined = "".join(sequences.values())
    assert codes.tolist() == [("ACGT" + base.upper()).index(base.upper()) for base in joined]
    expected = [
        (name, match.start(), match.end())
        for name, sequence in sequences.items()
        for match in re.finditer("[a-z]+", sequence)
    ]
    assert masked == expected
    table = totals.contig_table().set_index("contig")
    assert list(table.index) == list(sequences)
    for name, sequence in sequences.items():
        gaps = re.findall("[^ACGTacgt]+", sequence)
        assert table.loc[name, "length"] == len(sequence)
        assert table.loc[name, "gaps"] == len(gaps)
        assert table.loc[name, "unknown_bases"] == sum(map(len, gaps))
    upper = joined.upper()
    assert totals.ambiguous_letters() == {x: upper.count(x) for x in "KNRY" if x in upper}
    assert totals.soft_masked_bases == sum(base.islower() for base in joined)


def test_masked_ends_of_neighbouring_contigs_are_two_runs(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">a\nACnn\n>b\nnnGT\n")
    for block_bytes in range(1, 20):
        _, masked, totals = encode(path, block_bytes)
        assert masked == [("a", 2, 4), ("b", 0, 2)]
        assert list(totals.gaps) == [1, 1]


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
def test_illegal_character_is_placed(tmp_path, block_bytes):
    path = tmp_path / "g.fa"
    path.write_text(">a\nACGT\n\n>b\nACGT\nAC-T\n")
    with pytest.raises(InputError, match=r"g\.fa, line 6, contig b: found '-'; expected"):
        encode(path, block_bytes)


@pytest.mark.parametrize("text", [">\nACGT\n", "> a\nACGT\n"])
def test_header_without_a_name_is_refused(tmp_path, text):
    path = tmp_path / "g.fa"
    path.write_text(text)
    with pytest.raises(InputError, match="line 1: found a header without a name"):
        encode(path, 64)


def test_endless_header_is_refused(tmp_path):
    path = tmp_path / "g.fa"
    path.write_bytes(b">" + b"x" * (2 << 20))
    with pytest.raises(InputError, match="line 1: found a header of more than"):
        encode(path, 1 << 16)


def test_runs_of_a_mask_in_pieces():
    mask = np.random.default_rng(0).random(500) < 0.7
    finder, found = RunFinder(), []
    for start in range(0, 500, 37):
        found += list(zip(*finder.feed(mask[start : start + 37], np.array([], int), start)))
    found += list(zip(*finder.finish(500)))
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0))
    assert found == list(zip(edges[::2], edges[1::2]))
