"""Offer what people import where the project is installed: ``from calf import Forecaster``. Light until it is used."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.forecaster import Forecaster
    from utils.errors import UserError

PLACES = {"Forecaster": "exp.forecaster:Forecaster", "UserError": "utils.errors:UserError"}
__all__ = ["Forecaster", "UserError"]


def __getattr__(name: str) -> Any:
    """Import what is asked for now: PyTorch takes seconds."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(PLACES[name])
