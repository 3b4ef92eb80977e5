import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fetch_package

CONTENT = b"not really a wheel"
DIGEST = "c0ffee"


def run(tmp_path, monkeypatch, digest, code=0):
    """Fetch with a pip that leaves a known file behind."""

    def pip(command, **_):
        assert "--no-deps" in command and command[-1] == "thing==1.0"
        folder = Path(command[command.index("--dest") + 1])
        if code == 0:
            (folder / "thing-1.0-py3-none-any.whl").write_bytes(CONTENT)
        return SimpleNamespace(returncode=code, stderr="ERROR: no matching distribution")

    monkeypatch.setattr(fetch_package.subprocess, "run", pip)
    output = tmp_path / "out" / "thing.whl"
    options = ["--package", "thing", "--version", "1.0", "--sha256", digest]
    return fetch_package.main([*options, "--output", str(output)]), output


def test_wheel_with_the_right_digest_is_kept(tmp_path, monkeypatch):
    import hashlib

    code, output = run(tmp_path, monkeypatch, hashlib.sha256(CONTENT).hexdigest())
    assert code == 0 and output.read_bytes() == CONTENT


def test_wrong_digest_leaves_nothing(tmp_path, monkeypatch, capsys):
    code, output = run(tmp_path, monkeypatch, DIGEST)
    assert code == 1 and not output.exists()
    assert "expected c0ffee" in capsys.readouterr().err


def test_failed_download_says_why(tmp_path, monkeypatch, capsys):
    code, output = run(tmp_path, monkeypatch, DIGEST, code=1)
    assert code == 1 and not output.exists()
    assert "no matching distribution" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "fetch_package.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--sha256" in done.stdout
