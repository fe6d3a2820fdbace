"""What CALF computes, and the weighted sum of three losses that it trains on (section 3.3 of the paper).

Shapes: B batch, H pred_len, C channels, D width, N blocks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.base import Output
from models.config import ModelConfig
from utils.losses import Masked, compare

FEATURE_DECAY = 0.8


@dataclass(frozen=True)
class CALFOutput(Output):
    """What CALF computes; in evaluation the forecast alone.

    Attributes:
        text_forecast: of the text branch, in the shape of ``forecast``.
        time_features: N+1 projected features (B, C, D) of the time branch, shallow to deep.
        text_features: N+1 projected features (B, C, D) of the text branch, shallow to deep.
    """

    text_forecast: Tensor | None = None
    time_features: tuple[Tensor, ...] = ()
    text_features: tuple[Tensor, ...] = ()


def calf_loss(config: ModelConfig, output: CALFOutput, target: Tensor, masked: Masked | None) -> Tensor:
    """Return the weighted sum of the losses of section 3.3 by a ``CALF.Config``, a scalar in float32.

    A term of weight 0 is not computed. The deepest feature counts 1, each shallower one 0.8 of the next.
    """
    loss = target.new_zeros((), dtype=torch.float32)
    if config.task_w:
        loss = loss + config.task_w * compare(config.task_loss, output.forecast, target, masked)
    if config.output_w and config.text_branch:
        loss = loss + config.output_w * compare(config.output_loss, output.forecast, output.text_forecast, masked)
    if config.feature_w and config.text_branch:
        pairs = zip(reversed(output.time_features), reversed(output.text_features), strict=True)
        terms = (FEATURE_DECAY**i * compare(config.feature_loss, *pair) for i, pair in enumerate(pairs))
        loss = loss + config.feature_w * sum(terms)
    return loss
