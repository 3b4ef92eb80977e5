"""Downloads from a server of our own: https with a certificate that only the tests trust."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

import fetch_file
from genomesieve.downloads import download
from genomesieve.errors import InputError
from https_server import CONTENT, DIGEST, Server, serving, trust, write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the server's certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder)
    return folder


@pytest.fixture
def server(certificate, monkeypatch):
    trust(certificate, monkeypatch)
    with serving(certificate) as address:
        yield address


def fetch(url, target, digest=DIGEST):
    waited = []
    download(url, digest, target, attempts=4, wait=waited.append)
    return waited


def test_whole_file_is_fetched_by_the_script(server, tmp_path):
    target = tmp_path / "new" / "x.fa"
    arguments = ["--url", f"{server}/whole", "--sha256", DIGEST.upper(), "--output", str(target)]
    assert fetch_file.main(arguments) == 0
    assert target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    assert len(fetch(f"{server}/breaks", tmp_path / "x")) == 3
    assert (tmp_path / "x").read_bytes() == CONTENT
    starts = [int(asked.split()[1]) for asked in Server.asked]
    assert starts == [0, 1_500_000, 2_250_000, 2_625_000]


def test_server_without_ranges_starts_again(server, tmp_path):
    fetch(f"{server}/norange", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert len(Server.asked) == 4


def test_answers_that_pass_are_waited_for_longer_each_time(server, tmp_path):
    assert fetch(f"{server}/unavailable", tmp_path / "x") == [1.0, 2.0]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_download_that_never_ends_is_given_up_and_goes_on_in_the_next_run(server, tmp_path):
    target = tmp_path / "x"
    partial = tmp_path / f".x.{DIGEST[:12]}.partial"
    partial.write_bytes(CONTENT[:1000])
    with pytest.raises(InputError, match="failed 4 times: the connection ended early"):
        fetch(f"{server}/always-breaks", target)
    assert not target.exists() and partial.read_bytes() == CONTENT[:1000]
    fetch(f"{server}/whole", target)
    assert target.read_bytes() == CONTENT and Server.asked[-1] == "/whole 1000"


@pytest.mark.parametrize("begin", [b"another file", CONTENT + b"too long", CONTENT])
def test_beginning_of_another_file_does_not_stay(server, tmp_path, begin):
    (tmp_path / f".x.{DIGEST[:12]}.partial").write_bytes(begin)
    fetch(f"{server}/whole", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_other_part_than_was_asked_for_is_not_appended(server, tmp_path):
    (tmp_path / f".x.{DIGEST[:12]}.partial").write_bytes(CONTENT[:1000])
    fetch(f"{server}/whole-elsewhere", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_wrong_digest_leaves_nothing(server, tmp_path, capsys):
    url, target = f"{server}/whole", tmp_path / "x"
    assert fetch_file.main(["--url", url, "--sha256", "0" * 64, "--output", str(target)]) == 1
    assert f"has SHA-256 {DIGEST}; expected 000" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://localhost/x", "ftp://localhost/x", "file:///etc/passwd", "x"]
)
def test_only_https_is_fetched(tmp_path, url):
    with pytest.raises(InputError, match="expected https"):
        fetch(url, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_redirect_to_anything_else_is_refused(server, tmp_path, scheme):
    with pytest.raises(InputError, match="expected https|refused"):
        fetch(f"{server}/to-{scheme}", tmp_path / "x")
    assert Server.asked == [f"/to-{scheme} 0"] and list(tmp_path.iterdir()) == []


def test_redirect_to_https_is_followed(server, tmp_path):
    fetch(f"{server}/to-https", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_missing_file_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(InputError, match="is refused: 404"):
        fetch(f"{server}/missing", tmp_path / "x")
    assert len(Server.asked) == 1 and list(tmp_path.iterdir()) == []


def test_certificate_of_a_stranger_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(f"{server}/whole", tmp_path / "x")
    assert Server.asked == [] and list(tmp_path.iterdir()) == []


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "fetch_file.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--sha256" in done.stdout
