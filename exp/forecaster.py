"""Forecast what comes after the end of a table, from a checkpoint alone.

from exp.forecaster import Forecaster

future = Forecaster.load("checkpoints/<setting>").predict(table)

Shapes: L seq_len, H steps, C columns.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pandas as pd
import torch

import models
from data_provider.extremes import extreme_notes, find_bounds
from data_provider.known import known_values
from data_provider.reading import (
    Frame,
    Known,
    Reading,
    aware_dates,
    complete,
    counted,
    frame_from,
    future_dates,
    known_from,
    listing,
    nanoseconds_of,
    same_step,
    table_from,
    written_dates,
)
from data_provider.windows import calendar_marks
from exp.bands import Bounded, Wanted, bounded, reference_of
from exp.forecast import Forecast
from exp.options import AUTO, NONE, check_steps, is_limit
from exp.runs import best_to_forecast
from exp.sums import sums_of
from exp.trained_series import TrainedSeries
from models.base import Model, check_finite
from models.checkpoint import find_checkpoint
from models.combination import AND
from utils.answer import better_simple, read_answer
from utils.conformal import Intervals, check_levels, far_from_nominal, few_windows
from utils.device import pick_device
from utils.errors import UserError, naming_arguments
from utils.results import SIMPLE, coverage_in_test

logger = logging.getLogger(__name__)

FOR_MANY = "exp.many_forecaster:ManySeriesForecaster"  # which extends the class here


class Forecaster:
    """A trained model with everything it needs to go on with a table in the table's own units.

    Attributes:
        model: standardized windows (B, L, C) to forecasts (B, H, C).
        answer: what the test showed; None without one.
        coverage: share of the truth that the intervals held in the test, by level and column.
    """

    def __init__(self, model: Model, series: TrainedSeries, intervals: Intervals | None, device: torch.device) -> None:
        self.model, self.device = model.to(device).eval(), device
        self.series, self.intervals = series, intervals
        self.answer = read_answer(model.stored.folder) if model.stored else None
        self.coverage = coverage_in_test(model.stored.folder) if model.stored else {}

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu", refit: bool = True) -> "Forecaster":
        """Load a forecaster from a checkpoint folder, or from a repository of the Hugging Face hub (``user/name``).

        Args:
            refit: take the weights that were trained on all rows where there are such; else those that were tested.

        Raises:
            UserError: there is no checkpoint, it is damaged, or its parts do not fit together.
        """
        folder = find_checkpoint(folder)
        model = models.load(best_to_forecast(folder) if refit else folder, merge=True)
        series = TrainedSeries.of(model)
        intervals = Intervals.load(model.stored.folder, (model.config.pred_len, len(series.columns[series.scored])))
        kind = cls if series.ids is None else resolve_name(FOR_MANY)
        return kind(model, series, intervals, pick_device(device) if isinstance(device, str) else device)

    @staticmethod
    def fit(table: pd.DataFrame, **options: Any) -> "Forecaster":
        """Train a forecaster on a table, with the flags of ``run.py`` as arguments: ``model="auto"``, ``pred_len=14``.

        What is left out is chosen as for a file of the user's. The checkpoint lies in ``checkpoints/``, the figures of
        the test in ``results/`` and in ``answer``.

        Raises:
            UserError: the table cannot be used, or an option is unknown or not possible.
        """
        return resolve_name("exp.fitting:fit")(table, **options)

    def backtest(
        self,
        table: pd.DataFrame,
        origins: int = 5,
        predict_len: int | None = None,
        interval: float | Sequence[float] | None = 0.9,
        quantiles: Sequence[float] = (),
        minimum: float | str = AUTO,
        maximum: float | str = NONE,
        **reading: Any,
    ) -> pd.DataFrame:
        """Forecast the end of a table from some origins in it, at least a horizon apart, beside what came.

        The weights are those that were tested, not those that saw all rows; on the table of training, origins within
        its last 20 % are such that these weights never saw what came. Bounds and quantiles of an origin are from the
        errors of validation and test windows whose whole truth had come by its date, and are not adapted (--adaptive).
        They are NaN where these are too few, or where the checkpoint does not tell when they came: test it anew.

        Args:
            origins: how many; each is the newest row with a value of every column that leaves room for a horizon.
            reading: ``date_col``, ``fill``, ``tz``, ``missing``, ``duplicates``, ``id_col``.

        The other arguments, and those of ``reading``, are those of :meth:`predict`. Columns known in advance are taken
        from the rows after an origin.

        Returns:
            the columns of :meth:`predict`, with ``origin``, the last date that was known, before and ``actual`` after:
            NaN where the table has no value, or one that is filled in or stands for a missing one.

        Raises:
            UserError: the table has too few rows for the origins, or cannot be used.
        """
        honest = self
        if self.model.stored and best_to_forecast(self.model.stored.folder.parent) == self.model.stored.folder:
            honest = type(self).load(self.model.stored.folder.parent, self.device, refit=False)
        steps = self.model.config.pred_len if predict_len is None else predict_len
        self.check_steps(steps)
        wanted = wanted_of(interval, quantiles, minimum, maximum)
        with naming_arguments():
            own = self.own_reading(table, **reading)
            frame = table_from(table, own)
            ends = self._origins(frame, origins, steps)
            past = [complete(frame.until(end), own.fill, own.last) for end in ends]
            forecasts = [honest._as_of(one).forecast(one, steps, wanted) for one in past]
        for note in dict.fromkeys(note for one in (*past, *forecasts) for note in one.notes):
            logger.warning(note)
        return pd.concat(map(partial(_beside_truth, frame), ends, forecasts), ignore_index=True)

    def _origins(self, frame: Frame, origins: int, steps: int) -> list[int]:
        """Return how many rows lie before each origin; raise UserError where there is no room for so many."""
        room = max(steps, self.model.config.pred_len) if self.series.known.columns else steps
        whole = np.flatnonzero(~np.isnan(frame.values).any(axis=1)) + 1
        ends: list[int] = []
        for _ in range(origins):
            whole = whole[whole <= (ends[0] - steps if ends else len(frame.values) - room)]
            if not len(whole) or whole[-1] < self.least_lookback:
                break
            ends.insert(0, int(whole[-1]))
        if not ends or len(ends) < origins:
            raise UserError(
                f"{len(frame.values)} rows are too few for {origins} origins of {steps} steps and "
                f"{self.least_lookback} rows to look back on: choose fewer origins."
            )
        return ends

    def _as_of(self, frame: Frame) -> "Forecaster":
        """Return this forecaster with the intervals that were known at the end of a frame."""
        then = copy(self)
        moment = nanoseconds_of(frame.dates[-1:], frame.offset)[0]
        then.intervals = self.intervals and self.intervals.known_at(moment)
        return then

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that a table needs; their order does not matter."""
        return self.series.columns

    @property
    def lookback(self) -> int:
        """Return how many rows before the first forecast one are read."""
        return max(self.model.config.seq_len, self.model.lookback)

    @property
    def least_lookback(self) -> int:
        """Return how many rows before the first forecast one are needed."""
        return max(self.model.config.seq_len, self.model.least_lookback)

    def reading(self, reading: Reading) -> Reading:
        """Return how a table is to be read for this model, given how it is written."""
        return replace(
            reading,
            freq=self.series.frequency,
            tz=self.series.tz if reading.tz is None else reading.tz,
            columns=self.columns,
            known=self.series.known.columns,
            trained=True,
            last=self.lookback,
            ignore=(),
            features="M",
            target=self.series.value_column,
        )

    def predict(
        self,
        table: pd.DataFrame,
        predict_len: int | None = None,
        interval: float | Sequence[float] | None = 0.9,
        date_col: str | None = None,
        fill: str = "auto",
        tz: str | None = None,
        missing: Sequence[float | str] = (),
        duplicates: str | None = None,
        id_col: str | None = None,
        future: pd.DataFrame | None = None,
        quantiles: Sequence[float] = (),
        minimum: float | str = AUTO,
        maximum: float | str = NONE,
    ) -> pd.DataFrame:
        """Forecast the steps after the end of ``table``.

        Args:
            table: at least ``seq_len`` rows, sorted by time, without gaps: a column or an index of dates, and the
                columns of training as numbers in the units of training. Others are ignored, the order is free.
            predict_len: steps to forecast; None for as many as the model was trained for. More rolls the forecast
                forward on its own output: it gets worse than the test said, and has no intervals there.
            interval: nominal coverage of the prediction intervals, between 0 and 1, or several; None for none.
            date_col: the column of dates; None for the one of training, else ``date``, else the first of dates.
            fill: what becomes of gaps and missing values among the rows that the model sees: ``auto`` fills short ones
                linearly, ``linear`` and ``ffill`` fill all, ``none`` refuses them.
            tz: time zone of dates that have none, like ``Europe/Berlin``; None for the one of training.
            missing: what else stands for a missing value.
            duplicates: which of several rows of one date to take, ``mean``, ``first`` or ``last``; None refuses them.
            id_col: the column that tells the series of a long table apart; None to find it.
            future: dates after the end of ``table`` with the columns that are known in advance; None where ``table``
                goes on with them below the last value of its target.
            quantiles: shares of the future that are to lie below a value, each a column of what is returned.
            minimum: least value of forecast and bounds; ``auto`` for 0 where a column was never negative; ``none``.
            maximum: largest value of forecast and bounds, or ``none``.

        Returns:
            A row per column and step: ``date`` in the table's time zone, ``column``, ``forecast``, ``lower``, ``upper``
            in its units, with several intervals also ``level``, with quantiles ``q0.1`` and so on. Bounds are NaN where
            the checkpoint has no interval.

        Raises:
            UserError: the table lacks a column, has too few rows, gaps, another step than in training …
        """
        wanted = wanted_of(interval, quantiles, minimum, maximum)
        with naming_arguments():
            own = self.own_reading(table, date_col, fill, tz, missing, duplicates, id_col)
            frame = frame_from(table, own)
            ahead = None if future is None else known_from(future, own)
            forecast = self.forecast(frame, predict_len, wanted, ahead=ahead)
        for note in (*frame.notes, *forecast.notes):
            logger.warning(note)
        return forecast.table()

    def own_reading(
        self,
        table: pd.DataFrame,
        date_col: str | None = None,
        fill: str = "auto",
        tz: str | None = None,
        missing: Sequence[float | str] = (),
        duplicates: str | None = None,
        id_col: str | None = None,
    ) -> Reading:
        """Return how to read a table as arguments of :meth:`predict` say; dates are those of training where it can."""
        if not isinstance(table, pd.DataFrame):
            raise UserError(f"A pandas DataFrame is needed, not a {type(table).__name__}.")
        own = self.series.date_column
        if date_col is None and (own in table.columns or set(own.split(",")) <= set(table.columns)):
            date_col = own
        codes = tuple(map(str, missing))
        return self.reading(
            Reading(date_col=date_col, fill=fill, tz=tz, missing=codes, duplicates=duplicates, id_col=id_col)
        )

    def forecast(
        self,
        frame: Frame,
        predict_len: int | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008 (it is frozen)
        clip: bool = True,
        ahead: Known | None = None,
    ) -> Forecast:
        """Forecast ``predict_len`` or ``pred_len`` steps after the end of a frame that was read with :meth:`reading`.

        Args:
            wanted: what to show beside the forecast.
            clip: keep extreme values from the model, as in the training on a file of the user's.
            ahead: columns known in advance after the end, where they are not in the frame.

        Raises:
            UserError: the frame does not fit the model.
        """
        config, series = self.model.config, self.series
        steps = config.pred_len if predict_len is None else predict_len
        self._check(frame, steps)
        seen = frame.values[-self.lookback :]
        bounds = find_bounds(frame) if clip else None
        clipped = seen if bounds is None else bounds.clip(seen)
        rows = (clipped - series.mean) / series.scale
        frame.check_distance(rows)
        dates = future_dates(frame.dates[-1], frame.frequency, max(steps, config.pred_len))
        covariates = self._covariates(frame.tail(self.lookback), dates, ahead)
        dates = dates[:steps]
        rolled = self._roll(torch.from_numpy(rows.astype(np.float32))[None], covariates, steps)[0].double().cpu()
        check_finite(rolled[:, series.scored], frame.source)
        forecast = (rolled.numpy() * series.scale + series.mean)[:, series.scored]  # (H, C)
        unit = self._unit(rows[None, :, series.scored])[0] * series.scale[series.scored]
        lowest = np.fmin(np.fmin.reduce(frame.values), series.lowest)[series.scored]  # gaps before the look-back
        found = bounded(forecast, unit, self.intervals, wanted, lowest, series.columns[series.scored])
        reference = self._reference(without_gaps(frame.values[:, series.scored])[None], steps)
        stamps, sums = aware_dates(dates, frame.offset, frame.zone, frame.frequency), None
        if wanted.aggregate:
            shown, columns = written_dates(stamps, frame.offset, frame.form), series.columns[series.scored]
            sums = sums_of(found, unit, self.intervals, wanted, columns, dates, shown, frame.is_counted)
        return Forecast(
            dates=dates,
            offset=frame.offset,
            form=frame.form,
            stamps=stamps,
            columns=series.columns[series.scored],
            values=found.values,
            bands=found.bands,
            scale=series.scale[series.scored],
            notes=(*extreme_notes(frame.tail(self.lookback), bounds), *found.notes, *self._notes(steps, found, wanted)),
            quantiles=found.quantiles,
            coverage=self._far_coverage(wanted),
            sums=sums,
            reference=found.within(None if reference is None else reference[0]),
            models=self._models(),
        )

    @staticmethod
    def check_steps(steps: object) -> None:
        """Raise UserError where a number of steps is none."""
        if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
            raise UserError(f"--predict_len {steps}: choose a whole number of at least 1.")

    def _check(self, frame: Frame, steps: int) -> None:
        config, series = self.model.config, self.series
        self.check_steps(steps)
        if frame.columns != series.columns:
            raise UserError(f"{frame.source} has other columns than the model: read it with Forecaster.reading.")
        if not same_step(frame.frequency, series.frequency):
            raise UserError(
                f"{frame.source} has a row every {frame.frequency}, the model was trained on one every "
                f"{series.frequency}: bring the table to that step, or train on this one."
            )
        if len(frame.values) < self.least_lookback:
            raise UserError(
                f"{frame.source} has {len(frame.values)} rows, the model looks back {self.least_lookback} (--seq_len "
                "in training, or a season): give a table that reaches further back."
            )
        check_steps(steps, config.pred_len, series.features)

    def _covariates(self, seen: Frame, dates: pd.DatetimeIndex, ahead: Known | None) -> dict[str, torch.Tensor]:
        """Return what the model takes beside a window, over its rows and the dates that follow, (1, T, …)."""
        found, moments, known = {}, seen.dates.append(dates), self.series.known
        if self.model.config.reads_marks:
            found["marks"] = calendar_marks(moments)
        if known.names:
            values = known_values(seen, dates, ahead) if known.columns else None
            found["known"] = known.tensor(values, moments, seen)
        return {name: part[None].to(self.device) for name, part in found.items()}

    def _roll(self, window: torch.Tensor, covariates: Mapping[str, torch.Tensor], steps: int) -> torch.Tensor:
        """Return the forecasts (B, steps, C) of windows (B, L, C), each part from the window and all parts before.

        Where columns are known in advance, the last part ends with the last step: nothing is known beyond.

        Args:
            covariates: over the rows of the window and the steps to forecast.
        """
        length, horizon = window.shape[1], self.model.config.pred_len
        reach = {"marks": length, "known": length + horizon}
        series = window.to(self.device)
        with torch.inference_mode(), self._autocast():
            while (done := series.shape[1] - length) < steps:
                first = max(0, min(done, steps - horizon)) if "known" in covariates else done
                here = {name: part[:, first : first + reach[name]] for name, part in covariates.items()}
                part = self.model(series[:, first : first + length], **here).forecast.float()
                series = torch.cat([series, part[:, done - first :]], dim=1)
        return series[:, length : length + steps]

    def _autocast(self) -> AbstractContextManager:
        # A model trained in float16 on CUDA forecasts on the CPU in float32.
        half = {"bf16": torch.bfloat16, "fp16": torch.float16 if self.device.type == "cuda" else None}
        dtype = half.get(self.series.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        """Return the scale (B, C) of the last windows in standardized rows (B, T, C); 1 without intervals."""
        if self.intervals is None:
            return np.ones((len(rows), rows.shape[2]))
        return self.intervals.scale(rows[:, -self.model.config.seq_len :])

    def _reference(self, rows: np.ndarray, steps: int) -> np.ndarray | None:
        """Return simple forecasts (B, H, C) of columns that they are better for, from all known rows (B, T, C)."""
        better = {} if self.answer is None else better_simple(self.answer)
        return reference_of(rows, steps, self.model.config.season, better, self.series.columns[self.series.scored])

    def _models(self) -> dict[str, str]:
        """Return what forecasts each column, where more than one model does, of several columns or of one."""
        labels = getattr(self.model, "labels", [])[self.series.scored]
        several = len({name for label in labels for name in label.split(AND)}) > 1
        return dict(zip(self.series.columns[self.series.scored], labels, strict=True)) if several else {}

    def _far_coverage(self, wanted: Wanted) -> dict[float, dict[str, float]]:
        """Return by level the coverage of columns in the test of the checkpoint, where it was far from the level."""
        found: dict[float, dict[str, float]] = {}
        for level in wanted.levels:
            of_columns = self.coverage.get(f"{level:g}", {})
            found[level] = {name: share for name, share in of_columns.items() if far_from_nominal(share, level)}
        return found

    def _untested(self, found: Bounded) -> list[str]:
        """Return which intervals are shown though the test of the checkpoint never counted what they hold."""
        columns, untested = self.series.columns[self.series.scored], []
        for level, (lower, _) in found.bands.items():
            shown = ~np.isnan(lower).reshape(-1, len(columns)).all(axis=0)
            tested = self.coverage.get(f"{level:g}", {})
            names = [name for name, one in zip(columns, shown, strict=True) if one and tested.get(name) is None]
            if names:
                untested.append(f"{level * 100:g} % intervals of {listing(names)}")
        return untested

    def _notes(self, steps: int, found: Bounded, wanted: Wanted) -> Iterator[str]:
        pred_len, asked = self.model.config.pred_len, bool(wanted.levels or wanted.quantiles)
        if steps > pred_len:
            yield (
                f"{steps} steps are more than the {pred_len} that the model was trained for: the forecast is rolled "
                "forward on its own output, and gets less sure than its test says"
                + (f"; no interval is shown beyond step {pred_len}" if asked else "")
            )
        if asked and self.intervals is None:
            yield (
                "the checkpoint holds no prediction intervals to show here: test it on the file it was trained on to "
                "make them (--is_training 0 without --do_predict)"
            )
        for level in found.bands if self.intervals else ():
            if note := few_windows(self.intervals, level, self.intervals.bounds(level)):
                yield note
        if untested := self._untested(found):
            yield (
                f"untested: {', '.join(untested)}; the test did not measure their coverage (it had too few windows, or "
                "another --interval)"
            )
        for column, name in ({} if self.answer is None else better_simple(self.answer)).items():
            yield (
                f"WARNING: in the test the {SIMPLE[name][0]} was at least as good for {column}: it stands in the "
                "column reference; use that"
            )
        for level, columns in self._far_coverage(wanted).items():
            if columns:
                told = listing([f"{name} ({share:.0%})" for name, share in columns.items()])
                yield (
                    f"WARNING: in the test the {level * 100:g} % intervals held another share of the truth: {told}; do "
                    "not rely on them"
                )


def without_gaps(values: np.ndarray) -> np.ndarray:
    """Return rows (T, C) with gaps filled between neighbours, as a test fills them; those at the beginning stay NaN."""
    return pd.DataFrame(values).interpolate().to_numpy() if np.isnan(values).any() else values


def _beside_truth(frame: Frame, end: int, forecast: Forecast) -> pd.DataFrame:
    """Return a forecast after the first ``end`` rows of a frame, beside what the frame has for its dates."""
    found = forecast.table()
    came = pd.DataFrame(frame.values, frame.dates, frame.columns).reindex(forecast.dates)[list(forecast.columns)]
    last = aware_dates(frame.dates[end - 1 : end], frame.offset, frame.zone, frame.frequency)
    found.insert(0, "origin", counted(last, frame.form)[0])
    return found.assign(actual=np.tile(came.to_numpy().T.ravel(), max(1, len(forecast.bands))))


def wanted_of(
    interval: float | Sequence[float] | None, quantiles: Sequence[float], minimum: float | str, maximum: float | str
) -> Wanted:
    """Return what arguments of ``predict`` ask for; raise UserError where one is not possible."""
    levels = () if interval is None else check_levels([interval] if np.ndim(interval) == 0 else interval)
    limits = {"minimum": str(minimum), "maximum": str(maximum)}
    for name, text in limits.items():
        if not is_limit(text) and (name, text) != ("minimum", AUTO):
            raise UserError(f"--{name} {text[:40]}: choose a number, or none.")
    return Wanted(levels, check_levels(quantiles, "quantiles"), **limits)
