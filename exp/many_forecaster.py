"""Forecast what comes after the end of each series of a long table, from a checkpoint alone.

Shapes: N series, L seq_len, H steps, C scored channels, F columns known in advance.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_provider.known_panel import future_from, known_values_of
from data_provider.reading import (
    Known,
    Panel,
    Reading,
    aware_dates,
    filled,
    future_dates,
    listing,
    panel_from,
    same_step,
    written_dates,
)
from data_provider.series import FlatSeries, last_windows
from data_provider.windows import calendar_marks
from exp.bands import Bounded, Wanted, bounded
from exp.evaluation import evaluation_batch_size
from exp.forecast import ManyForecast
from exp.forecaster import Forecaster, wanted_of
from exp.options import AUTO, NONE, check_steps
from exp.sums import SUM, sums_of_series
from models.base import check_finite
from utils.conformal import OF_TOTAL, Intervals
from utils.errors import UserError, naming_arguments

logger = logging.getLogger(__name__)


class ManySeriesForecaster(Forecaster):
    """A network trained on many series, which goes on with each series of a table, also with one it never saw."""

    def reading(self, reading: Reading) -> Reading:
        own = replace(super().reading(reading), target=self.series.columns[-1], last=None)
        return own if own.id_col else replace(own, id_col=self.series.id_column)

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
        """Forecast the steps after the end of each series of a long ``table``.

        Args:
            id_col: the column that tells the series apart; None for that of training.
            future: the columns known in advance after the end of each series, with those that tell series and dates
                apart, or without the former where they are of all series; None where ``table`` goes on with them.

        The other arguments are those of :meth:`Forecaster.predict`, and so are the errors.

        Returns:
            A row per series, column and step: ``id``, ``date``, ``column``, ``forecast``, ``lower``, ``upper``, with
            several intervals also ``level``.
        """
        wanted = wanted_of(interval, quantiles, minimum, maximum)
        with naming_arguments():
            own = self.own_reading(table, date_col, fill, tz, missing, duplicates, id_col)
            panel = panel_from(table, own)
            ahead = None if future is None else future_from(future, own)
            forecast = self.forecast_many(panel, predict_len, wanted, fill, ahead)
        for note in (*forecast.panel.notes, *forecast.notes):
            logger.warning(note)
        return forecast.table()

    def backtest(self, table: pd.DataFrame, origins: int = 5, **options: Any) -> pd.DataFrame:
        """Refuse: past forecasts of many series are not kept.

        Raises:
            UserError: always.
        """
        raise UserError("backtest is for one series; of many, series_scores.csv has the scores of each.")

    def forecast_many(
        self,
        panel: Panel,
        predict_len: int | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008 (it is frozen)
        fill: str = "auto",
        ahead: Panel | Known | None = None,
    ) -> ManyForecast:
        """Forecast ``predict_len`` or ``pred_len`` steps after the end of each series read with :meth:`reading`.

        Args:
            wanted: what to show beside the forecast.
            ahead: columns known in advance after the ends, where they are not in the panel.

        Raises:
            UserError: the series do not fit the model.
        """
        config, series = self.model.config, self.series
        steps = config.pred_len if predict_len is None else predict_len
        self._check_steps(panel, steps)
        needed = max(steps, config.pred_len)
        dates = panel.grid.dates
        dates = dates.append(future_dates(dates[-1], panel.grid.frequency, needed))
        panel = self._going_on(filled(panel, fill), dates, needed, ahead)
        mean, scale, unseen = self._scales(panel)
        lengths = panel.lengths
        values = (panel.values - np.repeat(mean, lengths, axis=0)) / np.repeat(scale, lengths, axis=0)
        windows = last_windows(FlatSeries(values, panel.offsets), self.lookback, 0)  # (N, L, C)
        covariates = self._covariates_of(panel, dates, needed, ahead)
        size = evaluation_batch_size(len(series.columns) + config.known, steps)
        parts = [
            self._roll(windows[rows], {name: part[rows] for name, part in covariates.items()}, steps).double().cpu()
            for rows in np.array_split(np.arange(len(windows)), max(1, -(-len(windows) // size)))
        ]
        rolled = torch.cat(parts)[..., series.scored]
        check_finite(rolled, panel.grid.source)
        scale, mean = scale[:, series.scored], mean[:, series.scored]
        forecast = rolled.numpy() * scale[:, None] + mean[:, None]
        unit = self._unit(windows[..., series.scored].numpy()) * scale
        columns = series.columns[series.scored]
        past = last_windows(FlatSeries(panel.values, panel.offsets, np.float64), max(1, config.season), 0)
        reference = self._reference(past[..., series.scored].numpy(), steps)
        found = bounded(forecast, unit, self.intervals, wanted, self._lowest(panel)[:, series.scored], columns)
        places = panel.last[:, None] + np.arange(1, steps + 1)  # (N, H)
        return ManyForecast(
            panel=panel,
            columns=columns,
            dates=dates[places.ravel()],
            values=found.values,
            bands=found.bands,
            scale=scale,
            notes=(*unseen, *found.notes, *self._notes_on_sums(panel, wanted), *self._notes(steps, found, wanted)),
            quantiles=found.quantiles,
            coverage=self._far_coverage(wanted),
            sums=self._sums(found, unit, wanted, panel, dates[places.ravel()]) if wanted.aggregate else None,
            reference=found.within(reference),
            models=self._models(),
        )

    def _check_steps(self, panel: Panel, steps: int) -> None:
        self.check_steps(steps)
        if not same_step(panel.grid.frequency, self.series.frequency):
            raise UserError(
                f"{panel.grid.source} has a row every {panel.grid.frequency}, the model was trained on one every "
                f"{self.series.frequency}: bring the table to that step, or train on this one."
            )
        check_steps(steps, self.model.config.pred_len, self.series.features)

    def _going_on(self, panel: Panel, dates: pd.DatetimeIndex, needed: int, ahead: Panel | Known | None) -> Panel:
        """Return the series without those that ended long ago and whose known columns do not go on, which are named."""
        if not self.series.known.columns:
            return panel
        steps = panel.last[:, None] + np.arange(1, needed + 1)
        gone = np.isnan(known_values_of(panel, dates, steps, needed, ahead)).any(axis=(1, 2))
        if not gone.any():
            return panel
        names = [name for name, one in zip(panel.ids, gone, strict=True) if one]
        why = "ended long ago, and their columns known in advance do not go on"
        return panel.select(~gone).noting(f"not forecast ({why}): {listing(names)}")

    def _scales(self, panel: Panel) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Return mean and standard deviation (N, C): of training, or of all its rows for a series never seen."""
        place = {name: i for i, name in enumerate(self.series.ids)}
        order = np.array([place.get(name, -1) for name in panel.ids])
        starts, lengths = panel.offsets[:-1], panel.lengths[:, None]
        mean = np.add.reduceat(panel.values, starts) / lengths
        deviation = panel.values - np.repeat(mean, panel.lengths, axis=0)
        scale = np.sqrt(np.add.reduceat(np.square(deviation), starts) / lengths)
        scale[~(scale > 0)] = 1.0
        seen = order >= 0
        mean[seen], scale[seen] = self.series.mean[order[seen]], self.series.scale[order[seen]]
        if seen.all():
            return mean, scale, ()
        names = [name for name, known in zip(panel.ids, seen, strict=True) if not known]
        return mean, scale, (f"{len(names):,} series were not in training (zero-shot): {listing(names)}",)

    def _sums(
        self, found: Bounded, units: np.ndarray, wanted: Wanted, panel: Panel, dates: pd.DatetimeIndex
    ) -> pd.DataFrame:
        """Return the sums that are asked for, with intervals from errors of sums."""
        columns, grid, total = self.series.columns[self.series.scored], panel.grid, self._errors_of_total(panel)
        stamps = aware_dates(dates, grid.offset, grid.zone, grid.frequency)
        shown = written_dates(stamps, grid.offset, grid.form)
        return sums_of_series(
            found, units, self.intervals, total, wanted, panel.ids, columns, dates, shown, grid.is_counted
        )

    def _notes_on_sums(self, panel: Panel, wanted: Wanted) -> Iterator[str]:
        """Yield notes on what a sum over series cannot have: series that end before the others, and an interval."""
        if SUM not in wanted.aggregate:
            return
        names = [name for name, last in zip(panel.ids, panel.last, strict=True) if last < panel.last.max()]
        if names:
            why = "since they end earlier, and without them it has no interval"
            yield f"not in the sum over series, {why}: {listing(names)}"
        elif self._errors_of_total(panel) is None:
            yield "the sum over series has no interval: the test had no date at which just these were forecast"

    def _errors_of_total(self, panel: Panel) -> Intervals | None:
        """Return the errors of the sum over all series; None where these are not the series of the test."""
        if self.model.stored is None or set(panel.ids) != set(self.series.ids):
            return None
        shape = (self.model.config.pred_len, len(self.series.columns[self.series.scored]))
        return Intervals.load(self.model.stored.folder, shape, OF_TOTAL)

    def _lowest(self, panel: Panel) -> np.ndarray:
        """Return the lowest value (N, C) of each series: in training and in the table."""
        place = {name: i for i, name in enumerate(self.series.ids)}
        order = np.array([place.get(name, -1) for name in panel.ids])
        trained = np.where(order[:, None] >= 0, self.series.lowest[order], np.inf)
        return np.minimum(panel.lowest, trained)

    def _covariates_of(
        self, panel: Panel, dates: pd.DatetimeIndex, needed: int, ahead: Panel | Known | None
    ) -> dict[str, torch.Tensor]:
        """Return what the model takes beside the windows: over their rows and the ``needed`` steps after them."""
        found, known = {}, self.series.known
        steps = panel.last[:, None] + np.arange(1 - self.lookback, needed + 1)  # (N, L + H), places among the dates
        inside = torch.from_numpy(steps >= panel.first[:, None])[..., None]
        when = dates[np.maximum(steps, 0).ravel()]
        if self.model.config.reads_marks:
            found["marks"] = calendar_marks(when).reshape(*steps.shape, -1) * inside
        if known.names:
            values = known_values_of(panel, dates, steps, needed, ahead) if known.columns else None
            flat = None if values is None else values.reshape(-1, len(known.columns))
            found["known"] = known.tensor(flat, when, panel.grid).reshape(*steps.shape, -1) * inside
        return {name: part.to(self.device) for name, part in found.items()}


def first_lines(forecast: ManyForecast, series: int, shown: int) -> Iterator[str]:
    """Yield the first steps of the last column, the target, of the first series."""
    steps = forecast.values.shape[1]
    dates = written_dates(forecast.stamps, forecast.panel.grid.offset, forecast.panel.grid.form)
    for i in range(min(series, len(forecast.panel.ids))):
        yield f"  {forecast.panel.ids[i]}"
        for step in range(min(shown, steps)):
            bands = "".join(
                f"   {level * 100:g} %: {lower[i, step, -1]:.6g} to {upper[i, step, -1]:.6g}"
                for level, (lower, upper) in forecast.bands.items()
                if not np.isnan(lower[i, step, -1])
            )
            yield f"    {dates[i * steps + step]}  {forecast.columns[-1]} {forecast.values[i, step, -1]:.6g}{bands}"
