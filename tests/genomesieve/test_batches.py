import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource, one_hot
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome, shared_strandedness

ARCHITECTURE = resolve_architecture(
    {"preset": "motif_cnn", "resolution": 5, "stem_kernels": [3], "channels": 2, "hidden": 2}
)
SITES = pd.DataFrame(
    [
        ("a", 12, 12, 13, "+", "x"),
        ("a", 44, 38, 52, "-", "x"),
        ("b", 3, 3, 4, "+", "y"),
        ("b", 4, 4, 5, "+", "y"),
    ],
    columns=["contig", "position", "start", "end", "strand", "class"],
)
HIDDEN = pd.DataFrame(
    [("a", 10, 31, "ignore", ""), ("b", 21, 22, "exclude", "y"), ("b", 0, 9, "universe", "")],
    columns=["contig", "start", "end", "role", "class"],
)


@pytest.fixture
def genome():
    codes = np.random.default_rng(0).integers(0, 4, 160, dtype=np.uint8)
    codes[70] = DNA.unknown
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [100, 60], "offset": [0, 100]})
    return EncodedGenome("toy", codes, contigs)


def source_of(genome, stranded, rows, inclusion=None, cap=20.0):
    labelled = LabelledGenome(genome, SITES, HIDDEN, ["x", "y"], stranded)
    windows = pd.DataFrame(rows, columns=["contig", "start", "strand"])
    inclusion = inclusion or [[1.0]] * len(windows)
    windows = windows.assign(genome="toy", length=20, inclusion=inclusion)
    return WindowSource(windows, {"toy": labelled}, ARCHITECTURE, cap)


def naive_labels(contig, start, side, stranded):
    """Labels of a window, base by base."""
    sites, ignored = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    for row, name in enumerate("xy"):
        for base in range(start, start + 20):
            at = (base - start) // 5
            for item in SITES.itertuples():
                same = item.contig == contig and item[6] == name
                if not same or (stranded and item.strand != "+-"[side]):
                    continue
                sites[row, at] |= item.position == base
                ignored[row, at] |= item.start <= base < item.end
            for item in HIDDEN.itertuples():
                hides = item.role in ("ignore", "exclude") and item[5] in ("", name)
                if hides and item.contig == contig and item.start <= base < item.end:
                    ignored[row, at] = True
    return sites, ignored & ~sites


@pytest.mark.parametrize("stranded", [True, False])
def test_labels_equal_a_base_by_base_reading(genome, stranded):
    rows = [("a", at, s) for at in range(0, 80, 5) for s in "+-"]
    rows += [("b", at, s) for at in range(0, 40, 5) for s in "+-"]
    batch = source_of(genome, stranded, rows).batch(np.arange(len(rows)))
    for number, (contig, start, strand) in enumerate(rows):
        sites, ignored = naive_labels(contig, start, "+-".index(strand), stranded)
        codes = genome.fetch(contig, start, start + 20).reshape(4, 5)
        ignored |= (codes == DNA.unknown).any(1)
        if strand == "-":
            sites, ignored = sites[:, ::-1], ignored[:, ::-1]
        assert np.array_equal(batch.sites[number].numpy(), sites)
        assert np.array_equal(batch.weights[number].numpy() == 0, ignored)


def test_sequence_has_context_and_reads_its_strand(genome):
    rows = [("a", 0, "+"), ("a", 80, "-"), ("b", 40, "+")]
    batch = source_of(genome, True, rows).batch(np.arange(3))
    for number, (contig, start, strand) in enumerate(rows):
        codes = genome.fetch(contig, start - 1, start + 21)
        if strand == "-":
            codes = DNA.reverse_complement(codes)
        found = batch.x[number].numpy()
        assert np.array_equal(np.where(found.sum(0) == 1, found.argmax(0), 4), codes)


def test_signals_follow_the_letters_and_are_read_backwards_on_the_other_strand(genome):
    signals = tuple(np.random.default_rng(1).normal(size=(2, 160)).astype(np.float16))
    seen = dataclasses.replace(genome, signals=signals)
    rows = [("a", 0, "+"), ("a", 80, "-"), ("b", 40, "+"), ("b", 0, "-")]
    batch = source_of(seen, True, rows).batch(np.arange(4))
    plain = source_of(genome, True, rows).batch(np.arange(4))
    assert torch.equal(batch.x[:, :4], plain.x)
    for number, (contig, start, strand) in enumerate(rows):
        first, size = (0, 100) if contig == "a" else (100, 60)
        for channel, signal in enumerate(signals):
            inside = [0 <= at < size for at in range(start - 1, start + 21)]
            values = [
                float(signal[first + at]) if known else 0.0
                for at, known in zip(range(start - 1, start + 21), inside)
            ]
            expected = values[::-1] if strand == "-" else values
            assert batch.x[number, 4 + channel].tolist() == expected


def test_windows_know_their_laboratory(genome):
    names = {"one": 1, "two": 0, "three": 1}
    labelled = {name: LabelledGenome(genome, SITES, HIDDEN, ["x", "y"], True) for name in names}
    windows = pd.DataFrame({"genome": ["one", "two", "three", "two"], "contig": "b", "start": 20})
    windows = windows.assign(strand="+", length=20, inclusion=[[1.0]] * 4)
    source = WindowSource(windows, labelled, ARCHITECTURE, laboratories=names)
    assert [group.tolist() for group in source.laboratory_rows] == [[1, 3], [0, 2]]
    batch = source.batch(np.array([3, 2, 0]))
    assert batch.laboratories.tolist() == [0, 1, 1]
    assert batch.rows(slice(1, 2)).laboratories.tolist() == [1]
    unnamed = WindowSource(windows, labelled, ARCHITECTURE)
    assert unnamed.batch(np.array([0])).laboratories is None
    assert [group.tolist() for group in unnamed.laboratory_rows] == [[0, 1, 2, 3]]


def test_weights_are_inverse_inclusion_with_mean_one(genome):
    rows = [("b", 20, "+"), ("b", 20, "-")]
    source = source_of(genome, False, rows, inclusion=[[1.0, 4.0]] * 2)
    batch = source.batch(np.arange(2))
    plus = batch.weights[0, 0].numpy()
    assert plus.mean() == pytest.approx(1)
    assert plus[0] / plus[2] == pytest.approx(4)
    assert np.array_equal(batch.weights[1, 0].numpy(), plus[::-1])


def test_cap_raises_the_effective_sample_size(genome):
    rows, rates = [("b", 20, "+"), ("b", 0, "+")], [[4.0, 4.0], [4.0, 0.04]]
    free = source_of(genome, False, rows, inclusion=rates)
    capped = source_of(genome, False, rows, inclusion=rates, cap=0.1)
    assert free.effective_share < capped.effective_share < 1


def test_unknown_base_is_a_zero_column():
    x = one_hot(torch.tensor([[0, 4, 3]]), DNA)
    assert x[0, :, 1].sum() == 0 and x[0, 0, 0] == 1 and x[0, 3, 2] == 1


def test_windows_of_several_lengths_are_refused(genome):
    labelled = LabelledGenome(genome, SITES, HIDDEN, ["x", "y"], True)
    windows = pd.DataFrame({"length": [20, 30]})
    with pytest.raises(InputError, match="different lengths"):
        WindowSource(windows, {"toy": labelled}, ARCHITECTURE)


def test_mixed_strandedness_is_refused():
    with pytest.raises(InputError, match="mix stranded"):
        shared_strandedness({"a": {"stranded": True}, "b": {"stranded": False}})


@pytest.mark.parametrize(("resolution", "steps"), [(6, 1), (10, 4)])
def test_windows_of_another_resolution_are_refused(genome, resolution, steps):
    labelled = LabelledGenome(genome, SITES, HIDDEN, ["x", "y"], False)
    windows = pd.DataFrame({"genome": ["toy"], "contig": ["a"], "start": [0], "strand": ["+"]})
    windows = windows.assign(length=20, inclusion=[[1.0] * steps])
    network = resolve_architecture(
        {"preset": "motif_cnn", "resolution": resolution, "stem_kernels": [3], "channels": 2}
    )
    with pytest.raises(InputError, match=f"{resolution} bp a bin; expected"):
        WindowSource(windows, {"toy": labelled}, network)
