"""Read from a checkpoint what is known of the series that its model was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_provider.config import check
from data_provider.known import KnownColumns
from data_provider.reading import check_frequency
from models.base import Model
from models.checkpoint import CONFIG
from utils.errors import UserError, shown_path

CHOICES = {"features": ("M", "S", "MS"), "precision": ("fp32", "bf16", "fp16")}


@dataclass(frozen=True)
class TrainedSeries:
    """What a checkpoint knows of the series it was trained on.

    Attributes:
        scored: the columns that the model forecasts.
        mean: (C,), of the training rows.
        scale: (C,), standard deviation of the training rows.
        lowest: (C,), the lowest value in the file.
        known: the columns known in advance.
        value_column: of a long table, what its series hold; None for other tables.
        ids: of many series, their N names; ``mean``, ``scale`` and ``lowest`` are (N, C). None for one series.
        id_column: of many series, what tells them apart.
    """

    columns: tuple[str, ...]
    scored: slice
    known: KnownColumns
    mean: np.ndarray
    scale: np.ndarray
    lowest: np.ndarray
    frequency: str
    date_column: str
    tz: str | None
    value_column: str | None
    features: str
    precision: str
    ids: tuple[str, ...] | None = None
    id_column: str | None = None

    @classmethod
    def of(cls, model: Model) -> "TrainedSeries":
        """Return what the checkpoint of a model says of its series.

        Raises:
            UserError: a part is missing or not possible.
        """
        try:
            if "," in str(model.stored.extras["data"]["config"]["data"]):
                raise UserError("it was trained on several data sets, and has no scale of its own")
            return cls._from_json(model.stored.extras, model.config.channels, model.config.known)
        except (KeyError, TypeError, OverflowError, UserError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            path = shown_path(model.stored.folder / CONFIG)
            raise UserError(f"{path} cannot be used to forecast: {reason}. Train anew or restore it.") from error

    @classmethod
    def _from_json(cls, extras: Mapping[str, Any], channels: int, known: int) -> "TrainedSeries":
        data, precision = extras["data"], extras["run"]["config"]["precision"]
        columns, features, date_column = data["columns"], data["features"], data["date_column"]
        if not isinstance(columns, list) or not all(isinstance(name, str) and name for name in [*columns, date_column]):
            raise UserError("the names of its columns are no texts")
        if not isinstance(data["frequency"], str):
            raise UserError("its frequency is no text")
        if len(columns) != channels or len(set(columns)) != channels:
            raise UserError(f"it has to name {channels} different columns, as many as its model has channels")
        for name, value in (("features", features), ("precision", precision)):
            if value not in CHOICES[name]:
                raise UserError(f"its {name} are {repr(value)[:40]}, not one of {', '.join(CHOICES[name])}")
        ids = data.get("ids")
        if ids is not None and (not isinstance(ids, list) or not all(isinstance(name, str) for name in ids)):
            raise UserError("the names of its series are no texts")
        statistics = (data["scaler"]["mean"], data["scaler"]["scale"], data["lowest"])
        if ids is None:
            mean, scale, lowest = (_numbers(values, channels) for values in statistics)
        else:
            mean, scale, lowest = (_rows_of_numbers(values, len(ids), channels) for values in statistics)
        if not (scale > 0).all():
            raise UserError("its scaler has a standard deviation that is not above 0")
        ahead = KnownColumns.from_json(data["known"])
        if len(ahead.names) != known:
            raise UserError(f"it has to name {known} columns known in advance, as many as its model has")
        return cls(
            columns=tuple(columns),
            scored=slice(-1, None) if features == "MS" else slice(None),
            known=ahead,
            mean=mean,
            scale=scale,
            lowest=lowest,
            frequency=check_frequency(data["frequency"]),
            date_column=date_column,
            tz=check("tz", data["tz"]),
            value_column=check("target", data["value_column"]),
            features=features,
            precision=precision,
            ids=None if ids is None else tuple(ids),
            id_column=None if ids is None else check("id_col", data["id_column"]),
        )


def _rows_of_numbers(values: Any, rows: int, count: int) -> np.ndarray:
    if not isinstance(values, list) or len(values) != rows:
        raise UserError(f"its scaler does not have {rows} rows, one for each series")
    return np.array([_numbers(row, count) for row in values]).reshape(rows, count)


def _numbers(values: Any, count: int) -> np.ndarray:
    if not isinstance(values, list) or len(values) != count or any(type(value) not in (int, float) for value in values):
        raise UserError(f"its scaler does not have {count} numbers")
    return np.array(values, dtype=np.float64)
