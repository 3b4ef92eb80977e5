"""Track hubs hold to the rules of browsers, and say what the scan says."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import py2bit
import pyBigWig
import pysam
import pytest

import write_hub
from genomesieve.big_bed import write_big_bed
from genomesieve.call_files import read_calls
from genomesieve.genome import EncodedGenome
from genomesieve.tracks import CALL_COLUMNS
from hub_check import check_hub, stanzas
from synthetic_scan import write_synthetic_scan


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Two stranded classes at base resolution."""
    folder = tmp_path_factory.mktemp("hub")
    return write_synthetic_scan(folder, length=60_000, shifts={"dilated": 9.0}, keep_scores=False)


@pytest.fixture
def copied(scan, tmp_path):
    """A copy of the scan's folder, and the arguments for a hub in it."""
    folder = shutil.copytree(scan.scans["dilated"], tmp_path / "scan")
    masked = pd.DataFrame({"contig": ["chr1", "chr1"], "start": [0, 500], "end": [7, 501]})
    masked.to_parquet(tmp_path / "softmask.parquet")
    return folder, [
        *("--screen", "my-screen", "--genome-folder", str(scan.genome_folder)),
        *("--scan", str(folder), "--output-dir", str(folder)),
        *("--softmask", str(tmp_path / "softmask.parquet")),
    ]


def test_the_hub_holds_to_the_rules(copied):
    folder, arguments = copied
    assert write_hub.main(arguments) == 0
    tracks = check_hub(folder / "hub.txt")
    assert list(tracks) == ["calls", "probability"] + [
        f"probability_{name}_{strand}"
        for name in ("donor", "acceptor")
        for strand in ("plus", "minus")
    ]
    assert tracks["probability_donor_plus"]["bigDataUrl"] == "donor.plus.bw"
    assert stanzas(folder / "hub.txt")[0]["hub"] == "genomesieve_my_screen_toy"


def test_calls_in_the_browser_are_those_of_the_scan(copied):
    folder, arguments = copied
    assert write_hub.main(arguments) == 0
    with pysam.TabixFile(str(folder / "calls.bed.gz")) as calls:
        expected = [tuple(row.split("\t")) for row in calls.fetch()]
    assert len(expected) > 20
    with pyBigWig.open(str(folder / "calls.bb")) as file:
        found = [
            (contig, str(start), str(end), *text.split("\t"))
            for contig, length in file.chroms().items()
            for start, end, text in file.entries(contig, 0, length) or []
        ]
        names = [line.split(";")[0].split()[-1] for line in file.SQL().decode().splitlines()[3:-1]]
    assert sorted(found) == sorted(expected)
    assert names[:6] == ["chrom", "chromStart", "chromEnd", "name", "score", "strand"]
    assert names[6:] == ["probability", "fdr"]
    header = (folder / "calls.bb").read_bytes()
    assert (header[32], header[34], header[:4]) == (8, 6, header[-4:])


def test_of_very_many_contigs_those_with_calls_are_named(tmp_path):
    contigs = pd.DataFrame({"contig": [f"c{row}" for row in range(70_000)], "length": 50})
    rows = [("c3", 1, 2, "a", 900, "+", 0.9, 0.1), ("c69999", 4, 5, "a", 500, "-", 0.5, 0.2)]
    calls = pd.DataFrame(rows, columns=CALL_COLUMNS)
    write_big_bed(tmp_path / "calls.bb", calls, contigs)
    with pyBigWig.open(str(tmp_path / "calls.bb")) as file:
        assert file.chroms() == {"c3": 50, "c69999": 50}
        assert file.entries("c69999", 0, 50) == [(4, 5, "a\t500\t-\t0.5\t0.2")]


def test_the_browser_opens_at_the_best_call(copied):
    folder, arguments = copied
    assert write_hub.main(arguments) == 0
    best = read_calls(folder / "calls.bed.gz", "toy").nlargest(1, "probability").iloc[0]
    place = stanzas(folder / "genomes.txt")[0]["defaultPos"]
    start, end = map(int, place.split(":")[1].split("-"))
    assert (
        place.startswith(f"{best['contig']}:") and start - 1 <= best["start"] < best["end"] <= end
    )


def test_the_sequence_is_that_of_the_genome(copied, scan):
    folder, arguments = copied
    assert write_hub.main(arguments) == 0
    genome = EncodedGenome.open(scan.genome_folder)
    sequence = py2bit.open(str(folder / "genome.2bit"), True)
    for row in genome.contigs.itertuples():
        codes = genome.codes[row.offset : row.offset + row.length]
        letters = "".join(np.array(list("ACGTN"))[codes])
        text = sequence.sequence(row.contig)
        assert text.upper() == letters
        lower = np.flatnonzero([letter.islower() for letter in text]).tolist()
        known = {"chr1": [*range(7), 500]}.get(row.contig, [])
        assert lower == [place for place in known if letters[place] != "N"]
    sequence.close()


def test_a_scan_without_calls_has_a_hub_without_them(copied):
    folder, arguments = copied
    write_hub.main(arguments)
    lines = ["# probability and fdr: at the prevalence of toy", "#contig"]
    with pysam.BGZFile(str(folder / "calls.bed.gz"), "w") as calls:
        calls.write("".join(f"{line}\n" for line in lines).encode())
    assert write_hub.main(arguments) == 0
    assert "calls" not in check_hub(folder / "hub.txt")
    assert not (folder / "calls.bb").exists()


def test_tracks_that_were_not_wanted_are_not_named(copied):
    folder, arguments = copied
    (folder / "donor.plus.bw").unlink()
    assert write_hub.main([*arguments, "--bigwigs", "acceptor"]) == 0
    assert "probability_donor_plus" not in check_hub(folder / "hub.txt")
    assert write_hub.main([*arguments, "--bigwigs", ""]) == 0
    assert list(check_hub(folder / "hub.txt")) == ["calls"]


def test_what_is_missing_or_damaged_is_named_and_nothing_written(copied, capsys):
    folder, arguments = copied
    (folder / "donor.minus.bw").unlink()
    assert write_hub.main(arguments) == 1
    assert "bigWig" in capsys.readouterr().err and not (folder / "hub.txt").exists()
    with pysam.BGZFile(str(folder / "calls.bed.gz"), "w") as calls:
        calls.write(b"chr1\t5\t6\n")
    assert write_hub.main(arguments) == 1
    assert "calls.bed.gz, line 1: 3 columns; expected 8" in capsys.readouterr().err
    assert not (folder / "hub.txt").exists()


def test_the_script_runs_on_its_own(copied, repository):
    script = repository / "scripts" / "write_hub.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "trackDb.txt" in done.stdout
