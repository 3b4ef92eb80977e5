"""Masked windows: what they show, what they ask for, and what they never read."""

import numpy as np
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.masking import SEEN
from genomesieve.pretraining_settings import MaskSettings, resolve_pretraining
from genomesieve.unlabelled import HeldOutWindows, MaskedWindows
from toy_pretraining import stretches_of

MODEL = {"preset": "dilated", "channels": 4, "stem_kernels": [5], "kernel": 3, "dilations": [2]}
ARCHITECTURE = resolve_pretraining(MODEL)
CODES = np.random.default_rng(0).integers(0, 5, 3000, dtype=np.uint8)


def windows(codes=CODES, intervals=((500, 1200), (1500, 2500)), repeats=(), weight=0.2, seed=0):
    stretches = stretches_of(codes, list(intervals), repeats)
    return MaskedWindows(stretches, ARCHITECTURE, 60, MaskSettings(), weight, seed)


def test_a_base_that_is_asked_for_is_never_shown():
    batch = windows().batch(np.arange(200))
    core = batch.x[:, :, ARCHITECTURE.context : -ARCHITECTURE.context]
    asked = batch.weights > 0
    assert asked.float().mean() == pytest.approx(0.15 * 0.8, abs=0.02)
    assert (core.sum(1)[asked] == 0).all()


def test_bases_are_those_of_either_strand():
    """A network that saw all bases would be asked for the very bases that stand there."""
    stretches = stretches_of(CODES, [(0, 3000)])
    source = MaskedWindows(stretches, ARCHITECTURE, 60, MaskSettings(), 1.0, 3)
    batch = source.batch(np.arange(60))
    flank = ARCHITECTURE.context
    text = DNA.decode(CODES)
    both = [text, DNA.decode(DNA.reverse_complement(CODES))]
    strands = set()
    for x, bases, weights in zip(batch.x, batch.bases, batch.weights):
        seen = np.where(x.sum(0) > 0, x.argmax(0), 4).astype(np.uint8)
        asked = np.flatnonzero(weights)
        seen[flank + asked] = bases[asked]
        # Bases that are hidden and unknown anyway stay unknown; beyond the contig's ends too.
        word = DNA.decode(seen).strip("N")
        longest = max(word.split("N"), key=len)
        found = [longest in strand for strand in both]
        assert any(found)
        strands.add(tuple(found))
    assert {(True, False), (False, True)} <= strands


def test_held_out_bases_change_nothing():
    other = CODES.copy()
    for start, end in ((0, 500), (1200, 1500), (2500, 3000)):
        other[start:end] = 4 - other[start:end]
    one, two = (windows(codes).batch(np.arange(300)) for codes in (CODES, other))
    for name in ("x", "bases", "weights"):
        assert torch.equal(getattr(one, name), getattr(two, name))


def test_a_window_follows_from_the_seed_and_its_number():
    whole = windows().batch(np.arange(20))
    part = windows().batch(np.array([13, 4]))
    assert torch.equal(whole.x[[13, 4]], part.x) and torch.equal(whole.bases[[13, 4]], part.bases)
    assert not torch.equal(windows(seed=1).batch(np.arange(20)).x, whole.x)


def test_repeats_count_less():
    batch = windows(repeats=[(0, 3000)], weight=0.25).batch(np.arange(50))
    assert set(batch.weights.unique().tolist()) == {0.0, 0.25}
    some = windows(intervals=[(500, 1200)], repeats=[(700, 800)]).batch(np.arange(4000))
    share = (some.weights == np.float32(0.2)).sum() / (some.weights > 0).sum()
    # Repeats are a seventh of the interval, and bases in its middle are covered more often.
    assert 1 / 7 < float(share) < 0.19


def test_held_out_windows_tile_and_keep_one_mask():
    stretches = stretches_of(CODES, [(500, 1230)], [(600, 700)])
    make = lambda most: HeldOutWindows(stretches, 60, 9, MaskSettings(), [0, 1], most)  # noqa: E731
    every = list(make(10**6).batches(5))
    codes = np.concatenate([batch.bases for batch in every]).ravel()
    np.testing.assert_array_equal(codes, CODES[500 : 500 + 12 * 60])
    again = list(make(10**6).batches(12))[0]
    np.testing.assert_array_equal(again.mask, np.concatenate([batch.mask for batch in every]))
    hidden = again.mask != SEEN
    assert (again.codes[:, 9:-9][hidden] == 4).all() and (again.bases[hidden] < 4).all()
    place = 500 + np.arange(720).reshape(12, 60)
    inside = (place >= 600) & (place < 700)
    np.testing.assert_array_equal(again.repeats[hidden], inside[hidden])
    # Nothing beyond the interval is shown.
    assert (again.codes[0, :9] == 4).all()
    fewer = make(180)
    assert len(fewer) == 3


def test_intervals_without_room_are_an_error():
    with pytest.raises(InputError, match="no interval to train on holds a window of 60 bp"):
        windows(intervals=[(0, 59)])
    with pytest.raises(InputError, match="no held-out interval"):
        HeldOutWindows(stretches_of(CODES, [(0, 59)]), 60, 9, MaskSettings(), [0], 100)
