"""Running the shell scripts with something in Python's place."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import run
from exp.config import RunConfig
from exp.flags import parse
from exp.options import Command
from utils.flags import flags_of, given_for

ROOT = Path(run.__file__).parent

# Instead of Python: write down the arguments of runs and modules, one line a call; name the data sets in $PRESENT;
# leave with $CODE where the arguments match $FAIL.
STUB = """#!/bin/sh
case $1 in
    run.py | -m) ;;
    *) exit 0 ;;
esac
for part in "$@"; do printf "%s\\t" "$part"; done >> "$CALLS"
echo >> "$CALLS"
[ "$2" != data_provider.download ] || printf "%s\\n" $PRESENT
case $* in
    ${FAIL:-nothing}) exit "$CODE" ;;
esac
"""


class Shell:
    """A folder that scripts are run from.

    Attributes:
        calls: the argument lists with which the last script called Python.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls: list[list[str]] = []

    def run(
        self, script: Path, *flags: str, present: Iterable[str] = (), fail: str = "", code: int = 1, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script from another folder than the repository's.

        Args:
            script: the script.
            flags: its flags.
            present: data sets that are on disk.
            fail: a shell pattern; calls of Python that match it fail.
            code: their exit code.
            more: environment variables.
        """
        stub, record = self._folder / "python", self._folder / "calls"
        stub.write_text(STUB)
        stub.chmod(0o755)
        record.write_text("")
        inherited = {k: v for k, v in os.environ.items() if k not in ("FAILURES", "SEEDS", "PATTERNS", "HORIZONS")}
        own = {"PYTHON": stub, "CALLS": record, "PRESENT": " ".join(present), "FAIL": fail, "CODE": code, **more}
        environment = inherited | {name: str(value) for name, value in own.items()}
        command = ["sh", str(script), *flags]
        done = subprocess.run(command, env=environment, cwd=self._folder, capture_output=True, text=True)
        self.calls = [line.split("\t")[:-1] for line in record.read_text().splitlines()]
        return done

    @property
    def runs(self) -> list[list[str]]:
        """Return the flags of each run of run.py."""
        return [call[1:] for call in self.calls if call[0] == "run.py"]

    @property
    def parsed(self) -> list[SimpleNamespace]:
        """Return the values of all flags of each run of run.py, given or not."""
        return [values_of(flags) for flags in self.runs]


def values_of(flags: Sequence[str]) -> SimpleNamespace:
    """Return the value of every flag that a command line of run.py means, given or not."""
    given = parse(flags)
    config = RunConfig.from_flags(given)
    command = Command(**given_for(Command, given))
    parts = (command, config, config.data, config.model_config, config.training, config.schedule, config.runtime)
    return SimpleNamespace(**{name: getattr(part, name) for part in parts for name in flags_of(type(part))})
