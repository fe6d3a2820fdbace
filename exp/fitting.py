"""Train a forecaster on a pandas table, with the flags of the command line as arguments."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from exp.config import RunConfig
from exp.flags import parse_values
from exp.forecaster import Forecaster
from exp.own_file import filled_in
from exp.refit import refit
from exp.train_and_test import train_and_test
from utils.errors import UserError, naming_arguments
from utils.files import replacing

NOT_OF_A_FIT = ("data", "data_path", "root_path", "load", "is_training", "itr", "dry_run", "check_data")


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
    with naming_arguments():
        given = parse_values({"do_predict": 1, **options}) | {"data": "custom", "data_path": str(_kept(table))}
        filled, _ = filled_in(given)
        config = RunConfig.from_flags(filled)
        train_and_test(config)
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
