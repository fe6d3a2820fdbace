"""One clock for all rows: offsets from UTC that change, and clocks that are put forward and back."""

from datetime import tzinfo
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_provider.reading.dates import Stamps
from data_provider.reading.frequency import is_calendar
from data_provider.reading.location import Location

_HOUR, _DAY = np.timedelta64(1, "h"), np.timedelta64(1, "D")
# Sundays on which clocks are put forward and back: month and which Sunday of it, -1 the last.
_RULES = {
    "Europe": ((3, -1), (10, -1)),
    "North America": ((3, 2), (11, 1)),
    "North America before 2007": ((4, 1), (10, -1)),
    "Australia": ((10, 1), (4, 1)),
    "New Zealand": ((9, -1), (4, 1)),
    "Chile": ((9, 1), (4, 1)),
}


class Clock(NamedTuple):
    """Dates on the clock of the last row.

    Attributes:
        dates: as they are to be used. offset: of that clock from UTC as written; None if the file does not tell.
        notes: what was decided.
    """

    dates: pd.DatetimeIndex
    offset: str | None
    notes: tuple[str, ...] = ()


def on_one_clock(stamps: Stamps, location: Location) -> Clock:
    """Bring all dates on the clock of the last row.

    Steps of a day and more follow the calendar whatever the clock does; shorter ones are steps of time.
    """
    wall, offsets = stamps.wall, stamps.offsets
    if offsets is None:
        return _without_offsets(wall, location)
    if (offsets == offsets[-1]).all():
        return Clock(wall, stamps.written)
    if (np.diff(wall.to_numpy()) >= _DAY).all() and (wall - wall.normalize() == wall[0] - wall[0].normalize()).all():
        return Clock(wall, None, ("its offsets from UTC change; the dates are taken from the calendar, without them",))
    note = f"its offsets from UTC change; all dates are shown at that of the last row, {stamps.written}"
    return Clock(pd.DatetimeIndex(wall - offsets + offsets[-1]), stamps.written, (note,))


def _without_offsets(wall: pd.DatetimeIndex, location: Location) -> Clock:
    """Where the only irregular steps are those of a clock put forward and back, the rows are consecutive."""
    steps = np.diff(wall.to_numpy())
    if len(steps) < 3:
        return Clock(wall, None)
    values, counts = np.unique(steps, return_counts=True)
    step = values[np.argmax(counts)]
    odd = np.flatnonzero(steps != step)
    if not len(odd) or step <= np.timedelta64(0) or step > _HOUR or _HOUR % step != np.timedelta64(0):
        return Clock(wall, None)
    if (np.abs(steps[odd] - step) != _HOUR).any() or (wall[odd + 1].hour > 4).any():
        return Clock(wall, None)
    changes = {(wall[row + 1].normalize(), bool(steps[row] > step)) for row in odd}
    if len(changes) < len(odd) or not any(_follow(rule, changes, wall) for rule in _RULES.values()):
        return Clock(wall, None)
    regular = wall[-1] - step * np.arange(len(wall) - 1, -1, -1)
    places = ", ".join(
        f"{'forward' if steps[row] > step else 'back'} at {wall[row + 1]} ({location.row(int(row) + 1)})"
        for row in odd[:3]
    )
    more = f" and {len(odd) - 3} more times" if len(odd) > 3 else ""
    note = (
        f"its clock is put {places}{more}, as for daylight saving; the rows are taken as consecutive, and all dates, "
        "future ones too, are on the clock of the last row"
    )
    return Clock(pd.DatetimeIndex(regular), None, (note,))


def _follow(
    rule: tuple[tuple[int, int], tuple[int, int]], changes: set[tuple[pd.Timestamp, bool]], wall: pd.DatetimeIndex
) -> bool:
    """Whether the changes (day, forward?) are those of a rule over the whole time of the file, none left out."""
    expected = {
        (_sunday(year, *place), forward)
        for year in range(wall[0].year, wall[-1].year + 1)
        for place, forward in zip(rule, (True, False), strict=True)
    }
    night = pd.Timedelta(hours=5)
    within = {(day, forward) for day, forward in expected if wall[0] <= day and day + night <= wall[-1]}
    return within <= changes <= expected


def _sunday(year: int, month: int, which: int) -> pd.Timestamp:
    if which < 0:
        last = pd.Timestamp(year, month, 1) + pd.offsets.MonthEnd()
        return last - pd.Timedelta(days=(last.weekday() + 1) % 7)
    first = pd.Timestamp(year, month, 1)
    return first + pd.Timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))


def aware_dates(dates: pd.DatetimeIndex, offset: str | None, zone: tzinfo | None, frequency: str) -> pd.DatetimeIndex:
    """Dates on the clock of :func:`on_one_clock` as instants, in a time zone if it is known; else as they are.

    Days and longer steps keep the time of the zone's clock; where that skips or repeats it, the instant is the next
    or the first one.
    """
    if zone is not None and (offset is None or is_calendar(frequency)):
        return dates.tz_localize(zone, ambiguous=np.ones(len(dates), bool), nonexistent="shift_forward")
    if offset is None:
        return dates
    instants = pd.DatetimeIndex([pd.Timestamp(text) for text in written_dates(dates, offset)])
    return instants if zone is None else instants.tz_convert(zone)


def written_dates(dates: pd.DatetimeIndex, offset: str | None) -> list[str]:
    """ISO dates, with the offset if there is one, without a time where all are midnight and there is none."""
    if offset is None and (dates == dates.normalize()).all():
        return dates.strftime("%Y-%m-%d").tolist()
    return [f"{date.isoformat(sep=' ')}{offset or ''}" for date in dates]
