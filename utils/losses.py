"""Compute training losses: of values, those of M4, and of classes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.errors import UserError

PlainLoss = Callable[..., Tensor]

PLAIN_LOSSES: dict[str, PlainLoss] = {"l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss, "mse": F.mse_loss}


@dataclass(frozen=True)
class Masked:
    """What losses need beside forecast and target where not every target counts alike.

    Attributes:
        mask: (B, H, C), how much each target counts; 1 where it is known, else 0, if there is no other weight.
        insample: (B, L, C), the input window.
        seasonality: steps of one season, for the MASE scale.
    """

    mask: Tensor
    insample: Tensor
    seasonality: int


def smape_loss(forecast: Tensor, target: Tensor, masked: Masked) -> Tensor:
    """Return 200 · mean(|f - y| / (|f| + |y|) · mask), the denominator outside the graph; 0 / 0 counts 0."""
    scale = forecast.detach().abs() + target.detach().abs()
    return 200 * torch.mean((forecast - target).abs() * _divide(masked.mask, scale))


def mape_loss(forecast: Tensor, target: Tensor, masked: Masked) -> Tensor:
    """Return mean(|(f - y) · mask / y|); a target of 0 counts 0."""
    return torch.mean(((forecast - target) * _divide(masked.mask, target)).abs())


def mase_loss(forecast: Tensor, target: Tensor, masked: Masked) -> Tensor:
    """Return mean(|f - y| · mask / s), s the mean seasonal difference inside the window; a flat window counts 0."""
    x, m = masked.insample, masked.seasonality
    scale = (x[:, m:] - x[:, :-m]).abs().mean(dim=1, keepdim=True)  # (B, 1, C)
    return torch.mean((target - forecast).abs() * _divide(masked.mask, scale))


MASKED_LOSSES = {"smape": smape_loss, "mape": mape_loss, "mase": mase_loss}
CROSS_ENTROPY = "ce"


def _divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the quotient, with 0 where the denominator is 0; made safe before dividing, so gradients stay finite."""
    zero = denominator == 0
    return torch.where(zero, 0.0, numerator / torch.where(zero, 1.0, denominator))


def compare(name: str, forecast: Tensor, target: Tensor, masked: Masked | None = None) -> Tensor:
    """Return one loss between forecast and target (B, H, C), a scalar: the mean over all elements.

    Cross entropy is between logits (B, K) and classes (B,).

    Raises:
        UserError: the loss needs a mask, and there is none.
    """
    if name == CROSS_ENTROPY:
        return F.cross_entropy(forecast.float(), target)
    if name in PLAIN_LOSSES and masked is None:
        return PLAIN_LOSSES[name](forecast.float(), target.float())
    if name in PLAIN_LOSSES:
        return (PLAIN_LOSSES[name](forecast.float(), target.float(), reduction="none") * masked.mask).mean()
    if masked is None:
        raise UserError(f"The loss {name} needs a mask; choose one of {', '.join(PLAIN_LOSSES)} here.")
    return MASKED_LOSSES[name](forecast.float(), target.float(), masked)
