"""Checksums of files, as published and as converted by tools."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from utils.checksum import Checksum

TEXT = b"date,OT\n2020-01-01,1.5\n2020-01-02,2.5\n"


def published(kind: str, content: bytes) -> Checksum:
    if kind == "SHA-256":
        return Checksum("SHA-256", hashlib.sha256(content).hexdigest())
    return Checksum("git blob", hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


@pytest.mark.parametrize("kind", ["SHA-256", "git blob"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"last line without end"])
def test_a_file_fits_whichever_line_ends_it_and_the_published_one_have(
    path: Path, kind: str, end: bytes, last: bytes
) -> None:
    path.write_bytes(TEXT + last)
    assert published(kind, TEXT.replace(b"\n", end) + last).fits(path)
    path.write_bytes(TEXT.replace(b"\n", b"\r\n") + last)
    assert published(kind, TEXT.replace(b"\n", end) + last).fits(path)


@pytest.mark.parametrize("kind", ["SHA-256", "git blob"])
@pytest.mark.parametrize("content", [b"", TEXT[:-1], TEXT + b"\n", TEXT.replace(b"1.5", b"1.6"), TEXT + b"\r"])
def test_any_other_difference_shows(path: Path, kind: str, content: bytes) -> None:
    path.write_bytes(content)
    assert not published(kind, TEXT).fits(path)


def test_a_git_blob_is_what_git_calls_the_content(path: Path) -> None:
    path.write_bytes(TEXT)
    try:
        told = subprocess.run(["git", "hash-object", "--no-filters", str(path)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no git")
    assert Checksum("git blob", "").of(path).digits == told.stdout.strip()


def test_files_longer_than_a_piece_are_read_to_their_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.checksum.CHUNK", 7)
    path.write_bytes(TEXT)
    assert Checksum("SHA-256", "").of(path) == published("SHA-256", TEXT)
    assert Checksum("git blob", "").of(path) == published("git blob", TEXT)
