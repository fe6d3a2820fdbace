"""The sizes of the forecasters. Light: nothing here imports what builds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from layers.lora import LoRA
from utils.errors import UserError

TASKS = ("long_term_forecast", "short_term_forecast")
RELEASED_HEADS = 12


@dataclass(frozen=True)
class CALFConfig:
    """Sizes of a CALF network, apart from those its backbone and word embeddings bring along.

    Attributes:
        seq_len: L, steps the model sees. pred_len: H, steps it forecasts. channels: C.
        lora: adapters on the time branch, or None for layer norms and positions alone.
    """

    seq_len: int
    pred_len: int
    channels: int
    lora: LoRA | None = field(default_factory=LoRA)
    task_name: str = "long_term_forecast"

    def __post_init__(self) -> None:
        for name in ("seq_len", "pred_len", "channels"):
            size = getattr(self, name)
            if type(size) is not int or size < 1:
                raise UserError(f"{name} {size!r} is not a whole number of at least 1.")

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "CALFConfig":
        """Out of a checkpoint. Every field has to be there: a default would change the forecast in silence.

        Raises:
            UserError, TypeError, ValueError, KeyError: a part is missing, unknown or impossible.
        """
        lora = described["lora"]
        return cls(**{**_complete(cls, described), "lora": lora and LoRA(**_complete(LoRA, lora))})


def _complete(kind: type, described: Mapping[str, Any]) -> Mapping[str, Any]:
    wrong = described.keys() ^ {field.name for field in fields(kind)}
    if wrong:
        raise ValueError(f"{min(wrong)} is missing or unknown")
    return described


def attention_heads(width: int, backbone_heads: int) -> int:
    """Heads of the attentions before the backbone: the release's 12 where they divide D, else the backbone's."""
    return RELEASED_HEADS if width % RELEASED_HEADS == 0 else backbone_heads
