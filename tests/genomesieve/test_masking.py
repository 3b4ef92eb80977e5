import numpy as np
import pytest

from genomesieve.errors import InputError
from genomesieve.masking import SEEN, SINGLE, SPAN, draw_mask, hide
from genomesieve.pretraining_settings import MaskSettings


@pytest.mark.parametrize("span_share", [0.0, 0.4, 1.0])
def test_as_many_bases_are_hidden_as_asked_for_at_the_edges_too(span_share):
    settings = MaskSettings(0.2, span_share, 6)
    generator = np.random.default_rng(0)
    masks = np.stack([draw_mask(generator, 50, settings) for _ in range(8000)])
    # 8,000 draws a place: three standard deviations are 0.013; neighbours in spans are alike.
    assert np.abs((masks != SEEN).mean(0) - 0.2).max() < 0.02
    assert (masks == SPAN).mean() == pytest.approx(0.2 * span_share, abs=0.003)
    assert (masks == SINGLE).any() == (span_share < 1)


def test_spans_have_their_length():
    mask = draw_mask(np.random.default_rng(1), 100_000, MaskSettings(0.01, 1.0, 9))
    edges = np.flatnonzero(np.diff(np.r_[0, mask == SPAN, 0]))
    lengths = edges[1::2] - edges[::2]
    assert np.median(lengths) == 9 and lengths[1:-1].min() == 9


def test_hidden_bases_are_unknown_and_others_stay():
    codes = np.arange(8, dtype=np.uint8)[None] % 4
    mask = np.array([[SEEN, SINGLE, SPAN, SEEN]], dtype=np.uint8)
    assert hide(codes, mask, 2, 4).tolist() == [[0, 1, 2, 4, 4, 1, 2, 3]]
    assert codes.max() == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share": 0}, "training.mask.share is 0.0; expected above 0"),
        ({"span_share": 2}, "training.mask.span_share is 2.0"),
        ({"span": 0}, "training.mask.span is 0"),
        ({"spam": 1}, "did you mean 'span'"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        MaskSettings.from_mapping(given)
