import pandas as pd
import pytest

from genomesieve.augmentation import add_reverse_complements


@pytest.fixture
def windows():
    rows = [(0, "train", "+", False, [1.0, 2.0]), (10, "valid", "+", False, [3.0, 4.0])]
    return pd.DataFrame(rows, columns=["start", "part", "strand", "augmented", "inclusion"])


def test_twin_follows_its_window_and_keeps_plus_strand_order(windows):
    both = add_reverse_complements(windows, True, "equivariant")
    assert both["strand"].tolist() == ["+", "-", "+", "-"]
    assert both["start"].tolist() == [0, 0, 10, 10]
    assert both["inclusion"].tolist() == [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]
    assert list(both.columns) == list(windows.columns)
    assert windows["strand"].tolist() == ["+", "+"]


@pytest.mark.parametrize("mode", ["average", "equivariant"])
def test_unstranded_models_that_see_both_strands_get_no_twins(windows, mode):
    pd.testing.assert_frame_equal(add_reverse_complements(windows, False, mode), windows)


def test_wrong_use_is_refused(windows):
    with pytest.raises(ValueError, match="reverse_complement 'flip'"):
        add_reverse_complements(windows, True, "flip")
    both = add_reverse_complements(windows, True, "augment")
    with pytest.raises(ValueError, match="already hold minus-strand rows"):
        add_reverse_complements(both, True, "augment")
