import numpy as np
import pytest

from genomesieve.scores import UNSCORED, coarsen_codes, count_codes, decode_scores, encode_scores


def test_codes_sort_as_scores_and_come_back():
    scores = np.random.default_rng(0).normal(0, 20, 100_000).astype(np.float32)
    codes = encode_scores(scores)
    rounded = scores.astype(np.float16).astype(np.float32)
    assert np.array_equal(decode_scores(codes), rounded)
    order = np.argsort(scores)
    assert (np.diff(codes[order].astype(int)) >= 0).all()
    assert (codes != UNSCORED).all()


def test_edges():
    codes = encode_scores(np.array([-np.inf, -0.0, 0.0, np.inf, 1e9]))
    assert codes[1] == codes[2] and codes[3] == codes[4]
    assert np.isfinite(decode_scores(codes)).all()
    assert np.isnan(decode_scores(np.array([UNSCORED]))).all()
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        encode_scores(np.array([1.0, np.nan]))


def test_counts_and_coarse_codes():
    codes = np.array([5, 70, 70, 60_000], dtype=np.uint16)
    assert count_codes(codes)[70] == 2 and count_codes(codes).sum() == 4
    assert coarsen_codes(codes, 60_000).tolist() == [0, 64, 64, 60_000]


def test_more_codes_than_are_counted_at_once(tmp_path):
    codes = np.random.default_rng(0).integers(0, 1 << 16, (3, 200_003)).astype(np.uint16)
    np.save(tmp_path / "codes.npy", codes)
    expected = np.bincount(codes.ravel(), minlength=1 << 16)
    assert np.array_equal(count_codes(codes), expected)
    assert np.array_equal(count_codes(np.load(tmp_path / "codes.npy", mmap_mode="r")), expected)
    assert np.array_equal(
        count_codes(codes[:, ::2]), np.bincount(codes[:, ::2].ravel(), None, 65536)
    )
