"""The GPU's benchmark runs on a CPU in a small setting, with the tensor half alone."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

PROGRAM = """
import runpy, sys
for name in ("pysam", "pybedtools", "snakemake", "pyfaidx", "tangermeme", "selene_sdk"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def packing(repository):
    """The module benchmarks/packed_codes.py."""
    path = repository / "benchmarks" / "packed_codes.py"
    spec = importlib.util.spec_from_file_location("packed_codes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["packed_codes"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["packed_codes"]


@pytest.mark.parametrize("length", [0, 1, 4, 1003])
def test_packed_codes_come_back(packing, tmp_path, length):
    codes = np.random.default_rng(0).choice([0, 1, 2, 3, 4, 4, 4], length).astype(np.uint8)
    content = packing.pack(codes)
    assert len(content.packed) == -(-length // 4)
    assert np.array_equal(packing.unpack(content), codes)
    np.save(tmp_path / "codes.npy", codes)
    assert np.array_equal(packing.read_codes(tmp_path / "codes.npy"), codes)


def test_fasta_is_packed_by_the_program(packing, repository, tmp_path):
    (tmp_path / "a.fa").write_text(">one\nACGTN\nnnacg\n>two\nTTTT\n")
    script = repository / "benchmarks" / "packed_codes.py"
    subprocess.run([sys.executable, script, tmp_path / "a.fa", tmp_path / "a.npz"], check=True)
    expected = [0, 1, 2, 3, 4, 4, 4, 0, 1, 2, 3, 3, 3, 3]
    assert packing.read_codes(tmp_path / "a.npz").tolist() == expected


@pytest.mark.slow
def test_everything_runs_small_and_saves_nothing(packing, repository, tmp_path):
    codes = np.random.default_rng(1).integers(0, 4, 7000).astype(np.uint8)
    codes[:50] = codes[3000:3100] = 4
    content = packing.pack(codes)
    np.savez(
        tmp_path / "some.npz", packed=content.packed, bases=content.bases, unknown=content.unknown
    )
    results = repository / "benchmarks" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, str(repository / "benchmarks" / "gpu.py")),
            *("--quick", "--device", "cpu", "--codes", str(tmp_path / "some.npz")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in results.iterdir()} == before
    for what in ("(a) residual network", "(b) window model", "(c) dilated, 128 channels"):
        assert f"\n{what}" in done.stdout
    for what in ("scan rate", "device time of a pass", "share of the matrix rate", "(d) training"):
        assert what in done.stdout
    assert "float32 0.0001 (found 0)" in done.stdout and "cut for time" not in done.stdout
    assert "sequence: some.npz, 7000 bases" in done.stdout and "not saved" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "error: device cuda was asked for"),
        (["--device", "cpu"], "error: a CPU runs this with"),
    ],
)
def test_a_machine_without_gpu_is_told_so(repository, options, message):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    command = [sys.executable, repository / "benchmarks" / "gpu.py", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(message)


def test_results_of_a_gpu_stand_in_the_tables(repository, tmp_path, monkeypatch):
    folder = repository / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    import measuring
    import run_all

    monkeypatch.setattr(measuring, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    row = measuring.Row("scan", "time", "s", 3.0, None, "", None, "<= 4 s", True, "1e-4")
    measuring.write_results("gpu", [row], {}, {}, {"gpu": "Some GPU"})
    assert json.loads((tmp_path / "results/gpu.json").read_text())["rows"][0]["met"] is True
    (line,) = run_all.summary_rows()
    assert line["machine"] == "Some GPU" and "| 3 |" in run_all.table([line])
