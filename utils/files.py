"""Write files that land whole (a temporary file, then a rename), and hold folders that a run works in."""

import csv
import errno
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy_format

from utils.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

LOCK = ".lock"


def shown_path(path: str | Path) -> str:
    """Return a path as printable text: bytes that are no UTF-8, and control characters, become escapes like \\xe4."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` once the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        error.filename = str(path)  # a read-only folder: of the file meant, not of the temporary one
        raise
    os.close(handle)
    temporary = Path(name)
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # a machine that stops must not leave the new name with old contents
        # mkstemp and safetensors give 0600; a result file is as public as the umask says.
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say whom it failed
        raise
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a killed run; nobody else may be writing in the folder."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError  # late: not all who write files need PyTorch
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # a full disk, in the words of another language
            raise OSError(errno.EIO, str(error), str(path)) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_table(path: Path, names: Sequence[str], values: np.ndarray, columns: Sequence[str]) -> None:
    """Write a CSV file, whole or not at all.

    Args:
        names: N row names, in a first column ``id``. values: (N, K). columns: K names.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *columns])
        writer.writerows([name, *(f"{value:.10g}" for value in row)] for name, row in zip(names, values, strict=True))


class ArrayWriter:
    """An ``.npy`` file of known shape, written a batch of rows at a time and renamed when complete.

    Memory stays at one batch, however long the array is.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._place = replacing(path)
        self._file = self._place.__enter__().open("wb")
        self._rows_left, self._row_shape = shape[0], shape[1:]
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(self._file, header)

    def append(self, rows: np.ndarray) -> None:
        """Add ``rows`` (n, ...) of float32."""
        if rows.shape[1:] != self._row_shape or len(rows) > self._rows_left:
            raise ValueError(f"rows of shape {rows.shape} do not fit: {self._rows_left} of {self._row_shape} are left")
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self._rows_left -= len(rows)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()
        incomplete = ValueError(f"{self._rows_left} rows are missing") if self._rows_left else None
        if error[0] is None and incomplete:
            self._place.__exit__(ValueError, incomplete, None)
            raise incomplete
        self._place.__exit__(*error)


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
