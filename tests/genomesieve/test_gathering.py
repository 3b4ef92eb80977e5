"""Gathering whole batches equals fetching window by window, on the host and on a device."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import genomesieve
from genomesieve.alphabet import DNA
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.gathering import (
    gather_resident,
    one_hot,
    resident_codes,
    reverse_complement_rows,
    strand_one_hot,
)
from genomesieve.genome import EncodedGenome, gather_windows
from genomesieve.labelled_genome import LabelledGenome

CONTIGS = pd.DataFrame({"contig": ["a", "b", "c"], "length": [90, 7, 60], "offset": [0, 90, 97]})
FAR = 2**32


@pytest.fixture
def genome():
    codes = np.random.default_rng(3).integers(0, 5, 157, dtype=np.uint8)
    return EncodedGenome("toy", codes, CONTIGS)


def places_of_all_windows(width):
    """Every window that touches a contig or lies just beyond it: names, offset, length, start."""
    rows = [
        (name, offset, length, start)
        for name, length, offset in CONTIGS.itertuples(index=False)
        for start in range(-width - 2, length + 2)
    ]
    names, *places = zip(*rows)
    return names, [np.array(item, dtype=np.int64) for item in places]


def naive_one_hot(codes, minus):
    """One-hot letter by letter."""
    result = np.zeros((len(codes), 4, codes.shape[1]), dtype=np.float32)
    for row, text in enumerate(codes):
        text = DNA.reverse_complement(text) if minus[row] else text
        for at, code in enumerate(text):
            if code < 4:
                result[row, code, at] = 1
    return result


@pytest.mark.parametrize("width", [1, 8, 31, 200])
def test_gather_equals_fetch_at_every_place(genome, width):
    names, (offset, length, start) = places_of_all_windows(width)
    found = gather_windows(genome.codes, offset, length, start, width, DNA.unknown)
    tensors = [torch.from_numpy(item) for item in (offset, length, start)]
    codes = resident_codes(genome.codes, torch.device("cpu"))
    resident = gather_resident(codes, *tensors, width, DNA.unknown).numpy()
    for row, name in enumerate(names):
        expected = genome.fetch(name, int(start[row]), int(start[row]) + width)
        assert np.array_equal(found[row], expected)
        assert np.array_equal(resident[row], expected)


@pytest.mark.parametrize("width", [1, 9, 10])
def test_one_hot_of_either_strand_equals_a_letter_by_letter_reading(width):
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 5, (40, width), dtype=np.uint8)
    minus = rng.random(40) < 0.5
    expected = naive_one_hot(codes, minus)
    found = strand_one_hot(codes, minus, DNA)
    assert found.dtype == torch.float32 and np.array_equal(found.numpy(), expected)
    tensor = torch.from_numpy(codes)
    turned = reverse_complement_rows(tensor, torch.from_numpy(minus), DNA)
    assert np.array_equal(one_hot(turned, DNA).numpy(), expected)


def test_one_hot_is_channels_last_and_leaves_codes_alone():
    codes = np.array([[0, 1, 2, 3], [4, 3, 3, 0]], dtype=np.uint8)
    before = codes.copy()
    found = strand_one_hot(codes, np.array([True, False]), DNA)
    assert found.shape == (2, 4, 4) and found.transpose(1, 2).is_contiguous()
    assert np.array_equal(codes, before)


@pytest.fixture
def far_genome(tmp_path):
    """A genome of more than 2**32 bases in a file with a hole, which takes no disk."""
    path = tmp_path / "codes"
    with path.open("wb") as file:
        file.truncate(FAR + 100)
    codes = np.memmap(path, dtype=np.uint8, mode="r+")
    codes[FAR : FAR + 100] = np.random.default_rng(1).integers(1, 4, 100)
    codes.flush()
    assert path.stat().st_blocks * 512 < 2**20
    contigs = pd.DataFrame({"contig": ["near", "far"], "length": [FAR, 100], "offset": [0, FAR]})
    return EncodedGenome("far", codes, contigs)


def test_places_beyond_32_bits(far_genome):
    start = np.array([-3, 20, 95, FAR - 5])
    offset = np.array([FAR, FAR, FAR, 0])
    length = np.array([100, 100, 100, FAR])
    found = gather_windows(far_genome.codes, offset, length, start, 10, DNA.unknown)
    expected = [far_genome.fetch("far", at, at + 10) for at in (-3, 20, 95)]
    expected.append(far_genome.fetch("near", FAR - 5, FAR + 5))
    assert np.array_equal(found, np.stack(expected))
    assert found[1].all() and not found[3, :5].any()
    tensors = [torch.from_numpy(item) for item in (offset, length, start)]
    codes = torch.from_numpy(np.asarray(far_genome.codes))
    assert np.array_equal(gather_resident(codes, *tensors, 10, DNA.unknown).numpy(), found)


def sources(genome, resolution):
    """Sources of the same windows on the host and on a device, which is the processor here."""
    architecture = resolve_architecture(
        {
            "preset": "motif_cnn",
            "resolution": resolution,
            "stem_kernels": [5],
            "channels": 2,
            "hidden": 2,
        }
    )
    sites = pd.DataFrame(
        [("a", 12, 12, 13, "+", "x"), ("c", 30, 25, 38, "-", "x"), ("c", 3, 3, 4, "-", "y")],
        columns=["contig", "position", "start", "end", "strand", "class"],
    )
    hidden = pd.DataFrame(
        [("a", 40, 52, "ignore", "")], columns=["contig", "start", "end", "role", "class"]
    )
    labelled = LabelledGenome(genome, sites, hidden, ["x", "y"], stranded=True)
    rows = [
        (name, contig, at, strand)
        for name in ("one", "two")
        for contig, last in (("a", 70), ("c", 40))
        for at in range(0, last + 1, 10)
        for strand in "+-"
    ]
    windows = pd.DataFrame(rows, columns=["genome", "contig", "start", "strand"])
    rates = np.random.default_rng(5).uniform(0.5, 2, (len(rows), 2))
    windows = windows.assign(length=20, inclusion=list(rates))
    other = LabelledGenome(
        EncodedGenome("two", genome.codes[::-1].copy(), CONTIGS), sites, hidden, ["x", "y"], True
    )
    genomes = {"one": labelled, "two": other}
    return [
        WindowSource(windows, genomes, architecture, device=device)
        for device in (None, torch.device("cpu"))
    ]


@pytest.mark.parametrize("resolution", [1, 5, 10])
def test_batches_of_a_device_equal_those_of_the_host(genome, resolution):
    host, device = sources(genome, resolution)
    rows = np.random.default_rng(0).permutation(len(host))
    first, second = host.batch(rows), device.batch(rows)
    for name in ("x", "sites", "weights"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
    # The two genomes differ, some bins are ignored or unknown and some hold sites.
    assert first.sites.any() and (first.weights == 0).any() and (first.weights > 0).any()


OUT_OF_CORE = """
import resource, sys
import numpy as np, pandas as pd, torch
from genomesieve.architecture import resolve_architecture
from genomesieve.batches import WindowSource
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.networks import build_network
from genomesieve.training import Trainer, TrainingSettings

torch.set_num_threads(1)
used = int(next(line for line in open("/proc/self/status") if "VmData" in line).split()[1]) << 10
limit = used + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
genome = EncodedGenome.open(sys.argv[1])
sites = pd.DataFrame({"contig": "a", "position": [50, 10**9], "start": [50, 10**9],
                      "end": [51, 10**9 + 1], "strand": "+", "class": "x"})
hidden = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])
genomes = {"toy": LabelledGenome(genome, sites, hidden, ["x"], True)}
starts = np.append(np.linspace(0, len(genome.codes) - 200, 30).astype(int), [0, 10**9 - 20])
windows = pd.DataFrame({"genome": "toy", "contig": "a", "start": starts, "length": 200,
                        "strand": "+", "inclusion": [np.ones(1)] * len(starts)})
architecture = resolve_architecture({"preset": "motif_cnn", "channels": 2, "hidden": 2})
source = WindowSource(windows, genomes, architecture)
network = build_network(architecture, 1, "independent", "augment")
settings = TrainingSettings(steps=4, batch=8, validations=1)
history = Trainer(network, source, source, ["x"], "independent", settings, 0,
                  torch.device("cpu")).fit()
print("trained", history["step"].iloc[-1])
try:
    np.array(genome.codes)
except MemoryError:
    print("the genome does not fit")
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's /proc")
def test_a_genome_larger_than_memory_trains_from_the_map(tmp_path):
    size = 2**30 + 1000
    (tmp_path / "contigs.tsv").write_text(f"contig\tlength\toffset\na\t{size}\t0\n")
    path = tmp_path / "codes.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(size,))
    assert path.stat().st_blocks * 512 < 2**20
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_CORE, str(tmp_path), str(2**28)],
        env={"PYTHONPATH": str(Path(genomesieve.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["trained 4", "the genome does not fit"], done.stderr
