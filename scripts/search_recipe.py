"""Try training settings on several data sets and seeds, by validation errors alone; the test split is not looked at.

    python -m scripts.search_recipe                                # all rows, with the language model of the paper
    python -m scripts.search_recipe --rows ema,best --seeds 2 -- --llm gpt2-tiny --llm_init random

What follows the two dashes goes to run.py for every training. A training that is finished is not repeated, and one that
was stopped goes on: after an interruption the same command does the rest. The table lands in results/recipe_search.csv.
"""

import logging
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from exp.config import RESULTS, RunConfig
from exp.experiments import experiment_of
from exp.flags import parse
from exp.recipes import BEST, PAPER, RECIPES
from models.checkpoint import read_training
from utils.command import Parser, run_command, typed
from utils.errors import UserError
from utils.files import replacing
from utils.tables.markdown import whole_table

logger = logging.getLogger("calf")

TABLE = RESULTS / "recipe_search.csv"
# The published settings, of illness, which has none, similar ones; of large sets a share of the training rows.
SETS = {
    "ETTh1": "--pred_len 96 --batch_size 256 --learning_rate 0.0005 --patience 10 --train_epochs 100",
    "ETTm1": "--pred_len 96 --batch_size 256 --learning_rate 0.0005 --patience 5 --train_epochs 100 --percent 25",
    "weather": "--pred_len 96 --batch_size 64 --learning_rate 0.0005 --patience 5 --train_epochs 100 --percent 10 "
    "--task_loss smooth_l1 --output_loss smooth_l1 --feature_loss smooth_l1",
    "illness": "--seq_len 36 --pred_len 24 --batch_size 32 --learning_rate 0.0005 --patience 10 --train_epochs 100",
}
# What is tried: each flag of the recipe alone beside the settings of the paper, the recipe without each, and whole.
ROWS = {
    PAPER: "",
    **{name: f"--{name} {value}" for name, value in RECIPES[BEST].items()},
    BEST: f"--recipe {BEST}",
}


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser("python -m scripts.search_recipe", description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS), help="data sets with commas between (default: %(default)s)")
    parser.add_argument("--rows", default=",".join(ROWS), help="settings to try, likewise (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="how many, from 2021 on (default: %(default)s)")
    parser.add_argument("flags", nargs="*", help="of run.py, after --")
    return parser


def search(argv: Sequence[str] | None) -> None:
    """Train what is not trained yet, and print and save a table."""
    args = build_parser().parse_args(argv)
    if args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: choose a whole number of at least 1.")
    sets, rows = _named("--sets", args.sets, SETS), _named("--rows", args.rows, ROWS)
    lines = []
    for seed in range(RunConfig.seed, RunConfig.seed + args.seeds):
        for data in sets:
            for row in rows:
                lines.append({"row": row, "data": data, "seed": seed, **_validated(data, row, seed, args.flags)})
                _save(pd.DataFrame(lines))
    for line in _table(pd.DataFrame(lines)):
        print(line)


def _named(flag: str, text: str, known: dict[str, str]) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{flag} {unknown[0]}: choose some of {','.join(known)}.")
    return names


def _validated(data: str, row: str, seed: int, flags: Sequence[str]) -> dict[str, float]:
    """Train one model if it is not trained yet, and return its lowest validation error and what it took."""
    argv = ["--data", data, *shlex.split(SETS[data]), *shlex.split(ROWS[row]), *flags, "--seed", str(seed)]
    config = RunConfig.from_flags(parse(argv))
    experiment = experiment_of(replace(config, des="search"))
    experiment.train()
    record = read_training(experiment.config.checkpoint)
    best, epochs = record["best"], record["epochs"]
    error = best[experiment.score.key]
    logger.info("%s, %s, seed %d: %s %.5f in epoch %d", data, row, seed, experiment.score.name, error, best["epoch"])
    return {"error": error, "epoch": best["epoch"], "epochs": len(epochs), "seconds": record["seconds"]}


def _save(lines: pd.DataFrame) -> None:
    with replacing(TABLE) as temporary:
        lines.to_csv(temporary, index=False)


def _table(lines: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row: validation errors over the seeds, their ratio to those of the first row, seconds."""
    errors = lines.pivot_table(index="row", columns="data", values="error", sort=False)
    seconds = lines.assign(one=lines.seconds / lines.epochs).pivot_table(index="row", columns="data", values="one")
    ratios, pace = errors / errors.iloc[0], seconds.div(seconds.loc[errors.index[0]])
    titles = ["settings", *errors.columns, "error, times the first row's", "seconds an epoch, likewise"]
    cells = (
        [
            row,
            *(f"{error:.4f}" for error in errors.loc[row]),
            *(f"{_geometric(one.loc[row]):.3f}" for one in (ratios, pace)),
        ]
        for row in errors.index
    )
    yield from whole_table(titles, cells)


def _geometric(ratios: pd.Series) -> float:
    return math.exp(float(ratios.map(math.log).mean()))


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, 2 with one message when something given cannot be used, or 130 and 143 when stopped."""
    return run_command(lambda: search(argv), typed("-m scripts.search_recipe", argv))


if __name__ == "__main__":
    sys.exit(main())
