"""Normalize each window and channel to mean 0 and deviation 1, and undo it."""

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5


class WindowStatistics(NamedTuple):
    """Mean and deviation, sqrt(biased variance + eps), of each window and channel: (B, 1, C), without gradients."""

    mean: Tensor
    deviation: Tensor


def normalize(
    x: Tensor, visible: Tensor | None = None, mean_of_all: bool = False, eps: float = EPSILON
) -> tuple[Tensor, WindowStatistics]:
    """Center and scale ``x`` (B, L, C) over time; return the result and the statistics used.

    Args:
        visible: (B, L, C), 1 where the value is seen, 0 where it is hidden; None where all are seen. Statistics are of
            what is seen, and hidden values become 0. Of a channel without any, the mean is 0 and the deviation 1.
        mean_of_all: take the mean over all steps, whatever stands at hidden ones, as the authors' code does.
    """
    if visible is None:
        variance, mean = torch.var_mean(x.detach(), dim=1, correction=0, keepdim=True)
        statistics = WindowStatistics(mean, torch.sqrt(variance + eps))
        return (x - statistics.mean) / statistics.deviation, statistics
    seen, count = visible > 0, visible.sum(dim=1, keepdim=True)
    values, some = x.detach(), count > 0
    total = values if mean_of_all else torch.where(seen, values, 0.0)
    mean = total.sum(dim=1, keepdim=True) / (x.shape[1] if mean_of_all else count.clamp(min=1))
    mean = torch.where(some, mean, 0.0)
    squares = torch.where(seen, values - mean, 0.0).square().sum(dim=1, keepdim=True)
    deviation = torch.where(some, torch.sqrt(squares / count.clamp(min=1) + eps), 1.0)
    return torch.where(seen, x - mean, 0.0) / deviation, WindowStatistics(mean, deviation)


def denormalize(x: Tensor, statistics: WindowStatistics) -> Tensor:
    """Undo :func:`normalize` on ``x`` (B, H, C), in the precision of the statistics."""
    return x.to(statistics.mean.dtype) * statistics.deviation + statistics.mean
