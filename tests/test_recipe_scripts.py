"""Scripts of recipes that turn published files into genomes and sites."""

import subprocess
import sys

import pytest


def convert(repository, folder, *rows):
    table = folder / "table.csv"
    table.write_text("sequence,label\n" + "\n".join(rows) + "\n")
    command = [sys.executable, str(repository / "config" / "recipes" / "labelled_records.py")]
    command += ["--table", f"valid+calibrate={table}", "--table", f"test={table}"]
    command += ["--fasta", str(folder / "made" / "x.fa"), "--sites", str(folder / "made" / "x.bed")]
    return subprocess.run(command, capture_output=True, text=True)


def test_records_become_contigs(repository, tmp_path):
    assert convert(repository, tmp_path, "ACGTA,1", "TTTTT,0", "CCCCC,1").returncode == 0
    lines = (tmp_path / "made" / "x.fa").read_text().split()
    assert lines[:6] == [">valid_0", "ACGTA", ">calibrate_1", "TTTTT", ">valid_2", "CCCCC"]
    assert lines[6:] == [">test_0", "ACGTA", ">test_1", "TTTTT", ">test_2", "CCCCC"]
    sites = (tmp_path / "made" / "x.bed").read_text().splitlines()
    assert sites == ["valid_0\t2\t3", "valid_2\t2\t3", "test_0\t2\t3", "test_2\t2\t3"]


@pytest.mark.parametrize("bad", ["ACG,0", "ACGTA,2"])
def test_odd_records_are_named(repository, tmp_path, bad):
    done = convert(repository, tmp_path, "ACGTA,1", bad)
    assert done.returncode
    assert "record 2" in done.stderr
    assert not (tmp_path / "made").exists()
