"""Forecasts that need no training: the least that a model has to beat."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.base import Model, Output


class Naive(Model):
    """Repeat the last value."""

    @dataclass(frozen=True)
    class Config(Model.Config):
        """Sizes alone."""

        trains: ClassVar[bool] = False

    @property
    def lookback(self) -> int:
        """Return 1: the last value is enough."""
        return 1

    def forward(self, x: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C)."""
        return Output(x[:, -1:].expand(-1, self.config.pred_len, -1))


class SeasonalNaive(Model):
    """Repeat the last season."""

    @dataclass(frozen=True)
    class Config(Model.Config):
        """Sizes alone."""

        trains: ClassVar[bool] = False

    @property
    def lookback(self) -> int:
        """Return the steps of a season, which may be more than the window has."""
        return self.config.season

    def forward(self, x: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C) that are at least a season long."""
        season = self.config.season
        return Output(x[:, torch.arange(self.config.pred_len) % season - season])
