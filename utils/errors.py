"""The one exception that means: the input is wrong, not the program."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A flag, and a value that stands behind it: a choice, a zone or a number, no word of the sentence.
_FLAG = re.compile(
    r"--([a-z_]+)(?: (auto|linear|ffill|none|rows|mean\|first\|last|[A-Z][A-Za-z_]+/[A-Za-z_/]+|-?\d+)(?![\w]))?"
)


class UserError(Exception):
    """Bad input. The message names the thing (file, column, row, flag) and the remedy; the exit code is 2."""


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM)."""


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Raise errors of the block in terms of Python: ``fill="linear"`` where the command line says ``--fill linear``."""
    try:
        yield
    except UserError as error:
        raise UserError(_FLAG.sub(_argument, str(error))) from error


def _argument(flag: re.Match[str]) -> str:
    name, value = flag.groups()
    return f'{name}="{value}"' if value else name


def shown_path(path: str | Path) -> str:
    """Return a path as text that can be printed: bytes that are no UTF-8 and control characters escaped."""
    try:
        text = os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # not the name of a file
        text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown_lines(text: str) -> str:
    """Return a text of several lines as one that can be printed: terminals obey control characters in names."""
    return "\n".join(shown_path(line) for line in text.split("\n"))
