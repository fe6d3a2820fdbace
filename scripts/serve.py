"""Forecast over HTTP: a CSV file is posted, forecast.csv comes back; wrong input gives 400 with the message.

python -m scripts.serve checkpoints/<setting> [PORT]
curl --data-binary @data.csv http://127.0.0.1:8000
"""

import errno
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from data_provider.reading import Reading, read_frame
from exp.bands import Wanted
from exp.forecast import CSV
from exp.forecaster import Forecaster
from exp.predict import one_thread
from utils.command import run_command, typed
from utils.errors import UserError

MOST_BYTES = 2**26  # of a table


def make_server(folder: str, port: int) -> HTTPServer:
    """Return a server for this machine alone, with its checkpoint loaded; port 0 takes a free one.

    Raises:
        UserError: the checkpoint or the port cannot be used.
    """
    forecaster = Forecaster.load(folder)
    if forecaster.series.ids is not None:
        raise UserError(f"{folder} forecasts many series; this example is for one.")

    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # seconds that a client may be silent

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                return self.answer(400, f"post a CSV file of at most {MOST_BYTES:,} bytes\n".encode())
            try:
                self.answer(200, forecast(forecaster, self.rfile.read(int(length))))
            except UserError as error:
                self.answer(400, f"{error}\n".encode())

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/csv" if code == 200 else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    try:
        return HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UserError(f"port {port} {why}; choose another, or 0 for a free one.") from error


def forecast(forecaster: Forecaster, table: bytes) -> bytes:
    """Return the bytes of forecast.csv for those of a CSV file."""
    with TemporaryDirectory() as folder, one_thread():
        path = Path(folder) / "data.csv"
        path.write_bytes(table)
        try:
            frame = read_frame(path, forecaster.reading(Reading()))
            forecaster.forecast(frame, wanted=Wanted((0.9,))).save(path.parent)
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/", "")) from error
        return (path.parent / CSV).read_bytes()


def main() -> int:
    """Return an exit code: 2 with one message for a wrong checkpoint, 130 when stopped by Ctrl-C."""

    def work() -> None:
        folder, port = (*sys.argv[1:], "8000")[:2] if len(sys.argv) in (2, 3) else ("", "")
        if not port.isdecimal() or int(port) > 65535:
            raise UserError("name a checkpoint and a free port: python -m scripts.serve checkpoints/<setting> 8000")
        with make_server(folder, int(port)) as server:
            print(f"http://127.0.0.1:{server.server_port}", flush=True)
            server.serve_forever()

    return run_command(work, typed("-m scripts.serve", None))


if __name__ == "__main__":
    sys.exit(main())
