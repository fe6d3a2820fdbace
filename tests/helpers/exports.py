"""Checkpoints of small models that were never trained, with everything that a forecast needs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import models
from models.base import Model

Checkpoint = Callable[..., Path]


def data_of(table: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    """Return what a checkpoint keeps of the hourly table that it was trained on; ``changes`` win."""
    values = table.drop(columns="date")
    return {
        "columns": list(values),
        "features": "M",
        "date_column": "date",
        "frequency": "h",
        "tz": None,
        "value_column": None,
        "scaler": {"mean": values.mean().tolist(), "scale": values.std(ddof=0).tolist()},
        "lowest": (values.min() - 100).tolist(),
        "known": {"columns": [], "mean": [], "scale": [], "calendar": [], "holidays": []},
        "config": {"data": "custom"},
        **changes,
    }


def stored(model: Model, folder: Path, data: Mapping[str, Any], precision: str = "fp32") -> Path:
    """Save a model whose trained numbers are all moved, so that no part of it is idle; return its folder."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    model.save(folder, {"data": dict(data), "run": {"config": {"precision": precision}}}, {})
    return folder


def build(name: str, sizes: Mapping[str, Any], seed: int = 0) -> Model:
    """Return an untrained model that looks back 24 steps and forecasts 6 of three columns."""
    kind = models.find_model(name)
    torch.manual_seed(seed)
    return kind.build(kind.Config(24, 6, 3, 4, **sizes))


def forecast_of(checkpoint: Path, table: pd.DataFrame, **options: Any) -> np.ndarray:
    """Return the forecast (H, scored columns) of a checkpoint for what comes after a table."""
    from exp.forecaster import Forecaster

    future = Forecaster.load(checkpoint).predict(table, interval=None, **options)
    return future.pivot(index="date", columns="column", values="forecast")[list(future["column"].unique())].to_numpy()


def described(folder: Path) -> dict[str, Any]:
    """Return the only description of a graph in a folder."""
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))
