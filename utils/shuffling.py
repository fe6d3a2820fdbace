"""Destroy the order of the steps that a model sees, to see whether its forecasts depend on it.

Tan et al., "Are Language Models Actually Useful for Time Series Forecasting?", NeurIPS 2024, arXiv 2406.16964.
Shapes: B batch, L steps, C channels.
"""

import torch
from torch import Tensor


def shuffled(x: Tensor, kind: str, seed: int) -> Tensor:
    """Return windows (B, L, C) with their steps in another order, which is that of all windows and channels of a run.

    Args:
        kind: ``all`` steps permuted, the first ``half`` permuted, both halves exchanged (``swap``), patches of STEPS
            steps permuted (``patch:STEPS``; what is left over stays at the end), a SHARE of the steps set to 0
            (``zero:SHARE``), or ``none``.
        seed: the order is drawn from it.
    """
    steps, (name, _, value) = x.shape[1], kind.partition(":")
    generator, order = torch.Generator().manual_seed(seed), torch.arange(steps)
    if name == "zero":
        lost = torch.randperm(steps, generator=generator)[: round(float(value) * steps)]
        kept = torch.ones(steps, 1, dtype=x.dtype)
        kept[lost] = 0
        return x * kept.to(x.device)
    if name in ("all", "half"):
        part = steps if name == "all" else steps // 2
        order[:part] = torch.randperm(part, generator=generator)
    elif name == "swap":
        order = order.roll(-(steps // 2))
    elif name == "patch":
        size = int(value)
        whole = steps // size * size
        patches = order[:whole].view(-1, size)
        order = torch.cat([patches[torch.randperm(len(patches), generator=generator)].flatten(), order[whole:]])
    return x[:, order.to(x.device)]
