"""Make the columns that are known in advance: those of a file, of the calendar, and holidays.

Shapes: T rows, F columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data_provider.config import DataConfig, check, data_file, names_in
from data_provider.datasets import find_dataset
from data_provider.known_panel import check_future_of, future_in
from data_provider.reading import (
    FARTHEST,
    Frame,
    Known,
    Reading,
    counted,
    future_dates,
    local_dates,
    read_known,
    read_panel,
    read_table,
)
from utils.errors import UserError

UNSEEN = 1e300  # in place of a deviation of 0: whatever such a column becomes later, the model sees 0
# What the calendar says of dates, each from -0.5 to 0.5, with the step in days from which on it tells nothing.
CALENDAR: dict[str, tuple[Callable[[pd.DatetimeIndex], pd.Index], float]] = {
    "hour": (lambda dates: (dates.hour + dates.minute / 60) / 24 - 0.5, 1),
    "weekday": (lambda dates: dates.day_of_week / 6 - 0.5, 7),
    "month": (lambda dates: (dates.month - 1) / 11 - 0.5, 300),
    "day of year": (lambda dates: (dates.day_of_year - 1) / 365 - 0.5, 28),
}


@dataclass(frozen=True)
class KnownColumns:
    """Which columns are known in advance, and how they are standardized.

    Attributes:
        columns: those of the file.
        mean: of the training rows, for each of them; 0 for columns of 0 and 1, which stay as they are.
        scale: likewise, their standard deviation; 1 for columns of 0 and 1, ``UNSEEN`` for columns of one value.
        calendar: names of ``CALENDAR``.
        holidays: countries.
    """

    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    calendar: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all F columns, in their order."""
        derived = (*(f"calendar {name}" for name in self.calendar), *(f"holidays {one}" for one in self.holidays))
        return (*self.columns, *derived)

    def tensor(self, values: np.ndarray | None, dates: pd.DatetimeIndex, grid: Frame) -> Tensor | None:
        """Return the columns (T, F), standardized, in float32; None where F is 0.

        Args:
            values: (T, number of columns of the file), as they stand there.
            dates: of the T rows, on the clock of the grid.
            grid: says where the rows come from, and which clock that is.

        Raises:
            UserError: a value is too far from those of training.
        """
        local = local_dates(dates, grid.offset, grid.zone, grid.frequency) if self.calendar or self.holidays else dates
        parts = [CALENDAR[name][0](local).to_numpy() for name in self.calendar]
        parts += [_holidays(country, local) for country in self.holidays]
        if self.columns:
            standardized = (values - np.array(self.mean)) / np.array(self.scale)
            self._check_distance(standardized, values, dates, grid)
            parts = [*standardized.T, *parts]
        return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float32)) if parts else None

    def _check_distance(
        self, standardized: np.ndarray, values: np.ndarray, dates: pd.DatetimeIndex, grid: Frame
    ) -> None:
        far = np.abs(standardized) > FARTHEST
        if far.any():
            row, column = (int(part) for part in np.argwhere(far)[0])
            raise UserError(
                f"{grid.source}, column {self.columns[column]!r}, known in advance, {dates[row]}: "
                f"{values[row, column]:g} is more than {FARTHEST:g} training standard deviations from the mean; "
                "correct or remove it."
            )

    def to_json(self) -> dict[str, list[Any]]:
        """Return what a checkpoint keeps."""
        return {name: list(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what a checkpoint kept; raise UserError where it is not possible."""
        texts, numbers = (("columns", "calendar", "holidays"), str), (("mean", "scale"), float)
        for names, kind in (texts, numbers):
            for name in names:
                if not isinstance(values.get(name), list) or not all(type(one) is kind for one in values[name]):
                    raise UserError(f"of its columns known in advance, {name} is missing or damaged")
        known = cls(**{name: tuple(values[name]) for name in vars(cls())})
        if len(known.mean) != len(known.columns) or len(known.scale) != len(known.columns):
            raise UserError("it has not one mean and scale for each column known in advance")
        if not all(np.isfinite(known.mean)) or not all(0 < scale < np.inf for scale in known.scale):
            raise UserError("its scaler of columns known in advance is damaged")
        if odd := [name for name in known.calendar if name not in CALENDAR]:
            raise UserError(f"it has a column of the calendar {odd[0][:40]!r}, which there is not")
        for country in known.holidays:
            check("holidays", country)
        return known


def fit_known(config: DataConfig, frame: Frame, training_rows: int) -> tuple[KnownColumns, tuple[str, ...]]:
    """Return the columns of a series that are known in advance, standardized by its training rows, and notes.

    Raises:
        UserError: the rows have no dates that a calendar could tell anything of, or holidays are of shorter steps.
    """
    known = frame.known
    if known is None:
        return fit_known_rows(config, frame, (), None, slice(training_rows))
    return fit_known_rows(config, frame, known.columns, known.values, slice(training_rows))


def fit_known_rows(
    config: DataConfig,
    frame: Frame,
    columns: tuple[str, ...],
    values: np.ndarray | None,
    training: slice | np.ndarray,
) -> tuple[KnownColumns, tuple[str, ...]]:
    """Return the columns that are known in advance, standardized, and notes; errors as in :func:`fit_known`.

    Args:
        frame: says what the rows are: source, step, whether they have dates.
        columns: those of the file.
        values: (T, number of columns); None without columns.
        training: which rows to standardize by.
    """
    calendar = calendar_of(frame) if config.calendar else ()
    holidays = tuple(names_in(config.holidays))
    if holidays:
        check_holidays(frame, holidays)
    if not columns:
        return KnownColumns(calendar=calendar, holidays=holidays), ()
    rows, notes = values[training], []
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    flat = rows.min(axis=0) == rows.max(axis=0)
    switches = np.isin(rows, (0, 1)).all(axis=0)
    mean[switches], scale[switches] = 0.0, 1.0
    flat |= scale == 0
    mean[flat], scale[flat] = rows[0, flat], UNSEEN
    for name in np.array(columns, dtype=object)[flat]:
        notes.append(f"column {name!r}, known in advance, is constant over the training rows: nothing is learnt of it")
    return KnownColumns(columns, tuple(mean.tolist()), tuple(scale.tolist()), calendar, holidays), tuple(notes)


def calendar_of(frame: Frame) -> tuple[str, ...]:
    """Return which columns of the calendar tell the rows of a series apart; raise UserError if none does."""
    days = _days(frame)
    found = () if frame.is_counted else tuple(name for name, (_, longest) in CALENDAR.items() if days < longest)
    if not found:
        why = "its rows have no dates" if frame.is_counted else f"it has a row every {frame.frequency}"
        raise UserError(f"--calendar 1: {frame.source} tells nothing of a calendar, {why}; leave it out.")
    return found


def _days(frame: Frame) -> float:
    """Return the length of a step in days, on average."""
    dates = future_dates(pd.Timestamp("2023-12-31"), frame.frequency, 13)
    return (dates[-1] - dates[0]) / pd.Timedelta(days=1) / 12


def check_holidays(frame: Frame, countries: Sequence[str]) -> None:
    """Raise UserError where a series has no days that could be holidays, or the countries are not known."""
    if frame.is_counted or _days(frame) > 3:
        why = "its rows have no dates" if frame.is_counted else f"it has a row every {frame.frequency}"
        raise UserError(f"--holidays: {frame.source} has no single days, {why}; leave it out.")
    for country in countries:
        _holidays(country, frame.dates[:1])


def _holidays(country: str, dates: pd.DatetimeIndex) -> np.ndarray:
    """Return 1 for the dates (T,) on a public holiday, else 0.

    Args:
        country: a code like DE or US, or of a part of it like DE-BY.
    """
    try:
        import holidays
    except ImportError as error:
        raise UserError("--holidays needs the package holidays: python -m pip install holidays") from error
    code, _, part = country.partition("-")
    try:
        days = holidays.country_holidays(code, subdiv=part or None, years=range(dates.min().year, dates.max().year + 1))
    except (NotImplementedError, KeyError) as error:
        raise UserError(f"--holidays {country}: the package holidays does not know {country!r}.") from error
    return dates.normalize().isin(pd.DatetimeIndex(list(days))).astype(np.float64)


def known_values(seen: Frame, dates: pd.DatetimeIndex, ahead: Known | None) -> np.ndarray:
    """Return the columns of a file that are known in advance, (T + A, F), over its T rows and A dates after them.

    Args:
        dates: A dates that follow the rows.
        ahead: their values, where they are not those of the file itself; rows counted anew follow the last row.

    Raises:
        UserError: a value is not known.
    """
    own = seen.known.take(slice(len(seen.dates), None))
    if ahead is not None:
        ahead = ahead.on_clock_of(seen)
        if seen.is_counted and ahead.dates[-1] <= seen.dates[-1]:  # they are counted anew
            ahead = replace(ahead, dates=ahead.dates + (dates[0] - ahead.dates[0]))
    tables = [pd.DataFrame(one.values, one.dates, list(one.columns)) for one in (ahead, own) if one is not None]
    known = tables[0] if len(tables) == 1 else tables[0].combine_first(tables[1])
    future = known.reindex(dates)[list(own.columns)].to_numpy()
    if np.isnan(future).any():
        row, column = (int(part) for part in np.argwhere(np.isnan(future))[0])
        when, also = counted(dates, seen.form), "" if ahead is None else f", in {ahead.source} as well"
        raise UserError(
            f"{seen.source}: a forecast needs {', '.join(own.columns)}, known in advance (--future_cols), for the "
            f"{len(dates)} rows after its end, {when[0]} to {when[-1]}; {own.columns[column]!r} is missing at "
            f"{when[row]}{also}. Give them in rows below the last value of the target, or in another file with "
            "--future_path."
        )
    return np.concatenate([seen.known.values[: len(seen.dates)], future])


def check_future(config: DataConfig, steps: int, future_path: str | None) -> None:
    """Raise UserError where the columns of a file that are known in advance do not reach ``steps`` beyond its end."""
    if not config.future_cols:
        return
    spec = find_dataset(config.data)
    reading = Reading.of(config, spec)
    if config.id_col is not None:
        panel = read_panel(data_file(config, spec), reading)
        own = replace(reading, freq=panel.grid.frequency, usual_mark=panel.grid.location.decimal)
        check_future_of(panel, steps, future_in(Path(future_path), own) if future_path else None)
        return
    table = read_table(data_file(config, spec), reading)
    own = replace(reading, freq=table.frequency, usual_mark=table.location.decimal)
    ahead = read_known(Path(future_path), own) if future_path else None
    known_values(table, future_dates(table.dates[-1], table.frequency, steps), ahead)
