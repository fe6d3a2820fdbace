"""The command that fetches data sets, with the real libraries against a server on this machine."""

import errno
import hashlib
import io
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch

from data_provider import download
from data_provider.datasets import DATASETS
from data_provider.download import CONTENTS, GROUPS, PUBLISHED
from tests.helpers.http_site import Page, Site, nobody_there, serving
from tests.helpers.places import DATASETS as ON_DISK
from utils.m4.patterns import PATTERNS

HERE = Path(__file__).resolve().parents[2]
CONTENT = b"date,OT\n" + b"".join(b"2020-01-%02d,%d\n" % (day, day) for day in range(1, 32))
OTHER = CONTENT.replace(b"31", b"32")
HUB_PAGE = "https://huggingface.co/datasets/thuml/Time-Series-Library"
ETT = ["ETTh1", "ETTh2", "ETTm1", "ETTm2"]

Capture = pytest.CaptureFixture[str]


def zipped(content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("submission-Naive2.csv", content)
    return archive.getvalue()


ARCHIVE = zipped(CONTENT)
REAL = dict(CONTENTS)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALF_DATASETS", str(tmp_path / "datasets"))
    return tmp_path / "datasets"


@pytest.fixture(autouse=True)
def sources(site: Site, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hub and addresses lead to the site; every published file is CONTENT."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between two attempts of a library
    lead_to(site.address, monkeypatch)
    for name in list(CONTENTS):
        content = ARCHIVE if name.endswith(".zip") else CONTENT
        monkeypatch.setitem(CONTENTS, name, (len(content), hashlib.sha256(content).hexdigest()))
    yield
    huggingface_hub.close_session()


def lead_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = huggingface_hub.constants
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + template)
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET", "DOWNLOAD_CHUNK_SIZE"):  # the last two are set by the command
        monkeypatch.setattr(constants, name, False)
    for name, files in PUBLISHED.items():
        ours = [file._replace(url=file.url and f"{address}/{Path(file.url).name}") for file in files]
        monkeypatch.setitem(PUBLISHED, name, tuple(ours))


def run(*arguments: str) -> int:
    return download.main(arguments)


def files_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_names_and_groups_are_fetched_to_where_they_are_read(site: Site, root: Path) -> None:
    names = [*ETT, "weather", "Hourly-train", "Hourly-test"]
    site.pages = {f"{name}.csv": Page(CONTENT) for name in names}
    assert run("ett", "Weather", "m4/Hourly", "weather") == 0
    places = [*(f"ETT-small/{name}.csv" for name in ETT), "m4/Hourly-test.csv", "m4/Hourly-train.csv"]
    assert files_below(root) == [*places, "weather/weather.csv"]
    assert all((root / place).read_bytes() == CONTENT for place in places)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (signal.SIG_DFL, (0, 0))


def test_data_of_other_tasks_are_fetched_unchecked_and_say_so(
    site: Site, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    arrays = ("MSL_train.npy", "MSL_test.npy", "MSL_test_label.npy")
    site.pages = {name: Page(OTHER) for name in (*arrays, "Heartbeat_TRAIN.ts", "Heartbeat_TEST.ts")}
    assert run("MSL", "heartbeat") == 0
    places = [
        *(f"MSL/{name}" for name in sorted(arrays)),
        "UEA/Heartbeat/Heartbeat_TEST.ts",
        "UEA/Heartbeat/Heartbeat_TRAIN.ts",
    ]
    assert files_below(root) == sorted(places)
    assert caplog.text.count("not checked: its checksum is not known here") == 5


BAD = {
    "not there": Page(status=404),
    "other content": Page(OTHER),
    "a web page": Page(b"<html>Sign in</html>"),
    "nothing": Page(),
    "too short": Page(CONTENT[:50], headers={"Content-Length": str(len(CONTENT))}),
    "without end": Page(b"x" * 65536, headers={"Content-Length": None}, endless=True),
    "a byte now and then": Page(CONTENT, pause=0.02),
    "malformed length": Page(CONTENT, headers={"Content-Length": "many"}),
    "malformed redirect": Page(status=302, headers={"Location": "http://[::1"}),
    "redirect to nowhere": Page(status=302, headers={"Location": "http://\x01/"}),
    "redirect in a circle": Page(status=302, headers={"Location": "weather.csv"}),
    "corrupt compression": Page(CONTENT[:-1] + b"\n\n", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("page", BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    ("data", "file", "by_hand"),
    [("weather", "weather/weather.csv", HUB_PAGE), ("m4/Weekly", "m4/Weekly-test.csv", download.M4_PAGE)],
)
def test_a_bad_answer_leaves_nothing_and_does_not_stop_the_rest(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture,
    page: Page, data: str, file: str, by_hand: str,
) -> None:  # fmt: skip
    if page.pause:
        monkeypatch.setattr(download, "SILENCE", 2.0)
    place = root / file
    site.pages = {f"{name}.csv": Page(CONTENT) for name in ("Weekly-train", "Hourly-train", "national_illness")}
    site.pages[place.name] = page
    assert run(data, "illness") == 2
    message = capsys.readouterr().err
    assert f"error: {data}: not fetched. By hand: get {place.name} from {by_hand} and put it into" in message
    assert message.count("error:") == 1
    expected = {"illness/national_illness.csv", *(["m4/Weekly-train.csv"] if data != "weather" else [])}
    assert set(files_below(root)) == expected


def test_without_network_every_data_set_has_its_message(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    lead_to(nobody_there(), monkeypatch)
    assert run("all") == 2
    message = capsys.readouterr().err + caplog.text
    for name in GROUPS["all"]:
        assert f"{name}: not fetched" in message
        assert all(Path(file.place).name in message and file.page in message for file in PUBLISHED[name])
    assert message.count("Connection refused") == sum(len(PUBLISHED[name]) for name in GROUPS["all"])
    assert not files_below(root)


def test_a_file_with_converted_line_ends_arrives_as_published(site: Site, root: Path) -> None:
    site.pages["ETTh1.csv"] = Page(CONTENT.replace(b"\n", b"\r\n"))
    assert run("ETTh1") == 0
    assert (root / "ETT-small" / "ETTh1.csv").read_bytes() == CONTENT


def test_a_file_is_known_by_its_git_blob_where_nothing_else_is_published(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages = {f"Daily-{part}.csv": Page(b"hello\n") for part in ("train", "test")}
    monkeypatch.setitem(CONTENTS, "Daily-train.csv", (100, "ce013625030ba8dba906f756967f9e9ca394464a"))
    assert run("m4/Daily") == 2
    assert files_below(root) == ["m4/Daily-train.csv"]


@pytest.mark.parametrize("content", [CONTENT, CONTENT.replace(b"\n", b"\r\n")])
def test_a_published_file_is_not_fetched_again(site: Site, root: Path, content: bytes) -> None:
    path = put(root / "weather" / "weather.csv", content)
    site.pages["weather.csv"] = Page(CONTENT)
    assert run("weather", "--overwrite") == 0
    assert (path.read_bytes(), site.requests) == (content, [])


@pytest.mark.parametrize("content", [OTHER, CONTENT * 3, b""])
def test_a_file_of_the_users_own_is_kept_and_the_rest_is_fetched(
    site: Site, root: Path, capsys: Capture, content: bytes
) -> None:
    path = put(root / "weather" / "weather.csv", content)
    site.pages = {"weather.csv": Page(CONTENT), "ETTh1.csv": Page(CONTENT)}
    assert run("weather", "ETTh1") == 2
    assert f"{path}: not the published file ({len(content):,} bytes, digest " in capsys.readouterr().err
    assert (path.read_bytes(), site.requests) == (content, ["ETTh1.csv"])


def test_a_file_is_replaced_on_request_once_the_published_one_is_there(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(root / "m4" / "Test" / "Hourly-test.csv", OTHER)
    put(root / "m4" / "Train" / "Hourly-train.csv")
    assert run("m4/Hourly", "--overwrite") == 2
    assert path.read_bytes() == OTHER
    site.pages["Hourly-test.csv"] = Page(CONTENT)
    monkeypatch.delenv("CALF_DATASETS")
    assert run("m4/Hourly", "--overwrite", "--root", str(root)) == 0
    assert path.read_bytes() == CONTENT
    assert files_below(root) == ["m4/Test/Hourly-test.csv", "m4/Train/Hourly-train.csv"]


def test_what_a_killed_download_left_does_not_matter(site: Site, root: Path) -> None:
    put(root / "weather" / ".weather.csv.part" / "old", b"x" * 100_000)
    site.pages["weather.csv"] = Page(CONTENT)
    assert run("weather") == 0
    assert files_below(root) == ["weather/weather.csv"]


@pytest.mark.parametrize(
    "body", [ARCHIVE[:-10], ARCHIVE.replace(b"Naive2.csv", b"../../evil"), ARCHIVE[:70] + b"\xff" + ARCHIVE[71:], OTHER]
)
def test_a_corrupt_archive_is_not_unpacked_even_where_the_library_takes_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    def fetch(url: str, place: str, *_: object, **__: object) -> None:
        Path(place).write_bytes(body)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert run("m4/Naive2") == 0
    assert "Not needed, Naive2 is computed where its file is missing: m4/Naive2: not fetched. By hand" in caplog.text
    assert not files_below(root)


def test_the_file_in_an_archive_is_unpacked(site: Site, root: Path) -> None:
    site.pages["submission-Naive2.zip"] = Page(ARCHIVE)
    assert run("m4/Naive2") == 0
    assert files_below(root) == ["m4/submission-Naive2.csv"]
    assert (root / "m4" / "submission-Naive2.csv").read_bytes() == CONTENT


# --- what is on disk ---


def test_present_and_status_say_what_is_on_disk(site: Site, root: Path, capsys: Capture) -> None:
    assert run("--present") == 0
    assert capsys.readouterr().out == ""
    for place in ("illness/national_illness.csv", "m4/Test/Daily-test.csv", "m4/Daily-train.csv", "m4/Weekly-test.csv"):
        put(root / place)
    assert run("--present") == 0
    assert capsys.readouterr().out == "illness\nm4/Daily\n"
    assert run("--status", "m4/Daily", "weather", "m4/Naive2") == 0
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["m4/Daily", f"on disk            {root}/m4/Daily-train.csv"],
        ["m4/Daily", f"on disk            {root}/m4/Test/Daily-test.csv"],
        ["weather", f"missing            {root}/weather/weather.csv"],
        ["m4/Naive2", f"missing, optional  {root}/m4/submission-Naive2.csv"],
    ]
    assert not site.requests


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--status", 0), ("--present", 0), ("ETTh3", 2)])
def test_what_fetches_nothing_answers_without_the_libraries(argument: str, code: int) -> None:
    program = (
        "import sys; from data_provider import download\n"
        "try: code = download.main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "print({'torch', 'huggingface_hub', 'numpy'} & sys.modules.keys(), code)"
    )
    command = [sys.executable, "-c", program, argument]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert ended.stdout.endswith(f"set() {code}\n")


# --- wrong use, and a machine that refuses ---


@pytest.mark.parametrize("arguments", [["ETTh3"], ["--status", "weather", "ETTh3"], []])
def test_wrong_use_ends_with_one_message(capsys: Capture, arguments: list[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(
        "error: ETTh3: no such data set to fetch; choose among ETT, m4, UEA, all" if arguments else "error: name"
    )
    assert (err.count("\n"), out) == (1, "")


def test_a_folder_that_cannot_be_written_is_named(root: Path, capsys: Capture) -> None:
    root.write_text("a file where a folder should be")
    assert run("weather", "ETTh1") == 2
    assert capsys.readouterr().err.startswith(f"error: {root}")


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("error", "code", "said"), [(FULL, 2, FULL.strerror), (KeyboardInterrupt(), 130, "by hand")])
@pytest.mark.parametrize("library", ["huggingface_hub.hf_hub_download", "torch.hub.download_url_to_file"])
def test_a_full_disk_and_a_stop_by_hand_end_the_command(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, library: str, error: Exception, code: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(library, fail)
    assert run("weather" if "hub_" in library else "m4/Hourly", "illness") == code
    message = capsys.readouterr().err
    assert said in message
    assert message.count("error:") == 1
    assert not files_below(root)


def test_a_bug_ends_with_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda: None)
    with pytest.raises(TypeError):
        run("m4/Hourly")


# --- the table ---


def test_every_data_set_with_a_page_can_be_fetched_to_where_it_is_read() -> None:
    for name, spec in DATASETS.items():
        if spec.url and name != "m4":
            (file,) = PUBLISHED[name]
            assert (file.place, file.page) == (f"{spec.folder}/{spec.file}", spec.url)
    assert {*GROUPS["all"]} == {*download.TABLES, *GROUPS["m4"]} == PUBLISHED.keys() - download.FURTHER.keys()
    assert GROUPS["m4"] == [*(f"m4/{pattern}" for pattern in PATTERNS), "m4/Naive2"]


NEEDED = [file for name, files in PUBLISHED.items() if name != "m4/Naive2" for file in files]


@pytest.mark.parametrize("file", NEEDED, ids=lambda file: file.place)
def test_the_table_knows_real_files(file: download.PublicFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CONTENTS", REAL)
    path = file.find(ON_DISK)
    if path is None:
        pytest.skip(f"no {file.place} under {ON_DISK} (CALF_DATASETS)")
    assert download.compare(path)[1] == ""
