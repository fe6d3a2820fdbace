"""Define the contract that every forecaster fulfils.

A simple model writes ``Config``, ``__init__`` and ``forward``; all else here has a default. Shapes: B batch, L seq_len,
H pred_len, C channels.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.config import ModelConfig
from models.storage import StorableModel
from utils.errors import UserError
from utils.losses import Masked, compare


@dataclass(frozen=True)
class Output:
    """What a model computes.

    Attributes:
        forecast: (B, H, C); of a model that reconstructs (B, L, C), of one that classifies the logits (B, K).
    """

    forecast: Tensor

    @property
    def logits(self) -> Tensor:
        """Return the logits (B, K) of a model that classifies."""
        return self.forecast


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that train at one rate: ``constant_rate``, or the scheduled ``--learning_rate`` where it is None."""

    name: str
    parameters: list[nn.Parameter]
    constant_rate: float | None = None


def check_finite(forecast: Tensor, source: str) -> None:
    """Refuse forecasts that cannot be scored.

    Raises:
        UserError: one is NaN or infinite.
    """
    if not torch.isfinite(forecast).all():
        raise UserError(
            f"The model forecasts NaN or infinite values for {source}: its weights are damaged, or the values are too "
            "large for it. Restore the checkpoint, or train anew."
        )


class Model(StorableModel):
    """A forecaster of windows. The flags that it reads are fields of its ``Config``.

    A forecaster of H = L steps serves for imputation and anomaly detection, too: trained to give back the window that
    it sees. It also serves for classification, by a linear map from that reconstruction to the classes; a model whose
    paper classifies otherwise overrides ``features`` and puts a ``class_head`` of its own in place of that map.
    """

    class_head: nn.Module | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        features = config.channels * config.pred_len
        self.class_head = nn.Linear(features, config.classes) if config.classes else None

    def forward(self, x: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C).

        A model whose flag ``marks`` is on takes ``marks`` (B, L, 4). A model of F columns known in advance takes them
        as ``known`` (B, L + H, F), standardized, over the steps that it sees and those that it forecasts. A model whose
        ``Config`` says ``takes_visible`` takes ``visible`` (B, L, C), 0 where a value of x is hidden.
        """
        raise NotImplementedError

    def classify(self, x: Tensor, visible: Tensor) -> Output:
        """Return the logits (B, K) of windows ``x`` (B, L, C); ``visible`` (B, L, C) is 0 beyond a series' end."""
        return Output(self.class_head(self.features(x, visible)))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return what windows ``x`` (B, L, C) are classified by, (B, features)."""
        return self(x).forecast.flatten(1)

    @property
    def trains(self) -> bool:
        """Return whether the model has weights that are trained."""
        return self.config.trains

    @property
    def lookback(self) -> int:
        """Return how many of the last steps the model reads: L, or what a model without training needs."""
        return self.config.seq_len

    @property
    def least_lookback(self) -> int:
        """Return how many steps the model cannot do without: all that it reads, unless it says otherwise."""
        return self.lookback

    def training_loss(
        self, x: Tensor, y: Tensor, mask: Tensor | None = None, scored: slice = slice(None), **covariates: Tensor
    ) -> Tensor:
        """Return the loss of a batch, a mean over its windows ``x`` (B, L, C) with truth ``y`` (B, H, C).

        The truth of a model that classifies are classes (B,); it has neither mask nor scored channels.

        Args:
            mask: (B, H, C), how much each value of the truth counts; None where all count alike.
            scored: the channels that count.
            covariates: what ``forward`` takes beside x.
        """
        if self.config.classes:
            return compare(self.config.task_loss, self.classify(x, **covariates).logits, y)
        forecast = self(x, **covariates).forecast[..., scored]
        return compare(self.config.task_loss, forecast, y[..., scored], self.masked(x, mask, scored))

    def masked(self, x: Tensor, mask: Tensor | None, scored: slice) -> Masked | None:
        """Return what losses need beside forecast and truth where there is a mask; else None."""
        return None if mask is None else Masked(mask[..., scored], x[..., scored], self.config.season)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return what trains and at which rate; all else is frozen. Empty for a model that does not train."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [ParameterGroup("model", trained)] if trained else []

    @classmethod
    def check_channels(cls, config: ModelConfig) -> None:
        """Raise UserError if the model has no room for the channels, as far as can be told without building it."""

    def describe(self) -> list[str]:
        """Return lines for the header of a run: what is special about this model."""
        return []

    def origin_in_words(self) -> list[str]:
        """Return where the model's parts come from, for the line of a summary."""
        return []

    def describe_loss(self) -> str:
        """Return the loss that the model trains on, in words."""
        return self.config.task_loss

    def frozen_parts(self) -> dict[str, str]:
        """Return fingerprints of what the model holds and does not train, by name."""
        return {}

    def merged_adapters(self) -> AbstractContextManager[None]:
        """Fold adapters into the weights within the block, so that a forecast pays nothing for them."""
        return nullcontext()

    def drop_training_parts(self) -> None:
        """Drop what no forecast needs, for good: of a model that will be exported."""

    def recompute_activations(self) -> None:
        """Keep fewer activations while training, and compute the others again in the backward pass."""

    def compile_parts(self, mode: str = "default") -> None:
        """Compile the model's parts with ``torch.compile`` in one of its modes."""
