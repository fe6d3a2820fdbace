"""Fetch a file over HTTPS, going on where an earlier attempt stopped."""

import json
import re
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from utils.files import write_json
from utils.progress import ByteProgress

CHUNK = 1 << 16
SECONDS_OF_SILENCE = 30.0
PAUSES = (1.0, 4.0, 15.0)  # seconds before another attempt
BUSY = {408, 425, 429, 500, 502, 503, 504}
THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


class TransferError(Exception):
    """A file cannot be had from an address; the message says why."""


class Unreachable(TransferError):
    """Nobody answers there."""


class _Interrupted(TransferError):
    """Another attempt may do better."""


class _OnlySafeRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            _check_address(newurl, local=_is_local(req.full_url))
        except TransferError as error:
            fp.close()
            raise TransferError(f"it redirects: {error}") from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, part: Path, name: str) -> bool:
    """Fetch ``url`` into ``part``, and say whether it was pieced together from several attempts.

    What is there of an earlier call is continued, unless the server says that its file is another one now. After an
    error ``part`` stays for the next call, with its origin beside it in ``<part>.json``. ``name`` is for the progress.

    Raises:
        TransferError: the address does not serve the file, or the connection broke too often.
        Unreachable: there is no connection at all.
        OSError: ``part`` cannot be written.
    """
    _check_address(url, local=True)
    longest, failures, patience = _size(part), 0, 1
    while True:
        try:
            return _attempt(url, part, name) > 0
        except (_Interrupted, Unreachable) as error:
            if isinstance(error, _Interrupted):
                patience = len(PAUSES)  # someone was there; a machine without network is told so sooner
            if _size(part) > longest:
                longest, failures = _size(part), 0
            if failures >= patience:
                raise
            time.sleep(PAUSES[failures])
            failures += 1


def discard(part: Path) -> None:
    """Forget a partial file and where it came from."""
    part.unlink(missing_ok=True)
    _origin(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, name: str) -> int:
    """Fetch what is missing of ``part``, or all of it; the number of bytes that were there and stayed."""
    have, validator = _continuation(url, part)
    headers = {"User-Agent": "calf", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    if have and validator:
        headers["If-Range"] = validator
    try:
        response = _open(Request(url, headers=headers))
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:
            discard(part)
            return _attempt(url, part, name)
        kind = _Interrupted if error.code in BUSY else TransferError
        raise kind(f"it answers {error.code} {error.reason}") from None
    with response:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TransferError("it sends the file compressed, which was not asked for")
        if response.status == 206:
            start, total = _content_range(response.headers)
        else:  # the whole file: nothing was there, the file has changed, or the server cannot continue
            start, total = 0, _whole_number(response.headers.get("Content-Length"))
        if start not in (0, have):
            discard(part)
            raise _Interrupted("it answers with another part of the file than it was asked for")
        if start == 0:
            discard(part)
            part.parent.mkdir(parents=True, exist_ok=True)
            write_json(_origin(part), {"url": url, "validator": _validator(response.headers)})
        with part.open("ab") as file, ByteProgress(name, total, start) as progress:
            for chunk in _body(response):
                file.write(chunk)
                progress.add(len(chunk))
    if total is not None and _size(part) < total:
        raise _Interrupted(f"the connection ended after {_size(part):,} of {total:,} bytes")
    return start


def _body(response: HTTPResponse) -> Iterator[bytes]:
    """Only reading is guarded here, so that errors of the disk are not taken for errors of the network."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except IncompleteRead as error:
            yield error.partial
            raise _Interrupted("the connection ended early") from None
        except (OSError, HTTPException) as error:
            raise _Interrupted(f"the connection broke ({_reason(error)})") from None
        if not chunk:
            return
        yield chunk


def _open(request: Request) -> HTTPResponse:
    try:
        return build_opener(_OnlySafeRedirects).open(request, timeout=SECONDS_OF_SILENCE)
    except HTTPError:
        raise
    except URLError as error:
        raise Unreachable(f"it cannot be reached ({_reason(error.reason)})") from None
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"it does not answer ({_reason(error)})") from None


def _check_address(url: str, local: bool) -> None:
    """Refuse what is not encrypted, except on this machine where ``local`` allows it."""
    if urlsplit(url).scheme != "https" and not (local and _is_local(url)):
        raise TransferError(f"{url} is not https")


def _is_local(url: str) -> bool:
    return urlsplit(url).scheme == "http" and urlsplit(url).hostname in THIS_MACHINE


def _continuation(url: str, part: Path) -> tuple[int, str | None]:
    """How many bytes of this address are there, and what the server called the version they are of.

    Not every server names its versions; then only the checksum tells whether the pieces belong together.
    """
    try:
        origin = json.loads(_origin(part).read_text(encoding="utf-8"))
        known, same = origin["validator"], origin["url"] == url
    except (OSError, ValueError, TypeError, KeyError):
        return 0, None
    return (_size(part), known) if same and isinstance(known, str | None) else (0, None)


def _validator(headers: HTTPMessage) -> str | None:
    """A name for this version of the file that If-Range takes; weak ETags are none."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _content_range(headers: HTTPMessage) -> tuple[int, int | None]:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
    if not found:
        raise TransferError("it answers with a part of the file without saying which")
    return int(found[1]), _whole_number(found[2])


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _origin(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: object) -> object:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
