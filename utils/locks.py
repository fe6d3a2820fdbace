"""One run at a time in a folder, one writer at a time to a file; a process that dies holds nothing."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from utils.errors import UserError
from utils.files import clear_leftovers

LOCK = ".lock"


@contextmanager
def alone_in(*folders: Path) -> Iterator[None]:
    """Hold some folders for the length of the block, cleared of what a killed run left half-written.

    Raises:
        UserError: another run holds one of them; which, and what to do, is said.
    """
    if not folders:
        yield
        return
    folder, *rest = folders
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    lock = FileLock(path, mode=0o666)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        owner = path.read_text(encoding="utf-8").strip() or "another process"
        raise UserError(
            f"{folder}: {owner} is at work on a run of this name; wait for it to end, or stop it. Nothing was changed."
        ) from error
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        clear_leftovers(folder)
        with alone_in(*rest):
            yield
    finally:
        with suppress(OSError):  # Windows keeps it while it is open
            path.unlink()  # whoever waits for it sees that it is gone, and makes it anew
        lock.release()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until nobody else writes to ``path``, and keep the others waiting."""
    lock = path.with_name(f".{path.name}{LOCK}")
    with FileLock(lock, mode=0o666):
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
