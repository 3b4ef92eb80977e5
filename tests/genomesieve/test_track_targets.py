import numpy as np
import pandas as pd
import pytest
import torch

from genomesieve.architecture import resolve_architecture
from genomesieve.auxiliary import measure_spread
from genomesieve.auxiliary_settings import resolve_auxiliary
from genomesieve.batches import WindowSource
from genomesieve.genome import EncodedGenome
from genomesieve.labelled_genome import LabelledGenome
from genomesieve.track_targets import TrackTargets

ARCHITECTURE = resolve_architecture({"preset": "motif_cnn", "resolution": 10, "channels": 2})
CONTIGS = pd.DataFrame({"contig": ["a", "b"], "length": [300, 100], "offset": [0, 300]})
SITES = pd.DataFrame(
    [("a", 12, 12, 13, "+", "x")],
    columns=["contig", "position", "start", "end", "strand", "class"],
)
HIDDEN = pd.DataFrame(columns=["contig", "start", "end", "role", "class"])


@pytest.fixture
def tracks():
    """A track of numbers and one of intervals."""
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=400).astype(np.float16),
        (generator.random(400) < 0.3).astype(np.float16),
    ]


@pytest.fixture
def source(tracks):
    codes = np.random.default_rng(1).integers(0, 4, 400, dtype=np.uint8)
    labelled = LabelledGenome(EncodedGenome("toy", codes, CONTIGS), SITES, HIDDEN, ["x"], False)
    rows = [("a", start, strand) for start in range(0, 260, 20) for strand in "+-"]
    rows += [("b", start, strand) for start in (0, 60) for strand in "+-"]
    windows = pd.DataFrame(rows, columns=["contig", "start", "strand"])
    windows = windows.assign(genome="toy", length=40, inclusion=[np.ones(1)] * len(rows))
    targets = TrackTargets({"toy": tracks}, [0, 15], 10)
    return WindowSource(windows, {"toy": labelled}, ARCHITECTURE, tracks=targets), rows


def test_means_equal_a_base_by_base_reading(source, tracks):
    windows, rows = source
    found = windows.batch(np.arange(len(rows))).tracks.numpy()
    assert found.shape == (len(rows), 2, 4)
    for number, (contig, start, strand) in enumerate(rows):
        offset, length = (0, 300) if contig == "a" else (300, 100)
        for track, flank in enumerate((0, 15)):
            for at in range(4):
                first = start + 10 * (at if strand == "+" else 3 - at) - flank
                inside = [
                    float(tracks[track][offset + base])
                    for base in range(first, first + 10 + 2 * flank)
                    if 0 <= base < length
                ]
                expected = sum(inside) / (10 + 2 * flank)
                assert found[number, track, at] == pytest.approx(expected, abs=1e-6)


def test_windows_gathered_on_a_device_have_the_same(source):
    windows, _ = source
    table = pd.DataFrame({"contig": ["a", "b"], "start": [40, 60], "strand": ["+", "-"]})
    table = table.assign(genome="toy", length=40, inclusion=[np.ones(1)] * 2)
    both = [
        WindowSource(table, windows.genomes, ARCHITECTURE, device=device, tracks=windows._tracks)
        for device in (None, torch.device("cpu"))
    ]
    host, resident = (one.batch(np.arange(2)) for one in both)
    assert torch.equal(host.tracks, resident.tracks) and torch.equal(host.x, resident.x)


def test_parts_of_a_batch_keep_their_tracks(source):
    batch = source[0].batch(np.arange(8))
    assert np.array_equal(batch.rows(slice(3, 6)).tracks, batch.tracks[3:6])


def test_spread_of_tracks_among_properties(source):
    windows, rows = source
    given = {"one": {"track": "t"}, "gc": {"property": "gc", "flank": 5}, "two": {"track": "u"}}
    tasks = resolve_auxiliary(given, ARCHITECTURE)
    described = measure_spread(tasks, ARCHITECTURE, windows).describe()
    values = windows.batch(np.arange(len(rows))).tracks.double().numpy()
    for track, name in enumerate(("one", "two")):
        assert described[name]["mean"] == pytest.approx(values[:, track].mean())
        assert described[name]["standard_deviation"] == pytest.approx(values[:, track].std())
    assert described["one"]["track"] == "t" and 0.3 < described["gc"]["mean"] < 0.7
