"""Whether a file on disk is the published one."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

CHUNK = 1 << 20


class Checksum(NamedTuple):
    """A fingerprint of a file's bytes.

    ``git blob`` is what git calls a file's content; a repository tells it for every file, however large.
    """

    kind: Literal["SHA-256", "git blob"]
    digits: str

    def __str__(self) -> str:
        return f"{self.kind} {self.digits}"

    def of(self, path: Path, line_end: bytes | None = None) -> "Checksum":
        """The checksum of the same kind of ``path``, as if each of its lines ended in ``line_end``, if given."""
        if self.kind == "SHA-256":
            digest = hashlib.sha256()
        else:
            digest = hashlib.sha1(b"blob %d\0" % sum(len(piece) for piece in _pieces(path, line_end)))
        for piece in _pieces(path, line_end):
            digest.update(piece)
        return Checksum(self.kind, digest.hexdigest())

    def fits(self, path: Path) -> bool:
        """Whether ``path`` has this checksum; line ends do not matter, since git and mirrors convert them."""
        return any(self.of(path, line_end) == self for line_end in (None, b"\n", b"\r\n"))


def _pieces(path: Path, line_end: bytes | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        if line_end is None:
            yield from iter(partial(file.read, CHUNK), b"")
            return
        for line in file:
            yield line.removesuffix(b"\n").removesuffix(b"\r") + line_end if line.endswith(b"\n") else line
