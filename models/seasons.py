"""Tell which seasons a series may have, from the one that follows from its step. Light: imports nothing."""

# Steps of a day, for rows from every three hours to every minute: such series have a week, too.
DAYS = (8, 24, 48, 72, 96, 144, 240, 288, 480, 720, 1440)
WEEK, YEAR = 7, 365  # days


def plausible_seasons(season: int) -> tuple[int, ...]:
    """Return the seasons that go with one of ``season`` steps, in rising order; none for a season of 1.

    A day has a week beside it, and a week its day: 24 and 168 for hourly rows, 96 and 672 for those of 15 minutes.
    A week of days has a year: 7 and 365. All others, like the 12 months of a year, stand alone.

    Raises:
        ValueError: the season is less than 1.
    """
    if season < 1:
        raise ValueError(f"a season of {season} steps")
    if season in (WEEK, YEAR):
        return WEEK, YEAR
    if season in DAYS:
        return season, WEEK * season
    if season % WEEK == 0 and season // WEEK in DAYS:
        return season // WEEK, season
    return (season,) if season > 1 else ()
