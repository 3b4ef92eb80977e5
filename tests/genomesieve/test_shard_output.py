from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genomesieve import reduction, shard_output
from genomesieve.label_counts import sparse_block_histogram, total_histogram
from genomesieve.layout import make_layout
from genomesieve.scan_files import read_histograms
from genomesieve.scores import list_candidates

FLOORS = np.array([60_000, 50_000], dtype=np.uint16)


@pytest.fixture
def scored():
    contigs = pd.DataFrame({"contig": ["a"], "length": [5000], "offset": [0]})
    split = pd.DataFrame({"contig": ["a"], "start": [0], "end": [5000], "part": ["screen"]})
    layout = make_layout(split, contigs, ("screen",), 1, 3, "toy")
    scores = np.random.default_rng(0).integers(0, 1 << 16, (2, 2, 5000)).astype(np.uint16)
    return layout, scores


@pytest.mark.parametrize("at_once", [1, 64, 700, 1 << 20])
@pytest.mark.parametrize("rows", [1, 3])
def test_pieces_add_up_to_the_whole(scored, tmp_path, monkeypatch, at_once, rows):
    layout, scores = scored
    if at_once == 1:
        layout, scores = layout, scores[..., :200]
    monkeypatch.setattr(reduction, "WINDOW_BINS", at_once)
    monkeypatch.setattr(shard_output, "_MOST_BLOCK_ROWS", rows * 1000)
    end = scores.shape[2]
    pieces = [(at, scores[..., at : at + 333]) for at in range(0, end, 333)]
    shard_output.write_shard(tmp_path, pieces, FLOORS, layout, (0, end), (2, 2), True)
    found = read_histograms(tmp_path / "histograms.npz")
    assert np.array_equal(found.total, total_histogram(scores))
    keys = ["block", "strand", "class_index", "code"]
    cut = reduction._cut(layout, 0, end)
    expected = sparse_block_histogram(scores, cut, FLOORS).sort_values(keys, ignore_index=True)
    blocks = found.blocks.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(blocks, expected)
    order = ["strand_index", "class_index", "bin"]
    candidates = pd.read_parquet(tmp_path / "candidates.parquet").sort_values(order)
    expected = list_candidates(scores, FLOORS, 0).sort_values(order)
    pd.testing.assert_frame_equal(
        candidates.reset_index(drop=True), expected.reset_index(drop=True)
    )
    assert np.array_equal(np.load(tmp_path / "scores.npy"), scores)


def test_failed_scan_leaves_nothing(scored, tmp_path):
    layout, scores = scored

    def breaks():
        yield 0, scores[..., :100]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        shard_output.write_shard(tmp_path, breaks(), FLOORS, layout, (0, 5000), (2, 2), True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cuts", [[0, 5000], [0, 1, 2500, 5000], [0, 999, 1400, 1401, 5000]])
def test_parts_join_to_the_bytes_of_the_whole(scored, tmp_path, monkeypatch, cuts):
    layout, scores = scored
    monkeypatch.setattr(reduction, "WINDOW_BINS", 700)
    write = shard_output.write_shard
    write(tmp_path / "whole", [(0, scores)], FLOORS, layout, (0, 5000), (2, 2), True)
    bins = list(zip(cuts, cuts[1:]))
    folders = [tmp_path / str(number) for number in range(len(bins))]
    for folder, (first, end) in zip(folders, bins):
        pieces = [(at, scores[..., at : min(at + 90, end)]) for at in range(first, end, 90)]
        write(folder, pieces, FLOORS, layout, (first, end), (2, 2), True)
    shard_output.join_parts(tmp_path / "joined", folders, FLOORS, bins, (2, 2), True)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "joined" / path.name).read_bytes(), path.name
    assert len(list((tmp_path / "joined").iterdir())) == 3


@pytest.mark.parametrize("floors", [(0, 65_535), (64, 40_001), (33_000, 63)])
def test_counts_of_a_block_become_those_of_its_scores(scored, floors):
    layout, scores = scored
    floors = np.array(floors, dtype=np.uint16)
    one = replace(layout, blocks=layout.blocks.iloc[:1].assign(end_bin=scores.shape[2]))
    expected = sparse_block_histogram(scores, one, floors)
    found = reduction.sparse_counts(total_histogram(scores), 0, floors)
    pd.testing.assert_frame_equal(found, expected)
    nothing = reduction.sparse_counts(np.zeros((2, 2, 1 << 16), dtype=np.int64), 0, floors)
    assert len(nothing) == 0 and (nothing.dtypes == expected.dtypes).all()
