import dataclasses
import errno
import json
import subprocess
import sys

import pandas as pd
import pytest

import sample_windows


def run(planted, tmp_path, settings="{}", resolution=1, *extra):
    return sample_windows.main(
        [
            *planted.arguments(),
            *("--settings", settings, "--resolution", str(resolution)),
            *("--output", str(tmp_path / "w.parquet"), "--summary", str(tmp_path / "s.json")),
            *extra,
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
        ('{"lenght": 5}', "did you mean 'length'"),
        ('{"length": 900000}', "holds a window of 900000 bp"),
        ('{"length": 1000, "sources": {"uniform": 0.4}}', "expected 1"),
        ('{"length": "1000"}', "sampling.length is '1000'; expected a whole number"),
        ('{"windows": 0}', "sampling.windows is 0; expected above 0"),
        ('{"sources": ["sites"]}', "sampling.sources is ['sites']; expected a table"),
        ('{"sources": {"site": 1.0}}', "sampling.sources.site: there is no such setting"),
        ('{"length": 1000, "sources": {"sites": NaN}}', "sources.sites is nan; expected 0 or more"),
        ('{"length": 1000, "sources": {"sites": -1, "uniform": 2}}', "sites is -1; expected 0 or"),
        ('{"sources": {"sites": "all"}}', "sampling.sources.sites is 'all'; expected a number"),
    ],
)
def test_bad_settings_are_named(planted, tmp_path, capsys, settings, message):
    assert run(planted, tmp_path, settings) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_site_on_a_contig_that_is_not_there_is_named(planted, tmp_path, capsys):
    sites = tmp_path / "sites.parquet"
    pd.read_parquet(planted.sites).replace({"contig": {"chr2": "chr9"}}).to_parquet(sites)
    out = tmp_path / "out"
    assert run(dataclasses.replace(planted, sites=sites), out, '{"length": 1000}') == 1
    assert "no contig 'chr9'" in capsys.readouterr().err
    assert not out.exists() or list(out.iterdir()) == []


def test_split_beyond_its_contig_is_named(planted, tmp_path, capsys):
    path = tmp_path / "split.tsv"
    pd.read_csv(planted.split, sep="\t").assign(end=10**8).to_csv(path, sep="\t", index=False)
    changed, out = dataclasses.replace(planted, split=path), tmp_path / "out"
    assert run(changed, out, '{"length": 1000}') == 1
    assert "chr1:0-100000000 does not lie on its contig" in capsys.readouterr().err
    assert not out.exists()


def test_options_that_name_different_genomes_are_an_error(planted, tmp_path, capsys):
    arguments = ["--resolution", "1", "--output", str(tmp_path / "o"), "--summary", "s"]
    given = planted.arguments()
    given[given.index("--sites") + 1] = f"other={planted.sites}"
    assert sample_windows.main([*given, *arguments]) == 1
    assert "--sites names other and --genome toy" in capsys.readouterr().err


def test_training_part_without_sites_is_an_error(planted, tmp_path, capsys):
    table = pd.read_parquet(planted.sites)
    path = tmp_path / "sites.parquet"
    table[table["contig"] == "chr2"].to_parquet(path)
    bare = dataclasses.replace(planted, sites=path)
    out = tmp_path / "out"
    assert run(bare, out, '{"length": 1000}') == 1
    assert "holds no site" in capsys.readouterr().err
    assert not out.exists()


def test_decoys_do_not_look_at_held_out_sites(planted, tmp_path):
    """Moving every site outside the training part changes neither windows nor decoy words."""
    settings = '{"length": 1000, "windows": 100, "sources": {"decoys": 1.0}}'
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert run(planted, tmp_path / "a", settings) == 0
    table = pd.read_parquet(planted.sites)
    split = pd.read_csv(planted.split, sep="\t").set_index("part")
    train = (table["contig"] == "chr1") & (table["position"] < split.loc["train", "end"])
    assert 0 < train.sum() < len(table)
    held_out = table[~train]
    places = ["position", "start", "end"]
    many = [held_out.assign(**(held_out[places] + shift)) for shift in range(3, 30)]
    path = tmp_path / "sites.parquet"
    pd.concat([table[train], *many]).to_parquet(path)
    moved = dataclasses.replace(planted, sites=path)
    assert run(moved, tmp_path / "b", settings) == 0
    first, second = (json.loads((tmp_path / key / "s.json").read_text()) for key in "ab")
    assert first["decoy_dinucleotides"] == second["decoy_dinucleotides"]
    windows = [pd.read_parquet(tmp_path / key / "w.parquet") for key in "ab"]
    mine = [table[table["part"] == "train"].drop(columns="inclusion") for table in windows]
    pd.testing.assert_frame_equal(*mine)


def test_decoys_avoid_what_counts_neither_way(planted, tmp_path):
    """A training part that is ignored from end to end has no place for a decoy."""
    settings = '{"length": 1000, "windows": 20, "sources": {"decoys": 1.0}}'
    split = pd.read_csv(planted.split, sep="\t").set_index("part")
    table = {"contig": ["chr1"], "start": [0], "end": [split.loc["train", "end"]]}
    table |= {"role": ["ignore"], "class": [""], "track": ["mask"]}
    path = tmp_path / "intervals.parquet"
    pd.DataFrame(table).to_parquet(path)
    masked, out = dataclasses.replace(planted, intervals=path), tmp_path / "out"
    assert run(masked, out, settings) == 1
    pd.DataFrame(table).assign(end=[20_000]).to_parquet(path)
    assert run(masked, out, settings) == 0
    windows = pd.read_parquet(out / "w.parquet").query("part == 'train'")
    assert len(windows) == 20 and (windows["start"] + 1000 > 20_000).all()


HARD = json.dumps({"length": 1000, "windows": 200, "sources": {"uniform": 0.7, "hard": 0.3}})


def write_negatives(path, positions, contig="chr1", genome="toy"):
    table = pd.DataFrame({"genome": genome, "contig": contig, "position": positions})
    table.assign(strand="+", score=1.0, **{"class": "donor"}).to_parquet(path)
    return ("--negatives", str(path), "--round", "2")


def test_windows_are_drawn_around_hard_negatives(planted, tmp_path):
    places = [5000, 40_000]
    extra = write_negatives(tmp_path / "n.parquet", places)
    for name, options in (("round", extra), ("first", ())):
        (tmp_path / name).mkdir()
        settings = HARD if options else '{"length": 1000, "windows": 200}'
        assert run(planted, tmp_path / name, settings, 1, *options) == 0
    first, later = (pd.read_parquet(tmp_path / name / "w.parquet") for name in ("first", "round"))
    hard = later[later["source"] == "hard"]
    covers = [(hard["start"] <= at) & (at < hard["start"] + 1000) for at in places]
    assert len(hard) == 60 and (covers[0] ^ covers[1]).all() and covers[0].any() and covers[1].any()
    # Hard windows are known to be common, so that the loss does not count them more.
    most = hard["inclusion"].map(max).min()
    assert most > 5 * later.loc[later["source"] == "uniform", "inclusion"].map(min).median()
    # The validation windows of all rounds are the same, the training windows are not.
    valid = [table[table["part"] == "valid"].reset_index(drop=True) for table in (first, later)]
    pd.testing.assert_frame_equal(*valid)
    starts = [set(table.loc[table["source"] == "uniform", "start"]) for table in (first, later)]
    assert len(starts[0] & starts[1]) < 0.2 * len(starts[1])
    summary = json.loads((tmp_path / "round" / "s.json").read_text())
    assert summary["round"] == 2 and summary["windows"]["train"]["hard"] == 60


def test_hard_negatives_outside_the_training_part_are_an_error(planted, tmp_path, capsys):
    split = pd.read_csv(planted.split, sep="\t").set_index("part")
    out = tmp_path / "out"
    cases = [
        ({"positions": [int(split.loc["valid", "start"]) + 5]}, "lies outside the training part"),
        ({"positions": [500], "contig": "chr2"}, "chr2:500 of toy lies outside the training part"),
        ({"positions": [500], "genome": "other"}, "names genome other; expected toy"),
    ]
    for wrong, message in cases:
        extra = write_negatives(tmp_path / "n.parquet", **wrong)
        assert run(planted, out, HARD, 1, *extra) == 1
        assert message in capsys.readouterr().err
    assert run(planted, out, HARD, 1) == 1
    assert "sources.hard needs --negatives" in capsys.readouterr().err
    assert not out.exists()


def test_full_disk_leaves_nothing(planted, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sample_windows, "write_json", full)
    assert run(planted, tmp_path, '{"length": 1000, "windows": 20}') == 1
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "sample_windows.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "validation_bp" in done.stdout
