"""Train a forecaster on a pandas table, with the flags of the command line as arguments."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from exp.config import RunConfig
from exp.flags import lines_of_idle_flags, parse_values
from exp.forecaster import Forecaster
from exp.options import Command
from exp.own_file import filled_in
from exp.refit import refit
from exp.train_and_test import train_and_test
from utils.errors import UserError, naming_arguments
from utils.files import replacing
from utils.flags import given_for

logger = logging.getLogger(__name__)

NOT_OF_A_FIT = (
    "data", "data_path", "root_path", "load", "is_training", "do_predict", "itr", "dry_run", "check_data", "config",
    "output", "aggregate", "verbose",
)  # fmt: skip
OF_PREDICT = ("predict_len", "quantiles", "minimum", "maximum", "future_path")


def fit(table: pd.DataFrame, **options: Any) -> Forecaster:
    """Train, test and refit a model on a table as ``run.py --data_path`` does on a file, and return its forecaster.

    The table is kept as a CSV file in the working directory, named after its content: the same table is not trained on
    twice. What the test showed is in ``forecaster.answer``.

    Raises:
        UserError: the table cannot be used, or an option is unknown or not possible.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"A pandas DataFrame is needed, not a {type(table).__name__}.")
    if wrong := sorted(set(NOT_OF_A_FIT) & options.keys()):
        raise UserError(f"{wrong[0]} is not for a fit on a table; leave it out.")
    if wrong := sorted(set(OF_PREDICT) & options.keys()):
        raise UserError(
            f"{wrong[0]} is not for a fit but for a forecast: give it to predict (a future table as future)."
        )
    with naming_arguments():
        given = parse_values({"do_predict": 1, **options}) | {"data": "custom", "data_path": str(_kept(table))}
        filled, _ = filled_in(given)
        config = RunConfig.from_flags(filled)
        command = Command(**given_for(Command, filled))
        for line in lines_of_idle_flags(config, command, options):
            logger.warning(line)
        train_and_test(config, overwrite=command.overwrite)
        if filled.get("refit"):
            refit(config)
    return Forecaster.load(config.checkpoint, config.runtime.device if config.runtime.device != "auto" else "cpu")


def _kept(table: pd.DataFrame) -> Path:
    """Return the file that holds a table; an index of dates becomes its first column."""
    has_dates = isinstance(table.index, pd.DatetimeIndex | pd.PeriodIndex)
    content = table.to_csv(index=has_dates, index_label="date" if has_dates else None).encode()
    path = Path(f"table-{hashlib.sha256(content).hexdigest()[:8]}.csv").resolve()
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return path
