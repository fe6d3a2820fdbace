"""Forecast what comes after the end of each series of a run's long file (``--do_predict``)."""

import logging
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np

from data_provider.config import data_file
from data_provider.datasets import find_dataset
from data_provider.known_panel import future_in
from data_provider.reading import Reading, read_panel
from exp.bands import Wanted
from exp.config import RunConfig
from exp.forecast import CSV, ManyForecast
from exp.many_forecaster import ManySeriesForecaster, first_lines
from exp.predict import TAIL, check_known, closing_lines, decisions, one_thread, warning_of, weights_line
from utils.files import alone_in
from utils.plots import plot_series
from utils.results import skill_lines

logger = logging.getLogger(__name__)

DRAWN = 6  # series in the picture
FIRST_SERIES, FIRST_STEPS = 3, 2  # printed


def forecast_many_future(folder: Path, config: RunConfig, forecaster: ManySeriesForecaster) -> None:
    """Forecast every series of a long file; leave ``forecast.csv`` and a picture of some with the results.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    runtime, data = config.runtime, config.data
    spec = find_dataset(data.data)
    reading = forecaster.reading(Reading.of(data, spec))
    panel = read_panel(data_file(data, spec), reading)
    ahead = None
    if runtime.future_path is not None:
        check_known(forecaster, runtime.future_path)
        ahead = future_in(Path(runtime.future_path), replace(reading, usual_mark=panel.grid.location.decimal))
    with one_thread():
        forecast = forecaster.forecast_many(panel, runtime.predict_len, Wanted.of(runtime), data.fill, ahead)
    answered = forecaster.answer is not None
    if not answered:
        logger.info("")
        for line in skill_lines(folder):
            logger.info(line)
    picture = config.results / "forecast.png"
    with alone_in(config.results):
        forecast.save(config.results)
        _draw(config, forecast, picture)
        decided = decisions(config, forecaster)
        page = resolve_name("exp.report:report_on_series")(config, forecast, forecaster.answer, decided)
    panel, steps = forecast.panel, forecast.values.shape[1]
    logger.info("")
    logger.info(weights_line(forecaster))
    logger.info(
        "Forecast of %d steps (%s) after the end of each of %d series", steps, panel.grid.frequency, len(panel.ids)
    )
    notes = (f"  note: {note}" for note in (*panel.notes, *forecast.notes))
    for line in (*first_lines(forecast, FIRST_SERIES, FIRST_STEPS), *notes):
        logger.info(line)
    files = {"forecast": config.results / CSV, "picture": picture, "report": page}
    for line in closing_lines(config, forecaster, files, answered):
        logger.info(line)


def _draw(config: RunConfig, forecast: ManyForecast, path: Path) -> None:
    """Draw the target of series evenly spread over the file, with the intervals."""
    panel, steps = forecast.panel, forecast.values.shape[1]
    chosen = np.unique(np.linspace(0, len(panel.ids) - 1, DRAWN).round().astype(int))
    ends = panel.offsets[chosen + 1]
    starts = np.maximum(panel.offsets[chosen], ends - max(TAIL * steps, config.data.seq_len))
    plot_series(
        path,
        [panel.ids[i] for i in chosen],
        [panel.values[start:end, -1] for start, end in zip(starts, ends, strict=True)],
        None,
        {"forecast": forecast.values[chosen, :, -1]}
        | ({} if forecast.reference is None else {"reference": forecast.reference[chosen, :, -1]}),
        f"{config.model} on {Path(panel.grid.source).name}, {forecast.columns[-1]}: {steps} steps ahead"
        f"{warning_of(forecast)}",
        {level: (lower[chosen, :, -1], upper[chosen, :, -1]) for level, (lower, upper) in forecast.bands.items()},
    )
