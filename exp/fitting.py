"""Train a forecaster on a pandas table, with the flags of the command line as arguments."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from exp.config import RunConfig
from exp.flags import lines_of_idle_flags, parse_values
from exp.forecaster import Forecaster
from exp.look_back import with_best_look_back
from exp.options import Command
from exp.own_file import filled_in, take_search
from exp.refit import refit
from exp.train_and_test import train_and_test
from utils.errors import UserError, naming_arguments
from utils.files import replacing
from utils.flags import given_for

logger = logging.getLogger(__name__)

_OF_A_COMMAND = ("data", "data_path", "root_path", "load", "is_training", "itr", "dry_run", "check_data")
NOT_OF_A_FIT = {
    **dict.fromkeys(_OF_A_COMMAND, "leave it out"),
    **dict.fromkeys(("predict_len", "quantiles", "minimum", "maximum"), "give it to predict"),
    "future_path": "give predict the table of the future as future",
    "do_predict": "call predict; refit=0 keeps the weights of the test",
    "output": "write what predict returns with to_csv",
    "aggregate": "leave it out; python run.py forecasts sums of a file",
    "config": "give the flags of the file as arguments",
}  # what to do instead


def fit(table: pd.DataFrame, **options: Any) -> Forecaster:
    """Train, test and refit a model on a table as ``run.py --data_path`` does on a file, and return its forecaster.

    The table is kept as a CSV file in the working directory, named after its content: the same table is not trained on
    twice. What the test showed is in ``forecaster.answer``.

    Options without effect are warned of, as on the command line; None leaves one out.

    Raises:
        UserError: the table cannot be used, or an option is unknown, not possible, or not of a fit.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"A pandas DataFrame is needed, not a {type(table).__name__}.")
    if wrong := [name for name in NOT_OF_A_FIT if options.get(name) is not None]:
        raise UserError(f"{wrong[0]} is not for a fit on a table; {NOT_OF_A_FIT[wrong[0]]}.")
    with naming_arguments():
        given = parse_values(options)
        own = {"data": "custom", "data_path": str(_kept(table)), "do_predict": 1}
        given, searches = take_search(given)
        filled, _ = filled_in(given | own)
        config, command = RunConfig.from_flags(filled), Command(**given_for(Command, filled))
        for line in lines_of_idle_flags(config, command, given):
            logger.warning(line)
        if searches:
            config = with_best_look_back(config, overwrite=command.overwrite)
        train_and_test(config, overwrite=command.overwrite and not searches)
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
