import json

import numpy as np
import pandas as pd
import pybedtools
import pyBigWig
import pytest

import encode_signal
from genomesieve import signal_tracks
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome
from genomesieve.signals import gather_signals, with_signals

LENGTHS = {"chr1": 5003, "2": 1, "scaf_3": 777}


@pytest.fixture
def folder(tmp_path):
    """An encoded genome of three contigs."""
    path = tmp_path / "toy"
    path.mkdir()
    lengths = list(LENGTHS.values())
    np.save(path / "codes.npy", np.zeros(sum(lengths), dtype=np.uint8))
    offsets = np.cumsum([0, *lengths[:-1]])
    table = pd.DataFrame({"contig": list(LENGTHS), "length": lengths, "offset": offsets})
    table.to_csv(path / "contigs.tsv", sep="\t", index=False)
    return path


def run(folder, file, *more):
    return encode_signal.main(
        [
            *("--genome", "toy", "--genome-folder", str(folder), "--track", "atac"),
            *("--file", str(file), "--values", str(folder / "atac.npy")),
            *("--summary", str(folder / "atac.json"), *more),
        ]
    )


def write_bigwig(path, lengths, entries):
    """Write (contig, start, values) runs of one value a base."""
    track = pyBigWig.open(str(path), "w")
    track.addHeader(list(lengths.items()))
    for contig, start, values in entries:
        track.addEntries(contig, start, values=[float(v) for v in values], span=1, step=1)
    track.close()
    return path


@pytest.mark.parametrize("block", [1 << 20, 1000, 37])
def test_bigwig_against_pybigwig(tmp_path, folder, monkeypatch, block):
    monkeypatch.setattr(signal_tracks, "_BLOCK", block)
    generator = np.random.default_rng(0)
    runs = [("chr1", 10, generator.normal(5, 9, 990)), ("chr1", 3000, generator.normal(0, 1, 2003))]
    # scaf_3 stands before chr1 in the file and contig 2 is not in it: the FASTA's order counts.
    lengths = {"scaf_3": 777, "chr1": 5003}
    path = write_bigwig(tmp_path / "a.bw", lengths, [("scaf_3", 700, [1, 2.5]), *runs])
    assert run(folder, path) == 0
    found = np.load(folder / "atac.npy")
    assert found.dtype == np.float16
    with pyBigWig.open(str(path)) as track:
        whole = [np.array(track.values(name, 0, size)) for name, size in list(lengths.items())]
    expected = np.concatenate([whole[1], [np.nan], whole[0]])
    assert np.array_equal(found, np.nan_to_num(expected).astype(np.float16))
    summary = json.loads((folder / "atac.json").read_text())
    assert summary["bases"] == 5781
    assert summary["bases_without_value"] == int(np.isnan(expected).sum()) == 5781 - 2995
    assert summary["bases_clipped_to_float16"] == 0
    assert summary["mean"] == pytest.approx(found.astype(float).mean())
    assert summary["standard_deviation"] == pytest.approx(found.astype(float).std())
    assert (summary["minimum"], summary["maximum"]) == (found.min(), found.max())


def test_values_beyond_float16_are_cut_and_counted(tmp_path, folder):
    path = write_bigwig(tmp_path / "a.bw", LENGTHS, [("chr1", 0, [1e6, -1e6, 65504])])
    assert run(folder, path) == 0
    assert np.load(folder / "atac.npy")[:4].tolist() == [65504, -65504, 65504, 0]
    assert json.loads((folder / "atac.json").read_text())["bases_clipped_to_float16"] == 2


@pytest.mark.parametrize("name", ["peaks.bed", "peaks.narrowPeak"])
def test_intervals_against_bedtools(tmp_path, folder, name):
    generator = np.random.default_rng(1)
    rows = []
    for contig in ("chr1", "third"):
        for start in generator.integers(0, 700, 40):
            rows.append(f"{contig}\t{start}\t{start + generator.integers(1, 70)}")
    (tmp_path / name).write_text("\n".join(rows) + "\n")
    (tmp_path / "alias.tsv").write_text("third\tscaf_3\n")
    assert run(folder, tmp_path / name, "--alias", str(tmp_path / "alias.tsv")) == 0
    found = np.load(folder / "atac.npy")
    sizes = tmp_path / "sizes"
    sizes.write_text("chr1\t5003\n2\t1\nthird\t777\n")
    depth = pybedtools.BedTool(str(tmp_path / name)).sort(g=str(sizes))
    depth = pd.read_csv(depth.genome_coverage(g=str(sizes), d=True).fn, sep="\t", header=None)
    covered = depth.astype({0: str}).set_index(0)[2] > 0
    # bedtools lists contigs without intervals last.
    expected = pd.concat([covered[[name]] for name in ("chr1", "2", "third")])
    assert np.array_equal(found, expected.to_numpy(np.float16))
    assert 0 < found.mean() < 1


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ({"chr1": 5003, "chrUn": 9}, "contig 'chrUn' is not in the genome"),
        ({"chr1": 5004}, "contig 'chr1' has 5004 bp; expected 5003"),
        ({"chrI": 5003}, "no name is shared"),
    ],
)
def test_another_genome_is_refused(tmp_path, folder, capsys, lengths, words):
    path = write_bigwig(tmp_path / "a.bw", lengths, [(next(iter(lengths)), 0, [1])])
    assert run(folder, path) == 1
    assert words in capsys.readouterr().err
    assert not (folder / "atac.npy").exists()
    assert list(folder.glob(".part-*")) == []


def test_infinite_values_and_other_files_are_refused(tmp_path, folder, capsys):
    path = write_bigwig(tmp_path / "a.bw", LENGTHS, [("chr1", 7, [1, float("inf")])])
    assert run(folder, path) == 1
    assert "chr1:8 has an infinite value" in capsys.readouterr().err
    (tmp_path / "b.bw").write_text("chr1\t0\t1\n")
    assert run(folder, tmp_path / "b.bw") == 1
    assert "is not a bigWig" in capsys.readouterr().err
    assert run(folder, tmp_path / "none.bw") == 1
    assert "none.bw does not exist" in capsys.readouterr().err
    # What a file is can be stated against its name.
    assert run(folder, tmp_path / "b.bw", "--format", "bed") == 0
    assert np.load(folder / "atac.npy").sum() == 1


def test_windows_of_a_signal_end_with_their_contig(tmp_path, folder):
    path = write_bigwig(tmp_path / "a.bw", LENGTHS, [("chr1", 5000, [1, 2, 3]), ("2", 0, [4])])
    assert run(folder, path) == 0
    genome = EncodedGenome.open(folder)
    (values,) = with_signals(genome, {"atac": folder / "atac.npy"}, ["atac"]).signals
    offset, length = np.array([0, 5003, 5004]), np.array([5003, 1, 777])
    found = gather_signals([values], offset, length, np.array([5000, -2, 900]), 5)[:, 0]
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 2, 3, 0, 0], [0, 0, 4, 0, 0], [0] * 5]
    with pytest.raises(InputError, match="are atac; expected dnase"):
        with_signals(genome, {"atac": folder / "atac.npy"}, ["dnase"])
    np.save(folder / "short.npy", np.zeros(3, np.float16))
    with pytest.raises(InputError, match=r"holds \(3,\) float16; expected \(5781,\)"):
        with_signals(genome, {"atac": folder / "short.npy"}, ["atac"])


@pytest.mark.parametrize(
    ("place", "message"), [(6, "ends the program that reads it"), (0, "is not a bigWig")]
)
def test_damaged_bigwig_is_one_line_and_leaves_nothing(tmp_path, folder, capsys, place, message):
    path = write_bigwig(tmp_path / "x.bw", LENGTHS, [("chr1", 0, [1, 2, 3])])
    content = bytearray(path.read_bytes())
    content[place] = 0xFF  # at 6, the number of zoom levels, libBigWig reads beyond its memory
    path.write_bytes(bytes(content))
    assert run(folder, path) == 1
    assert message in capsys.readouterr().err
    assert {file.name for file in folder.iterdir()} == {"codes.npy", "contigs.tsv"}
