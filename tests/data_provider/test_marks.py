"""Calendar marks of dates."""

import pandas as pd
import pytest

from data_provider.windows import calendar_marks


@pytest.mark.parametrize(
    ("date", "marks"),
    [
        ("2024-01-01 00:00", [-0.5, -0.5, -0.5, -0.5]),  # a Monday
        ("2024-12-31 23:59", [0.5, 1 / 6 - 0.5, 0.5, 0.5]),  # day 366
        ("2023-07-16 12:30", [12 / 23 - 0.5, 0.5, 0.0, 196 / 365 - 0.5]),
    ],
)
def test_hour_weekday_day_of_month_and_day_of_year_lie_between_minus_and_plus_one_half(
    date: str, marks: list[float]
) -> None:
    assert calendar_marks(pd.DatetimeIndex([date]))[0].tolist() == pytest.approx(marks)
