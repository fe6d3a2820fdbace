"""``scripts/serve.py``: a checkpoint that answers over HTTP, on this machine alone."""

import http.client
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path

import pytest

from scripts import serve
from tests.helpers.forked import begin, finish, kill, wait_until
from utils.errors import UserError

DEADLINE = 60  # seconds


@pytest.fixture(scope="module")
def server(trained: Path) -> Iterator[HTTPServer]:
    (checkpoint,) = (trained / "checkpoints").iterdir()
    with serve.make_server(str(checkpoint), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def post(port: int, body: bytes, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_posted_table_comes_back_as_its_forecast_csv(server: HTTPServer, trained: Path, forecast_csv: Path) -> None:
    for _ in range(2):
        status, text = post(server.server_port, (trained / "data.csv").read_bytes())
        assert (status, text) == (200, forecast_csv.read_text())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "data.csv"),
        (b"date,c0,c1\n2024-01-01,1,2\n2024-01-02,1,2\n2024-01-03,1,2\n", "data.csv lacks the column 'OT'"),
        (b"\xff\xfe\x00not a table", "data.csv"),
    ],
)
def test_wrong_input_is_answered_with_its_message(server: HTTPServer, body: bytes, message: str) -> None:
    status, text = post(server.server_port, body)
    assert status == 400
    assert text.startswith(message) and text.count("\n") == 1
    assert "/tmp" not in text and "Traceback" not in text


@pytest.mark.parametrize("length", [str(serve.MOST_BYTES + 1), "-1", "many"])
def test_a_table_of_no_possible_length_is_not_read(server: HTTPServer, length: str) -> None:
    assert post(server.server_port, b"", Content_Length=length)[0] == 400


def test_a_port_that_is_taken_is_named(server: HTTPServer, checkpoint: Path) -> None:
    with pytest.raises(UserError, match=f"port {server.server_port} is taken; choose another"):
        serve.make_server(str(checkpoint), server.server_port)


def serve_on_any_port(checkpoint: Path) -> None:
    """Serve as the command does, until a signal comes."""
    sys.argv = ["serve.py", str(checkpoint), "0"]
    sys.exit(serve.main())


def test_the_command_says_its_address_and_ends_when_told_to(checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    process, said = begin(tmp_path, serve_on_any_port, checkpoint), tmp_path / "said.txt"
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"), process)
    try:
        port = re.fullmatch(r"http://127.0.0.1:(\d+)\n", said.read_text())[1]
        assert post(int(port), (trained / "data.csv").read_bytes())[0] == 200
        os.kill(process.pid, signal.SIGTERM)
        assert finish(process, DEADLINE) == 143
        assert "Traceback" not in said.read_text()
    finally:
        kill(process)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "name a checkpoint"), (["any", "port"], "name a checkpoint"), (["./nosuch", "0"], "There is no checkpoint")],
)
def test_a_wrong_command_ends_with_one_message(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["serve.py", *arguments])
    assert serve.main() == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
