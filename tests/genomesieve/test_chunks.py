import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.chunks import fill_row, kept_bins, list_chunks, shard_of_rows
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.layout import make_layout


def contig_table(lengths):
    lengths = np.asarray(lengths, dtype=np.int64)
    names = [f"c{number}" for number in range(len(lengths))]
    offsets = np.cumsum(lengths) - lengths
    return pd.DataFrame({"contig": names, "length": lengths, "offset": offsets})


def whole(contigs, resolution=1, context=0):
    split = contigs[["contig"]].assign(start=0, end=contigs["length"], part="screen")
    return make_layout(split, contigs, ("screen",), resolution, context, "toy")


def rows_of(codes, contigs, layout, chunks, context, resolution):
    """Read every kept bin back with its context, row by row."""
    genome = EncodedGenome("toy", codes, contigs)
    size = chunks.length + 2 * context
    for row in range(len(chunks)):
        filled = np.full(size, DNA.unknown, dtype=np.uint8)
        fill_row(filled, genome, chunks, row, context)
        first = int(chunks.first_bin[chunks.first_piece[row]])
        for number, at in enumerate(kept_bins(chunks, row, resolution)):
            start = at * resolution
            yield first + number, filled[start : start + resolution + 2 * context]


@pytest.mark.parametrize(
    ("resolution", "context", "chunk", "stride"),
    [(1, 7, 60, 1), (4, 7, 60, 4), (5, 0, 25, 5), (4, 7, 120, 12), (4, 30, 20, 20)],
)
def test_every_bin_sees_its_own_contig_and_nothing_else(resolution, context, chunk, stride):
    generator = np.random.default_rng(3)
    contigs = contig_table(generator.integers(1, 90, 60))
    codes = generator.integers(0, 4, contigs["length"].sum(), dtype=np.uint8)
    layout = whole(contigs, resolution, context)
    chunks = list_chunks(layout, contigs, chunk, context, stride)
    assert (chunks.place % stride == 0).all() and (chunks.start % stride == 0).all()
    genome = EncodedGenome("toy", codes, contigs)
    seen = []
    for number, found in rows_of(codes, contigs, layout, chunks, context, resolution):
        contig, start = layout.positions_of(np.array([number]))
        expected = genome.fetch(
            contigs["contig"][contig[0]], start[0] - context, start[0] + resolution + context
        )
        assert np.array_equal(found, expected), number
        seen.append(number)
    assert seen == list(range(layout.bins))


def test_no_window_reaches_into_a_neighbour():
    """A window that mixes over length sees its whole flanks, not just those of a bin."""
    contigs = contig_table(np.random.default_rng(4).integers(1, 40, 50))
    codes = np.random.default_rng(5).integers(0, 4, contigs["length"].sum(), dtype=np.uint8)
    stride, context = 12, 7
    chunks = list_chunks(whole(contigs, 4, context), contigs, 120, context, stride)
    genome = EncodedGenome("toy", codes, contigs)
    assert np.diff(chunks.first_piece).max() > 2
    for row in range(len(chunks)):
        filled = np.full(120 + 2 * context, DNA.unknown, dtype=np.uint8)
        fill_row(filled, genome, chunks, row, context)
        for piece in range(chunks.first_piece[row], chunks.first_piece[row + 1]):
            name = contigs["contig"][chunks.contig[piece]]
            start, end = chunks.start[piece], chunks.keep_end[piece]
            end = start - (start - end) // stride * stride
            place = slice(chunks.place[piece], chunks.place[piece] + end - start + 2 * context)
            expected = genome.fetch(name, start - context, end + context)
            assert np.array_equal(filled[place], expected)


def test_short_contigs_share_rows_and_long_ones_do_not():
    contigs = contig_table([500] * 200_000 + [30_000, 45_000])
    layout = whole(contigs, 50, 100)
    chunks = list_chunks(layout, contigs, 40_000, 100, 50)
    # A contig takes 600 bp with what keeps it from the next: 66 fill a row of 40,000 + 100 bp.
    pieces = np.diff(chunks.first_piece)
    assert (pieces[:3030] == 66).all() and pieces[3030] == 20
    assert pieces[3031:].tolist() == [1, 1, 1]
    used = (chunks.place + np.minimum(chunks.keep_end - chunks.start, 40_000)).max()
    assert used <= 40_000


def test_rows_follow_from_the_layout_and_not_from_the_shard():
    contigs = contig_table([500] * 1000)
    chunks = list_chunks(whole(contigs), contigs, 4000, 50, 1)
    for shards in (1, 3, 7, 200):
        rows = [
            row for shard in range(shards) for row in shard_of_rows(len(chunks), shard + 1, shards)
        ]
        assert rows == list(range(len(chunks)))
    with pytest.raises(InputError, match="shard 0 of 2"):
        shard_of_rows(10, 0, 2)


def test_positions_beyond_32_bits():
    # 20 Gb in contigs of 5 Gb: longer than 2**32 and far longer than 2**29.
    contigs = contig_table([5_000_000_000] * 4)
    layout = whole(contigs)
    assert layout.bins == 20_000_000_000
    chunks = list_chunks(layout, contigs, 1_000_000, 100, 1)
    assert len(chunks) == 20_000
    assert int(chunks.start[4999]) == 4_999_000_000 and int(chunks.contig[4999]) == 0
    assert int(chunks.first_bin[-1]) == 19_999_000_000
    contig, start = layout.positions_of(np.array([19_999_999_999]))
    assert (int(contig[0]), int(start[0])) == (3, 4_999_999_999)


def test_bases_beyond_32_bits_are_read_from_a_sparse_file(tmp_path):
    path = tmp_path / "codes.npy"
    size = 2**32 + 5000
    codes = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(size,))
    codes[-300:] = np.arange(300) % 4
    codes.flush()
    assert path.stat().st_blocks * 512 < 10_000_000
    contigs = contig_table([size - 1000, 1000])
    genome = EncodedGenome("big", np.load(path, mmap_mode="r"), contigs)
    split = pd.DataFrame({"contig": ["c1"], "start": [0], "end": [1000], "part": ["screen"]})
    layout = make_layout(split, contigs, ("screen",), 1, 10, "big")
    chunks = list_chunks(layout, contigs, 4000, 10, 1)
    row = np.full(4020, DNA.unknown, dtype=np.uint8)
    fill_row(row, genome, chunks, 0, 10)
    assert np.array_equal(row[710:1010], np.arange(300) % 4)
    assert (row[1010:] == DNA.unknown).all() and (row[:10] == DNA.unknown).all()
