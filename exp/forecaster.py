"""Forecasts of what comes after a table's end, from a checkpoint alone.

    from exp.forecaster import Forecaster

    future = Forecaster.load("checkpoints/<setting>").predict(table)

Light on purpose: neither transformers nor anything else that only training needs is imported.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_provider.config import FEATURES, check_tz
from data_provider.reading import (
    Frame,
    Reading,
    aware_dates,
    check_frequency,
    frame_from,
    future_dates,
    same_step,
)
from exp.forecast import Forecast
from models.checkpoints import find_checkpoint
from models.forecast_network import ForecastNetwork, load_forecast_network
from utils.checkpoint import CONFIG
from utils.conformal import Intervals, check_levels
from utils.device import pick_device
from utils.errors import UserError
from utils.records import modern_config

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedSeries:
    """What a checkpoint knows of the series it was trained on.

    Attributes:
        columns: C names in the network's order. scored: the channels that it learnt to forecast.
        mean, scale: (C,), of its training rows. frequency: the step between rows. date_column: its name.
        tz: the time zone of its clock, if it was named.
        features: as in ``DataConfig``. precision: of the network's matrix products, ``fp32``, ``bf16`` or ``fp16``.
    """

    columns: tuple[str, ...]
    scored: slice
    mean: np.ndarray
    scale: np.ndarray
    frequency: str
    date_column: str
    tz: str | None
    features: str
    precision: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any], channels: int) -> "TrainedSeries":
        """Out of a checkpoint's configuration.

        Raises:
            UserError, KeyError, TypeError, ValueError: a part is missing, or cannot be right.
        """
        data = config["data"]
        columns, features = tuple(data["columns"]), data["features"]
        mean, scale = (np.array(data["scaler"][name], dtype=np.float64) for name in ("mean", "scale"))
        if len(columns) != channels or not all(isinstance(name, str) for name in columns):
            raise ValueError(f"it names {len(columns)} columns, its network has {channels} channels")
        if features not in FEATURES:
            raise ValueError(f"its features are {features!r}")
        check_tz(data.get("tz"))
        if mean.shape != (channels,) or scale.shape != (channels,):
            raise ValueError("its scaler is of another size than its network")
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("its scaler has values that cannot be")
        return cls(
            columns=columns,
            scored=slice(-1, None) if features == "MS" else slice(None),
            mean=mean,
            scale=scale,
            frequency=check_frequency(data["frequency"]),
            date_column=str(data.get("date_column", "date")),
            tz=data.get("tz"),
            features=features,
            precision=str(modern_config(config.get("training", {})).get("precision", "fp32")),
        )


class Forecaster:
    """A trained network with everything it needs to go on with a table in the table's own units.

    Attributes:
        series: what it was trained on. network: the network, (B, L, C) to (B, H, C), standardised.
    """

    def __init__(
        self,
        network: ForecastNetwork,
        series: TrainedSeries,
        intervals: Intervals | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device).eval()
        self.series = series
        self._intervals = intervals

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> "Forecaster":
        """From a checkpoint folder, or from a repository of the Hugging Face hub (``user/name``).

        Args:
            device: where it computes: cpu, cuda, cuda:N, auto, or a torch device.

        Raises:
            UserError: there is none, it is damaged, or its parts do not fit together.
        """
        folder = find_checkpoint(folder)
        network, config = load_forecast_network(folder)
        try:
            series = TrainedSeries.from_config(config, network.config.channels)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UserError) as error:
            reason = error if isinstance(error, UserError | ValueError) else repr(error)
            raise UserError(
                f"{folder / CONFIG} cannot be used to forecast: {reason}. Train anew or restore it."
            ) from error
        intervals = Intervals.load(folder, (network.config.pred_len, len(series.columns[series.scored])))
        return cls(network, series, intervals, pick_device(device) if isinstance(device, str) else device)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table needs; their order does not matter."""
        return self.series.columns

    def reading(
        self,
        date_col: str | None = None,
        fill: str | None = None,
        irregular_dates: bool = False,
        tz: str | None = None,
    ) -> Reading:
        """How a table is to be read for this network."""
        return Reading(
            date_col=date_col,
            freq=self.series.frequency,
            fill=fill,
            tz=self.series.tz if tz is None else tz,
            published=irregular_dates,
            irregular_dates=irregular_dates,
            columns=self.series.columns,
        )

    def predict(
        self,
        table: pd.DataFrame,
        predict_len: int | None = None,
        interval: float | Sequence[float] | None = 0.9,
        date_col: str | None = None,
        fill: str | None = None,
        tz: str | None = None,
    ) -> pd.DataFrame:
        """Forecast the steps after the end of ``table``.

        Args:
            table: at least ``seq_len`` rows, sorted by time, without gaps: a column or an index of dates, and the
                columns of training as numbers in the units of training. Others are ignored, the order is free.
            predict_len: steps to forecast; None for as many as the network was trained for. More rolls the forecast
                forward on its own output: it gets worse than the test said, and has no intervals there.
            interval: nominal coverage of the prediction intervals, between 0 and 1; several for a row each; None
                for none.
            date_col: the column of dates; None for the one of training, else ``date``, else the first of dates.
            fill: ``linear`` or ``ffill`` for gaps and missing values; None refuses them.
            tz: time zone of dates that have none, like ``Europe/Berlin``; None for the one of training. A table whose
                dates have a time zone keeps it.

        Returns:
            A row per column and step: ``date``, ``column``, ``forecast``, ``lower``, ``upper`` in the table's units,
            with several intervals also ``level``. Bounds are NaN where the checkpoint allows no interval. Dates are
            in the time zone of the table if it has one.

        Raises:
            UserError: the table lacks a column, has too few rows, gaps, missing values, another step between
                rows than in training …; the message names column and row.
        """
        if not isinstance(table, pd.DataFrame):
            raise UserError(f"A pandas DataFrame is needed, not a {type(table).__name__}.")
        if date_col is None and self.series.date_column in table.columns:
            date_col = self.series.date_column
        levels = () if interval is None else check_levels([interval] if np.ndim(interval) == 0 else interval)
        frame = frame_from(table, self.reading(date_col, fill, tz=tz))
        forecast = self.forecast(frame, predict_len, levels)
        for note in (*frame.notes, *forecast.notes):
            logger.warning(note)
        return forecast.table()

    def forecast(self, frame: Frame, predict_len: int | None = None, levels: Sequence[float] = ()) -> Forecast:
        """Forecast the steps after the end of a frame that was read with :meth:`reading`.

        Args:
            predict_len: steps; None for ``pred_len``. levels: nominal coverages of the intervals.

        Raises:
            UserError: the frame does not fit the network, or an interval is not to be had.
        """
        config, series = self.network.config, self.series
        steps = config.pred_len if predict_len is None else predict_len
        self._check(frame, steps)
        rows = (frame.values[-config.seq_len :] - series.mean) / series.scale
        frame.check_distance(rows)
        dates = future_dates(frame.dates[-1], frame.frequency, steps)
        ahead = self._roll(torch.from_numpy(rows.astype(np.float32))[None], steps)[0].double().cpu().numpy()
        forecast = (ahead * series.scale + series.mean)[:, series.scored]  # (H, C)
        half_widths, notes = self._half_widths(steps, levels)
        return Forecast(
            dates=dates,
            offset=frame.offset,
            stamps=aware_dates(dates, frame.offset, frame.zone, frame.frequency),
            columns=series.columns[series.scored],
            values=forecast,
            bands={level: (forecast - half, forecast + half) for level, half in half_widths.items()},
            scale=series.scale[series.scored],
            notes=notes,
        )

    def _check(self, frame: Frame, steps: int) -> None:
        config, series = self.network.config, self.series
        if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
            raise UserError(f"--predict_len {steps}: choose a whole number of at least 1.")
        if frame.columns != series.columns:
            raise UserError(f"{frame.source} has other columns than the network: read it with Forecaster.reading.")
        if not same_step(frame.frequency, series.frequency):
            raise UserError(
                f"{frame.source} has a row every {frame.frequency}, the network was trained on one every "
                f"{series.frequency}: bring the table to that step, or train on this one."
            )
        if len(frame.values) < config.seq_len:
            raise UserError(
                f"{frame.source} has {len(frame.values)} rows, the network looks back {config.seq_len} (--seq_len in "
                "training): give a table that reaches further back."
            )
        if steps > config.pred_len and series.features == "MS":
            raise UserError(
                f"--predict_len {steps}: a network trained with --features MS forecasts its target alone and cannot "
                f"go beyond its {config.pred_len} steps; train with a longer --pred_len."
            )

    def _roll(self, window: torch.Tensor, steps: int) -> torch.Tensor:
        """Forecasts (1, H, C) of a window (1, L, C), each next one from the end of what there is by then."""
        window = window.to(self.device)
        parts = []
        with torch.inference_mode(), self._autocast():
            for _ in range(0, steps, self.network.config.pred_len):
                parts.append(self.network(window).float())
                window = torch.cat([window, parts[-1]], dim=1)[:, -window.shape[1] :]
        return torch.cat(parts, dim=1)[:, :steps]

    def _autocast(self) -> AbstractContextManager:
        # A network trained in float16 on CUDA forecasts on the CPU in float32.
        half = {"bf16": torch.bfloat16, "fp16": torch.float16 if self.device.type == "cuda" else None}
        dtype = half.get(self.series.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def _half_widths(self, steps: int, levels: Sequence[float]) -> tuple[dict[float, np.ndarray], tuple[str, ...]]:
        """Of each level's interval (H, C) in the table's units, NaN where there is none, and what to say of them."""
        series, pred_len = self.series, self.network.config.pred_len
        notes = []
        if steps > pred_len:
            notes.append(
                f"{steps} steps are more than the {pred_len} that the network was trained for: the forecast is rolled "
                "forward on its own output, and gets less sure than its test says"
                + (f"; no interval is shown beyond step {pred_len}" if levels else "")
            )
        empty = np.full((steps, len(series.columns[series.scored])), np.nan)
        if levels and self._intervals is None:
            notes.append(
                "the checkpoint holds no prediction intervals: test it on the file it was trained on to make them "
                "(--is_training 0 without --do_predict)"
            )
        found = {}
        for level in levels:
            half_width = empty.copy()
            if self._intervals is not None:
                own = self._intervals.at([level])[level][:steps]
                half_width[: len(own)] = own * series.scale[series.scored]
                if np.isnan(own).any():
                    notes.append(
                        f"{self._intervals.windows} validation windows are too few for a {level * 100:g} % interval"
                        + ("" if np.isnan(own).all() else " everywhere")
                        + "; none is shown there"
                    )
            found[level] = half_width
        return found, tuple(notes)
