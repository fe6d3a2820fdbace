"""Run several models on one file and print a line for each: error of the target, coverage at 0.9, CPU seconds.

    python -m scripts.compare_files --models Naive DLinear "CALF:--llm gpt2 --llm_init random" auto -- --data_path a.csv

What follows the two dashes goes to run.py for every model, what follows the colon of a model for this one. Errors are
compared on the windows that all were scored on: slow models are scored on every k-th.
"""

import json
import resource
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from utils.command import Parser, run_command, typed
from utils.errors import UserError

ROOT = Path(__file__).parent.parent
USUAL = ("Naive", "SeasonalNaive", "AutoTheta", "AutoETS", "MSTL", "DLinear", "CALF", "auto", "ensemble")
CHOICE = "candidates.csv"


class Result(NamedTuple):
    """One model on the file: forecasts and truth of the target (W, H) in its units, its coverage, and what it took."""

    name: str
    forecast: np.ndarray
    truth: np.ndarray
    coverage: float | None
    seconds: float
    chosen: str


def test(named: str, flags: Sequence[str]) -> Result:
    """Run one model; raise UserError where the run fails."""
    model, _, own = named.partition(":")
    command = [sys.executable, str(ROOT / "run.py"), *flags, "--model", model, *shlex.split(own)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, "--inverse", "--overwrite"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise UserError(f"{shlex.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    folder = Path("results/latest").resolve()
    record: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    inside = record["scores"].get("intervals", {}).get("0.9", {}).get("per_channel", {})
    chosen = ""
    if (folder / CHOICE).is_file():
        table = pd.read_csv(folder / CHOICE, index_col="candidate")
        chosen = f" ({table.iloc[:, -1].idxmax()})"
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    arrays = (np.load(folder / f"{name}.npy")[..., -1] for name in ("pred", "true"))
    coverage = list(inside.values())[-1]["coverage"] if inside else None
    return Result(named.strip().removesuffix(":"), *arrays, coverage, seconds, chosen)


def common(tested: Sequence[Result]) -> dict[str, float]:
    """Return the mean absolute error of each model on the windows that all were scored on."""
    most, fewest = max(len(one.truth) for one in tested), min(len(one.truth) for one in tested)
    places = {len(one.truth): np.arange(len(one.truth)) * -(-most // len(one.truth)) for one in tested}
    shared = sorted(set.intersection(*(set(one.tolist()) for one in places.values())))
    if len(shared) < fewest / 10:
        raise UserError("the models were scored on windows that hardly overlap")
    found = {}
    for one in tested:
        rows = np.searchsorted(places[len(one.truth)], shared)
        found[one.name] = float(np.abs(one.forecast[rows] - one.truth[rows]).mean())
    return found


def compare(argv: Sequence[str] | None) -> None:
    """Print a table in Markdown."""
    parser = Parser("python -m scripts.compare_files", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=USUAL, help=f"with blanks between (default: {' '.join(USUAL)})")
    parser.add_argument("flags", nargs="*", help="of run.py, after --")
    args = parser.parse_args(argv)
    tested = []
    for name in args.models:
        tested.append(test(name, args.flags))
        print(f"{name}: done in {tested[-1].seconds:.0f} s of CPU", file=sys.stderr, flush=True)
    errors = common(tested)
    print("| model | MAE | coverage at 0.9 | CPU s |\n|---|---|---|---|")
    for one in tested:
        print(_line(one, errors))


def _line(one: Result, errors: dict[str, float]) -> str:
    coverage = "" if one.coverage is None else f"{one.coverage:.2f}"
    return f"| {one.name}{one.chosen} | {errors[one.name]:.5g} | {coverage} | {one.seconds:.0f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, 2 with one message when a run fails, or 130 and 143 when stopped."""
    return run_command(lambda: compare(argv), typed("-m scripts.compare_files", argv))


if __name__ == "__main__":
    sys.exit(main())
