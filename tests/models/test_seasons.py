"""Seasons that a series may have beside the one of its step."""

import pytest

from models.seasons import plausible_seasons


@pytest.mark.parametrize(
    ("season", "found"),
    [
        (1, ()), (4, (4,)), (5, (5,)), (12, (12,)), (52, (52,)), (2, (2,)),
        (24, (24, 168)), (168, (24, 168)), (48, (48, 336)), (96, (96, 672)), (672, (96, 672)), (288, (288, 2016)),
        (8, (8, 56)), (7, (7, 365)), (365, (7, 365)),
    ],
)  # fmt: skip
def test_a_day_has_its_week_and_a_week_its_year(season: int, found: tuple[int, ...]) -> None:
    assert plausible_seasons(season) == found


def test_a_season_has_a_step_at_least() -> None:
    with pytest.raises(ValueError, match="a season of 0 steps"):
        plausible_seasons(0)
