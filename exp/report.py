"""Make ``report.html`` of a forecast: what it says, how sure it is, what was decided, and what the data are like."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_provider.factory import quality_report
from data_provider.many import report_on_many
from data_provider.reading import Frame, written_dates
from exp.backtest import CSV as BACKTEST
from exp.backtest import SCORES as BACKTEST_SCORES
from exp.config import RunConfig
from exp.forecast import SUMS_CSV, Forecast, ManyForecast, Shown
from exp.many_series import SCORES
from utils.answer import answer_lines
from utils.errors import UserError, shown_path
from utils.report import Backtest, Report, Table, write_report
from utils.report_charts import Chart, Origin, PastChart

HTML = "report.html"
TAIL = 10  # horizons of history in a chart
HEAD = {"mae": "MAE", "naive": "naive", "seasonal_naive": "seasonal naive"}


def report_on_one(
    config: RunConfig, frame: Frame, forecast: Forecast, answer: Mapping[str, Any] | None, decided: Sequence[str]
) -> Path:
    """Write the report of a forecast of one series; return its path."""
    steps = len(forecast.values)
    tail = min(len(frame.dates), max(TAIL * steps, config.data.seq_len))
    past = written_dates(frame.dates[-tail:], None, frame.form)
    future = written_dates(forecast.stamps, forecast.offset, forecast.form)
    charts = [
        Chart(
            name=column,
            dates=[*past, *future],
            history=frame.values[-tail:, frame.columns.index(column)],
            forecast=forecast.values[:, c],
            bands={level: (lower[:, c], upper[:, c]) for level, (lower, upper) in forecast.bands.items()},
            reference=None if forecast.reference is None else ("simple forecast", forecast.reference[:, c]),
        )
        for c, column in enumerate(forecast.columns)
    ]
    return _write(config, charts, "columns", forecast, (future[0], future[-1]), answer, decided, frame.notes)


def report_on_series(
    config: RunConfig, forecast: ManyForecast, answer: Mapping[str, Any] | None, decided: Sequence[str]
) -> Path:
    """Write the report of a forecast of many series, of their last column; return its path."""
    panel, steps = forecast.panel, forecast.values.shape[1]
    grid, charts = panel.grid, []
    past = np.array(written_dates(grid.dates, None, grid.form), dtype=object)
    future = np.array(written_dates(forecast.stamps, grid.offset, grid.form), dtype=object).reshape(-1, steps)
    for i, name in enumerate(panel.ids):
        tail = min(int(panel.lengths[i]), max(TAIL * steps, config.data.seq_len))
        end = panel.offsets[i + 1]
        charts.append(
            Chart(
                name=name,
                dates=[*past[panel.last[i] + 1 - tail : panel.last[i] + 1], *future[i]],
                history=panel.values[end - tail : end, -1],
                forecast=forecast.values[i, :, -1],
                bands={level: (lower[i, :, -1], upper[i, :, -1]) for level, (lower, upper) in forecast.bands.items()},
                reference=None if forecast.reference is None else ("simple forecast", forecast.reference[i, :, -1]),
            )
        )
    span = (min(future[:, 0]), max(future[:, -1]))
    return _write(config, charts, "series", forecast, span, answer, decided, panel.notes)


def _write(
    config: RunConfig,
    charts: Sequence[Chart],
    charts_are: str,
    forecast: Shown,
    span: tuple[str, str],
    answer: Mapping[str, Any] | None,
    decided: Sequence[str],
    notes_on_data: Sequence[str],
) -> Path:
    path = config.results / HTML
    data, notes = config.data, (*notes_on_data, *forecast.notes)
    warned = [note.removeprefix("WARNING: ") for note in notes if note.startswith("WARNING: ")]
    report = Report(
        file=Path(getattr(data, "data_path", None) or data.data).name,
        target=forecast.columns[-1],
        first=span[0],
        last=span[1],
        made=datetime.now().strftime("%Y-%m-%d %H:%M"),
        answer=[line.strip() for line in answer_lines(answer)] if answer else [],
        warnings=warned,
        charts=charts,
        charts_are=charts_are,
        sums=_sums(config.results, forecast),
        backtest=_backtest(config.results),
        scores=_scores(config.results, answer),
        decided=[(name, value) for name, _, value in (one.partition(": ") for one in decided)],
        notes=[note for note in notes if not note.startswith("WARNING: ")],
        data=list(_data_report(config)),
        command=f"python run.py --config {shown_path(config.results / 'run.yaml')}",
    )
    write_report(path, report)
    return path


def _data_report(config: RunConfig) -> Iterator[str]:
    try:
        yield from report_on_many(config.data) if config.holds_many else quality_report(config.data)
    except UserError as error:  # a forecast needs less of a file than a training
        yield str(error)


def _scores(results: Path, answer: Mapping[str, Any] | None) -> Table | None:
    """Return the table of scores: of each series where there is one, else of each column."""
    path = results / SCORES
    if path.is_file():
        table = pd.read_csv(path, dtype={"id": str})
        return Table(list(table.columns), _rows(table), "Errors in the test, in the units of each series.", str(path))
    if not answer:
        return None
    names = list(next(iter(answer["columns"].values())))
    header = ["column", *(HEAD.get(name, name) for name in names)]
    rows = [[column, *(errors[name] for name in names)] for column, errors in answer["columns"].items()]
    return Table(header, rows, "Mean absolute error in the test, in the units of the file.")


def _sums(results: Path, forecast: Shown) -> Table | None:
    """Return the table of the sums; None where none were asked for."""
    if forecast.sums is None:
        return None
    caption = "Sums of the forecast, with intervals from the errors of whole sums."
    return Table(list(forecast.sums.columns), _rows(forecast.sums), caption, str(results / SUMS_CSV))


def _rows(table: pd.DataFrame) -> list[list[Any]]:
    """Return the rows of a table, None in place of what is missing."""
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


def _backtest(results: Path) -> Backtest | None:
    """Return the past forecasts that the test of a run kept; None where it kept none."""
    if not (results / BACKTEST).is_file():
        return None
    table = pd.read_csv(results / BACKTEST, dtype={"origin": str, "date": str, "column": str})
    charts = []
    for column, rows in table.groupby("column", sort=False):
        # The rows are in order of time, which the texts of counts and periods, like 100 or Jan-14, are not.
        truth = rows.groupby("date", sort=False)["actual"].first()
        places = {date: place for place, date in enumerate(truth.index)}
        origins = []
        for _, part in rows.groupby("origin", sort=False):
            levels = part.groupby("level") if "level" in part else [(0.9, part)]
            one = next(iter(levels))[1]
            bands = {
                float(level): (band["lower"].to_numpy(), band["upper"].to_numpy())
                for level, band in levels
                if band["lower"].notna().any()
            }
            origins.append(Origin(places[one["date"].iloc[0]], one["forecast"].to_numpy(), bands))
        charts.append(PastChart(str(column), list(truth.index), truth.to_numpy(), origins))
    scores = pd.read_csv(results / BACKTEST_SCORES, dtype={"origin": str, "column": str})
    said = "Forecasts of the test as they would have been made then, by the weights that were tested."
    return Backtest(charts, Table(["after", "column", "MAE", "inside the interval"], _rows(scores)), [said])
