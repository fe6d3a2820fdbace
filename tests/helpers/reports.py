"""A realistic report of made-up data: hourly or weekly columns with a season, their forecast and a backtest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.report import Backtest, Report, Table
from utils.report_charts import Bands, Chart, Origin, PastChart

COMMAND = "python run.py --data_path demand.csv --target demand --pred_len 48 --interval 0.5,0.9 --seed 2021"
LEVELS = {0.5: 0.67, 0.9: 1.64}  # and the half width of the interval in standard deviations
NOTES = (
    "3 missing values among the last 168 rows of 'demand' were filled in linearly.",
    "Dates are those of Europe/Berlin; the night of 31 March has 23 hours.",
)
DATA = (
    "demand.csv: UTF-8, separated by commas, decimals with a point",
    "  17,544 rows, 2022-03-29 00:00 to 2024-03-28 23:00 (column 'date')",
    "  step h, 24 steps to a season",
    "  no gaps in time, 3 missing values in 1 column",
    "  train: 12,280 rows, 12,065 windows of 168 -> 48",
    "The file can be used as it is.",
)


def hourly(steps: int) -> list[str]:
    """Return hourly dates as a report shows them."""
    return list(pd.date_range("2024-03-18", periods=steps, freq="h").strftime("%Y-%m-%d %H:%M"))


def weekly(steps: int) -> list[str]:
    """Return weekly dates as a report shows them."""
    return list(pd.date_range("2010-02-05", periods=steps, freq="W-FRI").strftime("%Y-%m-%d"))


def bands(forecast: np.ndarray, size: float) -> Bands:
    """Return intervals (H,) of two levels that widen with the horizon."""
    width = size * np.sqrt(np.linspace(0.4, 1.6, len(forecast)))
    return {level: (forecast - factor * width, forecast + factor * width) for level, factor in LEVELS.items()}


def chart(name: str, dates: Sequence[str], horizon: int, season: int = 24, seed: int = 0) -> Chart:
    """Return the forecast of one column over the last ``horizon`` of the dates."""
    random = np.random.default_rng(seed)
    steps = np.arange(len(dates))
    level, size = 10 ** random.uniform(1, 3), random.uniform(0.1, 0.3)
    phase = 2 * np.pi * (steps / season + random.uniform())
    smooth = level * (1 + size * np.sin(phase) + 0.3 * size * np.sin(2 * phase) + 0.0005 * steps)
    noisy = smooth + 0.2 * size * level * random.normal(size=len(steps))
    history, forecast = noisy[:-horizon], smooth[-horizon:]
    simple = np.resize(history[-season:], horizon)
    return Chart(
        name,
        dates,
        history,
        forecast,
        bands(forecast, 0.25 * size * level),
        ("seasonal naive", simple),
        caption=f"Typical miss of {name}: {0.17 * size * level:.3g} in the test.",
    )


def past(name: str, dates: Sequence[str], starts: Sequence[int], horizon: int, season: int, seed: int) -> PastChart:
    """Return forecasts from several places among the dates beside the truth."""
    one = chart(name, dates, 1, season, seed)
    truth = np.concatenate([one.history, one.forecast])
    ahead = {start: truth[start - season : start - season + horizon] for start in starts}
    ahead = {start: np.convolve(np.pad(line, 2, "edge"), np.full(5, 0.2), "valid") for start, line in ahead.items()}
    size = 0.06 * float(np.mean(truth))
    return PastChart(name, dates, truth, [Origin(at, line, bands(line, size)) for at, line in ahead.items()])


def scores(names: Sequence[str]) -> Table:
    """Return a table of errors, one row for each name."""
    random = np.random.default_rng(5)
    rows = [(name, *random.uniform(3, 30, 2), random.uniform(0.8, 0.97), random.integers(100, 900)) for name in names]
    return Table(
        ("name", "MAE", "MAE, seasonal naive", "inside 90 %", "windows"), rows, "Test errors, in the data's units"
    )


def report(names: Sequence[str] = ("demand",), many: str = "columns") -> Report:
    """Return a whole report: hourly columns, the target last; weekly ones if ``many`` is "series"."""
    series = many == "series"
    dates, horizon = (weekly(143), 13) if series else (hourly(288), 48)
    season, target = (52, "Weekly_Sales") if series else (24, names[-1])
    charts = [chart(name, dates, horizon, season, seed) for seed, name in enumerate(names)]
    history = dates[:-horizon]
    starts = [len(history) - (4 - i) * horizon for i in range(4)]
    backtest = Backtest(
        [past(name, history, starts, horizon, season, seed) for seed, name in enumerate(names)],
        Table(("forecast from", "MAE", "MAE, seasonal naive"), [(history[at], 11.2 + at / 100, 15.0) for at in starts]),
        ["Four forecasts from past dates, each made without what came after it."],
    )
    return Report(
        file="demand.csv",
        target=target,
        first=dates[-horizon],
        last=dates[-1],
        made="2024-03-29 08:15",
        answer=(
            f"Typical miss of {target}: 12.3 units (4.1 %), over 120 test windows.",
            "The seasonal naive forecast (repeat the last season) misses by 15.8. Use CALF.",
        ),
        warnings=("The last 3 days of the file are unusually high: the forecast may follow them.",),
        charts=charts,
        charts_are=many,
        backtest=backtest,
        scores=scores(names),
        decided=(
            ("Columns", ", ".join(names[:6])),
            ("Season", "24 steps (a day), found in the data"),
            ("Look-back", "168 steps"),
            ("Model", "CALF with a random gpt2-tiny"),
            ("Weights", "of epoch 7 of 10, the best on validation"),
        ),
        notes=NOTES,
        data=DATA,
        command=COMMAND,
    )
