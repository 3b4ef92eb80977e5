import errno
import json
import subprocess
import sys

import pandas as pd
import pytest

import split_genome

PARTS = ["train", "valid", "calibrate", "test"]
LISTS = {part: [f"a:{at * 1000}-{at * 1000 + 1000}"] for at, part in enumerate(PARTS)}


@pytest.fixture
def genome(tmp_path):
    folder = tmp_path / "genome"
    folder.mkdir()
    table = pd.DataFrame(
        {"contig": ["a", "b", "c"], "length": [10_000, 500, 300], "offset": [0, 10_000, 10_500]}
    )
    table.to_csv(folder / "contigs.tsv", sep="\t", index=False)
    return folder


def run(genome, settings, regions="[]", guard=100, *extra):
    out = genome.parent
    return split_genome.main(
        [
            *("--genome", "toy", "--genome-folder", str(genome), "--regions", regions),
            *("--settings", json.dumps(settings), "--guard", str(guard), "--resolution", "1"),
            *("--output", str(out / "split.tsv"), "--summary", str(out / "split.json"), *extra),
        ]
    )


def read(genome):
    return pd.read_csv(genome.parent / "split.tsv", sep="\t")


def smallest_gap(split):
    gaps = []
    for _, mine in split.sort_values("start").groupby("contig"):
        rows = list(mine.itertuples())
        gaps += [b.start - a.end for a, b in zip(rows, rows[1:]) if a.part != b.part]
    return min(gaps)


def test_lists_are_followed_with_guards(genome):
    assert run(genome, {"contigs": LISTS}) == 0
    split = read(genome)
    assert sorted(split["part"]) == sorted(PARTS)
    assert smallest_gap(split) >= 100
    for row in split.itertuples():
        low, high = map(int, LISTS[row.part][0].split(":")[1].split("-"))
        assert low <= row.start < row.end <= high


@pytest.mark.parametrize("block", [100, 500, None])
def test_fractions_of_one_contig_become_blocks(genome, block):
    settings = {"fractions": dict(zip(PARTS, [0.5, 0.2, 0.1, 0.2]))}
    settings |= {"block": block} if block else {}
    assert run(genome, settings, '["a"]', 10) == 0
    split = read(genome)
    sizes = (split["end"] - split["start"]).groupby(split["part"]).sum()
    assert sizes["train"] > sizes["calibrate"]
    assert smallest_gap(split) >= 10


def test_screened_genome_has_one_part(genome):
    assert run(genome, {}, '["a:10-60", "c"]', 100, "--screen-only") == 0
    split = read(genome)
    assert split.to_numpy().tolist() == [["a", 10, 60, "screen"], ["c", 0, 300, "screen"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contigs": {**LISTS, "test": ["d"]}}, "no contig 'd'"),
        ({"contigs": {**LISTS, "test": []}}, "contigs.test"),
        ({"contigs": {**LISTS, "tset": ["b"]}}, "tset"),
        ({"contigs": {**LISTS, "test": ["a:500-4000"]}}, "overlap"),
        ({"contigs": {**LISTS, "test": ["a:9000-11000"]}}, "11000"),
        ({"fractions": {"train": 0.5, "valid": 0.5}}, "calibrate"),
        ({"fractions": dict(zip(PARTS, [0.5, 0.5, 0.5, 0.5]))}, "expected"),
        ({"fracs": {}}, "fracs"),
    ],
)
def test_bad_settings_are_named(genome, capsys, settings, message):
    assert run(genome, settings) == 1
    assert message in capsys.readouterr().err
    assert not (genome.parent / "split.tsv").exists()


def test_part_that_guards_eat_up_is_an_error(genome, capsys):
    assert run(genome, {"contigs": LISTS}, "[]", 2500) == 1
    error = capsys.readouterr().err
    assert "guard" in error and "2500" in error
    assert not list(genome.parent.glob("split.*"))


@pytest.mark.parametrize(
    ("position", "message"),
    [(200, "all 2 sites lie in part train; expected sites in"), (9990, "no site lies in any part")],
)
def test_all_sites_in_one_part_is_an_error(genome, capsys, position, message):
    path = genome.parent / "sites.parquet"
    sites = pd.DataFrame(
        {
            "contig": ["a", "a"],
            "position": [position, position + 1],
            "start": [position, position + 1],
            "end": [position + 1, position + 2],
            "strand": ["+", "+"],
            "class": ["x", "x"],
        }
    )
    sites.to_parquet(path)
    assert run(genome, {"contigs": LISTS}, "[]", 10, "--sites", str(path)) == 1
    assert message in capsys.readouterr().err
    assert not list(genome.parent.glob("split.*"))


def test_full_disk_leaves_nothing(genome, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(split_genome, "write_json", full)
    assert run(genome, {"contigs": LISTS}) == 1
    assert "No space left" in capsys.readouterr().err
    assert not list(genome.parent.glob("split.*")) and not list(genome.parent.glob(".part*"))


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "split_genome.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--guard" in done.stdout


def bases(split, part):
    mine = split[split["part"] == part]
    return {(row.contig, at) for row in mine.itertuples() for at in range(row.start, row.end)}


@pytest.mark.parametrize("how", [{"contigs": LISTS}, {"fractions": dict.fromkeys(PARTS, 0.25)}])
def test_a_share_of_the_training_part_is_used_and_the_rest_is_in_no_part(genome, how):
    """Shares are of whole blocks, each within the next larger one; other parts stay."""
    assert run(genome, how) == 0
    whole = read(genome)
    before, kept = bases(whole, "train"), set()
    for share in (0.1, 0.3, 0.6, 1.0):
        settings = how | {"train_share": share, "train_block": 20, "train_seed": 5}
        assert run(genome, settings) == 0
        split = read(genome)
        assert (
            split[split["part"] != "train"]
            .reset_index(drop=True)
            .equals(whole[whole["part"] != "train"].reset_index(drop=True))
        )
        mine = bases(split, "train")
        assert kept < mine <= before
        assert abs(len(mine) - share * len(before)) <= 20
        summary = json.loads((genome.parent / "split.json").read_text())
        assert summary["dropped_bp"]["train_share"] == len(before) - len(mine)
        assert (summary["train_share"], summary["train_block"]) == (share, 20)
        kept = mine
    assert kept == before


def test_the_seed_chooses_the_share(genome):
    found = []
    for seed in (0, 0, 1):
        settings = {"contigs": LISTS, "train_share": 0.2, "train_block": 20, "train_seed": seed}
        assert run(genome, settings) == 0
        found.append(bases(read(genome), "train"))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_share": 0}, "train_share: found 0; expected above 0 and at most 1"),
        ({"train_share": True}, "train_share: found True"),
        ({"train_share": 0.5, "train_block": 0}, "train_block: found 0; expected 1 or more"),
        ({"train_share": 0.5, "train_seed": -1}, "train_seed: found -1; expected 0 or more"),
        (
            {"train_share": 0.01, "train_block": 100},
            "train_share: 0.01 of 1000 bp is less than half a block of 100 bp",
        ),
    ],
)
def test_shares_that_cannot_be_are_named(genome, capsys, settings, message):
    assert run(genome, {"contigs": LISTS} | settings) == 1
    assert message in capsys.readouterr().err
    assert not (genome.parent / "split.tsv").exists()
