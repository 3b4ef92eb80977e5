import errno
import gzip
import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pysam
import pytest

import encode_genome
from genomesieve.alphabet import DNA
from genomesieve.errors import InputError
from genomesieve.genome import EncodedGenome


def run(path, folder, *extra):
    return encode_genome.main(
        [
            *("--genome", "toy", "--fasta", str(path), "--codes", str(folder / "codes.npy")),
            *("--contigs", str(folder / "contigs.tsv")),
            *("--softmask", str(folder / "softmask.parquet")),
            *("--summary", str(folder / "summary.json")),
            *extra,
        ]
    )


def random_genome(seed=0):
    generator = np.random.default_rng(seed)
    letters = np.array(list("ACGTacgtNnRYk"))
    weights = np.array([8] * 4 + [2] * 4 + [1] * 5) / 45
    return {
        name: "".join(generator.choice(letters, size, p=weights))
        for name, size in {"1": 5003, "chrB": 1, "scaf_3": 777}.items()
    }


def write_fasta(path, genome, width=60, newline="\n", style="plain"):
    lines = []
    for name, text in genome.items():
        lines.append(f">{name} a description")
        lines += [text[at : at + width] for at in range(0, len(text), width)]
    data = (newline.join(lines) + newline).encode()
    if style == "plain":
        path.write_bytes(data)
    elif style == "gzip":
        path.write_bytes(gzip.compress(data))
    else:
        with pysam.BGZFile(str(path), "w") as handle:
            handle.write(data)


@pytest.mark.parametrize("style", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize(("width", "newline"), [(60, "\n"), (7, "\n"), (10**6, "\n"), (61, "\r\n")])
def test_round_trip_against_pysam(tmp_path, style, width, newline):
    genome = random_genome()
    path, plain = tmp_path / "genome.fa.gz", tmp_path / "plain.fa"
    write_fasta(path, genome, width, newline, style)
    write_fasta(plain, genome)
    assert run(path, tmp_path / "out") == 0
    encoded = EncodedGenome.open(tmp_path / "out")
    with pysam.FastaFile(str(plain)) as fasta:
        assert list(encoded.contigs["contig"]) == list(fasta.references)
        for name, length in zip(fasta.references, fasta.lengths):
            text = fasta.fetch(name).upper()
            expected = "".join(base if base in "ACGT" else "N" for base in text)
            assert DNA.decode(encoded.fetch(name, 0, length)) == expected


def test_soft_masking_unknown_bases_and_gaps_are_counted(tmp_path):
    genome = random_genome(1)
    write_fasta(tmp_path / "g.fa", genome)
    assert run(tmp_path / "g.fa", tmp_path / "out") == 0
    mask = pd.read_parquet(tmp_path / "out/softmask.parquet")
    contigs = pd.read_csv(tmp_path / "out/contigs.tsv", sep="\t", dtype={"contig": str})
    for row in contigs.itertuples():
        text = genome[row.contig]
        lower = np.zeros(len(text), bool)
        mine = mask[mask["contig"] == row.contig]
        for start, end in zip(mine["start"], mine["end"]):
            lower[start:end] = True
        assert lower.tolist() == [base.islower() for base in text]
        unknown = np.array([base.upper() not in "ACGT" for base in text])
        assert row.unknown_bases == unknown.sum()
        assert row.gaps == (np.diff(unknown.astype(int), prepend=0) == 1).sum()
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    joined = "".join(genome.values())
    assert summary["bases"] == len(joined)
    assert summary["soft_masked_bases"] == sum(base.islower() for base in joined)
    assert summary["iupac"] == {base: joined.upper().count(base) for base in "KNRY"}
    assert summary["letters"]["G"] == joined.upper().count("G")
    codes = np.load(tmp_path / "out/codes.npy")
    assert summary["sha256"] == hashlib.sha256(codes.tobytes()).hexdigest()


BAD = {
    "empty": (b"", "empty"),
    "no header": (b"ACGT\n", "line 1"),
    "empty contig": (b">a\n>b\nACGT\n", "a"),
    "duplicate": (b">a\nAC\n>a x\nGT\n", "line 3"),
    "letters": (b">a\nACGT\nAC!T\n", "line 3"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_fasta_is_named(tmp_path, capsys, kind):
    data, message = BAD[kind]
    path = tmp_path / "bad.fa"
    path.write_bytes(data)
    assert run(path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert message in error and "bad.fa" in error
    assert not list((tmp_path / "out").glob("*"))


def test_missing_file_is_named(tmp_path, capsys):
    assert run(tmp_path / "nowhere.fa", tmp_path / "out") == 1
    assert "nowhere.fa does not exist" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_truncated_gzip_is_an_error(tmp_path, capsys):
    path = tmp_path / "cut.fa.gz"
    write_fasta(path, random_genome(), style="gzip")
    path.write_bytes(path.read_bytes()[:-400])
    assert run(path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "cut.fa.gz" in error and "truncated" in error
    assert not list((tmp_path / "out").glob("*"))


def test_full_disk_leaves_nothing(tmp_path, capsys, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_fasta(tmp_path / "g.fa", random_genome())
    monkeypatch.setattr(encode_genome.CodesFile, "append", fail)
    assert run(tmp_path / "g.fa", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error and "codes.npy" in error
    assert not list((tmp_path / "out").iterdir())


def test_summary_that_cannot_be_written_takes_the_rest_with_it(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_fasta(tmp_path / "g.fa", random_genome())
    monkeypatch.setattr(encode_genome, "write_json", fail)
    assert run(tmp_path / "g.fa", tmp_path / "out") == 1
    assert not list((tmp_path / "out").iterdir())


def test_runs_as_a_program(repository, tmp_path):
    write_fasta(tmp_path / "g.fa", {"a": "ACGT"})
    script = repository / "scripts" / "encode_genome.py"
    options = {
        "--genome": "toy",
        "--fasta": tmp_path / "g.fa",
        "--codes": tmp_path / "codes.npy",
        "--contigs": tmp_path / "contigs.tsv",
        "--softmask": tmp_path / "softmask.parquet",
        "--summary": tmp_path / "summary.json",
    }
    arguments = [str(item) for pair in options.items() for item in pair]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "codes.npy").tolist() == [0, 1, 2, 3]


def test_a_fasta_file_with_another_digest_is_refused(tmp_path, capsys):
    fasta = tmp_path / "genome.fa"
    fasta.write_text(">a\nACGT\n")
    digest = hashlib.sha256(fasta.read_bytes()).hexdigest()
    assert run(fasta, tmp_path / "right", "--sha256", digest.upper()) == 0
    found = json.loads((tmp_path / "right" / "summary.json").read_text())
    assert found["fasta_sha256"] == digest
    fasta.write_text(">a\nACGA\n")
    assert run(fasta, tmp_path / "wrong", "--sha256", digest) == 1
    message = capsys.readouterr().err
    assert str(fasta) in message and digest in message
    assert not (tmp_path / "wrong").exists()


def test_codes_that_changed_after_encoding_are_refused(tmp_path, capsys):
    """As a file system may lose a block, or a copy be cut short and filled up."""
    write_fasta(tmp_path / "genome.fa", random_genome())
    assert run(tmp_path / "genome.fa", tmp_path / "toy") == 0
    path = tmp_path / "toy" / "codes.npy"
    digest = EncodedGenome.open_checked(tmp_path / "toy").sha256
    assert digest == hashlib.sha256(np.load(path)).hexdigest()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert EncodedGenome.open(tmp_path / "toy").sha256 is None
    with pytest.raises(InputError, match=f"codes.npy has SHA-256 .*; expected {digest}"):
        EncodedGenome.open_checked(tmp_path / "toy")
