import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from custom_networks import Coarse
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import one_hot
from genomesieve.bundle import Bundle
from genomesieve.chunks import shard_of_rows
from genomesieve.custom_network import CustomNetwork
from genomesieve.genome import EncodedGenome
from genomesieve.layout import make_layout
from genomesieve.networks import build_network, log_odds
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner
from genomesieve.scores import UNSCORED, decode_scores

pytestmark = pytest.mark.usefixtures("one_thread")

MODELS = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 3]},
    "motif_cnn": {
        "preset": "motif_cnn",
        "resolution": 10,
        "channels": 8,
        "stem_kernels": [7],
        "hidden": 4,
    },
    "lstm": {
        "preset": "lstm", "resolution": 10, "channels": 8, "stem_kernels": [7], "window": 50,
        "reach": 4, "units": 6, "norm": "none",
    },
    "transformer": {
        "preset": "transformer", "resolution": 10, "channels": 8, "stem_kernels": [7], "window": 50,
        "reach": 4, "pooling": "average",
    },
}  # fmt: skip
MODELS["wide_pool"] = MODELS["motif_cnn"] | {"pool_margin": 13}
KINDS = [
    ("dilated", True), ("motif_cnn", False), ("motif_cnn", True), ("wide_pool", False),
    ("lstm", True), ("transformer", False),
]  # fmt: skip


@pytest.fixture(scope="module")
def genome():
    generator = np.random.default_rng(0)
    lengths = np.array([1237, 40, 3, 611])
    codes = generator.integers(0, 4, lengths.sum(), dtype=np.uint8)
    codes[[5, 100, 101, 102, 1240]] = DNA.unknown
    offsets = np.cumsum(lengths) - lengths
    contigs = pd.DataFrame({"contig": list("abcd"), "length": lengths, "offset": offsets})
    return EncodedGenome("toy", codes, contigs)


def reversed_genome(genome):
    """The other strand of every contig, as a genome of its own."""
    codes = genome.codes.copy()
    for offset, length in zip(genome.contigs["offset"], genome.contigs["length"]):
        part = slice(offset, offset + length)
        codes[part] = DNA.reverse_complement(genome.codes[part])
    return EncodedGenome("reversed", codes, genome.contigs)


def with_noise(genome, channels=2):
    """The genome with signals beside its sequence."""
    values = np.random.default_rng(3).normal(size=(channels, len(genome.codes)))
    return dataclasses.replace(genome, signals=tuple(values.astype(np.float16)))


def bundle_of(preset, stranded, signals=()):
    torch.manual_seed(1)
    architecture = resolve_architecture(MODELS[preset])
    labels = "exclusive" if stranded else "independent"
    average = "augment" if stranded else "average"
    network = build_network(architecture, 2, labels, average, signals=len(signals)).eval()
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.4)
    return Bundle(
        preset, network, architecture, ["x", "y"], stranded, labels, average, signals=list(signals)
    )


def whole_layout(genome, bundle, intervals=None):
    if intervals is None:
        intervals = [(name, 0, size) for name, size in genome.contigs.iloc[:, :2].to_numpy()]
    split = pd.DataFrame(intervals, columns=["contig", "start", "end"]).assign(part="test")
    architecture = bundle.architecture
    return make_layout(
        split, genome.contigs, ("test",), architecture.resolution, architecture.context, "toy"
    )


def scan(genome, bundle, layout, chunk=200, batch=1, shards=1):
    scanner = Scanner(bundle, ScanPlan(chunk, batch, "float32"), torch.device("cpu"))
    chunks = scanner.list_chunks(layout, genome)
    result = np.zeros((bundle.strands, 2, layout.bins), dtype=np.uint16)
    covered = 0
    for shard in range(1, shards + 1):
        for first, codes in scanner.scan(genome, chunks, shard_of_rows(len(chunks), shard, shards)):
            assert first == covered
            result[..., first : first + codes.shape[-1]] = codes
            covered += codes.shape[-1]
    assert covered == layout.bins
    return result


def window_by_window(genome, bundle, layout):
    """Score each bin alone, from its own sequence, with the network and nothing else.

    The sequence is the bin's own, or that of the window which holds it.
    """
    architecture = bundle.architecture
    stride = architecture.stride
    contigs, starts = layout.positions_of(np.arange(layout.bins))
    expected = np.full((bundle.strands, 2, layout.bins), np.nan, dtype=np.float32)
    for row, (contig, start) in enumerate(zip(contigs, starts)):
        codes = genome.fetch(
            genome.contigs["contig"][contig],
            start // stride * stride - architecture.context,
            start // stride * stride + stride + architecture.context,
        )
        place = start % stride // architecture.resolution
        first = architecture.context + place * architecture.resolution
        if (codes[first : first + architecture.resolution] == DNA.unknown).any():
            continue
        passes = [codes, DNA.reverse_complement(codes)][: bundle.strands]
        for strand, item in enumerate(passes):
            x = one_hot(torch.from_numpy(item.copy())[None], DNA)
            first_base = start // stride * stride - architecture.context
            x = torch.cat([x, signals_of(genome, contig, first_base, x.shape[2], strand)], dim=1)
            with torch.inference_mode():
                scores = log_odds(bundle.network(x), bundle.labels)[0]
            expected[strand, :, row] = (scores.flip(-1) if strand else scores)[:, place]
    return expected


def signals_of(genome, contig, start, width, strand):
    """Read signals base by base, 0 outside the contig; shape=(1, signals, width)."""
    offset, length = genome.contigs["offset"][contig], genome.contigs["length"][contig]
    found = torch.zeros(1, len(genome.signals), width)
    for channel, signal in enumerate(genome.signals):
        for at in range(max(0, start), min(length, start + width)):
            found[0, channel, at - start] = float(signal[offset + at])
    return found.flip(-1) if strand else found


@pytest.mark.parametrize(
    ("preset", "stranded"), [("dilated", True), ("motif_cnn", False), ("transformer", False)]
)
def test_scan_with_signals_equals_window_by_window(genome, preset, stranded):
    bundle, seen = bundle_of(preset, stranded, ("s", "t")), with_noise(genome)
    intervals = [("a", 900, 1237), ("b", 0, 40), ("c", 0, 3), ("d", 0, 200)]
    layout = whole_layout(seen, bundle, intervals)
    codes = scan(seen, bundle, layout, chunk=150)
    found, expected = decode_scores(codes), window_by_window(seen, bundle, layout)
    known = ~np.isnan(expected)
    assert (np.isnan(found) == ~known).all()
    limit = 1e-3 * np.maximum(1, np.abs(expected[known]))
    assert (np.abs(found[known] - expected[known]) <= limit).all()
    assert np.array_equal(codes, scan(seen, bundle, layout, chunk=150, shards=3))
    silent = dataclasses.replace(seen, signals=tuple(np.zeros_like(one) for one in seen.signals))
    assert not np.array_equal(codes, scan(silent, bundle, layout, chunk=150))


@pytest.mark.parametrize(("preset", "stranded"), KINDS)
@pytest.mark.parametrize("chunk", [50, 150, 2000])
def test_scan_equals_window_by_window(genome, preset, stranded, chunk):
    bundle = bundle_of(preset, stranded)
    layout = whole_layout(genome, bundle)
    found = decode_scores(scan(genome, bundle, layout, chunk))
    expected = window_by_window(genome, bundle, layout)
    assert (np.isnan(found) == np.isnan(expected)).all()
    known = ~np.isnan(expected)
    # Codes hold float16: half a step of 2**-10 relative.
    limit = 1e-3 * np.maximum(1, np.abs(expected[known]))
    assert (np.abs(found[known] - expected[known]) <= limit).all()


@pytest.mark.parametrize(("preset", "stranded"), KINDS)
def test_shards_never_change_a_bit(genome, preset, stranded):
    bundle = bundle_of(preset, stranded)
    layout = whole_layout(genome, bundle)
    one = scan(genome, bundle, layout, batch=2)
    for shards in (2, 3, 16):
        assert np.array_equal(one, scan(genome, bundle, layout, batch=2, shards=shards))


def test_parts_of_contigs_score_as_in_the_whole(genome):
    bundle = bundle_of("dilated", True)
    whole = scan(genome, bundle, whole_layout(genome, bundle))
    layout = whole_layout(genome, bundle, [("a", 333, 777), ("d", 10, 611)])
    part = scan(genome, bundle, layout)
    assert np.array_equal(part[..., :444], whole[..., 333:777])
    assert np.array_equal(part[..., 444:], whole[..., 1237 + 40 + 3 + 10 :])


def test_averaging_strands_sees_no_difference_between_them():
    """f(rc(x)) is f(x) flipped, bin by bin, where contigs are whole numbers of bins."""
    codes = np.random.default_rng(2).integers(0, 4, 1240, dtype=np.uint8)
    contigs = pd.DataFrame({"contig": ["a"], "length": [1240], "offset": [0]})
    genome, bundle = EncodedGenome("even", codes, contigs), bundle_of("motif_cnn", False)
    layout = whole_layout(genome, bundle)
    first = decode_scores(scan(genome, bundle, layout, chunk=130))
    second = decode_scores(scan(reversed_genome(genome), bundle, layout, chunk=130))
    np.testing.assert_allclose(first, second[..., ::-1], rtol=1e-3, atol=1e-3)
    assert np.ptp(first) > 0.01


def test_other_strand_gives_flipped_scores(genome):
    bundle = bundle_of("dilated", True)
    layout = whole_layout(genome, bundle)
    plus = decode_scores(scan(genome, bundle, layout))
    other = decode_scores(scan(reversed_genome(genome), bundle, layout))
    for first, size in zip(layout.intervals["first_bin"], genome.contigs["length"]):
        here = slice(first, first + size)
        flipped = other[:, :, here][::-1, :, ::-1]
        np.testing.assert_allclose(plus[:, :, here], flipped, rtol=1e-3, atol=1e-3)


def test_unknown_bins_have_no_score(genome):
    bundle = bundle_of("dilated", True)
    codes = scan(genome, bundle, whole_layout(genome, bundle))
    bins = np.flatnonzero(genome.codes == DNA.unknown)
    assert (codes[..., bins] == UNSCORED).all()
    assert (codes == UNSCORED).sum() == len(bins) * 4


def coarse_bundle():
    """A network that pools by 8 bp and gives every base a value: its scores depend on the phase."""
    torch.manual_seed(4)
    outputs = ["background", "x", "y"]
    model = {"preset": "custom", "context": 20, "stride": 8, "outputs": outputs}
    architecture = resolve_architecture(model)
    network = CustomNetwork(Coarse(), architecture.settings, [0, 1, 2]).eval()
    return Bundle("custom", network, architecture, ["x", "y"], True, "exclusive")


def test_a_stride_beyond_the_resolution_keeps_its_phase(genome):
    bundle = coarse_bundle()
    layout = whole_layout(genome, bundle)
    found = [decode_scores(scan(genome, bundle, layout, chunk)) for chunk in (48, 136, 2000)]
    assert np.nanstd(found[0]) > 0.05
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, rtol=2e-3, atol=1e-3)
    # Plus strand of the first contig, computed on the grid of its own first base.
    codes = np.full(1240 + 40, DNA.unknown, dtype=np.uint8)
    codes[20 : 20 + 1237] = genome.codes[:1237]
    with torch.inference_mode():
        logits = bundle.network(one_hot(torch.from_numpy(codes[None]), DNA))
    expected = log_odds(logits, "exclusive")[0, :, :1237].numpy()
    known = genome.codes[:1237] != DNA.unknown
    mine = found[0][0][:, :1237][:, known]
    np.testing.assert_allclose(mine, expected[:, known], rtol=2e-3, atol=1e-3)
