"""Put the channels of a window into another order: a causal language model reads them one after the other."""

import numpy as np
import torch
from torch import Tensor


def channel_order(order: str, channels: int) -> Tensor:
    """Return the channel (C,) that each place takes, by ``file``, ``reversed`` or ``random:SEED``."""
    if order == "file":
        return torch.arange(channels)
    if order == "reversed":
        return torch.arange(channels).flip(0)
    seed = int(order.removeprefix("random:"))
    return torch.from_numpy(np.random.default_rng(seed).permutation(channels))
