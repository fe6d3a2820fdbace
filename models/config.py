"""Describe what every forecaster is configured by. Light: ``--help`` reads it without PyTorch."""

from dataclasses import dataclass
from typing import ClassVar

from utils.errors import UserError
from utils.flags import choice, flag, whole

FEATURE_LOSSES = ("l1", "smooth_l1", "mse")
FORECAST_LOSSES = (*FEATURE_LOSSES, "smape", "mape", "mase")
SIZES = ("seq_len", "pred_len", "channels", "season")  # follow from the data
LOSS_HELP = "forecast against truth: l1, smooth_l1, mse; of m4 also smape, mape, mase"

_SIZE = whole(high=1_000_000)  # as the flags: larger numbers come from damaged files


@dataclass(frozen=True)
class ModelConfig:
    """What a forecaster is built from. Subclasses add their flags (``utils.flags.flag``).

    Attributes:
        trains: whether there is anything to train.
        seq_len: L, steps the model sees.
        pred_len: H, steps it forecasts.
        channels: C, columns of the series.
        season: steps of one season of the data; 1 where there is none.
    """

    trains: ClassVar[bool] = True

    seq_len: int
    pred_len: int
    channels: int
    season: int = 1
    task_loss: str = flag("mse", choice(*FORECAST_LOSSES), LOSS_HELP, training=True)

    def __post_init__(self) -> None:
        for name in SIZES:
            value = getattr(self, name)
            if type(value) is not int or not _SIZE.accepts(value):
                raise UserError(f"{name} {str(value)[:40]} is not {_SIZE.wanted}.")

    @property
    def slug(self) -> str:
        """Return what tells this configuration from others in the name of a run; empty for nothing."""
        return ""
