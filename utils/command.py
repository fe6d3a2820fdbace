"""Run a command of the project: its errors are one message, its stops are never lost. Light: it imports no PyTorch."""

import argparse
import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from utils.errors import Terminated, UserError, shown_lines, shown_path
from utils.flags import PRESENCE, PRESENCE_OR_SWITCH

LOGGERS = ("calf", "exp", "utils", "data_provider", "models", "layers")
INSTALLED = "calf"  # the command that installing the project gives, which is run.py
_received: list[int] = []  # signals that were to end the process


class Formatter(logging.Formatter):
    """A formatter whose lines can be printed, whatever names of files and columns are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(super().format(record))


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one message, without all flags before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nSee {self.prog} --help.\n")


def add_flags(
    group: argparse._ArgumentGroup, flags: Mapping[str, Field], known: dict[str, Field], hide: bool = False
) -> None:
    """Add flags to a group of a parser; those that were not given are missing from what it parses, not None.

    Args:
        known: the flags that the parser has; the new ones are put in, those that it has already are left out.
        hide: leave them out of ``--help``.
    """
    for name, one in flags.items():
        if name in known:
            continue
        known[name] = one
        names = [f"--{name}", *(f"--{alias}" for alias in one.metadata["aliases"])]
        text = one.metadata["help"]
        if one.default not in (None, False) and "left out" not in text:
            text += f" (default: {one.default})"
        text = argparse.SUPPRESS if hide else text.replace("%", "%%")
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text, "dest": name}
        if one.metadata["kind"] is PRESENCE:
            options["action"] = "store_true"
        elif one.metadata["kind"] is PRESENCE_OR_SWITCH:
            options |= {"nargs": "?", "const": "1", "metavar": "N"}
        else:
            options["metavar"] = {int: "N", float: "X"}.get(one.metadata["kind"].type, "TEXT")
        group.add_argument(*names, **options)


def processes() -> int:
    """Return how many processes a launcher has started; UserError where its variables make no sense."""
    count, rank = whole_number("WORLD_SIZE", 1), whole_number("RANK", 0)
    if count < 1 or not 0 <= rank < count:
        raise UserError(f"WORLD_SIZE={count} and RANK={rank} in the environment do not fit together; unset both.")
    if count > 1 and not os.environ.get("MASTER_ADDR"):
        wrong = f"WORLD_SIZE={count} is set in the environment, but no launcher started this process"
        raise UserError(f"{wrong}: unset it, or use torchrun or accelerate launch.")
    return count


def is_main_process() -> bool:
    """Return whether this process is the one that speaks and writes."""
    return processes() == 1 or whole_number("RANK", 0) == 0


def whole_number(name: str, default: int) -> int:
    """Return the number in a variable of the environment.

    Raises:
        UserError: the variable holds something else.
    """
    text = os.environ.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise UserError(f"{name}={shown_path(text[:40])} in the environment is not a whole number; unset it.")
    return int(text)


def run_command(function: Callable[[], None], command: str, again: str = "What was there before is whole.") -> int:
    """Run a command and return its exit code: 0, 2 with one message for wrong input, 130 or 143 when stopped.

    A bug ends with its traceback.

    Args:
        command: as it was typed, to tell how to go on.
        again: what to say of the files after a stop or a failed write.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.raiseExceptions = False  # a reader that stops early, like head, is no error
    _received.clear()
    try:
        main = is_main_process()
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO if main else logging.WARNING)
        with _stops():
            try:
                function()
            except Exception:
                raise_if_stopped()  # what a stop has cut off may fail in any way
                raise
            raise_if_stopped()
    except UserError as error:
        return give_up(str(error), 2)
    except OSError as error:  # a full disk, a read-only folder
        name = shown_path(error.filename) if error.filename else "a file"
        return give_up(f"{name}: {error.strerror or error}. {again}", 2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name in sys.modules or find_spec(error.name.split(".")[0]):
            raise  # a part of the project, not of its environment
        wanted = f"this Python ({sys.executable}) lacks {error.name}"
        return give_up(f"{wanted}: python -m pip install -r requirements.txt, or use the scripts.", 2)
    except KeyboardInterrupt as stop:
        return _stopped(stop, command, again)
    return 0


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt if a signal has asked the process to end.

    Python drops an exception that a signal's handler raises inside the garbage collector; loops look here, too.
    """
    if _received:
        raise Terminated if _received[-1] == signal.SIGTERM else KeyboardInterrupt


def leave_stops_to_parent() -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes of a command, and hide connections that it cuts off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = lambda *error: None  # of multiprocessing's thread; errors of the work go to the parent


def is_installed_command() -> bool:
    """Return whether the process was started as the installed command, not by way of a file of the source."""
    return Path(sys.argv[0]).stem == INSTALLED


def typed(program: str, argv: Sequence[str] | None) -> str:
    """Return a command as it was typed."""
    start = [INSTALLED] if is_installed_command() else ["python", *program.split()]
    return shlex.join([*start, *(sys.argv[1:] if argv is None else argv)])


def give_up(message: str, code: int) -> int:
    """Print a command's last message, after all that it said before; return its exit code."""
    sys.stdout.flush()
    rank = os.environ.get("RANK", "0")
    print(f"error{'' if rank == '0' else f' in process {rank}'}: {shown_lines(message)}", file=sys.stderr)
    return code


@contextmanager
def _stops() -> Iterator[None]:
    """End the process on SIGTERM as on Ctrl-C within the block: with all files whole."""

    own = os.getpid()

    def stop(number: int, frame: object) -> NoReturn:
        if os.getpid() != own:  # a process that has just begun to work for this one, and has this handler, too
            os._exit(128 + number)
        _received.append(number)
        # Destructors of what the stop has cut off may fail until the process has ended: nobody needs to see that.
        sys.unraisablehook = lambda lost: None
        raise_if_stopped()

    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread set a handler
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(stop: KeyboardInterrupt, command: str, again: str) -> int:
    """Say what is saved and how to go on."""
    by, code = ("by SIGTERM", 143) if isinstance(stop, Terminated) else ("by hand", 130)
    notes = getattr(stop, "__notes__", [f"{again} The same command goes on from here:"])
    several = processes() > 1
    shown = f"the launcher's with {command.removeprefix('python ')}" if several else command
    return give_up("\n".join([f"stopped {by}.", *notes, f"  {shown}"]), code) if is_main_process() else code
