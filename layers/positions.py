"""Code positions by sines and cosines (Vaswani et al., 2017, section 3.5)."""

import math

import torch
from torch import Tensor


def sine_positions(count: int, width: int) -> Tensor:
    """Return a code (count, width) of positions 0, 1, …: sines in even columns, cosines in odd ones."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(count)[:, None] * rates
    code = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return code[:, :width]
