import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import harvest_negatives
from genomesieve.alphabet import DNA
from genomesieve.batches import one_hot
from genomesieve.bundle import load_bundle
from genomesieve.networks import log_odds
from planted_genome import CLASSES


def run(planted, model, folder, settings="{}", classes=CLASSES, **changed):
    options = {
        "--model": str(model),
        "--classes": json.dumps(classes),
        "--settings": settings,
        "--threads": "1",
        "--device": "cpu",
        "--precision": "float32",
        "--output": str(folder / "negatives.parquet"),
        "--summary": str(folder / "summary.json"),
    } | changed
    return harvest_negatives.main(
        [*planted.arguments(), *(item for pair in options.items() for item in pair)]
    )


@pytest.fixture(scope="module")
def harvested(planted, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("harvest")
    assert run(planted, trained, folder, '{"most": 60, "min_distance": 30}') == 0
    return folder


def plain_scores(planted, trained):
    """Log-odds of every base of chr1, by the network as it is: (strand, class) -> array."""
    bundle = load_bundle(trained)
    codes = np.load(planted.folder / "codes.npy")[:120_000]
    result = {}
    for strand, one in (("+", codes), ("-", DNA.reverse_complement(codes))):
        flank = np.full(bundle.architecture.context, DNA.unknown, dtype=np.uint8)
        padded = torch.from_numpy(np.concatenate([flank, one, flank]))[None]
        with torch.inference_mode():
            scores = log_odds(bundle.network(one_hot(padded, DNA)), bundle.labels)[0].numpy()
        scores = scores if strand == "+" else scores[:, ::-1]
        result |= {(strand, name): scores[row] for row, name in enumerate(bundle.classes)}
    return result


def test_the_best_places_of_the_training_part_are_harvested(planted, trained, harvested):
    table = pd.read_parquet(harvested / "negatives.parquet")
    assert list(table.columns) == ["genome", "contig", "position", "strand", "class", "score"]
    scores, sites = plain_scores(planted, trained), pd.read_parquet(planted.sites)
    end = int(pd.read_csv(planted.split, sep="\t").set_index("part").loc["train", "end"])
    for name in CLASSES:
        rows = []
        for strand in "+-":
            mine = sites[(sites["class"] == name) & (sites["strand"] == strand)]
            near = mine.loc[mine["contig"] == "chr1", "position"].to_numpy()
            for place in np.argsort(-scores[strand, name][:end])[:20_000]:
                if np.abs(near - place).min() >= 30:
                    rows.append((scores[strand, name][place], strand, place))
        taken = []
        for score, strand, place in sorted(rows, reverse=True):
            if all(side != strand or abs(at - place) >= 30 for _, side, at in taken):
                taken.append((score, strand, place))
            if len(taken) == 60:
                break
        found = table[table["class"] == name]
        assert found["score"].to_numpy() == pytest.approx([row[0] for row in taken], abs=0.01)
        both = {row[1:] for row in taken} & set(zip(found["strand"], found["position"]))
        # Scores are rounded to float16: the order of near equals may differ.
        assert len(both) >= 57


def test_nothing_but_the_training_part_is_harvested(planted, harvested):
    table = pd.read_parquet(harvested / "negatives.parquet")
    end = int(pd.read_csv(planted.split, sep="\t").set_index("part").loc["train", "end"])
    assert set(table["contig"]) == {"chr1"} and (table["position"] < end).all()
    summary = json.loads((harvested / "summary.json").read_text())
    assert {name: item["places"] for name, item in summary["classes"].items()} == {
        "donor": 60,
        "acceptor": 60,
    }
    assert summary["settings"] == {"most": 60, "min_distance": 30}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"most": 0}', "hard_negatives.most is 0; expected above 0"),
        ('{"mots": 5}', "did you mean 'most'"),
        ('{"min_distance": "near"}', "hard_negatives.min_distance is 'near'; expected a whole"),
        ('{"min_distance": 200000}', "holds no place that could be a hard negative"),
    ],
)
def test_bad_settings_are_named(planted, trained, tmp_path, capsys, settings, message):
    assert run(planted, trained, tmp_path / "out", settings) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_classes_are_refused(planted, trained, tmp_path, capsys):
    classes = {"ctcf": {"stranded": True}}
    assert run(planted, trained, tmp_path / "out", classes=classes) == 1
    assert "expected ctcf" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "harvest_negatives.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--settings" in done.stdout
