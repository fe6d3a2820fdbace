"""Write files that land whole, read small files that may be tampered with, and lock folders for one run."""

import errno
import json
import math
import os
import secrets
import socket
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.lib import format as npy_format
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from utils.errors import UserError, shown_path

LOCK = ".lock"
MOST_JSON = 2**26  # bytes
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # a full or broken disk


def check_regular(path: Path, limit: int) -> None:
    """Refuse a FIFO, which would hang, a device, which never ends, and a file of more than ``limit`` bytes.

    Raises:
        UserError: the path is one of these.
        OSError: nothing is there.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{shown_path(path)} is not a regular file; replace it with one, or remove it.")
    if status.st_size > limit:
        size = f"{status.st_size:,} bytes, more than {limit:,}"
        raise UserError(f"{shown_path(path)} has {size}: it is not what it should be.")


def check_uncompressed(path: Path) -> None:
    """Refuse a compressed archive in place of a file of PyTorch's, which compresses none: it could unpack to any size.

    Raises:
        ValueError: it is one.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError("it is compressed")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: the path is no regular file, or the file is too large.
        OSError: nothing is there.
        ValueError: the file is no JSON, which has no NaN and no infinite numbers.
    """

    def number(text: str) -> float:
        if not math.isfinite(float(text)):
            raise ValueError(f"{text[:20]} is not a finite number")
        return float(text)

    check_regular(path, MOST_JSON)
    try:
        return json.loads(path.read_bytes(), parse_float=number, parse_constant=number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` when the block ends without an error.

    Raises:
        OSError: the disk is full, or the folder read-only; it names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _naming(path, temporary):
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a machine that stops must not leave the new name with old content
            temporary.chmod(mode)  # safetensors makes a file that nobody else can read
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Name ``path`` in an error of a full disk, which names no file, and in one that names the temporary file."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in DISK_ERRORS
        if unnamed or (temporary and error.filename in (temporary, str(temporary))):
            error.filename = str(path)
        raise


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all; raise OSError where it cannot be written."""
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # how its Rust code reports a full disk
            raise OSError(errno.EIO, str(error), str(path)) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_table(path: Path, names: Sequence[str], values: np.ndarray, columns: Sequence[str]) -> None:
    """Write values (N, K) as a CSV file, whole or not at all; its first column, ``id``, holds the N names."""
    table = pd.DataFrame(values, pd.Index(names, name="id"), columns)
    with replacing(path) as temporary:
        table.to_csv(temporary, float_format="%.10g", na_rep="nan", lineterminator="\r\n")


@contextmanager
def writing_array(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends rows (n, …) to an ``.npy`` file of float32, which lands whole or not at all.

    Memory holds one batch of rows, however long the array of this shape is.
    """
    left = shape[0]

    def append(rows: np.ndarray) -> None:
        nonlocal left
        if rows.shape[1:] != shape[1:] or len(rows) > left:
            raise ValueError(f"rows of shape {rows.shape} do not fit: {left} of {shape[1:]} are left")
        with _naming(path):
            file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        left -= len(rows)

    with replacing(path) as temporary, temporary.open("wb") as file:
        npy_format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        yield append
        if left:
            raise ValueError(f"{left} rows are missing")


@contextmanager
def alone_in(*folders: Path) -> Iterator[None]:
    """Lock folders for the length of the block, and clear them of what a killed run left half-written.

    The operating system frees the lock of a process that ends in any way: a ``.lock`` that a killed run left holds
    nobody up, and goes with the next lock.

    Raises:
        UserError: another run holds one of them.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    once = {(status.st_dev, status.st_ino): folder for folder in folders for status in [folder.stat()]}.values()
    with ExitStack() as held:
        for folder in once:
            lock = folder / LOCK
            try:
                held.enter_context(_held(lock, wait=False))
            except Timeout as error:
                owner = shown_path(lock.read_text(encoding="utf-8", errors="replace").strip()) or "another process"
                raise UserError(
                    f"{shown_path(folder)}: {owner} is at work on a run of this name; wait for it to end, or stop it. "
                    "Nothing was changed."
                ) from error
            with _naming(lock):
                lock.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        for leftover in [path for folder in once for path in folder.rglob(".*.tmp")]:
            leftover.unlink(missing_ok=True)
        yield


@contextmanager
def _held(lock: Path, wait: bool) -> Iterator[None]:
    """Hold a lock for the length of the block, then remove its file."""
    with FileLock(lock, mode=0o666, blocking=wait):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps it while it is open
                lock.unlink()  # filelock sees that the file it waited for is gone, and makes a new one


def clear_after_kill(*folders: Path) -> None:
    """Remove the locks and temporary files that a killed run left, except where a run is at work."""
    there = [folder for folder in folders if folder.is_dir()]
    if any((folder / LOCK).exists() or any(folder.rglob(".*.tmp")) for folder in there):
        with suppress(UserError, OSError), alone_in(*there):  # all of them: a test holds one, and writes to another
            pass


def in_turn(path: Path) -> AbstractContextManager[None]:
    """Wait until nobody else writes to ``path``, and make others wait until the block ends."""
    return _held(path.with_name(f".{path.name}{LOCK}"), wait=True)
