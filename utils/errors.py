"""The one exception that means: the input is wrong, not the program."""

import os
import sys
from pathlib import Path


class UserError(Exception):
    """Bad input. The message names the thing (file, column, row, flag) and the remedy.

    The commands print it without a traceback and leave with exit code 2.
    """


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM)."""


def shown_path(path: str | Path) -> str:
    """Return a path as text that can be printed: bytes that are no UTF-8 and control characters escaped."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def give_up(message: str, code: int) -> int:
    """Print a command's last message, after all that it said before; return its exit code."""
    sys.stdout.flush()
    rank = os.environ.get("RANK", "0")
    print(f"error{'' if rank == '0' else f' in process {rank}'}: {message}", file=sys.stderr)
    return code
