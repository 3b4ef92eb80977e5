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
