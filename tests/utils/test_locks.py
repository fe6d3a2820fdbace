"""One run at a time in a folder, one writer at a time to a file."""

import multiprocessing
from pathlib import Path

import pytest

from utils.errors import UserError
from utils.files import alone_in
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
        process.join()
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
