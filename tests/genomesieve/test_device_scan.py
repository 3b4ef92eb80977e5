"""The scan whose rows and reduction stay on the device, run on the CPU: the host's bytes."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from genomesieve import device_loads, device_reduction, device_rows, device_scan, reduction
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.bundle import Bundle
from genomesieve.chunks import shard_of_rows
from genomesieve.device_loads import LoadSender, plan_loads
from genomesieve.device_reduction import DeviceReduction
from genomesieve.device_scan import scan_on_device
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.layout import make_layout
from genomesieve.networks import build_network
from genomesieve.planning import ScanPlan
from genomesieve.scanner import Scanner
from genomesieve.scores import decode_scores, encode_scores
from genomesieve.shard_output import write_reduced, write_shard

CPU = torch.device("cpu")
FILES = ("histograms.npz", "candidates.parquet", "scores.npy")
MODELS = {
    "dilated": {"preset": "dilated", "channels": 8, "kernel": 3, "dilations": [1, 3]},
    "motif_cnn": {
        "preset": "motif_cnn",
        "resolution": 10,
        "channels": 8,
        "stem_kernels": [7],
        "hidden": 4,
    },
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Windows, blocks of the histogram and loads that a small genome needs several of."""
    monkeypatch.setattr(reduction, "WINDOW_BINS", 500)
    monkeypatch.setattr(device_reduction, "_COUNTED_AT_ONCE", 300)
    monkeypatch.setattr(device_scan, "LOAD_BASES", 1500)


@pytest.fixture(scope="module", params=["long", "short"])
def genome(request):
    """Long contigs in chunks, or more short ones in a row than are copied one by one."""
    generator = np.random.default_rng(0)
    lengths = np.array([1237, 40, 3, 2611])
    if request.param == "short":
        lengths = generator.integers(1, 30, 400)
    codes = generator.integers(0, 4, lengths.sum(), dtype=np.uint8)
    codes[generator.integers(0, len(codes), 20)] = DNA.unknown
    names = [f"c{number}" for number in range(len(lengths))]
    offsets = np.cumsum(lengths) - lengths
    contigs = pd.DataFrame({"contig": names, "length": lengths, "offset": offsets})
    return EncodedGenome("toy", codes, contigs)


def bundle_of(preset, stranded):
    torch.manual_seed(1)
    architecture = resolve_architecture(MODELS[preset])
    labels = "exclusive" if stranded else "independent"
    network = build_network(architecture, 2, labels).eval()
    return Bundle(preset, network, architecture, ["x", "y"], stranded, labels)


def layout_of(genome, bundle, backwards=False):
    """All contigs in one part, or in two parts so that contigs do not follow each other."""
    table = genome.contigs[["contig"]].assign(start=0, end=genome.contigs["length"], part="test")
    if backwards:
        table = table.iloc[::-1].assign(part=np.resize(["test", "screen"], len(table)))
    architecture = bundle.architecture
    parts = ("test", "screen")
    return make_layout(
        table, genome.contigs, parts, architecture.resolution, architecture.context, "toy"
    )


def plan_of(batch, held=1 << 20):
    return ScanPlan(600, batch, "float32", held)


def floors_of(scores):
    """Codes that one bin in ten reaches."""
    known = scores[0, :, (scores > 0).all((0, 1))].T
    return encode_scores(np.quantile(decode_scores(known), 0.9, axis=1))


def run_host(genome, bundle, layout, batch, folder):
    scanner = Scanner(bundle, plan_of(batch), CPU)
    chunks = scanner.list_chunks(layout, genome)
    pieces = list(scanner.scan(genome, chunks, range(len(chunks))))
    scores = np.concatenate([codes for _, codes in pieces], axis=-1)
    floors = floors_of(scores)
    bins, shape = (0, layout.bins), scores.shape[:2]
    write_shard(folder, pieces, floors, layout, bins, shape, True)
    return scores, floors


def run_device(genome, bundle, layout, floors, plan, folder):
    scanner = Scanner(bundle, plan, CPU, on_device=True)
    chunks = scanner.list_chunks(layout, genome)
    shape = bundle.strands, len(bundle.classes)
    reducing = DeviceReduction(floors, layout, shape, CPU, True)
    pieces = reducing.reduce(scan_on_device(scanner, genome, chunks, range(len(chunks))))
    write_reduced(folder, pieces, floors, (0, layout.bins), shape, True)


@pytest.mark.parametrize(("preset", "stranded"), [("dilated", True), ("motif_cnn", False)])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("batch", "held"), [(2, 1 << 20), (2, 3000), (3, 1), (100, 1 << 20)])
def test_files_are_those_of_the_host(genome, tmp_path, preset, stranded, backwards, batch, held):
    bundle = bundle_of(preset, stranded)
    layout = layout_of(genome, bundle, backwards)
    scores, floors = run_host(genome, bundle, layout, batch, tmp_path / "host")
    assert len(layout.blocks) > 3 and (scores == 0).any()
    run_device(genome, bundle, layout, floors, plan_of(batch, held), tmp_path / "device")
    for name in FILES:
        host, device = ((tmp_path / side / name).read_bytes() for side in ("host", "device"))
        assert host == device, name
    assert len(pd.read_parquet(tmp_path / "host" / "candidates.parquet")) > 50


@pytest.mark.parametrize("shards", [1, 3])
def test_scores_come_back_as_from_the_host(genome, shards):
    bundle = bundle_of("dilated", True)
    layout = layout_of(genome, bundle)
    found = []
    for on_device in (False, True):
        scanner = Scanner(bundle, plan_of(2, 3000), CPU, on_device=on_device)
        chunks = scanner.list_chunks(layout, genome)
        pieces = [
            piece
            for shard in range(1, shards + 1)
            for piece in scanner.scan(genome, chunks, shard_of_rows(len(chunks), shard, shards))
        ]
        starts = [first for first, _ in pieces]
        widths = [codes.shape[-1] for _, codes in pieces]
        assert starts == (np.cumsum(widths) - widths).tolist()
        found.append(np.concatenate([codes for _, codes in pieces], axis=-1))
    assert np.array_equal(*found)


def test_resident_codes_are_used_as_they_are(genome):
    bundle = bundle_of("dilated", True)
    layout = layout_of(genome, bundle)
    scanner = Scanner(bundle, plan_of(2), CPU, on_device=True)
    chunks = scanner.list_chunks(layout, genome)
    resident = torch.from_numpy(genome.codes.copy())
    blank = EncodedGenome("toy", np.zeros_like(genome.codes), genome.contigs)
    sent = scan_on_device(scanner, genome, chunks, range(len(chunks)))
    kept = scan_on_device(scanner, blank, chunks, range(len(chunks)), resident)
    for (first, bits), (other_first, other_bits) in zip(sent, kept, strict=True):
        assert first == other_first and torch.equal(bits, other_bits)


def test_loads_hold_every_base_once_and_what_rows_need(genome):
    bundle = bundle_of("dilated", True)
    scanner = Scanner(bundle, plan_of(2), CPU)
    chunks = scanner.list_chunks(layout_of(genome, bundle), genome)
    wanted = range(len(chunks))
    one = plan_loads(genome, chunks, wanted, scanner.context, 2, 1 << 30)
    assert len(one) == 1 and one[0].bases == len(genome.codes)
    several = plan_loads(genome, chunks, wanted, scanner.context, 2, 1500)
    assert [load.rows.start for load in several[1:]] == [load.rows.stop for load in several[:-1]]
    assert len(several) > 1 and all(load.rows.start % 2 == 0 for load in several)
    sender = LoadSender(genome.codes, several, CPU, 3000)
    assert not sender.resident
    for load, codes in sender:
        expected = np.concatenate([genome.codes[a : a + n] for a, n in zip(load.first, load.size)])
        assert np.array_equal(codes[: load.bases].numpy(), expected)


def test_places_beyond_32_bits_are_read_from_a_sparse_file(tmp_path):
    far = 5 * 2**30
    codes = np.lib.format.open_memmap(tmp_path / "c.npy", "w+", np.uint8, (far + 4000,))
    codes[far:] = np.random.default_rng(0).integers(0, 4, 4000)
    contigs = pd.DataFrame({"contig": ["a", "b"], "length": [far, 4000], "offset": [0, far]})
    genome = EncodedGenome("far", codes, contigs)
    bundle = bundle_of("dilated", True)
    split = pd.DataFrame({"contig": ["b"], "start": [0], "end": [4000], "part": ["test"]})
    layout = make_layout(split, contigs, ("test",), 1, bundle.architecture.context, "far")
    results = []
    for on_device in (False, True):
        scanner = Scanner(bundle, plan_of(2, 3000), CPU, on_device=on_device)
        chunks = scanner.list_chunks(layout, genome)
        results.append([s for _, s in scanner.scan(genome, chunks, range(len(chunks)))])
    assert np.array_equal(*(np.concatenate(item, axis=-1) for item in results))


class Broken(nn.Module):
    """Answers NaN where a sequence has three A in a row, and bears being run on unknown bases."""

    def forward(self, x):
        run = x[:, 0, :-2] * x[:, 0, 1:-1] * x[:, 0, 2:]
        return torch.where(run > 0, torch.nan, 1.0).unsqueeze(1)


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("between", [1, 1000])
def test_nan_is_an_error_wherever_the_scan_runs(genome, monkeypatch, on_device, between):
    monkeypatch.setattr(device_scan, "_BATCHES_BETWEEN_CHECKS", between)
    architecture = resolve_architecture(
        {"preset": "dilated", "stem_kernels": [3], "kernel": 1, "dilations": [1]}
    )
    bundle = Bundle("broken", Broken(), architecture, ["x"], True, "independent")
    scanner = Scanner(bundle, plan_of(2, 3000), CPU, on_device=on_device)
    chunks = scanner.list_chunks(layout_of(genome, bundle), genome)
    with pytest.raises(InputError, match="model broken gives scores that are NaN on cpu"):
        for _ in scanner.scan(genome, chunks, range(len(chunks))):
            pass


def test_a_scan_that_is_left_early_stops_its_sender(genome):
    bundle = bundle_of("dilated", True)
    scanner = Scanner(bundle, plan_of(2, 3000), CPU, on_device=True)
    chunks = scanner.list_chunks(layout_of(genome, bundle), genome)
    scan = scan_on_device(scanner, genome, chunks, range(len(chunks)))
    next(scan)
    scan.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("codes")]


class Place:
    """A mark in a pretended queue."""

    def __init__(self):
        self.waited = False

    def synchronize(self):
        self.waited = True


def test_buffers_are_used_again_only_after_their_use(genome, monkeypatch):
    """With marks as on a GPU: every copy into a buffer waits for the batches that read it."""
    waits, used = [], []
    monkeypatch.setattr(device_loads, "mark", lambda device: Place())
    monkeypatch.setattr(device_loads, "wait_here", lambda place, device: waits.append(place))
    scanner = Scanner(bundle_of("dilated", True), plan_of(2), CPU)
    chunks = scanner.list_chunks(layout_of(genome, scanner.bundle), genome)
    loads = plan_loads(genome, chunks, range(len(chunks)), scanner.context, 1, 1)
    sender = LoadSender(genome.codes, loads, CPU, 1)
    assert len(loads) > 4 and not sender.resident
    before = list(sender._free)
    for number, _ in enumerate(sender):
        if number:
            used.append(sender._free[(number - 1) % 2])
    # The memory as it was taken, then each use but the last ones, in the order of the loads.
    copies = [place for place in waits if place in before + used]
    assert copies == [*before, *used[: len(loads) - 2]]
    # A stage of the host is filled again only when its copy has left it.
    arrived = [place for place in waits if place not in before + used]
    assert len(arrived) == len(loads) and all(place.waited for place in arrived[:-2])


@pytest.mark.parametrize("few", [0, 1000])
def test_both_ways_to_fill_rows_agree_with_copying(monkeypatch, few):
    monkeypatch.setattr(device_rows, "_FEW", few)
    source = torch.arange(100, dtype=torch.uint8)
    rows = torch.zeros(2, 50, dtype=torch.uint8)
    place, count, target = (np.array(item) for item in ([3, 90, 20], [10, 5, 40], [0, 11, 55]))
    device_rows.fill_rows(rows, source, place, count, target, 255)
    expected = np.full(100, 255)
    expected[0:10], expected[11:16], expected[55:95] = range(3, 13), range(90, 95), range(20, 60)
    assert rows.reshape(-1).tolist() == expected.tolist()
