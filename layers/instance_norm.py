"""Instance normalisation: each window and channel on its own scale, and back."""

from typing import NamedTuple

import torch
from torch import Tensor


class WindowStatistics(NamedTuple):
    """Mean and deviation of each window and channel, both (B, 1, C) and outside the graph."""

    mean: Tensor
    deviation: Tensor


def normalise(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, WindowStatistics]:
    """Centre and scale ``x`` (B, L, C) over time; the deviation is sqrt(biased variance + eps)."""
    variance, mean = torch.var_mean(x.detach(), dim=1, correction=0, keepdim=True)
    statistics = WindowStatistics(mean, torch.sqrt(variance + eps))
    return (x - statistics.mean) / statistics.deviation, statistics


def denormalise(x: Tensor, statistics: WindowStatistics) -> Tensor:
    """Undo :func:`normalise` on ``x`` (B, H, C), in the precision of the statistics."""
    return x.to(statistics.mean.dtype) * statistics.deviation + statistics.mean
