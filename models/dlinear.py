"""DLinear: two linear maps over time, of the trend and of what is left.

Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023, arXiv 2205.13504, section 4.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Model, Output
from models.config import ModelConfig
from utils.flags import SWITCH, flag, odd


class TimeLinear(nn.Module):
    """A linear map from L steps to H steps, one for all channels or one for each.

    Every weight starts at 1/L, so that training begins from the mean of the window.

    Args:
        channels: C, for a map for each channel; None for a shared one.
    """

    def __init__(self, seq_len: int, pred_len: int, channels: int | None) -> None:
        super().__init__()
        several = () if channels is None else (channels,)
        self.weight = nn.Parameter(torch.full((*several, pred_len, seq_len), 1 / seq_len))
        self.bias = nn.Parameter(torch.empty(*several, pred_len))
        nn.init.uniform_(self.bias, -1 / math.sqrt(seq_len), 1 / math.sqrt(seq_len))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, C, L) to (B, C, H)."""
        if self.weight.ndim == 2:
            return F.linear(x, self.weight, self.bias)
        return torch.einsum("bcl,chl->bch", x, self.weight) + self.bias


class DLinear(Model):
    """Forecast trend and seasonal part each by a linear map, and add them (section 4, "DLinear")."""

    @dataclass(frozen=True)
    class Config(Model.Config):
        """Sizes, and how the trend is taken."""

        moving_avg: int = flag(25, odd(high=100_001), "window of the moving average that is the trend, in steps")
        individual: int = flag(0, SWITCH, "1: maps of its own for each channel")

        @property
        def any_channels(self) -> bool:
            return not self.individual

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        channels = config.channels if config.individual else None
        self.seasonal = TimeLinear(config.seq_len, config.pred_len, channels)
        self.trend = TimeLinear(config.seq_len, config.pred_len, channels)

    def forward(self, x: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C)."""
        x = x.transpose(1, 2)  # (B, C, L)
        ends = (self.config.moving_avg - 1) // 2
        trend = F.avg_pool1d(F.pad(x, (ends, ends), mode="replicate"), self.config.moving_avg, stride=1)
        return Output((self.seasonal(x - trend) + self.trend(trend)).transpose(1, 2))

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of the public code under our names: ``Linear_Trend.weight``, or ``Linear_Trend.0.weight`` …"""
        state = {name.replace("Linear_Seasonal", "seasonal").replace("Linear_Trend", "trend"): tensor
                 for name, tensor in tensors.items()}  # fmt: skip
        for part, kind in itertools.product(("seasonal", "trend"), ("weight", "bias")):
            names = (f"{part}.{channel}.{kind}" for channel in itertools.count())
            of_channels = list(itertools.takewhile(state.__contains__, names))
            if len({state[name].shape for name in of_channels}) == 1:
                state[f"{part}.{kind}"] = torch.stack([state.pop(name) for name in of_channels])
        return state
