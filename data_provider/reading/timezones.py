"""Bring dates on one clock whose offset from UTC does not change."""

from dataclasses import replace
from datetime import tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from data_provider.reading.csv_file import Location
from data_provider.reading.dates import COUNT, Stamps, stamps_of
from data_provider.reading.frequency import common_step, is_calendar
from data_provider.reading.periods import write_periods
from utils.errors import UserError

_HOUR, _DAY, _STILL = np.timedelta64(1, "h"), np.timedelta64(1, "D"), np.timedelta64(0, "h")


def on_one_clock(stamps: Stamps, tz: str | None, location: Location) -> tuple[Stamps, tuple[str, ...]]:
    """Bring all dates on the clock of the last row, and say what was decided.

    Steps of a day and more follow the calendar whatever the clock does; shorter steps are spans of time.
    """
    own_zone, notes = stamps.zone, ()
    if tz is not None and own_zone is None:
        if stamps.offsets is not None:
            instants = pd.DatetimeIndex(stamps.wall - stamps.offsets).tz_localize("UTC")
            stamps = stamps_of(instants.tz_convert(ZoneInfo(tz)))
            notes = (f"its dates have offsets; they are converted to {tz}",)
        elif _follows_calendar(stamps.wall):
            notes = (f"no effect: --tz {tz}, because the rows are days or longer apart",)
        else:
            stamps = stamps_of(_localize(stamps.wall, tz, location))
    wall, offsets = stamps.wall, stamps.offsets
    if offsets is None or (offsets == offsets[-1]).all():
        return stamps, notes
    if _follows_calendar(wall):
        note = "its offsets from UTC change; the dates are taken from the calendar, without them"
        return Stamps(wall, zone=own_zone), (*notes, note)
    note = f"its offsets from UTC change; all dates are shown at that of the last row, {stamps.written}"
    return replace(stamps, wall=pd.DatetimeIndex(wall - offsets + offsets[-1])), (*notes, note)


def _follows_calendar(wall: pd.DatetimeIndex) -> bool:
    """Tell whether all rows are at one time of day, a day or more apart."""
    times = wall - wall.normalize()
    return bool((np.diff(wall.to_numpy()) >= _DAY).all() and (times == times[0]).all())


def _localize(wall: pd.DatetimeIndex, tz: str, location: Location) -> pd.DatetimeIndex:
    """Return the dates of a local clock with their time zone; the order of rows tells repeated hours apart."""
    first, second = (
        wall.tz_localize(ZoneInfo(tz), ambiguous=np.full(len(wall), is_first), nonexistent="NaT")
        for is_first in (True, False)
    )
    steps = np.diff(wall.to_numpy())
    repeated = np.asarray(first != second)
    jumps = second.tz_convert(None).to_numpy()[1:] - first.tz_convert(None).to_numpy()[:-1]
    goes_on = np.append(False, (steps <= _STILL) | (jumps == common_step(wall)))  # from the first pass to the second
    is_second = pd.Series(goes_on & repeated).groupby((~repeated).cumsum()).cumsum() > 0
    local = first.where(~is_second, second)
    wrong = np.asarray(local.isna())
    if not wrong.any() and (steps == steps[0]).all():
        wrong = np.append(False, np.diff(stamps_of(local).offsets) != _STILL)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"{location.name}, {location.row(row)} ({wall[row]}): the clock of {tz} (--tz) changes there, the dates do "
            "not. Name the time zone of the file's clock with --tz; the clock of UTC never changes."
        )
    return local


def clock_changes(dates: pd.DatetimeIndex) -> np.ndarray:
    """Return the rows at which a clock seems to be put forward or back: an hour off in a night from Friday on."""
    steps, step = dates.diff(), common_step(dates)
    is_night = ((dates.hour + 1) % 24 <= 5) & (dates.day_of_week >= 4)
    return np.flatnonzero(is_night & (np.abs(steps - step) == _HOUR) & (_STILL < step <= _HOUR))


def aware_dates(dates: pd.DatetimeIndex, offset: str | None, zone: tzinfo | None, frequency: str) -> pd.DatetimeIndex:
    """Return dates of a frame, or dates that follow them, as instants: in its time zone, or at its offset if known.

    Days and longer steps keep the time of the zone's clock; where that skips it, the instant is the next one.
    """
    if zone is not None and (offset is None or is_calendar(frequency)):
        return dates.tz_localize(zone, ambiguous=np.ones(len(dates), bool), nonexistent="shift_forward")
    if offset is None:
        return dates
    instants = dates.tz_localize("UTC" if offset == "Z" else f"UTC{offset}")
    return instants if zone is None else instants.tz_convert(zone)


def nanoseconds_of(dates: pd.DatetimeIndex, offset: str | None) -> np.ndarray:
    """Return dates of a frame as nanoseconds since 1970, in UTC where their offset is known."""
    return aware_dates(dates, offset, None, "").as_unit("ns").asi8


def local_dates(dates: pd.DatetimeIndex, offset: str | None, zone: tzinfo | None, frequency: str) -> pd.DatetimeIndex:
    """Return dates of a frame as the clocks of its time zone show them, summer and winter; as they are without one."""
    return dates if zone is None else aware_dates(dates, offset, zone, frequency).tz_localize(None)


def counted(dates: pd.DatetimeIndex, form: str | None) -> pd.Index:
    """Return the dates of a series as whole numbers where they stand for such; else as they are."""
    return pd.Index(dates.as_unit("s").asi8) if form == COUNT else dates


def written_dates(dates: pd.DatetimeIndex, offset: str | None = None, form: str | None = None) -> list[str]:
    """Return dates as ISO texts with the frame's offset, without a time where all are midnight and have no offset.

    With a ``form`` they are written in it: as counts, or as periods.
    """
    if form == COUNT:
        return [str(number) for number in counted(dates, form)]
    if form is not None:
        return write_periods(dates, form)
    if dates.tz is not None and offset not in (None, "Z"):
        return [date.isoformat(sep=" ") for date in dates]
    dates = dates.tz_localize(None)
    if offset is None and (dates == dates.normalize()).all():
        return dates.strftime("%Y-%m-%d").tolist()
    return [f"{date.isoformat(sep=' ')}{offset or ''}" for date in dates]
