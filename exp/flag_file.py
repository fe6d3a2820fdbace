"""Read flags from a YAML file of names and values. Light but for YAML itself, which is imported where a file is."""

from collections.abc import Collection, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any

from exp.flag_names import closest
from utils.errors import UserError, shown_path
from utils.flags import PRESENCE, PRESENCE_OR_SWITCH, SWITCH

MOST_BYTES = 1_000_000


def read_values(path: str) -> dict[Any, Any]:
    """Return what a YAML file holds by name, whatever it is; no code from the file is run.

    Raises:
        UserError: there is no such file, or it is not of names and values.
    """
    import yaml

    shown, file = f"--config {shown_path(path)}", Path(path)
    if not file.is_file():
        raise UserError(f"{shown}: there is no such file.")
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{shown} has more than {MOST_BYTES:,} bytes: it is no file of flags.")
    try:
        values = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{shown} is no YAML ({reason}); write a line for each flag, name: value.") from error
    if not isinstance(values, dict):
        raise UserError(f"{shown} holds no flags; write a line for each, name: value.")
    return values


def flags_in(
    values: Mapping[Any, Any], known: Mapping[str, Field], idle: Collection[str], path: str | None
) -> dict[str, Any]:
    """Return the flags that a file gives, by name; a switch that it turns off is not among them.

    Args:
        idle: names that are accepted without effect.

    Raises:
        UserError: a name is no flag, or a value is not possible; it names file and flag.
    """
    names = {alias: name for name, one in known.items() for alias in (name, *one.metadata["aliases"])}
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key == "config":
            raise UserError(f"{shown_path(path)}: a file of flags cannot name another one with config; leave it out.")
        if key in names:
            given[names[key]] = _value(known[names[key]], value, f"{shown_path(path)}: {key}")
        elif key in idle:
            given[key] = str(value)
        else:
            meant = closest(str(key)[:100].lstrip("-"), known)
            remedy = f"did you mean {meant}?" if meant else "--help lists them."
            raise UserError(f"{shown_path(path)}: there is no flag {shown_path(str(key)[:40])}; {remedy}")
    return {name: value for name, value in given.items() if value is not False}


def _value(one: Field, value: Any, place: str) -> Any:
    """Return the value of a flag from one in YAML: a text flag takes a number, too, and a switch true and false."""
    kind = one.metadata["kind"]
    try:
        if kind in (SWITCH, PRESENCE_OR_SWITCH) and isinstance(value, bool):
            return int(value)
        if kind.type is str and type(value) in (int, float):
            return kind.convert(str(value))
        # To YAML 1e-4, without a dot, is a text.
        if isinstance(value, str) and (kind.type in (str, float) or value in kind.words):
            return kind.convert(value)
        if kind.fits(value):
            return kind.type(value)
    except (ValueError, OverflowError):
        pass
    wanted = "true or false" if kind is PRESENCE else kind.wanted
    quotes = ", in quotes" if kind.type is str and not isinstance(value, str | list | dict) else ""
    raise UserError(f"{place} is {_shown(value)}; choose {wanted}{quotes}.")


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict | set | tuple):
        return "a group" if isinstance(value, dict) else "a list"
    return shown_path(f"the text {value[:40]!r}" if isinstance(value, str) else str(value)[:40])
