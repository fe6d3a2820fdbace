"""A small web server on this machine that can be told to misbehave."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Page:
    """What the server answers for a path.

    Attributes:
        status: answered instead of the body, once for each. cuts: answers that end after so many bytes of a body.
        ranges: whether it can continue. range_shift: by how much it continues elsewhere than asked.
        headers: of every answer, beside the usual ones. to: where it redirects.
    """

    body: bytes = b""
    etag: str | None = '"1"'
    status: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    range_shift: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    to: str | None = None
    says_length: bool = True


class Site:
    """Pages by path, and the requests that came: path and bytes asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str | None]] = []

    def add(self, path: str, body: bytes = b"", **options: object) -> str:
        """Serve ``body`` at ``path``; the address of it."""
        self.pages[path] = Page(body, **options)
        return self.address + path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site
        asked = self.headers.get("Range")
        site.requests.append((self.path, asked))
        page = site.pages.get(self.path)
        if page is None or page.status or page.to:
            self.send_response(404 if page is None else page.status.pop(0) if page.status else 302)
            if page is not None and page.to:
                self.send_header("Location", page.to)
            self.end_headers()
            return
        body, start = page.body, 0
        if asked and page.ranges and self.headers.get("If-Range") in (page.etag, page.headers.get("Last-Modified")):
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + page.range_shift
            if start >= len(body):
                self.send_response(416)
                self.end_headers()
                return
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if page.says_length:
            self.send_header("Content-Length", str(len(body) - start))
        if page.etag:
            self.send_header("ETag", page.etag)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[start:][: page.cuts.pop(0) if page.cuts else None])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    """A site on a free port, until the block ends."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.site
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes requests and never answers, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def nobody_there() -> str:
    """An address on this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
