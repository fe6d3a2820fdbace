"""How far apart the rows of a series are, and how many of them make a season."""

import numpy as np
import pandas as pd

from utils.errors import UserError

_DAY = pd.Timedelta(days=1)
# Steps per season by pandas' frequency prefix, for steps that are no fixed length of time.
_CALENDAR_SEASONS = {"B": 5, "W": 52, "M": 12, "BM": 12, "Q": 4, "BQ": 4, "Y": 1, "BY": 1}


def infer_frequency(dates: pd.DatetimeIndex) -> str:
    """pandas' name for the step between ``dates``; where they are uneven, for the median step."""
    if len(dates) > 2:
        inferred = pd.infer_freq(dates) if dates.is_monotonic_increasing and dates.is_unique else None
        if inferred is not None:
            return inferred
    step = pd.Timedelta(np.median(np.diff(dates.to_numpy()).astype("timedelta64[ns]"))) if len(dates) > 1 else _DAY
    return pd.tseries.frequencies.to_offset(step if step > pd.Timedelta(0) else _DAY).freqstr


def check_frequency(name: str) -> str:
    """Return ``name`` as pandas spells it.

    Raises:
        UserError: pandas knows no such frequency.
    """
    try:
        return pd.tseries.frequencies.to_offset(name.lower() if name in ("H", "T", "S") else name).freqstr
    except (ValueError, AttributeError) as error:
        raise UserError(f"--freq {name}: no such frequency; write h, 15min, D, W, MS, … or leave it out.") from error


def season_length(frequency: str) -> int:
    """Steps per season: a day of finer steps, a week of days, a year of anything longer."""
    offset = pd.tseries.frequencies.to_offset(frequency)
    prefix = offset.name.split("-")[0]
    for name, season in _CALENDAR_SEASONS.items():
        if prefix in (name, f"{name}S", f"{name}E"):
            return max(1, season // offset.n)
    step = pd.Timedelta(offset)
    if step < _DAY:
        return max(1, round(_DAY / step))
    if step < 7 * _DAY:
        return max(1, round(7 * _DAY / step))
    return max(1, round(364 * _DAY / step))
