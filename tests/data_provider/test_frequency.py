"""Steps between rows: inferred, checked, and how many make a season."""

import numpy as np
import pandas as pd
import pytest

from data_provider.reading import check_frequency, date_rule, infer_frequency, season_length
from utils.errors import UserError

SEASONS = {
    "h": 24, "15min": 96, "10min": 144, "90min": 16, "12h": 2, "18h": 1, "7s": 12343, "D": 7, "2D": 4, "60h": 3,
    "7D": 52, "14D": 26, "400D": 1, "W-SUN": 52, "W-TUE": 52, "2W-SUN": 26, "B": 5, "C": 5, "MS": 12, "ME": 12,
    "BME": 12, "3ME": 4, "SME-15": 24, "WOM-1MON": 12, "QS-OCT": 4, "QE-DEC": 4, "YS-JAN": 1, "5YE-DEC": 1,
}  # fmt: skip


@pytest.mark.parametrize(("frequency", "season"), SEASONS.items())
def test_a_season_is_a_day_of_finer_steps_a_week_of_days_and_a_year_of_longer_ones(frequency: str, season: int) -> None:
    assert season_length(frequency) == season


@pytest.mark.parametrize(
    "frequency", ["h", "15min", "10min", "7s", "D", "2D", "B", "W-TUE", "MS", "ME", "QE-DEC", "WOM-1MON"]
)
def test_regular_dates_give_back_their_frequency(frequency: str) -> None:
    assert infer_frequency(pd.DatetimeIndex(pd.date_range("2024", periods=40, freq=frequency).to_numpy())) == frequency


@pytest.mark.parametrize(
    ("dates", "frequency"),
    [
        (["2024-01-01"], "D"),
        (["2024-01-01 00:00", "2024-01-01 01:00"], "h"),
        (["2024-01-01", "2024-01-02"], "D"),
        (["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-07", "2024-01-08"], "D"),
        (["2024-01-01 00:00", "2024-01-01 00:10", "2024-01-01 00:10", "2024-01-01 00:20", "2024-01-01 00:30"], "10min"),
        (["2024-01-03", "2024-01-02", "2024-01-01"], "D"),
        (["2024-01-01", "2024-01-01", "2024-01-01"], "D"),
    ],
)
def test_uneven_dates_have_the_frequency_of_their_most_frequent_step(dates: list[str], frequency: str) -> None:
    assert infer_frequency(pd.DatetimeIndex(dates)) == frequency


@pytest.mark.parametrize(
    "frequency", ["h", "min", "s", "D", "B", "C", "W", "MS", "ME", "QS", "YE", "SME", "SMS", "WOM-1MON", "bh", "7h"]
)
def test_whatever_is_inferred_has_a_season(frequency: str) -> None:
    inferred = infer_frequency(pd.DatetimeIndex(pd.date_range("2001", periods=50, freq=frequency).to_numpy()))
    assert season_length(inferred) >= 1


def test_the_unit_of_the_time_stamps_makes_no_difference() -> None:
    hours = pd.date_range("2024", periods=10, freq="h").to_numpy().astype("datetime64[s]")
    assert infer_frequency(pd.DatetimeIndex(hours)) == "h"
    assert infer_frequency(pd.DatetimeIndex(np.delete(hours, [2, 3]))) == "h"


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("h", "h"), ("H", "h"), ("t", "min"), ("T", "min"), ("S", "s"), ("d", "D"), ("b", "B"), ("w", "W-SUN"),
     ("15min", "15min"), ("1h30min", "90min"), ("W", "W-SUN"), ("MS", "MS"), ("QE", "QE-DEC")],
)  # fmt: skip
def test_frequencies_are_spelled_as_pandas_spells_them(name: str, spelled: str) -> None:
    assert check_frequency(name) == spelled


@pytest.mark.parametrize(
    "name",
    ["x", "nan", " ", "0", "hourly", "h30", "1e9h", "U", "0h", "-1h", "-1D", "-1MS", "bh", "99999999999h", "10000000D"],
)
def test_what_is_no_step_from_one_row_to_the_next_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"--freq {name}: no step from one row to the next; write h, 15min"):
        check_frequency(name)


@pytest.mark.parametrize(
    ("frequency", "rule"),
    [
        ("h", {"kind": "fixed", "seconds": 3600}),
        ("15min", {"kind": "fixed", "seconds": 900}),
        ("2D", {"kind": "fixed", "seconds": 172800}),
        ("W-SUN", {"kind": "fixed", "seconds": 604800}),
        ("2W-TUE", {"kind": "fixed", "seconds": 1209600}),
        ("rows:h", {"kind": "fixed", "seconds": 3600}),
        ("3", {"kind": "count", "count": 3}),
        ("MS", {"kind": "calendar", "unit": "MS", "count": 1}),
        ("2ME", {"kind": "calendar", "unit": "ME", "count": 2}),
        ("MS-15", {"kind": "calendar", "unit": "MS", "count": 1, "day": 15}),
        ("QS-JAN", {"kind": "calendar", "unit": "QS", "count": 1, "anchor": "JAN"}),
        ("YS-APR", {"kind": "calendar", "unit": "YS", "count": 1, "anchor": "APR"}),
        ("B", {"kind": "calendar", "unit": "B", "count": 1}),
        ("rows:B", {"kind": "calendar", "unit": "B", "count": 1}),
        ("Sun-Thu", {"kind": "calendar", "unit": "weekdays", "count": 1, "weekdays": [0, 1, 2, 3, 6]}),
    ],
)
def test_how_dates_go_on_is_said_without_pandas(frequency: str, rule: dict[str, object]) -> None:
    assert date_rule(frequency) == {"frequency": frequency, **rule}
