import hashlib
import json

import pytest

import record_provenance


@pytest.fixture
def results(tmp_path):
    """Finished results of a tiny screen, as the other scripts leave them."""
    fasta, sites = tmp_path / "toy.fa", tmp_path / "sites.bed"
    fasta.write_text(">a\nACGT\n")
    sites.write_text("a\t1\t2\n")
    digest = hashlib.sha256(fasta.read_bytes()).hexdigest()
    write = {
        "genome.json": {"genome": "toy", "sha256": "c0de", "fasta_sha256": digest},
        "sites.json": {"files_sha256": {str(sites): hashlib.sha256(b"a\t1\t2\n").hexdigest()}},
        "model/model.json": {"training": {"seed": 7}, "scan_plan": {"precision": "float32"}},
        "scan/summary.json": {"genome_sha256": "c0de", "shards": 2, "seconds": 1.5},
    }
    for name, content in write.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "model/model.safetensors").write_bytes(b"weights")
    for name in ("calls.bed.gz", "histograms.npz"):
        (tmp_path / "scan" / name).write_bytes(name.encode())
    timed = tmp_path / "times" / "train_model" / "seed0.tsv"
    timed.parent.mkdir(parents=True)
    timed.write_text("s\th:m:s\tmax_rss\n61.5\t0:01:01\t-\n")
    return tmp_path


def record(folder) -> int:
    return record_provenance.main(
        [
            *("--screen", "toy", "--settings", '{"seeds": [7]}', "--code", '{"a.py": "1f"}'),
            *("--fasta", f"toy={folder / 'toy.fa'}", "--sites-summary", f"toy={folder}/sites.json"),
            *("--genome-summary", f"toy={folder}/genome.json", "--model", f"{folder}/model"),
            *("--scan", f"toy={folder}/scan", "--time-logs", f"{folder}/times"),
            *("--output", f"{folder}/provenance.json"),
        ]
    )


def test_everything_that_results_were_made_from_is_named(results):
    assert record(results) == 0
    found = json.loads((results / "provenance.json").read_text())
    inputs = {name.rsplit("/", 1)[1]: item for name, item in found["inputs"].items()}
    for name in ("toy.fa", "sites.bed"):
        content = (results / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert inputs[name] == {"sha256": digest, "bytes": len(content)}
    assert found["genomes"] == {"toy": "c0de"}
    assert found["model"]["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert found["model"]["training"] == {"seed": 7}
    assert found["scans"]["toy"]["calls_sha256"] == hashlib.sha256(b"calls.bed.gz").hexdigest()
    assert found["settings"] == {"seeds": [7]} and found["code"] == {"a.py": "1f"}
    assert found["jobs"] == {"train_model/seed0": {"seconds": 61.5}}


@pytest.mark.parametrize("name", ["toy.fa", "sites.bed"])
def test_an_input_that_changed_since_is_an_error(results, capsys, name):
    """Its time says nothing: copies and synchronised folders keep old ones."""
    (results / name).write_text("another\n")
    assert record(results) == 1
    message = capsys.readouterr().err
    assert name in message and "it was" in message
    assert not (results / "provenance.json").exists()
