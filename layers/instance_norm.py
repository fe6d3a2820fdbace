"""Normalize each window and channel to mean 0 and deviation 1, and undo it."""

from typing import NamedTuple

import torch
from torch import Tensor


class WindowStatistics(NamedTuple):
    """Mean and deviation, sqrt(biased variance + eps), of each window and channel: (B, 1, C), without gradients."""

    mean: Tensor
    deviation: Tensor


def normalize(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, WindowStatistics]:
    """Center and scale ``x`` (B, L, C) over time; return the result and the statistics used."""
    variance, mean = torch.var_mean(x.detach(), dim=1, correction=0, keepdim=True)
    statistics = WindowStatistics(mean, torch.sqrt(variance + eps))
    return (x - statistics.mean) / statistics.deviation, statistics


def denormalize(x: Tensor, statistics: WindowStatistics) -> Tensor:
    """Undo :func:`normalize` on ``x`` (B, H, C), in the precision of the statistics."""
    return x.to(statistics.mean.dtype) * statistics.deviation + statistics.mean
