import json
import subprocess
import sys

import pandas as pd
import pytest

import augment_windows


@pytest.fixture
def sampled(tmp_path):
    rows = [
        ("g", "a", at, 10, part, "uniform", "+", False, [1.0, 2.0])
        for at, part in enumerate(["train", "train", "valid"])
    ]
    columns = "genome contig start length part source strand augmented inclusion".split()
    path = tmp_path / "sampled.parquet"
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    return path


def run(sampled, stranded, mode="augment"):
    return augment_windows.main(
        [
            *("--windows", str(sampled), "--stranded", stranded, "--reverse-complement", mode),
            *("--output", str(sampled.parent / "out.parquet")),
            *("--summary", str(sampled.parent / "out.json")),
        ]
    )


def test_stranded_windows_have_a_twin_in_every_part(sampled):
    assert run(sampled, "true") == 0
    table = pd.read_parquet(sampled.parent / "out.parquet")
    assert table.groupby(["part", "strand"]).size().to_dict() == {
        ("train", "+"): 2,
        ("train", "-"): 2,
        ("valid", "+"): 1,
        ("valid", "-"): 1,
    }
    assert not table["augmented"].any()


def test_unstranded_twins_are_marked_and_only_for_training(sampled):
    assert run(sampled, "false") == 0
    table = pd.read_parquet(sampled.parent / "out.parquet")
    minus = table[table["strand"] == "-"]
    assert set(minus["part"]) == {"train"} and minus["augmented"].all() and len(minus) == 2
    assert json.loads((sampled.parent / "out.json").read_text())["augmented"] == 2


def test_averaging_needs_no_twins(sampled):
    assert run(sampled, "false", "average") == 0
    assert len(pd.read_parquet(sampled.parent / "out.parquet")) == 3


def test_augmenting_twice_is_an_error(sampled, capsys):
    assert run(sampled, "true") == 0
    (sampled.parent / "out.parquet").rename(sampled)
    assert run(sampled, "true") == 1
    assert "expected windows that were not augmented" in capsys.readouterr().err
    assert not (sampled.parent / "out.parquet").exists()


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "augment_windows.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--stranded" in done.stdout
