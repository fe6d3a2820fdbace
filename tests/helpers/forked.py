"""Runs in processes of their own that start at once: forked from a server that has imported everything.

Their pictures are blank.
"""

import gc
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = [
    "tests.helpers.forked", "tests.helpers.pictures", "run", "exp.own_file", "exp.long_term_forecast",
    "exp.short_term_forecast", "exp.predict", "models.calf", "models.dlinear", "accelerate.tracking",
    "tests.helpers.peft_last",
]  # fmt: skip

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


def _ensure_server() -> None:
    """Start the server, which looks for what it imports along PYTHONPATH alone."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def start(
    folder: Path,
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
    file_size: int | None = None,
    killed: bool = False,
    dropout: bool = True,
) -> ForkServerProcess:
    """Start ``run.py`` with ``argv`` in ``folder``; what it says lands in ``said.txt`` there.

    Args:
        folder: its working directory.
        argv: its flags.
        environment: variables of its own.
        file_size: bytes beyond which the disk is full for each of its files.
        killed: whether it is killed once it has saved its first epoch.
        dropout: False trains with all rates of dropout at 0.
    """
    _ensure_server()
    options = (file_size, killed, dropout)
    process = _context.Process(target=_run, args=(folder, list(argv), dict(environment or {}), *options))
    process.start()
    return process


def stand_in(command: Sequence[str], cwd: str | Path = ".", **_: object) -> subprocess.CompletedProcess[str]:
    """Do with a command of run.py what ``subprocess.run`` does; all that it says is its ``stdout``."""
    said = Path(cwd).resolve() / "said.txt"
    said.unlink(missing_ok=True)
    code = finish(start(said.parent, command[2:]))
    return subprocess.CompletedProcess(command, code, said.read_text(encoding="utf-8"), "")


def begin(folder: Path, function: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Begin to call a function in ``folder`` in a process of its own that has not imported peft."""
    _ensure_server()
    process = _context.Process(target=_call, args=(folder, function, *arguments))
    process.start()
    return process


def call(folder: Path, function: Callable[..., object], *arguments: object) -> None:
    """Call a function, which must succeed, as :func:`begin` does."""
    assert finish(begin(folder, function, *arguments)) == 0, (folder / "said.txt").read_text(encoding="utf-8")


def wait_until(happened: Callable[[], object], process: ForkServerProcess, seconds: float = 60) -> None:
    """Wait until something has happened; fail where the process ends before, or after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.is_alive(), f"the process ended with exit code {process.exitcode}"
        assert time.monotonic() < deadline, f"nothing happened in {seconds:g} seconds"
        time.sleep(0.002)


def finish(process: ForkServerProcess, seconds: float = 120) -> int:
    """Return the exit code of a process; one that has not ended after ``seconds`` is killed."""
    process.join(seconds)
    if process.exitcode is None:
        kill(process)
        raise AssertionError(f"the process did not end in {seconds:g} seconds")
    return process.exitcode


def signal_all(process: ForkServerProcess, number: signal.Signals) -> None:
    """Send a signal to a process and to those that it has started, as a terminal and a scheduler do."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with suppress(OSError):  # it has just ended, or this is not Linux
        for pid in (process.pid, *map(int, children.read_text().split())):
            os.kill(pid, number)


def kill(process: ForkServerProcess) -> None:
    """End a process at once."""
    process.kill()
    process.join(30)


def _run(
    folder: Path,
    argv: list[str],
    environment: dict[str, str],
    file_size: int | None,
    killed: bool,
    dropout: bool,
) -> None:
    import run

    os.environ.update(environment)
    with _settled(folder, f"said{environment.get('RANK', '')}.txt"):
        if file_size:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        if killed:
            _die_after_the_first_epoch()
        if not dropout:
            _train_without_dropout()
        sys.exit(run.main(argv))


def _call(folder: Path, function: Callable[..., object], *arguments: object) -> None:
    from tests.helpers import peft_last

    for name in [name for name in sys.modules if name.split(".")[0] == "peft"]:
        del sys.modules[name]
    with _settled(folder, "said.txt"):
        try:
            assert not peft_last.IMPORTED_BEFORE, "a module of the program imports peft as soon as it is imported"
            function(*arguments)
        except Exception:
            traceback.print_exc()
            sys.exit(1)


@contextmanager
def _settled(folder: Path, said: str) -> Iterator[None]:
    """Work in ``folder`` as the tests do, and say everything into the file ``said`` there."""
    import torch

    from tests.helpers.pictures import BlankFigure
    from utils import plots

    gc.freeze()  # what the server has imported is not looked through at every collection
    plots.Figure = BlankFigure
    os.fsync = lambda _: None
    torch.set_num_threads(1)
    logging.getLogger().handlers.clear()  # of the process that this one is forked from
    os.chdir(folder)
    with open(said, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        yield


def _train_without_dropout() -> None:
    from exp.base import Experiment
    from tests.helpers.commands import turn_off_dropout

    prepare = Experiment.prepare

    def prepare_without(experiment: Experiment, write: bool = True) -> None:
        prepare(experiment, write)
        turn_off_dropout(experiment.model)

    Experiment.prepare = prepare_without


def _die_after_the_first_epoch() -> None:
    from exp.resume import TrainingState

    save = TrainingState.save

    def save_and_die(state: TrainingState, folder: Path) -> None:
        save(state, folder)
        os.kill(os.getpid(), signal.SIGKILL)

    TrainingState.save = save_and_die
