"""Changes of a sequence, compared with editing its letters."""

import numpy as np
import pandas as pd
import pytest

from genomesieve.alphabet import DNA
from genomesieve.genome import EncodedGenome
from genomesieve.variant_windows import Change, fetch_changed, plan_comparison, reduce_alleles

TEXT = "".join(np.random.default_rng(0).choice(list("ACGT"), 60))


@pytest.mark.parametrize(
    ("before", "after", "start", "end", "bases"),
    [
        ("A", "C", 10, 11, "C"),
        ("AC", "AG", 11, 12, "G"),
        ("CA", "GA", 10, 11, "G"),
        ("A", "ATT", 11, 11, "TT"),
        ("ATT", "A", 11, 13, ""),
        # Bases that could be taken off either end are taken off the last: the change lies left.
        ("A", "AAA", 10, 10, "AA"),
        ("CAA", "CA", 11, 12, ""),
        ("ACG", "T", 10, 13, "T"),
        ("GACGT", "GTT", 11, 14, "T"),
    ],
)
def test_shared_ends_are_taken_off(before, after, start, end, bases):
    change = reduce_alleles(10, DNA.encode(before), DNA.encode(after))
    assert (change.start, change.end, DNA.decode(change.bases)) == (start, end, bases)
    assert change.shift == len(after) - len(before)


def test_changed_sequence_is_the_edited_text():
    other = "".join(np.random.default_rng(1).choice(list("ACGT"), 13))
    codes = DNA.encode(other + TEXT + other)
    contigs = pd.DataFrame({"contig": ["x"], "length": [len(TEXT)], "offset": [len(other)]})
    genome = EncodedGenome("toy", codes, contigs)
    generator = np.random.default_rng(2)
    for _ in range(2000):
        start = int(generator.integers(0, len(TEXT) + 1))
        end = int(generator.integers(start, len(TEXT) + 1))
        bases = "".join(generator.choice(list("ACGT"), int(generator.integers(0, 9))))
        change = Change(start, end, DNA.encode(bases))
        low, high = np.sort(generator.integers(-20, len(TEXT) + 30, 2)).tolist()
        edited = "N" * 20 + TEXT[:start] + bases + TEXT[end:] + "N" * 120
        found = fetch_changed(genome, (len(other), len(TEXT)), change, low, high)
        assert DNA.decode(found) == edited[low + 20 : high + 20]


@pytest.mark.parametrize("resolution", [1, 4, 50])
@pytest.mark.parametrize("stride", [1, 3])
def test_windows_hold_all_that_is_compared(resolution, stride):
    stride, step, size = stride * resolution, 6 * resolution, 1003
    generator = np.random.default_rng(3)
    for _ in range(500):
        start = int(generator.integers(0, size))
        end = min(size, start + int(generator.integers(0, 70)))
        change = Change(start, end, np.zeros(int(generator.integers(0, 90)), dtype=np.uint8))
        if not len(change.bases) and start == end:
            continue
        one = plan_comparison(change, 0, size, 20, resolution, stride, step)
        first, last = one.start // resolution, (one.start + one.length) // resolution
        assert one.start % stride == 0 and one.length % step == 0
        assert first <= one.bins.start and one.bins.stop <= last
        assert one.group.start + one.whole <= last
        if change.shift:
            covered = len(one.group) * resolution + change.shift
            assert resolution <= covered and one.whole == covered // resolution
            assert one.group.start * resolution <= max(0, start - 1)
            assert end <= one.group.stop * resolution
        elif one.bins:
            near = range(max(0, start - 20), min(size, end + 20))
            whole = {at // resolution for at in near if at // resolution < size // resolution}
            assert set(one.bins) == whole
