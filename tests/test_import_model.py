import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import calibrate_model
import import_model
import scan_genome
from custom_networks import CONTEXT, OUTPUTS, RECIPE, motif_weights, recipe_network
from genomesieve.alphabet import DNA
from genomesieve.scores import decode_scores
from planted_genome import CLASSES

CODE = f"{RECIPE}:SmallNetwork"
MODEL = {
    "preset": "custom",
    "context": CONTEXT,
    "outputs": OUTPUTS,
    "arguments": {"channels": 4},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(motif_weights(), path)
    return path


def run(weights, folder, model=None, code=CODE, classes=None, labels="exclusive", extra=()):
    return import_model.main(
        [
            *("--network-code", code, "--weights", str(weights)),
            *("--model", json.dumps(model or MODEL), "--labels", labels),
            *("--classes", json.dumps(classes or CLASSES), "--threads", "1"),
            *("--output-dir", str(folder), *extra),
        ]
    )


@pytest.fixture(scope="module")
def imported(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "seed0"
    assert run(weights, folder) == 0
    return folder


def calibrate(planted, model, folder, code=CODE):
    return calibrate_model.main(
        [
            *("--model", str(model), "--network-code", code, *planted.arguments()),
            *("--classes", json.dumps(CLASSES), "--labels", "exclusive", "--device", "cpu"),
            *("--settings", '{"precision_targets": [0.8, 0.5], "operating": 0.5}'),
            *("--threads", "1", "--output-dir", str(folder)),
        ]
    )


@pytest.fixture(scope="module")
def bundle(planted, imported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated_import") / "model"
    assert calibrate(planted, imported, folder) == 0
    return folder


def scan(planted, model, folder, *extra):
    return scan_genome.main(
        [
            *("--model", str(model), "--genome-folder", str(planted.folder), "--keep-scores"),
            *("--split", str(planted.split), "--parts", "test", "--threads", "1"),
            *("--device", "cpu", "--output-dir", str(folder), *extra),
        ]
    )


def test_same_files_as_training_writes(imported, trained):
    names = {path.name for path in imported.iterdir()}
    assert names == {path.name for path in trained.iterdir()}
    content = json.loads((imported / "model.json").read_text())
    assert content["calibration"] is None and content["training"]["imported"]
    assert content["training"]["trial"]["lengths"] == [21, 22, 23, 28]
    assert set(content["code"]) == {"sha256", "class"}
    assert (imported / "history.tsv").read_text().split() == ["step", "loss"]


def own_log_odds(codes):
    """Run the user's module by itself on codes (L,) and return log-odds (donor, acceptor; bins)."""
    network = recipe_network()(channels=4)
    network.load_state_dict(motif_weights())
    network.eval()
    padded = np.full(len(codes) + 2 * CONTEXT, 4)
    padded[CONTEXT:-CONTEXT] = codes
    x = torch.zeros(1, 5, len(padded)).scatter_(1, torch.from_numpy(padded)[None, None], 1.0)
    with torch.inference_mode():
        p = network(x[:, :4]).double().softmax(1)[0].numpy()
    return np.log(p[[2, 1]]) - np.log1p(-p[[2, 1]])


def test_scan_gives_what_the_module_gives_by_itself(planted, bundle, tmp_path):
    assert scan(planted, bundle, tmp_path / "scan", "--network-code", CODE) == 0
    found = decode_scores(np.load(tmp_path / "scan" / "scores.npy"))
    codes = np.load(planted.folder / "codes.npy")[120_000:].astype(np.int64)
    complement = np.array([*DNA.complement_codes, 4])[:5]
    expected = np.stack([own_log_odds(codes), own_log_odds(complement[codes[::-1]])[:, ::-1]])
    known = codes < 4
    # Scores are rounded to float16.
    np.testing.assert_allclose(found[..., known], expected[..., known], rtol=1e-3, atol=1e-3)
    assert np.ptp(expected[..., known]) > 5


def test_planted_sites_are_found(bundle):
    """Seven letters tell a donor from chance; the acceptor's five do less."""
    calibration = json.loads((bundle / "model.json").read_text())["calibration"]
    assert calibration["classes"]["donor"]["thresholds"][1]["reached"]


def test_scan_without_or_with_other_code_is_refused(planted, bundle, tmp_path, capsys):
    assert scan(planted, bundle, tmp_path / "out") == 1
    assert "expected --network-code" in capsys.readouterr().err
    other = tmp_path / "other.py"
    other.write_text(RECIPE.read_text().replace("torch.relu(self.pairs(x))", "self.pairs(x)"))
    assert scan(planted, bundle, tmp_path / "out", "--network-code", f"{other}:SmallNetwork") == 1
    assert "has SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_calibration_with_other_code_is_refused(planted, imported, tmp_path, capsys):
    other = tmp_path / "other.py"
    other.write_text(RECIPE.read_text() + "\n")
    assert calibrate(planted, imported, tmp_path / "out", f"{other}:SmallNetwork") == 1
    assert "import the network again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pickled_module_is_refused(tmp_path, capsys):
    torch.save(torch.nn.Conv1d(4, 3, 21), tmp_path / "module.pt")
    assert run(tmp_path / "module.pt", tmp_path / "out") == 1
    assert "refused: this pickle names" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"preset": "dilated"}}, "model.preset is 'dilated'; expected custom"),
        ({"model": MODEL | {"context": 8}}, "for context 8, resolution 1 and stride 1"),
        ({"model": MODEL | {"context": 15}}, "model.crop cuts predictions off both ends, 5 more"),
        ({"model": MODEL | {"arguments": {"channels": 5}}}, "do not fit SmallNetwork"),
        ({"model": MODEL | {"outputs": ["acceptor", "donor"]}}, "model.outputs is"),
        ({"code": f"{RECIPE}:Small"}, "no torch.nn.Module 'Small'; found SmallNetwork"),
        ({"labels": "independent", "model": MODEL | {"activation": "sigmoid"}}, "is sigmoid, but"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_written(
    weights, tmp_path, capsys, changes, message
):
    assert run(weights, tmp_path / "out", **changes) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said and not (tmp_path / "out").exists()


def test_unstranded_classes_can_be_averaged_over_strands(weights, tmp_path):
    from genomesieve.bundle import load_bundle

    classes = {name: {"stranded": False} for name in CLASSES}
    folder = tmp_path / "out"
    extra = ("--reverse-complement", "average")
    assert run(weights, folder, classes=classes, labels="independent", extra=extra) == 0
    network = load_bundle(folder, CODE).network
    x = torch.eye(4)[:, torch.randint(4, (200,), generator=torch.Generator().manual_seed(0))][None]
    # The complement of A, C, G, T is T, G, C, A.
    torch.testing.assert_close(network(x), network(x.flip(1, 2)).flip(2))


def test_published_weights_run_as_written(repository, shared_data, tmp_path):
    """OpenSpliceAI's 400 nt weights, in an architecture of ours: the scan of a real sequence."""
    import pysam

    from genomesieve.batches import one_hot
    from genomesieve.bundle import load_bundle
    from genomesieve.planning import ScanPlan
    from genomesieve.scanner import Scanner

    weights = shared_data / "openspliceai" / "arabidopsis_400nt_rs10.pt"
    if not weights.is_file():
        pytest.skip(f"published weights are not at {weights}")
    code = f"{repository / 'benchmarks' / 'networks.py'}:SpliceNetwork"
    outputs = ["background", "acceptor", "donor"]
    model = {"preset": "custom", "context": 200, "outputs": outputs, "arguments": {"context": 200}}
    assert run(weights, tmp_path / "model", model=model, code=code) == 0
    fasta = shared_data / "arabidopsis_thaliana" / "TAIR10.1_chr1.fa.gz"
    with pysam.FastaFile(str(fasta)) as file:
        sequence = file.fetch("NC_003070.9", 25_000_000, 25_020_400).upper()
    codes = DNA.encode(sequence)[None]
    bundle = load_bundle(tmp_path / "model", code)
    scanner = Scanner(bundle, ScanPlan(20_000, 1, "float32"), torch.device("cpu"))
    found = decode_scores(scanner.score(codes))[0, 0]
    expected = published_probabilities(weights, one_hot(torch.from_numpy(codes), DNA))
    # Classes are donor, acceptor; the network gives none, acceptor, donor.
    probability = 1 / (1 + np.exp(-found.astype(np.float64)))
    np.testing.assert_allclose(probability, expected[[2, 1]], atol=3e-4)
    assert expected[1].max() > 0.9 and expected[2].max() > 0.9


def published_probabilities(weights, x):
    """Compute the network of Jaganathan et al. from the file's tensors by functions alone."""
    from torch.nn.functional import batch_norm, conv1d, leaky_relu

    state = torch.load(weights, map_location="cpu", weights_only=True)

    def convolve(name, y, **settings):
        return conv1d(y, state[f"{name}.weight"], state[f"{name}.bias"], **settings)

    def norm(name, y):
        keys = ("running_mean", "running_var", "weight", "bias")
        return batch_norm(y, *(state[f"{name}.{key}"] for key in keys))

    with torch.inference_mode():
        x = convolve("initial_conv", x)
        skip = convolve("initial_skip.conv", x)
        for unit in range(10):
            name = f"residual_units.{unit}"
            if unit % 5 == 4:
                skip = skip + convolve(f"{name}.conv", x)
                continue
            y, dilation = x, 1 if unit < 5 else 4
            for half in "12":
                y = leaky_relu(norm(f"{name}.batchnorm{half}", y), 0.1)
                y = convolve(f"{name}.conv{half}", y, dilation=dilation, padding=5 * dilation)
            x = x + y
        return convolve("final_conv", skip[..., 200:-200]).softmax(1)[0].numpy()


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "import_model.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--network-code" in done.stdout
