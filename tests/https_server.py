"""A server on this machine: https with a certificate that only the tests trust."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CONTENT = np.random.default_rng(0).bytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT in the manner that the path names; remembers the ranges asked for."""

    asked: list[str] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = len(self.asked)
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(f"{self.path} {start}")
        kind = self.path.strip("/")
        if kind == "unavailable" and number < 2:
            return self.answer(503, b"")
        if kind.startswith("to-"):
            scheme = kind.removeprefix("to-")
            place = f"{scheme}://localhost:{self.server.server_port}/whole"
            return self.answer(302, b"", Location=place)
        if kind == "missing":
            return self.answer(404, b"")
        if kind in ("norange", "whole-elsewhere"):
            start = 0
        if start >= len(CONTENT):
            return self.answer(416, b"")
        sent = CONTENT[start:]
        status = 206 if "Range" in self.headers and kind != "norange" else 200
        ranges = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        cut = len(sent) // 2 if kind in ("breaks", "norange") and number < 3 else len(sent)
        if kind == "always-breaks":
            cut = 0
        self.answer(status, sent, cut, **(ranges if status == 206 else {}))

    def answer(self, status, body, cut=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        # What is cut ends the connection before the length that was promised.
        self.close_connection = cut is not None

    def log_message(self, *_):
        pass


def write_certificate(folder: Path) -> None:
    """Write the server's key and certificate."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve with the certificate in a folder; yield the address."""
    Server.asked = []
    with http.server.ThreadingHTTPServer(("localhost", 0), Server) as one:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        one.socket = context.wrap_socket(one.socket, server_side=True)
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://localhost:{one.server_port}"
        finally:
            one.shutdown()
            thread.join()


def trust(folder: Path, monkeypatch) -> None:
    """Let downloads trust the certificate in a folder, and go to it directly."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
