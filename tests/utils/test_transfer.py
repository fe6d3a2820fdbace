"""Fetching over HTTP: whole, continued, interrupted, refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.http_site import Site, nobody_there, serving, silent
from utils import transfer
from utils.transfer import TransferError, Unreachable, discard, fetch

BODY = bytes(range(256)) * 10


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "data.csv.part"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in no time."""
    made: list[float] = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer.time, "sleep", made.append)
    return made


def interrupted(site: Site, part: Path, at: int = 1000, **options: object) -> str:
    """Leave ``at`` bytes of an earlier call that was stopped by hand; the address."""

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    url = site.add("/data", BODY, cuts=[at], **options)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(transfer.time, "sleep", stop)
        fetch(url, part, "data")
    assert part.read_bytes() == BODY[:at]
    site.requests.clear()
    return url


def test_a_file_comes_whole(site: Site, part: Path) -> None:
    assert not fetch(site.add("/data", BODY), part, "data")
    assert part.read_bytes() == BODY


def test_folders_are_made_when_the_file_comes_and_not_before(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "a" / "b" / "data.part"
    with pytest.raises(TransferError):
        fetch(site.address + "/none", part, "data")
    assert not list(tmp_path.iterdir())
    fetch(site.add("/data", BODY), part, "data")
    assert part.read_bytes() == BODY


def test_an_earlier_call_is_continued_where_it_stopped(site: Site, part: Path) -> None:
    assert fetch(interrupted(site, part), part, "data")
    assert part.read_bytes() == BODY
    assert site.requests == [("/data", "bytes=1000-")]


def test_a_broken_connection_is_continued_in_the_same_call(site: Site, part: Path, pauses: list[float]) -> None:
    assert fetch(site.add("/data", BODY, cuts=[100, 500]), part, "data")
    assert part.read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=100-", "bytes=600-"]
    assert pauses == [1.0, 1.0]


def test_patience_lasts_as_long_as_something_comes(site: Site, part: Path, pauses: list[float]) -> None:
    fetch(site.add("/data", BODY, cuts=[1] * 20), part, "data")
    assert part.read_bytes() == BODY
    assert pauses == [1.0] * 20


def test_a_connection_that_keeps_breaking_is_given_up_after_longer_and_longer_pauses(
    site: Site, part: Path, pauses: list[float]
) -> None:
    url = site.add("/data", BODY, cuts=[7, 0, 0, 0, 0, 0])
    with pytest.raises(TransferError, match="the connection ended after 7 of 2,560 bytes"):
        fetch(url, part, "data")
    assert pauses == [1.0, 4.0, 15.0]
    assert part.read_bytes() == BODY[:7]


def test_a_server_that_cannot_continue_is_asked_for_the_whole(site: Site, part: Path) -> None:
    url = interrupted(site, part, ranges=False)
    assert not fetch(url, part, "data")
    assert part.read_bytes() == BODY


def test_a_file_that_has_changed_is_fetched_whole(site: Site, part: Path) -> None:
    url = interrupted(site, part)
    site.add("/data", BODY[::-1], etag='"2"')
    assert not fetch(url, part, "data")
    assert part.read_bytes() == BODY[::-1]
    assert site.requests == [("/data", "bytes=1000-")]


def test_the_date_of_a_file_identifies_it_where_no_tag_does(site: Site, part: Path) -> None:
    date = {"Last-Modified": "Fri, 04 Jun 2021 02:36:13 GMT"}
    assert fetch(interrupted(site, part, etag='W/"1"', headers=date), part, "data")
    assert part.read_bytes() == BODY
    assert site.requests == [("/data", "bytes=1000-")]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_what_cannot_be_identified_is_continued_and_left_to_the_checksum(
    site: Site, part: Path, etag: str | None
) -> None:
    url = site.add("/data", BODY, etag=etag, cuts=[1000])
    assert fetch(url, part, "data")
    assert part.read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=1000-"]


def test_the_beginning_from_another_address_is_not_continued(site: Site, part: Path) -> None:
    interrupted(site, part)
    assert not fetch(site.add("/other", BODY[::-1]), part, "data")
    assert part.read_bytes() == BODY[::-1]
    assert site.requests == [("/other", None)]


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": 1}', '{"url": "http://x", "validator": "1"}'])
def test_a_beginning_of_unclear_origin_is_not_continued(site: Site, part: Path, note: str) -> None:
    url = interrupted(site, part)
    Path(f"{part}.json").write_text(note)
    assert not fetch(url, part, "data")
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("length", [len(BODY), len(BODY) + 5])
def test_a_beginning_longer_than_the_file_is_fetched_anew(site: Site, part: Path, length: int) -> None:
    url = interrupted(site, part)
    part.write_bytes(b"x" * length)
    assert not fetch(url, part, "data")
    assert part.read_bytes() == BODY
    assert site.requests == [("/data", f"bytes={length}-"), ("/data", None)]


def test_an_answer_with_another_range_is_not_put_together(site: Site, part: Path) -> None:
    url = interrupted(site, part, range_shift=3)
    assert not fetch(url, part, "data")
    assert part.read_bytes() == BODY


def test_a_part_without_a_range_is_refused(site: Site, part: Path) -> None:
    url = site.add("/data", status=[206])
    with pytest.raises(TransferError, match="a part of the file without saying which"):
        fetch(url, part, "data")
    assert not part.exists()


def test_a_file_of_unsaid_length_comes_whole(site: Site, part: Path) -> None:
    fetch(site.add("/data", BODY, says_length=False), part, "data")
    assert part.read_bytes() == BODY


def test_a_file_sent_in_chunks_comes_whole_though_the_connection_broke(
    site: Site, part: Path, pauses: list[float]
) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    in_chunks = {"headers": {"Transfer-Encoding": "chunked"}, "says_length": False, "etag": None}
    fetch(site.add("/data", chunks, cuts=[700], **in_chunks), part, "data")
    assert part.read_bytes() == BODY
    assert pauses == [1.0]


def test_a_compressed_answer_is_refused(site: Site, part: Path) -> None:
    url = site.add("/data", BODY, headers={"Content-Encoding": "gzip"})
    with pytest.raises(TransferError, match="compressed"):
        fetch(url, part, "data")
    assert not part.exists()


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found"), (403, "403 Forbidden"), (416, "416 ")])
def test_a_file_that_is_not_there_is_not_asked_for_again(
    site: Site, part: Path, status: int, said: str, pauses: list[float]
) -> None:
    url = site.add("/data", BODY, status=[status])
    with pytest.raises(TransferError, match=f"it answers {said}"):
        fetch(url, part, "data")
    assert not pauses


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(site: Site, part: Path, status: int, pauses: list[float]) -> None:
    fetch(site.add("/data", BODY, status=[status, status]), part, "data")
    assert part.read_bytes() == BODY
    assert pauses == [1.0, 4.0]


def test_a_server_that_stays_busy_is_given_up(site: Site, part: Path) -> None:
    url = site.add("/data", BODY, status=[503] * 4)
    with pytest.raises(TransferError, match="it answers 503 Service Unavailable"):
        fetch(url, part, "data")


def test_without_a_connection_it_ends_soon(part: Path, pauses: list[float]) -> None:
    with pytest.raises(Unreachable, match=r"it cannot be reached \(Connection refused\)"):
        fetch(nobody_there() + "/data", part, "data")
    assert pauses == [1.0]


def test_a_silent_server_is_given_up(site: Site, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SECONDS_OF_SILENCE", 0.01)
    with silent() as url, pytest.raises(TransferError, match=r"it does not answer \(timed out\)"):
        fetch(url, part, "data")


def test_a_redirect_is_followed_and_continued(site: Site, part: Path) -> None:
    site.add("/data", BODY, cuts=[1000])
    url = site.add("/old", to="/data")
    assert fetch(url, part, "data")
    assert part.read_bytes() == BODY
    assert site.requests == [("/old", None), ("/data", None), ("/old", "bytes=1000-"), ("/data", "bytes=1000-")]


@pytest.mark.parametrize("to", ["http://example.org/data", "ftp://example.org/data", "file:///etc/passwd"])
def test_a_redirect_to_anything_but_https_is_refused(site: Site, part: Path, to: str) -> None:
    with pytest.raises(TransferError, match=r"redirects: (http|ftp)://example\.org/data is not https|answers 302"):
        fetch(site.add("/old", to=to), part, "data")


def test_a_circle_of_redirects_ends(site: Site, part: Path) -> None:
    with pytest.raises(TransferError, match="it answers 302"):
        fetch(site.add("/round", to="/round"), part, "data")


@pytest.mark.parametrize("url", ["http://example.org/data", "ftp://127.0.0.1/data", "file:///etc/passwd", "data"])
def test_an_address_that_is_not_https_is_refused(part: Path, url: str) -> None:
    with pytest.raises(TransferError, match=f"{url} is not https"):
        fetch(url, part, "data")


def test_a_redirect_from_elsewhere_to_this_machine_is_refused() -> None:
    with pytest.raises(TransferError, match="is not https"):
        transfer._check_address("http://127.0.0.1/data", local=transfer._is_local("https://example.org"))


def test_an_error_of_the_disk_is_not_taken_for_one_of_the_network(
    site: Site, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.add("/data", BODY)
    part.mkdir()
    with pytest.raises(OSError):
        fetch(url, part, "data")
    assert len(site.requests) == 1


def test_a_discarded_part_leaves_nothing(site: Site, part: Path) -> None:
    interrupted(site, part)
    assert json.loads(Path(f"{part}.json").read_text()) == {"url": site.address + "/data", "validator": '"1"'}
    discard(part)
    assert not list(part.parent.iterdir())
    discard(part)
