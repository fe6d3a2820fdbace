"""Combine trained forecasters: one for all columns, one for each column, or the median of several.

Shapes: B batch, L seq_len, H pred_len, C channels, M members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import models
from models.base import Model, Output
from models.checkpoint import Stored, find_checkpoint, read_stored
from models.config import ChoiceConfig, ModelConfig
from models.members import MEMBERS, WithMembers, load_members
from models.naive import Naive
from utils.errors import UserError, shown_path
from utils.flags import choice, flag

AND = " + "  # between the names of members that forecast a channel together


class Combination(WithMembers):
    """Take for each channel the median of the forecasts of some members, step by step.

    Attributes:
        members: models of the same windows; they may look back further than each other.
        used: (M, C), 1 where a member takes part in the forecast of a channel, else 0.
    """

    Config = ChoiceConfig

    def __init__(self, config: ModelConfig, members: Sequence[Model] | None = None, used: Tensor | None = None) -> None:
        if members is None:  # before there is a choice: the last value
            members = [Naive(Naive.Config(config.seq_len, config.pred_len, config.channels, config.season))]
        super().__init__(config, members)
        self.register_buffer("used", torch.ones(len(members), config.channels) if used is None else used)

    @property
    def lookback(self) -> int:
        """Return how far the member looks back that sees most."""
        return max(member.lookback for member in self.members)

    @property
    def least_lookback(self) -> int:
        """Return how many steps no member can do without."""
        return max(member.least_lookback for member in self.members)

    @property
    def trains(self) -> bool:
        """Return whether a member has weights that were trained."""
        return any(member.trains for member in self.members)

    def start_from(self, folder: Path) -> None:
        """Check that a checkpoint holds a combination, whose members candidates can go on from.

        Raises:
            UserError: there is none, or it holds a single model.
        """
        stored = read_stored(find_checkpoint(folder))
        if not models.find_config(stored.name).chooses:
            raise UserError(
                f"--init_from {shown_path(folder)} holds a model {shown_path(stored.name[:40])}, and this run chooses "
                f"among several: train with --model {shown_path(stored.name[:40])}."
            )

    def forward(self, x: Tensor, known: Tensor | None = None) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L or more, C) with ``known`` (B, L or more + H, F)."""
        parts = []
        for member in self.members:
            seen, covariates = max(member.config.seq_len, member.lookback), {}
            if known is not None and member.config.known:
                covariates["known"] = known[:, -(member.config.seq_len + self.config.pred_len) :]
            parts.append(member(x[:, -seen:], **covariates).forecast.to(x.dtype))
        if len(parts) == 1:
            return Output(parts[0])
        # Members that are not used come last, beyond all others.
        forecasts = torch.stack(parts, dim=-1).masked_fill(self.used.T == 0, torch.finfo(x.dtype).max)  # (B, H, C, M)
        ranked, count = forecasts.sort(dim=-1).values, self.used.sum(dim=0).long()  # (C,)
        middle = [place.expand(ranked.shape[:-1])[..., None] for place in ((count - 1) // 2, count // 2)]
        low, high = (ranked.gather(-1, place)[..., 0] for place in middle)
        return Output(low + (high - low) / 2)

    def describe(self) -> list[str]:
        """Return the members, once they are chosen."""
        labels = [member["label"] for member in self.origin.get(MEMBERS, [])]
        return [f"forecasts with {', '.join(labels)}"] if labels else []

    @property
    def labels(self) -> list[str]:
        """Return the name of what forecasts each channel, (C,)."""
        names = [member["label"] for member in self.origin.get(MEMBERS, [])] or ["Naive"]
        used = self.used > 0
        return [
            AND.join(name for name, one in zip(names, used[:, c], strict=True) if one) for c in range(used.shape[1])
        ]

    def stored_state(self) -> dict[str, Tensor]:
        """Return who is used for what; the members have checkpoints of their own within."""
        return {"used": self.used}

    @classmethod
    def remake(cls, config: ModelConfig, origin: Mapping[str, Any], weights: bool = True) -> "Combination":
        """Make a combination with room for the members that ``origin`` names."""
        named = origin.get(MEMBERS)
        if not isinstance(named, list) or not named or not all(isinstance(one.get("label"), str) for one in named):
            raise UserError("it does not name its members")
        model = cls(config, used=torch.zeros(len(named), config.channels))
        model.origin = dict(origin)
        return model

    @classmethod
    def from_stored(cls, stored: Stored, merge: bool = False) -> "Combination":
        """Make the combination of a checkpoint with its members, in evaluation mode."""
        model = super().from_stored(stored)
        model.members = torch.nn.ModuleList(load_members(stored.folder, len(model.origin[MEMBERS]), merge))
        return model.eval()


class auto(Combination):
    """The model that forecasts best on the validation windows: one for all columns, or one for each."""

    @dataclass(frozen=True)
    class Config(ChoiceConfig):
        """Candidates, and what to choose for."""

        auto_per: str = flag(
            "file", choice("file", "column"), "choose one model for the file, by its target, or one for each column"
        )


class ensemble(Combination):
    """The median of the three models that forecast best on the validation windows."""

    @dataclass(frozen=True)
    class Config(ChoiceConfig):
        """Candidates."""
