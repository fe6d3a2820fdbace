"""The table of M4's frequencies."""

import pytest

from utils.errors import UserError
from utils.m4.patterns import PATTERNS, find_pattern


def test_the_six_patterns_hold_all_hundred_thousand_series() -> None:
    assert list(PATTERNS) == ["Yearly", "Quarterly", "Monthly", "Weekly", "Daily", "Hourly"]
    assert sum(pattern.series for pattern in PATTERNS.values()) == 100_000


def test_every_pattern_is_found_under_its_own_name() -> None:
    assert all(find_pattern(name).name == name for name in PATTERNS)


def test_horizons_and_seasons_are_those_of_the_competition() -> None:
    assert [(p.horizon, p.season) for p in PATTERNS.values()] == [(6, 1), (8, 4), (18, 12), (13, 1), (14, 1), (48, 24)]


def test_samples_come_from_one_and_a_half_horizons_or_from_ten() -> None:
    assert [p.history for p in PATTERNS.values()] == [1.5, 1.5, 1.5, 10, 10, 10]


def test_an_unknown_pattern_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r"--seasonal_patterns hourly: .*Yearly, Quarterly, .*, Hourly"):
        find_pattern("hourly")
