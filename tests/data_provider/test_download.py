"""The command that fetches data sets, against a server on this machine."""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data_provider import download, sources
from data_provider.sources import PUBLISHED
from tests.helpers.http_site import Site, nobody_there, serving
from utils import transfer
from utils.checksum import Checksum

HERE = Path(__file__).resolve().parents[2]
CONTENT = b"date,OT\n" + b"".join(b"2020-01-%02d,%d\n" % (day, day) for day in range(1, 32))
OTHER = CONTENT.replace(b"31", b"32")
HTML = b"<!DOCTYPE html><title>Sign in to this network</title>"

Download = Callable[..., int]
Log = Callable[[], str]


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "datasets"


@pytest.fixture(autouse=True)
def table(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set is CONTENT at /first/<file>, else at /second/<file>, on the site."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)
    checksum = Checksum("SHA-256", hashlib.sha256(CONTENT).hexdigest())
    for name, files in PUBLISHED.items():
        ours = []
        for file in files:
            ending = f"{file.name}.zip" if file.optional else file.name
            urls = (f"{site.address}/first/{ending}", f"{site.address}/second/{ending}")
            ours.append(replace(file, urls=urls, checksum=checksum, size=len(CONTENT)))
        monkeypatch.setitem(sources.PUBLISHED, name, tuple(ours))


@pytest.fixture
def command(root: Path) -> Download:
    return lambda *arguments: download.main([*arguments, "--root", str(root)])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    """What has been logged so far, which a user sees on standard output."""
    return lambda: "".join(f"{message}\n" for message in caplog.messages)


def zipped(content: bytes, name: str = "submission-Naive2.csv") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return archive.getvalue()


def files_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_data_set_is_fetched_to_where_it_is_read(site: Site, root: Path, command: Download) -> None:
    site.add("/first/ETTh1.csv", CONTENT)
    assert command("ETTh1") == 0
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT
    assert files_below(root) == ["ETT-small/ETTh1.csv"]


def test_several_names_and_groups_are_fetched_and_summed_up(
    site: Site, root: Path, command: Download, log: Log
) -> None:
    for name in ("ETTh1", "ETTh2", "ETTm1", "ETTm2", "weather", "Hourly-train", "Hourly-test"):
        site.add(f"/first/{name}.csv", CONTENT)
    put(root / "ETT-small" / "ETTm2.csv", CONTENT)
    assert command("ett", "Weather", "m4/Hourly", "weather") == 0
    assert files_below(root) == [
        *(f"ETT-small/{name}.csv" for name in ("ETTh1", "ETTh2", "ETTm1", "ETTm2")),
        "m4/Hourly-test.csv",
        "m4/Hourly-train.csv",
        "weather/weather.csv",
    ]
    assert log().endswith("already there: ETTm2\nfetched: ETTh1, ETTh2, ETTm1, weather, m4/Hourly\n")


def test_the_folder_is_that_of_the_environment(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path / "mine"))
    site.add("/first/weather.csv", CONTENT)
    assert download.main(["weather"]) == 0
    assert files_below(tmp_path) == ["mine/weather/weather.csv"]


# --- interruptions ---


def test_a_transfer_that_was_stopped_by_hand_goes_on(
    site: Site, root: Path, command: Download, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    site.add("/first/ETTh1.csv", CONTENT, cuts=[100])
    with monkeypatch.context() as patch:
        patch.setattr(transfer.time, "sleep", stop)
        assert command("ETTh1") == 130
    assert capsys.readouterr().err == "error: stopped by hand; run the same command again to go on from there.\n"
    assert not (root / "ETT-small" / "ETTh1.csv").exists()
    assert command("ETTh1") == 0
    assert site.requests == [("/first/ETTh1.csv", None), ("/first/ETTh1.csv", "bytes=100-")]
    assert files_below(root) == ["ETT-small/ETTh1.csv"]
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT


def test_a_spoilt_beginning_is_fetched_anew_from_the_same_source(site: Site, root: Path, command: Download) -> None:
    site.add("/first/ETTh1.csv", CONTENT, cuts=[100, 0, 0, 0])
    assert command("ETTh1") == 2
    put(root / "ETT-small" / "ETTh1.csv.part", b"x" * 100)
    assert command("ETTh1") == 0
    assert site.requests[-2:] == [("/first/ETTh1.csv", "bytes=100-"), ("/first/ETTh1.csv", None)]
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT


def test_a_source_whose_wrong_file_also_breaks_is_given_up_for_the_next(
    site: Site, root: Path, command: Download
) -> None:
    site.add("/first/ETTh1.csv", OTHER, cuts=[100, len(OTHER)] * 50)
    site.add("/second/ETTh1.csv", CONTENT)
    assert command("ETTh1") == 0
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT
    assert len([path for path, _ in site.requests if path.startswith("/first")]) == 4


# --- sources ---


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (OTHER, f"{len(CONTENT)} bytes, SHA-256 {hashlib.sha256(OTHER).hexdigest()} instead of"),
        (HTML, "a web page: 53 bytes instead of"),
        (b"", "empty: 0 bytes"),
    ],
)
def test_what_is_not_the_file_is_not_kept_and_the_next_source_is_asked(
    site: Site, root: Path, command: Download, capsys: pytest.CaptureFixture[str], body: bytes, said: str
) -> None:
    site.add("/first/ETTh1.csv", body)
    assert command("ETTh1") == 2
    assert f"  127.0.0.1: it serves another ETTh1.csv: {said}" in capsys.readouterr().err
    assert not files_below(root)
    site.add("/second/ETTh1.csv", CONTENT)
    assert command("ETTh1") == 0
    assert files_below(root) == ["ETT-small/ETTh1.csv"]
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT


def test_the_error_names_file_expected_and_found_checksum(
    site: Site, command: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("/first/ETTh1.csv", OTHER)
    assert command("ETTh1") == 2
    message = capsys.readouterr().err
    for part in ("ETTh1.csv", hashlib.sha256(OTHER).hexdigest(), hashlib.sha256(CONTENT).hexdigest()):
        assert part in message


def test_what_fails_says_how_to_get_it_by_hand_and_the_rest_is_fetched(
    site: Site, root: Path, command: Download, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("/first/Hourly-test.csv", CONTENT)
    site.add("/first/weather.csv", CONTENT)
    assert command("ETTh1", "m4/Hourly", "weather") == 2
    assert capsys.readouterr().err == (
        "error: ETTh1: not fetched. By hand: get ETTh1.csv from https://github.com/zhouhaoyi/ETDataset and put it "
        f"into {root}/ETT-small.\n  127.0.0.1: it answers 404 Not Found\n"
        "error: m4/Hourly: not fetched. By hand: get Hourly-train.csv from "
        "https://github.com/Mcompetitions/M4-methods/tree/master/Dataset and put it "
        f"into {root}/m4.\n  127.0.0.1: it answers 404 Not Found\n"
    )
    assert log().endswith("fetched: weather\nnot fetched: ETTh1, m4/Hourly\n")
    assert files_below(root) == ["m4/Hourly-test.csv", "weather/weather.csv"]


def test_without_network_every_data_set_has_its_message_and_each_address_is_tried_once(
    root: Path, command: Download, log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, tried = nobody_there(), []
    for name, files in PUBLISHED.items():
        away = tuple(replace(file, urls=(f"{address}/{file.name}",)) for file in files)
        monkeypatch.setitem(sources.PUBLISHED, name, away)
    monkeypatch.setattr(download, "fetch", lambda *given: tried.append(given) or transfer.fetch(*given))
    assert command("all") == 2
    out, err = log(), capsys.readouterr().err
    assert len(tried) == 1
    assert not root.exists()
    for name, files in PUBLISHED.items():
        said = f"{name}: not fetched" in (out if files[0].optional else err)
        assert said
        assert all(file.name in out + err and file.page in out + err for file in files)
    assert err.count("it cannot be reached (Connection refused)") == len(PUBLISHED) - 1
    assert "Traceback" not in err


def test_an_address_that_is_not_encrypted_is_not_asked(
    command: Download, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = PUBLISHED["weather"]
    monkeypatch.setitem(sources.PUBLISHED, "weather", (replace(file, urls=("http://example.org/weather.csv",)),))
    assert command("weather") == 2
    assert "example.org: http://example.org/weather.csv is not https" in capsys.readouterr().err


# --- what is there already ---


@pytest.mark.parametrize("content", [CONTENT, CONTENT.replace(b"\n", b"\r\n")])
def test_a_file_that_is_there_is_checked_and_not_fetched(
    site: Site, root: Path, command: Download, log: Log, content: bytes
) -> None:
    path = put(root / "weather" / "weather.csv", content)
    assert command("weather") == 0
    assert log() == f"{path}: already there, as published\nalready there: weather\n"
    assert path.read_bytes() == content
    assert not site.requests


def test_a_file_that_differs_is_kept_and_the_rest_is_fetched(
    site: Site, root: Path, command: Download, log: Log
) -> None:
    path = put(root / "weather" / "weather.csv", OTHER)
    site.add("/first/ETTh1.csv", CONTENT)
    assert command("weather", "ETTh1") == 2
    out = log()
    assert f"{path}: not the published file ({len(OTHER)} bytes, SHA-256 " in out
    assert "kept. --overwrite replaces it.\n" in out
    assert out.endswith("fetched: ETTh1\nkept, though not the published file: weather\n")
    assert path.read_bytes() == OTHER


def test_a_file_that_differs_is_replaced_on_request_once_the_published_one_is_there(
    site: Site, root: Path, command: Download
) -> None:
    path = put(root / "weather" / "weather.csv", OTHER)
    assert command("weather", "--overwrite") == 2
    assert path.read_bytes() == OTHER
    site.add("/first/weather.csv", CONTENT)
    assert command("weather", "--overwrite") == 0
    assert files_below(root) == ["weather/weather.csv"]
    assert path.read_bytes() == CONTENT


def test_an_m4_file_in_its_own_folder_is_there(site: Site, root: Path, command: Download) -> None:
    put(root / "m4" / "Train" / "Hourly-train.csv", CONTENT)
    put(root / "m4" / "Test" / "Hourly-test.csv", OTHER)
    site.add("/first/Hourly-test.csv", CONTENT)
    assert command("m4/Hourly", "--overwrite") == 0
    assert files_below(root) == ["m4/Test/Hourly-test.csv", "m4/Train/Hourly-train.csv"]
    assert (root / "m4" / "Test" / "Hourly-test.csv").read_bytes() == CONTENT


# --- the optional forecasts of Naive2 ---


def test_a_file_in_an_archive_is_unpacked(site: Site, root: Path, command: Download) -> None:
    site.add("/first/submission-Naive2.csv.zip", zipped(CONTENT))
    assert command("m4/Naive2") == 0
    assert files_below(root) == ["m4/submission-Naive2.csv"]
    assert (root / "m4" / "submission-Naive2.csv").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (zipped(OTHER), f"{len(OTHER)} bytes, SHA-256"),
        (zipped(CONTENT + b"x"), f"no submission-Naive2.csv of {len(CONTENT)} bytes in the archive"),
        (zipped(CONTENT, "notes.txt"), "no submission-Naive2.csv of"),
        (HTML, "no archive that can be read"),
        (zipped(CONTENT)[:-10], "no archive that can be read"),
        (zipped(CONTENT)[:60] + b"\xff" * 20 + zipped(CONTENT)[80:], "no archive that can be read"),
    ],
)
def test_without_an_optional_file_nothing_fails(
    site: Site, root: Path, command: Download, log: Log, body: bytes, said: str
) -> None:
    site.add("/first/submission-Naive2.csv.zip", body)
    assert command("m4/Naive2") == 0
    out = log()
    assert "m4/Naive2: not fetched, and not needed: Naive2 is then computed. By hand: get submission-Naive2.csv" in out
    assert f"it serves another submission-Naive2.csv: {said}" in out
    assert out.endswith("optional, not fetched: m4/Naive2\n")
    assert not files_below(root)


def test_an_optional_file_that_differs_is_kept_without_failing(root: Path, command: Download) -> None:
    path = put(root / "m4" / "submission-Naive2.csv", OTHER)
    assert command("m4/Naive2") == 0
    assert path.read_bytes() == OTHER


# --- what is on disk ---


def test_present_names_what_is_on_disk_line_by_line(
    site: Site, root: Path, command: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--present") == 0
    assert capsys.readouterr().out == ""
    for place in (
        "ETT-small/ETTh2.csv", "illness/national_illness.csv", "m4/Hourly-train.csv", "m4/Test/Hourly-test.csv",
        "m4/Train/Daily-train.csv", "m4/Test/Daily-test.csv", "m4/Weekly-train.csv", "m4/submission-Naive2.csv",
        "weather/weather.csv.part",
    ):  # fmt: skip
        put(root / place, CONTENT)
    assert command("--present") == 0
    assert capsys.readouterr() == ("ETTh2\nillness\nm4/Daily\nm4/Hourly\n", "")
    assert not site.requests


def test_a_shell_script_gets_nothing_but_the_names(root: Path) -> None:
    put(root / "ETT-small" / "ETTh1.csv", CONTENT)
    put(root / "illness" / "national_illness.csv", CONTENT)
    shell = [sys.executable, "-m", "data_provider.download", "--present", "--root", str(root)]
    ended = subprocess.run(shell, cwd=HERE, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ETTh1\nillness\n", "")


def test_status_says_of_every_file_whether_it_is_on_disk_and_where(
    site: Site, root: Path, command: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    put(root / "ETT-small" / "ETTh2.csv", CONTENT)
    put(root / "weather" / "weather.csv.part", b"x" * 1_250_000)
    put(root / "m4" / "Test" / "Daily-test.csv", CONTENT)
    assert command("--status") == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert {name for name, _ in lines} == PUBLISHED.keys()
    said = [(name, *rest.rsplit(maxsplit=1)) for name, rest in lines]
    for name, state, place in (
        ("ETTh1", "missing", "ETT-small/ETTh1.csv"),
        ("ETTh2", "on disk", "ETT-small/ETTh2.csv"),
        ("weather", "1.2 MB so far", "weather/weather.csv"),
        ("m4/Daily", "missing", "m4/Daily-train.csv"),
        ("m4/Daily", "on disk", "m4/Test/Daily-test.csv"),
        ("m4/Naive2", "missing, optional", "m4/submission-Naive2.csv"),
    ):
        assert (name, f"{state}", str(root / place)) in [(n, s.strip(), p) for n, s, p in said]
    assert not site.requests


def test_status_of_some_data_sets(command: Download, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--status", "weather") == 0
    assert capsys.readouterr().out == f"weather       missing            {root}/weather/weather.csv\n"


# --- wrong use, and a machine that refuses ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ETTh3"], "ETTh3: no such data set to fetch; choose among ETT, m4, all, ETTh1, "),
        ([], "name a data set to fetch: ETT, m4, all"),
        (["--status", "ETTh3"], "ETTh3: no such data set"),
    ],
)
def test_wrong_use_ends_with_one_message(
    command: Download, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert command(*arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1
    assert not out


def test_a_folder_that_cannot_be_written_is_named(
    site: Site, root: Path, command: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    root.write_text("a file where a folder should be")
    site.add("/first/weather.csv", CONTENT)
    assert command("weather") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {root}")
    assert err.endswith("What was there before is whole; run the same command again to go on.\n")


def test_a_full_disk_is_told_and_what_has_arrived_stays(
    site: Site, root: Path, command: Download, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    site.add("/first/weather.csv", CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(transfer.ByteProgress, "add", full)  # called between two pieces of a file
        assert command("weather", "ETTh1") == 2
    assert capsys.readouterr().err == (
        f"error: {root}: No space left on device. "
        "What was there before is whole; run the same command again to go on.\n"
    )
    assert files_below(root) == ["weather/weather.csv.part", "weather/weather.csv.part.json"]
    assert command("weather") == 0
