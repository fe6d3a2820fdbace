"""Describe which values of which windows are hidden, as checked values. Nothing here reads a series."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

from data_provider.config import DataConfig
from utils.flags import Kind, choice, flag


def is_share(text: str) -> bool:
    """Return whether a text is a number between 0 and 1, both excluded."""
    try:
        return math.isfinite(float(text)) and 0 < float(text) < 1
    except ValueError:
        return False


class _Shares(Kind):
    """Shares with commas between, each in its shortest form."""

    def convert(self, text: str) -> str:
        parts = [part.strip() for part in text.split(",")]
        return super().convert(",".join(f"{float(part):g}" if is_share(part) else part for part in parts))


SHARES = _Shares(
    str, lambda text: all(map(is_share, text.split(","))) and len(set(text.split(","))) == len(text.split(",")),
    "a share between 0 and 1, or several, each once: 0.125,0.25,0.375,0.5",
)  # fmt: skip


@dataclass(frozen=True)
class ImputationConfig(DataConfig):
    """Windows of L steps, of which some values are hidden: a model has to find them again."""

    mask_rate: str = flag("0.25", SHARES, "share of the values to hide, or several, a run each: 0.125,0.25,0.375,0.5")
    mask_kind: str = flag(
        "point", choice("point", "block"), "hide single values, or gaps of several steps in a channel, as sensors have"
    )
    imputation_protocol: str = flag(
        "inside", choice("inside", "release"),
        "windows that lie inside their split; or as in the authors' code, reaching into the split before, with CALF's "
        "means over hidden values, too",
    )  # fmt: skip

    # A window is all there is to see, and it is seen with its gaps.
    pred_len: int = field(init=False, default=0)
    fill: str = field(init=False, default=DataConfig.fill)
    future_cols: str | None = field(init=False, default=None)
    calendar: int = field(init=False, default=0)
    holidays: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        # A short file of the user's is split so that each part has room for what a window takes of it.
        object.__setattr__(self, "pred_len", 0 if self.imputation_protocol == "release" else self.seq_len)

    @property
    def variants(self) -> tuple[Self, ...]:
        """Return the configuration of each rate."""
        return tuple(replace(self, mask_rate=rate) for rate in self.mask_rate.split(","))

    @property
    def variant(self) -> str:
        """Return the rate, in words."""
        return f"mask {self.mask_rate}"

    @property
    def slug(self) -> str:
        """Return what the data are in the name of a run."""
        few_shot = "" if self.percent == 100 else f"_p{self.percent}"
        released = "_release" if self.imputation_protocol == "release" else ""
        return f"{self.data}_ft{self.features}_sl{self.seq_len}_{self.mask_kind}{self.mask_rate}{few_shot}{released}"

    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON; the file by its absolute path."""
        free = {name for name, one in self.__dataclass_fields__.items() if not one.init}
        return {name: value for name, value in super().identity().items() if name not in free}
