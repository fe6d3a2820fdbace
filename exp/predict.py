"""Forecast what comes after the end of a run's data file (``--do_predict``)."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch

from data_provider.config import data_file
from data_provider.datasets import DatasetSpec, find_dataset
from data_provider.reading import Frame, Known, Reading, counted, read_frame, read_known, written_dates
from exp.bands import Wanted
from exp.config import REFIT, RunConfig
from exp.forecast import CSV, SUMS_CSV, Forecast
from exp.forecast_files import copy_whole
from exp.forecaster import Forecaster
from exp.options import Command
from exp.refit import refit
from utils.answer import answer_lines
from utils.command import is_main_process
from utils.device import pick_device
from utils.errors import UserError, shown_path
from utils.files import alone_in
from utils.plots import plot_future
from utils.results import skill_lines

logger = logging.getLogger(__name__)

SHOWN = 5  # steps printed
TAIL = 3  # horizons of history in a picture
OTHER_FILES = {  # that a run may leave beside the forecast
    "sums": SUMS_CSV,
    "candidates": "candidates.csv",
    "backtest": "backtest.csv",
    "picture of the backtest": "backtest.png",
}


def forecast_and_deliver(folder: Path, config: RunConfig, command: Command) -> None:
    """Forecast from the checkpoint in ``folder``, after a last training on all rows if asked for; fill ``--output``.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    if command.is_training and command.refit:
        refit(config)
    if not is_main_process():
        return
    forecast_future(folder, config, command.refit != 0)
    if config.runtime.output:
        copy_whole(config.results / CSV, Path(config.runtime.output))
        logger.info("forecast: %s", shown_path(config.runtime.output))


def forecast_future(folder: Path, config: RunConfig, refit: bool = True) -> None:
    """Forecast from the checkpoint in ``folder``; leave ``forecast.csv``, ``.npy`` and pictures with the results.

    Args:
        refit: take the weights that were trained on all rows where there are such; else those that were tested.

    Raises:
        UserError: checkpoint or file cannot be used, or do not fit each other.
    """
    runtime = config.runtime
    forecaster = Forecaster.load(folder, pick_device(runtime.device, runtime.use_gpu, runtime.gpu), refit)
    if forecaster.series.ids is not None:
        resolve_name("exp.predict_many:forecast_many_future")(folder, config, forecaster)
        return
    frame = _read(config, forecaster)
    with one_thread():
        own = find_dataset(config.data.data).named_by_user
        ahead = _future(config, forecaster, frame.location and frame.location.decimal)
        forecast = forecaster.forecast(frame, runtime.predict_len, Wanted.of(runtime), own, ahead)
    answered = own and forecaster.answer is not None
    if not answered:
        logger.info("")
        for line in skill_lines(folder):
            logger.info(line)
    with alone_in(config.results):
        forecast.save(config.results)
        pictures = _draw(config, frame, forecast)
        decided = decisions(config, forecaster)
        page = resolve_name("exp.report:report_on_one")(config, frame, forecast, forecaster.answer, decided)
    logger.info("")
    logger.info(weights_line(forecaster))
    for line in (*_lines(frame, forecast), *(f"  note: {note}" for note in (*frame.notes, *forecast.notes))):
        logger.info(line)
    files = {"forecast": config.results / CSV, "pictures": ", ".join(str(path) for path in pictures), "report": page}
    for line in closing_lines(config, forecaster, files, answered):
        logger.info(line)


def closing_lines(config: RunConfig, forecaster: Forecaster, files: Mapping[str, Any], answered: bool) -> Iterator[str]:
    """Yield what ends a forecast: what the test showed and what was decided, for a file of the user's; the files."""
    if answered:
        yield from ("", *answer_lines(forecaster.answer))
        yield f"  decided: {', '.join(decisions(config, forecaster))}"
    others = {name: config.results / file for name, file in OTHER_FILES.items() if (config.results / file).exists()}
    for name, place in {**files, **others}.items():
        yield f"{name}: {shown_path(place)}"


def decisions(config: RunConfig, forecaster: Forecaster) -> list[str]:
    """Return what a run decided or was told: model, columns, season, look-back, horizon."""
    model, data = forecaster.model, config.data
    columns = forecaster.series.columns
    labels = list(dict.fromkeys(model.labels)) if model.config.chooses else [config.model]
    return [
        f"model: {', '.join(labels)}",
        f"columns: {len(columns)} ({data.features})",
        f"target: {columns[-1]}",
        f"season: {model.config.season} steps",
        f"look-back: {model.config.seq_len} steps",
        f"horizon: {model.config.pred_len} steps",
        f"weights: {'of the test' if model.stored.folder.name != REFIT else 'trained once more on all rows'}",
    ]


def weights_line(forecaster: Forecaster) -> str:
    """Return which weights forecast."""
    folder, trains = forecaster.model.stored.folder, forecaster.model.trains
    if not trains:
        return "The model has nothing to train."
    if folder.name == REFIT:
        epochs = forecaster.model.stored.best.get("epoch")
        count = "" if forecaster.model.config.chooses else f" ({epochs} epochs)"
        return f"Weights: trained once more on all rows{count}, the test's figures are of those before."
    return "Weights: those of the test, which never saw the rows of validation and test (--refit 1 trains on all)."


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: a window is little work, and threads that wait for a core cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _read(config: RunConfig, forecaster: Forecaster) -> Frame:
    spec = find_dataset(config.data.data)
    if spec.read != DatasetSpec.read:  # no CSV file
        frame = resolve_name(spec.read)(config.data, spec)
        if missing := [name for name in forecaster.columns if name not in frame.columns]:
            raise UserError(f"{frame.source} has no column {missing[0]!r}, which the model was trained on.")
        return frame.arrange(forecaster.columns)
    return read_frame(data_file(config.data, spec), forecaster.reading(Reading.of(config.data, spec)))


def _future(config: RunConfig, forecaster: Forecaster, mark: str | None) -> Known | None:
    """Return the columns known in advance from a file of their own, if there is one; ``mark`` is that of the data."""
    path = config.runtime.future_path
    if path is None:
        return None
    check_known(forecaster, path)
    reading = forecaster.reading(Reading.of(config.data, find_dataset(config.data.data)))
    return read_known(Path(path), replace(reading, usual_mark=mark))


def check_known(forecaster: Forecaster, path: str) -> None:
    """Raise UserError for a file of the future where the model knows no column in advance."""
    if not forecaster.series.known.columns:
        raise UserError(f"--future_path {shown_path(path)}: the model has no columns known in advance; leave it out.")


def _draw(config: RunConfig, frame: Frame, forecast: Forecast) -> list[Path]:
    """Draw the forecast and its intervals after the end of the history, the target first; return the pictures."""
    steps = len(forecast.dates)
    tail = min(len(frame.dates), max(TAIL * steps, config.data.seq_len))
    first = np.roll(np.arange(len(forecast.columns)), 1)  # the target, which is last
    names = [forecast.columns[place] for place in first]
    values = {"forecast": forecast.values} | ({} if forecast.reference is None else {"reference": forecast.reference})
    rolled = f", rolled beyond step {config.data.pred_len}" if steps > config.data.pred_len else ""
    title = f"{config.model} on {Path(frame.source).name}: {steps} steps after "
    pages = plot_future(
        config.results,
        counted(frame.dates[-tail:].append(forecast.dates), frame.form),
        frame.values[-tail:, [frame.columns.index(name) for name in names]],
        {name: part[:, first] for name, part in values.items()},
        {level: tuple(bound[:, first] for bound in band) for level, band in forecast.bands.items()},
        names,
        f"{title}{written_dates(frame.dates[-1:], None, frame.form)[0]}{rolled}{warning_of(forecast)}",
    )
    for stale in set(config.results.glob("forecast_*.png")) - set(pages):
        stale.unlink()
    return pages


def warning_of(forecast: Any) -> str:
    """Return what a picture has to say of intervals that did not hold in the test; empty where they did."""
    coverage = {level: columns.values() for level, columns in forecast.coverage.items() if columns}
    far = [f"{level * 100:g} % held {min(shares):.0%}" for level, shares in coverage.items()]
    return f"; CARE: in the test {', '.join(far)} of the truth" if far else ""


def _lines(frame: Frame, forecast: Forecast) -> Iterator[str]:
    """Yield what is forecast, and the first steps of the last column, the target."""
    dates, target = written_dates(forecast.stamps, forecast.offset, forecast.form), forecast.columns[-1]
    span = f"{dates[0]} to {dates[-1]}"
    yield f"Forecast of {len(dates)} steps ({frame.frequency}) after the end of {frame.source}: {span}"
    for step in range(min(SHOWN, len(dates))):
        bands = "".join(
            f"   {level * 100:g} %: {lower[step, -1]:.6g} to {upper[step, -1]:.6g}"
            for level, (lower, upper) in forecast.bands.items()
            if not np.isnan(lower[step, -1])
        )
        yield f"  {dates[step]}  {target} {forecast.values[step, -1]:.6g}{bands}"
    if len(dates) > SHOWN:
        yield "  …"
