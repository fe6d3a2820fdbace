"""The forecasters, by the name they have on the command line.

They are imported when asked for: transformers and peft take seconds, and a forecast from a checkpoint needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.calf import CALF, CALFOutput, ParameterGroup
    from models.config import CALFConfig

MODELS = ("CALF",)

_PLACES = {
    "CALF": "models.calf",
    "CALFConfig": "models.config",
    "CALFOutput": "models.calf",
    "ParameterGroup": "models.calf",
}

__all__ = ["CALF", "MODELS", "CALFConfig", "CALFOutput", "ParameterGroup"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
