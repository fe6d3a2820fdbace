"""The table of public files: addresses, places, checksums, names."""

import re
from pathlib import Path

import pytest

from data_provider.datasets import DATASETS
from data_provider.sources import GROUPS, PUBLISHED, PublicFile, choose
from tests.helpers.places import DATASETS as ON_DISK
from utils.checksum import Checksum
from utils.errors import UserError
from utils.m4.patterns import PATTERNS

FILES = [file for files in PUBLISHED.values() for file in files]
ETT = ["ETTh1", "ETTh2", "ETTm1", "ETTm2"]


def test_every_data_set_with_a_page_can_be_fetched_to_where_it_is_read() -> None:
    tables = {name: spec for name, spec in DATASETS.items() if spec.url}
    assert tables.keys() == {name for name in PUBLISHED if not name.startswith("m4/")}
    for name, spec in tables.items():
        (file,) = PUBLISHED[name]
        assert (file.place, file.page) == (f"{spec.folder}/{spec.file}", spec.url)


def test_every_m4_pattern_has_a_file_to_learn_from_and_one_to_be_tested_on() -> None:
    for pattern in PATTERNS:
        train, test = PUBLISHED[f"m4/{pattern}"]
        assert (train.place, test.place) == (f"m4/{pattern}-train.csv", f"m4/{pattern}-test.csv")
        assert (train.elsewhere, test.elsewhere) == (
            (f"m4/Train/{pattern}-train.csv",),
            (f"m4/Test/{pattern}-test.csv",),
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_comes_from_encrypted_addresses_that_end_in_its_name(file: PublicFile) -> None:
    assert file.urls
    for url in file.urls:
        assert re.fullmatch(r"https://[^ {}]+", url)
        assert Path(url).stem == Path(file.name).stem
    assert file.page.startswith("https://")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_has_a_checksum_of_its_own(file: PublicFile) -> None:
    digits = {"SHA-256": 64, "git blob": 40}[file.checksum.kind]
    assert re.fullmatch(f"[0-9a-f]{{{digits}}}", file.checksum.digits)
    assert [other.checksum for other in FILES].count(file.checksum) == 1


@pytest.mark.parametrize("file", [file for file in FILES if not file.optional], ids=lambda file: file.name)
def test_the_table_knows_real_files(file: PublicFile) -> None:
    path = file.find(ON_DISK)
    if path is None:
        pytest.skip(f"no {file.place} under {ON_DISK} (CALF_DATASETS)")
    assert file.difference(path) is None


# --- how a file differs ---


@pytest.mark.parametrize(
    ("content", "oddity"),
    [
        (b"", "empty: 0 bytes instead of 9"),
        (b"\n <!DOCTYPE html><p>Sign in</p>", "a web page: 31 bytes instead of 9"),
        (b"<html>", "a web page: 6 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer to the file: 46 bytes"),
        (b"date,OT\n1", "9 bytes, SHA-256 "),
    ],
)
def test_a_difference_says_what_there_is_instead(tmp_path: Path, content: bytes, oddity: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    expected = Checksum("SHA-256", "0" * 64)
    file = PublicFile("data.csv", (), "", expected, size=9)
    found = expected.of(path)
    assert file.difference(path).startswith(oddity)
    assert file.difference(path).endswith(f", {found} instead of {expected}")


def test_without_a_known_size_a_difference_tells_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"date,OT\n1")
    file = PublicFile("data.csv", (), "", Checksum("SHA-256", "0" * 64))
    assert file.difference(path).startswith("9 bytes, SHA-256 ")


# --- places ---


@pytest.mark.parametrize("place", ["m4/Hourly-train.csv", "m4/Train/Hourly-train.csv"])
def test_an_m4_file_is_found_beside_the_others_and_in_its_folder(tmp_path: Path, place: str) -> None:
    train, test = PUBLISHED["m4/Hourly"]
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert train.find(tmp_path) == tmp_path / place
    assert test.find(tmp_path) is None


# --- names ---


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["weather"], ["weather"]),
        (["ETT"], ETT),
        (["ett", "ETTh1"], ETT),
        (["ETTm2", "ett"], ["ETTm2", "ETTh1", "ETTh2", "ETTm1"]),
        (["m4"], [*(f"m4/{pattern}" for pattern in PATTERNS), "m4/Naive2"]),
        (["m4/hourly", "ILLNESS"], ["m4/Hourly", "illness"]),
        (["all"], list(PUBLISHED)),
        ([], []),
    ],
)
def test_names_mean_data_sets_and_groups(names: list[str], chosen: list[str]) -> None:
    assert choose(names) == chosen


@pytest.mark.parametrize("name", ["ETTh3", "custom", "sample", "m4/", ""])
def test_other_names_are_refused_with_the_choices(name: str) -> None:
    with pytest.raises(UserError, match=f"^{name}: no such data set to fetch; choose among ETT, m4, all"):
        choose(["weather", name])


def test_groups_hold_data_sets() -> None:
    assert set(GROUPS["ETT"]) | set(GROUPS["m4"]) < set(GROUPS["all"]) == set(PUBLISHED)
