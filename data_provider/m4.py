"""Read the M4 competition's files as one flat array: ``<Pattern>-train.csv``, ``<Pattern>-test.csv`` and Naive2."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from data_provider.config import NAIVE2, M4Config
from data_provider.datasets import DatasetSpec
from data_provider.reading import listing, shown
from utils.errors import UserError

SHORTEST = 2  # values left before the held-out ones: one to see, one to forecast


@dataclass(frozen=True)
class M4Data:
    """The N series of one pattern.

    Attributes:
        ids: N names
        values: all training values one after the other, float64
        offsets: (N + 1,); series i is ``values[offsets[i]:offsets[i + 1]]``
        test: (N, H), the values to forecast
        naive2: (N, H), the official benchmark's forecasts, if there
        source: the training file
        notes: what is odd but allowed
    """

    ids: tuple[str, ...]
    values: np.ndarray
    offsets: np.ndarray
    test: np.ndarray
    naive2: np.ndarray | None
    source: str
    notes: tuple[str, ...] = ()

    def series(self, index: int) -> np.ndarray:
        """Return the training values of a series."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def read_m4(config: M4Config, spec: DatasetSpec) -> M4Data:
    """Read the series of one pattern, as the competition published them.

    Raises:
        UserError: a file is missing or holds what cannot be used; the message says where
    """
    horizon, train = config.pattern.horizon, config.file("train")
    ids, values, ends = [], array("d"), [0]
    needed = f"{config.pattern.name} takes {horizon + SHORTEST}, of which the last {horizon} are held out"
    for line, name, cells in _rows(train):
        ids.append(name)
        values.extend(_numbers(cells, train, line, name))
        ends.append(len(values))
        if len(cells) < horizon + SHORTEST:
            raise UserError(
                f"{train}, line {line}: series {shown(name)} has {len(cells)} values; {needed} for validation."
            )
    if not ids:
        raise UserError(f"{train} has a header but no series.")
    test = _read_test(config.file("test"), ids, config)
    naive2, notes = _read_naive2(config.folder / NAIVE2, ids, horizon)
    return M4Data(tuple(ids), np.frombuffer(values), np.array(ends), test, naive2, str(train), notes)


def _read_test(path: Path, ids: Sequence[str], config: M4Config) -> np.ndarray:
    found: dict[str, array] = {}
    for line, name, cells in _rows(path):
        if len(cells) != config.pred_len:
            problem = f"has {len(cells)} values; {config.pattern.name} forecasts {config.pred_len}"
            raise UserError(f"{path}, line {line}: series {shown(name)} {problem}.")
        found[name] = _numbers(cells, path, line, name)
    if found.keys() != set(ids):
        missing, unknown = [name for name in ids if name not in found], sorted(found.keys() - set(ids))
        raise UserError(
            f"{path} does not go with the training file: "
            f"it lacks {len(missing)} of its {len(ids)} series ({listing(missing) or 'none'}) "
            f"and has {len(unknown)} others ({listing(unknown) or 'none'})."
        )
    return np.array([found[name] for name in ids])


def _read_naive2(path: Path, ids: Sequence[str], horizon: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the official Naive2 forecasts (N, H), or None and a note that says why."""
    if not path.is_file():
        return None, (f"{path} is not there: Naive2 is computed",)
    found = dict.fromkeys(ids)
    for line, name, cells in _rows(path):
        if name in found:
            if len(cells) < horizon:
                raise UserError(f"{path}, line {line}: series {shown(name)} has {len(cells)} forecasts, not {horizon}.")
            found[name] = _numbers(cells[:horizon], path, line, name)
    missing = sum(forecast is None for forecast in found.values())
    if missing:
        return None, (f"{path} lacks {missing} of the {len(ids)} series: Naive2 is computed",)
    return np.array(list(found.values())), ()


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, series and filled cells of every row below the header, one at a time."""
    places: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = _cells(next(file, ""))
            if len(header) < 2 or _is_finite(header[1]):
                raise UserError(f"{path}, line 1: there is no header; M4 files begin with V1, V2, …")
            for number, line in enumerate(file, start=2):
                name, *cells = _cells(line)
                if not (name or cells):
                    continue
                if name in places:
                    raise UserError(
                        f"{path}, line {number}: series {shown(name)} stands in line {places[name]} already."
                    )
                places[name] = number
                yield number, name, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; get it anew.") from error


def _cells(line: str) -> list[str]:
    """Return the cells of a line without those that pad its end; M4 quotes no commas."""
    return line.replace('"', "").rstrip(", \r\n").split(",")


def _is_finite(cell: str) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def _numbers(cells: list[str], path: Path, line: int, name: str) -> array:
    if not cells:
        raise UserError(f"{path}, line {line}: series {shown(name)} has no values.")
    with suppress(ValueError):
        numbers = array("d", map(float, cells))
        if np.isfinite(numbers).all():
            return numbers
    bad = next(i for i, cell in enumerate(cells) if not _is_finite(cell))
    problem = f"{shown(cells[bad])} is not a finite number" if cells[bad].strip() else "a value is missing"
    raise UserError(f"{path}, line {line}, series {shown(name)}, V{bad + 2}: {problem}.")
