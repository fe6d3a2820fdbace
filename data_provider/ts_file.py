"""Read one ``.ts`` file of the UEA archive: cases of any length, each with a class or all without.

The values are read by aeon. What its reader does not cope with is put right or refused before: blank lines, comments
among the cases, headers that contradict the cases, and time stamps, of which it would drop signs and whole numbers.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.errors import UserError, shown_path
from utils.files import check_regular

MOST_BYTES = 2**34
HEADER = "@problemName cases\n@timeStamps false\n@univariate false\n@equalLength false\n@classLabel {}\n@data\n"
SHOWN = 40  # letters of a cell in a message


@dataclass(frozen=True)
class TsFile:
    """Cases of one file.

    Attributes:
        values: (T, C) of each case in float64, NaN where a value is missing.
        labels: the class of each case as it is written; None where the file holds none.
    """

    source: Path
    values: list[np.ndarray]
    labels: list[str] | None


def read_ts(path: Path) -> TsFile:
    """Read a file.

    Raises:
        UserError: it is not there, or cannot be used; the message says which case is at fault.
    """
    from aeon.datasets import load_from_ts_file  # late: it takes seconds

    try:
        check_regular(path, MOST_BYTES)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "cases.ts"
            labels = _copy(path, copy)
            values, _ = load_from_ts_file(str(copy))
    except FileNotFoundError as error:
        raise UserError(f"{shown_path(path)} does not exist; check --root_path and --data_path.") from error
    except (ValueError, LookupError, TypeError) as error:  # how the reader reports what it cannot read
        raise UserError(f"{shown_path(path)} cannot be read: {_bad_cell(path) or error}") from error
    values = [case.T for case in values]  # (T, C)
    for number, case in enumerate(values, start=1):
        if np.isinf(case).any():
            raise UserError(f"{shown_path(path)}: case {number} holds an infinite value; write ? for a missing one.")
    return TsFile(path, values, labels)


def _copy(path: Path, copy: Path) -> list[str] | None:
    """Write the cases of a file to a plain one, under a header that is true of all files; return their classes."""
    has_classes = _read_header(path)
    labels, shape = [], 0
    with copy.open("w", encoding="utf-8") as plain:
        plain.write(HEADER.format("true any" if has_classes else "false"))
        for number, line in _cases(path):
            channels = line.split(":")
            if has_classes:
                labels.append(_label(channels.pop().strip(), path, number))
            shape = shape or len(channels)
            _check(channels, shape, path, number)
            plain.write(":".join([*channels, "any"] if has_classes else channels) + "\n")
    if not shape:
        raise UserError(f"{shown_path(path)} holds no cases after its line @data.")
    return labels if has_classes else None


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="backslashreplace") as file:
        for line in file:
            if (text := line.strip()) and not text.startswith("#"):
                yield text


def _cases(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the cases of a file, numbered from 1."""
    lines = _lines(path)
    for line in lines:
        if line.lower() == "@data":
            break
    yield from enumerate(lines, start=1)


def _read_header(path: Path) -> bool:
    """Return whether the cases of a file have classes; raise UserError where the file is of another kind."""
    found: dict[str, str] = {}
    for line in _lines(path):
        words = line.lower().split()
        if words == ["@data"]:
            break
        if not words[0].startswith("@"):
            raise UserError(f"{shown_path(path)} is no .ts file: {shown_path(line[:SHOWN])!r} stands before @data.")
        found[words[0]] = words[1] if len(words) > 1 else ""
    else:
        raise UserError(f"{shown_path(path)} is no .ts file: it has no line @data, which the cases follow.")
    if found.get("@timestamps") == "true":
        raise UserError(
            f"{shown_path(path)} has time stamps (@timeStamps true): write the values alone, in order of time, "
            "a,b,c:d,e,f:class."
        )
    if found.get("@targetlabel") == "true":
        raise UserError(f"{shown_path(path)} has numbers to predict (@targetLabel true) in place of classes.")
    return found.get("@classlabel", "true") != "false"


def _label(text: str, path: Path, number: int) -> str:
    if not text or "," in text:
        raise UserError(
            f"{shown_path(path)}: case {number} has no class after its last ':'. Of cases without classes the header "
            "says @classLabel false."
        )
    return text


def _check(channels: list[str], wanted: int, path: Path, number: int) -> None:
    """Raise UserError where a case has another number of channels than the first one, or channels of two lengths."""
    if len(channels) != wanted or not wanted:
        raise UserError(f"{shown_path(path)}: case {number} has {len(channels)} channels, and the first one {wanted}.")
    lengths = [channel.count(",") + 1 for channel in channels]
    for c, length in enumerate(lengths, start=1):
        if length != lengths[0]:
            raise UserError(
                f"{shown_path(path)}: case {number} has {lengths[0]} steps in channel 1 and {length} in channel {c}; "
                "all channels of a case are equally long: write ? for missing values."
            )


def _bad_cell(path: Path) -> str:
    """Return where the first value stands that is no number, in words; empty where there is none."""
    has_classes = _read_header(path)
    for number, line in _cases(path):
        channels = line.split(":")
        for c, channel in enumerate(channels[:-1] if has_classes else channels, start=1):
            for cell in channel.split(","):
                try:
                    float(cell.replace("?", "nan"))
                except ValueError:
                    return f"case {number}, channel {c}: {shown_path(cell[:SHOWN])!r} is no number; write ? for a gap."
    return ""
