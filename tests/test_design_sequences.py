"""Design on a small trained network: files, trail and check, from sites and from shuffles."""

import json

import numpy as np
import pandas as pd
import pytest

import design_sequences
from genomesieve.alphabet import DNA
from genomesieve.bundle import load_bundle
from genomesieve.genome import EncodedGenome
from genomesieve.sequence_design import score_anew

TARGET = {"donor": "high", "acceptor": "low"}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Places without sites, one at the end of a contig and one beside unknown bases."""
    path = tmp_path_factory.mktemp("places") / "places.bed"
    rows = [("chr1", 5000, 5001, "one", 0, "+"), ("chr1", 7000, 7003, "two", 0, "-"),
            ("chr2", 1, 2, "end", 0, "-"), ("chr2", 1103, 1104, "unknown", 0, "+")]  # fmt: skip
    pd.DataFrame(rows).to_csv(path, sep="\t", header=False, index=False)
    return path


def run(planted, model, places, output, *arguments):
    return design_sequences.main(
        [
            *("--model", str(model), "--genome-folder", str(planted.folder)),
            *("--sites", str(places), "--target", json.dumps(TARGET)),
            *("--device", "cpu", "--threads", "1", "--output-dir", str(output)),
            *map(str, arguments),
        ]
    )


def read(folder):
    tables = [pd.read_csv(folder / name, sep="\t", keep_default_na=False, na_values=["nan"])
              for name in ("trail.tsv", "designs.tsv")]  # fmt: skip
    sequences = {}
    for part in (folder / "designs.fa").read_text().split(">")[1:]:
        head, *lines = part.splitlines()
        sequences[head.split()[0]] = "".join(lines)
    return *tables, sequences, json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def designed(planted, calibrated, places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("design") / "out"
    options = ("--edits", 4, "--beam", 3, "--flank", 15, "--protect=-1:1")
    assert run(planted, calibrated, places, folder, *options) == 0
    return folder


def test_final_sequences_are_the_start_with_the_trail_written_in(designed, planted, calibrated):
    trail, designs, sequences, summary = read(designed)
    bundle, genome = load_bundle(calibrated), EncodedGenome.open(planted.folder)
    context = bundle.architecture.context
    assert len(designs) == len(sequences) == summary["designs"] == 4
    for row in designs.itertuples():
        codes = genome.fetch(row.contig, row.position - context, row.position + context + 1)
        codes = codes if row.strand == "+" else DNA.reverse_complement(codes)
        mine = trail[trail["design"] == row.design]
        assert mine["step"].tolist() == list(range(len(mine))) and row.edits == len(mine) - 1
        for step in mine.iloc[1:].to_dict("records"):
            place = context + int(step["offset"])
            assert DNA.letters[codes[place]] == step["from"] != step["to"]
            assert not -1 <= int(step["offset"]) < 1 and abs(int(step["offset"])) <= 15
            codes[place] = DNA.letters.index(step["to"])
            scores = score_anew(bundle, codes, 0, DNA)
            assert [step["donor"], step["acceptor"]] == pytest.approx(scores.tolist(), abs=1e-3)
            assert step["objective"] == pytest.approx(step["donor"] - step["acceptor"], abs=1e-4)
        assert sequences[f"design_{row.design}"] == DNA.decode(codes)
        assert row.end_donor == pytest.approx(mine["donor"].iloc[-1], abs=1e-4)
        assert row.start_objective == pytest.approx(mine["objective"].iloc[0], abs=1e-4)
        assert row.end_objective > row.start_objective + 1
    assert 0 <= summary["largest_difference_when_scored_anew"] < 1e-3
    assert (summary["unit"], summary["start"], summary["target"]) == (
        "log-odds",
        "as it is",
        TARGET,
    )
    assert "N" in sequences["design_3"] and "N" in sequences["design_4"]


def test_equal_runs_give_equal_files(planted, calibrated, places, tmp_path):
    options = ("--edits", 2, "--flank", 10, "--shuffle", "--seed", 3, "--most", 2)
    for name in ("one", "two"):
        assert run(planted, calibrated, places, tmp_path / name, *options) == 0
    for name in ("designs.fa", "designs.tsv", "trail.tsv", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    _, designs, sequences, summary = read(tmp_path / "one")
    assert len(designs) == 2 and summary["start"] == "shuffled"
    context = load_bundle(calibrated).architecture.context
    genome = EncodedGenome.open(planted.folder)
    start = DNA.decode(genome.fetch("chr1", 5000 - context, 5001 + context))
    assert sequences["design_1"] != start
    changed = abs(np.array([sequences["design_1"].count(x) - start.count(x) for x in "ACGT"])).sum()
    # Two edits change the numbers of four letters at most.
    assert changed <= 2 * 2


def test_a_beam_ends_no_lower_than_greedy(planted, calibrated, places, tmp_path):
    ends = []
    for beam in (1, 5):
        folder = tmp_path / str(beam)
        options = ("--edits", 3, "--flank", 12, "--beam", beam)
        assert run(planted, calibrated, places, folder, *options) == 0
        ends.append(read(folder)[1]["end_objective"].to_numpy())
    assert (ends[1] >= ends[0] - 1e-4).all()


def test_no_edits_leave_the_start(planted, calibrated, places, tmp_path):
    assert run(planted, calibrated, places, tmp_path / "out", "--edits", 0) == 0
    trail, designs, _, summary = read(tmp_path / "out")
    assert (designs["edits"] == 0).all() and len(trail) == 4
    assert summary["candidates_scored"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--edits", -1), "--edits: found -1"),
        (("--beam", 0), "--beam: found 0"),
        (("--protect=5:2",), "--protect: found '5:2'; expected start:end"),
        (("--protect=x",), "--protect: found 'x'"),
        (("--target", '{"promoter": "high"}'), "found class 'promoter'; expected one of donor"),
        (("--target", '{"donor": "up"}'), "found 'up' for class donor"),
        (("--sites", "none.bed"), "none.bed does not exist"),
    ],
)
def test_bad_arguments_are_named(planted, calibrated, places, tmp_path, capsys, arguments, message):
    assert run(planted, calibrated, places, tmp_path / "out", *arguments) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", "line 2: found 'chr1 5'; expected contig, start and end"),
        ("chr1\t9\t5\tx\t0\t+", "line 2: found 9-5"),
        ("chr1\t5\t6\tx\t0\t.", "line 2: found strand '.'; expected + or -"),
        ("nowhere\t5\t6\tx\t0\t+", "no contig 'nowhere'"),
        ("chr1\t999999\t1000000\tx\t0\t+", "does not lie on its contig"),
        ("", "there is none; expected at least one line"),
    ],
)
def test_bad_places_are_named(planted, calibrated, tmp_path, capsys, line, message):
    path = tmp_path / "places.bed"
    path.write_text("# a comment\n" + line + "\n")
    assert run(planted, calibrated, path, tmp_path / "out") == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
