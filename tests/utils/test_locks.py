"""One run at a time in a folder, one writer at a time to a file."""

import multiprocessing
import time
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.files import LOCK, alone_in, clear_after_kill
from utils.results import append_block

WRITERS, BLOCKS = 8, 25


def test_a_folder_that_is_held_is_refused_and_afterwards_free(tmp_path: Path) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    with alone_in(*folders):
        for folder in folders:
            with pytest.raises(UserError, match="is at work on a run of this name"), alone_in(folder):
                pass
    with alone_in(*folders):
        pass
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_a_killed_run_left_half_written_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in (".model.safetensors.x1.tmp", "below/.pred.npy.x2.tmp", "model.safetensors", "mine.tmp"):
        (tmp_path / name).touch()
    with alone_in(tmp_path):
        pass
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"model.safetensors", "mine.tmp"}


def test_one_folder_under_two_names_is_held_once(tmp_path: Path) -> None:
    folder, link = tmp_path / "runs", tmp_path / "link"
    link.symlink_to(folder)
    with alone_in(folder, tmp_path / "." / "other" / ".." / "runs", link, folder):
        assert (folder / LOCK).exists()
    assert not (folder / LOCK).exists()


def hold_until_killed(folder: Path) -> None:
    with alone_in(folder):
        (folder / ".pred.npy.1.tmp").touch()
        (folder / "held").touch()
        time.sleep(60)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder that a run was killed in."""
    process = multiprocessing.get_context("fork").Process(target=hold_until_killed, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "held").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(UserError, match=rf"process {process.pid} on .* is at work"), alone_in(tmp_path):
        pass
    clear_after_kill(tmp_path)
    assert (tmp_path / LOCK).exists()
    process.kill()
    process.join(30)
    (tmp_path / "held").unlink()
    return tmp_path


def test_the_lock_of_a_killed_run_holds_nobody_up_and_goes_with_the_next(killed: Path) -> None:
    assert (killed / LOCK).exists()
    with alone_in(killed):
        assert [path.name for path in killed.iterdir()] == [LOCK]
    assert not list(killed.iterdir())


def test_what_a_killed_run_left_is_cleared_without_a_run(killed: Path) -> None:
    clear_after_kill(killed, killed / "no such folder")
    assert not list(killed.iterdir())


def test_a_leftover_without_a_lock_is_cleared_but_not_while_a_run_holds_another_of_its_folders(tmp_path: Path) -> None:
    checkpoint, results = tmp_path / "checkpoint", tmp_path / "results"
    for folder in (checkpoint, results):
        folder.mkdir()
    leftover = checkpoint / ".test.json.1.tmp"
    leftover.touch()
    with alone_in(results):
        clear_after_kill(checkpoint, results)
        assert leftover.exists()
    clear_after_kill(checkpoint, results)
    assert not leftover.exists()


def write(path: Path, writer: int) -> None:
    for block in range(BLOCKS):
        append_block(path, [f"writer {writer}, block {block}", *(f"{writer} " * 2000 for _ in range(3))])


def test_blocks_of_eight_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "results_long_term_forecast.txt"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write, args=(path, writer)) for writer in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    blocks = path.read_text().split("\n\n")
    assert blocks.pop() == ""
    assert len(blocks) == WRITERS * BLOCKS
    for block in blocks:
        title, *lines = block.split("\n")
        writer = title.split()[1].rstrip(",")
        assert len(lines) == 3 and all(set(line.split()) == {writer} for line in lines)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_a_block_that_does_not_fit_on_the_disk_leaves_no_part_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.txt"
    append_block(path, ["first"])
    opened = Path.open

    def half(self: Path, *args: object, **options: object) -> object:
        file = opened(self, *args, **options)

        class Full:
            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

            def __enter__(self) -> "Full":
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def write(self, content: bytes) -> int:
                return file.write(content[: len(content) // 2])

        return Full()

    monkeypatch.setattr(Path, "open", half)
    with pytest.raises(OSError, match="No space left"):
        append_block(path, ["second"])
    monkeypatch.undo()
    assert path.read_text() == "first\n\n"
