import numpy as np
import pytest

from genomesieve.mixing import mixed_rows


@pytest.mark.parametrize(("size", "sizes"), [(16, [100, 7, 33]), (2, [5, 5, 5]), (9, [40, 40, 3])])
def test_laboratories_are_mixed_evenly(size, sizes):
    edges = np.cumsum([0, *sizes])
    groups = [np.arange(a, b) for a, b in zip(edges, edges[1:])]
    taken = np.zeros(edges[-1], dtype=int)
    for step in range(60):
        rows = mixed_rows(groups, 3, step, size)
        assert len(rows) == size and np.array_equal(rows, np.sort(rows))
        counts = [np.isin(rows, group).sum() for group in groups]
        assert max(counts) - min(counts) <= 1
        np.add.at(taken, rows, 1)
    shares = [taken[group].sum() for group in groups]
    # They take turns with what is left over, so that all give equally many in the long run.
    assert max(shares) - min(shares) <= 1
    for group in groups:
        assert taken[group].max() - taken[group].min() <= 1


def test_a_step_depends_on_seed_and_number_alone():
    groups = [np.arange(0, 30), np.arange(30, 50)]
    forwards = [mixed_rows(groups, 0, step, 7) for step in range(20)]
    backwards = [mixed_rows(groups, 0, step, 7) for step in reversed(range(20))][::-1]
    assert all(np.array_equal(*pair) for pair in zip(forwards, backwards))
    assert not np.array_equal(forwards[3], mixed_rows(groups, 1, 3, 7))
    assert not np.array_equal(forwards[3], forwards[4])
