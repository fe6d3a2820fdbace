"""Files land whole or not at all."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.errors import UserError, shown_path
from utils.files import check_regular, read_json, replacing, save_tensors, write_json, write_table, writing_array


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_file_appears_in_folders_that_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"), replacing(tmp_path / "taken"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_temporary_file_lies_in_the_same_folder(tmp_path: Path) -> None:
    with replacing(tmp_path / "file.txt") as temporary:
        assert temporary.parent == tmp_path


def test_two_writers_of_one_file_do_not_share_their_temporary(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as one, replacing(tmp_path / "file") as two:
        assert one != two
        one.write_text("first")
        two.write_text("second")
    assert (tmp_path / "file").read_text() == "first"


def test_permissions_follow_the_umask_whoever_writes(tmp_path: Path, umask: int) -> None:
    write_json(tmp_path / "plain.json", {})
    save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)}, {})
    with writing_array(tmp_path / "array.npy", (0, 2)):
        pass
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path.name
    assert len(list(tmp_path.iterdir())) == 3


def test_json_is_written_readably(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None], "b": {"c": "ü"}}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert text.endswith("}\n")


def test_content_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


@pytest.mark.parametrize("shape", [(5, 2, 3), (5,), (0, 4)])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_array_written_in_batches_equals_the_one_numpy_saves(
    tmp_path: Path, shape: tuple[int, ...], batch: int
) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "theirs.npy", array.astype(np.float32))
    with writing_array(tmp_path / "ours.npy", shape) as append:
        for start in range(0, len(array), batch):
            append(array[start : start + batch])
        assert not (tmp_path / "ours.npy").exists()
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_transposed_rows_are_written_in_their_logical_order(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4).T
    with writing_array(tmp_path / "a.npy", (4, 3)) as append:
        append(rows)
    assert np.array_equal(np.load(tmp_path / "a.npy"), rows)


def test_missing_rows_are_an_error_and_leave_the_old_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones(3))
    with pytest.raises(ValueError, match="2 rows are missing"), writing_array(path, (3, 2)) as append:
        append(np.zeros((1, 2)))
    assert np.array_equal(np.load(path), np.ones(3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(4, 2), (1, 3), (2,)])
def test_rows_that_do_not_fit_are_an_error_at_once(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit: 3 of"), writing_array(tmp_path / "a.npy", (3, 2)) as append:
        append(np.zeros(shape))
    assert not list(tmp_path.iterdir())


def test_an_error_while_writing_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing_array(tmp_path / "a.npy", (3, 2)):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [300, 2000], ids=["buffered", "written at once"])
def test_a_full_disk_is_told_of_the_array_it_failed_and_leaves_nothing(
    tmp_path: Path, full_disk: None, rows: int
) -> None:
    with (
        pytest.raises(OSError) as error,
        writing_array(tmp_path / "pred.npy", (4 * rows, 5)) as append,
        writing_array(tmp_path / "true.npy", (1, 1)),
    ):
        for _ in range(4):
            append(np.zeros((rows, 5)))
        raise RuntimeError("the disk is not full")
    assert error.value.filename == str(tmp_path / "pred.npy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_json(path, {"a": "x" * 5000}),
        lambda path: save_tensors(path, {"a": torch.zeros(5000)}, {}),
        lambda path: write_table(path, ["a"], np.zeros((1, 5000)), [str(i) for i in range(5000)]),
    ],
    ids=["json", "tensors", "table"],
)
def test_a_full_disk_is_told_of_every_kind_of_file(
    tmp_path: Path, full_disk: None, write: Callable[[Path], None]
) -> None:
    with pytest.raises(OSError) as error:
        write(tmp_path / "file")
    assert error.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_an_error_of_something_else_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError) as error, replacing(tmp_path / "file"):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    assert error.value.filename is None


def test_a_table_is_written_with_row_names_and_without_loss(tmp_path: Path) -> None:
    values = np.array([[1.5, 1234567.125], [1e-7, -3.0]])
    write_table(tmp_path / "table.csv", ["H1", "with, comma"], values, ["V1", "V2"])
    assert (tmp_path / "table.csv").read_text().split() == [
        "id,V1,V2",
        "H1,1.5,1234567.125",
        '"with,',
        'comma",1e-07,-3',
    ]
    with pytest.raises(ValueError, match="Shape of passed values"):
        write_table(tmp_path / "table.csv", ["H1"], values, ["V1", "V2"])
    assert "with" in (tmp_path / "table.csv").read_text()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("data.csv", "data.csv"),
        ("Ü 日本.csv", "Ü 日本.csv"),
        (b"d\xe4ta.csv".decode("utf-8", "surrogateescape"), "d\\xe4ta.csv"),
        ("a\x1b[31m\nb\0", "a\\x1b[31m\\nb\\x00"),
    ],
)
def test_a_path_is_shown_as_printable_text(name: str, shown: str) -> None:
    assert shown_path(name) == shown_path(Path(name)) == shown
    assert shown.encode().decode().isprintable()


def test_a_regular_file_is_accepted_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    check_regular(path, 5)
    with pytest.raises(UserError, match="file has 5 bytes, more than 4"):
        check_regular(path, 4)
    with pytest.raises(FileNotFoundError):
        check_regular(tmp_path / "nothing", 4)


def test_json_is_read_from_a_file_that_is_not_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, 2.5]})
    assert read_json(path) == {"a": [1, 2.5]}
    monkeypatch.setattr("utils.files.MOST_JSON", 4)
    with pytest.raises(UserError, match=r"x\.json has \d+ bytes, more than 4"):
        read_json(path)


def test_what_is_no_file_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for name in ("fifo", "zero", "link", ""):
        with pytest.raises(UserError, match="is not a regular file"):
            check_regular(tmp_path / name, 10**9)
