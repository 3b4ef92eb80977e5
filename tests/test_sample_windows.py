import json
import subprocess
import sys

import pandas as pd
import pytest

import sample_windows


def run(planted, tmp_path, settings="{}", resolution=1):
    return sample_windows.main(
        [
            *planted.arguments(),
            *("--settings", settings, "--resolution", str(resolution)),
            *("--output", str(tmp_path / "w.parquet"), "--summary", str(tmp_path / "s.json")),
        ]
    )


def test_windows_of_both_parts_are_written(planted, tmp_path):
    settings = '{"length": 1000, "windows": 200, "validation_bp": 5000}'
    assert run(planted, tmp_path, settings) == 0
    windows = pd.read_parquet(tmp_path / "w.parquet")
    split = pd.read_csv(planted.split, sep="\t").set_index("part")
    for part, count in (("train", 200), ("valid", 5)):
        mine = windows[windows["part"] == part]
        assert len(mine) == count
        assert (mine["start"] >= split.loc[part, "start"]).all()
        assert (mine["start"] + mine["length"] <= split.loc[part, "end"]).all()
    summary = json.loads((tmp_path / "s.json").read_text())
    # The planted words: CAGGTAAGT around donors, TTTTTCAGG up to acceptors.
    assert summary["decoy_dinucleotides"]["acceptor"]["share_of_sites"] > 0.95
    assert summary["windows"]["valid"] == {"tile": 5}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"lenght": 5}', "sampling.lenght is unknown"),
        ('{"length": 900000}', "holds a window of 900000 bp"),
        ('{"length": 1000, "sources": {"uniform": 0.4}}', "expected 1"),
    ],
)
def test_bad_settings_are_named(planted, tmp_path, capsys, settings, message):
    assert run(planted, tmp_path, settings) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_training_part_without_sites_is_an_error(planted, tmp_path, capsys):
    import dataclasses

    table = pd.read_parquet(planted.sites)
    path = tmp_path / "sites.parquet"
    table[table["contig"] == "chr2"].to_parquet(path)
    bare = dataclasses.replace(planted, sites=path)
    out = tmp_path / "out"
    assert run(bare, out, '{"length": 1000}') == 1
    assert "holds no site" in capsys.readouterr().err
    assert not out.exists()


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "sample_windows.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "validation_bp" in done.stdout
