import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import audit_leakage
from genomesieve.alphabet import DNA


@pytest.fixture
def genome(tmp_path):
    """Sites 0-3: copied from training sequence, its reverse complement, half of it, and new."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, 4000, dtype=np.uint8)
    codes[2000:2300] = codes[100:400]
    codes[2500:2800] = DNA.reverse_complement(codes[500:800])
    codes[3000:3100] = codes[900:1000]
    folder = tmp_path / "genome"
    folder.mkdir()
    np.save(folder / "codes.npy", codes)
    pd.DataFrame({"contig": ["a"], "length": [4000], "offset": [0]}).to_csv(
        folder / "contigs.tsv", sep="\t", index=False
    )
    pd.DataFrame(
        [("a", 0, 1500, "train"), ("a", 1700, 4000, "test")],
        columns=["contig", "start", "end", "part"],
    ).to_csv(tmp_path / "split.tsv", sep="\t", index=False)
    positions = [2150, 2650, 3099, 3600]
    pd.DataFrame(
        {
            "contig": "a",
            "position": positions,
            "start": positions,
            "end": np.array(positions) + 1,
            "strand": "+",
            "class": "x",
            "track": "t",
            "batch": "",
        }
    ).to_parquet(tmp_path / "sites.parquet")
    return folder


def run(genome, *extra):
    out = genome.parent
    return audit_leakage.main(
        [
            *("--train", f"toy={genome}", "--train-split", f"toy={out / 'split.tsv'}"),
            *("--genome", "toy", "--genome-folder", str(genome)),
            *("--split", str(out / "split.tsv"), "--sites", str(out / "sites.parquet")),
            *("--output", str(out / "leak.parquet"), "--summary", str(out / "leak.json"), *extra),
        ]
    )


def naive(genome, position):
    """Share of 21-mers of +-100 bp that the training part holds on either strand."""
    text = DNA.decode(np.load(genome / "codes.npy"))
    flip = str.maketrans("ACGT", "TGCA")
    known = set()
    for at in range(1500 - 20):
        word = text[at : at + 21]
        known |= {word, word.translate(flip)[::-1]}
    around = text[position - 100 : position + 101]
    words = [around[at : at + 21] for at in range(len(around) - 20)]
    return sum(word in known for word in words) / len(words)


def test_shares_equal_a_search_with_sets(genome):
    assert run(genome) == 0
    table = pd.read_parquet(genome.parent / "leak.parquet")
    expected = [naive(genome, position) for position in table["position"]]
    assert table["shared"].to_numpy() == pytest.approx(expected)
    assert table["leaked"].tolist() == [True, True, False, False]
    assert 0 < table["shared"][2] < 0.5


def test_missing_split_is_an_error(genome, capsys):
    (genome.parent / "split.tsv").unlink()
    assert run(genome) == 1
    assert "does not exist" in capsys.readouterr().err
    assert not (genome.parent / "leak.parquet").exists()


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "audit_leakage.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--flank" in done.stdout
