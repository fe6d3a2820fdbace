"""A small web server on this machine that can be told to misbehave."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What the server answers for a path.

    Attributes:
        body: bytes of the answer.
        status: HTTP status.
        headers: headers of the answer; one that is None is not sent.
        endless: whether the body is repeated for ever.
        pause: seconds between two bytes of the body.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str | None] = field(default_factory=dict)
    endless: bool = False
    pause: float = 0.0


class Site:
    """Pages by the last part of their paths, and the names that were asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, Page] = {}
        self.requests: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        site: Site = self.server.site
        name = self.path.rpartition("/")[2]
        page = site.pages.get(name, Page(status=404))
        hub = {"X-Repo-Commit": "0" * 40, "ETag": '"1"', "Content-Length": str(len(page.body))}
        self.send_response(page.status)
        for key, value in (hub | page.headers).items():
            if value is not None:
                self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            site.requests.append(name)
            with suppress(OSError):  # the client had enough
                self._send(page)

    do_GET = do_HEAD

    def _send(self, page: Page) -> None:
        wait = threading.Event().wait  # tests replace time.sleep
        for start in range(0, len(page.body), 1 if page.pause else 1 << 16):
            self.wfile.write(page.body[start:][: 1 if page.pause else None])
            wait(page.pause)
        while page.endless:
            self.wfile.write(page.body)
            wait(0.001)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    """Serve a site on a free port until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.site
        finally:
            server.shutdown()
            thread.join(timeout=10)


def nobody_there() -> str:
    """Return an address on this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
