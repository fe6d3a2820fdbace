"""Fill hidden values without a model. Shapes: B batch, L steps, C channels."""

import torch
from torch import Tensor


def fill_mean(x: Tensor, shown: Tensor) -> Tensor:
    """Return windows ``x`` (B, L, C) with the mean of what is ``shown`` of window and channel; 0 where nothing is."""
    count = shown.sum(dim=1, keepdim=True)
    mean = torch.where(shown, x, 0.0).sum(dim=1, keepdim=True) / count.clamp(min=1)
    return torch.where(shown, x, mean)


def fill_last(x: Tensor, shown: Tensor) -> Tensor:
    """Return windows ``x`` (B, L, C) with the last value that is ``shown``, else the next one; 0 where none is."""
    before, after = _neighbours(shown)
    filled = x.gather(1, torch.where(before >= 0, before, after.clamp(max=x.shape[1] - 1)))
    return torch.where(shown.any(dim=1, keepdim=True), filled, 0.0)


def fill_linear(x: Tensor, shown: Tensor) -> Tensor:
    """Return windows ``x`` (B, L, C) with straight lines between what is ``shown``.

    Before the first and after the last shown value, the line is level; it is 0 where nothing is shown.
    """
    steps = x.shape[1]
    before, after = _neighbours(shown)
    left = torch.where(before >= 0, before, after).clamp(max=steps - 1)
    right = torch.where(after < steps, after, before).clamp(min=0)
    time = torch.arange(steps)[:, None]
    share = (time - left) / (right - left).clamp(min=1)
    low, high = x.gather(1, left), x.gather(1, right)
    return torch.where(shown.any(dim=1, keepdim=True), low + share * (high - low), 0.0)


FILLS = {"linear_interpolation": fill_linear, "last_value": fill_last, "window_mean": fill_mean}


def _neighbours(shown: Tensor) -> tuple[Tensor, Tensor]:
    """Return the step of the last shown value up to each step, -1 for none, and of the next one, L for none."""
    steps = shown.shape[1]
    time = torch.arange(steps)[:, None].expand_as(shown)
    before = torch.where(shown, time, -1).cummax(dim=1).values
    after = torch.where(shown, time, steps).flip(1).cummin(dim=1).values.flip(1)
    return before, after
