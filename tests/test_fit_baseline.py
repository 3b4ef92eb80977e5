import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer

import fit_baseline
from genomesieve.alphabet import DNA
from genomesieve.architecture import KmerSettings
from genomesieve.baselines import kmer_features
from genomesieve.batches import one_hot
from genomesieve.bundle import load_bundle
from planted_genome import ACCEPTOR, CLASSES, DONOR

UNSTRANDED = {name: {"stranded": False} for name in CLASSES}


def run(planted, folder, method, *extra, classes=CLASSES, resolution=1):
    return fit_baseline.main(
        [
            *("--method", method, *planted.arguments(), "--classes", json.dumps(classes)),
            *("--labels", "independent", "--resolution", str(resolution)),
            *("--output-dir", str(folder), *extra),
        ]
    )


def best_bases(bundle, text, row):
    """The base of a sequence that a class of a model scores highest, on the plus strand."""
    context = bundle.architecture.context
    codes = torch.from_numpy(DNA.encode("A" * context + text + "A" * context))[None]
    with torch.inference_mode():
        return int(bundle.network(one_hot(codes, DNA))[0, row].argmax())


@pytest.mark.parametrize("method", ["pwm", "kmer"])
def test_finds_the_planted_words(planted, tmp_path, method):
    assert run(planted, tmp_path / "out", method) == 0
    bundle = load_bundle(tmp_path / "out")
    flank = "".join(np.random.default_rng(1).choice(list("ACT"), 60))
    assert best_bases(bundle, flank + DONOR + flank, 0) == 60 + 2
    assert best_bases(bundle, flank + ACCEPTOR + flank, 1) == 60 + len(ACCEPTOR) - 1


def test_kmer_counts_equal_scikit_learn():
    settings = KmerSettings(k=3, edges=(-6, 0, 1, 9))
    texts = ["".join(np.random.default_rng(seed).choice(list("ACGT"), 17)) for seed in range(20)]
    codes = np.stack([DNA.encode(text) for text in texts])
    found = kmer_features(codes, settings, 4).toarray().reshape(20, 3, 64)
    words = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    counter = CountVectorizer(
        analyzer="char", ngram_range=(3, 3), lowercase=False, vocabulary=words
    )
    for segment, (start, end) in enumerate([(0, 6), (6, 7), (7, 15)]):
        parts = [text[start : end + 2] for text in texts]
        assert np.array_equal(found[:, segment], counter.transform(parts).toarray())


def test_motif_file_gives_the_matrix(planted, tmp_path):
    path = tmp_path / "motifs.jaspar"
    lines = []
    for name, word in (("donor", DONOR), ("acceptor", ACCEPTOR)):
        lines.append(f">{name}.1\t{name}")
        for letter in "ACGT":
            row = " ".join(str(97 * (base == letter) + 1) for base in word)
            lines.append(f"{letter} [ {row} ]")
    path.write_text("\n".join(lines) + "\n")
    extra = ("--motifs", str(path))
    assert run(planted, tmp_path / "out", "pwm", *extra, classes=UNSTRANDED, resolution=10) == 0
    bundle = load_bundle(tmp_path / "out")
    assert bundle.architecture.settings.both_strands
    assert "donor.1" in bundle.training["chosen"]["donor"]
    assert bundle.training["training_average_precision"]["donor"] > 0.5


def test_unstranded_matrix_needs_a_motif_file(planted, tmp_path, capsys):
    assert run(planted, tmp_path / "out", "pwm", classes=UNSTRANDED) == 1
    assert "needs --motifs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense\n", "line 1"),
        (">a b\nA [1 2]\nC [1]\nG [1 2]\nT [1 2]\n", "line 5"),
        ("", "no motif"),
    ],
)
def test_bad_motif_file_is_named(planted, tmp_path, capsys, text, message):
    path = tmp_path / "motifs.jaspar"
    path.write_text(text)
    assert run(planted, tmp_path / "out", "pwm", "--motifs", str(path), classes=UNSTRANDED) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"k": 0}', "kmer.k is 0; expected 1 to 8"),
        ('{"k": "x"}', "kmer.k is 'x'; expected 1 to 8"),
        ('{"edges": []}', "kmer.edges is []; expected two or more, ascending"),
        ('{"edges": ["a", "b"]}', "kmer.edges is ['a', 'b']; expected whole numbers"),
        ('{"negatives": 0}', "kmer.negatives is 0; expected above 0"),
        ('{"window": 0}', "kmer.window is 0; expected above 0"),
        ('{"bases": "x"}', "kmer.bases is 'x'; expected a whole number"),
    ],
)
def test_bad_settings_are_named(planted, tmp_path, capsys, settings, message):
    assert run(planted, tmp_path / "out", "kmer", "--settings", settings) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unknown_setting_is_named(planted, tmp_path, capsys):
    assert run(planted, tmp_path / "out", "kmer", "--settings", '{"kay": 3}') == 1
    assert "kmer.kay: there is no such setting" in capsys.readouterr().err


def test_regularisation_is_the_best_on_the_validation_part(planted, tmp_path):
    scores = {}
    for values in ([1e-6], [0.1], [1e-6, 0.1]):
        folder = tmp_path / str(len(scores))
        assert run(planted, folder, "kmer", "--settings", f'{{"regularisation": {values}}}') == 0
        history = load_bundle(folder).history.set_index("class")
        scores[tuple(values)] = history["validation_average_precision"]
    chosen = load_bundle(folder).training["chosen"]
    assert scores[0.1,]["donor"] > 10 * scores[1e-6,]["donor"]
    for name in ("donor", "acceptor"):
        alone = {value: scores[value,][name] for value in (1e-6, 0.1)}
        assert chosen[name] == max(alone, key=alone.get)


@pytest.mark.parametrize("values", ["[]", "[0.1, -1]"])
def test_regularisation_that_cannot_be_is_named(planted, tmp_path, capsys, values):
    settings = f'{{"regularisation": {values}}}'
    assert run(planted, tmp_path / "out", "kmer", "--settings", settings) == 1
    assert "expected one or more values above 0" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "fit_baseline.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--method" in done.stdout
