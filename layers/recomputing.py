"""Save memory in training: compute activations again in the backward pass instead of keeping them."""

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_in_backward(module: nn.Module) -> None:
    """Keep only the inputs of ``module`` while it trains; dropout draws equal random numbers in both computations."""
    forward = module.forward

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        if not (module.training and torch.is_grad_enabled()):
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    module.forward = recomputed
