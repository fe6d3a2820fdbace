"""Hold trained forecasters in one model and one checkpoint folder, and average several seeds of one forecaster.

Shapes: B batch, L seq_len, H pred_len, C channels, K classes.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

import models
from models.base import Model, Output, ParameterGroup
from models.checkpoint import Stored
from models.config import ModelConfig
from utils.errors import UserError, shown_path

MEMBERS = "members"  # folder of a checkpoint: a checkpoint of each member


class WithMembers(Model):
    """A forecaster made of others, which are trained before.

    Attributes:
        members: models of the same windows.
    """

    def __init__(self, config: ModelConfig, members: Sequence[Model]) -> None:
        super().__init__(config)
        self.members = torch.nn.ModuleList(members)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return nothing: members are trained before they are put together."""
        return []

    def merged_adapters(self) -> AbstractContextManager[None]:
        """Fold the adapters of all members into their weights within the block."""
        stack = ExitStack()
        for member in self.members:
            stack.enter_context(member.merged_adapters())
        return stack

    def drop_training_parts(self) -> None:
        """Drop from each member what no forecast needs."""
        for member in self.members:
            member.drop_training_parts()

    def save(self, folder: Path, extras: Mapping[str, Any], best: Mapping[str, Any]) -> None:
        """Write a checkpoint folder with one of each member within: these first, so that what is there is whole."""
        for i, member in enumerate(self.members):
            member.save(folder / MEMBERS / str(i), extras, {})
        super().save(folder, extras, best)


def load_members(folder: Path, count: int, merge: bool) -> list[Model]:
    """Load so many members of a checkpoint; raise UserError where one is missing or damaged."""
    return [models.load(folder / MEMBERS / str(i), merge=merge) for i in range(count)]


class SeedAverage(WithMembers):
    """The mean of the forecasts of one forecaster that was trained with several seeds.

    It goes under the name and the configuration of its members.
    """

    def __init__(self, members: Sequence[Model], seeds: Sequence[int]) -> None:
        super().__init__(members[0].config, members)
        self.class_head = None  # the members have their own
        self.origin = {**members[0].origin, models.SEEDS: list(seeds)}

    @property
    def lookback(self) -> int:
        return self.members[0].lookback

    @property
    def least_lookback(self) -> int:
        return self.members[0].least_lookback

    @property
    def stored_name(self) -> str:
        return self.members[0].stored_name

    def forward(self, x: Tensor, **covariates: Tensor) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C); ``covariates`` as the members take them."""
        return Output(torch.stack([member(x, **covariates).forecast for member in self.members]).mean(dim=0))

    def classify(self, x: Tensor, visible: Tensor) -> Output:
        """Return the mean of the members' logits (B, K)."""
        return Output(torch.stack([member.classify(x, visible).logits for member in self.members]).mean(dim=0))

    def stored_state(self) -> dict[str, Tensor]:
        """Return nothing: the members have checkpoints of their own within."""
        return {}

    def describe(self) -> list[str]:
        """Return what a member is, and how many there are."""
        return [*self.members[0].describe(), f"mean of the forecasts of {len(self.members)} seeds"]

    def origin_in_words(self) -> list[str]:
        """Return where the members' parts come from, and how many there are."""
        return [*self.members[0].origin_in_words(), f"mean of {len(self.members)} seeds"]

    @classmethod
    def from_stored(cls, stored: Stored, merge: bool = False) -> Self:
        """Make the average of a checkpoint with its members, in evaluation mode.

        Raises:
            UserError: its seeds are no list of numbers, or a member is missing or damaged.
        """
        seeds = stored.origin[models.SEEDS]
        if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
            raise UserError(f"{shown_path(stored.folder)} cannot be loaded: it does not name its seeds.")
        model = cls(load_members(stored.folder, len(seeds), merge), seeds)
        model.stored = stored
        return model.eval()
