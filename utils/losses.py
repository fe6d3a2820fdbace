"""Compute training losses: of a forecast, of M4, and CALF's sum of three terms (CALF, section 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.errors import UserError

FEATURE_DECAY = 0.8

PlainLoss = Callable[[Tensor, Tensor], Tensor]

PLAIN_LOSSES: dict[str, PlainLoss] = {"l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss, "mse": F.mse_loss}


@dataclass(frozen=True)
class Masked:
    """What the losses of M4 need beside forecast and target.

    Attributes:
        mask: (B, H, C), 1 where the target is known.
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


def _divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the quotient, with 0 where the denominator is 0; made safe before dividing, so gradients stay finite."""
    zero = denominator == 0
    return torch.where(zero, 0.0, numerator / torch.where(zero, 1.0, denominator))


@dataclass(frozen=True)
class CALFLoss:
    """The weighted sum of CALF's three losses; a term of weight 0 is not computed.

    Attributes:
        task: name of the loss between forecast and truth.
        output: name of the loss between the forecasts of both branches.
        feature: name of the loss between the features of both branches.
    """

    task: str
    output: str
    feature: str
    task_w: float
    output_w: float
    feature_w: float

    @property
    def needs_text_branch(self) -> bool:
        """Return whether any loss but that of the task is on."""
        return self.output_w != 0 or self.feature_w != 0

    def __call__(
        self,
        forecast: Tensor,
        target: Tensor,
        text_forecast: Tensor | None,
        time_features: Sequence[Tensor],
        text_features: Sequence[Tensor],
        masked: Masked | None = None,
    ) -> Tensor:
        """Return the loss of one batch, a scalar in float32.

        Forecasts and target are (B, H, C), features (B, C, D), shallow to deep. The deepest feature counts 1, each
        shallower one 0.8 of the next.
        """
        loss = forecast.new_zeros((), dtype=torch.float32)
        if self.task_w:
            loss = loss + self.task_w * compare(self.task, forecast, target, masked)
        if self.output_w:
            loss = loss + self.output_w * compare(self.output, forecast, text_forecast, masked)
        if self.feature_w:
            pairs = zip(reversed(time_features), reversed(text_features), strict=True)
            distance = PLAIN_LOSSES[self.feature]
            terms = (FEATURE_DECAY**i * distance(a.float(), b.float()) for i, (a, b) in enumerate(pairs))
            loss = loss + self.feature_w * sum(terms)
        return loss


def compare(name: str, forecast: Tensor, target: Tensor, masked: Masked | None) -> Tensor:
    """Return one loss between forecast and target (B, H, C), a scalar.

    Raises:
        UserError: the loss needs a mask, and there is none.
    """
    if name in PLAIN_LOSSES:
        known = 1.0 if masked is None else masked.mask
        return PLAIN_LOSSES[name](forecast.float() * known, target.float() * known)
    if masked is None:
        raise UserError(f"The loss {name} needs a mask; choose one of {', '.join(PLAIN_LOSSES)} here.")
    return MASKED_LOSSES[name](forecast.float(), target.float(), masked)
