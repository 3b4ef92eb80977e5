"""Downloads over https: resumed where they broke off, tried again, checked by their digest."""

from __future__ import annotations

import errno
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from genomesieve.errors import InputError
from genomesieve.files import file_digest, whole_file

ATTEMPTS = 6
"""Tries in a row that bring nothing new before a download is given up."""

_BLOCK = 1 << 20
_TIMEOUT = 60
_FIRST_WAIT = 1.0
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Answers below 500 that another try may change."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https alone."""

    def redirect_request(self, request, file, code, message, headers, url):
        """Refuse a place that is not https."""
        require_https(url)
        return super().redirect_request(request, file, code, message, headers, url)


def require_https(url: str) -> None:
    """Raise InputError unless a URL is https with a host."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(f"download {url}: found {parts.scheme or 'no scheme'}; expected https")


def download(
    url: str,
    sha256: str,
    target: Path,
    attempts: int = ATTEMPTS,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Download a file; it takes its name once its digest is right.

    What has come stays beside it as `.{name}.{digest}.partial` when the connection breaks or the
    program ends, and the next call goes on from there where the server can.

    Parameters
    ----------
    url : str
        https; certificates are checked against the system's, or against SSL_CERT_FILE.
    sha256 : str
        Digest of the whole file, hexadecimal.
    target : Path
    attempts : int
        Tries in a row that bring nothing new.
    wait : callable
        Sleeps so many seconds between tries; they double each time.

    Raises
    ------
    InputError
        If the URL is not https, the server refuses, the connection fails again and again, or the
        content has another digest.
    """
    require_https(url)
    wanted = sha256.lower()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{wanted[:12]}.partial")
    begun = partial.exists()
    _fetch_all(url, partial, attempts, wait)
    if begun and file_digest(partial) != wanted:
        # The beginning may be of another file than the rest: once more, from nothing.
        partial.unlink()
        _fetch_all(url, partial, attempts, wait)
    found = file_digest(partial)
    if found != wanted:
        partial.unlink()
        raise InputError(f"download {url} has SHA-256 {found}; expected {wanted}")
    with whole_file(target) as temporary:
        partial.replace(temporary)


def _fetch_all(url: str, partial: Path, attempts: int, wait: Callable[[float], None]) -> None:
    """Fetch until nothing is missing, from where the partial file ends."""
    failed = 0
    while True:
        before = _size(partial)
        try:
            if _fetch(url, partial):
                return
            error: Exception = EOFError("the connection ended early")
        except (OSError, EOFError, http.client.HTTPException) as problem:
            if getattr(problem, "code", 0) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                return  # there is no more than what has come; its digest decides
            _stop_if_final(url, problem)
            error = problem
        failed = 1 if _size(partial) > before else failed + 1
        if failed >= attempts:
            raise InputError(
                f"download {url} failed {failed} times: {error}. What has come is kept; the next "
                "run goes on from there"
            ) from error
        wait(_FIRST_WAIT * 2 ** (failed - 1))


def _fetch(url: str, partial: Path) -> bool:
    """Append what is missing to a partial file; tell whether it is complete."""
    held = _size(partial)
    # Compressed content would have another length and digest.
    headers = {"Accept-Encoding": "identity", "User-Agent": "genomesieve"}
    if held:
        headers["Range"] = f"bytes={held}-"
    with _opener().open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:
        resumed = answer.status == HTTPStatus.PARTIAL_CONTENT
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            partial.unlink()
            raise EOFError("the server answered with another part than was asked for")
        length = answer.headers.get("Content-Length", "")
        with partial.open("ab" if resumed else "wb") as file:
            received = 0
            while block := answer.read(_BLOCK):
                file.write(block)
                received += len(block)
    return not length.isdecimal() or received == int(length)


def _stop_if_final(url: str, error: Exception) -> None:
    """Raise InputError for what another try will not change."""
    reason = getattr(error, "reason", None)
    if getattr(error, "errno", None) in _OF_THE_DISK:
        raise InputError(f"download {url} cannot be written: {error}") from error
    if isinstance(error, urllib.error.HTTPError):
        code = error.code
        final = code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in _PASSING
        reason = f"{code} {error.reason}"
    else:
        final = isinstance(reason, ssl.SSLCertVerificationError)
    if final:
        raise InputError(f"download {url} is refused: {reason}") from error


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for https alone: no file, no ftp, no http."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _SafeRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
