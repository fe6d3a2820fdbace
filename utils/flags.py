"""Declare a flag of the command line once: a dataclass field with its default, check and help.

Argument parser, checked configuration, name of a run, list of flags without effect and tables all read these fields.
This module imports nothing heavy, so that ``--help`` answers at once.
"""

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from utils.errors import UserError

Config = TypeVar("Config")

MOST = 1_000_000_000  # steps, windows, epochs: beyond this a number is a slip, and would end in a crash


@dataclass(frozen=True)
class Kind:
    """What a flag accepts.

    Attributes:
        accepts: whether a value of ``type`` is possible.
        wanted: what to choose, for messages.
        words: texts that are taken as they are, in place of a value of ``type``.
    """

    type: type
    accepts: Callable[[Any], bool]
    wanted: str
    words: tuple[str, ...] = ()

    def convert(self, text: str) -> Any:
        """Return the value that ``text`` stands for; ValueError where it stands for none."""
        if text in self.words:
            return text
        if self.type in (int, float) and not (text.isascii() and "_" not in text):
            raise ValueError("a number is written in ASCII digits")  # int() and float() take others, too
        value = self.type(text)
        if not self.accepts(value):
            raise ValueError(f"{text!r} is not accepted")
        return value

    def fits(self, value: Any) -> bool:
        """Return whether a value read from JSON is of this kind."""
        if type(value) is not self.type and (self.type, type(value)) != (float, int):
            return False
        try:
            return self.accepts(value)
        except OverflowError:  # a whole number that no float can hold
            return False


class _Switch(Kind):
    """0 or 1; also the True and False that users of the release write."""

    def convert(self, text: str) -> int:
        return super().convert({"true": "1", "false": "0"}.get(text.lower(), text))


class _AbsolutePath(Kind):
    """A path that stays the same wherever a later run starts."""

    def convert(self, text: str) -> str:
        return str(Path(super().convert(text)).resolve())


class _FolderOrName(Kind):
    """The absolute path of a folder, or a name that is none."""

    def convert(self, text: str) -> str:
        return str(Path(text).resolve()) if Path(super().convert(text)).is_dir() else text


class NonZero:
    """All numbers but 0, as the values of another flag that ``needs`` asks for."""

    def __contains__(self, value: object) -> bool:
        return value != 0


def whole(low: int = 1, high: int = MOST) -> Kind:
    """Accept a whole number from ``low`` to ``high``."""
    limit = f"of at least {low}" if high == MOST else f"from {low} to {high:,}"
    return Kind(int, lambda n: low <= n <= high, f"a whole number {limit}")


def odd(low: int = 1, high: int = MOST) -> Kind:
    """Accept an odd whole number from ``low`` to ``high``."""
    return Kind(int, lambda n: low <= n <= high and n % 2 == 1, f"an odd number from {low} to {high:,}")


def real(wanted: str, accepts: Callable[[float], bool]) -> Kind:
    """Accept a finite number that fulfils a condition."""
    return Kind(float, lambda x: math.isfinite(x) and accepts(x), wanted)


def choice(*names: str) -> Kind:
    """Accept one of some names."""
    return Kind(str, lambda name: name in names, f"one of {', '.join(names)}")


def row_of(table: Mapping[str, Any]) -> Kind:
    """Accept the name of a row of a table, also of one that is added later."""
    return Kind(str, lambda name: name in table, f"one of {', '.join(table)}")


def is_utf8(text: str) -> bool:
    """Return whether a text from the command line is UTF-8; other bytes are surrogates in it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


TEXT = Kind(str, lambda text: text != "" and text.isprintable(), "a text without line breaks, not empty")
PATH = Kind(str, lambda text: text != "" and "\0" not in text, "a path, not empty")
TENSORS = Kind(str, lambda text: PATH.accepts(text) and is_utf8(text), "a path in UTF-8, not empty")  # of safetensors
FILE = _AbsolutePath(str, PATH.accepts, PATH.wanted)
FOLDER = _AbsolutePath(str, lambda text: PATH.accepts(text) and is_utf8(text), "a folder in UTF-8, not empty")
MODEL_NAME = _FolderOrName(str, PATH.accepts, "a name on the hub or a folder, not empty")
SWITCH = _Switch(int, lambda n: n in (0, 1), "0 or 1")
PRESENCE = Kind(bool, lambda value: True, "nothing: the flag alone turns it on")
PRESENCE_OR_SWITCH = _Switch(int, lambda n: n in (0, 1), "nothing, 0 or 1")
RATE = real("a positive number", lambda x: x > 0)
WEIGHT = real("a number of at least 0", lambda x: x >= 0)
SHARE = real("a number from 0 to below 1", lambda x: 0 <= x < 1)


def flag(
    default: Any,
    kind: Kind,
    help: str,
    *,
    needs: Mapping[str, Container[Any]] | None = None,
    aliases: tuple[str, ...] = (),
    training: bool = False,
) -> Any:
    """Make a dataclass field that is a flag of the command line, under the field's own name.

    Args:
        default: value where the flag is not given; None means that the program decides.
        needs: other flags, each with the values without which this one has no effect.
        training: whether it says how a model was trained, not which model is meant, so that a test need not repeat it.
    """
    metadata = {"kind": kind, "help": help, "needs": needs or {}, "aliases": aliases, "training": training}
    return field(default=default, metadata=metadata)


def flags_of(config: type) -> dict[str, Field]:
    """Return the fields of a dataclass that are flags, by name."""
    return {one.name: one for one in fields(config) if "kind" in one.metadata}


def given_for(config: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the given flags that a dataclass has fields for."""
    return {name: given[name] for name in flags_of(config) if name in given}


def idle_flags(config: Any, given: Container[str]) -> dict[str, list[str]]:
    """Return the given flags of a configuration that cannot have an effect, by the reason: ``with --lora 0``."""
    idle: dict[str, list[str]] = {}
    for name, one in flags_of(type(config)).items():
        unmet = [other for other, values in one.metadata["needs"].items() if getattr(config, other) not in values]
        if name in given and unmet:
            idle.setdefault(f"with --{unmet[0]} {getattr(config, unmet[0])}", []).append(name)
    return idle


def convert(one: Field, text: str) -> Any:
    """Return the value of a flag from its text on the command line; UserError where it does not accept the text."""
    kind = one.metadata["kind"]
    try:
        return kind.convert(text)
    except (ValueError, OverflowError) as error:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise UserError(f"--{one.name} {shown}: choose {kind.wanted}.") from error


def from_json(config: type[Config], values: Any, **known: Any) -> Config:
    """Rebuild a configuration from its ``values`` stored as JSON, and the ``known`` ones that are not stored.

    Every field has to be there and of its kind: a default instead would change figures in silence.

    Raises:
        UserError: a field is missing, unknown, or its value is not possible.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{type(values).__name__} instead of a group of values")
    expected = {one.name: one for one in fields(config) if one.name not in known and one.init}
    if odd := expected.keys() ^ values.keys():
        raise UserError(f"{min(odd)[:40]!r} is missing or unknown")
    for name, one in expected.items():
        kind: Kind | None = one.metadata.get("kind")
        left_out = one.default is None and values[name] is None
        if kind and not (left_out or kind.fits(values[name])):
            raise UserError(f"{name} is {str(values[name])[:40]!r}, not {kind.wanted}")
    return config(**values, **known)
